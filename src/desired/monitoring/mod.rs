//! Alerts and the dashboard: a `PrometheusRule` and a `ConfigMap` for Grafana's sidecar; and `PodMonitors` of GitHub's own
//! controller. Each has the parts of the modes that the profile's pools have. Pure: no I/O.
//!
//! The `ServiceMonitor` is part of the chart of the community's controller (`desired::charts::controller`).

mod dashboard;
mod min_replicas;
mod pod_monitors;
mod rules;

pub use min_replicas::{IN_FORCE, SET_IN_FORCE};

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{DesiredError, Facts, names, pool::autoscaler, scale_set};
use crate::profile::{
    Auto, Monitoring, Pool, Profile,
    schedule::{Override, parse_live, parse_table},
};

/// The API of the Prometheus operator.
pub const API_VERSION: &str = "monitoring.coreos.com/v1";

/// The `ConfigMap` with the dashboard.
pub const DASHBOARD: &str = "actions-runner-controller-dashboard";

/// The label that Grafana's sidecar selects dashboards by, and its value.
pub const SIDECAR: (&str, &str) = ("grafana_dashboard", "1");

/// A pool, and the overrides of its autoscaler, or of its table, in the cluster.
struct Scheduled<'a> {
    pool: &'a Pool,
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

/// Whether the profile has scale sets whose metrics can be read.
pub fn watches_scale_sets(profile: &Profile) -> bool {
    profile.has_scale_sets() && profile.scale_sets.metrics
}

/// Whether to create the `PodMonitors` of scale sets, in this cluster.
pub fn wants_pod_monitors(profile: &Profile, facts: &Facts) -> bool {
    let choice = profile.monitoring.as_ref().map(|it| it.pod_monitor);
    watches_scale_sets(profile) && choice.is_some_and(|it| wanted(it, facts.pod_monitor_crd))
}

/// The pools that alerts and the dashboard show: those of scale sets last.
fn shown(profile: &Profile) -> impl Iterator<Item = &Pool> {
    let with_sets = watches_scale_sets(profile);
    let sets = profile.scale_set_pools().filter(move |_| with_sets);
    profile.deployment_pools().chain(sets)
}

/// The namespaces of pools, as a regular expression of a query.
fn namespaces<'a>(pools: impl Iterator<Item = &'a Pool>) -> String {
    let found: BTreeSet<&str> = pools.map(|it| it.namespace.as_str()).collect();
    Vec::from_iter(found).join("|")
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
    // Scale sets without metrics: the lint says so.
    if shown(profile).next().is_none() {
        return Ok(Vec::new());
    }
    let (rules, dashboard) = (wants_rules(profile, facts), wants_dashboard(profile, facts));
    let mut objects = Vec::new();
    if wants_pod_monitors(profile, facts) {
        objects.extend(pod_monitors::pod_monitors(profile, monitoring));
    }
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

/// Each pool with the overrides that its autoscaler or its table gets or keeps: the rules must match what is in the cluster.
fn scheduled<'a>(profile: &'a Profile, facts: &Facts) -> Result<Vec<Scheduled<'a>>, DesiredError> {
    let of = |pool: &'a Pool| {
        let overrides = if pool.is_scale_set() {
            let table = scale_set::schedule::table(pool, facts)?;
            table.as_deref().and_then(parse_table).map(|it| it.1)
        } else {
            let live = autoscaler::scheduled_overrides(pool, facts)?;
            live.as_ref().and_then(parse_live)
        };
        let overrides = overrides.unwrap_or_default();
        let ends = min_replicas::end(&overrides, pool, facts.now);
        Ok(Scheduled {
            pool,
            overrides,
            ends,
        })
    };
    shown(profile).map(of).collect()
}
