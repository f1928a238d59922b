//! GitHub Apps: installation tokens, and the errors if there is none.

use std::collections::{BTreeMap, BTreeSet};

use arcctl_sandbox::github::{App, Installation, Owner};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    app_key::{PRIVATE, PUBLIC},
    canned::{Canned, json},
    *,
};

/// What an App is at GitHub: its permissions, and whether GitHub has its key.
pub(super) struct Fact {
    permissions: &'static [(&'static str, &'static str)],
    has_key: bool,
}

pub(super) const GOOD: Fact = Fact {
    permissions: &[
        ("administration", "write"),
        ("organization_self_hosted_runners", "write"),
    ],
    has_key: true,
};

pub(super) fn install(github: &sandbox::GitHub, known: &Fact) {
    let mut public_key = STANDARD.decode(PUBLIC).unwrap();
    if !known.has_key {
        // Another modulus.
        public_key[100] ^= 1;
    }
    let owners = [
        Owner::organization("dogecompany"),
        Owner::repository("dogecompany", "app"),
    ];
    let permissions = known.permissions.iter();
    let permissions: BTreeMap<_, _> = permissions
        .map(|(key, level)| ((*key).to_owned(), (*level).to_owned()))
        .collect();
    github.add_app(App {
        id: 123,
        slug: "arc".into(),
        public_key: Some(public_key),
        installations: vec![Installation {
            id: 77,
            owners: BTreeSet::from(owners),
            permissions,
        }],
    });
}

pub(super) fn credential(id: &str, installation: &str) -> Credential {
    let (begin, end) = ("-----BEGIN RSA PRIVATE", "-----END RSA PRIVATE");
    let pem = format!("{begin} KEY-----\n{PRIVATE}\n{end} KEY-----\n");
    Credential::App {
        id: id.into(),
        installation_id: installation.into(),
        private_key: Secret::trimmed(&pem).0,
    }
}

#[tokio::test]
async fn an_app_is_told_what_it_lacks() {
    let lacking = Fact {
        permissions: &[("administration", "read")],
        ..GOOD
    };
    let keyless = Fact {
        has_key: false,
        ..GOOD
    };
    let rows = [
        ("an enterprise", &GOOD, "123", "77", ENTERPRISE),
        ("another key", &keyless, "123", "77", ORGANIZATION),
        ("another App", &GOOD, "124", "77", ORGANIZATION),
        ("another installation", &GOOD, "123", "78", ORGANIZATION),
        (
            "no permission, organization",
            &lacking,
            "123",
            "77",
            ORGANIZATION,
        ),
        (
            "no permission, repository",
            &lacking,
            "123",
            "77",
            REPOSITORY,
        ),
        (
            "installed elsewhere",
            &GOOD,
            "123",
            "77",
            Scope::Organization("other"),
        ),
        ("an organization", &GOOD, "123", "77", ORGANIZATION),
        ("a repository", &GOOD, "123", "77", REPOSITORY),
    ];
    let mut table = Table::default();
    for mode in [enterprise_server(), Mode::Cloud] {
        for (name, known, id, installation, scope) in rows {
            let github = stand_in(mode.clone()).await;
            github.add_owner(Owner::organization("other"));
            install(&github, known);
            let client = client(server(&github, &mode), credential(id, installation));
            let result = client.audit(scope, None).await;
            if let Err(error) = &result {
                assert_eq!(error.kind.exit_code(), 4, "{error}");
                assert!(!all_of(error).contains(&PRIVATE[40..60]), "{error}");
            }
            table.row(&format!("{name}, {mode:?}"), &told(&result));
            assert_eq!(github.violations(), Vec::<String>::new(), "{name}");
        }
    }
    table.compare("app");
}

#[tokio::test]
async fn an_installation_token_is_made_once_and_lists_runners() {
    let github = stand_in(enterprise_server()).await;
    install(&github, &GOOD);
    let client = client(Server::of(Some(&github.url())), credential("123", "77"));
    assert!(client.runners(ENTERPRISE).await.is_err());
    let runners = client.runners(ORGANIZATION).await.unwrap();
    assert_eq!(runners.len(), 0);
    assert_eq!(client.runners(ORGANIZATION).await.unwrap().len(), 0);
    // No App can do anything for an enterprise; the token, and two listings.
    assert_eq!(client.requests.snapshot().reads, 3);
}

#[tokio::test]
async fn a_clock_that_is_wrong_and_a_suspended_installation_are_told() {
    provider();
    let mut table = Table::default();
    let skewed = Canned::start(|_, _| {
        let date = "date: Mon, 02 Jan 2023 03:04:05 GMT\r\n";
        json(
            401,
            date,
            r#"{"message": "'Issued at' claim ('iat') must be an Integer"}"#,
        )
    })
    .await;
    let suspended = Canned::start(|_, _| {
        json(
            403,
            "",
            r#"{"message": "This installation has been suspended"}"#,
        )
    })
    .await;
    let unknown = Canned::start(|_, _| json(422, "", r#"{"message": "no"}"#)).await;
    for (name, server) in [
        ("a wrong clock", &skewed),
        ("a suspended installation", &suspended),
        ("another refusal", &unknown),
    ] {
        let client = client(Server::of(Some(&server.url)), credential("123", "77"));
        let text = told(&client.audit(ORGANIZATION, None).await);
        table.row(name, &text);
    }
    table.compare("app_clock");
}

#[tokio::test]
async fn a_token_of_an_app_may_do_no_more_than_it_is_for() {
    // An App that may do much more, and is installed on more.
    let much = Fact {
        permissions: &[
            ("administration", "write"),
            ("organization_self_hosted_runners", "write"),
            ("contents", "write"),
            ("actions", "write"),
            ("members", "write"),
        ],
        ..GOOD
    };
    let github = stand_in(enterprise_server()).await;
    github.add_owner(Owner::repository("dogecompany", "other"));
    install(&github, &much);
    let client = client(Server::of(Some(&github.url())), credential("123", "77"));
    client.audit(ORGANIZATION, None).await.unwrap();
    client.runners(REPOSITORY).await.unwrap();
    let workflow = client.repository("dogecompany/app").await;
    assert!(workflow.is_ok(), "{workflow:?}");
    let granted: Vec<Vec<String>> = github
        .installation_tokens()
        .into_iter()
        .map(|it| it.into_keys().collect())
        .collect();
    assert_eq!(
        granted,
        [
            vec!["organization_self_hosted_runners".to_owned()],
            vec!["administration".to_owned()],
            vec!["actions".to_owned()],
        ]
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

/// DER of this tag whose length needs two bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut made = vec![tag, 0x82, length[0], length[1]];
    made.extend(content);
    made
}

#[tokio::test]
async fn a_key_in_pkcs_8_works_and_one_with_written_line_breaks_is_told_as_that() {
    let github = stand_in(enterprise_server()).await;
    install(&github, &GOOD);
    let with = |key: &str| {
        let credential = Credential::App {
            id: "123".into(),
            installation_id: "77".into(),
            private_key: Secret::trimmed(key).0,
        };
        client(Server::of(Some(&github.url())), credential)
    };
    // RFC 5208: version 0, the algorithm rsaEncryption without parameters, and the key of PKCS #1.
    let mut content = vec![2, 1, 0, 0x30, 13, 6, 9];
    content.extend([0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0]);
    content.extend(der(4, &STANDARD.decode(PRIVATE).unwrap()));
    let key = STANDARD.encode(der(0x30, &content));
    let (begin, end) = ("-----BEGIN PRIVATE", "-----END PRIVATE");
    let converted = with(&format!("{begin} KEY-----\n{key}\n{end} KEY-----\n"));
    converted.runners(ORGANIZATION).await.unwrap();
    let escaped = with(&format!("{begin} KEY-----\\n{key}\\n{end} KEY-----\\n"));
    let error = escaped.runners(ORGANIZATION).await.unwrap_err();
    assert_eq!(error.kind.exit_code(), 4);
    // The parser's own words are the key, byte by byte: `[45, 45, …]`.
    let all = all_of(&error);
    assert!(
        !all.contains(&key[40..60]) && !all.contains("45, 45"),
        "{all}"
    );
    let hint = error.hint.unwrap();
    assert!(hint.starts_with("its line breaks are written"), "{hint}");
}
