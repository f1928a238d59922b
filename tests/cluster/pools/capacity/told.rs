//! What `up` and `doctor` tell of nodes that do not hold a minimum which comes in days, and of a `NodePool` that does.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    doctor::{cases::Elsewhere, check, run},
    harness::cluster::Cluster,
};

/// A minimum that two nodes of t3a.large do not hold.
const NINE: (&str, &str) = ("00:00, min: 1}", "00:00, min: 9}");

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_minimum_that_does_not_fit_is_told_before_it_is_in_force() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("nine", &[NINE]);
    let up = cluster.up(&profile, &[]);
    up.expect(0);
    let advice =
        "advice: pool `basic`: its schedule needs 9 runners; 0 have a node, and 4 more fit";
    assert!(up.stderr.contains(advice), "{}", up.stderr);
    let hold = Elsewhere::NodesHoldMinimum.id();
    let found = broken(&cluster, &profile, hold);
    assert!(
        found.contains("2 have a node") && found.contains("Insufficient cpu"),
        "{found}"
    );
    node_pool(&cluster);
    assert_eq!(verdict(&cluster, &profile, hold), "holds");
    let keep = Elsewhere::BusyRunnersKeepNode.id();
    let found = broken(&cluster, &profile, keep);
    assert!(found.contains("NodePool `default`"), "{found}");
    let patch = |spec: &Value| {
        let patch = json!({"spec": spec}).to_string();
        let args = ["patch", "nodepool", "default", "--type=merge", "-p", &patch];
        cluster.kubectl(&args, None);
    };
    patch(&json!({"disruption": {"consolidationPolicy": "WhenEmpty"}}));
    let found = broken(&cluster, &profile, keep);
    assert!(found.contains("have drifted"), "{found}");
    patch(&json!({
        "disruption": {"budgets": [{"nodes": "0"}]},
        "template": {"spec": {"expireAfter": "Never"}},
    }));
    assert_eq!(verdict(&cluster, &profile, keep), "holds");
    cluster.finish();
}

/// What a check that is broken has found.
fn broken(cluster: &Cluster, profile: &Path, id: &str) -> String {
    let document = run(cluster, profile, &[]).expect(0);
    let found: &Value = check(&document, id);
    assert_eq!(found["verdict"], "broken", "{found:#}");
    found["found"].to_string()
}

fn verdict(cluster: &Cluster, profile: &Path, id: &str) -> String {
    let document = run(cluster, profile, &[]).expect(0);
    check(&document, id)["verdict"].as_str().unwrap().to_owned()
}

/// Makes the kind that Karpenter brings, and a `NodePool` for the pool's instance type, with the condition that Karpenter sets.
fn node_pool(cluster: &Cluster) {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "nodepools.karpenter.sh"},
        "spec": {"group": "karpenter.sh", "scope": "Cluster",
            "names": {"plural": "nodepools", "singular": "nodepool", "kind": "NodePool"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": schema}}]}});
    let create = ["create", "-f", "-"];
    cluster.kubectl(&create, Some(&crd.to_string()));
    let established = ["wait", "--for=condition=Established", "--timeout=60s"];
    let name = ["crd/nodepools.karpenter.sh"];
    cluster.kubectl(&[&established[..], &name].concat(), None);
    let requirement = json!({"key": "node.kubernetes.io/instance-type", "operator": "In",
        "values": ["t3a.large"]});
    let lasting = json!({"key": "karpenter.sh/capacity-type", "operator": "In",
        "values": ["on-demand"]});
    let pool = json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool",
        "metadata": {"name": "default"},
        "spec": {"template": {"spec": {"requirements": [requirement, lasting]}}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    cluster.kubectl(&create, Some(&pool.to_string()));
}
