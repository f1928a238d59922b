//! Runner groups: the requests to GitHub, and the settings that block a pool's runners.

use arcctl::profile::{Profile, load};
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
