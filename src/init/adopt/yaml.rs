//! Writes a profile as people write it: its keys in the usual order, short values in one line. Pure: no I/O.

use serde_json::{Map, Value};

use crate::init::text::scalar;

/// The order of keys; those that are not listed follow, by name.
const ORDER: [&str; 46] = [
    "apiVersion",
    "name",
    "from",
    "to",
    "cluster",
    "eks",
    "region",
    "context",
    "github",
    "url",
    "enterprise",
    "organization",
    "repository",
    "token",
    "app",
    "id",
    "installationId",
    "privateKey",
    "tokenOwner",
    "certManager",
    "controller",
    "release",
    "namespace",
    "chartVersion",
    "charts",
    "aws",
    "pools",
    "instanceType",
    "image",
    "labels",
    "group",
    "min",
    "max",
    "scaling",
    "metrics",
    "type",
    "scaleUp",
    "scaleDown",
    "threshold",
    "scaleDownDelay",
    "schedule",
    "timeZone",
    "windows",
    "containerMode",
    "sharedTmp",
    "resources",
];

/// The longest flow collection, in characters.
const SHORT: usize = 90;

/// `value`, a map, as YAML at `indent`.
pub(crate) fn block(value: &Map<String, Value>, indent: usize) -> String {
    let mut text = String::new();
    for (key, value) in ordered(value) {
        let margin = " ".repeat(indent);
        text.extend([&margin, &scalar(key), ":", &after(value, indent)]);
    }
    text
}

fn ordered(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |key: &str| {
        ORDER
            .iter()
            .position(|it| *it == key)
            .unwrap_or(ORDER.len())
    };
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| place(key));
    entries
}

/// What follows a key, or the dash of a list.
fn after(value: &Value, indent: usize) -> String {
    let flow = flow(value);
    let nested = match value {
        Value::Object(map) => !map.is_empty() && (indent < 2 || flow.len() > SHORT),
        Value::Array(items) => {
            let has_maps = items.iter().any(Value::is_object);
            !items.is_empty() && (flow.len() > SHORT || (has_maps && indent < 6))
        }
        _ => false,
    };
    if !nested {
        return format!(" {flow}\n");
    }
    match value {
        Value::Object(map) => format!("\n{}", block(map, indent + 2)),
        Value::Array(items) => {
            let margin = " ".repeat(indent + 2);
            let item = |it: &Value| match it {
                Value::Object(map) if flow_of(map).len() > SHORT || indent == 0 => {
                    let lines = block(map, indent + 4);
                    format!("{margin}- {}", lines.trim_start())
                }
                other => format!("{margin}- {}\n", flow_text(other)),
            };
            format!("\n{}", items.iter().map(item).collect::<String>())
        }
        _ => String::new(),
    }
}

fn flow_of(map: &Map<String, Value>) -> String {
    let entry = |(key, value): (&String, &Value)| format!("{}: {}", scalar(key), flow_text(value));
    let entries: Vec<String> = ordered(map).into_iter().map(entry).collect();
    format!("{{{}}}", entries.join(", "))
}

fn flow(value: &Value) -> String {
    flow_text(value)
}

fn flow_text(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains(['\n', '\t']) => {
            // JSON's form is YAML's double-quoted one.
            serde_json::to_string(text).unwrap_or_default()
        }
        Value::String(text) => scalar(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => flow_of(map),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let value = json!({
            "name": "x", "apiVersion": "arcctl.dev/v1", "empty": {}, "none": [],
            "pools": [
                {"name": "a", "min": 1, "image": "i:1", "labels": ["on", "1"],
                 "template": {"volumes": [{"name": "a", "hostPath": {"path": "/a very long path, so that it does not fit into one line of the file"}}],
                    "text": "two\nlines", "number": 1.5, "yes": true, "no": null}},
                {"name": "b", "min": 2, "image": "i:1"},
            ],
        });
        let text = block(value.as_object().unwrap(), 0);
        assert!(
            text.starts_with("apiVersion: arcctl.dev/v1\nname: x\npools:\n  - name: a\n"),
            "{text}"
        );
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, value, "{text}");
    }
}
