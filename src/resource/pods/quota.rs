//! Whether the quotas of a namespace allow the minimum of a pool: the API server checks one pod at a time, and accepts the
//! first of two that do not fit together. Pure: no I/O.

use serde_json::Value;

use super::refusal::{Lasts, Refusal};
use crate::{
    scheduling::requests::{amount, total},
    units::quantity::Amount,
};

/// The first quota that can never hold this many of `pod`; `pod` includes the defaults of admission.
pub(super) fn refusal(quotas: &[Value], pod: &Value, pods: u32, pool: &str) -> Option<Refusal> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let (name, allows) = exceeded(quotas, pod, pods)?;
    Some(Refusal {
        said: format!("{allows}, and the {pods} pods of its minimum ask for more together"),
        hint: format!(
            "lower min or the resources of pool `{pool}` in the profile, or raise the quota: `kubectl -n {namespace} describe resourcequota {name}`"
        ),
        lasts: Lasts::UntilChanged,
    })
}

/// The name of the first quota that can never hold this many of `pod`, and what it allows, for people.
pub(super) fn exceeded<'a>(
    quotas: &'a [Value],
    pod: &Value,
    pods: u32,
) -> Option<(&'a str, String)> {
    exceeded_together(quotas, &[(pod, pods.max(1))])
}

/// The same for different pods of one namespace, each with how many there will be.
pub(crate) fn exceeded_together<'a>(
    quotas: &'a [Value],
    pods: &[(&Value, u32)],
) -> Option<(&'a str, String)> {
    for quota in quotas {
        let name = quota["metadata"]["name"].as_str().unwrap_or_default();
        let hard = quota["spec"]["hard"].as_object().into_iter().flatten();
        for (resource, allowed) in hard {
            let counted = pods.iter().filter(|(pod, _)| counts(quota, pod));
            let uses = counted.flat_map(|(pod, count)| {
                let one = usage(pod, resource);
                (0..*count).filter_map(move |_| one)
            });
            let (Some(limit), Some(all)) = (amount(allowed), uses.reduce(Amount::plus)) else {
                continue;
            };
            if all > limit {
                let text = allowed.as_str().unwrap_or_default();
                return Some((name, format!("quota `{name}` allows {resource}={text}")));
            }
        }
    }
    None
}

/// Whether a quota counts this pod: one with scopes counts only some. An unknown scope counts none
/// (kubernetes, `PodMatchesScopeFunc` in `pkg/quota/v1/evaluator/core/pods.go`).
fn counts(quota: &Value, pod: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let ends = !pod["spec"]["activeDeadlineSeconds"].is_null();
    let class = pod["spec"]["priorityClassName"].as_str();
    let class = class.filter(|it| !it.is_empty());
    let in_scope = |name: &str| match name {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "PriorityClass" => class.is_some(),
        _ => false,
    };
    let matches = |it: &Value| {
        let name = it["scopeName"].as_str().unwrap_or_default();
        let values = list(&it["values"]);
        let named = class.is_some_and(|class| values.iter().any(|it| it == class));
        match (name, it["operator"].as_str()) {
            ("PriorityClass", Some("In")) => named,
            ("PriorityClass", Some("NotIn")) => !named,
            ("PriorityClass", Some("DoesNotExist")) => class.is_none(),
            (name, Some("Exists")) => in_scope(name),
            _ => false,
        }
    };
    let scopes = list(&quota["spec"]["scopes"]);
    let selected = list(&quota["spec"]["scopeSelector"]["matchExpressions"]);
    scopes.iter().filter_map(Value::as_str).all(in_scope) && selected.iter().all(matches)
}

/// Whether no container of a pod has requests or limits.
fn is_best_effort(pod: &Value) -> bool {
    let mut containers = ["containers", "initContainers"]
        .iter()
        .flat_map(|it| pod["spec"][it].as_array().into_iter().flatten());
    let asks = |it: &Value, key: &str| {
        let amounts = it["resources"][key].as_object();
        amounts.is_some_and(|it| it.contains_key("cpu") || it.contains_key("memory"))
    };
    !containers.any(|it| asks(it, "requests") || asks(it, "limits"))
}

/// How much of a quota's resource one pod uses; `None` for resources that are not counted here.
fn usage(pod: &Value, resource: &str) -> Option<Amount> {
    let (class, resource) = match resource.split_once(".storageclass.storage.k8s.io/") {
        Some((class, resource)) => (Some(class), resource),
        None => (None, resource),
    };
    let (kind, name) = match resource {
        "pods" | "count/pods" => return Amount::parse("1"),
        "persistentvolumeclaims" | "count/persistentvolumeclaims" => {
            let one = |_: &Value| Amount::parse("1");
            return claims(pod, class).filter_map(one).reduce(Amount::plus);
        }
        "requests.storage" => {
            let size = |it: &Value| amount(&it["resources"]["requests"]["storage"]);
            return claims(pod, class).filter_map(size).reduce(Amount::plus);
        }
        "cpu" | "memory" | "ephemeral-storage" => ("requests", resource),
        other => other
            .split_once('.')
            .filter(|(kind, _)| matches!(*kind, "requests" | "limits"))?,
    };
    total(pod, kind, name)
}

/// The claims of the pod's ephemeral volumes, of one storage class where a quota counts one.
fn claims<'a>(pod: &'a Value, class: Option<&'a str>) -> impl Iterator<Item = &'a Value> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes
        .map(|it| &it["ephemeral"]["volumeClaimTemplate"]["spec"])
        .filter(move |it| {
            it.is_object() && class.is_none_or(|class| it["storageClassName"] == class)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(hard: &Value, pods: u32) -> Option<String> {
        let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
        let pod = json!({"metadata": {"namespace": "n"}, "spec": {
        "volumes": [
            {"name": "work", "ephemeral": {"volumeClaimTemplate": {"spec": {
                "storageClassName": "gp3", "resources": {"requests": {"storage": "10Gi"}}}}}},
            {"name": "cache", "emptyDir": {}},
        ],
        "initContainers": [{"resources": {"requests": {"cpu": "2"}}}],
        "containers": [
            {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "6Gi"}}},
            {"resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "1Gi"}}},
        ]}});
        refusal(&[quota], &pod, pods, "basic").map(|it| it.said)
    }

    #[test]
    fn the_minimum_is_counted_against_each_resource() {
        for (hard, pods, fits) in [
            (json!({"pods": "2"}), 2, true),
            (json!({"pods": "2"}), 3, false),
            (json!({"count/pods": "1"}), 2, false),
            (json!({"requests.cpu": "4"}), 2, true),
            (json!({"cpu": "3900m"}), 2, false),
            (json!({"memory": "2Gi"}), 2, true),
            (json!({"limits.memory": "14Gi"}), 2, true),
            (json!({"limits.memory": "13Gi"}), 2, false),
            (json!({"limits.cpu": "1"}), 9, true),
            (json!({"requests.nvidia.com/gpu": "0"}), 9, true),
            (json!({"services": "0"}), 9, true),
            (json!({"persistentvolumeclaims": "2"}), 2, true),
            (json!({"count/persistentvolumeclaims": "2"}), 3, false),
            (json!({"requests.storage": "20Gi"}), 2, true),
            (json!({"requests.storage": "19Gi"}), 2, false),
            (
                json!({"gp3.storageclass.storage.k8s.io/requests.storage": "19Gi"}),
                2,
                false,
            ),
            (
                json!({"gp2.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}),
                2,
                true,
            ),
        ] {
            assert_eq!(said(&hard, pods).is_none(), fits, "{hard} {pods}");
        }
        let told = said(&json!({"pods": "2"}), 3).unwrap();
        assert!(
            told.contains("quota `q` allows pods=2, and the 3 pods"),
            "{told}"
        );
    }

    #[test]
    fn different_pods_are_counted_together() {
        let pod = |cpu: &str| json!({"spec": {"containers": [{"resources": {"requests": {"cpu": cpu}}}]}});
        let (small, large) = (pod("500m"), pod("2"));
        let said = |hard: Value, small_pods: u32| {
            let quotas = [json!({"metadata": {"name": "q"}, "spec": {"hard": hard}})];
            let pods = [(&small, small_pods), (&large, 1)];
            exceeded_together(&quotas, &pods).map(|(name, allows)| format!("{name}: {allows}"))
        };
        assert_eq!(said(json!({"requests.cpu": "3", "pods": "3"}), 2), None);
        assert_eq!(
            said(json!({"count/pods": "2"}), 2).as_deref(),
            Some("q: quota `q` allows count/pods=2")
        );
        assert!(said(json!({"requests.cpu": "2900m"}), 2).is_some());
        // A pool without a minimum needs no room.
        assert_eq!(said(json!({"pods": "1"}), 0), None);
    }

    #[test]
    fn a_quota_of_some_pods_counts_those() {
        let pod = json!({"spec": {"priorityClassName": "high", "containers": [{"resources": {"requests": {"cpu": "1"}}}]}});
        let counted = |spec: Value| {
            let mut quota = json!({"metadata": {"name": "q"}, "spec": spec});
            quota["spec"]["hard"] = json!({"pods": "1"});
            refusal(&[quota], &pod, 2, "basic").is_some()
        };
        for (scope, expected) in [
            ("Terminating", false),
            ("NotTerminating", true),
            ("BestEffort", false),
            ("NotBestEffort", true),
            ("CrossNamespacePodAffinity", false),
        ] {
            assert_eq!(counted(json!({"scopes": [scope]})), expected, "{scope}");
        }
        assert!(!counted(
            json!({"scopes": ["NotTerminating", "BestEffort"]})
        ));
        for (operator, values, expected) in [
            ("In", json!(["high"]), true),
            ("In", json!(["low"]), false),
            ("NotIn", json!(["low"]), true),
            ("Exists", json!([]), true),
            ("DoesNotExist", json!([]), false),
        ] {
            let selector =
                json!({"scopeName": "PriorityClass", "operator": operator, "values": values});
            assert_eq!(
                counted(json!({"scopeSelector": {"matchExpressions": [selector]}})),
                expected,
                "{operator} {values}"
            );
        }
    }

    #[test]
    fn what_runs_beside_the_runner_counts_with_it() {
        let cpu = |amount: &str| json!({"resources": {"requests": {"cpu": amount}}});
        let mut proxy = cpu("500m");
        proxy["restartPolicy"] = json!("Always");
        let fits = |pod: &Value, hard: &str| {
            let quota =
                json!({"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": hard}}});
            refusal(&[quota], pod, 1, "basic").is_none()
        };
        // A sidecar in `initContainers` runs beside the runner, and beside the init containers after it.
        let sidecar = json!({"spec": {"initContainers": [proxy], "containers": [cpu("1")]}});
        assert!(fits(&sidecar, "1500m") && !fits(&sidecar, "1400m"));
        let later =
            json!({"spec": {"initContainers": [proxy, cpu("2")], "containers": [cpu("1")]}});
        assert!(fits(&later, "2500m") && !fits(&later, "2400m"));
        let earlier =
            json!({"spec": {"initContainers": [cpu("2"), proxy], "containers": [cpu("1")]}});
        assert!(fits(&earlier, "2") && !fits(&earlier, "1900m"));
        let kata = json!({"spec": {"overhead": {"cpu": "250m"}, "containers": [cpu("1")]}});
        assert!(fits(&kata, "1250m") && !fits(&kata, "1200m"));
    }
}
