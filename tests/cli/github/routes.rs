//! Every operation of the client, at each level, on a GitHub Enterprise Server and on github.com: its path and parameters
//! are in GitHub's own descriptions of all supported versions.

use std::collections::{BTreeMap, BTreeSet};

use arcctl::clients::github::GroupAccess;
use arcctl_sandbox::{
    github::{NewRunner, Owner},
    proxy::{self, Proxy, Record, System},
};
use serde::Deserialize;
use serde_json::json as value;

use super::*;

const REPOSITORY_NAME: &str = "dogecompany/app";
const FILE: &str = "smoke.yaml";
const WORKFLOW: &str = "on: {workflow_dispatch: {inputs: {nonce: {required: true}}}}\n\
    jobs: {one: {runs-on: self-hosted, steps: []}}\n";

/// `tests/data/github-routes.json`: of each operation that arcctl calls, which editions lack it, and the parameters, the keys of
/// the body and the statuses of success that all the others have. Read from GitHub's descriptions of GitHub Enterprise Server
/// 3.8 to 3.19, github.com (`api.github.com`) and github.com with an enterprise (`ghec`): npm package @octokit/openapi, versions
/// 14.0.0, 19.0.0 and 23.0.2.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    editions: Vec<String>,
    operations: BTreeMap<String, Operation>,
}

/// An operation, and what all editions that have it say of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    lacking: Vec<String>,
    query: BTreeSet<String>,
    body: BTreeSet<String>,
    status: BTreeSet<String>,
}

impl Described {
    /// The operation of a request; a literal part of a path comes before a parameter.
    fn find(&self, method: &str, path: &str) -> Option<(&String, &Operation)> {
        let fits = |template: &str| {
            let (parts, given) = (template.split('/'), path.split('/'));
            parts.clone().count() == given.clone().count()
                && parts
                    .zip(given)
                    .all(|(part, it)| part.starts_with('{') || part == it)
        };
        self.operations
            .iter()
            .filter(|(name, _)| {
                name.split_once(' ')
                    .is_some_and(|(of, template)| of == method && fits(template))
            })
            .min_by_key(|(name, _)| name.matches('{').count())
    }

    /// The editions that a request may go to: an enterprise at github.com has a description of its own.
    fn editions(&self, mode: &Mode, path: &str) -> BTreeSet<&str> {
        let server = matches!(mode, Mode::EnterpriseServer(_));
        let editions = self.editions.iter().map(String::as_str);
        editions
            .filter(|it| it.starts_with("ghes-") == server)
            .filter(|it| *it != "api.github.com" || !path.starts_with("/enterprises/"))
            .collect()
    }
}

/// Makes every call there is, through a proxy that writes them down.
async fn all_calls(mode: &Mode) -> Vec<Record> {
    let github = stand_in(mode.clone()).await;
    app::install(&github, &app::GOOD);
    github.commit(REPOSITORY_NAME, FILE, WORKFLOW).unwrap();
    let proxy = Proxy::start(&github.url(), proxy::Options::plain(System::GitHub))
        .await
        .unwrap();
    let server = Server {
        api: github.api_url().replace(&github.url(), &proxy.url()),
        ..server(&github, mode)
    };
    let client = client(server.clone(), token(github.token()));
    let identity = client.identity().await.unwrap();
    assert_eq!(identity.organizations.unwrap(), ["dogecompany"]);
    let repository = client.repository(REPOSITORY_NAME).await.unwrap();
    for (scope, owner, selected) in [
        (ENTERPRISE, Owner::enterprise("dogecompany"), "dogecompany"),
        (
            ORGANIZATION,
            Owner::organization("dogecompany"),
            REPOSITORY_NAME,
        ),
        (REPOSITORY, Owner::repository("dogecompany", "app"), ""),
    ] {
        client.audit(scope, None).await.unwrap();
        let runner = NewRunner {
            name: "a".into(),
            labels: Vec::new(),
            group: None,
            ephemeral: true,
            version: None,
        };
        let id = github.add_runner(&owner, runner).unwrap();
        assert_eq!(client.runners(scope).await.unwrap().len(), 1);
        assert!(client.offered_runner(scope).await.unwrap().is_some());
        client.remove_runner(scope, id).await.unwrap();
        if !selected.is_empty() {
            github.add_group(&owner, "ci", Some(&[selected]));
        }
        let access = client
            .group_access(scope, Some("ci"), &repository, FILE)
            .await;
        assert_eq!(access.unwrap(), GroupAccess::Admitted);
    }
    // What is not there is looked for, so that the message is right.
    for scope in [Scope::Organization("none"), Scope::Repository("none/none")] {
        client.registration(scope).await.unwrap_err();
    }
    workflows(&client).await;
    for installation in ["77", "78"] {
        let app = super::client(server.clone(), app::credential("123", installation));
        let audit = app.audit(ORGANIZATION, None).await;
        assert_eq!(audit.is_ok(), installation == "77");
    }
    assert_eq!(github.violations(), Vec::<String>::new());
    proxy.requests()
}

async fn workflows(client: &GitHub) {
    let dispatch = |inputs| async move {
        client
            .dispatch(REPOSITORY_NAME, FILE, "main", &inputs)
            .await
    };
    dispatch(value!({"other": "1"})).await.unwrap_err();
    dispatch(value!({"nonce": "1"})).await.unwrap();
    let run = client
        .dispatched_runs(REPOSITORY_NAME)
        .await
        .unwrap()
        .remove(0);
    client.run(REPOSITORY_NAME, run.id).await.unwrap();
    client.jobs(REPOSITORY_NAME, run.id).await.unwrap();
    client.cancel(REPOSITORY_NAME, run.id).await.unwrap();
}

#[tokio::test]
async fn every_call_is_in_githubs_descriptions_of_all_versions_and_every_one_is_made() {
    let text = include_str!("../../data/github-routes.json");
    let described: Described = serde_json::from_str(text).unwrap();
    let mut called = BTreeSet::new();
    for mode in [
        Mode::EnterpriseServer("3.9.0".into()),
        enterprise_server(),
        Mode::Cloud,
    ] {
        let prefix = match mode {
            Mode::EnterpriseServer(_) => "/api/v3",
            Mode::Cloud => "",
        };
        for record in all_calls(&mode).await {
            let path = record.path.strip_prefix(prefix).unwrap();
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let what = format!("{mode:?}: {} {}", record.method, record.path);
            let (name, operation) = described
                .find(&record.method, path)
                .unwrap_or_else(|| panic!("not described: {what}"));
            let lacking: BTreeSet<&str> = operation.lacking.iter().map(String::as_str).collect();
            let editions = described.editions(&mode, path);
            assert!(
                !editions.is_empty() && editions.is_disjoint(&lacking),
                "{what}"
            );
            for parameter in query.split('&').filter(|it| !it.is_empty()) {
                let key = parameter.split('=').next().unwrap();
                assert!(operation.query.contains(key), "`{key}` is unknown: {what}");
            }
            let status = record.status.unwrap();
            if status < 300 {
                assert!(
                    operation.status.contains(&status.to_string()),
                    "{status}: {what}"
                );
            }
            called.insert(name.clone());
        }
    }
    let all: BTreeSet<String> = described.operations.keys().cloned().collect();
    assert_eq!(called, all, "described, and never called");
    let dispatch = &described.operations["POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches"];
    assert!(
        ["inputs", "ref"]
            .iter()
            .all(|it| dispatch.body.contains(*it))
    );
}
