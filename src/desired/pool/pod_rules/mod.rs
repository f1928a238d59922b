//! Rules for a pool's pass-through fields: those that the controller drops, and those that the API server rejects in a
//! pod. Pure: no I/O.
//!
//! The CRDs only define the types of these fields. The controller's conversion is `newPod` of its
//! `runner_controller.go` (v0.27; the sandbox's `runner_pod` is tested against it too); the API server's checks are
//! `ValidatePodSpec` (`k8s.io/kubernetes/pkg/apis/core/validation`), as documented for the Pod API.

pub(crate) mod architecture;
mod container;
mod containers;
mod handlers;
mod mounts;
mod placement;
mod quantities;
mod sources;
mod spread;
mod variables;
mod volumes;

use serde_json::{Map, Value};

use super::runner_deployment;
use crate::{
    desired::{charts::overlay, scale_set},
    profile::{
        ContainerMode, Pool, Profile,
        lint::{Finding, Report},
        path::Path,
    },
    units::quantity::Amount,
};

/// The problems of the pod of `pool`, with paths below `base`.
pub(crate) fn check(profile: &Profile, pool: &Pool, base: &Path) -> Vec<Finding> {
    let mut report = Report::default();
    let pod = Pod::new(profile, pool, base);
    if pool.is_scale_set() {
        // The other rules are about what the community's controller makes of a pool; a scale set's pod is the one of its
        // template, and the API server's dry run says the rest.
        placement::check(&pod, &mut report);
        architecture::check(&pod, &mut report);
        return report.findings;
    }
    containers::check(&pod, &mut report);
    volumes::check(&pod, &mut report);
    placement::check(&pod, &mut report);
    architecture::check(&pod, &mut report);
    quantities::check_pool(&pod, &mut report);
    variables::check_pool(&pod, &mut report);
    report.findings
}

/// Checks the tolerations of a chart's pods.
pub(crate) fn tolerations(list: &[Value], path: &Path) -> Vec<Finding> {
    let mut report = Report::default();
    for (index, toleration) in list.iter().enumerate() {
        let path = path.index(index);
        placement::toleration_is_fine(toleration, &path, &mut report);
        report.one_of(toleration, "operator", &["Exists", "Equal"], &path);
        let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
        report.one_of(toleration, "effect", &effects, &path);
    }
    report.findings
}

/// Checks the resources of a chart's container.
pub(crate) fn resources(resources: &Value, path: &Path) -> Vec<Finding> {
    let mut report = Report::default();
    quantities::check(resources, path, &mut report);
    report.findings
}

/// A pool, prepared for the rules.
struct Pod<'a> {
    pool: &'a Pool,
    template: &'a Map<String, Value>,
    /// The pool's path.
    base: &'a Path,
    /// The spec sent to the controller: the pool's own fields and its template.
    spec: Map<String, Value>,
    /// Names of volumes that arcctl adds.
    own_volumes: Vec<String>,
    /// Whether it is an EKS cluster.
    is_eks: bool,
}

impl<'a> Pod<'a> {
    fn new(profile: &'a Profile, pool: &'a Pool, base: &'a Path) -> Self {
        // Other rules report a missing scope or an unknown instance type.
        let own = if pool.is_scale_set() {
            scale_set::pod::own_spec(profile, pool)
        } else {
            runner_deployment::own_spec(profile, pool)
        };
        let own = own.unwrap_or_default();
        let own_volumes = list(&own, "volumes")
            .filter_map(|volume| text(volume, "name"))
            .map(str::to_owned)
            .collect();
        let mut spec = own;
        overlay::merge(&mut spec, &pool.template);
        Self {
            pool,
            template: &pool.template,
            base,
            spec,
            own_volumes,
            is_eks: profile.cluster.eks.is_some(),
        }
    }

    fn place(&self) -> Path {
        self.base.key("template")
    }

    /// Whether there is a container `docker`.
    fn has_docker(&self) -> bool {
        self.pool.container_mode == ContainerMode::Dind
    }

    fn runs_job_pods(&self) -> bool {
        matches!(self.pool.container_mode, ContainerMode::Kubernetes(_))
    }

    fn work_directory(&self) -> &str {
        let given = self.template.get("workDir").and_then(Value::as_str);
        given.filter(|it| !it.is_empty()).unwrap_or("/runner/_work")
    }

    /// The volumes that the controller adds.
    fn controllers_volumes(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.has_runner_volume() {
            names.push("runner");
        }
        if self.has_docker() {
            names.extend(["work", "var-run"]);
        } else if self.runs_job_pods() {
            names.push("work");
        }
        names
    }

    /// A zero size limit omits it.
    fn has_runner_volume(&self) -> bool {
        let limit = self.template.get("volumeSizeLimit").and_then(quantity);
        limit.and_then(|it| Amount::parse(&it)) != Amount::parse("0")
    }
}

impl Report {
    /// Checks that a text, if present, is one of `words`.
    fn one_of(&mut self, map: &Value, key: &str, words: &[&str], path: &Path) {
        if let Some(found) = text(map, key)
            && !found.is_empty()
            && !words.contains(&found)
        {
            self.error(
                path.key(key),
                format!("`{found}` is not a valid value"),
                format!("write {}", quoted(words, "or")),
            );
        }
    }

    /// Checks that a number, if present, is in a range.
    fn in_range(&mut self, map: &Value, key: &str, least: i64, most: i64, path: &Path) {
        if let Some(found) = map.get(key).and_then(Value::as_i64)
            && !(least..=most).contains(&found)
        {
            let range = if most >= i64::from(i32::MAX) {
                format!("at least {least}")
            } else {
                format!("from {least} to {most}")
            };
            self.error(
                path.key(key),
                format!("`{key}` is {found}, and Kubernetes takes {range}"),
                "correct the number",
            );
        }
    }
}

/// The items of a list; empty for other types, which the CRD check reports.
fn list<'a>(map: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Value> {
    map.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The same of a value.
fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// A quantity as text, from a YAML string or number.
fn quantity(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// "`a`, `b` or `c`".
fn quoted(words: &[&str], last: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, start)) => format!("{} {last} {end}", start.join(", ")),
        None => String::new(),
    }
}

/// `did you mean …?`, or else `otherwise`.
fn meant(word: &str, known: &[&str], otherwise: &str) -> String {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let close = known
        .iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&plain(word), &plain(candidate)),
                candidate,
            )
        })
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(similarity, _)| *similarity > 0.84);
    close.map_or_else(
        || otherwise.to_owned(),
        |(_, candidate)| format!("did you mean `{candidate}`?"),
    )
}

#[cfg(test)]
mod tests;
