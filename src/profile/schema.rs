//! The JSON Schema of the profile, generated from the types: for editors and for [`super::load`]. Pure.

use std::{collections::HashMap, sync::LazyLock};

use regex::Regex;
use schemars::{Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value, json};

use super::Profile;

/// The schema's `$id`.
const ID: &str = "https://arcctl.dev/schema/v1.json";

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// Every pattern in the schema, compiled once.
static PATTERNS: LazyLock<HashMap<String, Regex>> = LazyLock::new(|| {
    let mut patterns = HashMap::new();
    collect_patterns(&SCHEMA, &mut patterns);
    patterns
});

/// The JSON Schema (draft 2020-12) of the profile.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The same, without a copy.
pub(super) fn shared() -> &'static Value {
    &SCHEMA
}

/// A pattern of the schema, compiled.
pub(super) fn pattern(text: &str) -> Option<&'static Regex> {
    PATTERNS.get(text)
}

fn generate() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with_transform(clean as fn(&mut Schema))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Profile>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".into(), json!(ID));
        object.insert("title".into(), json!("arcctl profile"));
    }
    schema
}

/// Removes what does not apply to YAML: null as a way to omit a key (a profile has a value or no key), and the widths
/// of Rust's numbers.
fn clean(schema: &mut Schema) {
    transform_subschemas(&mut clean, schema);
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("format");
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    let is_null = |option: &Value| *option == json!({"type": "null"});
    if let Some(Value::Array(options)) = object.get_mut("anyOf") {
        options.retain(|option| !is_null(option));
        if let [Value::Object(only)] = options.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            merge(object, only);
        }
    }
}

fn merge(object: &mut Map<String, Value>, other: Map<String, Value>) {
    for (key, value) in other {
        object.entry(key).or_insert(value);
    }
}

fn collect_patterns(value: &Value, patterns: &mut HashMap<String, Regex>) {
    match value {
        Value::Object(object) => {
            if let Some(text) = object.get("pattern").and_then(Value::as_str)
                && let Ok(regex) = Regex::new(text)
            {
                patterns.insert(text.to_owned(), regex);
            }
            object
                .values()
                .for_each(|value| collect_patterns(value, patterns));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|value| collect_patterns(value, patterns)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects every object that has a `pattern`.
    fn patterned(value: &Value, found: &mut Vec<Value>) {
        match value {
            Value::Object(object) => {
                if object.get("pattern").is_some_and(Value::is_string) {
                    found.push(value.clone());
                }
                object.values().for_each(|value| patterned(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| patterned(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_pattern_compiles_and_says_in_words_what_it_wants() {
        let mut found = Vec::new();
        patterned(shared(), &mut found);
        assert!(found.len() > 10, "{found:?}");
        for one in found {
            assert!(pattern(one["pattern"].as_str().unwrap()).is_some(), "{one}");
            assert!(one["patternErrorMessage"].is_string(), "{one}");
        }
    }

    #[test]
    fn no_key_can_be_null() {
        assert!(!shared().to_string().contains("\"null\""));
    }
}
