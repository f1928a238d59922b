//! Dispatching and following a workflow: what each refusal is told as, and who may take the job.

use arcctl::clients::github::GroupAccess;
use arcctl_sandbox::github::{Owner, Token};
use serde_json::{Value, json as value};

use super::{
    canned::{Canned, json},
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
        (ENTERPRISE, Some("theirs"), GroupAccess::NotSelected),
        (ENTERPRISE, Some("gone"), GroupAccess::NoGroup),
        (ORGANIZATION, Some("apps"), GroupAccess::Admitted),
        (ORGANIZATION, Some("tools"), GroupAccess::NotSelected),
        (REPOSITORY_SCOPE, Some("gone"), GroupAccess::Admitted),
    ] {
        let access = client
            .group_access(scope, group, &repository)
            .await
            .unwrap();
        assert_eq!(access, expected, "{scope:?} {group:?}");
    }
    let mut public = repository;
    public.private = false;
    let access = client
        .group_access(ENTERPRISE, None, &public)
        .await
        .unwrap();
    assert_eq!(access, GroupAccess::Public);
    assert_eq!(github.violations(), Vec::<String>::new());
}

const REPOSITORY_SCOPE: Scope<'_> = super::REPOSITORY;
