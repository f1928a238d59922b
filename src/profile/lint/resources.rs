//! Rules for requests and limits. Pure.

use std::cmp::Ordering;

use super::{Path, Report};
use crate::{
    profile::{Pool, ResourceRequirements},
    units::quantity::{Amount, compare},
};

pub(super) fn check(pool: &Pool, path: &Path, report: &mut Report) {
    let Some(resources) = &pool.resources else {
        return;
    };
    for (key, requirements) in [("runner", &resources.runner), ("docker", &resources.docker)] {
        if let Some(requirements) = requirements {
            container(requirements, &path.key("resources").key(key), report);
        }
    }
}

fn container(requirements: &ResourceRequirements, path: &Path, report: &mut Report) {
    for (key, amounts) in [
        ("requests", &requirements.requests),
        ("limits", &requirements.limits),
    ] {
        for (name, text) in amounts {
            let path = path.key(key).key(name);
            quantity(text, path.clone(), report);
            if name == "memory" && text.ends_with('m') && Amount::parse(text).is_some() {
                report.advice(
                    path,
                    format!("`{text}` of memory are thousandths of a byte"),
                    "write for example `512Mi`",
                );
            }
        }
    }
    for (name, request) in &requirements.requests {
        let Some(limit) = requirements.limits.get(name) else {
            continue;
        };
        if compare(request, limit) == Some(Ordering::Greater) {
            report.error(
                path.key("requests").key(name),
                format!(
                    "the pod asks for {request} and may use only {limit}: Kubernetes refuses it"
                ),
                "raise the limit or lower the request",
            );
        }
    }
}

/// Checks that a text is a quantity.
pub(super) fn quantity(text: &str, path: Path, report: &mut Report) {
    if Amount::parse(text).is_none() {
        report.error(
            path,
            format!("`{text}` is not a quantity"),
            "write a number with a unit of Kubernetes, for example `500m`, `2` or `6Gi`",
        );
    }
}
