//! Searches all output of the program for a token, in all its encodings and in pieces.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};

use super::{
    canned::{Canned, json},
    *,
};

/// Looks like a token, and has characters that base64 and URLs encode.
pub(super) const CANARY: &str = "ghp_Zq8+CaNaRy/71xWv09kLmN3~pQ%rT5uY2sD6";

/// Its percent-encoded form.
const ENCODED: &str = "ghp_Zq8%2BCaNaRy%2F71xWv09kLmN3~pQ%25rT5uY2sD6";

/// How long a piece may be shown: what begins all tokens of its kind, and chance.
const PIECE: usize = 8;

/// The forms in which it would be given away.
fn forms() -> Vec<String> {
    let mut forms = vec![CANARY.to_owned(), ENCODED.to_owned()];
    for before in ["", "a", "ab", "x:", "user:"] {
        let text = format!("{before}{CANARY}");
        forms.extend([STANDARD.encode(&text), URL_SAFE.encode(&text)]);
    }
    forms
}

/// The first piece of a form that stands in `text`.
pub(super) fn given_away(text: &str) -> Option<String> {
    let pieces = forms().into_iter().flat_map(|form| {
        let pieces = form.as_bytes().windows(PIECE);
        let pieces = pieces.map(|it| String::from_utf8_lossy(it).into_owned());
        pieces.collect::<Vec<_>>()
    });
    let mut pieces = pieces;
    pieces.find(|piece| text.contains(piece.as_str()))
}

/// A GitHub that repeats the token it was sent in what it says, whole, in pieces and encoded.
async fn echo(status: u16, headers: &'static str) -> Canned {
    Canned::start(move |_, _| {
        let half = CANARY.len() / 2;
        let said = format!(
            "no {CANARY} here, {} or {}, {ENCODED}, {} and {}",
            &CANARY[..half],
            &CANARY[half..],
            STANDARD.encode(CANARY),
            STANDARD.encode(format!("user:{CANARY}")),
        );
        json(
            status,
            headers,
            &serde_json::json!({"message": said}).to_string(),
        )
    })
    .await
}

#[tokio::test]
async fn what_repeats_the_token_is_quoted_without_it() {
    provider();
    assert!(given_away(&format!("x {}", &CANARY[9..20])).is_some());
    let said = [
        (401, ""),
        (403, ""),
        (
            403,
            "x-oauth-scopes: ghp_Zq8+CaNaRy/71xWv09kLmN3~pQ%rT5uY2sD6\r\n",
        ),
        (
            403,
            "x-github-sso: required; url=https://x/?t=ghp_Zq8%2BCaNaRy%2F71xWv09kLmN3~pQ%25rT5uY2sD6\r\n",
        ),
        (403, "retry-after: 60\r\n"),
        (404, ""),
        (422, ""),
        (500, ""),
        (
            302,
            "location: http://127.0.0.1:1/ghp_Zq8+CaNaRy/71xWv09kLmN3~pQ%rT5uY2sD6\r\n",
        ),
        (
            302,
            "location: /ghp_Zq8+CaNaRy/71xWv09kLmN3~pQ%rT5uY2sD6\r\n",
        ),
        (200, ""),
    ];
    for (status, headers) in said {
        let github = echo(status, headers).await;
        let client = client(Server::of(Some(&github.url)), token(CANARY));
        for scope in [ENTERPRISE, ORGANIZATION, REPOSITORY] {
            for result in [
                client.audit(scope, None).await.map(drop),
                client.runners(scope).await.map(drop),
            ] {
                let all = all_of(&result.unwrap_err());
                assert_eq!(given_away(&all), None, "{status} {headers}: {all}");
            }
            if status == 500 {
                break;
            }
        }
    }
    for body in [
        serde_json::json!({"installed_version": format!("3.1.{CANARY}")}),
        serde_json::json!({"installed_version": "3.19.0", "login": CANARY}),
    ] {
        let github = Canned::start(move |_, _| json(200, "", &body.to_string())).await;
        let client = client(Server::of(Some(&github.url)), token(CANARY));
        let error = client.audit(ENTERPRISE, Some("arc-admin")).await;
        let all = all_of(&error.unwrap_err());
        assert_eq!(given_away(&all), None, "{all}");
        if let Ok(audit) = client.audit(ENTERPRISE, None).await {
            assert_eq!(given_away(&format!("{audit:?}")), None);
        }
    }
    let credential = format!("{:?}", token(CANARY));
    assert_eq!(given_away(&credential), None);
}

/// A profile, a kubeconfig and an empty helm in a directory.
pub(super) fn set_up(directory: &Path, github: &str, kubernetes: &str) {
    let profile = include_str!("../../../profiles/repository.yaml");
    let repository = Regex::new(r"(?m)^  repository: .*").unwrap();
    let named = format!("  url: {github}\n  enterprise: dogecompany");
    let profile = repository.replace(profile, named);
    std::fs::write(directory.join("arcctl.yaml"), profile.as_ref()).unwrap();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: build-cluster\nclusters: [{{name: c, cluster: {{server: \"{kubernetes}\"}}}}]\n\
         users: [{{name: c, user: {{}}}}]\ncontexts: [{{name: build-cluster, context: {{cluster: c, user: c}}}}]\n"
    );
    std::fs::write(directory.join("kubeconfig"), kubeconfig).unwrap();
    let helm = directory.join("helm");
    std::fs::write(&helm, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&helm, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The program in that directory, with the canary in its environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the program itself is what is looked at"
)]
pub(super) fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arcctl"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", directory)
        .env("KUBECONFIG", directory.join("kubeconfig"))
        .env("ARCCTL_GITHUB_TOKEN", format!("{CANARY}\n"))
        .env("RUST_BACKTRACE", "full")
        .env("RUST_LOG", "trace");
    command
}

/// Runs it to its end, beside the servers of this process.
pub(super) async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// A secret of a kubeconfig, in a form that nothing recognizes.
const PLAIN: &str = "correct-CaNaRy-horse staple";

/// What each user of a kubeconfig has wrong, its keys, and what is said of it.
fn users(directory: &Path) -> Vec<(&'static str, String, &'static str)> {
    let plugin = directory.join("sign-in");
    let script = format!("#!/bin/sh\necho '{PLAIN}'\necho 'the session has ended' >&2\nexit 3\n");
    std::fs::write(&plugin, script).unwrap();
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
    let exec = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: {}, args: [--pin, \"{PLAIN}\"], env: [{{name: WHO, value: \"{PLAIN}\"}}]}}",
        plugin.display()
    );
    let begin = "-----BEGIN RSA PRIVATE";
    let key = STANDARD.encode(format!(r"{begin} KEY-----\n{PLAIN}\n"));
    let begin = "-----BEGIN CERTIFICATE-----";
    let certificate = STANDARD.encode(format!("{begin}\nMIIB\n-----END CERTIFICATE-----\n"));
    vec![
        (
            "a key whose line breaks are written as \\n",
            format!("client-certificate-data: {certificate}, client-key-data: {key}"),
            "goes on after the second `-----`",
        ),
        (
            "a plugin that fails",
            exec,
            "(exit status: 3): the session has ended",
        ),
        (
            "a value of another type",
            format!("username: [], password: \"{PLAIN}\""),
            "it is not a valid kubeconfig: what begins in line ",
        ),
    ]
}

/// The libraries' own messages have the key byte by byte, the plugin's arguments and stdout, and the lines of the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_credential_of_a_kubeconfig_is_in_the_error_about_it() {
    provider();
    let (kubernetes, github) = (refusing_kubernetes().await, healthy_github().await);
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let bytes = format!("{:?}", PLAIN.as_bytes());
    for (what, user, said) in users(directory) {
        set_up(directory, &github.url(), &kubernetes.url);
        let kubeconfig = directory.join("kubeconfig");
        let text = std::fs::read_to_string(&kubeconfig).unwrap();
        let with_user = text.replace("user: {}", &format!("user: {{{user}}}"));
        assert_ne!(text, with_user);
        std::fs::write(&kubeconfig, with_user).unwrap();
        for level in [&[][..], &["-vvv"], &["-o", "json"]] {
            let arguments = [&["status"][..], level].concat();
            let ended = output(program(directory, &arguments)).await;
            let mut text = String::from_utf8_lossy(&ended.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&ended.stderr));
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.contains(said), "{what}: {text}");
            assert!(!text.contains("CaNaRy"), "{what}: {text}");
            assert!(!text.contains("horse"), "{what}: {text}");
            assert!(!text.contains(&bytes[1..30]), "{what}: {text}");
        }
    }
}

/// An API server that tells its version and refuses the rest.
pub(super) async fn refusing_kubernetes() -> Canned {
    Canned::start(|_, head| {
        if head.starts_with("GET /version") {
            let version = r#"{"major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}"#;
            return json(200, "", version);
        }
        json(403, "", r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "message": "no", "code": 403}"#)
    })
    .await
}

/// A GitHub that takes the canary as an administrator's token.
pub(super) async fn healthy_github() -> sandbox::GitHub {
    let healthy = stand_in(enterprise_server()).await;
    healthy.add_token(sandbox::Token {
        value: CANARY.into(),
        ..sandbox::Token::administrator()
    });
    healthy
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_prints_no_token_however_much_it_says() {
    provider();
    let kubernetes = refusing_kubernetes().await;
    let healthy = healthy_github().await;
    let refusing = echo(403, "x-oauth-scopes: repo\r\n").await;
    for (github, code) in [(refusing.url.clone(), 4), (healthy.url(), 4)] {
        let directory = tempfile::tempdir().unwrap();
        set_up(directory.path(), &github, &kubernetes.url);
        for command in [&["plan"][..], &["up", "--yes"], &["status"]] {
            for level in [
                &[][..],
                &["-v"],
                &["-vv"],
                &["-vvv"],
                &["-vvv", "-o", "json"],
            ] {
                let arguments = [command, level].concat();
                let ended = output(program(directory.path(), &arguments)).await;
                let mut text = String::from_utf8_lossy(&ended.stdout).into_owned();
                text.push_str(&String::from_utf8_lossy(&ended.stderr));
                assert_eq!(given_away(&text), None, "{arguments:?}: {text}");
                assert!(
                    text.contains("white space") || command[0] == "status",
                    "{text}"
                );
                assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {text}");
            }
        }
    }
    assert!(healthy.requests() > 0);
    assert_eq!(healthy.violations(), Vec::<String>::new());
}
