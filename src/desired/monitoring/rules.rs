//! The groups of the `PrometheusRule`. Pure: no I/O.

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    Scheduled,
    min_replicas::{self, IN_FORCE},
};
use crate::{
    desired::{names, pool::runner_version},
    profile::{Pool, Profile},
    templates,
    units::runner::jobs_end_by_table,
};

/// The label of the controller's metrics with the name of the autoscaler, which is the pool's.
const POOL: &str = "horizontalrunnerautoscaler";

/// The end of a pool's dated schedule.
const ENDS: &str = "arcctl:schedule_ends:timestamp_seconds";

/// Until about when GitHub gives jobs to the runner in a pool's image.
const RUNNER_ENDS: &str = "arcctl:runner_jobs_end:timestamp_seconds";

/// Recording rules first: the alerts use them, and a group's rules are evaluated in order.
pub(super) fn groups(profile: &Profile, pools: &[Scheduled]) -> Value {
    let recording = |name: &str, pool: &Scheduled, expression: String| {
        json!({
            "record": name,
            "expr": expression,
            "labels": {POOL: pool.pool.name, "profile": profile.name},
        })
    };
    let mut rules = Vec::new();
    for pool in pools {
        let expression = min_replicas::expression(&pool.overrides, pool.pool.min);
        rules.push(recording(IN_FORCE, pool, expression));
        if let Some(end) = pool.ends {
            rules.push(recording(ENDS, pool, format!("vector({end})")));
        }
        if let Some(end) = runner_ends(profile, pool.pool) {
            rules.push(recording(RUNNER_ENDS, pool, format!("vector({end})")));
        }
    }
    rules.extend(alerts(profile));
    json!([{"name": format!("arcctl-{}", profile.name), "rules": rules}])
}

/// In seconds: from the releases that this program knows, so that the rule changes with the profile or the program, and not from
/// day to day. `None` for a server that refuses no version, and for an image whose version is not known.
fn runner_ends(profile: &Profile, pool: &Pool) -> Option<i64> {
    let version = runner_version::in_image(pool).filter(|_| runner_version::refuses(profile))?;
    let day = jobs_end_by_table(version)?;
    let midnight = TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    Some(midnight.as_second())
}

/// The alerts of `templates/monitoring/alerts.yaml`.
fn alerts(profile: &Profile) -> Vec<Value> {
    let controller = &profile.controller;
    let lease = if controller.release == names::CONTROLLER {
        controller.release.clone()
    } else {
        controller.full_name()
    };
    templates::ALERTS.items(&[
        ("PROFILE", json!(profile.name)),
        ("NAMESPACE", json!(controller.namespace)),
        ("LOG_COMMAND", json!(controller.log_command())),
        ("LEASE", json!(lease)),
        ("CERTIFICATE", json!(controller.serving_certificate())),
    ])
}
