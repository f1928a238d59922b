//! Remains of earlier installations, and resources that are being deleted: the plan names them, before the first write.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

#[test]
#[ignore = "slow: `make test-slow`"]
fn what_earlier_installations_left_is_in_the_plan() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    a_namespace_that_does_not_end(&cluster, &profile);
    objects_of_a_release_that_is_installed(&cluster, &profile);
    objects_that_a_release_left(&cluster, &profile);
    cluster.finish();
}

fn apply(cluster: &Cluster, objects: &Value) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    cluster.kubectl(&["create", "-f", "-"], Some(&list.to_string()));
}

fn a_namespace_that_does_not_end(cluster: &Cluster, profile: &Path) {
    let file = profile.to_str().unwrap();
    let holds = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "held", "namespace": "actions-runner", "finalizers": ["example.com/hold"],
    }});
    cluster.kubectl(&["create", "namespace", "actions-runner"], None);
    apply(cluster, &json!([holds]));
    let delete = ["delete", "namespace", "actions-runner", "--wait=false"];
    cluster.kubectl(&delete, None);
    let wait = ["wait", "namespace/actions-runner", "--timeout=5m"];
    let content = "--for=condition=NamespaceFinalizersRemaining";
    cluster.kubectl(&[&wait[..], &[content]].concat(), None);
    let plan = cluster.arcctl(&["plan", "-f", file]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    // Why it is made again is on the line below it.
    let lines: Vec<&str> = plan.stdout.lines().collect();
    let own = lines
        .iter()
        .position(|it| it.ends_with("namespace/-/actions-runner"));
    let line = own.and_then(|it| lines.get(it + 1));
    let line = line.unwrap_or_else(|| panic!("{}", plan.stdout));
    assert!(
        line.contains("is being deleted: ")
            && line.contains("example.com/hold in 1 resource instances"),
        "{line}"
    );
    let limit = ["--timeout", "12s"];
    let _told = cluster.up_until(profile, &limit, "example.com/hold");
    let free = r#"{"metadata":{"finalizers":null}}"#;
    let patch = [
        "-n",
        "actions-runner",
        "patch",
        "configmap",
        "held",
        "--type=merge",
        "-p",
        free,
    ];
    cluster.kubectl(&patch, None);
}

fn role(name: &str, release: Option<(&str, &str)>) -> Value {
    let mut role = json!({
        "apiVersion": RBAC, "kind": "ClusterRole", "metadata": {"name": name}, "rules": [],
    });
    if let Some((release, namespace)) = release {
        role["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "Helm"});
        role["metadata"]["annotations"] = json!({
            "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace,
        });
    }
    role
}

/// Another release has it and lives: it is not taken, also with `--adopt`.
fn objects_of_a_release_that_is_installed(cluster: &Cluster, profile: &Path) {
    let directory = cluster.file("mini", "").with_file_name("mini-chart");
    std::fs::create_dir_all(directory.join("templates")).unwrap();
    let chart = "apiVersion: v2\nname: mini\nversion: 1.0.0\n";
    std::fs::write(directory.join("Chart.yaml"), chart).unwrap();
    let template = role("actions-runner-controller-proxy", None).to_string();
    std::fs::write(directory.join("templates/role.yaml"), template).unwrap();
    let path = directory.to_str().unwrap();
    cluster.helm(
        &["install", "old", path, "-n", "infra", "--create-namespace"],
        None,
    );
    for more in [&[][..], &["--adopt"]] {
        let plan = cluster.plan(profile, more);
        let document = plan.expect(7);
        let error = &document["error"];
        assert!(
            error["hint"]
                .as_str()
                .unwrap()
                .contains("helm -n infra uninstall old"),
            "{error}"
        );
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("actions-runner-controller-proxy"),
            "{error}"
        );
    }
    cluster.helm(&["uninstall", "old", "-n", "infra"], None);
}

/// A release that was elsewhere and is gone: all of it is named, and taken with `--adopt`.
fn objects_that_a_release_left(cluster: &Cluster, profile: &Path) {
    let old = Some(("actions-runner-controller", "old-system"));
    let binding = json!({
        "apiVersion": RBAC, "kind": "ClusterRoleBinding",
        "metadata": {"name": "actions-runner-controller-manager", "annotations": {"meta.helm.sh/release-name": "x"}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "actions-runner-controller-manager"},
        "subjects": [],
    });
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {
        "name": "actions-runner-controller", "namespace": SYSTEM,
    }});
    let left = [
        role("actions-runner-controller-manager", old),
        role("actions-runner-controller-manager-secrets", old),
        role("actions-runner-controller-runner-viewer", None),
        role("cert-manager-cainjector", Some(("cm", "infra"))),
        binding,
        account,
    ];
    apply(cluster, &json!(left));
    let writes = cluster.kubernetes_writes();
    for command in ["plan", "up"] {
        let ended = match command {
            "plan" => cluster.plan(profile, &[]),
            _ => cluster.up(profile, &[]),
        };
        let document = ended.expect(7);
        let message = document["error"]["message"].as_str().unwrap();
        for object in &left {
            let name = object["metadata"]["name"].as_str().unwrap();
            assert!(message.contains(name), "{name}: {message}");
        }
        assert!(
            message.contains("of release actions-runner-controller in namespace old-system"),
            "{message}"
        );
    }
    assert_eq!(cluster.kubernetes_writes(), writes);
    let ended = cluster.up(profile, &["--adopt"]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    let role = cluster.get(
        "clusterrole",
        "default",
        "actions-runner-controller-manager",
    );
    assert!(!role["rules"].as_array().unwrap().is_empty(), "{role}");
    let again = cluster.up(profile, &[]).expect(0);
    assert_eq!(again["changed"], 0, "{again:#}");
    assert_eq!(again["requests"]["helm"], 0);
}
