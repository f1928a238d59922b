use serde_json::{Value, json};

use super::configuration::of_pod;
use super::listener::Seen;
use super::pods;
use super::runner_set::{ByPhase, Step, step};
use super::scale_set::spec_hash;

#[test]
fn a_listener_asks_for_the_minimum_beside_each_job_up_to_the_maximum() {
    let mut seen = Seen::default();
    let bounds = (2, 5);
    assert_eq!(seen.next((0, 0), bounds), (2, 0), "the first patch is 0");
    assert_eq!(seen.next((1, 0), bounds), (3, 2));
    assert_eq!(
        seen.next((9, 0), bounds),
        (5, 3),
        "no more than the maximum"
    );
    assert_eq!(
        seen.next((0, 0), bounds),
        (5, 4),
        "a quiet poll asks for no fewer"
    );
    assert_eq!(seen.next((0, 9), bounds), (2, 5), "all jobs are over");
    assert_eq!(seen.next((0, 0), bounds), (2, 0), "quiet at the minimum");
}

#[test]
fn a_patch_is_followed_once_and_only_patch_0_makes_a_set_smaller() {
    assert_eq!(step(3, 2, 4, 1), Step::Grow(3));
    assert_eq!(
        step(3, 3, 4, 1),
        Step::Stay,
        "a runner that ended is not made again"
    );
    assert_eq!(step(3, 2, 1, 4), Step::Stay);
    assert_eq!(step(0, 3, 1, 4), Step::Shrink(3));
    assert_eq!(step(0, 0, 2, 1), Step::Grow(1));
    assert_eq!(step(0, 0, 2, 2), Step::Stay);
}

fn runner(phase: &str) -> Value {
    json!({ "metadata": { "name": phase }, "status": { "phase": phase } })
}

#[test]
fn failed_runners_count_and_those_that_are_being_deleted_do_not() {
    let mut deleted = runner("Running");
    deleted["metadata"]["deletionTimestamp"] = "2026-11-27T00:00:00Z".into();
    let all = [
        runner(""),
        runner("Running"),
        runner("Failed"),
        runner("Succeeded"),
        runner("Outdated"),
        deleted,
    ];
    let phases = ByPhase::of(all.iter());
    assert_eq!(phases.total(), 3);
    assert_eq!((phases.succeeded.len(), phases.outdated.len()), (1, 1));
}

#[test]
fn the_hash_of_a_set_is_that_of_its_runners_and_not_of_its_minimum() {
    let set = |min: i64, image: &str| {
        json!({ "spec": { "minRunners": min, "template": { "spec": { "containers": [
            { "name": "runner", "image": image }] } } } })
    };
    assert_eq!(spec_hash(&set(1, "a")), spec_hash(&set(2, "a")));
    assert_ne!(spec_hash(&set(1, "a")), spec_hash(&set(1, "b")));
}

#[test]
fn a_runners_pod_has_its_registration() {
    let runner = json!({
        "apiVersion": "actions.github.com/v1alpha1", "kind": "EphemeralRunner",
        "metadata": { "name": "basic-x-runner-y", "namespace": "arc", "uid": "u",
            "labels": { "app.kubernetes.io/component": "runner" } },
        "spec": {
            "metadata": { "labels": { "team": "x" } },
            "spec": { "containers": [
                { "name": "runner", "image": "r", "workingDir": "/w" }, { "name": "other", "image": "o" }] },
        },
    });
    assert_eq!(pods::work_folder(&runner), "/w");
    let pod = pods::of_runner(&runner);
    assert_eq!(
        pod["metadata"]["labels"]["actions-ephemeral-runner"],
        "True"
    );
    assert_eq!(pod["metadata"]["labels"]["team"], "x");
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
    let secret = &pod["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"];
    assert_eq!(
        secret,
        &json!({ "name": "basic-x-runner-y", "key": "jitToken" })
    );
    assert!(pod["spec"]["containers"][1]["env"].is_null());
}

/// A template takes the place of the pod's own settings: scale-sets.md 6.
#[test]
fn the_template_of_a_listener_replaces_and_its_container_is_merged() {
    let pod = json!({ "metadata": { "namespace": "systems", "labels": { "app.kubernetes.io/version": "0.14.2" } },
        "spec": { "containers": [{ "name": "manager", "image": "i", "args": ["--listener-metrics-addr=:8080"] }] } });
    let configuration = of_pod(&pod);
    let mut listener = json!({
        "apiVersion": "actions.github.com/v1alpha1", "kind": "AutoscalingListener",
        "metadata": { "name": "l", "namespace": "systems", "uid": "u", "labels": {} },
        "spec": { "image": "i" },
    });
    let plain = pods::of_listener(&listener, &configuration);
    assert_eq!(plain["spec"]["terminationGracePeriodSeconds"], 60);
    assert_eq!(
        plain["spec"]["nodeSelector"],
        json!({ "kubernetes.io/os": "linux" })
    );
    assert_eq!(
        plain["spec"]["containers"][0]["ports"][0]["containerPort"],
        8080
    );
    listener["spec"]["template"] = json!({ "spec": {
        "tolerations": [{ "operator": "Exists" }],
        "containers": [{ "name": "listener", "env": [{ "name": "A", "value": "b" }] }, { "name": "side", "image": "s" }],
    } });
    let merged = pods::of_listener(&listener, &configuration);
    assert!(merged["spec"]["terminationGracePeriodSeconds"].is_null());
    assert_eq!(merged["spec"]["containers"][0]["image"], "i");
    assert_eq!(
        merged["spec"]["containers"][0]["env"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(merged["spec"]["containers"][1]["name"], "side");
    assert_eq!(
        merged["spec"]["volumes"][0]["secret"]["secretName"],
        "l-config"
    );
}

#[test]
fn a_pod_ends_with_the_code_of_its_runner_or_by_eviction() {
    let pod = |status: Value| json!({ "status": status });
    let container =
        |state: Value| json!({ "containerStatuses": [{ "name": "runner", "state": state }] });
    assert_eq!(
        pods::exit_code(&pod(container(json!({ "running": {} })))),
        None
    );
    let ended = container(json!({ "terminated": { "exitCode": 7 } }));
    assert_eq!(pods::exit_code(&pod(ended)), Some(7));
    assert_eq!(
        pods::exit_code(&pod(json!({ "phase": "Failed", "reason": "Evicted" }))),
        Some(1)
    );
}
