//! A plan considers the state when each step runs: removed pools free capacity for new ones, a namespace that is being
//! deleted is created again, and resources of an earlier step count as existing.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    aws::kubernetes_role::{ACCOUNT, ROLES, bind},
    harness::cluster::{Cluster, Ended},
    harness::waiting::{pod, until},
    install::refusals::kubeconfig_of,
};

const NAMESPACE: &str = "actions-runner";

/// One node's worth of requests for the two runners, so that no third fits.
const LARGE: (&str, &str) = ("cpu: 500m, memory: 1Gi", "cpu: 1500m, memory: 1Gi");

#[test]
#[ignore = "slow: `make test-slow`"]
fn pools_that_go_make_room_and_what_is_going_is_made_anew() {
    let cluster = Cluster::fast();
    let first = cluster.profile("first", &[LARGE]);
    cluster.up(&first, &[]).expect(0);
    a_pool_is_renamed_on_full_nodes(&cluster);
    a_pool_is_renamed_in_a_full_quota(&cluster);
    a_bad_image_does_not_keep_a_removed_pool(&cluster);
    a_namespace_that_is_being_deleted(&cluster);
    cluster.finish();
}

/// An image that nobody can pull.
const BAD: (&str, &str) = (
    "summerwind/actions-runner:v2.306.0-ubuntu-22.04",
    "missing/runner:v2.306.0-ubuntu-22.04",
);

const SOON: (&str, &str) = ("runners: 5m", "runners: 20s");

#[test]
#[ignore = "slow: `make test-slow`"]
fn runners_that_never_started_make_room_for_those_of_the_next_image() {
    let cluster = Cluster::with_faults(&["image:pull-fails=missing/*"]);
    // Before the first `up`, as the file says; without the right that is about this.
    cluster.kubectl(&["create", "serviceaccount", ACCOUNT], None);
    let right = "resources: [runnerreplicasets]\n    verbs: [list, patch]";
    assert!(ROLES.contains(right));
    let without = ROLES.replace(right, "resources: [runnerreplicasets]\n    verbs: [list]");
    cluster.kubectl(&["apply", "-f", "-"], Some(&without));
    bind(&cluster, "arcctl");
    let bad = cluster.profile("bad", &[LARGE, BAD, SOON]);
    cluster.up(&bad, &[]).expect(6);
    on_full_nodes(&cluster);
    in_a_full_quota(&cluster);
    what_runs_is_left_alone(&cluster);
    cluster.finish();
}

/// The names of the Runners of a template's image.
fn runners_of(cluster: &Cluster, image: &str) -> Vec<String> {
    let list = ["-n", NAMESPACE, "get", "runners", "-o", "json"];
    let list: Value = serde_json::from_str(&cluster.kubectl(&list, None)).unwrap();
    let mut names: Vec<String> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it["spec"]["image"].as_str().unwrap().starts_with(image))
        .map(|it| it["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Who may not remove them is told at once which they are and how they go; with the documented role they are removed.
fn on_full_nodes(cluster: &Cluster) {
    let held = runners_of(cluster, "missing/");
    assert_eq!(held.len(), 2, "{held:?}");
    let kubeconfig = kubeconfig_of(cluster, ACCOUNT);
    let up = |profile: &Path| -> Ended {
        let file = profile.to_str().unwrap();
        let arguments = [
            "up",
            "-f",
            file,
            "--kubeconfig",
            &kubeconfig,
            "--yes",
            "-o",
            "json",
        ];
        cluster.arcctl(&arguments)
    };
    let refused = up(&cluster.profile("hasty", &[LARGE, SOON]));
    let error = refused.expect(6)["error"].clone();
    for name in &held {
        assert!(refused.stderr.contains(name), "{name}: {}", refused.stderr);
    }
    assert!(
        refused
            .stderr
            .contains("2 runners of the pool's earlier template never started and hold their room"),
        "{}",
        refused.stderr
    );
    let hint = error["hint"].as_str().unwrap();
    let delete = format!("`kubectl -n actions-runner delete pod {}`", held.join(" "));
    assert!(
        hint.contains("patch runnerreplicaset basic-") && hint.contains(&delete),
        "{hint}"
    );
    assert_eq!(runners_of(cluster, "missing/"), held);

    cluster.kubectl(&["apply", "-f", "-"], Some(ROLES));
    let good = cluster.profile("good", &[LARGE]);
    removed(&up(&good), "basic");
    none_is_left(cluster);
    assert_eq!(cluster.up(&good, &[]).expect(0)["changed"], 0);
}

/// A Runner that was removed is there until the controller has taken its finalizer off.
fn none_is_left(cluster: &Cluster) {
    until("no earlier runner is left", || {
        runners_of(cluster, "missing/").is_empty()
    });
}

/// That a run has removed two runners, as a step of its own.
fn removed(ended: &Ended, pool: &str) {
    let document = ended.expect(0);
    let id = format!("runner-pods/{NAMESPACE}/{pool}");
    assert_eq!(action(&document, &id), "update", "{document:#}");
    let said = "2 runners of an earlier template that never started made room";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

fn in_a_full_quota(cluster: &Cluster) {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "pods", "namespace": NAMESPACE}, "spec": {"hard": {"pods": "2"}}});
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&apply, Some(&quota.to_string()));
    let name = ("name: basic", "name: counted");
    let bad = cluster.profile("counted-bad", &[name, BAD, SOON]);
    cluster.up(&bad, &[]).expect(6);
    let good = cluster.profile("counted", &[name]);
    removed(&cluster.up(&good, &[]), "counted");
    none_is_left(cluster);
    cluster.kubectl(&["delete", "-f", "-"], Some(&quota.to_string()));
}

/// Runners of an earlier template that have started may have a job: they stay, and the run says who holds the room.
fn what_runs_is_left_alone(cluster: &Cluster) {
    let name = ("name: basic", "name: large");
    let large = cluster.profile("large", &[LARGE, name]);
    cluster.up(&large, &[]).expect(0);
    let running = runners_of(cluster, "summerwind/");
    let next = (
        "summerwind/actions-runner:v2.306.0-ubuntu-22.04",
        "summerwind/actions-runner:v2.336.0-ubuntu-22.04",
    );
    let next = cluster.profile("next", &[LARGE, name, next, SOON]);
    let ended = cluster.up(&next, &[]);
    let hint = ended.expect(6)["error"]["hint"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(hint.contains("patch runnerreplicaset large-"), "{hint}");
    assert!(
        ended
            .stderr
            .contains("only once all new ones run, and until then they hold their room"),
        "{}",
        ended.stderr
    );
    for name in running {
        assert!(ended.stderr.contains(&name), "{name}: {}", ended.stderr);
        assert!(runners_of(cluster, "summerwind/").contains(&name), "{name}");
    }
}

fn pools(cluster: &Cluster) -> String {
    let names = ["-n", NAMESPACE, "get", "runnerdeployments", "-o", "name"];
    cluster.kubectl(&names, None).trim().to_owned()
}

fn a_pool_is_renamed_on_full_nodes(cluster: &Cluster) {
    let renamed = cluster.profile("renamed", &[LARGE, ("name: basic", "name: renamed")]);
    cluster.up(&renamed, &[]).expect(0);
    assert_eq!(
        pools(cluster),
        "runnerdeployment.actions.summerwind.dev/renamed"
    );
    assert_eq!(cluster.up(&renamed, &[]).expect(0)["changed"], 0);
}

fn a_pool_is_renamed_in_a_full_quota(cluster: &Cluster) {
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"name": "pods", "namespace": NAMESPACE}, "spec": {"hard": {"pods": "2"}}});
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.kubectl(&apply, Some(&quota.to_string()));
    // Until the quota is counted, the API server takes a third pod, and then refuses any.
    let third = pod(NAMESPACE, &json!({}));
    let refused = |said: String| said.contains("exceeded quota: pods");
    until("the quota is used up", || {
        cluster.judged(&third).is_err_and(refused)
    });
    let again = cluster.profile("again", &[LARGE, ("name: basic", "name: again")]);
    let plan = cluster.plan(&again, &[]);
    plan.expect(0);
    assert!(
        plan.stderr
            .contains("at this moment the API server refuses"),
        "{}",
        plan.stderr
    );
    cluster.up(&again, &[]).expect(0);
    assert_eq!(
        pools(cluster),
        "runnerdeployment.actions.summerwind.dev/again"
    );
    cluster.kubectl(&["delete", "-f", "-"], Some(&quota.to_string()));
}

fn a_bad_image_does_not_keep_a_removed_pool(cluster: &Cluster) {
    let edits = [
        LARGE,
        ("name: basic", "name: bad"),
        (
            "summerwind/actions-runner:v2.306.0-ubuntu-22.04",
            "missing/runner:v2.306.0-ubuntu-22.04",
        ),
        (
            "containerMode: dind",
            "containerMode: dind\n    nodeSelector: {disk: fast}",
        ),
    ];
    let bad = cluster.profile("bad", &edits);
    let file = bad.to_str().unwrap();
    let mut running = cluster.arcctl_in_background(&["up", "-f", file, "--yes", "-o", "json"]);
    running.wait_for("is unschedulable");
    until("the removed pool has gone", || {
        pools(cluster) == "runnerdeployment.actions.summerwind.dev/bad"
    });
    assert!(running.is_alive(), "it waits for the pods of the new one");
    running.interrupt();
    let ended = running.end();
    cluster.keep(&ended);
    assert_eq!(ended.expect(130)["outcome"], "interrupted");
}

/// A finalizer of somebody's holds the namespace: the plan says what will be made again, `up` waits and quotes the API
/// server, the doctor too; once it has gone, everything is made.
fn a_namespace_that_is_being_deleted(cluster: &Cluster) {
    let profile = cluster.profile("first", &[LARGE]);
    cluster.up(&profile, &[]).expect(0);
    let held = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "namespace": NAMESPACE, "finalizers": ["example.com/held"]}});
    cluster.kubectl(&["create", "-f", "-"], Some(&held.to_string()));
    let delete = ["delete", "namespace", NAMESPACE, "--wait=false"];
    cluster.kubectl(&delete, None);
    until("only what is held is left", || {
        let namespace = cluster.kubectl(&["get", "namespace", NAMESPACE, "-o", "json"], None);
        namespace.contains("example.com/held in 1 resource instances")
    });
    let document = cluster.plan(&profile, &[]).expect(0);
    for id in [
        "namespace/-/actions-runner",
        "runner-deployment/actions-runner/basic",
        "horizontal-runner-autoscaler/actions-runner/basic",
    ] {
        assert_eq!(action(&document, id), "create", "{document:#}");
    }
    let shown = cluster.arcctl(&["plan", "-f", profile.to_str().unwrap()]);
    assert!(
        shown.stdout.contains("example.com/held"),
        "{}",
        shown.stdout
    );
    let found = crate::doctor::run(cluster, &profile, &[]).expect(1);
    let there = crate::doctor::check(&found, "resources-there");
    assert!(
        there["found"].to_string().contains("example.com/held"),
        "{there:#}"
    );
    up_once_it_is_free(cluster, &profile);
}

fn up_once_it_is_free(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let mut running = cluster.arcctl_in_background(&["up", "-f", file, "--yes", "-o", "json"]);
    running.wait_for("example.com/held");
    let free = [
        "-n",
        NAMESPACE,
        "patch",
        "configmap",
        "held",
        "--type=merge",
        "-p",
    ];
    let none = ["{\"metadata\":{\"finalizers\":null}}"];
    cluster.kubectl(&[&free[..], &none[..]].concat(), None);
    let ended = running.end();
    cluster.keep(&ended);
    ended.expect(0);
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 0);
}

fn action(document: &Value, id: &str) -> String {
    let steps = document["steps"].as_array().unwrap();
    let step = steps.iter().find(|it| it["id"] == id);
    step.unwrap_or_else(|| panic!("no step {id}"))["action"]
        .as_str()
        .unwrap()
        .to_owned()
}
