//! Compares a live object with its manifest, after defaulting by the API server and changes by admission webhooks.
//! Pure: no I/O.
//!
//! Three versions are compared: the manifest, the result of a dry run now, and the live
//! object. Only fields in the manifest count: what other tools add (a sidecar, a label, an annotation with a
//! time) is ignored.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use crate::{
    diff::{Difference, is_server_field, join, place},
    resource::kubernetes::field_owners::FieldOwners,
};

/// A field that differs from what the manifest would produce.
#[derive(Debug)]
pub(super) struct Drift {
    /// The path, the live value, and the value from the manifest.
    pub difference: Difference,
    /// The field managers of the live value.
    pub owners: Vec<String>,
}

/// The keys that identify list entries, by the name of the list: the merge keys of Kubernetes' types
/// (k8s.io/api, `patchMergeKey`). Other lists are compared as a whole.
const MERGE_KEYS: [(&str, &str); 14] = [
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("env", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("webhooks", "name"),
    ("ports", "containerPort"),
    ("ports", "port"),
    ("secrets", "name"),
];

/// The differences of `live` from `applied`, the result of a dry run of `manifest`.
pub(super) fn drift(manifest: &Value, applied: &Value, live: &Value) -> Vec<Drift> {
    let mut found = Vec::new();
    let secret = manifest["kind"] == "Secret";
    let place = Place {
        path: String::new(),
        owners: FieldOwners::of(live),
    };
    walk(&place, manifest, applied, live, &mut found);
    if secret {
        // All values of a Secret are hidden, whatever their keys are.
        for drift in &mut found {
            if drift.difference.path.starts_with("data") {
                drift.difference.hide();
            }
        }
    }
    found
}

/// Whether `live` has exactly the values of `manifest`, so that no dry run is needed.
pub(super) fn is_as_written(manifest: &Value, live: &Value) -> bool {
    drift(manifest, manifest, live).is_empty()
}

/// The manifest in the form that the API server stores: the `stringData` of a Secret becomes `data`, in base64
/// (k8s.io/api/core/v1, `Secret.stringData`).
pub(super) fn as_stored(mut manifest: Value) -> Value {
    let texts = match manifest
        .as_object_mut()
        .and_then(|it| it.remove("stringData"))
    {
        Some(Value::Object(texts)) if manifest["kind"] == "Secret" => texts,
        _ => return manifest,
    };
    if !manifest["data"].is_object() {
        manifest["data"] = Value::Object(Map::new());
    }
    for (key, text) in texts {
        manifest["data"][key] = STANDARD.encode(text.as_str().unwrap_or_default()).into();
    }
    manifest
}

/// The manifest as a merge patch: without null values, which would delete, and without fields that only the server writes.
pub(super) fn patch_of(manifest: &Value) -> Value {
    let mut patch = without_null(manifest);
    if let Some(map) = patch.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = patch["metadata"].as_object_mut() {
        for key in [
            "creationTimestamp",
            "managedFields",
            "resourceVersion",
            "uid",
            "generation",
        ] {
            metadata.remove(key);
        }
    }
    patch
}

fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_null(value)))
            .collect(),
        Value::Array(list) => list.iter().map(without_null).collect(),
        other => other.clone(),
    }
}

struct Place<'a> {
    path: String,
    owners: FieldOwners<'a>,
}

fn walk(at: &Place<'_>, manifest: &Value, applied: &Value, live: &Value, found: &mut Vec<Drift>) {
    // Charts write `creationTimestamp: null` and empty `annotations:`: null values are ignored.
    if manifest.is_null() || is_server_field(&at.path) || applied == live {
        return;
    }
    match (manifest, applied, live) {
        (Value::Object(map), Value::Object(_) | Value::Null, Value::Object(_) | Value::Null)
            if !map.is_empty() =>
        {
            for (key, manifest) in map {
                let inner = Place {
                    path: join(&at.path, key),
                    owners: at.owners.field(key),
                };
                walk(&inner, manifest, &applied[key], &live[key], found);
            }
        }
        // `{}` in a manifest does not restrict its content: it only requires the field.
        (Value::Object(map), Value::Object(_), Value::Object(_)) if map.is_empty() => {}
        (Value::Array(list), Value::Array(made), Value::Array(there)) => {
            walk_list(at, list, made, there, found);
        }
        _ => found.push(drifted(at, live, applied)),
    }
}

/// The drift of a field. A missing field has no owner.
fn drifted(at: &Place<'_>, live: &Value, applied: &Value) -> Drift {
    let owners = at.owners.names().into_iter().map(str::to_owned);
    Drift {
        difference: Difference::of(&at.path, live, applied),
        owners: owners.filter(|_| !live.is_null()).collect(),
    }
}

fn walk_list(
    at: &Place<'_>,
    manifest: &[Value],
    applied: &[Value],
    live: &[Value],
    found: &mut Vec<Drift>,
) {
    let Some(key) = merge_key(&at.path, manifest) else {
        let same_length = applied.len() == live.len() && manifest.len() == live.len();
        if !same_length {
            found.push(drifted(at, &live.into(), &applied.into()));
            return;
        }
        for (index, (manifest, (applied, live))) in
            manifest.iter().zip(applied.iter().zip(live)).enumerate()
        {
            walk(
                &entry(at, index, manifest, live),
                manifest,
                applied,
                live,
                found,
            );
        }
        return;
    };
    let of = |list: &[Value], wanted: &Value| {
        let same = |it: &&Value| it[key] == wanted[key] && protocol(it) == protocol(wanted);
        list.iter().find(same).cloned().unwrap_or_default()
    };
    for (index, manifest) in manifest.iter().enumerate() {
        let (applied, live) = (of(applied, manifest), of(live, manifest));
        walk(
            &entry(at, index, manifest, &live),
            manifest,
            &applied,
            &live,
            found,
        );
    }
}

/// The key that identifies the entries of the list at `path`.
fn merge_key(path: &str, entries: &[Value]) -> Option<&'static str> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let has = |key: &str| entries.iter().all(|it| !it[key].is_null());
    MERGE_KEYS
        .iter()
        .find(|(list, key)| *list == name && has(key))
        .map(|(_, key)| *key)
}

/// A port number can occur with two protocols; the API server's default is TCP.
fn protocol(entry: &Value) -> &str {
    match entry["protocol"].as_str() {
        Some("") | None => "TCP",
        Some(protocol) => protocol,
    }
}

fn entry<'a>(at: &Place<'a>, index: usize, manifest: &Value, live: &Value) -> Place<'a> {
    Place {
        path: place(&at.path, index, manifest),
        owners: at.owners.entry(live, index),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(manifest: &Value, applied: &Value, live: &Value) -> Vec<String> {
        drift(manifest, applied, live)
            .into_iter()
            .map(|it| it.difference.path)
            .collect()
    }

    #[test]
    fn what_the_server_makes_of_the_manifest_is_no_drift() {
        let manifest = json!({"data": {}, "subjects": [{"apiGroup": "", "name": "a"}], "cpu": 0.5, "labels": null});
        let live = json!({"subjects": [{"name": "a"}], "cpu": "500m", "labels": {"a": "b"}});
        assert!(!is_as_written(&manifest, &live));
        assert!(paths(&manifest, &live, &live).is_empty());
    }

    #[test]
    fn what_others_add_is_theirs_and_what_they_change_is_not() {
        let manifest = json!({"spec": {"containers": [{"name": "a", "image": "x"}]}});
        let applied = json!({"spec": {"containers": [{"name": "a", "image": "m/x"}]}, "metadata": {"annotations": {"seen": "2"}}});
        let mut live = json!({
            "spec": {"containers": [{"name": "sidecar"}, {"name": "a", "image": "m/x"}]},
            "metadata": {"annotations": {"seen": "1"}},
        });
        assert!(paths(&manifest, &applied, &live).is_empty());
        live["spec"]["containers"][1]["image"] = json!("y");
        assert_eq!(
            paths(&manifest, &applied, &live),
            ["spec.containers[a].image"]
        );
    }

    #[test]
    fn an_empty_object_that_is_gone_is_drift() {
        let manifest = json!({"volumes": [{"name": "a", "emptyDir": {}}]});
        let live = json!({"volumes": [{"name": "a", "hostPath": {"path": "/tmp"}}]});
        assert_eq!(paths(&manifest, &manifest, &live), ["volumes[a].emptyDir"]);
        let filled = json!({"volumes": [{"name": "a", "emptyDir": {"medium": "Memory"}}]});
        assert!(paths(&manifest, &manifest, &filled).is_empty());
    }

    #[test]
    fn one_port_of_two_protocols_is_two_entries() {
        let manifest =
            json!({"ports": [{"port": 53}, {"port": 53, "protocol": "UDP", "targetPort": 53}]});
        let live = json!({"ports": [
            {"port": 53, "protocol": "TCP", "targetPort": 53}, {"port": 53, "protocol": "UDP", "targetPort": 54},
        ]});
        let applied = json!({"ports": [
            {"port": 53, "protocol": "TCP", "targetPort": 53}, {"port": 53, "protocol": "UDP", "targetPort": 53},
        ]});
        assert_eq!(paths(&manifest, &applied, &live), ["ports[1].targetPort"]);
    }

    #[test]
    fn a_secret_s_values_are_hidden_under_every_key() {
        let secret = |value: &str| json!({"kind": "Secret", "data": {"plain": value}});
        let found = drift(&secret("new"), &secret("new"), &secret("old"));
        assert_eq!(found.len(), 1);
        assert!(!format!("{found:?}").contains("old"));
    }

    #[test]
    fn the_texts_of_a_secret_are_its_data() {
        let secret = json!({"kind": "Secret", "stringData": {"a": "b"}, "data": {"c": "ZA=="}});
        assert_eq!(
            as_stored(secret),
            json!({"kind": "Secret", "data": {"a": "Yg==", "c": "ZA=="}})
        );
        let plain = json!({"kind": "Secret", "stringData": null, "data": null});
        assert_eq!(as_stored(plain), json!({"kind": "Secret", "data": null}));
    }

    #[test]
    fn a_patch_takes_nothing_away() {
        let manifest = json!({"metadata": {"name": "a", "annotations": null, "creationTimestamp": null}, "status": {}, "data": null});
        assert_eq!(patch_of(&manifest), json!({"metadata": {"name": "a"}}));
    }

    #[test]
    fn what_its_controller_and_the_schedule_write_is_no_drift_of_a_scale_set() {
        let manifest = json!({
            "metadata": {"annotations": {"actions.github.com/values-hash": "x"}},
            "spec": {"maxRunners": 5},
        });
        let live = json!({
            "metadata": {
                "annotations": {"actions.github.com/values-hash": "x", "runner-scale-set-id": "7"},
                "finalizers": ["autoscalingrunnerset.actions.github.com/finalizer"],
            },
            "spec": {"maxRunners": 5, "minRunners": 3},
            "status": {"phase": "Running"},
        });
        assert!(is_as_written(&manifest, &live));
        let drained = json!({"spec": {"maxRunners": 0}});
        assert_eq!(
            paths(&manifest, &manifest, &drained)[1..],
            ["spec.maxRunners"]
        );
    }
}
