//! Rules for topology spread constraints: valid, and matching the pool's pods. Pure: no I/O.

use serde_json::Value;

use super::{Pod, Report, list, placement, text};
use crate::profile::path::Path;

pub(super) fn check(pod: &Pod<'_>, report: &mut Report) {
    let place = pod.place().key("topologySpreadConstraints");
    let mut seen = Vec::new();
    for (index, constraint) in list(pod.template, "topologySpreadConstraints").enumerate() {
        let path = place.index(index);
        report.in_range(constraint, "maxSkew", 1, i64::from(i32::MAX), &path);
        report.one_of(
            constraint,
            "whenUnsatisfiable",
            &["DoNotSchedule", "ScheduleAnyway"],
            &path,
        );
        placement::selector(
            &constraint["labelSelector"],
            &path.key("labelSelector"),
            report,
        );
        counts_own(pod, constraint, &path, report);
        let soft = text(constraint, "whenUnsatisfiable") == Some("ScheduleAnyway");
        if soft && constraint.get("minDomains").is_some() {
            report.error(
                path.key("minDomains"),
                "`minDomains` has a meaning with `DoNotSchedule` only",
                "remove one of them",
            );
        }
        let same = (
            constraint.get("topologyKey"),
            constraint.get("whenUnsatisfiable"),
        );
        if seen.contains(&same) {
            report.error(
                path,
                "another constraint is for the same `topologyKey` and `whenUnsatisfiable`",
                "keep one of them",
            );
        }
        seen.push(same);
    }
}

/// Whether a constraint matches the pool's own pods: otherwise it has no effect, without an error.
fn counts_own(pod: &Pod<'_>, constraint: &Value, path: &Path, report: &mut Report) {
    let name = &pod.pool.name;
    let own = format!("`labelSelector: {{matchLabels: {{runner-deployment-name: {name}}}}}`");
    let Some(selector) = constraint.get("labelSelector") else {
        report.advice(
            path.clone(),
            "without `labelSelector` this counts no pods, and spreads none",
            format!("add {own}"),
        );
        return;
    };
    let of_pool = |key: &str| match key {
        "runner-deployment-name" => Some(name.as_str()),
        "actions-runner" => Some(""),
        key => pod.pool.pod_metadata.labels.get(key).map(String::as_str),
    };
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let other = labels.into_iter().flatten().find(|(key, value)| {
        let is_hash = key.ends_with("-template-hash");
        !is_hash && of_pool(key) != value.as_str()
    });
    if let Some((key, value)) = other {
        report.advice(
            path.key("labelSelector").key("matchLabels").key(key),
            format!("no runner of this pool has the label `{key}: {}`: it is not counted, and not spread", value.as_str().unwrap_or_default()),
            format!("give it with the pool's `podMetadata.labels`, or write {own}"),
        );
    }
}
