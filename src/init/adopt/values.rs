//! Of the values that a controller was installed with, those that a profile has keys of its own for. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::found::{Controller, Gap};

/// The image of runners that name none, where the chart's values name none either (chart actions-runner-controller,
/// `values.yaml`).
const RUNNER_IMAGE: &str = "summerwind/actions-runner:latest";

/// Values that are an error in `controller.values`, and what becomes of them; without a text the profile says the same.
const REPLACED: [(&str, &str); 7] = [
    ("image.dindSidecarRepositoryAndTag", ""),
    (
        "image.actionsRunnerRepositoryAndTag",
        "left out: each pool names its image",
    ),
    (
        "image.actionsRunnerImagePullSecrets",
        "now the pools' `imagePullSecrets`",
    ),
    (
        "imagePullSecrets",
        "now `images.pullSecrets`, which arcctl writes into the runners' templates too",
    ),
    ("githubUploadURL", "left out: it follows from `github.url`"),
    (
        "metrics.serviceMonitor",
        "left out, so that the ServiceMonitor goes: to keep one, write `monitoring: {serviceMonitor: always}`",
    ),
    (
        "metrics.serviceMonitorLabels",
        "left out: write `monitoring: {labels: …}` with them",
    ),
];

/// Removes them from the values that are passed through.
pub(super) fn without_replaced(
    values: &mut Map<String, Value>,
    found: &Controller,
    gaps: &mut Vec<Gap>,
) {
    for (path, why) in REPLACED {
        let is_set = take(values, path).is_some_and(|it| !is_off(&it));
        if is_set && !why.is_empty() {
            gaps.push(Gap {
                object: format!("helm-release/{}/{}", found.namespace, found.release),
                path: format!("values.{path}"),
                why: why.into(),
            });
        }
    }
}

/// Removes and returns the value at a path, and the maps that are empty then.
fn take(values: &mut Map<String, Value>, path: &str) -> Option<Value> {
    let Some((first, rest)) = path.split_once('.') else {
        return values.remove(path);
    };
    let inner = values.get_mut(first)?.as_object_mut()?;
    let taken = take(inner, rest);
    if inner.is_empty() {
        values.remove(first);
    }
    taken
}

/// Whether a value says nothing.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty() || map.get("enable") == Some(&false.into()),
        Value::Number(_) => false,
    }
}

/// The names in a list of pull secrets.
fn secrets(list: &Value) -> Vec<Value> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|it| it.as_str().or_else(|| it["name"].as_str()))
        .map(Value::from)
        .collect()
}

/// The pull secrets of the controller's own pods.
pub(super) fn pull_secrets(found: &Controller) -> Vec<Value> {
    secrets(&found.values["imagePullSecrets"])
}

/// Gives a pool the pull secrets that the controller gives every runner.
pub(super) fn default_pull_secrets(found: &Controller, pool: &mut Map<String, Value>) {
    let given = secrets(&found.values["image"]["actionsRunnerImagePullSecrets"]);
    if given.is_empty() {
        return;
    }
    let own = pool.entry("imagePullSecrets").or_insert_with(|| json!([]));
    if let Some(own) = own.as_array_mut() {
        for secret in given {
            if !own.contains(&secret) {
                own.push(secret);
            }
        }
    }
}

/// Gives a pool without an image the one that the controller starts its runners with.
pub(super) fn default_image(
    found: &Controller,
    object: &str,
    pool: &mut Map<String, Value>,
    gaps: &mut Vec<Gap>,
) {
    if pool.contains_key("image") {
        return;
    }
    let value = found.values["image"]["actionsRunnerRepositoryAndTag"].as_str();
    let image = found.argument("--runner-image").or(value);
    let image = image.unwrap_or(RUNNER_IMAGE);
    pool.insert("image".into(), image.into());
    gaps.push(Gap {
        object: object.to_owned(),
        path: "spec.template.spec.image".into(),
        why: format!("none is named, and the controller takes {image}: written out it makes new runners once, after the jobs of the old ones"),
    });
}
