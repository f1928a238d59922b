//! What has changed between two states of an installation. Pure: no I/O.

use super::status::{ReleaseStatus, Status};

/// The changes, one per line.
pub fn changes(before: &Status, now: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    let releases = |status: &Status| -> Vec<String> {
        let shown = |it: &ReleaseStatus| format!("{} {} {}", it.name, it.version, it.status);
        status.releases.iter().map(shown).collect()
    };
    let (old, new) = (releases(before), releases(now));
    lines.extend(
        new.iter()
            .filter(|it| !old.contains(it))
            .map(|it| format!("release {it}")),
    );
    if new.len() < old.len() {
        lines.push(format!("{} of {} releases are left", new.len(), old.len()));
    }
    let certificate = |status: &Status| {
        status.certificate.as_ref().map_or(
            "none",
            |it| {
                if it.ready { "ready" } else { "not ready" }
            },
        )
    };
    if certificate(before) != certificate(now) {
        lines.push(format!("certificate {}", certificate(now)));
    }
    for pool in &now.pools {
        let Some(old) = before.pools.iter().find(|it| it.name == pool.name) else {
            continue;
        };
        let names = ["min", "max", "desired", "running", "registered", "busy"];
        let changed: Vec<String> = names
            .iter()
            .zip(old.numbers().iter().zip(&pool.numbers()))
            .filter(|(_, (old, new))| old != new)
            .map(|(name, (old, new))| format!("{name} {old} -> {new}"))
            .collect();
        if !changed.is_empty() {
            lines.push(format!("{}: {}", pool.name, changed.join(", ")));
        }
    }
    lines
}
