//! Tests pools with their own GitHub scope, triggers, and custom names.

use serde_json::json;

use super::{autoscaler, runner, with_pool};
use crate::desired::Facts;

#[test]
fn a_pool_with_a_github_of_its_own_names_its_secret() {
    let profile = with_pool(&json!({"github": {"organization": "other", "token": {"env": "T"}}}));
    let spec = runner(&profile);
    assert_eq!(spec["organization"], "other");
    let secret = json!({"secretRef": {"name": "arcctl-github-basic"}});
    assert_eq!(spec["githubAPICredentialsFrom"], secret);
    let hra = autoscaler(&profile, &Facts::default());
    assert_eq!(hra["githubAPICredentialsFrom"], secret);
    let wanted = crate::desired::desired(&profile, &Facts::default()).unwrap();
    let ids: Vec<&str> = wanted.iter().map(|it| it.id.as_str()).collect();
    assert!(
        ids.contains(&"secret/actions-runner/arcctl-github-basic"),
        "{ids:?}"
    );
    // The same credential for another scope needs no Secret.
    let profile = with_pool(&json!({"github": {"repository": "o/web"}}));
    let spec = runner(&profile);
    assert_eq!(spec["repository"], "o/web");
    assert_eq!(spec["organization"], serde_json::Value::Null);
    assert_eq!(spec["githubAPICredentialsFrom"], serde_json::Value::Null);
}

#[test]
fn triggers_bring_the_webhook_server_and_leave_metrics_out() {
    let scaling = json!({"triggers": [{"workflowJob": {}, "amount": 1, "duration": "30m"}]});
    let profile = with_pool(&json!({"min": 0, "scaling": scaling}));
    let hra = autoscaler(&profile, &Facts::default());
    let trigger = json!([{"githubEvent": {"workflowJob": {}}, "amount": 1, "duration": "30m"}]);
    assert_eq!(hra["scaleUpTriggers"], trigger);
    assert_eq!(hra["metrics"], serde_json::Value::Null);
    assert_eq!(hra["minReplicas"], 0);
    let values = crate::desired::charts::controller::values(&profile, &Facts::default());
    let secret = json!({"enabled": true, "create": false, "name": "github-webhook-server"});
    let server = &values["githubWebhookServer"];
    assert_eq!(server["enabled"], true);
    assert_eq!(server["secret"], secret);
    let wanted = crate::desired::desired(&profile, &Facts::default()).unwrap();
    let id = "secret/actions-runner-system/github-webhook-server";
    assert!(wanted.iter().any(|it| it.id.as_str() == id));
}

#[test]
fn prescribed_names_reach_every_object() {
    let profile = crate::desired::tests::profile(&json!({
        "controller": {"namespace": "ci-system", "release": "arc", "watchNamespace": "ci"},
        "pools": [{"name": "basic", "namespace": "ci", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4}],
    }));
    let wanted = crate::desired::desired(&profile, &Facts::default()).unwrap();
    let ids: Vec<&str> = wanted.iter().map(|it| it.id.as_str()).collect();
    for id in [
        "namespace/-/ci-system",
        "namespace/-/ci",
        "secret/ci-system/controller-manager",
        "helm-release/ci-system/arc",
        "webhook/ci-system/arc-actions-runner-controller-webhook",
        "runner-deployment/ci/basic",
        "horizontal-runner-autoscaler/ci/basic",
        "runner-pods/ci/basic",
    ] {
        assert!(ids.contains(&id), "{id} is not in {ids:?}");
    }
    let old = |id: &&&str| id.contains("actions-runner-system") || id.contains("/actions-runner/");
    assert_eq!(ids.iter().find(old), None);
    let values = crate::desired::charts::controller::values(&profile, &Facts::default());
    assert_eq!(
        values["scope"],
        json!({"singleNamespace": true, "watchNamespace": "ci"})
    );
    assert_eq!(values["leaderElectionId"], "arc-actions-runner-controller");
}

#[test]
fn the_namespace_that_an_old_chart_watches_has_the_label_that_its_webhooks_select() {
    let labels = |chart: &str, watched: Option<&str>| {
        let mut controller = json!({"chartVersion": chart});
        if let Some(watched) = watched {
            controller["watchNamespace"] = watched.into();
        }
        let profile = crate::desired::tests::profile(&json!({
            "controller": controller,
            "pools": [{"name": "basic", "namespace": "ci", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4}],
        }));
        let all = crate::desired::namespaces(&profile, &Facts::default());
        let of = |name: &str| {
            let mut found = all.iter().filter(|it| it["metadata"]["name"] == name);
            found.next().unwrap()["metadata"]["labels"]["name"].clone()
        };
        (of("ci"), of("actions-runner-system"))
    };
    let none = json!(null);
    assert_eq!(labels("0.23.3", Some("ci")), (json!("ci"), none.clone()));
    assert_eq!(labels("0.23.4", Some("ci")), (json!("ci"), none.clone()));
    assert_eq!(labels("0.23.5", Some("ci")), (none.clone(), none.clone()));
    assert_eq!(labels("0.23.3", None), (none.clone(), none));
}

#[test]
fn the_role_of_pools_in_several_namespaces_trusts_each_of_their_accounts() {
    let pool = |name: &str, namespace: &str| json!({"name": name, "namespace": namespace, "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4});
    let profile = crate::desired::tests::profile(&json!({
        "cluster": {"eks": "c", "region": "eu-west-1"},
        "aws": {"irsa": {"role": "r", "serviceAccount": "runner"}},
        "pools": [pool("a", "one"), pool("b", "two"), pool("c", "one")],
    }));
    let wanted = crate::desired::desired(&profile, &Facts::default()).unwrap();
    let accounts = wanted.iter().filter(|it| it.id.kind() == "service-account");
    assert_eq!(accounts.count(), 2);
    let role = wanted.iter().find(|it| it.id.kind() == "iam-role").unwrap();
    let text = format!("{:?}", role.resource);
    for account in [
        "system:serviceaccount:one:runner",
        "system:serviceaccount:two:runner",
    ] {
        assert!(text.contains(account), "{text}");
    }
}
