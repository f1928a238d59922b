//! The groups of the `PrometheusRule`. Pure: no I/O.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    Scheduled,
    min_replicas::{self, IN_FORCE, SET_IN_FORCE},
    namespaces, watches_scale_sets,
};
use crate::{
    desired::{names, pool::runner_version},
    profile::{Pool, Profile},
    templates,
    units::{runner::jobs_end_by_table, version},
};

/// The label of the controller's metrics with the name of the autoscaler, which is the pool's.
const POOL: &str = "horizontalrunnerautoscaler";

/// The label of the metrics of GitHub's own controller and its listeners with the name of the scale set, which is the pool's.
const SET: &str = "name";

/// The end of a pool's dated schedule.
const ENDS: &str = "arcctl:schedule_ends:timestamp_seconds";

/// The alert about runners whose pods do not run.
const NOT_ONLINE: &str = "ArcctlScaleSetRunnersNotOnline";

/// Since then a runner counts as running only while it has a job, so that no metric has the idle ones (reference: scale-sets.md 1).
const RUNNING_WITH_A_JOB_SINCE: (u64, u64, u64) = (0, 15, 0);

/// Until about when GitHub gives jobs to the runner in a pool's image.
const RUNNER_ENDS: &str = "arcctl:runner_jobs_end:timestamp_seconds";

/// Recording rules first: the alerts use them, and a group's rules are evaluated in order.
pub(super) fn groups(profile: &Profile, pools: &[Scheduled]) -> Value {
    let mut rules = Vec::new();
    for pool in pools {
        let (minimum, label) = if pool.pool.is_scale_set() {
            (SET_IN_FORCE, SET)
        } else {
            (IN_FORCE, POOL)
        };
        let mut record = |name: &str, expression: String| {
            rules.push(json!({
                "record": name,
                "expr": expression,
                "labels": {label: pool.pool.name, "profile": profile.name},
            }));
        };
        let expression = min_replicas::expression(&pool.overrides, pool.pool.min);
        record(minimum, expression);
        if let Some(end) = pool.ends {
            record(ENDS, format!("vector({end})"));
        }
        if let Some(end) = runner_ends(profile, pool.pool) {
            record(RUNNER_ENDS, format!("vector({end})"));
        }
    }
    if profile.has_deployments() {
        rules.extend(deployment_alerts(profile));
    }
    if watches_scale_sets(profile) {
        rules.extend(scale_set_alerts(profile));
    }
    rules.extend(templates::POOL_ALERTS.items(&[("PROFILE", json!(profile.name))]));
    json!([{"name": format!("arcctl-{}", profile.name), "rules": rules}])
}

/// In seconds: from the releases that this program knows, so that the rule changes with the profile or the program, and not from
/// day to day. `None` for a server that refuses no version, and for an image whose version is not known or has no later release.
fn runner_ends(profile: &Profile, pool: &Pool) -> Option<i64> {
    let version = runner_version::in_image(pool).filter(|_| runner_version::refuses(profile))?;
    let day = jobs_end_by_table(version)?;
    let midnight = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(midnight.as_second())
}

/// The alerts of `templates/monitoring/deployment-alerts.yaml`.
fn deployment_alerts(profile: &Profile) -> Vec<Value> {
    let controller = &profile.controller;
    let lease = if controller.release == names::CONTROLLER {
        controller.release.clone()
    } else {
        controller.full_name()
    };
    templates::DEPLOYMENT_ALERTS.items(&[
        ("PROFILE", json!(profile.name)),
        ("NAMESPACE", json!(controller.namespace)),
        ("NAMESPACES", json!(namespaces(profile.deployment_pools()))),
        ("LOG_COMMAND", json!(controller.log_command())),
        ("LEASE", json!(lease)),
        ("CERTIFICATE", json!(controller.serving_certificate())),
    ])
}

/// The alerts of `templates/monitoring/scale-set-alerts.yaml`.
fn scale_set_alerts(profile: &Profile) -> Vec<Value> {
    let sets = &profile.scale_sets;
    let mut alerts = templates::SCALE_SET_ALERTS.items(&[
        ("PROFILE", json!(profile.name)),
        ("NAMESPACE", json!(sets.namespace)),
        ("NAMESPACES", json!(namespaces(profile.scale_set_pools()))),
        ("LOG_COMMAND", json!(sets.log_command())),
        // The chart names the Lease after the Deployment (reference: scale-sets.md 2.2).
        ("LEASE", json!(sets.full_name())),
        ("CRON_JOB", json!(names::schedule_name(&profile.name))),
    ]);
    if version::triple(&sets.chart_version) >= RUNNING_WITH_A_JOB_SINCE {
        alerts.retain(|it| it["alert"] != NOT_ONLINE);
    }
    alerts
}
