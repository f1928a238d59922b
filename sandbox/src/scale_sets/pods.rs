//! The pods of listeners and runners. Pure: no I/O.

use serde_json::{Value, json};

use super::configuration::Configuration;
use crate::objects::{at, owner_reference, text};

/// The pod of a runner: the set's, with its registration. Labels and annotations of the template win over those of the runner
/// (controllers/actions.github.com/resourcebuilder.go at 0.14, `newEphemeralRunnerPod`).
pub(super) fn of_runner(runner: &Value) -> Value {
    let (namespace, name) = at(runner);
    let template = &runner["spec"];
    let mut labels = runner["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (label, value) in template["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        labels.insert(label.clone(), value.clone());
    }
    labels.insert("actions-ephemeral-runner".to_owned(), "True".into());
    let mut annotations = runner["metadata"]["annotations"].clone();
    for (annotation, value) in template["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        annotations[annotation] = value.clone();
    }
    let mut spec = template["spec"].clone();
    let known = spec["restartPolicy"].is_string();
    if !known {
        spec["restartPolicy"] = "Never".into();
    }
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        if container["name"] != "runner" {
            continue;
        }
        let mut variables = container["env"].as_array().cloned().unwrap_or_default();
        variables.extend([
            json!({ "name": "ACTIONS_RUNNER_INPUT_JITCONFIG",
                "valueFrom": { "secretKeyRef": { "name": name, "key": "jitToken" } } }),
            json!({ "name": "GITHUB_ACTIONS_RUNNER_EXTRA_USER_AGENT",
                "value": "actions-runner-controller/sandbox" }),
            json!({ "name": "ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE", "value": "1" }),
        ]);
        container["env"] = variables.into();
    }
    json!({
        "metadata": {
            "name": name, "namespace": namespace, "labels": labels, "annotations": annotations,
            "ownerReferences": owner_reference(runner),
        },
        "spec": spec,
    })
}

/// Where a runner works: the working directory of its container.
pub(super) fn work_folder(runner: &Value) -> &str {
    let containers = runner
        .pointer("/spec/spec/containers")
        .and_then(Value::as_array);
    let container = containers.and_then(|all| all.iter().find(|it| it["name"] == "runner"));
    let folder = container.map_or("", |it| text(it, "/workingDir"));
    if folder.is_empty() { "_work" } else { folder }
}

/// The pod of a listener: ours, with what the set's template says; other containers of the template stand beside it.
pub(super) fn of_listener(listener: &Value, configuration: &Configuration) -> Value {
    let (namespace, name) = at(listener);
    let template = &listener["spec"]["template"];
    let mut container = json!({
        "name": "listener",
        "image": listener["spec"]["image"],
        "command": ["/ghalistener"],
        "env": [{ "name": "LISTENER_CONFIG_PATH", "value": "/etc/gha-listener/config.json" }],
        "volumeMounts": [{ "name": "listener-config", "mountPath": "/etc/gha-listener", "readOnly": true }],
    });
    if let Some(port) = configuration.metrics.as_ref().and_then(|it| port(&it.0)) {
        container["ports"] =
            json!([{ "name": "metrics", "containerPort": port, "protocol": "TCP" }]);
    }
    let mut containers = vec![container];
    for other in template["spec"]["containers"]
        .as_array()
        .into_iter()
        .flatten()
    {
        if other["name"] == "listener" {
            merge_container(&mut containers[0], other);
        } else {
            containers.push(other.clone());
        }
    }
    // A template takes the place of the pod's own settings, those that it does not have included.
    let mut spec = if template["spec"].is_object() {
        template["spec"].clone()
    } else {
        json!({ "terminationGracePeriodSeconds": 60 })
    };
    let own =
        json!({ "name": "listener-config", "secret": { "secretName": format!("{name}-config") } });
    let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    volumes.insert(0, own);
    spec["volumes"] = volumes.into();
    spec["containers"] = containers.into();
    spec["serviceAccountName"] = name.into();
    if spec["restartPolicy"].is_null() {
        spec["restartPolicy"] = "Never".into();
    }
    if configuration.since((0, 14, 0)) && spec["nodeSelector"].is_null() {
        spec["nodeSelector"] = json!({ "kubernetes.io/os": "linux" });
    }
    let secrets = &listener["spec"]["imagePullSecrets"];
    if spec["imagePullSecrets"].is_null() && !secrets.is_null() {
        spec["imagePullSecrets"] = secrets.clone();
    }
    let mut labels = listener["metadata"]["labels"].clone();
    for (label, value) in template["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if labels[label].is_null() {
            labels[label] = value.clone();
        }
    }
    json!({
        "metadata": {
            "name": name, "namespace": namespace, "labels": labels,
            "annotations": template["metadata"]["annotations"],
            "ownerReferences": owner_reference(listener),
        },
        "spec": spec,
    })
}

fn merge_container(own: &mut Value, given: &Value) {
    for (field, value) in given.as_object().into_iter().flatten() {
        match (&own[field], value) {
            (Value::Array(known), Value::Array(more)) if field != "command" => {
                let all: Vec<Value> = known.iter().chain(more).cloned().collect();
                own[field] = all.into();
            }
            _ => own[field] = value.clone(),
        }
    }
}

fn port(address: &str) -> Option<u16> {
    address.rsplit(':').next()?.parse().ok()
}

/// With what the container of a runner, or the whole pod, has ended; `None` while it has not.
pub(super) fn exit_code(pod: &Value) -> Option<i64> {
    let statuses = pod
        .pointer("/status/containerStatuses")
        .and_then(Value::as_array);
    let runner = statuses.and_then(|all| all.iter().find(|it| it["name"] == "runner"));
    let ended = runner.and_then(|it| it["state"]["terminated"]["exitCode"].as_i64());
    match (ended, text(pod, "/status/phase")) {
        (Some(code), _) => Some(code),
        // Evicted: the containers are not told of.
        (None, "Failed") => Some(1),
        (None, "Succeeded") => Some(0),
        (None, _) => None,
    }
}
