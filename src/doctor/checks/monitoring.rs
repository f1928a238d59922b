//! Checks of the monitoring that the profile configures. Pure: no I/O.

use serde_json::{Map, Value, json};

use crate::{
    desired::{
        monitoring::{DASHBOARD, wanted, watches_scale_sets},
        names,
        resource::Id,
    },
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{Fact, Snapshot},
    },
    profile::{Auto, Monitoring},
    resource::observed::Observed,
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "service-monitor-possible",
        category: "monitoring",
        severity: Severity::Required,
        claim: "the cluster has the CRD of the ServiceMonitor that the profile asks for",
        causes: &["api-server-answers"],
        judge: |snapshot| {
            if !snapshot.profile.has_deployments() {
                return Ok(Verdict::skipped("all pools are runner scale sets"));
            }
            possible(
                snapshot,
                |it| ("serviceMonitor", it.service_monitor),
                &snapshot.service_monitors,
                "servicemonitors",
            )
        },
    },
    Check {
        id: "scale-set-monitors-possible",
        category: "monitoring",
        severity: Severity::Required,
        claim: "the cluster has the CRD of the PodMonitors that the profile asks for",
        causes: &["api-server-answers"],
        judge: |snapshot| {
            let Some(crd) = pod_monitors(snapshot) else {
                return Ok(Verdict::skipped("no runner scale set has metrics"));
            };
            possible(
                snapshot,
                |it| ("podMonitor", it.pod_monitor),
                crd,
                "podmonitors",
            )
        },
    },
    Check {
        id: "alerts-possible",
        category: "monitoring",
        severity: Severity::Required,
        claim: "the cluster has the CRD of the PrometheusRule that the profile asks for",
        causes: &["api-server-answers"],
        judge: |snapshot| {
            possible(
                snapshot,
                |it| ("alerts", it.alerts),
                &snapshot.prometheus_rules,
                "prometheusrules",
            )
        },
    },
    Check {
        id: "monitoring-there",
        category: "monitoring",
        severity: Severity::Advice,
        claim: "the monitors, the alerts and the dashboard that the profile asks for exist",
        causes: &[
            "api-server-answers",
            "service-monitor-possible",
            "scale-set-monitors-possible",
            "alerts-possible",
        ],
        judge: there,
    },
    Check {
        id: "monitoring-selected",
        category: "monitoring",
        severity: Severity::Advice,
        claim: "a Prometheus reads the monitors and the alerts",
        causes: &["api-server-answers", "monitoring-there"],
        judge: selected,
    },
];

/// Whether a resource is only for monitoring: no runner needs it.
pub(super) fn is_monitoring(id: &Id) -> bool {
    ["pod-monitor", "prometheus-rule"].contains(&id.kind())
        || id.kind() == "config-map" && id.name() == DASHBOARD
}

fn chosen(snapshot: &Snapshot) -> Result<&Monitoring, Verdict> {
    let chosen = snapshot.profile.monitoring.as_ref();
    chosen.ok_or_else(|| Verdict::skipped("the profile has no `monitoring`"))
}

fn possible(
    snapshot: &Snapshot,
    choice: fn(&Monitoring) -> (&'static str, Auto),
    crd: &Fact<bool>,
    plural: &str,
) -> Result<Verdict, Verdict> {
    let (key, choice) = choice(chosen(snapshot)?);
    if choice != Auto::Always {
        return Ok(Verdict::skipped(format!(
            "monitoring.{key} is not `always`"
        )));
    }
    Ok(if *known(crd)? {
        Verdict::Holds
    } else {
        Verdict::broken(
            format!("the CRD `{plural}.monitoring.coreos.com` does not exist"),
            format!("install the Prometheus operator, or set monitoring.{key} to auto"),
        )
    })
}

/// Whether the cluster has the CRD of `PodMonitor`; `None`: no pool has metrics for one.
fn pod_monitors(snapshot: &Snapshot) -> Option<&Fact<bool>> {
    let facts = snapshot.scale_sets.as_ref();
    let facts = facts.filter(|_| watches_scale_sets(&snapshot.profile));
    facts.map(|it| &it.pod_monitors)
}

/// The `ServiceMonitors` of the community's controller, if the profile configures one.
fn monitors<'a>(
    snapshot: &'a Snapshot,
    chosen: &Monitoring,
) -> Result<Option<Vec<&'a Value>>, Verdict> {
    let crd = Some(*known(&snapshot.service_monitors)?);
    if !snapshot.profile.has_deployments() || !wanted(chosen.service_monitor, crd) {
        return Ok(None);
    }
    let is_ours = |it: &&Value| {
        let name = it["metadata"]["name"].as_str().unwrap_or_default();
        name.starts_with(&snapshot.profile.controller.full_name())
    };
    Ok(Some(
        known(&snapshot.monitors)?.iter().filter(is_ours).collect(),
    ))
}

fn there(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let chosen = chosen(snapshot)?;
    let mut missing = Vec::new();
    if monitors(snapshot, chosen)?.is_some_and(|it| it.is_empty()) {
        missing.push("the controller has no ServiceMonitor".to_owned());
    }
    let resources = known(&snapshot.resources)?.iter();
    for resource in resources.filter(|it| is_monitoring(&it.id)) {
        if matches!(known(&resource.observed)?, Observed::Absent) {
            missing.push(format!("`{}` does not exist", resource.id));
        }
    }
    Ok(Verdict::unless(&missing, "create it with `arcctl up`"))
}

fn selected(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let chosen = chosen(snapshot)?;
    let mut labelled: Vec<(String, &str, Value)> = Vec::new();
    for monitor in monitors(snapshot, chosen)?.unwrap_or_default() {
        let name = monitor["metadata"]["name"].as_str().unwrap_or_default();
        let labels = monitor["metadata"]["labels"].clone();
        labelled.push((format!("ServiceMonitor `{name}`"), "serviceMonitor", labels));
    }
    let mut ours = names::labels(&snapshot.profile.name);
    for (key, value) in &chosen.labels {
        ours[key] = json!(value);
    }
    if let Some(crd) = pod_monitors(snapshot)
        && wanted(chosen.pod_monitor, Some(*known(crd)?))
    {
        let name = "PodMonitors of the scale sets".to_owned();
        labelled.push((name, "podMonitor", ours.clone()));
    }
    if wanted(chosen.alerts, Some(*known(&snapshot.prometheus_rules)?)) {
        let name = format!("PrometheusRule `{}`", names::CONTROLLER);
        labelled.push((name, "rule", ours));
    }
    if labelled.is_empty() {
        return Ok(Verdict::skipped(
            "there is nothing for a Prometheus to read",
        ));
    }
    let all = known(&snapshot.prometheuses)?;
    if all.is_empty() {
        return Ok(Verdict::skipped(
            "the cluster has no Prometheus of the operator",
        ));
    }
    let namespace = known(&snapshot.system_namespace)?;
    let namespace = namespace
        .as_ref()
        .map_or(Value::Null, |it| it["metadata"]["labels"].clone());
    let mut unread = Vec::new();
    for (name, key, labels) in &labelled {
        if !all.iter().any(|it| {
            reads(
                it,
                &snapshot.profile.controller.namespace,
                key,
                labels,
                &namespace,
            )
        }) {
            let wants: Vec<String> = all.iter().map(|it| wants(it, key)).collect();
            unread.push(format!("nobody selects the {name}: {}", wants.join(", ")));
        }
    }
    Ok(Verdict::unless(
        &unread,
        "put the labels that it selects under `monitoring.labels` in the profile, and run `arcctl up`",
    ))
}

/// Whether a Prometheus selects an object of the controller's namespace with these labels.
fn reads(prometheus: &Value, home: &str, key: &str, labels: &Value, namespace: &Value) -> bool {
    let spec = &prometheus["spec"];
    let place = &spec[format!("{key}NamespaceSelector")];
    let here = if place.is_null() {
        prometheus["metadata"]["namespace"] == home
    } else {
        matches(place, namespace)
    };
    here && matches(&spec[format!("{key}Selector")], labels)
}

fn wants(prometheus: &Value, key: &str) -> String {
    let metadata = &prometheus["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "Prometheus `{}/{}` wants {} in namespaces with {}",
        text(&metadata["namespace"]),
        text(&metadata["name"]),
        prometheus["spec"][format!("{key}Selector")],
        prometheus["spec"][format!("{key}NamespaceSelector")],
    )
}

/// A label selector of Kubernetes: a missing one matches nothing, an empty one everything.
fn matches(selector: &Value, labels: &Value) -> bool {
    let Some(selector) = selector.as_object() else {
        return false;
    };
    let none = Map::new();
    let equal = selector.get("matchLabels").and_then(Value::as_object);
    let mut equal = equal.unwrap_or(&none).iter();
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let mut expressions = expressions.into_iter().flatten();
    equal.all(|(key, value)| labels.get(key) == Some(value))
        && expressions.all(|it| {
            let value = it["key"].as_str().and_then(|key| labels.get(key));
            let among = || {
                let values = it["values"].as_array();
                values.is_some_and(|values| value.is_some_and(|it| values.contains(it)))
            };
            match it["operator"].as_str() {
                Some("In") => among(),
                Some("NotIn") => !among(),
                Some("Exists") => value.is_some(),
                Some("DoesNotExist") => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_select_as_in_kubernetes() {
        let labels = json!({"release": "prom", "team": "ci"});
        let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "release", "operator": operator, "values": values}]});
        for selector in [
            json!({}),
            json!({"matchLabels": {"release": "prom"}}),
            expression("In", json!(["other", "prom"])),
            expression("NotIn", json!(["other"])),
            expression("Exists", Value::Null),
        ] {
            assert!(matches(&selector, &labels), "{selector}");
        }
        for selector in [
            Value::Null,
            json!({"matchLabels": {"release": "prom", "team": "x"}}),
            expression("In", json!(["other"])),
            expression("NotIn", json!(["prom"])),
            expression("DoesNotExist", Value::Null),
            expression("Unknown", Value::Null),
        ] {
            assert!(!matches(&selector, &labels), "{selector}");
        }
    }

    #[test]
    fn without_a_selector_of_namespaces_only_its_own_is_read() {
        let prometheus = |namespace: &str, place: Value| {
            json!({"metadata": {"namespace": namespace, "name": "p"},
                "spec": {"ruleSelector": {}, "ruleNamespaceSelector": place}})
        };
        let reads = |prometheus: &Value| {
            reads(
                prometheus,
                "actions-runner-system",
                "rule",
                &json!({}),
                &json!({"a": "b"}),
            )
        };
        assert!(reads(&prometheus("actions-runner-system", Value::Null)));
        assert!(!reads(&prometheus("monitoring", Value::Null)));
        assert!(reads(&prometheus("monitoring", json!({}))));
        let chosen = |value: &str| prometheus("monitoring", json!({"matchLabels": {"a": value}}));
        assert!(reads(&chosen("b")) && !reads(&chosen("c")));
    }
}
