//! Chart values that move the leader election Leases to other namespaces: a teardown deletes these too, so that their
//! namespaces can be deleted.

use serde_json::Value;

use crate::harness::cluster::Cluster;

#[test]
#[ignore = "slow: `make test-slow`"]
fn leases_that_values_move_keep_no_namespace() {
    let cluster = Cluster::fast();
    let own = "certManager:\n  install: auto\n  values: {global: {leaderElection: {namespace: cert-manager}}}";
    let profile = cluster.profile("arcctl", &[("certManager:\n  install: auto", own)]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    // The stand-ins are as the originals: this is where the Leases are.
    let lease = |namespace: &str, name: &str| cluster.get("lease", namespace, name);
    for (namespace, name) in [
        ("cert-manager", "cert-manager-controller"),
        ("cert-manager", "cert-manager-cainjector-leader-election"),
        ("actions-runner-system", "actions-runner-controller"),
    ] {
        let holder = lease(namespace, name)["spec"]["holderIdentity"].clone();
        assert_ne!(holder, Value::Null, "{name}");
    }
    let file = profile.to_str().unwrap();
    let plan = cluster.arcctl(&["plan", "--teardown", "-f", file]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(!plan.stdout.contains("stays"), "{}", plan.stdout);
    let ended = cluster.arcctl(&["teardown", "-f", file, "--yes", "-o", "json"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let left = cluster.kubectl(&["get", "namespaces", "-o", "name"], None);
    for gone in ["cert-manager", "actions-runner-system", "actions-runner"] {
        assert!(!left.contains(&format!("namespace/{gone}\n")), "{left}");
    }
    cluster.finish();
}
