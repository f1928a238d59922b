//! Five hundred objects that look like arcctl's: none is written, not even without a change.

use std::{collections::BTreeMap, io::Write as _};

use arcctl_sandbox::github::{NewRunner, Owner};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{
    ground::{Ground, Work},
    listing::objects,
};

/// In how many namespaces the names of arcctl's objects are used by others.
const NAMESPACES: usize = 45;

/// Objects with the names of arcctl's in a namespace that is not arcctl's: path and manifest.
fn in_namespace(namespace: &str) -> Vec<(String, Value)> {
    let core = |plural: &str| format!("/api/v1/namespaces/{namespace}/{plural}");
    let of = |api: &str, kind: &str, name: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}});
    let mut found = vec![(
        "/api/v1/namespaces".to_owned(),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
    )];
    for name in [
        "controller-manager",
        "actions-runner-controller-serving-cert",
        "cert-manager-webhook-ca",
        "arcctl-github",
    ] {
        found.push((core("secrets"), of("v1", "Secret", name)));
    }
    for name in ["arcctl-dogecompany", "basic", "arcctl-schedule-dogecompany"] {
        found.push((core("configmaps"), of("v1", "ConfigMap", name)));
    }
    for name in ["actions-runner-controller", "cert-manager", "arc", "fast"] {
        found.push((core("serviceaccounts"), of("v1", "ServiceAccount", name)));
        let mut release = of("v1", "Secret", &format!("sh.helm.release.v1.{name}.v1"));
        release["type"] = json!("helm.sh/release.v1");
        // Another release's: its name is said by a label.
        release["metadata"]["labels"] =
            json!({"owner": "helm", "name": "other", "status": "deployed", "version": "1"});
        release["data"] = json!({"release": packed()});
        found.push((core("secrets"), release));
    }
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let mut lease = of("coordination.k8s.io/v1", "Lease", "arcctl-dogecompany");
    lease["spec"] = json!({"holderIdentity": "somebody", "leaseDurationSeconds": 15});
    found.push((leases, lease));
    let mut other = of("v1", "ConfigMap", "of-another-profile");
    other["metadata"]["labels"] =
        json!({"app.kubernetes.io/managed-by": "arcctl", "arcctl.dev/profile": "dogecompany2"});
    found.push((core("configmaps"), other));
    found
}

/// A release of nothing, as helm writes it.
fn packed() -> String {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let record = json!({"chart": {"metadata": {"version": "1"}}, "config": {}, "manifest": ""});
    zipped.write_all(record.to_string().as_bytes()).unwrap();
    STANDARD.encode(STANDARD.encode(zipped.finish().unwrap()))
}

/// Cluster-wide objects with names like those of the charts.
fn cluster_wide(index: usize) -> Vec<(String, Value)> {
    let name = format!("actions-runner-controller-manager-role-{index}");
    vec![(
        "/apis/rbac.authorization.k8s.io/v1/clusterroles".to_owned(),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {
                "app.kubernetes.io/instance": "actions-runner-controller",
                "app.kubernetes.io/name": "actions-runner-controller",
            }},
        }),
    )]
}

/// Makes the look-alikes; how many.
fn surround(ground: &Ground) -> usize {
    let client = ground.cluster.world().kube();
    let mut all = Vec::new();
    for index in 0..NAMESPACES {
        all.extend(in_namespace(&format!("elsewhere-{index}")));
        all.extend(cluster_wide(index));
    }
    let (namespaces, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|it| it.1["kind"] == "Namespace");
    let mut count = 0;
    for part in [namespaces, rest] {
        count += part.len();
        ground.cluster.block_on(
            stream::iter(part)
                .map(|(path, manifest)| {
                    let request = http::Request::post(path)
                        .header("content-type", "application/json")
                        .body(manifest.to_string().into_bytes())
                        .unwrap();
                    let client = client.clone();
                    async move { drop(client.request::<Value>(request).await.unwrap()) }
                })
                .buffer_unordered(16)
                .collect::<Vec<()>>(),
        );
    }
    let owner = Owner::enterprise("dogecompany");
    for index in 0..20 {
        for name in [format!("basic-{index}"), format!("other-abcd{index}-fghij")] {
            let runner = NewRunner {
                name,
                ..NewRunner::default()
            };
            ground
                .cluster
                .world()
                .github()
                .add_runner(&owner, runner)
                .unwrap();
            count += 1;
        }
    }
    for index in 0..5 {
        let github = ground.cluster.world().github();
        let set = github.add_scale_set(&owner, &format!("fast-{index}"), &["gpu"]);
        set.unwrap();
        count += 1;
    }
    count
}

/// Each look-alike with the version of its last write, and each runner of others.
fn untouched(ground: &Ground) -> BTreeMap<String, String> {
    let client = ground.cluster.world().kube();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: BTreeMap<String, String> = ground
        .cluster
        .block_on(objects(&client))
        .iter()
        .filter(|it| {
            let metadata = &it["metadata"];
            let theirs = |key: &str| text(&metadata[key]).starts_with("elsewhere-");
            let role =
                text(&metadata["name"]).starts_with("actions-runner-controller-manager-role-");
            theirs("namespace")
                || it["kind"] == "Namespace" && theirs("name")
                || role && it["kind"] == "ClusterRole"
        })
        .map(|it| {
            let metadata = &it["metadata"];
            let address = [&it["kind"], &metadata["namespace"], &metadata["name"]]
                .map(text)
                .join("/");
            (address, text(&metadata["resourceVersion"]))
        })
        .collect();
    let github = ground.cluster.world().github();
    let sets = github.scale_sets().into_iter();
    let sets = sets.filter(|it| it.name.starts_with("fast-"));
    found.extend(sets.map(|it| {
        let address = format!("at GitHub/scale set {}", it.name);
        (address, format!("{} {:?}", it.id, it.labels))
    }));
    let runners = github.runners();
    let theirs = |name: &str| {
        let end = name
            .strip_prefix("basic-")
            .map(|it| it.parse::<usize>().is_ok());
        end.unwrap_or_else(|| name.starts_with("other-abcd"))
    };
    found.extend(runners.into_iter().filter(|it| theirs(&it.name)).map(|it| {
        (
            format!("at GitHub/{}", it.name),
            format!("{} {} {}", it.id, it.online, it.busy),
        )
    }));
    found
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn nothing_that_only_looks_alike_is_touched() {
    let ground = Ground::with_scale_sets();
    let count = surround(&ground);
    assert!(count >= 500, "only {count}");
    // The cluster gives each namespace its account and its certificate.
    ground.settled();
    let before = untouched(&ground);
    assert!(
        before.len() >= count,
        "{} of {count} are there",
        before.len()
    );
    for work in [Work::Up, Work::Change, Work::Up, Work::Teardown] {
        let ended = ground.run(work);
        assert_eq!(ended.code, 0, "{}: {}", work.name(), ended.stderr);
        let after = untouched(&ground);
        let differing: Vec<&String> = before
            .keys()
            .chain(after.keys())
            .filter(|it| before.get(*it) != after.get(*it))
            .collect();
        assert!(differing.is_empty(), "after {}: {differing:?}", work.name());
    }
    ground.cluster.finish();
}
