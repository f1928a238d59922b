//! Tests of what is told of pools that the nodes cannot hold.

mod disruption;
mod node_pools;

use serde_json::{Value, json};

use super::*;
use crate::desired::tests::profile;

fn node(name: &str, cpu: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"node.kubernetes.io/instance-type": "t3a.large"}},
        "spec": {},
        "status": {"allocatable": {"cpu": cpu, "memory": "16Gi", "pods": "35"}},
    })
}

fn pod(cpu: &str) -> Value {
    json!({
        "metadata": {"namespace": "actions-runner", "name": "probe"},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]},
    })
}

fn on(node: &str, pool: &str, mut pod: Value) -> Value {
    pod["metadata"]["labels"] = json!({POOL_LABEL: pool});
    pod["spec"]["nodeName"] = json!(node);
    pod
}

/// A Saturday.
fn now() -> Timestamp {
    "2026-11-28T00:00:00Z".parse().unwrap()
}

/// Two nodes of two cores, each with a pod of a `DaemonSet`.
fn seen() -> Seen {
    let mut seen = Seen::default();
    for name in ["a", "b"] {
        seen.node(&node(name, "2"));
        let mut agent = on(name, "none", pod("500m"));
        agent["metadata"] =
            json!({"namespace": "kube-system", "ownerReferences": [{"kind": "DaemonSet"}]});
        seen.pod(&agent);
    }
    seen
}

/// The only pool's room.
fn room(seen: &Seen, pool: &Value, pod: &Value) -> PoolRoom {
    let mut pools = json!([{"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4}]);
    for (key, value) in pool.as_object().unwrap() {
        pools[0][key] = value.clone();
    }
    let profile = profile(&json!({"pools": pools}));
    let mut rooms = seen.rooms(&[(&profile.pools[0], pod.clone())], now());
    rooms.remove(0)
}

#[test]
fn a_maximum_that_does_not_fit_is_advice_with_the_nodes_that_it_needs() {
    let mut seen = seen();
    seen.pod(&on("a", "basic", pod("1")));
    let short = room(&seen, &json!({}), &pod("1"));
    assert_eq!((short.placed, short.fits), (1, 1));
    assert_eq!((short.minimum.lacking, short.maximum.lacking), (0, 2));
    assert_eq!(
        short.advice().as_deref(),
        Some(
            "pool `basic`: at most 4 runners; 1 has a node, and 1 more fits now; 2 would stay Pending (0/2 nodes are available: 2 Insufficient cpu); add 2 more nodes like `b` (t3a.large), with 1 on each, or lower the number in pool `basic`"
        )
    );
    assert!(short.maximum.is_short());
    let fits = room(&seen, &json!({"max": 2}), &pod("1"));
    assert_eq!(
        (fits.maximum.lacking, fits.maximum.pending.as_str()),
        (0, "")
    );
    assert_eq!(fits.advice(), None);
    assert!(!fits.maximum.is_short());
}

#[test]
fn the_listener_of_a_scale_set_is_none_of_its_runners() {
    let of_set = |runner: Value| {
        let mut pod = on("a", "basic", pod("100m"));
        pod["metadata"]["labels"] =
            json!({SCALE_SET_LABEL: "basic", "actions-ephemeral-runner": runner});
        let mut seen = seen();
        seen.pod(&pod);
        room(&seen, &json!({}), &pod).placed
    };
    assert_eq!(of_set(json!("True")), 1);
    assert_eq!(of_set(Value::Null), 0);
}

/// The check of the doctor is about this: the nodes of today and the minimum of Monday.
#[test]
fn a_minimum_of_the_schedule_that_does_not_fit_comes_first() {
    let schedule = json!({"timeZone": "Asia/Seoul", "windows": [
        {"name": "day", "days": "Mon-Fri", "from": "08:00", "to": "20:00", "min": 3}]});
    let room = room(&seen(), &json!({"schedule": schedule}), &pod("1"));
    assert_eq!((room.minimum.wanted, room.minimum.lacking), (3, 1));
    let advice = room.advice().unwrap();
    assert!(
        advice.starts_with(
            "pool `basic`: its schedule needs 3 runners; 0 have a node, and 2 more fit now; 1 would stay Pending"
        ),
        "{advice}"
    );
}

#[test]
fn a_window_that_is_over_or_never_in_force_needs_no_nodes() {
    let minimum = |windows: Value| {
        let schedule = json!({"timeZone": "Asia/Seoul", "windows": windows});
        room(&seen(), &json!({"schedule": schedule}), &pod("1")).minimum
    };
    let launch = |year: u32| {
        json!({"name": "launch", "from": format!("{year}-03-01 08:00"),
            "to": format!("{year}-03-02 08:00"), "min": 4})
    };
    assert_eq!(minimum(json!([launch(2026)])).wanted, 1);
    let coming = minimum(json!([launch(2027)]));
    assert_eq!((coming.wanted, coming.lacking), (4, 2));
    let day = json!({"name": "day", "from": "08:00", "to": "20:00", "min": 2});
    let night = json!({"name": "night", "from": "20:00", "to": "08:00", "min": 0});
    assert_eq!(minimum(json!([day, night, launch(2027)])).wanted, 2);
}

#[test]
fn pools_share_the_nodes() {
    let seen = seen();
    let profile = profile(&json!({"pools": [
        {"name": "first", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 1},
        {"name": "second", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 2},
    ]}));
    let pools: Vec<(&Pool, Value)> = profile.pools.iter().map(|it| (it, pod("1"))).collect();
    let rooms = seen.rooms(&pools, now());
    assert_eq!((rooms[0].fits, rooms[0].maximum.lacking), (2, 0));
    assert_eq!((rooms[1].fits, rooms[1].maximum.lacking), (2, 1));
    assert_eq!(rooms[1].minimum.lacking, 0);
    let advice = rooms[1].advice().unwrap();
    assert!(
        advice.contains("; with the pools before it, 1 would stay Pending"),
        "{advice}"
    );
}

#[test]
fn without_a_node_that_takes_it_the_instance_type_tells() {
    let mut large = pod("500m");
    large["spec"]["nodeSelector"] = json!({"disk": "fast"});
    let known = room(&seen(), &json!({"instanceType": "t3a.large"}), &large);
    assert_eq!(known.fits, 0);
    assert_eq!(
        known.maximum.needs.as_deref(),
        Some(
            "about 2 more nodes of `t3a.large`, with 3 on each: computed from the instance type, without DaemonSets"
        )
    );
    let unknown = room(&seen(), &json!({}), &large);
    assert_eq!(unknown.maximum.needs, None);
    assert_eq!(
        unknown.fix(&unknown.maximum),
        "add nodes that fit its pods, or lower the number in pool `basic`"
    );
    let huge = room(&seen(), &json!({"instanceType": "t3a.large"}), &pod("3"));
    let fix = huge.fix(&huge.maximum);
    assert!(
        fix.contains("an instance type larger than `t3a.large`"),
        "{fix}"
    );
}

/// A `NodePool` without a requirement on what its nodes cost.
fn of_any_capacity_type() -> Value {
    node_pool(|it| {
        let requirements = it["spec"]["template"]["spec"]["requirements"].as_array_mut();
        requirements.unwrap().truncate(1);
    })
}

/// A `NodePool` that is ready, and removes no node with pods on it.
fn node_pool(change: impl FnOnce(&mut Value)) -> Value {
    let mut it = json!({
        "metadata": {"name": "default"},
        "spec": {
            "template": {"metadata": {"labels": {"team": "ci"}}, "spec": {
                "expireAfter": "Never",
                "requirements": [
                    {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                    {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                ],
            }},
            "disruption": {
                "consolidationPolicy": "WhenEmpty",
                "budgets": [{"nodes": "10%"}, {"nodes": "0", "reasons": ["Drifted"]}],
            },
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    change(&mut it);
    it
}

#[test]
fn cluster_autoscaler_is_told_the_labels_of_a_first_node() {
    let mut seen = seen();
    let mut autoscaler = pod("100m");
    autoscaler["metadata"]["namespace"] = json!("autoscaling");
    autoscaler["spec"]["nodeName"] = json!("a");
    let image = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0";
    autoscaler["spec"]["containers"][0]["image"] = json!(image);
    let mut ended = autoscaler.clone();
    ended["status"] = json!({"phase": "Failed"});
    seen.pod(&ended);
    let mut other = pod("1");
    other["spec"]["nodeSelector"] = json!({"disk": "fast"});
    let alone = room(&seen, &json!({}), &other);
    assert_eq!(alone.maximum.growth, Growth::None);
    seen.pod(&autoscaler);
    let mut pod = pod("1");
    pod["spec"]["nodeSelector"] = json!({
        "disk": "fast",
        "node.kubernetes.io/instance-type": "t3a.large",
        // Cluster Autoscaler knows these of its group.
        "kubernetes.io/arch": "arm64",
        "topology.kubernetes.io/zone": "eu-central-1a",
    });
    let grows = room(&seen, &json!({}), &pod);
    assert!(!grows.maximum.is_short() && grows.maximum.depends_on_groups());
    let advice = grows.advice().unwrap();
    assert!(
        advice.contains("the tag `k8s.io/cluster-autoscaler/node-template/label/disk` = `fast` ("),
        "{advice}"
    );
}

#[test]
fn what_is_not_known_is_no_number() {
    let mut pod = pod("1");
    pod["spec"]["topologySpreadConstraints"] = json!([{"whenUnsatisfiable": "DoNotSchedule"}]);
    let room = room(&seen(), &json!({}), &pod);
    assert!(room.not_known.is_some());
    assert_eq!(room.maximum, Lack::default());
    assert_eq!(room.advice(), None);
}

#[test]
fn limits_are_requests_where_there_are_none() {
    let given = json!({"spec": {"containers": [
        {"resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "1"}}}, {}]}});
    let pod = with_default_requests(&given);
    let requests = &pod["spec"]["containers"][0]["resources"]["requests"];
    assert_eq!(*requests, json!({"cpu": "1", "memory": "1Gi"}));
    assert_eq!(pod["spec"]["containers"][1], json!({}));
}
