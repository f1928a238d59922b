//! Field-level differences between two JSON values. Pure: no I/O.
//!
//! Times, quantities and absent or empty fields are compared by meaning, because the API server and the controllers
//! rewrite them (reference: arc.md 2.3, 11.15). Secrets are masked.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    secret::{
        text::Manner,
        value::{Standing, hidden, told},
    },
    units::quantity::canonical,
};

/// One field that differs from the desired value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The field, `spec.template.spec.image`.
    pub path: String,
    /// The current value; `null` if absent.
    pub from: Value,
    /// The desired value; `null` if it is removed.
    pub to: Value,
}

impl Difference {
    /// The difference of `from` and `to` at `path`, with secrets masked.
    pub(super) fn of(path: &str, from: &Value, to: &Value) -> Self {
        let standing = Standing::at(path);
        let shown = |value: &Value| match value {
            Value::Null => Value::Null,
            // `***` differs from `(hidden)`: it is a text that is partly masked.
            _ if standing.hides() && !value.is_boolean() => Value::String(HIDDEN.into()),
            value => hidden(value, standing, Manner::Lenient),
        };
        Self {
            path: path.into(),
            from: shown(from),
            to: shown(to),
        }
    }

    /// Hides the current and the desired value.
    pub(super) fn hide(&mut self) {
        for value in [&mut self.from, &mut self.to] {
            if !value.is_null() {
                *value = HIDDEN.into();
            }
        }
    }

    /// The deletion of a whole object, with the fields that recreate it with `kubectl apply`.
    pub fn whole(live: &Value) -> Self {
        let mut metadata = serde_json::Map::new();
        for key in ["name", "namespace", "labels"] {
            if let Some(value) = live["metadata"].get(key) {
                metadata.insert(key.into(), value.clone());
            }
        }
        Self {
            path: "manifest".into(),
            from: serde_json::json!({
                "apiVersion": live["apiVersion"],
                "kind": live["kind"],
                "metadata": metadata,
                "spec": told(&live["spec"]),
            }),
            to: Value::Null,
        }
    }
}

/// The replacement for a secret value.
const HIDDEN: &str = "(hidden)";

/// Fields that only the API server and controllers write: never a difference.
const SERVER_FIELDS: [&str; 7] = [
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "metadata.uid",
    "metadata.annotations.kubectl.kubernetes.io/last-applied-configuration",
    "status",
];

/// Whether only the API server and controllers write `path`.
pub(super) fn is_server_field(path: &str) -> bool {
    SERVER_FIELDS.contains(&path)
}

/// The differences in meaning between `from` and `to`.
pub fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", from, to, &mut found);
    found
}

/// The differences of the parts at `path` of two objects.
pub(super) fn differences_at(path: &str, from: &Value, to: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(path, from, to, &mut found);
    found
}

/// Where `live` lacks fields of `wanted`; fields that `wanted` omits are ignored. List entries are matched by `name`,
/// where they have one.
pub fn missing(live: &Value, wanted: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    lacking("", live, wanted, &mut found);
    found
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.into()
    } else {
        format!("{path}.{key}")
    }
}

fn push(path: &str, from: &Value, to: &Value, found: &mut Vec<Difference>) {
    found.push(Difference::of(path, from, to));
}

/// The path of a list entry: by its name, if it has one.
pub(super) fn place(path: &str, index: usize, entry: &Value) -> String {
    match entry["name"].as_str() {
        Some(name) => format!("{path}[{name}]"),
        None => format!("{path}[{index}]"),
    }
}

fn walk(path: &str, from: &Value, to: &Value, found: &mut Vec<Difference>) {
    if SERVER_FIELDS.contains(&path) || same(path, from, to) {
        return;
    }
    match (from, to) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in left {
                walk(
                    &join(path, key),
                    value,
                    right.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
            for (key, value) in right.iter().filter(|(key, _)| !left.contains_key(*key)) {
                walk(&join(path, key), &Value::Null, value, found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                walk(&place(path, index, right), left, right, found);
            }
        }
        _ => push(path, from, to, found),
    }
}

fn lacking(path: &str, live: &Value, wanted: &Value, found: &mut Vec<Difference>) {
    // Charts write `creationTimestamp: null` and empty `annotations:`: null counts as omitted.
    let not_mentioned = wanted.is_null() || SERVER_FIELDS.contains(&path);
    if not_mentioned || same(path, live, wanted) || (live.is_null() && is_zero(wanted)) {
        return;
    }
    match (live, wanted) {
        (Value::Object(left), Value::Object(right)) => {
            for (key, value) in right {
                let live = left.get(key).unwrap_or(&Value::Null);
                lacking(&join(path, key), live, value, found);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for (index, value) in right.iter().enumerate() {
                let live = entry(left, value, index);
                lacking(&place(path, index, value), live, value, found);
            }
        }
        _ => push(path, live, wanted, found),
    }
}

/// The entry of `list` that matches `wanted`: the one with the same key, else the same index.
fn entry<'a>(list: &'a [Value], wanted: &Value, index: usize) -> &'a Value {
    // Mounts of one volume share its name, and so may ports: match by the merge keys of the Kubernetes types first.
    for key in ["mountPath", "containerPort", "port", "name"] {
        if let Some(value) = wanted.get(key) {
            return list
                .iter()
                .find(|entry| entry.get(key) == Some(value))
                .unwrap_or(&Value::Null);
        }
    }
    list.get(index).unwrap_or(&Value::Null)
}

/// Whether two values at `path` mean the same. `false`, `0` and `""` are values: a chart's default may differ.
fn same(path: &str, left: &Value, right: &Value) -> bool {
    if left == right || (is_nothing(left) && is_nothing(right)) {
        return true;
    }
    match (scalar(left), scalar(right)) {
        (Some(left), Some(right)) => {
            left == right
                || (path.ends_with("Time") && same_time(&left, &right))
                || (is_quantity(path) && same_quantity(&left, &right))
        }
        _ => false,
    }
}

/// Whether a value is empty: absent, `null`, or a container of empty values.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.values().all(is_nothing),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// A zero value: the API server omits it when it writes a typed object.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        other => is_nothing(other),
    }
}

/// A scalar as text: the API server accepts both `8080` and `"8080"` for a port, and stores a number.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn same_time(left: &str, right: &str) -> bool {
    match (
        left.parse::<jiff::Timestamp>(),
        right.parse::<jiff::Timestamp>(),
    ) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}

fn is_quantity(path: &str) -> bool {
    [
        ".requests.",
        ".limits.",
        ".capacity.",
        "sizeLimit",
        "SizeLimit",
    ]
    .iter()
    .any(|it| path.contains(it))
}

fn same_quantity(left: &str, right: &str) -> bool {
    canonical(left) == canonical(right)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_field_is_named_with_its_path() {
        let found = differences(
            &json!({"spec": {"min": 2, "labels": ["a"]}}),
            &json!({"spec": {"min": 3, "labels": ["a", "b"]}}),
        );
        let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["spec.labels", "spec.min"]);
        assert_eq!((&found[1].from, &found[1].to), (&json!(2), &json!(3)));
    }

    #[test]
    fn what_the_server_rewrites_is_no_difference() {
        let found = differences(
            &json!({"spec": {"startTime": "2023-07-14T15:00:00Z", "selector": null}}),
            &json!({"spec": {"startTime": "2023-07-15T00:00:00+09:00"}}),
        );
        assert_eq!(found, []);
    }

    #[test]
    fn what_is_not_mentioned_is_not_missing() {
        let live =
            json!({"spec": {"containers": [{"name": "x"}, {"name": "manager", "image": "a"}]}});
        assert_eq!(
            missing(
                &live,
                &json!({"spec": {"containers": [{"name": "manager"}]}})
            ),
            []
        );
        let found = missing(
            &live,
            &json!({"spec": {"containers": [{"name": "manager", "image": "b"}]}}),
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "spec.containers[manager].image");
    }

    #[test]
    fn secret_values_are_hidden() {
        let found = differences(&json!({}), &json!({"env": {"GITHUB_TOKEN": "ghp_abc"}}));
        assert!(!format!("{found:?}").contains("ghp_abc"));
        let found = differences(
            &json!({"env": [{"name": "API_TOKEN", "value": "old"}]}),
            &json!({"env": [{"name": "API_TOKEN", "value": "new"}]}),
        );
        assert_eq!((found.len(), &found[0].to), (1, &json!(HIDDEN)));
    }
}
