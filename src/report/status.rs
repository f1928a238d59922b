//! The state of an installation as one screen and as `arcctl.status/v1`. Pure: no I/O.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{error::Error, profile::schedule::Moment};

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
    /// helm's word for its state.
    pub status: String,
}

/// The webhook's certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateStatus {
    /// Whether cert-manager says that it is ready.
    pub ready: bool,
    /// When it ends (RFC 3339).
    pub not_after: Option<String>,
}

/// A pool; counts that cannot be found out are `None`.
#[derive(Debug)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// The minimum in force now.
    pub min: u32,
    /// The maximum.
    pub max: u32,
    /// What the autoscaler asks for.
    pub desired: Option<u64>,
    /// Pods that run.
    pub running: Option<usize>,
    /// Runners that are registered at GitHub.
    pub registered: Option<usize>,
    /// Runners with a job.
    pub busy: Option<usize>,
    /// Its schedule now and next.
    pub moment: Moment,
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
        "min": pool.min,
        "max": pool.max,
        "desired": pool.desired,
        "running": pool.running,
        "registered": pool.registered,
        "busy": pool.busy,
        "schedule": {"timeZone": pool.moment.time_zone, "active": active, "next": next},
    })
}

/// One screen, at most 80 columns wide with names of usual length.
pub fn text(status: &Status) -> String {
    let mut text = String::new();
    for release in &status.releases {
        let _ignored = writeln!(
            text,
            "release      {}  {}  {}",
            release.name, release.version, release.status
        );
    }
    if status.releases.is_empty() {
        let _ignored = writeln!(text, "release      none: `arcctl up` installs them");
    }
    let certificate = match &status.certificate {
        None => "none".to_owned(),
        Some(it) => format!(
            "{}, until {}",
            if it.ready { "ready" } else { "not ready" },
            it.not_after.as_deref().unwrap_or("?")
        ),
    };
    let _ignored = writeln!(text, "certificate  {certificate}\n");
    let width = status
        .pools
        .iter()
        .map(|it| it.name.len())
        .max()
        .unwrap_or(0)
        .max(4);
    let _ignored = writeln!(
        text,
        "{:<width$}  {:>5} {:>5} {:>8} {:>8} {:>11} {:>5}",
        "POOL", "MIN", "MAX", "DESIRED", "RUNNING", "REGISTERED", "BUSY"
    );
    for pool in &status.pools {
        let _ignored = writeln!(
            text,
            "{:<width$}  {:>5} {:>5} {:>8} {:>8} {:>11} {:>5}",
            pool.name,
            pool.min,
            pool.max,
            count(pool.desired),
            count(pool.running),
            count(pool.registered),
            count(pool.busy),
        );
        let zone = pool
            .moment
            .time_zone
            .as_deref()
            .map(|it| format!("  ({it})"))
            .unwrap_or_default();
        let _ignored = writeln!(text, "{:<width$}  {}{zone}", "", pool.moment);
    }
    text
}

/// A count, or `?` where it could not be found out.
fn count(number: Option<impl std::fmt::Display>) -> String {
    number.map_or_else(|| "?".into(), |it| it.to_string())
}
