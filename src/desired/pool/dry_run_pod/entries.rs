//! Helpers for lists of named entries and for inherited container fields, as JSON. Pure: no I/O.

use serde_json::{Map, Value, json};

pub(super) fn mount(name: &str, path: &str) -> Value {
    json!({"name": name, "mountPath": path})
}

/// Sets `value` if the container does not have the key.
pub(super) fn inherit(container: &mut Value, key: &str, value: &Value) {
    let silent =
        container[key].is_null() || list(&container[key]).is_empty() && container[key].is_array();
    if silent && !value.is_null() {
        container[key] = value.clone();
    }
}

pub(super) fn inherit_resources(container: &mut Value, resources: &Value) {
    for key in ["requests", "limits"] {
        let silent = container["resources"][key]
            .as_object()
            .is_none_or(Map::is_empty);
        if silent && !resources[key].is_null() {
            container["resources"][key] = resources[key].clone();
        }
    }
    if container["resources"].is_null() {
        container["resources"] = json!({});
    }
}

pub(super) fn push(container: &mut Value, key: &str, entry: Value) {
    let mut entries = list(&container[key]);
    entries.push(entry);
    container[key] = entries.into();
}

pub(super) fn has(entries: &[Value], name: &str) -> bool {
    entries.iter().any(|it| it["name"] == name)
}

pub(super) fn remove(entries: &mut Vec<Value>, name: &str) {
    if let Some(at) = entries.iter().position(|it| it["name"] == name) {
        entries.remove(at);
    }
}

pub(super) fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

pub(super) fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}
