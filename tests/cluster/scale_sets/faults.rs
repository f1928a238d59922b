//! What breaks a scale set: `doctor` names it, and the commands of its finding mend it.

use serde_json::Value;

use super::*;
use crate::{
    doctor::{
        cases::Elsewhere,
        check,
        fixes::{commands, follow},
    },
    harness::waiting::until,
};

/// What `doctor` finds about the scale sets.
pub(super) fn doctor(cluster: &Cluster, profile: &std::path::Path) -> Value {
    let file = profile.to_str().unwrap();
    let arguments = ["doctor", "-f", file, "-o", "json", "--only", "scale-sets"];
    cluster.arcctl(&arguments).document()
}

/// The check is broken; its printed fix is followed, and all checks of the scale sets hold again.
fn mended(cluster: &Cluster, profile: &std::path::Path, broken: Elsewhere) {
    let id = broken.id();
    let mut fix = String::new();
    until(&format!("{id} is broken"), || {
        let document = doctor(cluster, profile);
        let found = check(&document, id);
        found["fix"]
            .as_str()
            .unwrap_or_default()
            .clone_into(&mut fix);
        found["verdict"] == "broken"
    });
    let all = commands(&fix);
    assert!(!all.is_empty(), "{id} names no command: {fix}");
    // Where a fix has two ways, the last one is that for a cause which the first does not mend.
    let last = all.last().unwrap();
    if let Some(ended) = follow(cluster, profile, last) {
        assert_eq!(ended.code, 0, "{last}: {}", ended.stderr);
    }
    until(&format!("after {id} all is well"), || {
        let document = doctor(cluster, profile);
        let checks = document["checks"].as_array().unwrap();
        checks.iter().all(|it| it["verdict"] == "holds")
    });
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_breaks_a_scale_set_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = both(&cluster, "arcctl", &[]);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);

    let deployment = "deployment/arc-gha-rs-controller";
    cluster.kubectl(&["-n", SYSTEM, "delete", deployment], None);
    mended(&cluster, &profile, Elsewhere::ScaleSetControllerRuns);

    cluster.kubectl(&["-n", RUNNERS, "delete", "secret", "arcctl-github"], None);
    mended(&cluster, &profile, Elsewhere::ScaleSetSecret);

    let outdated = r#"{"status": {"phase": "Outdated"}}"#;
    let set = ["-n", RUNNERS, "patch", "autoscalingrunnerset", "fast"];
    let status = ["--subresource=status", "--type=merge", "-p", outdated];
    cluster.kubectl(&[&set[..], &status].concat(), None);
    mended(&cluster, &profile, Elsewhere::ScaleSetNotOutdated);

    assert!(
        cluster
            .world()
            .github()
            .remove_scale_set(at_github(&cluster)[0])
    );
    mended(&cluster, &profile, Elsewhere::ScaleSetRegistered);
    cluster.finish();
}

/// GitHub sets labels when a scale set is made, and never again.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_label_that_left_the_profile_is_told_until_the_scale_set_is_made_anew() {
    let cluster = Cluster::fast();
    let profile = both(&cluster, "arcctl", &[]);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);

    let without = both(&cluster, "without", &[("    labels: [gpu]\n", "")]);
    let ended = cluster.up(&without, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let told = "still has `gpu`";
    let file = without.to_str().unwrap();
    let plan = || cluster.arcctl(&["plan", "-f", file]).stdout;
    assert!(plan().contains(told), "{}", plan());
    let document = doctor(&cluster, &without);
    let found = check(&document, Elsewhere::ScaleSetLabels.id());
    assert_eq!(found["verdict"], "broken", "{found:#}");

    let delete = ["-n", RUNNERS, "delete", "autoscalingrunnerset", "fast"];
    cluster.kubectl(&delete, None);
    let ended = cluster.up(&without, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert!(!plan().contains(told), "{}", plan());
    cluster.finish();
}
