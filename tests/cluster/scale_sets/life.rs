//! The life of an installation of both modes: fresh, unchanged, changed, drifted, gone.

use std::path::Path;
use std::time::Duration;

use arcctl_sandbox::github::ActionsFaults;
use serde_json::{Value, json};

use super::*;
use crate::harness::jobs::REPOSITORY;
use crate::harness::waiting::until;
use crate::torture::listing::{Listing, differences, listing};

/// What is in the cluster, once its own controllers have made what they make.
pub(super) fn listed(cluster: &Cluster) -> Listing {
    let client = cluster.world().kube();
    let mut last = Listing::new();
    until("the cluster to settle", || {
        let now = cluster.block_on(listing(&client));
        let settled = now == last && now.contains_key("ServiceAccount/default/default");
        last = now;
        settled
    });
    last
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_installation_of_both_modes_from_nothing_to_nothing() {
    let cluster = Cluster::fast();
    let before = listed(&cluster);
    let profile = both(&cluster, "arcctl", &[]);
    fresh(&cluster, &profile, "/enterprises/dogecompany");
    unchanged(&cluster, &profile);
    status_has_both(&cluster, &profile);
    doctor_is_content(&cluster, &profile);
    one_value_changed(&cluster);
    drift_is_mended(&cluster, &profile);
    is_as_before(&cluster, &profile, &before);
    cluster.finish();
}

/// After its teardown there is what was there `before`, in the cluster and at GitHub.
pub(super) fn is_as_before(cluster: &Cluster, profile: &Path, before: &Listing) {
    let ended = teardown(cluster, profile);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(at_github(cluster), [0; 0]);
    assert!(cluster.world().github().runners().is_empty());
    let left = differences(before, &listed(cluster));
    // The CRDs stay without --crds, and with them the API server's own entries for their groups.
    let stays = |it: &&String| it.contains("CustomResourceDefinition") || it.contains("APIService");
    let left: Vec<&String> = left.iter().filter(|it| !stays(it)).collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// The first run; `place` is how the address ends that the scale set is recorded with.
pub(super) fn fresh(cluster: &Cluster, profile: &Path, place: &str) {
    let ended = cluster.up(profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let ids = at_github(cluster);
    assert_eq!(ids.len(), 1);
    // The id is recorded where a teardown without the controller finds it.
    let inventory = cluster.get("configmap", "actions-runner-system", "arcctl-dogecompany");
    let record = inventory["data"]["scaleSet.actions-runner.fast"].as_str();
    let record: Value = serde_json::from_str(record.unwrap()).unwrap();
    assert_eq!(record["id"], ids[0]);
    let scope = record["scope"].as_str().unwrap();
    assert!(scope.ends_with(place), "{scope}");
    let online = cluster.world().github().runners();
    assert_eq!(online.iter().filter(|it| it.online).count(), 3);
}

pub(super) fn unchanged(cluster: &Cluster, profile: &Path) {
    let helm = cluster.up(profile, &[]).expect(0);
    assert_eq!(helm["changed"], 0, "{helm:#}");
    assert_eq!(helm["requests"]["kubernetes"]["writes"], 0);
    assert_eq!(helm["requests"]["github"]["writes"], 0);
    assert_eq!(helm["requests"]["helm"], 0);
    // The listener was proven: a run with nothing to do does not watch it again.
    assert!(helm["seconds"].as_f64().unwrap() < 20.0, "{helm:#}");
}

fn status_has_both(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let status = cluster.arcctl(&["status", "-f", file, "-o", "json"]);
    let status = status.expect(0);
    let pool = |name: &str| -> Value {
        let pools = status["pools"].as_array().unwrap();
        pools.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    assert_eq!(pool("basic")["mode"], "runnerDeployment");
    let fast = pool("fast");
    assert_eq!(fast["mode"], "scaleSet");
    for (key, value) in [
        ("desired", 1),
        ("running", 1),
        ("registered", 1),
        ("busy", 0),
    ] {
        assert_eq!(fast[key], value, "{key} of {fast}");
    }
}

fn doctor_is_content(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let report = cluster.arcctl(&["doctor", "-f", file, "--only", "scale-sets", "-o", "json"]);
    let report = report.expect(0);
    for check in report["checks"].as_array().unwrap() {
        assert_eq!(check["verdict"], "holds", "{check:#}");
    }
}

fn one_value_changed(cluster: &Cluster) {
    let more = both(cluster, "more", &[("max: 4", "max: 3")]);
    let ended = cluster.up(&more, &[]);
    assert_eq!(ended.expect(0)["changed"], 1, "{}", ended.stderr);
    assert_eq!(ended.changed(), [RELEASE]);
    let set = cluster.get("autoscalingrunnerset", RUNNERS, "fast");
    assert_eq!(set["spec"]["maxRunners"], 3);
}

fn drift_is_mended(cluster: &Cluster, profile: &Path) {
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 1);
    let patch = json!({"spec": {"maxRunners": 9}}).to_string();
    let arguments = ["-n", RUNNERS, "patch", "autoscalingrunnerset", "fast"];
    let more = ["--type", "merge", "-p", &patch];
    cluster.kubectl(&[&arguments[..], &more[..]].concat(), None);
    let plan = cluster.plan(profile, &["--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    assert!(
        plan.planned().contains("spec.maxRunners: 9 -> 4"),
        "{}",
        plan.planned()
    );
    let mended = cluster.up(profile, &[]);
    mended.expect(0);
    assert_eq!(mended.changed(), [RELEASE]);
    let set = cluster.get("autoscalingrunnerset", RUNNERS, "fast");
    assert_eq!(set["spec"]["maxRunners"], 4);
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 0);
}

/// The minimum of a window belongs to the schedule alone: neither helm nor a plan knows it, and a hand-made one is put right.
#[test]
#[ignore = "slow: `make test-slow`"]
fn the_minimum_of_a_schedule_is_written_where_it_differs() {
    let cluster = Cluster::fast();
    let window = "min: 1\n    schedule:\n      timeZone: Asia/Seoul\n      windows:\n        - {name: weekend, from: Sat 00:00, to: Mon 00:00, min: 1}";
    let profile = both(&cluster, "arcctl", &[("min: 1", window)]);
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let minimum =
        || cluster.get("autoscalingrunnerset", RUNNERS, "fast")["spec"]["minRunners"].clone();
    assert_eq!(minimum(), 1);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["changed"], 0);
    // The reconciler would be the first.
    schedules::between_two_starts();
    let patch = json!({"spec": {"minRunners": 3}}).to_string();
    let arguments = ["-n", RUNNERS, "patch", "autoscalingrunnerset", "fast"];
    let more = ["--type", "merge", "-p", &patch];
    cluster.kubectl(&[&arguments[..], &more[..]].concat(), None);
    let mended = cluster.up(&profile, &[]);
    mended.expect(0);
    assert_eq!(mended.changed(), ["scale-set-minimum/actions-runner/fast"]);
    assert_eq!(minimum(), 1);
    cluster.finish();
}

/// The listener of another group has another name, and its controller leaves the former one with the only session.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_scale_set_in_another_group_has_one_listener() {
    let cluster = Cluster::fast();
    installed(&cluster);
    let ids = at_github(&cluster);
    let group = cluster.world().github().add_group(&owner(), "ci", None);
    let moved = both(
        &cluster,
        "moved",
        &[("labels: [gpu]", "labels: [gpu]\n    group: ci")],
    );
    let ended = cluster.up(&moved, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    // It is the same scale set.
    assert_eq!(at_github(&cluster), ids);
    let sets = cluster.world().github().scale_sets();
    assert!(sets.iter().any(|it| it.name == "fast" && it.group == group));
    let all = ["-n", SYSTEM, "get", "autoscalinglisteners", "-o", "name"];
    until("the former listener is gone", || {
        cluster.kubectl(&all, None).lines().count() == 1
    });
    unchanged(&cluster, &moved);
    cluster.finish();
}

/// The chart makes no account for a pool that has one of its own; the controller would let the former one go with the whole set.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_the_chart_leaves_out_is_gone_after_the_upgrade() {
    let cluster = Cluster::fast();
    installed(&cluster);
    let accounts = ["-n", RUNNERS, "get", "serviceaccounts", "-o", "name"];
    let before = cluster.kubectl(&accounts, None);
    assert!(before.contains("fast-gha-rs-no-permission"), "{before}");
    let create = ["-n", RUNNERS, "create", "serviceaccount", "deployer"];
    cluster.kubectl(&create, None);
    let own = "labels: [gpu]\n    serviceAccount: deployer";
    let other = both(&cluster, "other", &[("labels: [gpu]", own)]);
    let ended = cluster.up(&other, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let after = cluster.kubectl(&accounts, None);
    assert!(!after.contains("no-permission"), "{after}");
    unchanged(&cluster, &other);
    cluster.finish();
}

/// A runner that ends its job with the former template is ready and online, and says nothing about the new one.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_busy_runner_with_the_former_template_does_not_prove_the_new_one() {
    const FAULT: &str = "kubelet:image-pull=ghcr.io/actions/actions-runner:2.335.1";
    let cluster = Cluster::with_faults(&[FAULT]);
    installed(&cluster);
    let github = cluster.world().github();
    github.set_actions_faults(ActionsFaults {
        length: Some(Duration::from_mins(30)),
        ..ActionsFaults::default()
    });
    github.queue(REPOSITORY, &["fast"]);
    until("the job runs", || github.job_counts().running == 1);

    let other = edited(
        &cluster,
        "other",
        &[("actions-runner:2.334.0", "actions-runner:2.335.1")],
        &[("charts:", "images: {prepull: never}\ncharts:")],
    );
    // Its listener is proven within this time.
    let ended = cluster.up_until(&other, &["--timeout", "2m"], "cannot pull its image");
    let object = ended.document()["error"]["object"].clone();
    assert_eq!(object, "runner-pods/actions-runner/fast");
    assert_eq!(github.job_counts().lost, 0);
    cluster.finish();
}
