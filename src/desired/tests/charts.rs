//! Tests the values of both charts, by version.

use serde_json::{Value, json};

use super::profile;
use crate::desired::{
    Facts,
    charts::{cert_manager, controller},
};

fn controller_values(changes: &Value, facts: &Facts) -> Value {
    controller::values(&profile(changes), facts)
}

#[test]
fn the_controllers_values_without_anything_special() {
    assert_eq!(
        controller_values(&json!({}), &Facts::default()),
        json!({
            "replicaCount": 2,
            "webhookPort": 9443,
            "syncPeriod": "1m",
            "authSecret": {"enabled": true, "create": false, "name": "controller-manager"},
            "image": {"dindSidecarRepositoryAndTag": "docker:28-dind"},
            "podAnnotations": {"arcctl.dev/secret-version": "${SECRET_VERSION}"},
            "podSecurityContext": {"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"}},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        })
    );
}

#[test]
fn a_github_server_is_named_to_the_controller() {
    let values = controller_values(
        &json!({"github": {"url": "https://ghe.example/"}}),
        &Facts::default(),
    );
    assert_eq!(values["githubEnterpriseServerURL"], "https://ghe.example");
}

#[test]
fn the_secrets_version_is_in_the_pod_template() {
    let facts = Facts {
        secret_version: Some("42".into()),
        ..Facts::default()
    };
    let values = controller_values(&json!({}), &facts);
    assert_eq!(
        values["podAnnotations"],
        json!({"arcctl.dev/secret-version": "42"})
    );
}

#[test]
fn the_service_monitor_follows_the_version_and_the_cluster() {
    let of = |version: &str, mode: &str, crd: Option<bool>| {
        let changes = json!({"controller": {"chartVersion": version},
            "monitoring": {"serviceMonitor": mode, "labels": {"release": "prom"}}});
        let facts = Facts {
            service_monitor_crd: crd,
            ..Facts::default()
        };
        controller_values(&changes, &facts)["metrics"].clone()
    };
    for (mode, crd) in [("never", Some(true)), ("auto", Some(false)), ("auto", None)] {
        assert_eq!(of("0.23.7", mode, crd), Value::Null, "{mode}");
    }
    for (mode, crd) in [("always", None), ("auto", Some(true))] {
        assert_eq!(
            of("0.23.7", mode, crd),
            json!({"serviceMonitor": {"enable": true}, "serviceMonitorLabels": {"release": "prom"}})
        );
        assert_eq!(of("0.23.3", mode, crd)["serviceMonitor"], true);
    }
}

#[test]
fn the_mirror_holds_every_image_of_the_controller() {
    let values = controller_values(
        &json!({"images": {"registry": "m.example", "pullSecrets": ["s"]}}),
        &Facts::default(),
    );
    assert_eq!(
        values["image"],
        json!({"dindSidecarRepositoryAndTag": "m.example/library/docker:28-dind",
            "repository": "m.example/summerwind/actions-runner-controller",
            "actionsRunnerImagePullSecrets": ["s"]})
    );
    assert_eq!(
        values["metrics"]["proxy"]["image"]["repository"],
        "m.example/brancz/kube-rbac-proxy"
    );
    assert_eq!(values["imagePullSecrets"], json!([{"name": "s"}]));
}

#[test]
fn proxy_and_authority_reach_the_controller() {
    let changes =
        json!({"proxy": {"http": "http://p:1"}, "github": {"caBundle": {"file": "ca.pem"}}});
    let facts = Facts {
        ca_bundle: Some("abc".into()),
        ..Facts::default()
    };
    let values = controller_values(&changes, &facts);
    assert_eq!(values["env"]["HTTP_PROXY"], "http://p:1");
    assert_eq!(values["env"]["http_proxy"], "http://p:1");
    assert_eq!(
        values["env"]["SSL_CERT_DIR"],
        "/etc/arcctl/github-ca:/etc/ssl/certs"
    );
    assert_eq!(
        values["additionalVolumes"],
        json!([{"name": "github-ca", "configMap": {"name": "arcctl-github-ca"}}])
    );
    assert_eq!(
        values["additionalVolumeMounts"],
        json!([{"name": "github-ca", "mountPath": "/etc/arcctl/github-ca", "readOnly": true}])
    );
    let other = Facts {
        ca_bundle: Some("abd".into()),
        ..Facts::default()
    };
    let digest = |values: &Value| values["podAnnotations"]["arcctl.dev/github-ca-sha256"].clone();
    assert_ne!(
        digest(&values),
        digest(&controller_values(&changes, &other))
    );
}

#[test]
fn only_kubernetes_mode_asks_for_more_rights() {
    let volume = json!({"storageClass": "gp3", "size": "1Gi", "accessMode": "ReadWriteMany"});
    let pools = json!({"pools": [{"name": "k", "image": "r:1", "min": 0, "max": 1,
        "containerMode": {"kubernetes": {"workVolume": volume}}}]});
    assert_eq!(
        controller_values(&json!({}), &Facts::default()).get("rbac"),
        None
    );
    assert_eq!(
        controller_values(&pools, &Facts::default())["rbac"],
        json!({"allowGrantingKubernetesContainerModePermissions": true})
    );
}

#[test]
fn passed_values_are_merged_and_collisions_named() {
    let changes = |values: Value| json!({"controller": {"values": values}});
    let good =
        changes(json!({"logFormat": "json", "podAnnotations": {"a": "b"}, "image": {"tag": "v1"}}));
    assert!(controller::values_collisions(&profile(&good), &Facts::default()).is_empty());
    let values = controller_values(&good, &Facts::default());
    assert_eq!(values["logFormat"], "json");
    assert_eq!(values["podAnnotations"]["a"], "b");
    assert_eq!(
        values["image"],
        json!({"tag": "v1", "dindSidecarRepositoryAndTag": "docker:28-dind"})
    );

    let bad = changes(
        json!({"replicaCount": 9, "fullnameOverride": "x", "authSecret": {"create": true}}),
    );
    let mut collisions = controller::values_collisions(&profile(&bad), &Facts::default());
    collisions.sort();
    assert_eq!(
        collisions,
        ["authSecret.create", "fullnameOverride", "replicaCount"]
    );
    let values = controller_values(&bad, &Facts::default());
    assert_eq!(values["replicaCount"], 2);
    assert_eq!(values["authSecret"]["create"], false);
    assert_eq!(values.get("fullnameOverride"), None);
}

#[test]
fn charts_come_from_their_projects_or_the_mirror() {
    let plain = profile(&json!({}));
    assert_eq!(
        cert_manager::chart(&plain).location,
        "https://charts.jetstack.io"
    );
    assert_eq!(
        controller::chart(&plain).location,
        "https://actions-runner-controller.github.io/actions-runner-controller"
    );
    let mirrored =
        profile(&json!({"charts": {"certManager": "oci://m.example/c", "controller": "./c"}}));
    assert_eq!(cert_manager::chart(&mirrored).location, "oci://m.example/c");
    assert_eq!(controller::chart(&mirrored).location, "./c");
}

#[test]
fn cert_managers_crds_have_another_key_by_version() {
    let of = |version: &str| {
        let profile = profile(&json!({"certManager": {"chartVersion": version}}));
        let crds = cert_manager::crds(&profile);
        assert_eq!(crds.names.len(), 6);
        (cert_manager::values(&profile), crds.templated.unwrap())
    };
    let off = json!({"enabled": false});
    let webhook = json!({"readinessProbe": {"initialDelaySeconds": 1, "periodSeconds": 1}});
    assert_eq!(
        of("v1.14.7"),
        (
            json!({"installCRDs": false, "startupapicheck": off, "webhook": webhook}),
            json!({"installCRDs": true})
        )
    );
    assert_eq!(
        of("v1.15.0"),
        (
            json!({"crds": off, "startupapicheck": off, "webhook": webhook}),
            json!({"crds": {"enabled": true, "keep": true}})
        )
    );
}

#[test]
fn the_mirror_holds_every_image_of_cert_manager() {
    let values = cert_manager::values(&profile(
        &json!({"images": {"registry": "m.example/q", "pullSecrets": ["s"]}}),
    ));
    assert_eq!(
        values["global"],
        json!({"imagePullSecrets": [{"name": "s"}]})
    );
    assert_eq!(
        values["image"]["repository"],
        "m.example/q/jetstack/cert-manager-controller"
    );
    for component in ["webhook", "cainjector", "acmesolver"] {
        assert_eq!(
            values[component]["image"]["repository"],
            format!("m.example/q/jetstack/cert-manager-{component}")
        );
    }
}
