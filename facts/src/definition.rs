//! Converts a table to `CustomResourceDefinition` objects, for the sandbox's control plane.

#[cfg(test)]
use serde_json::Map;
use serde_json::{Value, json};

use crate::Table;

impl Table {
    /// The `CustomResourceDefinition` of `kind`, as large as the original: the text that it has beside facts is made up
    /// for by filler of ours, since size is what some clients fail on (an annotation holds 262 144 bytes, for one).
    ///
    /// `None` for a kind that is not in the table.
    pub fn definition(&self, kind: &str) -> Option<Value> {
        let facts = self.crds.get(kind)?;
        let fact = |key: &str| facts.get(key).map(String::as_str).unwrap_or_default();
        let list =
            |key: &str| -> Vec<&str> { fact(key).split(',').filter(|it| !it.is_empty()).collect() };
        let mut names = json!({
            "kind": kind,
            "listKind": format!("{kind}List"),
            "plural": fact("plural"),
            "singular": kind.to_lowercase(),
        });
        for (key, values) in [
            ("shortNames", list("short")),
            ("categories", list("categories")),
        ] {
            if !values.is_empty() {
                names[key] = json!(values);
            }
        }
        let mut version = json!({
            "name": fact("version"),
            "served": true,
            "storage": true,
            "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": self.schema(kind)?},
        });
        if let Some(columns) = self.columns.get(kind) {
            version["additionalPrinterColumns"] = columns.iter().map(column).collect();
        }
        let selectable = list("selectable");
        if !selectable.is_empty() {
            version["selectableFields"] = selectable
                .iter()
                .map(|path| json!({"jsonPath": path}))
                .collect();
        }
        let mut metadata = json!({"name": format!("{}.{}", fact("plural"), fact("group"))});
        if !fact("generator").is_empty() {
            metadata["annotations"] =
                json!({"controller-gen.kubebuilder.io/version": fact("generator")});
        }
        let mut definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": metadata,
            "spec": {
                "group": fact("group"),
                "names": names,
                "scope": fact("scope"),
                "versions": [version],
            },
        });
        let size = fact("size").parse().unwrap_or_default();
        fill(&mut definition, size);
        Some(definition)
    }
}

fn column([name, sort, path, priority]: &[String; 4]) -> Value {
    let mut column = json!({"name": name, "type": sort, "jsonPath": path});
    if let Ok(priority @ 1..) = priority.parse::<u32>() {
        column["priority"] = json!(priority);
    }
    column
}

/// What stands where the original describes a field.
const FILLER: &str = "Facts only: the original has a description here. ";

/// Gives the fields of the schema descriptions until the object is about `size` bytes large.
fn fill(definition: &mut Value, size: usize) {
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let missing = size.saturating_sub(definition.to_string().len());
    let Some(schema) = definition.pointer_mut(schema) else {
        return;
    };
    let fields = count(schema);
    let Some(each) = missing.checked_div(fields).filter(|it| *it > 20) else {
        return;
    };
    let text: String = FILLER.chars().cycle().take(each - 18).collect();
    describe(schema, text.trim_end());
    // The API server takes nothing beside restrictions of name and generateName there.
    if let Some(metadata) = schema
        .pointer_mut("/properties/metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.remove("description");
    }
}

fn count(schema: &Value) -> usize {
    children(schema).map(|it| 1 + count(it)).sum()
}

fn children(schema: &Value) -> impl Iterator<Item = &Value> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(_, value)| value)
        .chain(
            ["items", "additionalProperties"]
                .into_iter()
                .filter_map(|it| schema.get(it)),
        )
        .filter(|it| it.is_object())
}

fn describe(schema: &mut Value, text: &str) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|it| described(it, text));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key).filter(|it| it.is_object()) {
            described(inner, text);
        }
    }
}

fn described(schema: &mut Value, text: &str) {
    if let Some(map) = schema.as_object_mut() {
        map.insert("description".into(), text.into());
    }
    describe(schema, text);
}

/// A schema without descriptions, to compare with a table's.
#[cfg(test)]
pub(crate) fn without_descriptions(schema: &Value) -> Value {
    let Value::Object(map) = schema else {
        return schema.clone();
    };
    let mut kept = Map::new();
    for (key, value) in map {
        let value = match key.as_str() {
            "description" => continue,
            // The names of properties are no keywords.
            "properties" => value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), without_descriptions(value)))
                .collect(),
            "items" | "additionalProperties" => without_descriptions(value),
            _ => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    kept.into()
}
