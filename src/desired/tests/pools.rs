//! Tests a pool's metadata, service account and docker settings; and cert-manager's values.

use serde_json::{Value, json};

use super::{profile, runner, with_pool};
use crate::desired::{
    Facts, charts::cert_manager, desired, pool::runner_deployment, resource::Resource,
};

#[test]
fn docker_in_the_runner_is_one_field() {
    let spec = runner(&with_pool(&json!({
        "containerMode": "dindInRunner", "image": "r:v1", "gracefulStop": "90s",
        "template": {"dockerMTU": 1400, "dockerRegistryMirror": "https://m.example"},
    })));
    assert_eq!(
        spec,
        json!({"organization": "o", "image": "r:v1", "dockerdWithinRunnerContainer": true,
            "env": [{"name": "RUNNER_GRACEFUL_STOP_TIMEOUT", "value": "90"}],
            "terminationGracePeriodSeconds": 110,
            "dockerMTU": 1400, "dockerRegistryMirror": "https://m.example"})
    );
}

#[test]
fn metadata_reaches_the_deployment_and_its_pods() {
    let profile = with_pool(&json!({
        "metadata": {"labels": {"team": "ci", "app.kubernetes.io/managed-by": "helm"}, "annotations": {"a": "b"}},
        "podMetadata": {"labels": {"cost": "12"}, "annotations": {"karpenter.sh/do-not-disrupt": "true"}},
    }));
    let manifest = runner_deployment::runner_deployment(&profile, &profile.pools[0]).unwrap();
    assert_eq!(
        manifest["metadata"],
        json!({"name": "basic", "namespace": "actions-runner", "annotations": {"a": "b"},
            "labels": {"app.kubernetes.io/managed-by": "arcctl", "arcctl.dev/profile": "test", "team": "ci"}})
    );
    assert_eq!(
        manifest["spec"]["template"]["metadata"],
        json!({"labels": {"cost": "12"}, "annotations": {"karpenter.sh/do-not-disrupt": "true"}})
    );
}

#[test]
fn a_service_account_of_the_pool_takes_the_place_of_the_role_s() {
    let role = json!({"irsa": {"role": "r", "serviceAccount": "s"}});
    let pool = |account: Value| {
        let mut changed = with_pool(&json!({"serviceAccount": account}));
        changed.aws = serde_json::from_value(role.clone()).unwrap();
        runner_deployment::runner_deployment(&changed, &changed.pools[0]).unwrap()["spec"]["template"].clone()
    };
    let own = pool(json!("deployer"));
    assert_eq!(own["spec"]["serviceAccountName"], "deployer");
    assert_eq!(own.get("metadata"), None, "it does not have the role");
    for account in [json!(null), json!("s")] {
        let with_role = pool(account);
        assert_eq!(with_role["spec"]["serviceAccountName"], "s");
        assert_eq!(
            with_role["metadata"]["annotations"]["arcctl.dev/role"],
            "irsa r"
        );
    }
    assert_eq!(
        runner(&with_pool(&json!({"serviceAccount": "d"})))["serviceAccountName"],
        "d"
    );
}

#[test]
fn cert_managers_values_are_merged_and_what_arcctl_sets_stays() {
    let of = |changes: Value| cert_manager::values(&profile(&changes));
    let values = of(json!({"certManager": {"values": {
        "webhook": {"hostNetwork": true, "securePort": 10260}, "tolerations": [{"operator": "Exists"}],
        "crds": {"enabled": true}, "startupapicheck": {"enabled": true, "timeout": "2m"},
    }}}));
    assert_eq!(
        values,
        json!({"crds": {"enabled": false}, "startupapicheck": {"enabled": false, "timeout": "2m"},
            "webhook": {"hostNetwork": true, "securePort": 10260,
                "readinessProbe": {"initialDelaySeconds": 1, "periodSeconds": 1}},
            "tolerations": [{"operator": "Exists"}]})
    );
    // A probe of the profile stays whole, and is nothing that arcctl sets.
    let probe = json!({"webhook": {"readinessProbe": {"periodSeconds": 20}}});
    let changes = json!({"certManager": {"values": probe}});
    assert_eq!(of(changes.clone())["webhook"], probe["webhook"]);
    assert_eq!(cert_manager::values_collisions(&profile(&changes)), [""; 0]);
    let mirrored = of(json!({"images": {"registry": "m.example"},
        "certManager": {"values": {"webhook": {"replicaCount": 2}}}}));
    assert_eq!(mirrored["webhook"]["replicaCount"], 2);
    assert_eq!(
        mirrored["webhook"]["image"]["repository"],
        "m.example/jetstack/cert-manager-webhook"
    );
}

#[test]
fn cert_manager_is_installed_where_the_profile_says() {
    let profile = profile(&json!({"certManager": {"namespace": "infra"}}));
    let ids: Vec<String> = desired(&profile, &Facts::default())
        .unwrap()
        .iter()
        .map(|it| it.id.to_string())
        .collect();
    for id in [
        "namespace/-/infra",
        "helm-release/infra/cert-manager",
        "webhook/infra/cert-manager-webhook",
    ] {
        assert!(ids.iter().any(|it| it == id), "{id}: {ids:?}");
    }
    assert!(
        !ids.iter().any(|it| it == "namespace/-/cert-manager"),
        "{ids:?}"
    );
}

#[test]
fn only_a_runner_deployment_begins_with_replicas_and_never_applies_them() {
    let profile = with_pool(&json!({"min": 3}));
    let mut found = Vec::new();
    for desired in desired(&profile, &Facts::default()).unwrap() {
        if let Resource::Object(object) = desired.resource {
            assert_eq!(object.manifest["spec"]["replicas"], Value::Null);
            found.extend(
                object
                    .pool
                    .map(|it| (object.manifest["kind"].clone(), it.min)),
            );
        }
    }
    assert_eq!(found, [(json!("RunnerDeployment"), 3)]);
}
