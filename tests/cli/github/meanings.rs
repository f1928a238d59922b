//! The messages for GitHub's responses: each row of `tests/data/github-meanings.json` has facts of GitHub's documentation
//! or of an issue, with the expected message. A rejection without a row fails, and so does a row without a rejection.

use std::collections::BTreeMap;

use serde::Deserialize;

use arcctl::clients::github::MESSAGES;

use super::{canned::Canned, *};

/// An answer of GitHub's, and what a user must read of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// What it is.
    #[serde(rename = "row")]
    name: String,
    /// Where it is from.
    source: String,
    status: u16,
    headers: BTreeMap<String, String>,
    /// What the body says.
    said: String,
    /// The kind of token, by its prefix.
    token: String,
    scope: String,
    /// Whether the organization or repository itself is seen, where that is asked.
    visible: Option<bool>,
    /// A part of the message.
    message: String,
    /// A part of the hint.
    hint: String,
    exit: u8,
}

/// What no answer but a 403, and a server's page of maintenance, is to be judged by: the words of all others. Of those two
/// the words are often all there is.
const MISLEADING: &str =
    "Bad credentials. Resource not accessible by integration. Repository was archived. Not Found";

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("../../data/github-meanings.json")).unwrap()
}

impl Row {
    fn credential(&self) -> Credential {
        token(match self.token.as_str() {
            "app" => {
                return app::credential("1", "2");
            }
            "gho" => "gho_abcdefghijklmnop",
            "ghp" => "ghp_abcdefghijklmnop",
            "ghs" => "ghs_abcdefghijklmnop",
            "github_pat" => "github_pat_abcdefghijklmnop",
            "old" => "0123456789abcdef0123456789abcdef01234567",
            other => panic!("no token `{other}`"),
        })
    }

    fn scope(&self) -> Scope<'static> {
        match self.scope.as_str() {
            "enterprise" => ENTERPRISE,
            "organization" => ORGANIZATION,
            "repository" => REPOSITORY,
            other => panic!("no scope `{other}`"),
        }
    }

    /// The whole HTTP answer, with `said` in its body.
    fn answer(&self, said: &str) -> String {
        let page = self.headers.contains_key("content-type");
        let body = if page {
            said.to_owned()
        } else {
            serde_json::json!({"message": said}).to_string()
        };
        let mut headers = self.headers.clone();
        let kind = headers.entry("content-type".into());
        kind.or_insert_with(|| "application/json".into());
        headers.insert("content-length".into(), body.len().to_string());
        headers.insert("connection".into(), "close".into());
        let lines: Vec<String> = headers
            .iter()
            .map(|(key, it)| format!("{key}: {it}\r\n"))
            .collect();
        format!(
            "HTTP/1.1 {} Said\r\n{}\r\n{body}",
            self.status,
            lines.concat()
        )
    }

    /// What a user reads when GitHub says `said`.
    async fn error(&self, said: &str) -> Error {
        let (answer, visible) = (self.answer(said), self.visible);
        let server = Canned::start(move |_, head| {
            if head.contains("/access_tokens") {
                let granted =
                    r#"{"token": "ghs_abcdefghijklmnop", "expires_at": "2100-01-01T00:00:00Z"}"#;
                return canned::json(201, "", granted);
            }
            let itself = !head.contains("/actions/");
            match visible.filter(|_| itself) {
                Some(true) => canned::json(200, "", "{}"),
                Some(false) => canned::json(404, "", "{}"),
                None => answer.clone(),
            }
        })
        .await;
        let client = client(Server::of(Some(&server.url)), self.credential());
        client.registration(self.scope()).await.unwrap_err()
    }
}

#[tokio::test]
async fn each_row_has_its_message_whatever_the_text_says() {
    provider();
    let rows = rows();
    let told = rows.iter().map(|row| async move {
        assert!(!row.source.is_empty(), "{}", row.name);
        let error = row.error(&row.said).await;
        let hint = error.hint.clone().unwrap_or_default();
        assert!(
            error.message.contains(&row.message),
            "{}: {error}",
            row.name
        );
        assert!(hint.contains(&row.hint), "{}: {hint}", row.name);
        assert_eq!(error.kind.exit_code(), row.exit, "{}", row.name);
        if row.status == 403 || row.said.contains("maintenance") {
            return error.message;
        }
        let misled = row.error(MISLEADING).await;
        let same = |it: &Error| {
            (
                settled(&it.message),
                it.hint.clone().map(|it| settled(&it)),
                it.kind,
            )
        };
        assert_eq!(
            same(&misled),
            same(&error),
            "{}: told by its text",
            row.name
        );
        error.message
    });
    let told = futures::future::join_all(told).await;
    for template in refusals() {
        let expression = Regex::new(&template).unwrap();
        assert!(
            told.iter().any(|it| expression.is_match(it)),
            "no row of github-meanings.json leads to: {template}"
        );
    }
}

/// The messages that the code has, each as an expression that matches the whole of it.
fn refusals() -> Vec<String> {
    let value = Regex::new(r"\\\{[a-z]+\\\}").unwrap();
    let expression = |message: &&str| {
        let literal = regex::escape(message);
        format!("^{}$", value.replace_all(&literal, ".*"))
    };
    MESSAGES.iter().map(expression).collect()
}
