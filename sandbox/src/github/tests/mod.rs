//! Tests of the stand-in over HTTP.

mod apps;
mod operations;
mod refusals;
mod server;

use serde_json::Value;

use super::*;
use crate::test_client::{Answer, send};

const ENTERPRISE: &str = "/enterprises/dogecompany/actions";
const ORGANIZATION: &str = "/orgs/dogecompany/actions";
const REPOSITORY: &str = "/repos/dogecompany/app/actions";

async fn call(github: &GitHub, token: &str, method: &str, path: &str) -> Answer {
    let url = format!("{}{path}", github.api_url());
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("user-agent", "test")];
    send(method, &url, &headers, "").await.unwrap()
}

async fn get(github: &GitHub, path: &str) -> Answer {
    call(github, github.token(), "GET", path).await
}

async fn registration(github: &GitHub, token: &str, prefix: &str) -> Answer {
    call(
        github,
        token,
        "POST",
        &format!("{prefix}/runners/registration-token"),
    )
    .await
}

async fn sandbox(github: &GitHub, method: &str, path: &str, body: &Value) -> Answer {
    let url = format!("{}/_sandbox{path}", github.url());
    send(method, &url, &[], &body.to_string()).await.unwrap()
}

async fn start() -> GitHub {
    GitHub::start(Options::default()).await.unwrap()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!(
        (answer.status.as_u16(), answer.message().as_str()),
        (status, message)
    );
    assert!(answer.header("x-github-request-id").is_some());
}

async fn get_with(github: &GitHub, token: &str) -> Answer {
    call(github, token, "GET", "/user").await
}
