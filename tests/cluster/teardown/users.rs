//! Other users of cert-manager: each of them prevents a teardown from uninstalling it, and arcctl's own resources do not.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const REQUEST: &str = include_str!("../../../templates/probe.csr");

/// What the plan of a teardown says of cert-manager's release: its action, and why it stays.
fn planned(cluster: &Cluster, file: &str) -> (String, String) {
    let ended = cluster.arcctl(&["plan", "--teardown", "-f", file, "-o", "json"]);
    let document = ended.expect(0);
    let mut steps = document["steps"].as_array().unwrap().iter();
    let step = steps.find(|it| it["id"] == "helm-release/cert-manager/cert-manager");
    let action = step.map_or("none", |it| it["action"].as_str().unwrap());
    let text = cluster.arcctl(&["plan", "--teardown", "-f", file]);
    (action.to_owned(), text.stdout)
}

fn object(version: &str, kind: &str, namespace: Option<&str>, more: &Value) -> Value {
    let mut object = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "theirs", "namespace": namespace},
    });
    for (key, value) in more.as_object().unwrap() {
        for (inner, value) in value.as_object().unwrap() {
            object[key][inner] = value.clone();
        }
    }
    object
}

fn request(owner: &Value) -> Value {
    let spec = json!({
        "request": STANDARD.encode(REQUEST),
        "issuerRef": {"name": "mesh", "kind": "Issuer", "group": "example.io"},
    });
    let metadata = json!({"ownerReferences": owner});
    object(
        "cert-manager.io/v1",
        "CertificateRequest",
        Some("default"),
        &json!({"spec": spec, "metadata": metadata}),
    )
}

/// What each user makes, and how the plan names it.
fn users(cluster: &Cluster) -> Vec<(&'static str, Value)> {
    // Any object will do for csi-driver's pod; one that is not there would have the garbage collector take the request.
    let name = "kube-root-ca.crt";
    let uid = cluster.get("configmap", "default", name)["metadata"]["uid"].clone();
    let pod = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}]);
    let annotated = |key: &str| json!({"metadata": {"annotations": {key: "theirs"}}});
    let backend = json!({"service": {"name": "a", "port": {"number": 80}}});
    let mut ingress = annotated("cert-manager.io/cluster-issuer");
    ingress["spec"] = json!({"defaultBackend": backend});
    vec![
        // istio-csr's has no owner, csi-driver's is a pod's.
        ("CertificateRequest `default/theirs`", request(&json!([]))),
        ("CertificateRequest `default/theirs`", request(&pod)),
        (
            "Ingress `default/theirs`",
            object("networking.k8s.io/v1", "Ingress", Some("default"), &ingress),
        ),
        (
            "ValidatingWebhookConfiguration `theirs`",
            object(
                "admissionregistration.k8s.io/v1",
                "ValidatingWebhookConfiguration",
                None,
                &annotated("cert-manager.io/inject-ca-from-secret"),
            ),
        ),
        (
            "CSIDriver `csi.cert-manager.io`",
            object(
                "storage.k8s.io/v1",
                "CSIDriver",
                None,
                &json!({"metadata": {"name": "csi.cert-manager.io"}, "spec": {"podInfoOnMount": true}}),
            ),
        ),
        (
            "Bundle `theirs`",
            object("trust.cert-manager.io/v1alpha1", "Bundle", None, &json!({})),
        ),
    ]
}

/// trust-manager's kind.
fn bundles(cluster: &Cluster) {
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "bundles.trust.cert-manager.io"},
        "spec": {
            "group": "trust.cert-manager.io",
            "scope": "Cluster",
            "names": {"plural": "bundles", "singular": "bundle", "kind": "Bundle"},
            "versions": [{
                "name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
    });
    cluster.kubectl(&["create", "-f", "-"], Some(&crd.to_string()));
    let established = "--for=condition=Established";
    let name = "crd/bundles.trust.cert-manager.io";
    cluster.kubectl(&["wait", "--timeout=5m", established, name], None);
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn whoever_uses_cert_manager_keeps_it() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let file = profile.to_str().unwrap();
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    bundles(&cluster);
    assert_eq!(planned(&cluster, file).0, "delete", "nobody uses it");
    for (name, object) in users(&cluster) {
        let text = object.to_string();
        // A kind that has just been made is served a moment later.
        let end = Instant::now() + crate::harness::waiting::PATIENCE;
        while let Err(said) = cluster.try_tool("kubectl", &["create", "-f", "-"], Some(&text)) {
            assert!(Instant::now() < end, "{name}: {said}");
            std::thread::sleep(Duration::from_millis(300));
        }
        let (action, shown) = planned(&cluster, file);
        assert_eq!(action, "keep", "{name}: {shown}");
        assert!(
            shown.contains(&format!("{name} needs it")),
            "{name}: {shown}"
        );
        cluster.kubectl(&["delete", "-f", "-"], Some(&text));
    }
    assert_eq!(
        planned(&cluster, file).0,
        "delete",
        "nobody uses it any more"
    );
    cluster.finish();
}
