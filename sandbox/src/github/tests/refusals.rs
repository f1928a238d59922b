//! Tests of all of GitHub's error responses.

use serde_json::json;

use super::*;

#[tokio::test]
async fn bad_credentials_are_401() {
    let github = start().await;
    refused(
        &get_with(&github, "ghp_unknown").await,
        401,
        "Bad credentials",
    );
    let expired = github.add_token(Token::administrator().expired());
    refused(&get_with(&github, &expired).await, 401, "Bad credentials");
    assert_eq!(get(&github, "/user").await.status, 200);
    github.revoke(github.token());
    let answer = get(&github, "/user").await;
    refused(&answer, 401, "Bad credentials");
    assert_eq!(answer.header("x-oauth-scopes"), None);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn no_credentials_and_no_user_agent_are_refused() {
    let github = start().await;
    let url = format!("{}/user", github.api_url());
    let answer = send("GET", &url, &[("user-agent", "test")], "")
        .await
        .unwrap();
    refused(&answer, 401, "Requires authentication");
    let answer = send("GET", &url, &[], "").await.unwrap();
    assert_eq!(answer.status, 403);
    assert!(answer.message().contains("User-Agent"));
}

#[tokio::test]
async fn a_classic_token_without_the_scope_is_403() {
    let github = start().await;
    let token = github.add_token(Token::classic("arc-admin", &["repo"]));
    for prefix in [ENTERPRISE, ORGANIZATION] {
        let answer = registration(&github, &token, prefix).await;
        refused(&answer, 403, "Must have admin rights to Repository.");
        assert_eq!(answer.header("x-oauth-scopes"), Some("repo"));
    }
    let answer = registration(&github, &token, ENTERPRISE).await;
    let accepted = answer.header("x-accepted-oauth-scopes");
    assert_eq!(
        accepted,
        Some("admin:enterprise, manage_runners:enterprise")
    );
    assert_eq!(registration(&github, &token, REPOSITORY).await.status, 201);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn apps_and_fine_grained_tokens_cannot_manage_an_enterprise() {
    let github = start().await;
    let all = [
        ("administration", "write"),
        ("organization_self_hosted_runners", "write"),
    ];
    let fine = github.add_token(Token::fine_grained("arc-admin", &all));
    let app = github.add_token(Token::installation("arc", &all));
    let for_fine = "Resource not accessible by personal access token";
    let for_app = "Resource not accessible by integration";
    refused(
        &registration(&github, &fine, ENTERPRISE).await,
        403,
        for_fine,
    );
    refused(&registration(&github, &app, ENTERPRISE).await, 403, for_app);
    for token in [&fine, &app] {
        let answer = registration(&github, token, ORGANIZATION).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("x-oauth-scopes"), None);
        assert_eq!(registration(&github, token, REPOSITORY).await.status, 201);
    }
    let reader = [("organization_self_hosted_runners", "read")];
    let reader = github.add_token(Token::fine_grained("arc-admin", &reader));
    refused(
        &registration(&github, &reader, ORGANIZATION).await,
        403,
        for_fine,
    );
    let list = call(&github, &reader, "GET", &format!("{ORGANIZATION}/runners")).await;
    assert_eq!(list.status, 200);
    refused(&get_with(&github, &app).await, 403, for_app);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn single_sign_on_is_403_with_its_header() {
    let github = start().await;
    let token = Token::administrator().without_single_sign_on("DogeCompany");
    let token = github.add_token(token);
    let answer = registration(&github, &token, ORGANIZATION).await;
    assert_eq!(answer.status, 403);
    let header = answer.header("x-github-sso").unwrap();
    assert!(header.starts_with("required; url=https://github.com/orgs/dogecompany/sso?"));
    assert_eq!(registration(&github, &token, ENTERPRISE).await.status, 201);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_rate_limit_is_403_with_nothing_remaining() {
    let github = start().await;
    refused(
        &get(&github, "/rate_limit").await,
        404,
        "Rate limiting is not enabled.",
    );
    assert_eq!(
        get(&github, "/user").await.header("x-ratelimit-limit"),
        None
    );
    github.set_rate_limit(Some(RateLimit {
        remaining: 1,
        ..RateLimit::of(5000)
    }));
    let answer = get(&github, "/user").await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.header("x-ratelimit-remaining")
        ),
        (200, Some("0"))
    );
    let answer = get(&github, "/user").await;
    refused(&answer, 403, "API rate limit exceeded for user arc-admin.");
    assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
    assert!(answer.header("x-ratelimit-reset").is_some());
    let answer = get(&github, "/rate_limit").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["rate"]["used"]),
        (200, &json!(5000))
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_secondary_limit_says_when_to_come_again() {
    let github = start().await;
    github.set_secondary_limit(Some(Duration::from_secs(30)));
    let answer = get(&github, "/user").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (403, Some("30"))
    );
    assert!(answer.message().contains("secondary rate limit"));
    github.set_secondary_limit(None);
    assert_eq!(get(&github, "/user").await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_administered_look_the_same() {
    let github = start().await;
    let other = "/enterprises/other/actions";
    refused(
        &registration(&github, github.token(), other).await,
        404,
        "Not Found",
    );
    let owner = Owner::organization("dogecompany");
    let token = github.add_token(Token::administrator().administering([owner]));
    refused(
        &registration(&github, &token, ENTERPRISE).await,
        404,
        "Not Found",
    );
    assert_eq!(
        registration(&github, &token, ORGANIZATION).await.status,
        201
    );
    refused(
        &get(&github, &format!("{ENTERPRISE}/runners/7")).await,
        404,
        "Not Found",
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_told_whatever_is_asked_has_only_the_headers_that_the_original_has() {
    for told in Told::ALL {
        let github = start().await;
        github.set_refusing(Some(Refusing {
            told,
            path: "/user".to_owned(),
            after: 1,
            times: Some(1),
        }));
        assert_eq!(get(&github, "/user").await.status, 200, "{told:?}");
        let answer = get(&github, "/user").await;
        assert!(
            [403, 429, 503].contains(&answer.status.as_u16()),
            "{told:?}"
        );
        assert_eq!(answer.header("retry-after"), None, "{told:?}");
        assert_ne!(
            answer.header("x-ratelimit-remaining"),
            Some("0"),
            "{told:?}"
        );
        let of_github = answer.header("x-github-request-id").is_some();
        let bare = [
            Told::Empty,
            Told::Empty429,
            Told::Maintenance,
            Told::FirewallPage,
        ];
        assert_eq!(of_github, !bare.contains(&told), "{told:?}");
        assert_eq!(get(&github, "/user").await.status, 200, "{told:?}");
        assert_eq!(github.violations(), Vec::<String>::new(), "{told:?}");
    }
}
