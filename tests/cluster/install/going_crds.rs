//! A CRD whose deletion is blocked by an object's finalizer: shown in the plan, waited for, and created again.

use serde_json::json;

use crate::{
    doctor::{check, run},
    harness::cluster::Cluster,
};

const CRD: &str = "runners.actions.summerwind.dev";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_crd_that_is_being_deleted_is_waited_for_and_made_again() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    hold(&cluster);

    let plan = cluster.arcctl(&["plan", "-f", file]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let says = format!("made again once it has gone: CRD `{CRD}` is being deleted");
    let mut lines = plan.stdout.lines();
    let line = lines.find(|it| it.contains(&says));
    let line = line.unwrap_or_else(|| panic!("{}", plan.stdout));
    assert!(
        line.contains("Runner `default/held` waits for example.com/hold"),
        "{line}"
    );

    let waits = "Runner `default/held` waits for example.com/hold";
    let ended = cluster.up_until(&profile, &["--timeout", "15s"], waits);
    let error = ended.document()["error"].clone();
    let hint = error["hint"].as_str().unwrap();
    let way_out = format!("kubectl -n default patch {CRD} held --type=merge");
    assert!(hint.contains(&way_out), "{hint}");

    let document = run(&cluster, &profile, &[]).expect(1);
    let there = check(&document, "resources-there");
    assert!(
        there["found"].to_string().contains("is being deleted"),
        "{there}"
    );
    assert!(there["fix"].to_string().contains(&way_out), "{there}");

    let free = r#"{"metadata":{"finalizers":null}}"#;
    let patch = [
        "-n",
        "default",
        "patch",
        CRD,
        "held",
        "--type=merge",
        "-p",
        free,
    ];
    cluster.kubectl(&patch, None);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    assert_eq!(cluster.up(&profile, &[]).expect(0)["changed"], 0);
    cluster.finish();
}

/// `kubectl delete crd` while a runner of it has a finalizer.
fn hold(cluster: &Cluster) {
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD},
        "spec": {
            "group": "actions.summerwind.dev", "scope": "Namespaced",
            "names": {"plural": "runners", "singular": "runner", "kind": "Runner", "listKind": "RunnerList"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&crd.to_string()));
    let established = [
        "wait",
        "crd",
        CRD,
        "--for=condition=Established",
        "--timeout=5m",
    ];
    cluster.kubectl(&established, None);
    let runner = json!({
        "apiVersion": "actions.summerwind.dev/v1alpha1", "kind": "Runner",
        "metadata": {"name": "held", "namespace": "default", "finalizers": ["example.com/hold"]},
        "spec": {},
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&runner.to_string()));
    cluster.kubectl(&["delete", "crd", CRD, "--wait=false"], None);
    let going = [
        "wait",
        "crd",
        CRD,
        "--for=condition=Terminating",
        "--timeout=5m",
    ];
    cluster.kubectl(&going, None);
}
