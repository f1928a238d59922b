//! Rules for environment variables of containers. Pure: no I/O.

use serde_json::Value;

use super::{Pod, Report, items, list, text};
use crate::profile::{object_names, path::Path};

/// Variables that the controller sets in the runner after the pool's, so that the pool's have no effect
/// (`runner_controller.go`).
const CONTROLLERS: [&str; 13] = [
    "DOCKERD_IN_RUNNER",
    "DOCKER_ENABLED",
    "GITHUB_ACTIONS_RUNNER_EXTRA_USER_AGENT",
    "GITHUB_URL",
    "RUNNER_ENTERPRISE",
    "RUNNER_EPHEMERAL",
    "RUNNER_GROUP",
    "RUNNER_LABELS",
    "RUNNER_NAME",
    "RUNNER_ORG",
    "RUNNER_REPO",
    "RUNNER_STATUS_UPDATE_HOOK",
    "RUNNER_TOKEN",
];

/// Pod fields that a variable may refer to, besides single labels and annotations.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Checks the pool's own `env`, and `env` and `dockerEnv` of its template.
pub(super) fn check_pool(pod: &Pod<'_>, report: &mut Report) {
    let own = pod.base.key("env");
    for (index, variable) in pod.pool.env.iter().enumerate() {
        let (variable, path) = (Value::Object(variable.clone()), own.index(index));
        one(&variable, &path, report);
        of_runner(pod, &variable, &path, report);
    }
    let place = pod.place().key("env");
    for (index, variable) in list(pod.template, "env").enumerate() {
        of_runner(pod, variable, &place.index(index), report);
    }
    for key in ["env", "dockerEnv"] {
        all(list(pod.template, key), &pod.place().key(key), report);
    }
    sources(
        list(pod.template, "envFrom"),
        &pod.place().key("envFrom"),
        report,
    );
}

/// Checks `env` and `envFrom` of a container.
pub(super) fn check(entry: &Value, path: &Path, report: &mut Report) {
    all(items(entry, "env"), &path.key("env"), report);
    sources(items(entry, "envFrom"), &path.key("envFrom"), report);
}

fn of_runner(pod: &Pod<'_>, variable: &Value, path: &Path, report: &mut Report) {
    let Some(name) = text(variable, "name") else {
        return;
    };
    if CONTROLLERS.contains(&name) || name == "RUNNER_WORKDIR" {
        let hint = match name {
            "RUNNER_LABELS" => "use the pool's `labels`",
            "RUNNER_GROUP" => "use the pool's `group`",
            "RUNNER_WORKDIR" => "use `template: {workDir: …}`",
            "RUNNER_EPHEMERAL" => "use `template: {ephemeral: …}`",
            "DOCKERD_IN_RUNNER" | "DOCKER_ENABLED" => "use the pool's `containerMode`",
            _ => "remove it",
        };
        report.error(
            path.key("name"),
            format!("the controller sets `{name}` itself"),
            hint,
        );
    } else if name == "DOCKER_HOST" && pod.has_docker() {
        report.error(
            path.key("name"),
            "with `dind` the controller sets `DOCKER_HOST` itself",
            "remove it, or use another `containerMode`",
        );
    }
}

fn all<'a>(variables: impl Iterator<Item = &'a Value>, path: &Path, report: &mut Report) {
    let mut names: Vec<&str> = Vec::new();
    for (index, variable) in variables.enumerate() {
        let path = path.index(index);
        one(variable, &path, report);
        let Some(name) = text(variable, "name") else {
            continue;
        };
        if names.contains(&name) {
            report.error(
                path.key("name"),
                format!("`{name}` stands twice in this list"),
                "keep one of them",
            );
        }
        names.push(name);
    }
}

fn one(variable: &Value, path: &Path, report: &mut Report) {
    if let Some(name) = text(variable, "name")
        && (name.is_empty()
            || !name
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'='))
    {
        report.error(
            path.key("name"),
            format!("`{name}` cannot be the name of a variable"),
            "write letters, digits and `_`",
        );
    }
    let Some(from) = variable.get("valueFrom") else {
        return;
    };
    if text(variable, "value").is_some_and(|it| !it.is_empty()) {
        report.error(
            path.key("valueFrom"),
            "both `value` and `valueFrom` are here, and only one is possible",
            "remove one of them",
        );
    }
    let path = path.key("valueFrom");
    let known = [
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
    ];
    let given = known.iter().filter(|key| from.get(**key).is_some()).count();
    if given != 1 {
        report.error(
            path,
            format!("`valueFrom` takes exactly one of {}", known.join(", ")),
            if given == 0 { "add one" } else { "keep one" },
        );
        return;
    }
    for (key, kind) in [("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")] {
        let (reference, path) = (&from[key], path.key(key));
        if reference.is_null() {
            continue;
        }
        named(reference, kind, &path, report);
        if text(reference, "key").is_some_and(str::is_empty) {
            report.error(
                path.key("key"),
                "`key` is empty",
                format!("name a key of the {kind}"),
            );
        }
    }
    field(&from["fieldRef"], &path.key("fieldRef"), report);
}

fn field(reference: &Value, path: &Path, report: &mut Report) {
    let Some(field) = text(reference, "fieldPath") else {
        return;
    };
    let one_entry = ["metadata.labels['", "metadata.annotations['"]
        .iter()
        .any(|start| field.starts_with(start) && field.ends_with("']"));
    if !FIELDS.contains(&field) && !one_entry {
        report.error(
            path.key("fieldPath"),
            format!("a variable cannot have `{field}`"),
            super::meant(
                field,
                &FIELDS,
                &format!("write {}, or `metadata.labels['KEY']`", FIELDS.join(", ")),
            ),
        );
    }
}

fn sources<'a>(all: impl Iterator<Item = &'a Value>, path: &Path, report: &mut Report) {
    for (index, source) in all.enumerate() {
        let path = path.index(index);
        let given: Vec<_> = [("configMapRef", "ConfigMap"), ("secretRef", "Secret")]
            .into_iter()
            .filter(|(key, _)| source.get(*key).is_some())
            .collect();
        let [(key, kind)] = given.as_slice() else {
            report.error(
                path,
                "this takes exactly one of `configMapRef` and `secretRef`",
                if given.is_empty() {
                    "add one"
                } else {
                    "keep one"
                },
            );
            continue;
        };
        named(&source[*key], kind, &path.key(key), report);
    }
}

/// Checks that a reference names an object.
pub(super) fn named(reference: &Value, kind: &str, path: &Path, report: &mut Report) {
    match text(reference, "name") {
        Some(name) if object_names::is_object_name(name) => {}
        Some(name) => report.error(
            path.key("name"),
            format!("`{name}` cannot be the name of a {kind}"),
            format!("write {}", object_names::OBJECT_NAME),
        ),
        None => report.error(
            path.clone(),
            format!("no {kind} is named here"),
            "add `name`",
        ),
    }
}
