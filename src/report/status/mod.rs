//! The state of an installation as one screen and as `arcctl.status/v1`. Pure: no I/O.

mod runner;
mod text;

pub use runner::{RunnerStatus, concerns, summary};
pub use text::{changes, text};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    error::Error,
    profile::{Mode, Schedule, schedule::Moment},
};

/// The state of an installation.
#[derive(Debug, Default)]
pub struct Status {
    /// The profile's name.
    pub profile: String,
    /// The Helm releases.
    pub releases: Vec<ReleaseStatus>,
    /// The webhook's certificate, where there is one.
    pub certificate: Option<CertificateStatus>,
    /// The pools.
    pub pools: Vec<PoolStatus>,
}

/// A Helm release.
#[derive(Debug, Serialize)]
pub struct ReleaseStatus {
    /// `namespace/name`.
    pub name: String,
    /// The chart's version.
    pub version: String,
    /// Helm's name of its state.
    pub status: String,
}

/// The webhook's certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Whether cert-manager reports it as ready.
    pub ready: bool,
    /// When it expires (RFC 3339).
    pub not_after: Option<String>,
}

/// A pool; unknown counts are `None`.
#[derive(Debug)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Which controller runs it.
    pub mode: Mode,
    /// The minimum in force now.
    pub min: u32,
    /// The maximum.
    pub max: u32,
    /// The replicas that the autoscaler requests.
    pub desired: Option<u64>,
    /// Running pods.
    pub running: Option<usize>,
    /// Runners that are registered at GitHub.
    pub registered: Option<usize>,
    /// Runners that run a job.
    pub busy: Option<usize>,
    /// The current and the next period of its schedule.
    pub moment: Moment,
    /// Its schedule and the minimum outside every window; `None` without a schedule.
    pub schedule: Option<(Schedule, u32)>,
    /// The version of its runners, and until when GitHub takes it.
    pub runner: Option<RunnerStatus>,
}

/// The JSON document.
pub fn document(status: &Status) -> Value {
    let pools: Vec<Value> = status.pools.iter().map(pool).collect();
    json!({
        "schema": "arcctl.status/v1",
        "profile": status.profile,
        "releases": status.releases,
        "certificate": status.certificate,
        "pools": pools,
        "error": null,
    })
}

/// The JSON document of a failure.
pub fn failure(profile: &str, error: &Error) -> Value {
    json!({
        "schema": "arcctl.status/v1",
        "profile": profile,
        "releases": [],
        "certificate": null,
        "pools": [],
        "error": error.document(),
    })
}

fn pool(pool: &PoolStatus) -> Value {
    let active = pool.moment.active.as_ref().map(
        |it| json!({"name": it.name, "min": it.min, "until": it.until.timestamp().to_string()}),
    );
    let next =
        pool.moment.next.as_ref().map(
            |it| json!({"at": it.at.timestamp().to_string(), "window": it.window, "min": it.min}),
        );
    json!({
        "name": pool.name,
        "mode": pool.mode,
        "min": pool.min,
        "max": pool.max,
        "desired": pool.desired,
        "running": pool.running,
        "registered": pool.registered,
        "busy": pool.busy,
        "schedule": {"timeZone": pool.moment.time_zone, "active": active, "next": next},
        "runner": pool.runner.as_ref().map(RunnerStatus::document),
    })
}

#[cfg(test)]
mod tests;
