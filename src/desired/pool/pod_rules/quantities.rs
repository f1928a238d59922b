//! Rules for requests and limits of containers: resource names and amounts. Pure: no I/O.
//!
//! Source: `ValidateContainerResourceName` and `validateResourceRequirements` of the API server: names without a domain
//! are a fixed set; one with a domain is an extended resource, with a whole number and its request equal to its limit;
//! huge pages require CPU or memory.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::{Pod, Report, meant, quantity};
use crate::{
    profile::{ResourceRequirements, object_names, path::Path},
    units::quantity::{Amount, compare},
};

/// The standard container resources of Kubernetes.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Short names of extended resources, and the full names.
const EXTENDED: [(&str, &str); 4] = [
    ("gpu", "nvidia.com/gpu"),
    ("gpus", "nvidia.com/gpu"),
    ("neuron", "aws.amazon.com/neuron"),
    ("efa", "vpc.amazonaws.com/efa"),
];

/// Checks the pool's own `resources`; other rules check that amounts are quantities and requests do not exceed limits.
pub(super) fn check_pool(pod: &Pod<'_>, report: &mut Report) {
    let Some(resources) = &pod.pool.resources else {
        return;
    };
    for (key, container) in [("runner", &resources.runner), ("docker", &resources.docker)] {
        if let Some(container) = container {
            let path = pod.base.key("resources").key(key);
            names(&as_value(container), &path, report);
        }
    }
}

fn as_value(resources: &ResourceRequirements) -> Value {
    json!({"requests": resources.requests, "limits": resources.limits})
}

/// Checks the `resources` of a container in the template.
pub(super) fn check(resources: &Value, path: &Path, report: &mut Report) {
    names(resources, path, report);
    for key in ["requests", "limits"] {
        for (name, amount) in entries(resources, key) {
            let Some(text) = quantity(amount) else {
                continue;
            };
            let path = path.key(key).key(name);
            if text.starts_with('-') {
                report.error(
                    path,
                    format!("`{text}` is less than nothing"),
                    "correct the amount",
                );
            } else if name == "memory" && text.ends_with('m') && Amount::parse(&text).is_some() {
                report.advice(
                    path,
                    format!("`{text}` of memory are thousandths of a byte"),
                    "write for example `512Mi`",
                );
            }
        }
    }
    for (name, request) in entries(resources, "requests") {
        let Some(limit) = resources.pointer("/limits").and_then(|it| it.get(name)) else {
            continue;
        };
        let (Some(request), Some(limit)) = (quantity(request), quantity(limit)) else {
            continue;
        };
        if compare(&request, &limit) == Some(Ordering::Greater) {
            report.error(
                path.key("requests").key(name),
                format!("the container asks for {request} and may use only {limit}: Kubernetes refuses it"),
                "raise the limit or lower the request",
            );
        }
    }
}

/// Checks the resource names, and the special rules of some.
fn names(resources: &Value, path: &Path, report: &mut Report) {
    let has = |name: &str| {
        ["requests", "limits"]
            .iter()
            .any(|key| entries(resources, key).any(|(it, _)| it == name))
    };
    for key in ["requests", "limits"] {
        for (name, amount) in entries(resources, key) {
            let path = path.key(key).key(name);
            if STANDARD.contains(&name) {
                continue;
            }
            if name.starts_with("hugepages-") {
                if !has("cpu") && !has("memory") {
                    report.error(
                        path,
                        "huge pages can only be asked for beside CPU or memory",
                        "add `cpu` or `memory`",
                    );
                }
                continue;
            }
            if !is_extended(name) {
                unknown(name, path, report);
                continue;
            }
            let text = quantity(amount).unwrap_or_default();
            let whole = Amount::parse(&text).is_none_or(Amount::is_whole);
            let limit = resources
                .pointer("/limits")
                .and_then(|it| it.get(name))
                .and_then(quantity);
            if !whole {
                report.error(
                    path,
                    format!("`{name}` is counted in whole numbers, and this is `{text}`"),
                    "write a whole number",
                );
            } else if key == "requests"
                && limit.is_none_or(|it| compare(&it, &text) != Some(Ordering::Equal))
            {
                report.error(
                    path,
                    format!("of `{name}` the request and the limit must be the same"),
                    format!(
                        "write the same number under `limits`, or only `limits: {{{name}: …}}`"
                    ),
                );
            }
        }
    }
}

fn unknown(name: &str, path: Path, report: &mut Report) {
    let extended = EXTENDED.iter().find(|(short, _)| *short == name);
    let hint = extended.map_or_else(
        || {
            meant(
                name,
                &STANDARD,
                "write `cpu`, `memory`, `ephemeral-storage`, `hugepages-SIZE`, or an extended resource with its domain, for example `nvidia.com/gpu`",
            )
        },
        |(_, whole)| format!("did you mean `{whole}`?"),
    );
    report.error(
        path,
        format!("a container cannot ask for `{name}`: Kubernetes knows no such resource"),
        hint,
    );
}

/// Whether a name has a domain other than Kubernetes' own.
fn is_extended(name: &str) -> bool {
    let Some((domain, _)) = name.split_once('/') else {
        return false;
    };
    object_names::is_key(name)
        && !name.starts_with("requests.")
        && domain != "kubernetes.io"
        && !domain.ends_with(".kubernetes.io")
}

fn entries<'a>(resources: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let map: Option<&Map<String, Value>> = resources.get(key).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(name, amount)| (name.as_str(), amount))
}
