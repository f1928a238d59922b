//! Rules for probes and lifecycle hooks of a container. Pure: no I/O.

use serde_json::Value;

use super::{Report, items, meant, text};
use crate::profile::{object_names, path::Path};

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

pub(super) fn check(entry: &Value, is_init: bool, path: &Path, report: &mut Report) {
    // An init container that keeps running is a sidecar.
    let ends = is_init && text(entry, "restartPolicy") != Some("Always");
    for key in PROBES {
        match entry.get(key) {
            Some(_) if ends => report.error(
                path.key(key),
                "an init container that ends has no probes",
                "remove it",
            ),
            Some(probe) => {
                self::probe(probe, key, &path.key(key), report);
                its_port(entry, probe, &path.key(key), report);
            }
            None => {}
        }
    }
    for key in ["postStart", "preStop"] {
        let at = path.key("lifecycle").key(key);
        match entry.pointer(&format!("/lifecycle/{key}")) {
            Some(_) if ends => {
                report.error(at, "an init container that ends has no hooks", "remove it");
            }
            Some(hook) => {
                let known = ["exec", "httpGet", "tcpSocket", "sleep"];
                action(hook, &known, &at, report);
                its_port(entry, hook, &at, report);
            }
            None => {}
        }
    }
}

fn probe(probe: &Value, kind: &str, path: &Path, report: &mut Report) {
    action(
        probe,
        &["exec", "httpGet", "tcpSocket", "grpc"],
        path,
        report,
    );
    for key in [
        "initialDelaySeconds",
        "periodSeconds",
        "timeoutSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        // 0 counts as omitted.
        report.in_range(probe, key, 0, i64::from(i32::MAX), path);
    }
    let successes = probe.get("successThreshold").and_then(Value::as_i64);
    if kind != "readinessProbe" && successes.is_some_and(|it| it > 1) {
        report.error(
            path.key("successThreshold"),
            format!("`successThreshold` of a {kind} can only be 1"),
            "remove it",
        );
    }
    if kind == "readinessProbe" && probe.get("terminationGracePeriodSeconds").is_some() {
        report.error(
            path.key("terminationGracePeriodSeconds"),
            "a readiness probe ends no container, and so has no such period",
            "remove it",
        );
    }
}

/// Checks that a probe or hook has exactly one action.
fn action(value: &Value, known: &[&str], path: &Path, report: &mut Report) {
    let Some(map) = value.as_object() else { return };
    let given: Vec<&str> = known
        .iter()
        .copied()
        .filter(|key| map.contains_key(*key))
        .collect();
    match given.as_slice() {
        [] => {
            let close = map.keys().find_map(|key| {
                let hint = meant(key, known, "");
                (!hint.is_empty()).then_some(hint)
            });
            report.error(
                path.clone(),
                "this does nothing",
                close.unwrap_or_else(|| format!("add one of {}", known.join(", "))),
            );
        }
        [_] => {}
        [first, second, ..] => report.error(
            path.clone(),
            format!("both `{first}` and `{second}` are here, and only one is possible"),
            "remove one of them",
        ),
    }
    for key in ["httpGet", "tcpSocket", "grpc"] {
        let (target, path) = (&value[key], path.key(key));
        port(target, &path, report);
        report.one_of(target, "scheme", &["HTTP", "HTTPS"], &path);
    }
    if let Some(exec) = value.get("exec")
        && exec
            .get("command")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    {
        report.error(
            path.key("exec"),
            "there is no command to run",
            "add `command` with at least one item",
        );
    }
}

/// A named port must be one of the container's own: kubelet does not look elsewhere.
fn its_port(entry: &Value, value: &Value, path: &Path, report: &mut Report) {
    let known: Vec<&str> = items(entry, "ports")
        .filter_map(|it| text(it, "name"))
        .collect();
    for key in ["httpGet", "tcpSocket"] {
        if let Some(name) = text(&value[key], "port")
            && object_names::is_port_name(name)
            && !known.contains(&name)
        {
            report.error(
                path.key(key).key("port"),
                format!("the container has no port `{name}`"),
                meant(
                    name,
                    &known,
                    "add it to `ports`, or write the port's number",
                ),
            );
        }
    }
}

fn port(target: &Value, path: &Path, report: &mut Report) {
    report.in_range(target, "port", 1, 65535, path);
    let Some(name) = text(target, "port") else {
        return;
    };
    if name.parse::<u32>().is_ok() {
        report.error(
            path.key("port"),
            format!("`\"{name}\"` in quotes is a port's name, and a name has a letter in it"),
            "remove the quotes",
        );
    } else if !object_names::is_port_name(name) {
        report.error(
            path.key("port"),
            format!("`{name}` cannot be the name of a port"),
            "write the port's number, or its name in `ports`",
        );
    }
}
