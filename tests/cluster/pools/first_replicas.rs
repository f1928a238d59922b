//! A new pool begins with its minimum; from then on the replicas are the autoscaler's alone.

use serde_json::Value;

use crate::harness::cluster::Cluster;

const NAMESPACE: &str = "actions-runner";

/// The field managers of the pool's `spec.replicas`, and its value.
fn replicas(cluster: &Cluster) -> (Vec<String>, Value) {
    let shown = cluster.kubectl(
        &[
            "-n",
            NAMESPACE,
            "get",
            "runnerdeployment",
            "basic",
            "-o",
            "json",
            "--show-managed-fields",
        ],
        None,
    );
    let live: Value = serde_json::from_str(&shown).unwrap();
    let fields = live["metadata"]["managedFields"].as_array().unwrap();
    let owners = fields
        .iter()
        .filter(|it| it["fieldsV1"]["f:spec"]["f:replicas"].is_object())
        .map(|it| it["manager"].as_str().unwrap().to_owned());
    (owners.collect(), live["spec"]["replicas"].clone())
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_new_pool_begins_with_its_minimum_and_only_the_autoscaler_changes_it() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let _first = cluster.up(&profile, &[]).expect(0);
    // The autoscaler has nothing to change: the value is what it computes itself.
    let (owners, value) = replicas(&cluster);
    assert_eq!(value, 2);
    let of_arcctl = owners.iter().filter(|it| it.starts_with("arcctl"));
    assert_eq!(of_arcctl.collect::<Vec<_>>(), ["arcctl-create"]);

    let planned = cluster.plan(&profile, &[]);
    let _unchanged = planned.expect(0);
    assert_eq!(planned.planned(), "");

    // A change by the autoscaler makes the field its own; no apply takes it back.
    let more = cluster.profile("more", &[("min: 2\n", "min: 4\n")]);
    let _grown = cluster.up(&more, &[]).expect(0);
    let (owners, value) = replicas(&cluster);
    assert_eq!(value, 4);
    assert!(
        owners.iter().all(|it| !it.starts_with("arcctl")),
        "{owners:?}"
    );

    let labelled = cluster.profile(
        "labelled",
        &[
            ("min: 2\n", "min: 4\n"),
            // Of the deployment alone: there is no room for new pods beside the old ones.
            (
                "    labels: [ubuntu-22.04,",
                "    metadata: {labels: {team: fast}}\n    labels: [ubuntu-22.04,",
            ),
        ],
    );
    let applied = cluster.up(&labelled, &[]);
    let _applied = applied.expect(0);
    assert_eq!(replicas(&cluster).1, 4);
    let before = cluster.kubernetes_writes();
    assert_eq!(cluster.up(&labelled, &[]).expect(0)["changed"], 0);
    assert_eq!(cluster.kubernetes_writes(), before);

    // One that somebody has deleted is new again.
    let delete = ["-n", NAMESPACE, "delete", "runnerdeployment", "basic"];
    cluster.kubectl(&delete, None);
    let _again = cluster.up(&labelled, &[]).expect(0);
    assert_eq!(replicas(&cluster).1, 4);
    cluster.finish();
}
