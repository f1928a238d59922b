//! Neutral values in place of wrong ones, so that the rules can still check the rest. Pure.

use serde_json::{Value, json};

use crate::profile::{
    path::Path,
    schema,
    yaml::{Content, Node},
};

/// Follows a reference into `$defs`.
pub(super) fn resolve(schema: &'static Value) -> &'static Value {
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix("#/$defs/"));
    name.and_then(|name| schema::shared().get("$defs")?.get(name))
        .unwrap_or(schema)
}

/// A valid value of the right type with the fewest settings.
pub(super) fn neutral(schema: &'static Value, path: &Path) -> Value {
    let schema = resolve(schema);
    if let Some(default) = schema.get("default") {
        return default.clone();
    }
    if let Some(word) = schema
        .get("oneOf")
        .and_then(|options| options.get(0)?.get("const"))
    {
        return word.clone();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => {
            let properties = schema.get("properties");
            let required = schema
                .get("required")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let keys = required.filter_map(Value::as_str);
            let value = |key: &str| {
                properties
                    .and_then(|properties| properties.get(key))
                    .map_or(Value::Null, |below| neutral(below, &path.key(key)))
            };
            Value::Object(keys.map(|key| (key.to_owned(), value(key))).collect())
        }
        Some("array") => json!([]),
        // Durations are the only texts that a type parses.
        Some("string") => json!("1m"),
        Some("integer" | "number") => {
            // A pool's bounds are set so that neither conflicts with the other.
            let bound = if path.last_key() == Some("max") {
                "maximum"
            } else {
                "minimum"
            };
            schema.get(bound).cloned().unwrap_or_else(|| json!(0))
        }
        Some("boolean") => json!(false),
        _ => Value::Null,
    }
}

/// The likely meaning of a value of the wrong type, else a neutral value.
pub(super) fn repaired(node: &Node, schema: &'static Value, path: &Path) -> Value {
    let Content::Scalar(scalar) = &node.value else {
        return neutral(schema, path);
    };
    match schema.get("type").and_then(Value::as_str) {
        Some("string") if schema.get("patternErrorMessage").is_none() => json!(scalar.text),
        Some("integer") => scalar
            .text
            .parse::<u16>()
            .map_or_else(|_| neutral(schema, path), |value| json!(value)),
        _ => neutral(schema, path),
    }
}
