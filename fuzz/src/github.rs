//! A response of GitHub, or of another server at its address: accepted only with a success status; otherwise there is one
//! error, with a hint and without the token.

use arcctl::{
    clients::github::{Question, RequestOrigin, TokenKind, meaning},
    error::{ErrorKind, System},
    profile::Scope,
    secret::Secret,
};

/// Nobody's token. The seeds have `{token}` for it, which a mutation leaves whole more often than forty letters.
const TOKEN: &str = "ghp_CanaryCanary0123456789CanaryCanary01";

const SCOPES: [Scope<'static>; 3] = [
    Scope::Enterprise("dogecompany"),
    Scope::Organization("dogecompany"),
    Scope::Repository("dogecompany/app"),
];

const KINDS: [TokenKind; 7] = [
    TokenKind::Classic,
    TokenKind::FineGrained,
    TokenKind::OAuth,
    TokenKind::UserOfApp,
    TokenKind::Installation,
    TokenKind::App,
    TokenKind::Unknown,
];

fn one_of<T: Copy>(all: &[T], byte: u8) -> T {
    all[usize::from(byte) % all.len()]
}

/// Four bytes choose question, scope, kind of token, and whether the scope is visible; then the status, a line for each
/// header, an empty line, and the body.
pub(crate) fn run(data: &[u8]) {
    let [question, scope, kind, visible, rest @ ..] = data else {
        return;
    };
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    let text = text.replace("{token}", TOKEN);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let Some(Ok(status)) = lines.next().map(|it| it.trim().parse::<u16>()) else {
        return;
    };
    let headers: Vec<_> = lines.filter_map(|it| it.split_once(": ")).collect();
    let asker = RequestOrigin {
        url: one_of(&[None, Some("https://ghe.example")], visible >> 2),
        scope: one_of(&SCOPES, *scope),
        token: &Secret::trimmed(TOKEN).0,
        kind: one_of(&KINDS, *kind),
        visible: one_of(&[None, Some(false), Some(true)], *visible),
    };
    let question = one_of(&Question::ALL, *question);
    match meaning(question, &asker, status, &headers, body.as_bytes()) {
        None => {}
        Some(Ok(_)) => assert!((200..300).contains(&status), "{status} is a success"),
        Some(Err(error)) => {
            let told = serde_json::to_string(&error.document()).unwrap();
            let shown = format!("{error}\n{error:?}\n{told}");
            assert!(!shown.contains(TOKEN), "the token is told: {shown}");
            assert!(!error.message.is_empty() && error.object.is_some());
            assert!(
                error.hint.is_some_and(|it| !it.is_empty()),
                "no way out: {told}"
            );
            assert_eq!(error.system, System::GitHub);
            let quoted = error
                .causes
                .iter()
                .filter(|it| it.starts_with("GitHub returned HTTP"));
            assert!(quoted.count() <= 1, "quoted more than once: {told}");
            let typed = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            let json = typed.is_some_and(|(_, value)| value.is_ascii() && value.contains("json"));
            if status == 401 && (json || body.is_empty()) {
                assert_eq!(error.kind, ErrorKind::Unauthorized, "{told}");
            }
        }
    }
}
