//! Masks secrets in texts: known token formats, values after the name of a secret, the user and password of a URL, and
//! query parameters. Pure: no I/O.
//!
//! [`masked`] is for messages: sentences with any content. [`masked_document`] is for values that may be whole files,
//! where each line may also have a key (`lines`).

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

use super::{
    command::masked_commands,
    lines::{masked_lines, shown_lines},
    login::without_logins,
    markup::masked_markup,
    name::is_secret,
    sentence::{is_argument, is_harmless, is_value},
    shape::{CREDENTIALS, RUNS, is_old_token, is_secret_run},
    told::{without_piped, without_told},
    words::QUERY,
};

/// The replacement for a secret.
pub(crate) const MASK: &str = "***";

/// `NAME=VALUE`: variables, flags, queries, connection strings.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"([?&]|&amp;|\\u0026)?([A-Za-z0-9_.%/-]*[A-Za-z0-9_])=("(?:[^"\\]|\\.)*"|'[^']*'|\$\{[^}]*\}|\$\([^)]*\)|[^\s&;,"'`(){}]+)"#,
    )
    .ok()
});

/// `name = value` within a line.
static SPACED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"([A-Za-z0-9_./-]+)(["'\])]*[ \t]+(?:=>|:=|=)[ \t]*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'`,;{}\[\]()]+)"#,
    )
    .ok()
});

/// `"name": "value"` and `name: "value"`, as in JSON, also within a JSON string; and with the quotes of XML.
static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"([A-Za-z0-9_./-]+)((?:\\?["']|&(?:quot|apos|#3[49]);)?\s*:\s*)(?:(\\?["'])((?:[^"'\\]|\\[^"'])+)|(&(?:quot|apos|#3[49]);)([^&<>"']+))"#,
    )
    .ok()
});

/// `name:value` and `name: value`, as Go prints a map and as users write notes.
static NOTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"([A-Za-z0-9_./-]+)(["']?\s*:\s*)([^\s"'`,;{}\[\]()]+)"#).ok());

/// `name%3Dvalue`: a URL within a URL.
static ENCODED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"([A-Za-z0-9_.-]+)(%3[Dd])([A-Za-z0-9_.~+-]+)").ok());

/// A password after its name: `password "x" was refused`.
static BESIDE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(\b(?:password|passwd|passphrase)\s+(?:is\s+|was\s+)?["'`])([^\s"'`]+)(["'`])"#,
    )
    .ok()
});

/// The value after a flag: `--password hunter2`, `"--password" "hunter2"`, `["--password", "hunter2"]`.
static FLAGGED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"((?:^|[^A-Za-z0-9_])--?)([A-Za-z][A-Za-z0-9-]*)((?:[ \t]|\\\n)+|["'](?:,[ \t]*|[ \t]+)["'])("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'`-][^\s"'`]*)"#,
    )
    .ok()
});

/// The bytes of a text, as Rust prints them (`[45, 45, 66]`), and Go (`[45 45 66]`): libraries that report what they cannot parse
/// do so.
static BYTES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\[(?:[0-9]{1,3}(?:, ?| )){7,}[0-9]{1,3}\]").ok());

/// Whether 40 hexadecimal digits are masked: old GitHub tokens have this format, and so do Git commits and certificate
/// thumbprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Masked: in the user's profile, and in files that users share.
    Strict,
    /// Shown: in messages about the current state.
    Lenient,
}

/// Masks secrets in messages.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    mask(text, Manner::Lenient)
}

/// Masks secrets in user input, strictly.
pub(crate) fn masked_strictly(text: &str) -> Cow<'_, str> {
    mask(text, Manner::Strict)
}

/// The lines of a text that is not valid YAML, masked one by one; the lines of a hidden multi-line value are hidden
/// too.
pub(crate) fn masked_source(source: &str, manner: Manner) -> Vec<String> {
    let shown = |line: Option<Cow<'_, str>>| match line {
        Some(line) => mask(&line, manner).into_owned(),
        None => MASK.to_owned(),
    };
    let lines = shown_lines(source, true, manner);
    lines.into_iter().map(shown).collect()
}

/// Masks a value of any length: line by line, and values of several lines.
pub(crate) fn masked_document(text: &str, manner: Manner) -> Cow<'_, str> {
    // A private key has lines without a key.
    let text = without_credentials(Cow::Borrowed(text));
    let is_long = text.contains('\n');
    let text = masked_lines(text, is_long, manner);
    let new = match mask(&text, manner) {
        Cow::Borrowed(_) => None,
        Cow::Owned(new) => Some(new),
    };
    new.map_or(text, Cow::Owned)
}

fn without_credentials(text: Cow<'_, str>) -> Cow<'_, str> {
    replaced(text, &CREDENTIALS, |_| Some(MASK.into()))
}

fn mask(text: &str, manner: Manner) -> Cow<'_, str> {
    let text = without_credentials(Cow::Borrowed(text));
    // Most texts are one word without a name before it.
    if !text.contains([
        ' ', '\t', '\n', '=', ':', '<', '&', '%', '"', '\'', ',', '\\',
    ]) {
        return without_runs(text, manner);
    }
    let text = without_bytes(text, manner);
    let text = without_logins(text);
    let text = match masked_commands(&text) {
        Some(new) => Cow::Owned(new),
        None => text,
    };
    let text = masked_markup(text);
    let text = without_piped(text);
    let text = replaced(text, &ASSIGNED, |found| {
        let (query, name) = (found.get(1).is_some(), &found[2]);
        let told = is_secret(last_name(name)) || (query && is_query_secret(name, &found[3]));
        let before = &found[0][..found[0].len() - found[3].len()];
        (told && !is_harmless(&found[3])).then(|| format!("{before}{MASK}"))
    });
    let text = replaced(text, &SPACED, |found| {
        let word = &found[3];
        let is_quoted = word.starts_with(['"', '\'']) && !is_harmless(word);
        let told =
            is_secret(last_name(&found[1])) && (is_quoted || is_value(&found[1], word, true));
        told.then(|| format!("{}{}{MASK}", &found[1], &found[2]))
    });
    let text = replaced(text, &QUOTED, |found| {
        let value = found.get(4).or(found.get(6))?.as_str();
        let before = &found[0][..found[0].len() - value.len()];
        (is_secret(&found[1]) && !is_harmless(value)).then(|| format!("{before}{MASK}"))
    });
    let text = noted(text);
    let text = replaced(text, &ENCODED, |found| {
        (is_secret(&found[1]) && !is_harmless(&found[3]))
            .then(|| format!("{}{}{MASK}", &found[1], &found[2]))
    });
    let text = replaced(text, &BESIDE, |found| {
        (is_argument(&found[2]) && !is_secret(&found[2]))
            .then(|| format!("{}{MASK}{}", &found[1], &found[3]))
    });
    let text = without_told(text);
    let text = replaced(text, &FLAGGED, |found| {
        let told = is_secret(&found[2]) && is_argument(&found[4]);
        told.then(|| format!("{}{}{}{MASK}", &found[1], &found[2], &found[3]))
    });
    without_runs(text, manner)
}

fn without_runs(text: Cow<'_, str>, manner: Manner) -> Cow<'_, str> {
    replaced(text, &RUNS, |found| {
        let run = &found[0];
        (is_secret_run(run) || (manner == Manner::Strict && is_old_token(run))).then(|| MASK.into())
    })
}

/// Masks lists of bytes that are a text with a secret in it.
fn without_bytes(text: Cow<'_, str>, manner: Manner) -> Cow<'_, str> {
    replaced(text, &BYTES, |found| {
        let numbers = found[0].trim_matches(['[', ']']).split([',', ' ']);
        let bytes: Result<Vec<u8>, _> = numbers
            .filter(|it| !it.is_empty())
            .map(str::parse::<u8>)
            .collect();
        let inner = String::from_utf8_lossy(&bytes.ok()?).into_owned();
        (mask(&inner, manner) != inner).then(|| MASK.into())
    })
}

/// `name: value` within a text; the words that follow distinguish a value from a sentence.
fn noted(text: Cow<'_, str>) -> Cow<'_, str> {
    let whole = text.clone();
    replaced(text, &NOTED, |found| {
        let word = found.get(3)?;
        let after = whole.get(word.end()..).unwrap_or_default();
        let ends =
            after.is_empty() || after.starts_with(['\n', '"', '\'', ',', ';', '}', ']', ')']);
        // Part of an ARN.
        let start = found.get(1)?.start();
        let is_part = &found[2] == ":" && whole.get(..start).is_some_and(|it| it.ends_with(':'));
        let told = !is_part && is_secret(&found[1]) && is_value(&found[1], word.as_str(), ends);
        told.then(|| format!("{}{}{MASK}", &found[1], &found[2]))
    })
}

/// Whether a query parameter of a URL is secret. `key` and `code` are if they are long.
fn is_query_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    QUERY.contains(&name.as_str())
        && (!["key", "code"].contains(&name.as_str()) || value.len() >= 16)
}

/// `text` with the matches of the expression replaced where `by` returns a replacement.
pub(super) fn replaced<'a>(
    text: Cow<'a, str>,
    expression: &LazyLock<Option<Regex>>,
    by: impl Fn(&Captures<'_>) -> Option<String>,
) -> Cow<'a, str> {
    let Some(expression) = expression.as_ref() else {
        return text;
    };
    let mut new: Option<String> = None;
    let (mut copied, mut from) = (0, 0);
    while let Some(found) = expression.captures_at(&text, from) {
        let Some(whole) = found.get(0).filter(|it| !it.is_empty()) else {
            break;
        };
        let Some(by) = by(&found) else {
            // The text after the first part may be a match too: `--from-literal=password=x`.
            let first = found.iter().skip(1).flatten().next();
            from = first.map_or(whole.end(), |it| it.end().max(from + 1));
            continue;
        };
        from = whole.end();
        let new = new.get_or_insert_default();
        new.push_str(&text[copied..whole.start()]);
        new.push_str(&by);
        copied = whole.end();
    }
    match new {
        None => text,
        Some(mut new) => {
            new.push_str(&text[copied..]);
            Cow::Owned(new)
        }
    }
}

/// The last part of a dotted name: `controller.values.token`.
fn last_name(name: &str) -> &str {
    name.rsplit(['/', '.', '%']).next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expressions_are_well_formed() {
        for it in [
            &ASSIGNED, &SPACED, &QUOTED, &NOTED, &ENCODED, &BESIDE, &FLAGGED, &BYTES,
        ] {
            assert!(it.is_some());
        }
    }

    #[test]
    fn what_follows_the_name_of_a_secret_is_hidden() {
        for (text, expected) in [
            (
                "run with DB_PASSWD=hunter2 now",
                "run with DB_PASSWD=*** now",
            ),
            ("--set github.token='a b'", "--set github.token=***"),
            ("https://a/?token=x&page=2", "https://a/?token=***&page=2"),
            (
                "Server=db;Password=hunter2;Database=x",
                "Server=db;Password=***;Database=x",
            ),
            (
                r#"denied: {"data":{"github_token":"Zm9vYmFy","id":"7"}}"#,
                r#"denied: {"data":{"github_token":"***","id":"7"}}"#,
            ),
            (
                r#"{\"apiKey\":\"hunter2\",\"a\":1}"#,
                r#"{\"apiKey\":\"***\",\"a\":1}"#,
            ),
            (
                "map[data:map[github_token:Zm9vYmFyMQ== id:7]]",
                "map[data:map[github_token:*** id:7]]",
            ),
            ("password: hunter2", "password: ***"),
            ("login --password hunter2 -v", "login --password *** -v"),
            (
                "Authorization: Bearer abc.def-0123",
                "Authorization: Bearer ***",
            ),
            ("postgres://u:p/w@db/x", "postgres://***@db/x"),
            ("https://x0123@host", "https://***@host"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn what_is_said_stays() {
        let digest = format!(
            "oci://registry:5000/chart@sha256:{}",
            "0123456789abcdef".repeat(4)
        );
        for text in [
            "cannot read github.token: the environment variable `ARCCTL_GITHUB_TOKEN` is not set",
            "set it: export ARCCTL_GITHUB_TOKEN=… (github.token.env in the profile names it)",
            "write `token: {env: GH_TOKEN}` under `github` in the profile",
            "the GitHub token: GitHub returned HTTP 403: Must have admin rights to Repository. (request AB12:CD34)",
            "secret: Secret/actions-runner-system/controller-manager is not there",
            "authSecret.create=false",
            "https://github.com/orgs/doge/sso?authorization_request=",
            "cannot list resource \"secrets\" in API group \"\"",
            "use `valueFrom: {secretKeyRef: {name: …, key: …}}`",
            "`--token-env VARIABLE` uses another token",
            "arn:aws:iam::123456789012:role/aws-reserved/AWSReservedSSO_Admin_0123456789abcdef",
            "thumbprint 0123456789abcdef0123456789abcdef01234567",
            "https://actions/checkout@v4/x",
            digest.as_str(),
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn a_private_key_goes_with_all_its_lines() {
        let (begin, end) = ("-----BEGIN RSA PRIVATE", "-----END RSA PRIVATE");
        let text = format!("a\n{begin} KEY-----\nMIIE\nabc=\n{end} KEY-----\nb");
        assert_eq!(masked(&text), "a\n***\nb");
        let escaped = format!("x {begin} KEY-----\\nMIIE\\n");
        assert_eq!(masked(&escaped), "x ***");
    }

    #[test]
    fn a_document_hides_what_follows_each_key() {
        let text = "user: me\npassword: correct horse\n- token: abc\nname: x";
        assert_eq!(
            masked_document(text, Manner::Strict),
            "user: me\npassword: ***\n- token: ***\nname: x"
        );
    }

    #[test]
    fn each_line_of_a_broken_profile_is_hidden_by_what_is_above_it() {
        let source = "a:\n  token: {env: X\n  token: \"hunter2\n  privateKey: abc: d\n  password: |\n\thunter2\n   hunter2\nb: c";
        assert_eq!(
            masked_source(source, Manner::Strict).join("\n"),
            "a:\n  token: {env: X\n  token: ***\n  privateKey: ***\n  password: ***\n***\n***\nb: c"
        );
    }

    #[test]
    fn an_old_token_is_hidden_in_a_profile_and_a_digest_is_not() {
        let token = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(masked_strictly(&format!("env: {token}")), "env: ***");
        let digest = format!("image: a@sha256:{token}{}", &token[..24]);
        assert_eq!(masked_strictly(&digest), digest);
    }
}
