//! The client's requests: their number, and the pauses that GitHub requests.

use std::time::Instant;

use super::{
    canned::{Canned, json},
    *,
};

#[tokio::test]
async fn a_short_pause_is_kept_and_a_long_one_is_told() {
    provider();
    for status in [403, 429] {
        let busy = Canned::start(move |before, _| match before {
            0 => json(status, "retry-after: 1\r\n", r#"{"message": "slow down"}"#),
            _ => json(201, "", "{}"),
        })
        .await;
        let client = client(Server::of(Some(&busy.url)), token("ghp_abcdefghijklmnop"));
        let begin = Instant::now();
        client.registration(ORGANIZATION).await.unwrap();
        assert!(begin.elapsed() >= Duration::from_secs(1));
        assert_eq!(busy.seen().len(), 2);
    }
    let busier = Canned::start(|_, _| json(429, "", r#"{"message": "slow down"}"#)).await;
    let client = client(Server::of(Some(&busier.url)), token("ghp_abcdefghijklmnop"));
    let error = client.registration(ORGANIZATION).await.unwrap_err();
    assert_eq!(busier.seen().len(), 1);
    assert!(error.passing);
    assert_eq!(error.kind.exit_code(), 1);
    let mut table = Table::default();
    table.row("429 without a time", &format!("{error}"));
    table.compare("pauses");
}

#[tokio::test]
async fn an_expired_token_is_told_by_the_header() {
    provider();
    let header = "github-authentication-token-expiration: 2026-01-02 03:04:05 UTC\r\n";
    let canned =
        Canned::start(move |_, _| json(401, header, r#"{"message": "Bad credentials"}"#)).await;
    let client = client(Server::of(Some(&canned.url)), token("ghp_abcdefghijklmnop"));
    let result = client.audit(ENTERPRISE, None).await;
    let mut table = Table::default();
    table.row("401, and the end is past", &told(&result));
    table.compare("expired");
}

#[tokio::test]
async fn an_audit_is_four_calls_and_three_at_github_com() {
    for (mode, calls) in [(enterprise_server(), 4), (Mode::Cloud, 3)] {
        let github = stand_in(mode.clone()).await;
        github.set_rate_limit(Some(sandbox::RateLimit::of(5000)));
        let client = client(server(&github, &mode), token(github.token()));
        let audit = client.audit(ENTERPRISE, Some("Arc-Admin")).await.unwrap();
        assert_eq!(audit.advice, Vec::<String>::new());
        assert!(audit.remaining.is_some_and(|it| it > 4990));
        assert_eq!(github.requests(), calls);
        assert_eq!(client.requests.snapshot().writes, 0);
        assert_eq!(github.violations(), Vec::<String>::new());
    }
}
