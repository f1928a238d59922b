//! Tests of what Karpenter's `NodePools` add.

use serde_json::{Value, json};

use super::{node_pool, now, of_any_capacity_type, pod, room, seen};
use crate::{
    desired::{capacity::Growth, tests::profile},
    profile::Pool,
};

#[test]
fn a_node_pool_adds_nodes_up_to_its_limits() {
    let mut seen = seen();
    seen.node_pools = vec![node_pool(|_| {})];
    let grows = room(&seen, &json!({}), &pod("1"));
    let names = vec!["default".to_owned()];
    let none = Growth::NodePools {
        names: names.clone(),
        most: None,
        shared: false,
    };
    assert_eq!((grows.maximum.lacking, &grows.maximum.growth), (2, &none));
    assert_eq!(grows.advice(), None);
    seen.node_pools = vec![node_pool(|it| {
        it["spec"]["limits"] = json!({"cpu": "5"});
        it["status"]["resources"] = json!({"cpu": "4"});
    })];
    let limited = room(&seen, &json!({}), &pod("1"));
    let most = Some(1);
    let shared = false;
    let expected = Growth::NodePools {
        names,
        most,
        shared,
    };
    assert_eq!(limited.maximum.growth, expected);
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
        ("beta.kubernetes.io/arch", "amd64", true),
        ("beta.kubernetes.io/arch", "arm64", false),
        ("karpenter.k8s.aws/instance-category", "m", true),
        ("eks.amazonaws.com/instance-category", "m", false),
        ("eks.amazonaws.com/nodegroup", "runners", false),
        ("eks.amazonaws.com/capacityType", "ON_DEMAND", false),
        ("eks.amazonaws.com/compute-type", "auto", false),
    ] {
        let found = takes(&plain, "nodeSelector", selector(key, value));
        assert_eq!(found, expected, "{key}={value}");
    }
    let auto = node_pool(|it| {
        it["spec"]["template"]["spec"]["nodeClassRef"] = json!({"group": "eks.amazonaws.com"});
    });
    for (prefix, expected) in [("eks.amazonaws.com", true), ("karpenter.k8s.aws", false)] {
        let category = selector(&format!("{prefix}/instance-category"), "m");
        let found = takes(&auto, "nodeSelector", category);
        assert_eq!(found, expected, "{prefix}");
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
fn a_requirement_may_have_a_bound_that_it_includes() {
    let takes = |operator: &str, cpu: &str| {
        let key = "karpenter.k8s.aws/instance-cpu";
        let mut seen = seen();
        seen.node_pools = vec![node_pool(|it| {
            let bound = json!({"key": key, "operator": operator, "values": ["8"]});
            it["spec"]["template"]["spec"]["requirements"] = json!([bound]);
        })];
        let mut pod = pod("1");
        pod["spec"]["nodeSelector"] = json!({key: cpu});
        room(&seen, &json!({}), &pod).maximum.growth != Growth::None
    };
    for (operator, cpu, expected) in [
        ("Gte", "8", true),
        ("Gte", "4", false),
        ("Lte", "8", true),
        ("Lte", "16", false),
        ("Gt", "8", false),
    ] {
        assert_eq!(takes(operator, cpu), expected, "{operator} {cpu}");
    }
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

/// The limits allow five runners more than the nodes hold: four of the first pool, which are all that it lacks, and one.
#[test]
fn pools_share_the_limits_of_a_node_pool() {
    let mut seen = seen();
    let limited = |name: &str, weight: i64, cpu: &str| {
        node_pool(|it| {
            it["metadata"]["name"] = json!(name);
            it["spec"]["weight"] = json!(weight);
            it["spec"]["limits"] = json!({"cpu": cpu});
        })
    };
    seen.node_pools = vec![limited("low", 1, "2"), limited("high", 9, "3")];
    let profile = profile(&json!({"pools": [
        {"name": "first", "image": "r:v1-ubuntu-22.04", "min": 0, "max": 6},
        {"name": "second", "image": "r:v1-ubuntu-22.04", "min": 0, "max": 4},
    ]}));
    let pools: Vec<(&Pool, Value)> = profile.pools.iter().map(|it| (it, pod("1"))).collect();
    let rooms = seen.rooms(&pools, now());
    let found = |pool: usize| {
        let lack = &rooms[pool].maximum;
        let Growth::NodePools {
            names,
            most,
            shared,
        } = &lack.growth
        else {
            panic!("{lack:?}");
        };
        assert_eq!(*names, ["high", "low"]);
        (lack.lacking, *most, *shared, lack.is_short())
    };
    assert_eq!(found(0), (4, Some(5), false, false));
    assert_eq!(found(1), (4, Some(1), true, true));
    let advice = rooms[1].advice().unwrap();
    assert!(
        advice.contains("`high`, `low` allow 1 more at most beside the pools before it"),
        "{advice}"
    );
}

#[test]
fn a_node_pool_of_a_fixed_size_adds_no_node() {
    let mut seen = seen();
    seen.node_pools = vec![node_pool(|it| it["spec"]["replicas"] = json!(2))];
    let short = room(&seen, &json!({}), &pod("1"));
    assert_eq!(short.maximum.growth, Growth::None);
    assert!(short.maximum.is_short());
}

#[test]
fn a_node_pool_that_is_not_ready_is_named() {
    let with = |conditions: Value| {
        let named = |name: &str| {
            node_pool(|it| {
                it["metadata"]["name"] = json!(name);
                it["status"]["conditions"] = conditions.clone();
            })
        };
        let mut seen = seen();
        seen.node_pools = vec![named("a"), named("b")];
        room(&seen, &json!({}), &pod("1"))
    };
    let ready = |status: &str| {
        let class = json!({"type": "NodeClassReady", "status": "False"});
        json!([class, {"type": "Ready", "status": status}])
    };
    assert_eq!(with(ready("True")).advice(), None);
    // Karpenter is down since before it saw them, or only its CRD is left.
    let never = [Value::Null, json!([])];
    for conditions in [ready("False"), ready("Unknown")].into_iter().chain(never) {
        let stuck = with(conditions.clone());
        assert!(stuck.maximum.is_short(), "{conditions}");
        let advice = stuck.advice().unwrap();
        assert!(
            advice.ends_with(
                "see why these NodePools are not ready: `a`, `b` (`kubectl describe nodepools`); until then Karpenter adds no nodes of them; or lower the number in pool `basic`"
            ),
            "{advice}"
        );
    }
}
