//! Runner groups: the requests to GitHub, and the settings that block a pool's runners.

use arcctl::{
    clients::github::GroupAccess,
    profile::{Profile, load},
};
use arcctl_sandbox::github::Owner;

use super::*;

fn profile(scope: &str, pool: &str) -> Profile {
    let text = format!(
        "apiVersion: arcctl.dev/v1\nname: test\ncluster: {{context: c}}\ngithub: {{{scope}}}\npools:\n- {{name: a, min: 1, max: 1, image: \"summerwind/actions-runner:v2.336.0-ubuntu-22.04\", {pool}}}\n"
    );
    load(&text, "test")
        .unwrap_or_else(|it| panic!("{it:?}"))
        .profile
}

/// The workflow of `arcctl smoke`.
const SMOKE: &str = ".github/workflows/arcctl-smoke.yaml";

/// What a user reads of the groups.
async fn found(client: &GitHub, profile: &Profile) -> String {
    let findings = client.group_findings(profile).await.unwrap();
    match client.group_error(profile, &findings) {
        Some(error) => format!("exit {}: {error}", error.kind.exit_code()),
        None if findings.advice.is_empty() => "fine".into(),
        None => format!("advice: {}", findings.advice.join("\nadvice: ")),
    }
}

#[tokio::test]
async fn what_a_group_keeps_away_is_told_at_both_levels() {
    let mut table = Table::default();
    for (mode, owner, scope, admitted) in [
        (
            enterprise_server(),
            Owner::enterprise("dogecompany"),
            "enterprise: dogecompany",
            "dogecompany",
        ),
        (
            Mode::Cloud,
            Owner::organization("dogecompany"),
            "organization: dogecompany",
            "dogecompany/app",
        ),
    ] {
        let profile = profile(scope, "group: ci");
        let github = stand_in(mode.clone()).await;
        let ask = || async {
            // What was read serves for a while: each question here has a client of its own.
            let client = client(server(&github, &mode), token(github.token()));
            let found = found(&client, &profile).await;
            (found, client.requests.snapshot())
        };
        let mut row =
            |name: &str, (told, requests): (String, arcctl::clients::requests::Counts)| {
                table.row(&format!("{name}, {scope}"), &told);
                assert_eq!(requests.writes, 0);
                assert!(requests.reads <= 2, "{} requests", requests.reads);
            };
        row("a group that does not exist", ask().await);
        let id = github.add_group(&owner, "CI", Some(&[admitted]));
        row("a group that admits somebody", ask().await);
        github.update_group(id, |it| it.public = true);
        row("a group that is open to public repositories", ask().await);
        github.update_group(id, |it| {
            it.workflows = Some(vec![
                "dogecompany/app/.github/workflows/ci.yaml@main".into(),
            ]);
        });
        row("a group that is for one workflow", ask().await);
        github.update_group(id, |it| it.workflows = Some(Vec::new()));
        row("a group that is for no workflow", ask().await);
        github.update_group(id, |it| {
            (it.workflows, it.public, it.selected) = (None, false, Some(Vec::new()));
        });
        row("a group that admits nobody", ask().await);
        assert!(github.remove_group(id));
        row("a group that was removed", ask().await);
        assert_eq!(github.violations(), Vec::<String>::new());
    }
    table.compare("groups");
}

#[tokio::test]
async fn a_pool_without_a_group_and_a_repository_without_groups_are_fine() {
    for (scope, requests) in [
        ("organization: dogecompany", 1),
        ("repository: dogecompany/app", 0),
    ] {
        let github = stand_in(Mode::Cloud).await;
        let client = client(server(&github, &Mode::Cloud), token(github.token()));
        assert_eq!(found(&client, &profile(scope, "labels: [x]")).await, "fine");
        assert_eq!(found(&client, &profile(scope, "labels: [x]")).await, "fine");
        assert_eq!(client.requests.snapshot().reads, requests);
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_not_fine() {
    let github = stand_in(Mode::Cloud).await;
    let value = github.add_token(arcctl_sandbox::github::Token::classic(
        "arc-admin",
        &["repo"],
    ));
    let client = client(server(&github, &Mode::Cloud), token(&value));
    let profile = profile("organization: dogecompany", "group: ci");
    let error = client.group_findings(&profile).await.unwrap_err();
    assert_eq!(error.kind.exit_code(), 4);
}

#[tokio::test]
async fn a_group_that_the_enterprise_shares_is_not_taken_for_the_organizations_own() {
    let github = stand_in(Mode::Cloud).await;
    let (enterprise, organization) = (
        Owner::enterprise("dogecompany"),
        Owner::organization("dogecompany"),
    );
    let ask = async |pool: &str| {
        // What was read serves for a while: each question here has a client of its own.
        let client = client(server(&github, &Mode::Cloud), token(github.token()));
        found(&client, &profile("organization: dogecompany", pool)).await
    };
    let shared = github.add_group(&enterprise, "ci", None);
    let told = ask("group: ci").await;
    assert!(
        told.starts_with("advice: runner group `ci` is the enterprise's"),
        "{told}"
    );
    // The enterprise's groups are listed first, and nothing comes to their runners.
    let default = github.runner_group(&enterprise, "Default").unwrap();
    for id in [shared, default] {
        github.update_group(id, |it| it.workflows = Some(Vec::new()));
    }
    assert!(ask("group: ci").await.starts_with("exit 1: "));
    github.add_group(&organization, "ci", None);
    assert_eq!(ask("group: ci").await, "fine");
    assert_eq!(ask("labels: [x]").await, "fine");
    let client = client(server(&github, &Mode::Cloud), token(github.token()));
    let offered = client.named_groups(ORGANIZATION).await.unwrap();
    let offered: Vec<&str> = offered.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(offered, ["Default", "ci"]);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_group_for_private_repositories_takes_no_public_one() {
    let github = stand_in(Mode::Cloud).await;
    let id = github.add_group(&Owner::organization("dogecompany"), "ci", None);
    for (private, access) in [(false, GroupAccess::Admitted), (true, GroupAccess::Public)] {
        github.update_group(id, |it| (it.public, it.private) = (true, private));
        let client = client(server(&github, &Mode::Cloud), token(github.token()));
        let mut repository = client.repository("dogecompany/app").await.unwrap();
        repository.private = false;
        let found = client.group_access(ORGANIZATION, Some("ci"), &repository, SMOKE);
        assert_eq!(found.await.unwrap(), access);
        let profile = profile("organization: dogecompany", "group: ci");
        let advice = client.group_findings(&profile).await.unwrap().advice;
        assert_eq!(advice.is_empty(), private, "{advice:?}");
    }
}

#[tokio::test]
async fn a_group_for_workflows_is_compared_with_the_workflow() {
    let github = stand_in(Mode::Cloud).await;
    let client = client(server(&github, &Mode::Cloud), token(github.token()));
    let repository = client.repository("dogecompany/app").await.unwrap();
    let id = github.add_group(&Owner::organization("dogecompany"), "ci", None);
    let own = format!("DogeCompany/app/{SMOKE}@refs/heads/main");
    let other = "dogecompany/app/.github/workflows/ci.yaml@main".to_owned();
    let others = GroupAccess::OtherWorkflows(vec![other.clone()]);
    for (workflows, expected) in [
        (None, GroupAccess::Admitted),
        (Some(vec![other.clone()]), others),
        (Some(vec![other, own]), GroupAccess::Admitted),
    ] {
        github.update_group(id, |it| it.workflows = workflows);
        let found = client.group_access(ORGANIZATION, Some("ci"), &repository, SMOKE);
        assert_eq!(found.await.unwrap(), expected);
    }
}
