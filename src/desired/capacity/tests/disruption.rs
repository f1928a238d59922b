//! Tests of what is told of nodes that busy runners may lose.

use serde_json::{Value, json};

use super::{node_pool, of_any_capacity_type, pod, room};
use crate::desired::capacity::{PoolRoom, Seen, losses as told};

#[test]
fn what_may_take_a_node_from_a_busy_runner_is_advice() {
    let losses = |pool: Value, pod: &Value| {
        let seen = Seen {
            node_pools: vec![pool],
            ..Seen::default()
        };
        told(&[room(&seen, &json!({}), pod)])
    };
    let plain = pod("1");
    assert_eq!(losses(node_pool(|_| {}), &plain), [""; 0]);
    let consolidating = || node_pool(|it| it["spec"]["disruption"] = json!({}));
    let found = losses(consolidating(), &plain);
    assert!(
        found[0].contains("`podMetadata: {annotations: {karpenter.sh/do-not-disrupt: \"true\"}}`"),
        "{found:?}"
    );
    let mut spared = pod("1");
    spared["metadata"]["annotations"] = json!({"karpenter.sh/do-not-disrupt": "true"});
    assert_eq!(losses(consolidating(), &spared), [""; 0]);
    for budget in [
        json!({"nodes": "0"}),
        json!({"nodes": "0%", "reasons": ["Drifted", "Underutilized"]}),
    ] {
        let never = node_pool(|it| it["spec"]["disruption"] = json!({"budgets": [budget]}));
        assert_eq!(losses(never, &plain), [""; 0]);
    }
    let spot = || {
        node_pool(|it| {
            it["spec"]["template"]["spec"]["requirements"] = json!([
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot", "on-demand"]}]);
        })
    };
    assert!(losses(spot(), &plain)[0].contains("Spot"));
    assert!(losses(of_any_capacity_type(), &plain)[0].contains("Spot"));
    let mut lasting = pod("1");
    lasting["spec"]["nodeSelector"] = json!({"karpenter.sh/capacity-type": "on-demand"});
    assert_eq!(losses(spot(), &lasting), [""; 0]);
}

#[test]
fn a_node_pool_is_told_once_for_all_pools() {
    let seen = Seen {
        node_pools: vec![node_pool(|it| {
            it["metadata"]["name"] = json!("general-purpose");
            it["spec"]["template"]["spec"]["nodeClassRef"] = json!({"group": "eks.amazonaws.com"});
            it["spec"]["disruption"] = json!({});
        })],
        ..Seen::default()
    };
    let rooms: Vec<PoolRoom> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| room(&seen, &json!({"name": name}), &pod("1")))
        .collect();
    let found = told(&rooms);
    assert_eq!(
        found,
        [
            "NodePool `general-purpose` consolidates nodes with pods on them, and would end jobs of pools `a`, `b`, `c` … and 2 more: add `podMetadata: {annotations: {karpenter.sh/do-not-disrupt: \"true\"}}` to the pool"
        ]
    );
    let one = told(&rooms[..1]);
    assert!(one[0].contains("jobs of pool `a`: "), "{one:?}");
}

/// What is told of a pod, with the annotation and without.
fn told_of(node_pool: Value) -> [Vec<String>; 2] {
    let seen = Seen {
        node_pools: vec![node_pool],
        ..Seen::default()
    };
    [json!({}), json!({"karpenter.sh/do-not-disrupt": "true"})].map(|annotations| {
        let mut pod = pod("1");
        pod["metadata"]["annotations"] = annotations;
        told(&[room(&seen, &json!({}), &pod)])
    })
}

/// A `NodePool` of Karpenter's that is never consolidated: its nodes are replaced all the same.
#[test]
fn nodes_that_drift_or_get_old_are_advice() {
    let drifting = node_pool(|it| it["spec"]["disruption"] = json!({"consolidateAfter": "Never"}));
    let [plain, spared] = told_of(drifting);
    assert_eq!(
        plain,
        [
            "NodePool `default` replaces nodes that have drifted, such as after a new AMI, with pods on them, and would end jobs of pool `basic`: add `podMetadata: {annotations: {karpenter.sh/do-not-disrupt: \"true\"}}` to the pool, or give the NodePool `consolidationPolicy: WhenEmpty`, `expireAfter: Never` and a budget of 0 nodes for the reason `Drifted`"
        ]
    );
    assert_eq!(spared, [""; 0]);
    // One of a fixed size is not consolidated.
    let [plain, _] = told_of(node_pool(|it| {
        it["spec"]["disruption"] = json!({});
        it["spec"]["replicas"] = json!(2);
    }));
    assert!(plain[0].contains("have drifted"), "{plain:?}");
    let aging = |age: Value| node_pool(|it| it["spec"]["template"]["spec"]["expireAfter"] = age);
    for age in [Value::Null, json!("168h")] {
        let [plain, spared] = told_of(aging(age));
        assert!(plain[0].contains("older than `expireAfter`"), "{plain:?}");
        assert_eq!(spared, [""; 0]);
    }
}

/// `expireAfter: Never` does not change it.
#[test]
fn nodes_of_auto_mode_get_21_days_old_at_most() {
    let aging = |period: Value| {
        node_pool(|it| {
            let spec = &mut it["spec"]["template"]["spec"];
            spec["nodeClassRef"] = json!({"group": "eks.amazonaws.com"});
            spec["terminationGracePeriod"] = period;
        })
    };
    let told = "older than 21 days or a shorter `expireAfter`, ";
    let [plain, spared] = told_of(aging(Value::Null));
    assert!(plain[0].contains(told), "{plain:?}");
    assert_eq!(spared, [""; 0]);
    let [_, spared] = told_of(aging(json!("1h")));
    assert!(spared[0].contains(told), "{spared:?}");
}

#[test]
fn a_grace_period_shorter_than_a_job_ends_spared_pods() {
    let patient = |period: &str| {
        node_pool(|it| {
            it["spec"]["disruption"] = json!({});
            it["spec"]["template"]["spec"]["terminationGracePeriod"] = json!(period);
        })
    };
    let [plain, spared] = told_of(patient("1h30m"));
    assert!(plain[0].contains("consolidates"), "{plain:?}");
    assert!(
        spared[0].contains("`terminationGracePeriod` of less than 6 hours"),
        "{spared:?}"
    );
    assert_eq!(told_of(patient("24h0m0s"))[1], [""; 0]);
}
