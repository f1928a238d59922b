//! Tests which resources are created, and their order.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::profile;
use crate::desired::{Desired, Facts, Phase, desired, manages_secret, resource::Resource};

fn resources(changes: &Value, facts: &Facts) -> Vec<Desired> {
    desired(&profile(changes), facts).unwrap()
}

fn ids(resources: &[Desired]) -> Vec<&str> {
    resources
        .iter()
        .map(|resource| resource.id.as_str())
        .collect()
}

#[test]
fn everything_is_there_in_order() {
    assert_eq!(
        ids(&resources(&json!({}), &Facts::default())),
        [
            "namespace/-/cert-manager",
            "namespace/-/actions-runner-system",
            "namespace/-/actions-runner",
            "crds/-/cert-manager",
            "helm-release/cert-manager/cert-manager",
            "webhook/cert-manager/cert-manager-webhook",
            "crds/-/actions-runner-controller",
            "secret/actions-runner-system/controller-manager",
            "helm-release/actions-runner-system/actions-runner-controller",
            "webhook/actions-runner-system/actions-runner-controller-webhook",
            "runner-deployment/actions-runner/basic",
            "horizontal-runner-autoscaler/actions-runner/basic",
            "runner-pods/actions-runner/basic",
            "registration/github/basic",
        ]
    );
}

#[test]
fn a_foreign_cert_manager_is_only_proven() {
    let foreign = Facts {
        foreign_cert_manager: Some(true),
        ..Facts::default()
    };
    let of = |install: &str, facts: &Facts| {
        let all = resources(&json!({"certManager": {"install": install}}), facts);
        let mut ids = ids(&all);
        ids.retain(|id| id.contains("cert-manager"));
        ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()
    };
    let proof = ["webhook/cert-manager/cert-manager-webhook"];
    assert_eq!(of("auto", &foreign), proof);
    assert_eq!(of("never", &Facts::default()), proof);
    assert_eq!(of("auto", &Facts::default()).len(), 4);
    assert_eq!(of("always", &foreign).len(), 4);
}

#[test]
fn authority_and_account_are_wired_before_the_controller() {
    let changes = json!({"github": {"caBundle": {"file": "ca.pem"}},
        "aws": {"irsa": {"role": "runner", "serviceAccount": "sa"}}});
    let facts = Facts {
        ca_bundle: Some("pem".into()),
        ..Facts::default()
    };
    let all = resources(&changes, &facts);
    let manifest = |id: &str| {
        let found = all
            .iter()
            .find(|resource| resource.id.as_str() == id)
            .unwrap();
        assert_eq!(found.phase, Phase::Wiring);
        let Resource::Object(object) = &found.resource else {
            panic!("{id} is no object")
        };
        object.manifest.clone()
    };
    for namespace in ["actions-runner-system", "actions-runner"] {
        let map = manifest(&format!("config-map/{namespace}/arcctl-github-ca"));
        assert_eq!(map["data"], json!({"ca.pem": "pem"}));
    }
    let account = manifest("service-account/actions-runner/sa");
    assert_eq!(
        account["metadata"]["annotations"],
        json!({"eks.amazonaws.com/role-arn": "${ROLE_ARN}"})
    );
}

#[test]
fn a_role_by_arn_needs_no_fact() {
    let arn = "arn:aws:iam::111122223333:role/runner";
    let changes = json!({"aws": {"irsa": {"role": arn, "serviceAccount": "sa"}}});
    let all = resources(&changes, &Facts::default());
    let account = all
        .iter()
        .find(|resource| resource.id.kind() == "service-account")
        .unwrap();
    let Resource::Object(object) = &account.resource else {
        panic!("no object")
    };
    assert_eq!(
        object.manifest["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        arn
    );
}

#[test]
fn an_account_of_ours_gets_the_rights_of_kubernetes_mode() {
    let volume = json!({"storageClass": "gp3", "size": "1Gi", "accessMode": "ReadWriteMany"});
    let changes = json!({"aws": {"irsa": {"role": "r", "serviceAccount": "sa"}},
        "pools": [{"name": "k", "image": "r:1", "min": 0, "max": 1,
            "containerMode": {"kubernetes": {"workVolume": volume}}}]});
    let all = resources(&changes, &Facts::default());
    let ids = ids(&all);
    assert!(ids.contains(&"role/actions-runner/sa"), "{ids:?}");
    assert!(ids.contains(&"role-binding/actions-runner/sa"), "{ids:?}");
}

#[test]
fn only_the_controllers_own_secret_is_left_to_others() {
    let of = |namespace: &str, name: &str| {
        let secret = json!({"namespace": namespace, "name": name, "key": "github_token"});
        manages_secret(&profile(
            &json!({"github": {"token": {"env": null, "kubernetesSecret": secret}}}),
        ))
    };
    assert!(manages_secret(&profile(&json!({}))));
    assert!(of("actions-runner-system", "other"));
    assert!(of("vault", "controller-manager"));
    assert!(!of("actions-runner-system", "controller-manager"));
}

#[test]
fn whoever_comes_after_another_comes_later_in_the_list() {
    let all = resources(&json!({}), &Facts::default());
    let mut seen = BTreeSet::new();
    for resource in &all {
        for earlier in &resource.after {
            assert!(seen.contains(earlier), "{} {earlier}", resource.id);
        }
        assert!(
            seen.insert(resource.id.clone()),
            "{} is there twice",
            resource.id
        );
    }
    assert!(all.is_sorted_by_key(|resource| resource.phase));
    assert!(all.iter().any(|it| !it.after.is_empty()));
}

#[test]
fn all_objects_carry_the_labels() {
    for resource in resources(&json!({}), &Facts::default()) {
        let Resource::Object(object) = resource.resource else {
            continue;
        };
        assert_eq!(
            object.manifest["metadata"]["labels"],
            json!({"app.kubernetes.io/managed-by": "arcctl", "arcctl.dev/profile": "test"})
        );
    }
}
