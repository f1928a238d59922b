//! The three levels, on a GitHub Enterprise Server and on github.com: each state of a token, and its message.

use arcctl::profile::Scope;
use arcctl_sandbox::github::{self as sandbox, Mode, Owner, RateLimit, Token};

use super::*;

const DAY: Duration = Duration::from_hours(24);

/// A situation: what is set up at GitHub; returns the token to come with.
type Situation = (&'static str, fn(&sandbox::GitHub) -> String);

fn administrator() -> Token {
    Token::administrator()
}

const SITUATIONS: [Situation; 16] = [
    ("a token that is wrong or revoked", |github| {
        let token = github.add_token(administrator());
        github.revoke(&token);
        token
    }),
    ("a token without scopes", |github| {
        github.add_token(Token::classic("arc-admin", &[]))
    }),
    ("a token with other scopes", |github| {
        github.add_token(Token::classic("arc-admin", &["workflow", "read:org"]))
    }),
    ("a token not authorized for single sign-on", |github| {
        github.add_token(administrator().without_single_sign_on("dogecompany"))
    }),
    ("a fine-grained token without the permission", |github| {
        github.add_token(Token::fine_grained("arc-admin", &[("metadata", "read")]))
    }),
    ("a fine-grained token with the permissions", |github| {
        let permissions = [
            ("administration", "write"),
            ("organization_self_hosted_runners", "write"),
        ];
        github.add_token(Token::fine_grained("arc-admin", &permissions))
    }),
    ("a job's own token", |github| {
        github.add_token(Token::installation(
            "github-actions",
            &[("administration", "write")],
        ))
    }),
    ("a job's own token, without its prefix", |github| {
        let token = Token::installation("github-actions", &[("administration", "write")]);
        github.add_token(Token {
            value: "0123456789abcdef0123456789abcdef01234567".into(),
            ..token
        })
    }),
    ("a token of an OAuth app", |github| {
        github.add_token(Token {
            value: "gho_0123456789abcdefghijklmnopqrstuvwxyz".into(),
            ..administrator()
        })
    }),
    ("a token whose owner administers nothing", |github| {
        github.add_token(administrator().administering([]))
    }),
    ("a token of somebody else", |github| {
        github.add_token(Token {
            login: "leaver".into(),
            ..administrator()
        })
    }),
    ("a token that ends in two days", |github| {
        github.add_token(administrator().expiring_in(2 * DAY + DAY / 2))
    }),
    ("a token that ends in twenty days", |github| {
        github.add_token(administrator().expiring_in(20 * DAY + DAY / 2))
    }),
    ("the rate limit is used up", |github| {
        let limit = RateLimit {
            remaining: 0,
            ..RateLimit::of(5000)
        };
        github.set_rate_limit(Some(limit));
        github.token().to_owned()
    }),
    ("the rate limit is nearly used up", |github| {
        let limit = RateLimit {
            remaining: 400,
            ..RateLimit::of(5000)
        };
        github.set_rate_limit(Some(limit));
        github.token().to_owned()
    }),
    ("the secondary rate limit", |github| {
        github.set_secondary_limit(Some(Duration::from_mins(1)));
        github.token().to_owned()
    }),
];

/// All situations at one level, each with a GitHub of its own.
async fn level(table: &mut Table, mode: &Mode, scope: Scope<'_>) {
    for (name, set_up) in SITUATIONS {
        let github = stand_in(mode.clone()).await;
        let value = set_up(&github);
        let result = client(server(&github, mode), token(&value))
            .audit(scope, Some("arc-admin"))
            .await;
        if let Err(error) = &result {
            let secret_part = &value[value.len() - 20..];
            assert!(!all_of(error).contains(secret_part), "{error}");
            assert_eq!(error.object.as_deref(), Some(github.api_url().as_str()));
        }
        table.row(&format!("{name}, {scope:?}"), &told(&result));
        assert_eq!(github.violations(), Vec::<String>::new(), "{name}");
    }
}

async fn unknown_names(table: &mut Table, mode: &Mode) {
    for scope in [
        Scope::Enterprise("doge"),
        Scope::Organization("doge"),
        Scope::Repository("dogecompany/ap"),
    ] {
        let github = stand_in(mode.clone()).await;
        let client = client(server(&github, mode), token(github.token()));
        let result = client.audit(scope, Some("arc-admin")).await;
        table.row(
            &format!("a name that GitHub does not know, {scope:?}"),
            &told(&result),
        );
        assert_eq!(github.violations(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_enterprise_server_tells_why() {
    let mode = enterprise_server();
    let mut table = Table::default();
    for scope in [ENTERPRISE, ORGANIZATION, REPOSITORY] {
        level(&mut table, &mode, scope).await;
    }
    unknown_names(&mut table, &mode).await;
    table.compare("enterprise_server");
}

#[tokio::test]
async fn github_com_tells_why() {
    let mut table = Table::default();
    for scope in [ENTERPRISE, ORGANIZATION, REPOSITORY] {
        level(&mut table, &Mode::Cloud, scope).await;
    }
    unknown_names(&mut table, &Mode::Cloud).await;
    table.compare("cloud");
}

#[tokio::test]
async fn a_token_that_owns_nothing_but_sees_the_organization_is_told_apart() {
    // An organization that shows itself, and a registration that is hidden: as GitHub does with a plain member.
    let canned = canned::Canned::start(|_, head| {
        if head.starts_with("GET /api/v3/orgs/dogecompany ") {
            return canned::json(200, "", r#"{"login": "dogecompany"}"#);
        }
        if head.starts_with("GET /api/v3/meta ") {
            return canned::json(200, "", r#"{"installed_version": "3.19.0"}"#);
        }
        if head.starts_with("GET /api/v3/user ") {
            return canned::json(200, "", r#"{"login": "arc-admin", "type": "User"}"#);
        }
        canned::json(404, "", r#"{"message": "Not Found"}"#)
    })
    .await;
    provider();
    let client = client(Server::of(Some(&canned.url)), token("ghp_abcdefghijklmnop"));
    let result = client.audit(ORGANIZATION, Some("arc-admin")).await;
    let mut table = Table::default();
    table.row(
        "the organization is seen, its runners are not",
        &told(&result),
    );
    table.compare("visible");
}

#[tokio::test]
async fn github_decides_about_the_scope_that_only_its_pages_offer() {
    provider();
    for (status, body, expected) in [
        (201, r#"{"token": "A"}"#, "fine\n"),
        (
            403,
            r#"{"message": "Must have admin rights to Repository."}"#,
            "exit 4: the GitHub token lacks the scope `admin:org`",
        ),
    ] {
        let canned = canned::Canned::start(move |_, head| {
            let scopes = "x-oauth-scopes: manage_runners:org\r\n";
            if head.starts_with("GET /api/v3/meta ") {
                return canned::json(200, scopes, r#"{"installed_version": "3.19.0"}"#);
            }
            if head.starts_with("GET /api/v3/user ") {
                return canned::json(200, scopes, r#"{"login": "arc-admin", "type": "User"}"#);
            }
            if head.starts_with("POST /api/v3/orgs/dogecompany/actions/runners/registration-token ")
            {
                return canned::json(status, scopes, body);
            }
            canned::json(404, scopes, r#"{"message": "Not Found"}"#)
        })
        .await;
        let client = client(Server::of(Some(&canned.url)), token("ghp_abcdefghijklmnop"));
        let told = told(&client.audit(ORGANIZATION, Some("arc-admin")).await);
        assert!(told.starts_with(expected), "{told}");
    }
}

#[tokio::test]
async fn organizations_that_single_sign_on_hides_are_counted() {
    let github = stand_in(Mode::Cloud).await;
    github.add_owner(Owner::organization("other"));
    let value = github.add_token(administrator().without_single_sign_on("other"));
    let client = client(server(&github, &Mode::Cloud), token(&value));
    let identity = client.identity().await.unwrap();
    assert_eq!(identity.organizations.unwrap(), ["dogecompany"]);
    assert_eq!(identity.left_out, 1);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_named_owner_a_persons_token_is_advice() {
    let github = stand_in(enterprise_server()).await;
    let client = client(Server::of(Some(&github.url())), token(github.token()));
    let result = client.audit(ENTERPRISE, None).await;
    let audit = result.as_ref().unwrap();
    assert_eq!(audit.login.as_deref(), Some("arc-admin"));
    assert_eq!(audit.version.as_deref(), Some("3.19.0"));
    let mut table = Table::default();
    table.row("no owner is named", &told(&result));
    table.compare("no_owner");
}

#[tokio::test]
async fn the_server_must_be_the_one_that_is_meant() {
    let mut table = Table::default();
    for (name, mode, named) in [
        (
            "an old server",
            Mode::EnterpriseServer("3.5.19".into()),
            enterprise_server(),
        ),
        (
            "the oldest server",
            Mode::EnterpriseServer("3.6.0".into()),
            enterprise_server(),
        ),
        (
            "a server where github.com is meant",
            enterprise_server(),
            Mode::Cloud,
        ),
        (
            "github.com where a server is meant",
            Mode::Cloud,
            enterprise_server(),
        ),
    ] {
        let github = stand_in(mode).await;
        let mut server = server(&github, &named);
        server.api = github.api_url();
        let result = client(server, token(github.token()))
            .audit(ENTERPRISE, Some("arc-admin"))
            .await;
        table.row(name, &told(&result));
        assert_eq!(github.violations(), Vec::<String>::new(), "{name}");
    }
    table.compare("servers");
}
