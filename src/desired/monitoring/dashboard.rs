//! The Grafana dashboard. Pure: no I/O.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::min_replicas::IN_FORCE;
use crate::{desired::names, profile::Profile};

/// The label selector for the dashboard's pool variable.
const CHOSEN: &str = "{horizontalrunnerautoscaler=~\"$pool\"}";

/// A query and its legend.
type Query = (String, &'static str);

/// The dashboard; without `rules` there is no series for the minimum in force, and the base value is shown.
pub(super) fn dashboard(profile: &Profile, rules: bool) -> Value {
    let mut panels = numbers(rules);
    panels.extend(charts(rules));
    panels.push(windows(profile, rules));
    for (id, panel) in (1..).zip(&mut panels) {
        panel["id"] = json!(id);
    }
    json!({
        "uid": format!("arcctl-{}", profile.name),
        "title": format!("Runners of {}", profile.name),
        "description": "Written by arcctl: changes are overwritten by the next `arcctl up`.",
        "tags": ["arcctl", "github-actions"],
        "schemaVersion": 39,
        "editable": false,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [data_source(), pool()]},
        "panels": panels,
    })
}

fn data_source() -> Value {
    json!({"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"})
}

fn pool() -> Value {
    let query =
        "label_values(horizontalrunnerautoscaler_spec_max_replicas, horizontalrunnerautoscaler)";
    json!({
        "name": "pool",
        "label": "Pool",
        "type": "query",
        "datasource": source(),
        "query": {"query": query, "refId": "pool"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "allValue": ".+",
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
    })
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn chosen(metric: &str) -> String {
    format!("horizontalrunnerautoscaler_{metric}{CHOSEN}")
}

/// One value per pool: Prometheus scrapes both controller pods.
fn by_pool(metric: &str) -> String {
    format!("max by (horizontalrunnerautoscaler) ({})", chosen(metric))
}

fn minimum(rules: bool) -> String {
    if rules {
        format!("max by (horizontalrunnerautoscaler) ({IN_FORCE}{CHOSEN})")
    } else {
        by_pool("spec_min_replicas")
    }
}

/// The row of stat panels at the top.
fn numbers(rules: bool) -> Vec<Value> {
    let certificate = format!(
        "min(certmanager_certificate_expiration_timestamp_seconds{{name=\"{}-serving-cert\"}}) - time()",
        names::CONTROLLER
    );
    let sum = |query: String| format!("sum({query})");
    let all = [
        ("Busy", sum(by_pool("runners_busy")), "short"),
        ("Registered", sum(by_pool("runners_registered")), "short"),
        (
            "Asked for",
            sum(by_pool("status_desired_replicas")),
            "short",
        ),
        (minimum_title(rules), sum(minimum(rules)), "short"),
        ("Certificate ends in", certificate, "s"),
        (
            "GitHub calls left",
            "max(github_rate_limit_remaining)".into(),
            "short",
        ),
    ];
    let mut panels = Vec::new();
    for (place, (title, query, unit)) in (0..).zip(all) {
        let mut panel = panel("stat", title, &[(query, "")], unit);
        panel["gridPos"] = json!({"x": place * 4, "y": 0, "w": 4, "h": 4});
        panel["options"] =
            json!({"graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}});
        panels.push(panel);
    }
    panels
}

fn minimum_title(rules: bool) -> &'static str {
    if rules {
        "Minimum in force"
    } else {
        "Minimum outside windows"
    }
}

fn charts(rules: bool) -> Vec<Value> {
    let mut of_pool = vec![
        (by_pool("spec_max_replicas"), "maximum"),
        (by_pool("status_desired_replicas"), "asked for"),
        (by_pool("runners_registered"), "registered"),
        (by_pool("runners_busy"), "busy"),
        (by_pool("spec_min_replicas"), "minimum outside windows"),
    ];
    if rules {
        of_pool.push((minimum(rules), "minimum in force"));
    }
    let share = format!(
        "{} / {}",
        by_pool("runners_busy"),
        by_pool("runners_registered")
    );
    let errors = "sum by (controller) (rate(controller_runtime_reconcile_errors_total{controller=~\"(runner|horizontalrunnerautoscaler).*\"}[$__rate_interval]))";
    let depth = "sum by (name) (workqueue_depth{name=~\"(runner|horizontalrunnerautoscaler).*\"})";
    let calls = [
        ("max(github_rate_limit_remaining)".to_owned(), "left"),
        ("max(github_rate_limit)".to_owned(), "allowed"),
    ];
    let all: [(&str, &[Query], &str); 5] = [
        ("Runners of $pool", &of_pool, "short"),
        (
            "Share of busy runners",
            &[(share, "{{horizontalrunnerautoscaler}}")],
            "percentunit",
        ),
        (
            "Errors of the controller a second",
            &[(errors.to_owned(), "{{controller}}")],
            "short",
        ),
        (
            "Work that waits in the controller",
            &[(depth.to_owned(), "{{name}}")],
            "short",
        ),
        ("Calls to GitHub in this hour", &calls, "short"),
    ];
    let mut panels = Vec::new();
    for (place, (title, queries, unit)) in (0..).zip(all) {
        let mut panel = panel("timeseries", title, queries, unit);
        panel["gridPos"] = if place == 0 {
            panel["repeat"] = json!("pool");
            panel["repeatDirection"] = json!("v");
            json!({"x": 0, "y": 4, "w": 24, "h": 9})
        } else {
            json!({"x": (place - 1) % 2 * 12, "y": 13 + (place - 1) / 2 * 8, "w": 12, "h": 8})
        };
        panel["fieldConfig"]["defaults"]["min"] = json!(0);
        panels.push(panel);
    }
    panels
}

fn panel(kind: &str, title: &str, queries: &[Query], unit: &str) -> Value {
    let targets: Vec<Value> = queries
        .iter()
        .zip('A'..='Z')
        .map(|((query, legend), id)| {
            json!({"refId": id, "expr": query, "legendFormat": legend, "datasource": source()})
        })
        .collect();
    json!({
        "type": kind,
        "title": title,
        "datasource": source(),
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
    })
}

/// The profile's windows, which no metric contains.
fn windows(profile: &Profile, rules: bool) -> Value {
    let mut text = String::new();
    for pool in &profile.pools {
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
    json!({
        "type": "text",
        "title": "Schedule",
        "gridPos": {"x": 0, "y": 29, "w": 24, "h": 6},
        "options": {"mode": "markdown", "content": text},
    })
}
