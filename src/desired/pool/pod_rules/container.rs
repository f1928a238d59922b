//! Rules for one container of a pod. Pure: no I/O.

use serde_json::Value;

use super::{Pod, Report, handlers, items, mounts, quantities, text, variables};
use crate::profile::{object_names, path::Path};

/// Checks an entry of `list` (`containers`, `sidecarContainers` or `initContainers`).
pub(super) fn check(pod: &Pod<'_>, list: &str, entry: &Value, path: &Path, report: &mut Report) {
    let name = text(entry, "name").unwrap_or_default();
    if entry.get("name").is_some() && !object_names::is_short_name(name) {
        report.error(
            path.key("name"),
            format!("`{name}` cannot be the name of a container"),
            format!("write {}", object_names::SHORT_NAME),
        );
    }
    let filled = list == "containers" && (name == "runner" || name == "docker" && pod.has_docker());
    if !filled && text(entry, "image").is_none_or(str::is_empty) {
        report.error(
            path.key("image"),
            format!("the container `{name}` has no image"),
            "add `image`",
        );
    }
    report.one_of(
        entry,
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        path,
    );
    report.one_of(
        entry,
        "terminationMessagePolicy",
        &["File", "FallbackToLogsOnError"],
        path,
    );
    ports(entry, path, report);
    variables::check(entry, path, report);
    mounts::of_container(pod, list, entry, path, report);
    quantities::check(&entry["resources"], &path.key("resources"), report);
    devices(entry, path, report);
    restarts(list, entry, path, report);
    handlers::check(entry, list == "initContainers", path, report);
    let (context, path) = (&entry["securityContext"], path.key("securityContext"));
    for (key, hint) in OF_PODS {
        if context.get(key).is_some() {
            report.error(
                path.key(key),
                format!("`{key}` is a pod's, and this is a container's `securityContext`"),
                hint,
            );
        }
    }
    security(context, &path, report);
}

/// Security context fields of pods only, and the corresponding profile keys.
const OF_PODS: [(&str, &str); 4] = [
    ("fsGroup", "use the pool's `fsGroup`"),
    (
        "fsGroupChangePolicy",
        "write it under `template.securityContext`",
    ),
    (
        "supplementalGroups",
        "write it under `template.securityContext`",
    ),
    ("sysctls", "write it under `template.securityContext`"),
];

/// Security context fields of containers only.
const OF_CONTAINERS: [&str; 5] = [
    "allowPrivilegeEscalation",
    "capabilities",
    "privileged",
    "procMount",
    "readOnlyRootFilesystem",
];

/// Checks the security context of the pod.
pub(super) fn of_pod(context: &Value, path: &Path, report: &mut Report) {
    for key in OF_CONTAINERS {
        if context.get(key).is_some() {
            report.error(
                path.key(key),
                format!("`{key}` is a container's, and this is the pod's `securityContext`"),
                "write it in `template.containers`, in an entry of the name `runner`, under `securityContext`",
            );
        }
    }
    security(context, path, report);
}

/// Dynamic resource allocation needs a pod field that runners do not have.
fn devices(entry: &Value, path: &Path, report: &mut Report) {
    if items(&entry["resources"], "claims").next().is_some() {
        report.error(
            path.key("resources").key("claims"),
            "a claim is one of the pod's `resourceClaims`, which the controller does not hand to its pods",
            "remove it: runners cannot have such devices",
        );
    }
}

/// Containers of a runner's pod end with it; only an init container may restart, as a sidecar (Kubernetes 1.29).
fn restarts(list: &str, entry: &Value, path: &Path, report: &mut Report) {
    let Some(policy) = text(entry, "restartPolicy") else {
        return;
    };
    if ["Always", "OnFailure", "Never"].contains(&policy)
        && !(list == "initContainers" && policy == "Always")
    {
        report.advice(
            path.key("restartPolicy"),
            "Kubernetes before 1.34 takes this for an init container only, and only `Always`",
            "remove it: a container of a runner's pod ends with it",
        );
    }
    report.one_of(
        entry,
        "restartPolicy",
        &["Always", "OnFailure", "Never"],
        path,
    );
}

fn ports(entry: &Value, path: &Path, report: &mut Report) {
    let mut names: Vec<&str> = Vec::new();
    for (index, port) in items(entry, "ports").enumerate() {
        let path = path.key("ports").index(index);
        report.in_range(port, "containerPort", 1, 65535, &path);
        report.in_range(port, "hostPort", 1, 65535, &path);
        report.one_of(port, "protocol", &["TCP", "UDP", "SCTP"], &path);
        if port.get("hostPort").is_some() {
            report.advice(
                path.key("hostPort"),
                "a port of the node can be had once: a second runner on the same node stays Pending",
                "remove it, or keep runners apart with an anti-affinity",
            );
        }
        let Some(name) = text(port, "name") else {
            continue;
        };
        if !object_names::is_port_name(name) {
            report.error(
                path.key("name"),
                format!("`{name}` cannot be the name of a port"),
                "write at most 15 characters of a-z, 0-9 and `-`, a letter among them",
            );
        } else if names.contains(&name) {
            report.error(
                path.key("name"),
                format!("`{name}` is the name of another port of this container"),
                "give it another name",
            );
        }
        names.push(name);
    }
}

/// Checks the fields common to the security contexts of containers and pods.
fn security(context: &Value, path: &Path, report: &mut Report) {
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        report.in_range(context, key, 0, i64::from(i32::MAX), path);
    }
    for (index, group) in items(context, "supplementalGroups").enumerate() {
        if group
            .as_i64()
            .is_some_and(|it| !(0..=i64::from(i32::MAX)).contains(&it))
        {
            report.error(
                path.key("supplementalGroups").index(index),
                format!("{group} is not a group's number"),
                format!("write a number from 0 to {}", i32::MAX),
            );
        }
    }
    report.one_of(
        context,
        "fsGroupChangePolicy",
        &["Always", "OnRootMismatch"],
        path,
    );
    for key in ["seccompProfile", "appArmorProfile"] {
        let (profile, path) = (&context[key], path.key(key));
        report.one_of(
            profile,
            "type",
            &["RuntimeDefault", "Unconfined", "Localhost"],
            &path,
        );
        let is_local = text(profile, "type") == Some("Localhost");
        if is_local != profile.get("localhostProfile").is_some() && profile.get("type").is_some() {
            report.error(
                path,
                "`localhostProfile` goes with the type `Localhost`, and only with it",
                "add or remove `localhostProfile`",
            );
        }
    }
    let flag = |key: &str| context.get(key).and_then(Value::as_bool);
    if flag("privileged") == Some(true) && flag("allowPrivilegeEscalation") == Some(false) {
        report.error(
            path.key("allowPrivilegeEscalation"),
            "a privileged container cannot be kept from more privileges",
            "remove `allowPrivilegeEscalation`, or `privileged`",
        );
    }
    if flag("runAsNonRoot") == Some(true)
        && context.get("runAsUser").and_then(Value::as_i64) == Some(0)
    {
        report.error(
            path.key("runAsUser"),
            "user 0 is root, and `runAsNonRoot` is set: no such container starts",
            "correct one of them",
        );
    }
}
