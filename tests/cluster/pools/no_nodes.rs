//! A cluster without nodes: the error names the pending pod, and what adds nodes.

use arcctl_sandbox::world::{Options, Pace};

use crate::{
    doctor::{check, roots, run},
    harness::cluster::Cluster,
};

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_cluster_without_nodes_is_told_as_that() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        nodes: Vec::new(),
        ..Options::default()
    });
    let profile = cluster.profile("arcctl", &[("certManager: 5m", "certManager: 25s")]);
    let why = "is unschedulable: no nodes available to schedule pods";
    let error = cluster.up_until(&profile, &[], why).document()["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("pod `cert-manager-"), "{message}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("Karpenter"), "{hint}");
    let document = run(&cluster, &profile, &[]).expect(1);
    assert!(roots(&document).contains(&"nodes-ready"), "{document:#}");
    let nodes = check(&document, "nodes-ready");
    assert!(
        nodes["found"].to_string().contains("none of 0 nodes"),
        "{nodes}"
    );
    cluster.finish();
}
