//! Rules for the pod's containers, and for the fields that the controller drops if `containers` replaces its own. Pure:
//! no I/O.
//!
//! The controller adds the runner's fields to an entry `runner` or `docker` of `containers` if the entry does not have
//! them; without such an entry it creates the container without any of these fields.

use serde_json::Value;

use super::{Pod, Report, container, list, quoted, text};
use crate::profile::{ContainerMode, path::Path};

/// A container of the controller's, and the runner's fields that it gets: the field, its name in the container, and the
/// corresponding key of the pool.
struct Filled {
    name: &'static str,
    fields: [(&'static str, &'static str, &'static str); 3],
}

const RUNNER: Filled = Filled {
    name: "runner",
    fields: [
        ("env", "env", "the pool's `env`"),
        ("envFrom", "envFrom", "`template.envFrom`"),
        ("resources", "resources", "the pool's `resources.runner`"),
    ],
};

const DOCKER: Filled = Filled {
    name: "docker",
    fields: [
        ("dockerEnv", "env", "`template.dockerEnv`"),
        (
            "dockerVolumeMounts",
            "volumeMounts",
            "`template.dockerVolumeMounts`",
        ),
        (
            "dockerdContainerResources",
            "resources",
            "the pool's `resources.docker`",
        ),
    ],
};

pub(super) fn check(pod: &Pod<'_>, report: &mut Report) {
    let place = pod.place();
    let given: Vec<&Value> = list(pod.template, "containers").collect();
    if !given.is_empty() {
        taken_over(pod, &given, &place.key("containers"), report);
    }
    let mut names: Vec<&str> = Vec::new();
    if !given.iter().any(|it| text(it, "name") == Some("runner")) {
        names.push("runner");
    }
    let brings_docker = given.iter().any(|it| text(it, "name") == Some("docker"));
    if pod.has_docker() && !brings_docker {
        names.push("docker");
    }
    let made = names.clone();
    for key in ["containers", "sidecarContainers", "initContainers"] {
        for (index, entry) in list(pod.template, key).enumerate() {
            let path = place.key(key).index(index);
            if let Some(name) = text(entry, "name") {
                unique(name, &made, &mut names, &path, report);
            }
            container::check(pod, key, entry, &path, report);
        }
    }
}

/// Checks that container names in a pod are unique, including init containers.
fn unique<'a>(
    name: &'a str,
    made: &[&str],
    names: &mut Vec<&'a str>,
    path: &Path,
    report: &mut Report,
) {
    if names.contains(&name) {
        let whose = if made.contains(&name) {
            "the container that the controller makes"
        } else {
            "another container of this pod"
        };
        report.error(
            path.key("name"),
            format!("`{name}` is the name of {whose}, and Kubernetes refuses a pod with two"),
            "give it another name",
        );
    }
    names.push(name);
}

/// Checks the effect of `containers` on the pool's other keys.
fn taken_over(pod: &Pod<'_>, given: &[&Value], path: &Path, report: &mut Report) {
    let at = |name: &str| given.iter().rposition(|it| text(it, "name") == Some(name));
    let (runner, docker) = (at("runner"), at("docker"));
    if runner.is_none() {
        without_runner(pod, docker.is_some(), path, report);
    } else if let (Some(index), true) = (runner, pod.has_docker() && docker.is_none()) {
        let lost = lost(pod, &DOCKER);
        if !lost.is_empty() {
            report.error(
                path.index(index),
                format!("without an entry `docker` beside it the controller makes that container without {}", quoted_fields(&lost)),
                "add an entry `{name: docker}`",
            );
        }
    }
    if let Some(index) = runner {
        let entry = path.index(index);
        replaced(pod, &RUNNER, given[index], &entry, report);
        if given[index].get("image").is_some() {
            report.error(
                entry.key("image"),
                "the pool's `image` takes the place of this one",
                "remove it",
            );
        }
        let mounts = pod.spec.contains_key("volumeMounts") || pod.runs_job_pods();
        if index > 0 && mounts {
            let first = text(given[0], "name").unwrap_or_default();
            report.error(
                entry.key("name"),
                format!("the controller gives the mounts of the runner to the first entry, and that is `{first}`"),
                "write the entry `runner` first",
            );
        }
    }
    if let Some(index) = runner {
        rights(pod, given[index], &path.index(index), report);
    }
    let Some(index) = docker else { return };
    if pod.has_docker() {
        replaced(pod, &DOCKER, given[index], &path.index(index), report);
        let privileged = given[index].pointer("/securityContext/privileged");
        if given[index].get("securityContext").is_some() && privileged != Some(&Value::Bool(true)) {
            report.advice(
                path.index(index).key("securityContext"),
                "this takes the place of `privileged: true`, without which dockerd does not start",
                "add `privileged: true`, unless the image runs without",
            );
        }
    } else if pod.runs_job_pods() {
        report.error(
            path.index(index),
            "in container mode kubernetes the controller removes a container `docker`",
            "remove it, or give it another name",
        );
    }
}

/// Checks the privileges of a runner with its own dockerd.
fn rights(pod: &Pod<'_>, entry: &Value, path: &Path, report: &mut Report) {
    let privileged = entry.pointer("/securityContext/privileged");
    if pod.pool.container_mode == ContainerMode::DindInRunner
        && privileged == Some(&Value::Bool(false))
    {
        report.advice(
            path.key("securityContext").key("privileged"),
            "without it the dockerd in the runner does not start, also in a rootless image, unless the nodes are made for that",
            "remove it, or use `containerMode: none`",
        );
    }
}

fn without_runner(pod: &Pod<'_>, brings_docker: bool, path: &Path, report: &mut Report) {
    const HINT: &str = "write side containers under `sidecarContainers`";
    if pod.runs_job_pods() {
        report.error(
            path.clone(),
            "without an entry `runner` the controller cannot make the pod in container mode kubernetes",
            HINT,
        );
        return;
    }
    let mut lost = lost(pod, &RUNNER);
    if pod.has_docker() && !brings_docker {
        lost.extend(self::lost(pod, &DOCKER));
    }
    if lost.is_empty() {
        report.advice(
            path.clone(),
            "these take the place of the controller's containers, which then get nothing of what the pool says of them",
            HINT,
        );
    } else {
        report.error(
            path.clone(),
            format!(
                "without an entry `runner`{} the controller makes its containers without {}",
                if pod.has_docker() && !brings_docker {
                    " and one `docker`"
                } else {
                    ""
                },
                quoted_fields(&lost)
            ),
            HINT,
        );
    }
}

/// The fields for a container that the pool sets.
fn lost(pod: &Pod<'_>, filled: &Filled) -> Vec<&'static str> {
    let fields = filled.fields.iter();
    fields
        .filter(|(field, _, _)| pod.spec.contains_key(*field))
        .map(|(field, _, _)| *field)
        .collect()
}

fn quoted_fields(fields: &[&str]) -> String {
    format!("the runner's {}", quoted(fields, "and"))
}

/// Reports fields that both the entry and the pool set.
fn replaced(pod: &Pod<'_>, filled: &Filled, entry: &Value, path: &Path, report: &mut Report) {
    for (field, inside, key) in filled.fields {
        if inside == "resources" {
            for part in ["requests", "limits"] {
                let own = entry.pointer(&format!("/resources/{part}"));
                let of_pool = pod.spec.get(field).and_then(|it| it.get(part));
                if own.is_some_and(is_something) && of_pool.is_some() {
                    report.error(
                        path.key("resources").key(part),
                        format!("this replaces {key}"),
                        format!(
                            "write it under {key}: `{}` needs no resources here",
                            filled.name
                        ),
                    );
                }
            }
        } else if entry.get(inside).is_some_and(is_something) && pod.spec.contains_key(field) {
            report.error(
                path.key(inside),
                format!("this replaces {key} and what arcctl adds to it"),
                format!("write it under {key}"),
            );
        }
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        other => !other.is_null(),
    }
}
