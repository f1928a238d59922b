//! Alerts and the dashboard: a `PrometheusRule` and a `ConfigMap` for Grafana's sidecar. Pure: no I/O.
//!
//! The `ServiceMonitor` is part of the controller's chart (`desired::controller`).

mod dashboard;
mod min_replicas;
mod rules;

pub use min_replicas::IN_FORCE;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{DesiredError, Facts, names, pool::autoscaler};
use crate::profile::{
    Auto, Monitoring, Profile,
    schedule::{Override, parse_live},
};

/// The API of the Prometheus operator.
pub const API_VERSION: &str = "monitoring.coreos.com/v1";

/// The `ConfigMap` with the dashboard.
pub const DASHBOARD: &str = "actions-runner-controller-dashboard";

/// The label that Grafana's sidecar selects dashboards by, and its value.
pub const SIDECAR: (&str, &str) = ("grafana_dashboard", "1");

/// A pool, and the overrides of its autoscaler in the cluster.
struct Scheduled<'a> {
    pool: &'a crate::profile::Pool,
    overrides: Vec<Override>,
    /// When dated overrides end although the schedule continues, in seconds.
    ends: Option<i64>,
}

/// Whether to create objects of the Prometheus operator: an unknown fact counts as absent.
pub const fn wanted(choice: Auto, crd: Option<bool>) -> bool {
    match choice {
        Auto::Auto => matches!(crd, Some(true)),
        Auto::Always => true,
        Auto::Never => false,
    }
}

/// Whether to create alerts, in this cluster.
pub fn wants_rules(profile: &Profile, facts: &Facts) -> bool {
    let choice = profile.monitoring.as_ref().map(|it| it.alerts);
    choice.is_some_and(|it| wanted(it, facts.prometheus_rule_crd))
}

/// Whether to create the dashboard. It reads from Prometheus, so `auto` depends on the operator.
pub fn wants_dashboard(profile: &Profile, facts: &Facts) -> bool {
    let choice = profile.monitoring.as_ref().map(|it| it.dashboard);
    choice.is_some_and(|it| wanted(it, facts.prometheus_rule_crd))
}

/// The manifests for the profile's monitoring.
pub(super) fn objects(profile: &Profile, facts: &Facts) -> Result<Vec<Value>, DesiredError> {
    let Some(monitoring) = &profile.monitoring else {
        return Ok(Vec::new());
    };
    // Those of runner scale sets are not made yet: the lint says so.
    if !profile.has_deployments() {
        return Ok(Vec::new());
    }
    let (rules, dashboard) = (wants_rules(profile, facts), wants_dashboard(profile, facts));
    let mut objects = Vec::new();
    if rules {
        let groups = rules::groups(profile, &scheduled(profile, facts)?);
        objects.push(json!({
            "apiVersion": API_VERSION,
            "kind": "PrometheusRule",
            "metadata": metadata(profile, monitoring, names::CONTROLLER, None),
            "spec": {"groups": groups},
        }));
    }
    if dashboard {
        let file = format!("arcctl-{}.json", profile.name);
        let text = format!("{:#}\n", dashboard::dashboard(profile, rules));
        objects.push(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(profile, monitoring, DASHBOARD, Some(SIDECAR)),
            "data": BTreeMap::from([(file, text)]),
        }));
    }
    Ok(objects)
}

/// The profile's own labels, and arcctl's, which a profile cannot override.
fn metadata(
    profile: &Profile,
    monitoring: &Monitoring,
    name: &str,
    label: Option<(&str, &str)>,
) -> Value {
    let mut metadata = names::metadata(profile, Some(&profile.controller.namespace), name);
    let mut labels = json!({});
    if let Some((key, value)) = label {
        labels[key] = value.into();
    }
    for (key, value) in &monitoring.labels {
        labels[key] = json!(value);
    }
    for (key, value) in names::labels(&profile.name)
        .as_object()
        .into_iter()
        .flatten()
    {
        labels[key] = value.clone();
    }
    metadata.insert("labels".into(), labels);
    metadata.into()
}

/// Each pool with the overrides that its autoscaler gets or keeps: the rules must match the controller.
fn scheduled<'a>(profile: &'a Profile, facts: &Facts) -> Result<Vec<Scheduled<'a>>, DesiredError> {
    let of = |pool| {
        let live = autoscaler::scheduled_overrides(pool, facts)?;
        let overrides = live.as_ref().and_then(parse_live).unwrap_or_default();
        let ends = min_replicas::end(&overrides, pool, facts.now);
        Ok(Scheduled {
            pool,
            overrides,
            ends,
        })
    };
    profile.deployment_pools().map(of).collect()
}
