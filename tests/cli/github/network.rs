//! Network errors: no server, another server, certificates, and servers that fail.

use arcctl_sandbox::certificates::Authority;

use super::{
    canned::{Canned, json, page},
    *,
};

/// A stand-in behind TLS, whose certificate is for `name`; with it the authority's own certificate.
async fn behind_tls(authority: &str, name: &str) -> (sandbox::GitHub, String) {
    provider();
    let authority = Authority::new(authority).unwrap();
    let leaf = authority.server(&[name]).unwrap();
    let options = Options {
        latency: Duration::ZERO,
        tls: Some(leaf.server_config().unwrap()),
        ..Options::default()
    };
    let github = sandbox::GitHub::start(options).await.unwrap();
    (github, authority.certificate().to_owned())
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_told_with_its_issuer() {
    let mut table = Table::default();
    let (github, ca) = behind_tls("Doge Root CA", "127.0.0.1").await;
    let (other, other_ca) = behind_tls("Other CA", "ghe.dogecompany.com").await;
    for (name, github, bundle) in [
        ("no bundle", &github, None),
        ("a bundle with another authority", &github, Some(&other_ca)),
        ("a certificate for another name", &other, Some(&other_ca)),
        ("the right bundle", &github, Some(&ca)),
    ] {
        let bundle = bundle.map(String::as_str);
        let client = GitHub::new(Some(&github.url()), token(github.token()), bundle).unwrap();
        let result = client.audit(ENTERPRISE, Some("arc-admin")).await;
        table.row(name, &told(&result));
        // A certificate does not become valid by asking again.
        let asked = client.requests.snapshot().reads;
        assert_eq!(asked, if result.is_ok() { 4 } else { 1 }, "{name}");
    }
    // Whoever has no trusted certificate never sees the token.
    assert_eq!(other.requests(), 0);
    assert_eq!(github.violations(), Vec::<String>::new());
    table.compare("certificates");
}

#[tokio::test]
async fn what_is_no_github_is_told_as_that() {
    provider();
    let mut table = Table::default();
    let login = Canned::start(|_, _| page(200, "")).await;
    let blocked = Canned::start(|_, _| page(403, "")).await;
    let elsewhere = Canned::start(|_, _| json(200, "", "{}")).await;
    let target = format!("location: {}/login\r\n", elsewhere.url);
    let redirect = Canned::start(move |_, _| page(302, &target)).await;
    let renamed = Canned::start(|_, head| {
        if head.starts_with("GET /api/v3/meta ") {
            return json(200, "", r#"{"installed_version": "3.19.0"}"#);
        }
        if head.starts_with("GET /api/v3/user ") {
            return json(200, "", r#"{"login": "arc-admin", "type": "User"}"#);
        }
        json(307, "location: /api/v3/repositories/1/actions\r\n", "{}")
    })
    .await;
    let cut = Canned::start(|_, _| json(200, "", r#"{"installed_ver"#)).await;
    for (name, server) in [
        ("a login page", &login),
        ("a block page", &blocked),
        ("a redirect to another host", &redirect),
        ("a repository that was renamed", &renamed),
        ("an answer that is cut off", &cut),
    ] {
        let client = client(Server::of(Some(&server.url)), token("ghp_abcdefghijklmnop"));
        let result = client.audit(REPOSITORY, Some("arc-admin")).await;
        table.row(name, &told(&result));
    }
    assert_eq!(
        elsewhere.seen(),
        Vec::<String>::new(),
        "the token went there"
    );
    table.compare("no_github");
}

const TOKEN: &str = "ghp_abcdefghijklmnop";

/// A server that answers everything with a redirect to a second one, which takes down all it is sent.
#[tokio::test]
async fn no_redirect_takes_the_token_to_another_host() {
    provider();
    for status in [301, 302, 303, 307, 308] {
        for from in [0, 1, 2] {
            let elsewhere = Canned::start(|_, _| json(200, "", "{}")).await;
            let target = format!("location: {}/api/v3/user\r\n", elsewhere.url);
            let server = Canned::start(move |before, head| {
                if before >= from || head.starts_with("POST") {
                    return json(status, &target, "{}");
                }
                let body = r#"{"installed_version": "3.19.0", "login": "arc-admin", "total_count": 250, "runners": []}"#;
                json(200, "", body)
            })
            .await;
            let client = client(Server::of(Some(&server.url)), token(TOKEN));
            let results = [
                client
                    .audit(ORGANIZATION, Some("arc-admin"))
                    .await
                    .map(drop),
                client.runners(ORGANIZATION).await.map(drop),
                client.registration(ORGANIZATION).await,
                client.remove_runner(ORGANIZATION, 7).await.map(drop),
            ];
            for result in results {
                let error = result.unwrap_err();
                assert!(
                    error
                        .message
                        .contains("arcctl does not send the token there"),
                    "{error}"
                );
            }
            assert!(server.seen().iter().all(|it| it.contains(TOKEN)));
            assert_eq!(
                elsewhere.seen(),
                Vec::<String>::new(),
                "{status}: it was followed"
            );
        }
    }
}

#[tokio::test]
async fn nothing_there_is_told_and_tried_three_times() {
    provider();
    let gone = Canned::start(|_, _| String::new()).await.url.clone();
    let plain = Canned::start(|_, _| json(200, "", "{}")).await;
    let mut table = Table::default();
    let refused = client(Server::of(Some(&gone)), token("ghp_abcdefghijklmnop"));
    let result = refused.audit(ENTERPRISE, None).await;
    assert!(result.as_ref().is_err_and(|it| it.passing));
    assert_eq!(refused.requests.snapshot().reads, 3);
    table.row("nothing listens", &told(&result));
    let https = plain.url.replace("http://", "https://");
    let result = client(Server::of(Some(&https)), token("ghp_abcdefghijklmnop"))
        .audit(ENTERPRISE, None)
        .await;
    table.row("it speaks no TLS", &told(&result));
    table.compare("nothing_there");
}

#[tokio::test]
async fn a_server_that_fails_is_asked_again_and_then_told() {
    provider();
    let failing = Canned::start(|_, _| page(502, "x-github-request-id: 1234:12345678\r\n")).await;
    let one = client(
        Server::of(Some(&failing.url)),
        token("ghp_abcdefghijklmnop"),
    );
    let result = one.audit(ENTERPRISE, None).await;
    assert!(result.as_ref().is_err_and(|it| it.passing));
    assert_eq!(failing.seen().len(), 3);
    let mut table = Table::default();
    table.row("502, always", &told(&result));
    let cloud = Server {
        api: failing.url.clone(),
        web: "https://github.com".into(),
        product: Product::Cloud,
    };
    let result = client(cloud, token("ghp_abcdefghijklmnop"))
        .audit(ENTERPRISE, None)
        .await;
    table.row("502, always, github.com", &told(&result));
    table.compare("failing");
    let recovering = Canned::start(|before, _| match before {
        0 => page(503, ""),
        1 => String::new(),
        _ => json(201, "", "{}"),
    })
    .await;
    let client = client(
        Server::of(Some(&recovering.url)),
        token("ghp_abcdefghijklmnop"),
    );
    client.registration(ENTERPRISE).await.unwrap();
    assert_eq!(recovering.seen().len(), 3);
}
