//! The Grafana dashboard: `templates/monitoring/dashboard.json`, which Grafana can import and export. Pure: no I/O.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::min_replicas::IN_FORCE;
use crate::{profile::Profile, templates};

/// The metric with the minimum outside of windows, which exists without rules.
const OUTSIDE: &str = "horizontalrunnerautoscaler_spec_min_replicas";

/// The dashboard; without `rules` there is no series for the minimum in force, and it shows the base value.
pub(super) fn dashboard(profile: &Profile, rules: bool) -> Value {
    let mut dashboard = templates::DASHBOARD.value(&[
        ("PROFILE", json!(profile.name)),
        ("SCHEDULE", json!(windows(profile, rules))),
        (
            "CERTIFICATE",
            json!(profile.controller.serving_certificate()),
        ),
    ]);
    if !rules {
        let panels = dashboard["panels"].as_array_mut();
        panels.into_iter().flatten().for_each(without_rules);
    }
    dashboard
}

/// Replaces the minimum in force by the one outside of windows, or removes it where that is shown already.
fn without_rules(panel: &mut Value) {
    if panel["title"] == "Minimum in force" {
        panel["title"] = json!("Minimum outside windows");
    }
    let Some(targets) = panel.get_mut("targets").and_then(Value::as_array_mut) else {
        return;
    };
    let has_outside = targets
        .iter()
        .any(|it| it["expr"].as_str().is_some_and(|it| it.contains(OUTSIDE)));
    if has_outside {
        targets.retain(|it| !it["expr"].as_str().is_some_and(|it| it.contains(IN_FORCE)));
    }
    for target in targets {
        if let Some(expression) = target["expr"].as_str() {
            target["expr"] = json!(expression.replace(IN_FORCE, OUTSIDE));
        }
    }
}

/// The profile's windows, which no metric contains.
fn windows(profile: &Profile, rules: bool) -> String {
    let mut text = String::new();
    for pool in profile.deployment_pools() {
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
    if !rules {
        text.push_str("\nThe controller's metrics have the minimum outside windows only. With `monitoring.alerts` a rule records the one in force.\n");
    }
    text
}
