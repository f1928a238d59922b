//! The Grafana dashboard: `templates/monitoring/dashboard.json`, which Grafana can import and export. Pure: no I/O.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    min_replicas::{IN_FORCE, SET_IN_FORCE},
    namespaces, shown, watches_scale_sets,
};
use crate::{profile::Profile, templates};

/// The series that rules record, and what has the minimum without them: of an autoscaler that outside of windows, of a
/// listener the one that it keeps.
const MINIMUMS: [(&str, &str); 2] = [
    (IN_FORCE, "horizontalrunnerautoscaler_spec_min_replicas"),
    (SET_IN_FORCE, "gha_min_runners"),
];

/// The variables of the dashboard that list the pools of a mode.
const POOLS: &str = "pool";
const SETS: &str = "set";

/// The dashboard; without `rules` there is no series for the minimum in force, and it shows what else there is.
pub(super) fn dashboard(profile: &Profile, rules: bool) -> Value {
    let of_deployments = namespaces(profile.deployment_pools());
    let of_sets = namespaces(profile.scale_set_pools());
    let mut dashboard = templates::DASHBOARD.value(&[
        ("PROFILE", json!(profile.name)),
        ("SCHEDULE", json!(windows(profile, rules))),
        ("DEPLOYMENT_NAMESPACES", json!(of_deployments)),
        ("SET_NAMESPACES", json!(of_sets)),
    ]);
    let (deployments, sets) = (profile.has_deployments(), watches_scale_sets(profile));
    let mut panels = Vec::new();
    if deployments {
        let mut added = templates::DEPLOYMENT_PANELS.items(&[
            ("PROFILE", json!(profile.name)),
            ("NAMESPACE", json!(profile.controller.namespace)),
            ("NAMESPACES", json!(of_deployments)),
            (
                "CERTIFICATE",
                json!(profile.controller.serving_certificate()),
            ),
        ]);
        if !rules {
            for panel in &mut added {
                without_rules(panel, &profile.name, &of_deployments);
            }
        }
        append(&mut panels, added);
    }
    if sets {
        let mut added = templates::SCALE_SET_PANELS.items(&[
            ("PROFILE", json!(profile.name)),
            ("NAMESPACE", json!(profile.scale_sets.namespace)),
            ("NAMESPACES", json!(of_sets)),
        ]);
        if !rules {
            for panel in &mut added {
                without_rules(panel, &profile.name, &of_sets);
            }
        }
        append(&mut panels, added);
    }
    if let Some(last) = dashboard["panels"].as_array_mut() {
        append(&mut panels, std::mem::take(last));
    }
    dashboard["panels"] = panels.into();
    if let Some(variables) = dashboard["templating"]["list"].as_array_mut() {
        variables.retain(|it| match it["name"].as_str() {
            Some(POOLS) => deployments,
            Some(SETS) => sets,
            _ => true,
        });
    }
    dashboard
}

/// Puts `more` below the panels that are there.
fn append(panels: &mut Vec<Value>, more: Vec<Value>) {
    let number = |panel: &Value, key: &str| panel["gridPos"][key].as_u64().unwrap_or_default();
    let ends = panels.iter().map(|it| number(it, "y") + number(it, "h"));
    let end = ends.max().unwrap_or_default();
    for mut panel in more {
        panel["gridPos"]["y"] = json!(end + number(&panel, "y"));
        panels.push(panel);
    }
}

/// Replaces the minimum in force of `profile` by what there is without rules, in the pools' `namespaces`, or removes it where
/// that is shown already.
fn without_rules(panel: &mut Value, profile: &str, namespaces: &str) {
    let own = format!("profile=\"{profile}\"");
    let of_pools = format!("exported_namespace=~\"{namespaces}|\"");
    if panel["title"] == "Minimum in force" {
        panel["title"] = json!("Minimum outside windows");
    }
    let Some(targets) = panel.get_mut("targets").and_then(Value::as_array_mut) else {
        return;
    };
    for (recorded, live) in MINIMUMS {
        if targets.iter().any(|it| asks(it, live)) {
            targets.retain(|it| !asks(it, recorded));
        }
        for target in targets.iter_mut() {
            if let Some(expression) = target["expr"].as_str() {
                let expression = expression.replace(recorded, live);
                target["expr"] = json!(expression.replace(&own, &of_pools));
            }
        }
    }
}

/// Whether a query is about a metric.
fn asks(target: &Value, metric: &str) -> bool {
    let expression = target["expr"].as_str();
    expression.is_some_and(|it| it.contains(metric))
}

/// The profile's windows, which no metric contains.
fn windows(profile: &Profile, rules: bool) -> String {
    let mut text = String::new();
    for pool in shown(profile) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "- **{}**: minimum {}, maximum {}",
            pool.name, pool.min, pool.max
        );
        let Some(schedule) = &pool.schedule else {
            continue;
        };
        for window in &schedule.windows {
            let _ = writeln!(
                text,
                "  - {}: minimum {}, {window} ({})",
                window.name, window.min, schedule.time_zone
            );
        }
    }
    if !rules && profile.has_deployments() {
        text.push_str("\nThe controller's metrics have the minimum outside windows only. With `monitoring.alerts` a rule records the one in force.\n");
    }
    text
}
