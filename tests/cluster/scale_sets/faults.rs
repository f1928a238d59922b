//! What breaks a scale set: `doctor` names it, and the commands of its finding mend it.

#![expect(clippy::print_stderr, reason = "a failure shows what was not well")]

use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::{
    doctor::{
        cases::Elsewhere,
        check,
        fixes::{commands, follow},
    },
    harness::waiting::{pod, until},
};

/// What `doctor` finds about the scale sets.
pub(super) fn doctor(cluster: &Cluster, profile: &Path) -> Value {
    let file = profile.to_str().unwrap();
    let arguments = ["doctor", "-f", file, "-o", "json", "--only", "scale-sets"];
    cluster.arcctl(&arguments).document()
}

/// Waits until the check is broken; its fix.
fn broken(cluster: &Cluster, profile: &Path, broken: Elsewhere) -> String {
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
    fix
}

/// Runs the last command of a fix. Where it has two ways, that is the one for a cause which the first does not mend.
fn followed(cluster: &Cluster, profile: &Path, fix: &str) {
    let all = commands(fix);
    let last = all
        .last()
        .unwrap_or_else(|| panic!("it names no command: {fix}"));
    if let Some(ended) = follow(cluster, profile, last) {
        assert_eq!(ended.code, 0, "{last}: {}", ended.stderr);
    }
}

/// Waits until all checks of the scale sets hold.
fn all_is_well(cluster: &Cluster, profile: &Path, after: Elsewhere) {
    until(&format!("after {} all is well", after.id()), || {
        let document = doctor(cluster, profile);
        let checks = document["checks"].as_array().unwrap();
        let mut open = checks.iter().filter(|it| it["verdict"] != "holds");
        let first = open.next();
        if let Some(it) = first {
            eprintln!("{}: {}: {}", it["id"], it["verdict"], it["evidence"]);
        }
        first.is_none()
    });
}

/// The check is broken; its printed fix is followed, and all checks of the scale sets hold again.
fn mended(cluster: &Cluster, profile: &Path, id: Elsewhere) {
    let fix = broken(cluster, profile, id);
    followed(cluster, profile, &fix);
    all_is_well(cluster, profile, id);
}

/// The check is broken, and its fix asks for something in these words: it is done.
fn asked(cluster: &Cluster, profile: &Path, id: Elsewhere, words: &str, done: impl FnOnce(&str)) {
    let fix = broken(cluster, profile, id);
    assert!(fix.contains(words), "{}: {fix}", id.id());
    done(&fix);
    all_is_well(cluster, profile, id);
}

fn kubectl(cluster: &Cluster, line: &str) -> String {
    cluster.kubectl(&line.split(' ').collect::<Vec<_>>(), None)
}

/// Scales the controller of the scale sets, and waits for it.
fn scale_controller(cluster: &Cluster, replicas: u32) {
    let deployment = "deployment/arc-gha-rs-controller";
    kubectl(
        cluster,
        &format!("-n {SYSTEM} scale {deployment} --replicas={replicas}"),
    );
    if replicas == 0 {
        let label = "app.kubernetes.io/part-of=gha-rs-controller";
        let pods = format!("-n {SYSTEM} get pods -l {label} -o name");
        until("its pods are gone", || kubectl(cluster, &pods).is_empty());
    } else {
        kubectl(
            cluster,
            &format!("-n {SYSTEM} rollout status {deployment} --timeout=5m"),
        );
    }
}

/// Removes the scale set at GitHub, and has the controller register it anew.
fn registered_anew(cluster: &Cluster) {
    let github = cluster.world().github();
    assert!(github.remove_scale_set(at_github(cluster)[0]));
    kubectl(
        cluster,
        &format!("-n {RUNNERS} annotate autoscalingrunnerset fast runner-scale-set-id-"),
    );
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_breaks_a_scale_set_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);

    let deployment = "deployment/arc-gha-rs-controller";
    kubectl(&cluster, &format!("-n {SYSTEM} delete {deployment}"));
    mended(&cluster, &profile, Elsewhere::ScaleSetControllerRuns);

    kubectl(
        &cluster,
        &format!("-n {RUNNERS} delete secret arcctl-github"),
    );
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

    // As after a manifest of another version was applied over the chart's.
    let version = "app.kubernetes.io/version=0.13.1";
    kubectl(
        &cluster,
        &format!("-n {SYSTEM} label --overwrite {deployment} {version}"),
    );
    mended(&cluster, &profile, Elsewhere::ScaleSetVersions);
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

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_is_wrong_at_github_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    let github = cluster.world().github();

    // The server drops the labels, as without its feature flag.
    github.keep_scale_set_labels(false);
    registered_anew(&cluster);
    let words = "delete the AutoscalingRunnerSet with kubectl";
    asked(
        &cluster,
        &profile,
        Elsewhere::ScaleSetLabels,
        words,
        |fix| {
            github.keep_scale_set_labels(true);
            kubectl(
                &cluster,
                &format!("-n {RUNNERS} delete autoscalingrunnerset fast"),
            );
            followed(&cluster, &profile, fix);
        },
    );

    // Somebody deleted the scale set, and another cluster took its name.
    assert!(github.remove_scale_set(at_github(&cluster)[0]));
    let other = github.add_scale_set(&owner(), "fast", &["fast"]).unwrap();
    let words = "delete it at GitHub";
    asked(
        &cluster,
        &profile,
        Elsewhere::ScaleSetKnownHere,
        words,
        |_| {
            assert!(github.remove_scale_set(other));
            mended(&cluster, &profile, Elsewhere::ScaleSetRegistered);
        },
    );

    // It takes the session, and while the controller is away nobody starts the listener again.
    scale_controller(&cluster, 0);
    let id = at_github(&cluster)[0];
    github.evict_listener(id);
    assert!(github.listen_to(id, "another-cluster"));
    let words = "another listener has the session: wait some minutes";
    let session = Elsewhere::ScaleSetSession;
    asked(&cluster, &profile, session, words, |_| {
        scale_controller(&cluster, 1);
    });
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_breaks_a_listener_or_a_runner_is_mended_by_what_its_finding_says() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    let bare = |namespace: &str| cluster.judged(&pod(namespace, &json!({})));

    // No pod of a listener is admitted.
    kubectl(
        &cluster,
        &format!("-n {SYSTEM} create quota none --hard=pods=0"),
    );
    until("the quota is in force", || bare(SYSTEM).is_err());
    let label = "app.kubernetes.io/component=runner-scale-set-listener";
    kubectl(&cluster, &format!("-n {SYSTEM} delete pods -l {label}"));
    let words = "its log has the reason";
    let listener = Elsewhere::ScaleSetListener;
    asked(&cluster, &profile, listener, words, |_| {
        kubectl(&cluster, &format!("-n {SYSTEM} delete quota none"));
    });

    // No pod of a runner is admitted.
    let standard = "pod-security.kubernetes.io/enforce";
    kubectl(
        &cluster,
        &format!("label namespace {RUNNERS} {standard}=restricted"),
    );
    until("the standard is in force", || bare(RUNNERS).is_err());
    kubectl(
        &cluster,
        &format!("-n {RUNNERS} delete ephemeralrunners --all"),
    );
    let runners = Elsewhere::ScaleSetRunners;
    asked(&cluster, &profile, runners, "fix the cause, then", |fix| {
        kubectl(&cluster, &format!("label namespace {RUNNERS} {standard}-"));
        until("the standard is gone", || bare(RUNNERS).is_ok());
        followed(&cluster, &profile, fix);
    });

    two_listeners(&cluster);
    mended(&cluster, &profile, Elsewhere::ScaleSetOneListener);
    cluster.finish();
}

/// As after an upgrade to a version that names listeners otherwise: the one of the earlier version stays, older than the
/// new one.
fn two_listeners(cluster: &Cluster) {
    scale_controller(cluster, 0);
    let all = kubectl(
        cluster,
        &format!("-n {SYSTEM} get autoscalinglisteners -o name"),
    );
    let name = all.trim().rsplit('/').next().unwrap();
    let live = cluster.get("autoscalinglistener", SYSTEM, name);
    let earlier = json!({
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": "fast-12345678-listener", "namespace": SYSTEM,
            "labels": live["metadata"]["labels"]},
        "spec": live["spec"],
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&earlier.to_string()));
    let patch = r#"{"metadata": {"finalizers": null}}"#;
    let of = ["-n", SYSTEM, "patch", "autoscalinglistener", name];
    cluster.kubectl(&[&of[..], &["--type=merge", "-p", patch]].concat(), None);
    kubectl(
        cluster,
        &format!("-n {SYSTEM} delete autoscalinglistener {name}"),
    );
    scale_controller(cluster, 1);
    let count = || {
        let all = kubectl(
            cluster,
            &format!("-n {SYSTEM} get autoscalinglisteners -o name"),
        );
        all.lines().count()
    };
    until("there are two listeners", || count() == 2);
}
