//! Another minor version of the charts: the sets of the earlier one end first, no job is lost, whatever interrupts the run,
//! and others' sets are never deleted by it.

#![expect(
    clippy::print_stdout,
    reason = "the seconds without a runner are a result of these tests"
)]

use std::path::Path;
use std::time::Duration;

use arcctl_sandbox::github::{ActionsFaults, JobCounts};
use serde_json::json;

use super::*;
use crate::harness::cluster::Ended;
use crate::harness::waiting::until;

const REPOSITORY: &str = "dogecompany/app";
const CONTROLLER: &str = "helm-release/arc-systems/arc";
const CRDS: &str = "crds/-/gha-runner-scale-set-controller";
const DRAIN: &str = "scale-set-drain/actions-runner/fast";

/// The profile with both pools and this version of the charts.
fn with_charts(cluster: &Cluster, version: &str, edits: &[(&str, &str)]) -> PathBuf {
    let charts = format!("scaleSets:\n  chartVersion: \"{version}\"\n\ntimeouts:");
    let all = [edits, &[("timeouts:", charts.as_str())][..]].concat();
    both(cluster, version, &all)
}

/// Queues so many jobs for the set, each of which takes so long, and waits until the first ones run.
fn jobs(cluster: &Cluster, count: usize, length: Duration) {
    let github = cluster.world().github();
    github.set_actions_faults(ActionsFaults {
        length: Some(length),
        ..ActionsFaults::default()
    });
    for _ in 0..count {
        github.queue(REPOSITORY, &["fast"]);
    }
    until("jobs run", || github.job_counts().running > 0);
}

/// Waits until all jobs that were ever queued have ended as they should.
fn all_done(cluster: &Cluster, count: usize) {
    let counts = || cluster.world().github().job_counts();
    until("no job is left", || {
        let now = counts();
        now.queued + now.running == 0
    });
    let expected = JobCounts {
        done: count,
        ..JobCounts::default()
    };
    assert_eq!(counts(), expected);
}

fn version_of_the_set(cluster: &Cluster) -> String {
    let set = cluster.get("autoscalingrunnerset", RUNNERS, "fast");
    let version = &set["metadata"]["labels"]["app.kubernetes.io/version"];
    version.as_str().unwrap().to_owned()
}

/// What the run measured, for the documents: printed with `--nocapture`.
fn print_pause(from: &str, to: &str, ended: &Ended) {
    let document = ended.document();
    let pause = &document["pauses"][0];
    assert_eq!(pause["id"], DRAIN, "{document:#}");
    let (drain, gap) = (pause["drain"].as_f64(), pause["gap"].as_f64());
    let (drain, gap) = (drain.unwrap(), gap.unwrap());
    println!("{from} -> {to}: {drain:.1} s until the jobs had ended, {gap:.1} s without a runner");
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn another_minor_version_with_jobs_queued_loses_none() {
    let cluster = Cluster::fast();
    let old = with_charts(&cluster, "0.14.2", &[]);
    let ended = cluster.up(&old, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let ids = at_github(&cluster);

    jobs(&cluster, 10, Duration::from_secs(5));
    let new = with_charts(&cluster, "0.15.1", &[]);
    plan_says_the_order(&cluster, &new);
    let ended = cluster.up(&new, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    print_pause("0.14.2", "0.15.1", &ended);
    assert_eq!(version_of_the_set(&cluster), "0.15.1");
    assert_eq!(at_github(&cluster), ids, "it was registered anew");
    all_done(&cluster, 10);
    assert_eq!(cluster.up(&new, &[]).expect(0)["changed"], 0);

    // Back again is the same.
    jobs(&cluster, 6, Duration::from_secs(5));
    let ended = cluster.up(&old, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    print_pause("0.15.1", "0.14.2", &ended);
    assert_eq!(version_of_the_set(&cluster), "0.14.2");
    all_done(&cluster, 16);
    cluster.finish();
}

fn plan_says_the_order(cluster: &Cluster, profile: &Path) {
    let plan = cluster.plan(profile, &["--detailed-exitcode"]);
    assert_eq!(plan.code, 2, "{}", plan.stderr);
    let planned = plan.planned();
    let steps: Vec<&str> = planned.lines().filter(|it| !it.starts_with(' ')).collect();
    assert_eq!(
        steps,
        [
            format!("delete {DRAIN}"),
            format!("update {CRDS}"),
            format!("update {CONTROLLER}"),
            format!("update {RELEASE}"),
        ]
    );
    let text = cluster.arcctl(&["plan", "-f", profile.to_str().unwrap()]);
    for part in [
        "takes no new jobs, which wait at GitHub",
        "`timeouts.drain`",
        "0.14.2 -> 0.15.1 is another minor version",
        "after that there is no runner until",
    ] {
        assert!(text.stdout.contains(part), "{part}: {}", text.stdout);
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_change_of_the_minor_version_that_is_interrupted_goes_on() {
    let cluster = Cluster::fast();
    let old = with_charts(&cluster, "0.14.2", &[]);
    let ended = cluster.up(&old, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    jobs(&cluster, 6, Duration::from_secs(20));
    let new = with_charts(&cluster, "0.15.1", &[]);
    let arguments = ["up", "--yes", "-o", "json", "-f", new.to_str().unwrap()];

    // While jobs run: they go on, and the set takes no other.
    let mut run = cluster.arcctl_in_background(&arguments);
    run.wait_for("runs build of");
    let ended = run.end_on("INT");
    cluster.keep(&ended);
    assert_eq!(ended.expect(130)["outcome"], "interrupted");
    let set = cluster.get("autoscalingrunnerset", RUNNERS, "fast");
    assert_eq!(set["spec"]["maxRunners"], 0, "{set:#}");
    assert_eq!(cluster.world().github().job_counts().lost, 0);

    // Once the set has gone: nothing of either version listens.
    let mut run = cluster.arcctl_in_background(&arguments);
    run.wait_for(&format!("update {CRDS}"));
    run.kill();
    cluster.keep(&run.end());

    let ended = cluster.arcctl(&arguments);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(version_of_the_set(&cluster), "0.15.1");
    all_done(&cluster, 6);
    assert_eq!(cluster.up(&new, &[]).expect(0)["changed"], 0);
    cluster.finish();
}

/// Without the earlier controller nobody would end the removal of a set: nothing is touched, and the other way is told.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_broken_controller_is_told_before_its_sets_are_touched() {
    let cluster = Cluster::fast();
    let old = with_charts(&cluster, "0.14.2", &[]);
    let ended = cluster.up(&old, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let ids = at_github(&cluster);
    let deployment = "deployment/arc-gha-rs-controller";
    let select = |labels: &serde_json::Value| {
        let patch = json!({"spec": {
            "strategy": {"type": "Recreate", "rollingUpdate": null},
            "template": {"spec": {"nodeSelector": labels}},
        }});
        let patch = patch.to_string();
        let place = ["-n", SYSTEM, "patch", deployment];
        let how = ["--type", "merge", "-p", patch.as_str()];
        cluster.kubectl(&[&place[..], &how[..]].concat(), None);
    };
    select(&json!({"no": "node"}));
    let available = || {
        let live = cluster.get("deployment", SYSTEM, "arc-gha-rs-controller");
        live["status"]["availableReplicas"].as_u64().unwrap_or(0)
    };
    until("the controller is not available", || available() == 0);

    let new = with_charts(&cluster, "0.15.1", &[]);
    let ended = cluster.up(&new, &["--timeout", "40s"]);
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    let said = "scale deployment arc-gha-rs-controller --replicas=0";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let set = cluster.get("autoscalingrunnerset", RUNNERS, "fast");
    assert_eq!(set["spec"]["maxRunners"], 4, "{set:#}");
    assert!(set["metadata"]["deletionTimestamp"].is_null(), "{set:#}");

    select(&json!(null));
    let scale = ["-n", SYSTEM, "scale", deployment, "--replicas=0"];
    cluster.kubectl(&scale, None);
    let ended = cluster.up(&new, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(version_of_the_set(&cluster), "0.15.1");
    assert_eq!(at_github(&cluster).len(), ids.len());
    cluster.finish();
}

/// A set of somebody else in the same cluster, which the new controller would delete with its jobs.
#[test]
#[ignore = "slow: `make test-slow`"]
fn another_minor_version_is_refused_while_others_have_a_set() {
    let cluster = Cluster::fast();
    let old = with_charts(&cluster, "0.14.2", &[]);
    let ended = cluster.up(&old, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    cluster.kubectl(&["create", "namespace", "theirs"], None);
    let theirs = json!({
        "apiVersion": "actions.github.com/v1alpha1",
        "kind": "AutoscalingRunnerSet",
        "metadata": {
            "name": "hand", "namespace": "theirs",
            "labels": {"app.kubernetes.io/version": "0.14.2"},
        },
        "spec": {
            "githubConfigUrl": "https://github.com/theirs", "githubConfigSecret": "none",
            "template": {"spec": {"containers": [
                {"name": "runner", "image": "ghcr.io/actions/actions-runner:2.334.0"},
            ]}},
        },
    });
    cluster.kubectl(&["apply", "-f", "-"], Some(&theirs.to_string()));

    let new = with_charts(&cluster, "0.15.1", &[]);
    let before = cluster.kubernetes_writes();
    let refused = cluster.up(&new, &[]);
    let document = refused.expect(7);
    assert_eq!(document["outcome"], "refused");
    assert_eq!(document["error"]["object"], CONTROLLER);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("`theirs/hand`"), "{message}");
    assert!(!message.contains("fast"), "ours is no reason: {message}");
    assert_eq!(cluster.kubernetes_writes(), before, "a refused run wrote");
    assert_eq!(version_of_the_set(&cluster), "0.14.2");
    // A patch is no danger for it.
    let patch = with_charts(&cluster, "0.14.1", &[]);
    assert_eq!(cluster.plan(&patch, &[]).code, 0);

    // Neither does the first controller come, while there is none.
    cluster.helm(&["uninstall", "arc", "-n", SYSTEM, "--wait"], None);
    let before = cluster.kubernetes_writes();
    let refused = cluster.up(&new, &[]);
    let document = refused.expect(7);
    assert_eq!(document["error"]["object"], CONTROLLER);
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.contains("`theirs/hand`"), "{message}");
    assert!(!message.contains("fast"), "ours is no reason: {message}");
    assert_eq!(cluster.kubernetes_writes(), before, "a refused run wrote");
    cluster.finish();
}

/// Both charts of 0.13.1, installed as GitHub's documentation says: `--adopt` leaves them as they are, CRDs included, and the
/// next run brings them to the profile's version.
#[test]
#[ignore = "slow: `make test-slow`"]
fn an_adopted_installation_of_an_older_version_comes_to_that_of_the_profile() {
    let cluster = Cluster::fast();
    install_by_hand(&cluster);
    let without_labels = [("    labels: [gpu]\n", "")];
    a_new_pool_is_not_adopted(&cluster, &without_labels);
    let profile = with_charts(&cluster, "0.14.2", &without_labels);
    let ended = cluster.up(&profile, &["--adopt"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(version_of_the_set(&cluster), "0.13.1");
    let ids = at_github(&cluster);
    jobs(&cluster, 8, Duration::from_secs(4));
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    print_pause("0.13.1", "0.14.2", &ended);
    assert_eq!(version_of_the_set(&cluster), "0.14.2");
    assert_eq!(at_github(&cluster), ids, "it was registered anew");
    all_done(&cluster, 8);
    // The Secret of whoever installed it is not read any more, and has the token in it.
    cluster.kubectl(&["-n", RUNNERS, "delete", "secret", "hand"], None);
    cluster.finish();
}

/// The controller that stays would delete a new set of another minor version.
fn a_new_pool_is_not_adopted(cluster: &Cluster, edits: &[(&str, &str)]) {
    let second = FAST.replace("name: fast", "name: second");
    let edits = [edits, &[("timeouts:", second.as_str())][..]].concat();
    let more = with_charts(cluster, "0.14.2", &edits);
    let before = cluster.kubernetes_writes();
    let refused = cluster.up(&more, &["--adopt"]);
    let document = refused.expect(7);
    let object = &document["error"]["object"];
    assert_eq!(object, "helm-release/actions-runner/second");
    assert_eq!(cluster.kubernetes_writes(), before, "a refused run wrote");
}

fn install_by_hand(cluster: &Cluster) {
    let charts = cluster.charts_url();
    let install = |name: &str, chart: &str, namespace: &str, values: &serde_json::Value| {
        let arguments = ["install", name, chart, "--repo", &charts];
        let more = ["--version", "0.13.1", "-n", namespace];
        let rest = ["--create-namespace", "--wait", "-f", "-"];
        cluster.helm(
            &[&arguments[..], &more[..], &rest[..]].concat(),
            Some(&values.to_string()),
        );
    };
    let controller = "gha-runner-scale-set-controller";
    install("arc", controller, SYSTEM, &json!({}));
    let github = &cluster.world().environment()["ARCCTL_SANDBOX_GITHUB_URL"];
    cluster.kubectl(&["create", "namespace", RUNNERS], None);
    let token = format!("--from-literal=github_token={}", cluster.tokens()[0]);
    let secret = ["create", "secret", "generic", "hand", &token];
    cluster.kubectl(&[&["-n", RUNNERS], &secret[..]].concat(), None);
    let values = json!({
        "githubConfigUrl": format!("{github}/enterprises/dogecompany"),
        "githubConfigSecret": "hand",
        "minRunners": 1,
        "maxRunners": 4,
        "controllerServiceAccount": {"namespace": SYSTEM, "name": "arc-gha-rs-controller"},
    });
    install("fast", "gha-runner-scale-set", RUNNERS, &values);
    until("the set is registered", || !at_github(cluster).is_empty());
}
