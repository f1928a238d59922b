//! The plan as a reviewer reads it: grouped, with what things are and the values that matter of what is created.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot start the program has failed"
)]

use crate::repository::{command, empty, root, shown, stdout};

fn plan(profile: &str, more: &[&str]) -> String {
    let profile = shown(&root().join(profile));
    let directory = empty();
    stdout(
        directory.path(),
        &[&["plan", "--offline", "-f", &profile], more].concat(),
        0,
    )
}

#[test]
fn the_plan_of_each_shipped_profile_is_as_reviewed() {
    for name in ["reference", "organization-app", "repository"] {
        let text = plan(&format!("profiles/{name}.yaml"), &[]);
        insta::assert_snapshot!(format!("plan_{name}"), text);
    }
}

#[test]
fn with_v_everything_that_is_created_is_shown() {
    let (short, long) = (
        plan("profiles/reference.yaml", &[]),
        plan("profiles/reference.yaml", &["-v"]),
    );
    for whole in [
        "terminationGracePeriodSeconds: 110",
        "sts:AssumeRoleWithWebIdentity",
        "scaleTargetRef:",
    ] {
        assert!(long.contains(whole), "{whole} is not in {long}");
        assert!(!short.contains(whole), "{whole} is in {short}");
    }
    // The credential is named by its place.
    assert!(
        short.contains("github_token  (from env ARCCTL_GITHUB_TOKEN)"),
        "{short}"
    );
}

/// Colors mark the actions, and words say them too.
#[test]
fn an_action_has_a_sign_a_word_and_a_color() {
    let text = plan("profiles/repository.yaml", &["--color", "always"]);
    assert!(
        text.contains("\u{1b}[32m+ create\u{1b}[0m  namespace/-/cert-manager"),
        "{text:?}"
    );
    let plain = plan("profiles/repository.yaml", &[]);
    assert!(
        plain.contains("  + create  namespace/-/cert-manager\n"),
        "{plain}"
    );
    assert!(
        plain.contains("  ? later   registration/github/website"),
        "{plain}"
    );
}

#[test]
fn the_groups_stand_in_the_order_of_the_run() {
    let text = plan("profiles/reference.yaml", &[]);
    let groups: Vec<&str> = text
        .lines()
        .filter(|it| !it.starts_with(' ') && !it.starts_with("Plan:"))
        .collect();
    assert_eq!(
        groups,
        ["cert-manager", "controller", "runners", "AWS", "pool basic"]
    );
    let directory = empty();
    let refused = command(directory.path(), &["plan", "--offline"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(65));
}
