//! Tests of what is told of pools that the nodes cannot hold.

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
    let mut rooms = seen.rooms(&[(&profile.pools[0], pod.clone())]);
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
fn pools_share_the_nodes() {
    let seen = seen();
    let profile = profile(&json!({"pools": [
        {"name": "first", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 1},
        {"name": "second", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 2},
    ]}));
    let pools: Vec<(&Pool, Value)> = profile.pools.iter().map(|it| (it, pod("1"))).collect();
    let rooms = seen.rooms(&pools);
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
        "add nodes that take its pods, or lower the number in pool `basic`"
    );
    let huge = room(&seen(), &json!({"instanceType": "t3a.large"}), &pod("3"));
    let fix = huge.fix(&huge.maximum);
    assert!(
        fix.contains("a larger instance type than `t3a.large`"),
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

fn node_pool(change: impl FnOnce(&mut Value)) -> Value {
    let mut it = json!({
        "metadata": {"name": "default"},
        "spec": {
            "template": {"metadata": {"labels": {"team": "ci"}}, "spec": {"requirements": [
                {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            ]}},
            "disruption": {"consolidationPolicy": "WhenEmpty"},
        },
    });
    change(&mut it);
    it
}

#[test]
fn a_node_pool_adds_nodes_up_to_its_limits() {
    let mut seen = seen();
    seen.node_pools = vec![node_pool(|_| {})];
    let grows = room(&seen, &json!({}), &pod("1"));
    let names = vec!["default".to_owned()];
    let none = Growth::NodePools {
        names: names.clone(),
        most: None,
    };
    assert_eq!((grows.maximum.lacking, &grows.maximum.growth), (2, &none));
    assert_eq!(grows.advice(), None);
    seen.node_pools = vec![node_pool(|it| {
        it["spec"]["limits"] = json!({"cpu": "5"});
        it["status"] = json!({"resources": {"cpu": "4"}});
    })];
    let limited = room(&seen, &json!({}), &pod("1"));
    let most = Some(1);
    assert_eq!(limited.maximum.growth, Growth::NodePools { names, most });
    assert!(limited.maximum.is_short());
    let advice = limited.advice().unwrap();
    assert!(advice.contains("the limits of NodePool `default` allow 1 more at most"));
    assert!(
        advice.ends_with(
            "raise spec.limits of NodePool `default`, or lower the number in pool `basic`"
        )
    );
}

#[test]
fn a_node_pool_takes_the_pods_that_match_it() {
    let takes = |pool: &Value, key: &str, value: Value| {
        let mut pod = pod("1");
        pod["spec"][key] = value;
        let mut seen = seen();
        seen.node_pools = vec![pool.clone()];
        room(&seen, &json!({}), &pod).maximum.growth != Growth::None
    };
    let plain = of_any_capacity_type();
    let selector = |key: &str, value: &str| json!({key: value});
    for (key, value, expected) in [
        ("kubernetes.io/arch", "amd64", true),
        ("kubernetes.io/arch", "arm64", false),
        ("team", "ci", true),
        ("team", "other", false),
        ("disk", "fast", false),
        ("topology.kubernetes.io/zone", "eu-central-1a", true),
        ("karpenter.sh/capacity-type", "spot", true),
        ("karpenter.sh/capacity-type", "on-demand", true),
        ("karpenter.sh/nodepool", "default", true),
        ("karpenter.sh/nodepool", "other", false),
        ("eks.amazonaws.com/nodegroup", "runners", false),
        ("eks.amazonaws.com/capacityType", "ON_DEMAND", false),
        ("eks.amazonaws.com/compute-type", "auto", false),
    ] {
        let found = takes(&plain, "nodeSelector", selector(key, value));
        assert_eq!(found, expected, "{key}={value}");
    }
    let tainted = node_pool(|it| {
        it["spec"]["template"]["spec"]["taints"] =
            json!([{"key": "runners", "effect": "NoSchedule"}]);
    });
    assert!(!takes(&tainted, "tolerations", json!([])));
    let all = json!([{"operator": "Exists"}]);
    assert!(takes(&tainted, "tolerations", all));
    let small = node_pool(|it| {
        let types = json!({"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["t3a.micro"]});
        let spec = &mut it["spec"]["template"]["spec"];
        spec["requirements"].as_array_mut().unwrap().push(types);
    });
    assert!(!takes(&small, "tolerations", json!([])));
}

#[test]
fn a_node_pool_meets_the_expressions_of_an_affinity() {
    let takes = |pool: &Value, key: &str, operator: &str, values: &[&str]| {
        let mut pod = pod("1");
        let expression = json!({"key": key, "operator": operator, "values": values});
        let terms = json!({"nodeSelectorTerms": [{"matchExpressions": [expression]}]});
        pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            terms;
        let mut seen = seen();
        seen.node_pools = vec![pool.clone()];
        room(&seen, &json!({}), &pod).maximum.growth != Growth::None
    };
    let own = node_pool(|it| {
        it["spec"]["template"]["spec"]["nodeClassRef"] = json!({"group": "karpenter.k8s.aws"});
    });
    let auto = node_pool(|it| {
        it["spec"]["template"]["spec"]["nodeClassRef"] = json!({"group": "eks.amazonaws.com"});
    });
    let compute = "eks.amazonaws.com/compute-type";
    let cases: &[(&Value, &str, &str, &[&str], bool)] = &[
        (&own, "karpenter.sh/nodepool", "DoesNotExist", &[], false),
        (
            &own,
            "topology.kubernetes.io/zone",
            "DoesNotExist",
            &[],
            false,
        ),
        (&own, "team", "DoesNotExist", &[], false),
        (&own, "disk", "DoesNotExist", &[], true),
        (&own, "karpenter.sh/nodepool", "NotIn", &["default"], false),
        (&own, "karpenter.sh/nodepool", "NotIn", &["other"], true),
        (&own, "team", "NotIn", &["ci"], false),
        (&own, "kubernetes.io/arch", "NotIn", &["amd64"], false),
        (&own, "kubernetes.io/arch", "NotIn", &["arm64"], true),
        (&own, "eks.amazonaws.com/nodegroup", "Exists", &[], false),
        (&own, compute, "NotIn", &["auto"], true),
        (&auto, compute, "NotIn", &["auto"], false),
        (&auto, compute, "In", &["auto"], true),
        (&auto, compute, "In", &["ec2"], false),
    ];
    for (pool, key, operator, values, expected) in cases {
        let found = takes(pool, key, operator, values);
        assert_eq!(found, *expected, "{key} {operator} {values:?}");
    }
}

#[test]
fn what_may_take_a_node_from_a_busy_runner_is_advice() {
    let losses = |pool: Value, pod: &Value| {
        let seen = Seen {
            node_pools: vec![pool],
            ..Seen::default()
        };
        super::losses(&[room(&seen, &json!({}), pod)])
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
    let never = node_pool(|it| {
        it["spec"]["disruption"] = json!({"budgets": [{"nodes": "0"}]});
    });
    assert_eq!(losses(never, &plain), [""; 0]);
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
fn a_node_pool_that_nobody_may_change_is_told_once_for_all_pools() {
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
    let found = super::losses(&rooms);
    assert_eq!(
        found,
        [
            "NodePool `general-purpose` consolidates nodes with pods on them, and would end jobs of pools `a`, `b`, `c` … and 2 more: add `podMetadata: {annotations: {karpenter.sh/do-not-disrupt: \"true\"}}` to the pool, or use a NodePool of your own"
        ]
    );
    let one = super::losses(&rooms[..1]);
    assert!(one[0].contains("jobs of pool `a`: "), "{one:?}");
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
    pod["spec"]["nodeSelector"] =
        json!({"disk": "fast", "node.kubernetes.io/instance-type": "t3a.large"});
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
