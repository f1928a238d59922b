//! The ways out where a controller cannot remove its scale set.

use super::*;
use crate::harness::{jobs::REPOSITORY, waiting::until};

fn nothing_is_left(cluster: &Cluster) {
    assert_eq!(at_github(cluster), [0; 0]);
    let kinds = "autoscalingrunnersets,ephemeralrunnersets,ephemeralrunners,autoscalinglisteners";
    let left = cluster.kubectl(&["get", kinds, "-A", "-o", "name"], None);
    assert_eq!(left, "");
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    for namespace in [RUNNERS, SYSTEM] {
        assert!(!namespaces.contains(namespace), "{namespaces}");
    }
}

/// Without the Secret the controller can never delete the scale set at GitHub: its finalizers hold everything for ever.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_secret_that_is_gone_is_put_back_for_the_teardown() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    cluster.kubectl(&["-n", RUNNERS, "delete", "secret", "arcctl-github"], None);
    let ended = teardown(&cluster, &profile);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    nothing_is_left(&cluster);
    cluster.finish();
}

/// With a maximum of 0 its listener asks for no runner, whatever GitHub has assigned: the job never begins, and is GitHub's again.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_job_that_has_no_runner_does_not_hold_the_teardown() {
    let cluster = Cluster::fast();
    let profile = both(&cluster, "arcctl", &[("min: 1", "min: 0")]);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let quota = ["-n", RUNNERS, "create", "quota", "none", "--hard=pods=0"];
    cluster.kubectl(&quota, None);
    let github = cluster.world().github();
    github.queue(REPOSITORY, &["fast"]);
    let runners = ["-n", RUNNERS, "get", "ephemeralrunners", "-o", "name"];
    until("the job is assigned", || {
        !cluster.kubectl(&runners, None).is_empty()
    });

    let ended = teardown(&cluster, &profile);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(at_github(&cluster), [0; 0]);
    let counts = github.job_counts();
    assert_eq!((counts.queued, counts.lost), (1, 0), "{counts:?}");
    cluster.finish();
}

/// Deletes the controller, and waits until nobody does its work.
fn without_controller(cluster: &Cluster) {
    let deployment = "deployment/arc-gha-rs-controller";
    cluster.kubectl(&["-n", SYSTEM, "delete", deployment], None);
    let pods = || {
        let label = "app.kubernetes.io/part-of=gha-rs-controller";
        cluster.kubectl(
            &["-n", SYSTEM, "get", "pods", "-l", label, "-o", "name"],
            None,
        )
    };
    until("the controller's pods are gone", || pods().is_empty());
}

/// In a namespace that stays, nothing of the listener may stay: its Role lets it write to the runners.
#[test]
#[ignore = "slow: `make test-slow`"]
fn the_rights_of_a_listener_go_without_its_controller_too() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    cluster.kubectl(&["-n", RUNNERS, "create", "configmap", "theirs"], None);
    let rights = || {
        let all = ["-n", RUNNERS, "get", "roles,rolebindings", "-o", "name"];
        cluster.kubectl(&all, None)
    };
    assert!(rights().contains("-listener"), "{}", rights());
    without_controller(&cluster);
    let ended = teardown(&cluster, &profile);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(rights(), "");
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn without_its_controller_a_scale_set_is_removed_by_its_recorded_id() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    without_controller(&cluster);
    let ended = teardown(&cluster, &profile);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    nothing_is_left(&cluster);
    cluster.finish();
}

/// The set was deleted by force, and GitHub still has it.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_only_github_still_has_is_removed_there() {
    let cluster = Cluster::fast();
    let profile = installed(&cluster);
    let scale = [
        "-n",
        SYSTEM,
        "scale",
        "deployment/arc-gha-rs-controller",
        "--replicas=0",
    ];
    cluster.kubectl(&scale, None);
    let delete = [
        "-n",
        RUNNERS,
        "delete",
        "autoscalingrunnerset",
        "fast",
        "--wait=false",
    ];
    cluster.kubectl(&delete, None);
    let patch = r#"{"metadata": {"finalizers": null}}"#;
    let let_go = [
        "-n",
        RUNNERS,
        "patch",
        "autoscalingrunnerset",
        "fast",
        "--type",
        "merge",
        "-p",
        patch,
    ];
    cluster.kubectl(&let_go, None);
    assert_eq!(at_github(&cluster).len(), 1);
    let ended = teardown(&cluster, &profile);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    nothing_is_left(&cluster);
    cluster.finish();
}
