//! `NetworkPolicies` and `PodDisruptionBudgets` of the controllers and the listeners, where the profile asks for them. Pure:
//! no I/O.
//!
//! A `NetworkPolicy` names who may call a pod, by port; whom the pods call is left open, because GitHub, the API server, DNS and
//! a proxy have no addresses that a profile knows. The node of a pod may always call it, so that probes work
//! (kubernetes.io/docs/concepts/services-networking/network-policies).

use serde_json::{Value, json};

use super::names;
use crate::profile::Profile;

/// The port of the metrics of the community's controller, by its chart.
const METRICS_PORT: u64 = 8443;
/// The port of the metrics of GitHub's own controller and of its listeners.
const SCALE_SET_METRICS_PORT: u64 = 8080;
/// The label with the part that a pod is (reference: scale-sets.md 3).
const COMPONENT: &str = "app.kubernetes.io/component";

/// Pods that are protected together.
struct Group {
    namespace: String,
    /// The name of both objects.
    name: String,
    selector: Value,
    /// The ports that are called.
    ports: Vec<u64>,
    /// Whether they get a budget: one of them is evicted at a time.
    budget: bool,
}

/// The manifests.
pub(super) fn objects(profile: &Profile) -> Vec<Value> {
    let wanted = &profile.hardening;
    let mut objects = Vec::new();
    for group in groups(profile) {
        if wanted.network_policies {
            objects.push(network_policy(profile, &group));
        }
        if wanted.pod_disruption_budgets && group.budget {
            objects.push(budget(profile, &group));
        }
    }
    objects
}

fn groups(profile: &Profile) -> Vec<Group> {
    let mut groups = Vec::new();
    if profile.has_deployments() {
        groups.push(controller(profile));
    }
    if profile.has_scale_sets() {
        groups.push(scale_set_controller(profile));
        groups.push(listeners(profile));
    }
    groups
}

fn controller(profile: &Profile) -> Group {
    let controller = &profile.controller;
    let metrics = controller.values.get("metrics");
    let metrics = metrics.and_then(|it| it["port"].as_u64());
    let own = controller.values.get("podDisruptionBudget");
    Group {
        namespace: controller.namespace.clone(),
        name: format!("arcctl-{}", controller.full_name()),
        selector: json!({"matchLabels": {
            "app.kubernetes.io/name": names::CONTROLLER,
            "app.kubernetes.io/instance": controller.release,
        }}),
        ports: vec![
            controller.webhook_port.into(),
            metrics.unwrap_or(METRICS_PORT),
        ],
        // A pod with two budgets cannot be evicted at all (kubernetes, `pkg/registry/core/pod/storage/eviction.go`).
        budget: own.is_none_or(|it| it["enabled"] != true),
    }
}

fn scale_set_controller(profile: &Profile) -> Group {
    Group {
        namespace: profile.scale_sets.namespace.clone(),
        name: format!("arcctl-{}", profile.scale_sets.full_name()),
        selector: json!({"matchLabels": {
            "app.kubernetes.io/part-of": "gha-rs-controller",
            COMPONENT: "controller-manager",
        }}),
        ports: scale_set_ports(profile),
        budget: true,
    }
}

/// The listeners of the profile's pools: other profiles may have scale sets of the same controller. They get no budget: a
/// budget of pods whose owner has no scale counts pods, and is wrong while a scale set is added, removed or upgraded
/// (kubernetes.io/docs/tasks/run-application, "Arbitrary workloads and arbitrary selectors"); the controller makes a listener
/// anew at once.
fn listeners(profile: &Profile) -> Group {
    let pools = profile.scale_set_pools().map(|it| it.name.as_str());
    let pools: Vec<&str> = pools.collect();
    Group {
        namespace: profile.scale_sets.namespace.clone(),
        name: format!("arcctl-listeners-{}", profile.name),
        selector: json!({
            "matchLabels": {COMPONENT: "runner-scale-set-listener"},
            "matchExpressions": [{"key": names::SCALE_SET_LABEL, "operator": "In", "values": pools}],
        }),
        ports: scale_set_ports(profile),
        budget: false,
    }
}

fn scale_set_ports(profile: &Profile) -> Vec<u64> {
    let port = profile.scale_sets.metrics.then_some(SCALE_SET_METRICS_PORT);
    port.into_iter().collect()
}

/// Without a rule nobody may call the pods.
fn network_policy(profile: &Profile, group: &Group) -> Value {
    let mut spec = json!({"podSelector": group.selector, "policyTypes": ["Ingress"]});
    let ports = group.ports.iter();
    let ports: Vec<Value> = ports
        .map(|port| json!({"protocol": "TCP", "port": port}))
        .collect();
    if !ports.is_empty() {
        spec["ingress"] = json!([{"ports": ports}]);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": names::metadata(profile, Some(&group.namespace), &group.name),
        "spec": spec,
    })
}

fn budget(profile: &Profile, group: &Group) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names::metadata(profile, Some(&group.namespace), &group.name),
        "spec": {"maxUnavailable": 1, "selector": group.selector},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::profile;

    fn both() -> Value {
        json!({"networkPolicies": true, "podDisruptionBudgets": true})
    }

    fn set(name: &str) -> Value {
        json!({"name": name, "mode": "scaleSet", "image": "ghcr.io/actions/actions-runner:2.334.0",
            "min": 1, "max": 4})
    }

    fn told(objects: &[Value]) -> Vec<String> {
        let named = |it: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (kind, metadata) = (text(&it["kind"]), &it["metadata"]);
            let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
            format!("{kind} {namespace}/{name}")
        };
        objects.iter().map(named).collect()
    }

    #[test]
    fn there_is_nothing_unless_it_is_asked_for() {
        assert!(objects(&profile(&json!({}))).is_empty());
    }

    #[test]
    fn the_controller_is_called_at_its_webhook_and_its_metrics() {
        let profile = profile(&json!({"hardening": both(), "controller": {"webhookPort": 10250}}));
        let found = objects(&profile);
        assert_eq!(
            told(&found),
            [
                "NetworkPolicy actions-runner-system/arcctl-actions-runner-controller",
                "PodDisruptionBudget actions-runner-system/arcctl-actions-runner-controller",
            ]
        );
        let ports = &found[0]["spec"]["ingress"][0]["ports"];
        assert_eq!(ports[0]["port"], 10250);
        assert_eq!(ports[1]["port"], 8443);
        assert_eq!(found[1]["spec"]["maxUnavailable"], 1);
        assert_eq!(found[0]["metadata"]["labels"]["arcctl.dev/profile"], "test");
    }

    #[test]
    fn a_budget_of_the_chart_is_the_only_one() {
        let values = |enabled: bool| json!({"podDisruptionBudget": {"enabled": enabled}});
        let budgets = |enabled: bool| {
            let changes = json!({"hardening": both(), "controller": {"values": values(enabled)}});
            let found = told(&objects(&profile(&changes)));
            let is_budget = |it: &&String| it.starts_with("PodDisruptionBudget ");
            found.iter().filter(is_budget).count()
        };
        assert_eq!(budgets(true), 0);
        assert_eq!(budgets(false), 1);
    }

    #[test]
    fn listeners_are_called_by_nobody_and_have_no_budget() {
        let pools = json!([set("a"), set("b")]);
        let two = profile(&json!({"hardening": both(), "pools": pools}));
        let found = objects(&two);
        let listeners: Vec<&Value> = found
            .iter()
            .filter(|it| it["metadata"]["name"] == "arcctl-listeners-test")
            .collect();
        assert_eq!(listeners.len(), 1, "{found:#?}");
        assert_eq!(listeners[0]["kind"], "NetworkPolicy");
        assert_eq!(listeners[0]["spec"]["policyTypes"], json!(["Ingress"]));
        assert!(listeners[0]["spec"].get("ingress").is_none());
    }
}
