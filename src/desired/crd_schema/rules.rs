//! Values that the CRDs allow, but the controller or the runner's pod rejects. Pure: no I/O.

use serde_json::Value;

use super::{SchemaProblem, walk};

/// The metrics the controller computes; any other fails each reconciliation of the autoscaler.
const METRICS: [&str; 2] = [
    "PercentageRunnersBusy",
    "TotalNumberOfQueuedAndInProgressWorkflowRuns",
];

pub(super) fn check(kind: &str, manifest: &Value, problems: &mut Vec<SchemaProblem>) {
    if kind == "HorizontalRunnerAutoscaler" {
        for (index, metric) in list(manifest, "/spec/metrics").enumerate() {
            one_of(
                metric,
                "type",
                &METRICS,
                &format!("spec.metrics[{index}]"),
                problems,
            );
        }
        return;
    }
    let path = "spec.template.spec";
    if let Some(spec) = manifest.pointer("/spec/template/spec") {
        one_of(spec, "containerMode", &["kubernetes", ""], path, problems);
    }
    for (index, toleration) in list(manifest, "/spec/template/spec/tolerations").enumerate() {
        let path = format!("{path}.tolerations[{index}]");
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute", ""];
        one_of(toleration, "effect", &effects, &path, problems);
        one_of(
            toleration,
            "operator",
            &["Exists", "Equal", ""],
            &path,
            problems,
        );
    }
}

fn list<'a>(manifest: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    manifest
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn one_of(map: &Value, key: &str, allowed: &[&str], path: &str, problems: &mut Vec<SchemaProblem>) {
    let Some(text) = map.get(key).and_then(Value::as_str) else {
        return;
    };
    if !allowed.contains(&text) {
        let named: Vec<&str> = allowed
            .iter()
            .copied()
            .filter(|value| !value.is_empty())
            .collect();
        let meant = walk::did_you_mean(text, &named);
        problems.push(SchemaProblem {
            path: format!("{path}.{key}"),
            message: format!("`{text}` is not one of {}{meant}", named.join(", ")),
        });
    }
}
