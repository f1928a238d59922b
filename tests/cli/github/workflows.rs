//! Dispatching and following a workflow: the message for each rejection, and the runners that may run the job.

use arcctl::clients::github::{GroupAccess, Removed};
use arcctl_sandbox::github::{Owner, Token};
use serde_json::{Value, json as value};

use super::{
    canned::{Canned, json, page},
    *,
};

const REPOSITORY: &str = "dogecompany/app";
const FILE: &str = "smoke.yaml";
const WORKFLOW: &str = "run-name: smoke ${{ inputs.nonce }}\n\
    on: {workflow_dispatch: {inputs: {nonce: {required: true}}}}\n\
    jobs: {one: {runs-on: self-hosted, steps: []}}\n";

fn with_token(github: &sandbox::GitHub, added: Token) -> GitHub {
    let value = github.add_token(added);
    client(server(github, &enterprise_server()), token(&value))
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
    told(&result.map(|it| panic!("{it:?}")))
}

#[tokio::test]
async fn each_refusal_of_a_dispatch_has_its_message() {
    let github = stand_in(enterprise_server()).await;
    let good = client(server(&github, &enterprise_server()), token(github.token()));
    let inputs = value!({"nonce": "1"});
    let mut table = Table::default();

    let unscoped = with_token(
        &github,
        Token::classic("arc-admin", &["manage_runners:enterprise"]),
    );
    table.row(
        "a private repository, without the scope",
        &refusal(unscoped.repository(REPOSITORY).await),
    );
    let dispatched = unscoped.dispatch(REPOSITORY, FILE, "main", &inputs).await;
    table.row("a dispatch, without the scope", &refusal(dispatched));
    let other = with_token(
        &github,
        Token::fine_grained("arc-admin", &[("administration", "write")]),
    );
    let dispatched = other.dispatch(REPOSITORY, FILE, "main", &inputs).await;
    table.row("a dispatch, without the permission", &refusal(dispatched));
    table.row(
        "no such repository",
        &refusal(good.repository("dogecompany/none").await),
    );
    let dispatched = good.dispatch(REPOSITORY, FILE, "main", &inputs).await;
    table.row("no such workflow", &refusal(dispatched));

    github
        .commit(REPOSITORY, FILE, "on: push\njobs: {}")
        .unwrap();
    let dispatched = good.dispatch(REPOSITORY, FILE, "main", &inputs).await;
    table.row("no trigger", &refusal(dispatched));
    github.commit(REPOSITORY, FILE, WORKFLOW).unwrap();
    let dispatched = good
        .dispatch(REPOSITORY, FILE, "main", &value!({"other": "1"}))
        .await;
    table.row("other inputs", &refusal(dispatched));
    let dispatched = good.dispatch(REPOSITORY, FILE, "none", &inputs).await;
    table.row("no such branch", &refusal(dispatched));
    table.row("no such run", &refusal(good.run(REPOSITORY, 7).await));

    good.dispatch(REPOSITORY, FILE, "main", &inputs)
        .await
        .unwrap();
    let run = good.dispatched_runs(REPOSITORY).await.unwrap().remove(0);
    assert_eq!(run.display_title, "smoke 1");
    assert_eq!(
        good.jobs(REPOSITORY, run.id).await.unwrap()[0].status,
        "queued"
    );
    good.cancel(REPOSITORY, run.id).await.unwrap();
    good.cancel(REPOSITORY, run.id).await.unwrap();
    let run = good.run(REPOSITORY, run.id).await.unwrap();
    assert_eq!(run.conclusion.as_deref(), Some("cancelled"));
    assert_eq!(github.violations(), Vec::<String>::new());
    table.compare("dispatches");
}

/// What says by status or header what it is, whatever was asked for.
#[tokio::test]
async fn a_refusal_that_is_about_the_token_or_the_server_is_told_as_that() {
    provider();
    let rows: [(&str, u16, &'static str); 10] = [
        ("401", 401, ""),
        (
            "401 of a token that has ended",
            401,
            "github-authentication-token-expiration: 2026-01-02 03:04:05 UTC\r\n",
        ),
        (
            "403 of single sign-on",
            403,
            "x-github-sso: required; url=https://github.example/sso\r\n",
        ),
        ("403 with the scope", 403, "x-oauth-scopes: repo\r\n"),
        (
            "403 with nothing remaining",
            403,
            "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 4102444800\r\n",
        ),
        ("429 with a pause", 429, "retry-after: 600\r\n"),
        (
            "301 to another name",
            301,
            "location: /api/v3/repositories/1\r\n",
        ),
        (
            "302 to another host",
            302,
            "location: https://login.example/start\r\n",
        ),
        ("502", 502, ""),
        ("418", 418, ""),
    ];
    let mut table = Table::default();
    for (name, status, headers) in rows {
        let canned = Canned::start(move |_, _| json(status, headers, "{}")).await;
        let client = client(Server::of(Some(&canned.url)), token("ghp_abcdefghijklmnop"));
        let read = refusal(client.run(REPOSITORY, 7).await);
        let inputs = value!({"nonce": "1"});
        let written = refusal(client.dispatch(REPOSITORY, FILE, "main", &inputs).await);
        let host = canned.url.trim_start_matches("http://").to_owned();
        assert_eq!(read, written, "{name}");
        table.row(name, &read.replace(&host, "HOST"));
    }
    table.compare("workflow_refusals");
}

#[tokio::test]
async fn a_runner_that_is_busy_stays_and_one_that_is_gone_is_removed() {
    provider();
    for (status, kind, expected) in [
        (204, "json", Some(Removed::Done)),
        (404, "json", Some(Removed::Done)),
        (422, "json", Some(Removed::Busy)),
        (403, "json", None),
        // A proxy's page is no word of GitHub's.
        (404, "html", None),
    ] {
        let canned = Canned::start(move |_, _| match kind {
            "json" => json(status, "", r#"{"message": "no"}"#),
            _ => page(status, ""),
        })
        .await;
        let client = client(Server::of(Some(&canned.url)), token("ghp_abcdefghijklmnop"));
        let removed = client.remove_runner(ENTERPRISE, 7).await;
        assert_eq!(removed.ok(), expected, "{status} {kind}");
    }
}

#[tokio::test]
async fn a_disabled_workflow_is_told_by_its_state() {
    provider();
    let canned = Canned::start(|_, head| match head.split(' ').next() {
        Some("POST") => json(422, "", r#"{"message": "no"}"#),
        _ => json(200, "", r#"{"state": "disabled_inactivity"}"#),
    })
    .await;
    let client = client(Server::of(Some(&canned.url)), token("ghp_abcdefghijklmnop"));
    let inputs = Value::Null;
    let error = client
        .dispatch(REPOSITORY, FILE, "main", &inputs)
        .await
        .unwrap_err();
    assert!(error.message.ends_with("is disabled"), "{error}");
}

#[tokio::test]
async fn a_dispatch_is_never_made_twice() {
    provider();
    let canned = Canned::start(|_, _| json(502, "", "{}")).await;
    let client = client(Server::of(Some(&canned.url)), token("ghp_abcdefghijklmnop"));
    let inputs = Value::Null;
    let error = client
        .dispatch(REPOSITORY, FILE, "main", &inputs)
        .await
        .unwrap_err();
    assert!(error.passing);
    assert_eq!(canned.seen().len(), 1);
}

#[tokio::test]
async fn a_group_says_whose_jobs_its_runners_take() {
    let github = stand_in(enterprise_server()).await;
    let client = client(server(&github, &enterprise_server()), token(github.token()));
    let repository = client.repository(REPOSITORY).await.unwrap();
    let owner = Owner::enterprise("dogecompany");
    github.add_group(&owner, "ours", Some(&["dogecompany"]));
    github.add_group(&owner, "theirs", Some(&["others"]));
    let organization = Owner::organization("dogecompany");
    github.add_group(&organization, "apps", Some(&["DogeCompany/App"]));
    github.add_group(&organization, "tools", Some(&["dogecompany/tools"]));
    for (scope, group, expected) in [
        (ENTERPRISE, None, GroupAccess::Admitted),
        (ENTERPRISE, Some("Ours"), GroupAccess::Admitted),
        (
            ENTERPRISE,
            Some("theirs"),
            GroupAccess::NotSelected("organization `dogecompany`".into()),
        ),
        (ENTERPRISE, Some("gone"), GroupAccess::NoGroup),
        (ORGANIZATION, Some("apps"), GroupAccess::Admitted),
        (
            ORGANIZATION,
            Some("tools"),
            GroupAccess::NotSelected("repository `dogecompany/app`".into()),
        ),
        (REPOSITORY_SCOPE, Some("gone"), GroupAccess::Admitted),
    ] {
        let access = client
            .group_access(scope, group, &repository, FILE)
            .await
            .unwrap();
        assert_eq!(access, expected, "{scope:?} {group:?}");
    }
    let mut public = repository;
    public.private = false;
    let access = client
        .group_access(ENTERPRISE, None, &public, FILE)
        .await
        .unwrap();
    assert_eq!(access, GroupAccess::Public);
    assert_eq!(github.violations(), Vec::<String>::new());
}

const REPOSITORY_SCOPE: Scope<'_> = super::REPOSITORY;
