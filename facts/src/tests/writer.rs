//! Converts schemas to the lines of a table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::sorted;

/// Types are named once and used again: the parts of a pod stand five times in these CRDs.
#[derive(Default)]
pub(super) struct Writer {
    names: BTreeMap<String, String>,
    used: BTreeSet<String>,
    lines: BTreeMap<String, Vec<String>>,
}

impl Writer {
    pub(super) fn text(&self) -> String {
        let lines = self.lines.values().flatten();
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    /// Makes a type of an object with properties, or finds the one of the same shape; answers with its name.
    pub(super) fn define(&mut self, wanted: &str, schema: &Value, root: bool) -> String {
        let shape = json!([schema["properties"], sorted(&schema["required"])]).to_string();
        if !root && let Some(name) = self.names.get(&shape) {
            return name.clone();
        }
        let name = self.free(wanted);
        self.names.insert(shape, name.clone());
        let required: BTreeSet<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut lines = Vec::new();
        for (field, inner) in schema["properties"].as_object().unwrap() {
            let (kind, mut constraints) = self.kind(&name, field, inner);
            if required.contains(field.as_str()) {
                constraints.insert(0, "required".into());
            }
            lines.push(
                [vec![name.clone(), field.clone(), kind], constraints]
                    .concat()
                    .join("\t"),
            );
        }
        self.lines.insert(name.clone(), lines);
        name
    }

    fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while !self.used.insert(name.clone()) {
            name = format!("{wanted}{number}");
            number += 1;
        }
        name
    }

    pub(super) fn kind(
        &mut self,
        owner: &str,
        field: &str,
        schema: &Value,
    ) -> (String, Vec<String>) {
        let mut constraints = Vec::new();
        let map = schema.as_object().unwrap();
        let kind = match schema["type"].as_str() {
            _ if map.contains_key("$ref") => {
                let name = map["$ref"].as_str().unwrap_or_default();
                title(name.rsplit('/').next().unwrap_or_default())
            }
            _ if map.contains_key("oneOf") => self.union(owner, field, &schema["oneOf"]),
            None if map.contains_key("anyOf")
                && !map.contains_key("x-kubernetes-int-or-string") =>
            {
                self.union(owner, field, &schema["anyOf"])
            }
            Some("array") => {
                let inner = self.inner(owner, field, &schema["items"]);
                format!("[{inner}]")
            }
            Some("object")
                if schema["additionalProperties"].is_object()
                    && !map.contains_key("properties") =>
            {
                let inner = self.inner(owner, field, &schema["additionalProperties"]);
                format!("{{{inner}}}")
            }
            Some("object") if map.contains_key("properties") => {
                self.define(&title(field), schema, false)
            }
            Some(scalar) => match schema["format"].as_str() {
                Some(format) => format!("{scalar}:{format}"),
                None => scalar.to_owned(),
            },
            None if map.contains_key("x-kubernetes-int-or-string") => "int-or-string".into(),
            None if map.contains_key("x-kubernetes-preserve-unknown-fields") => "any".into(),
            None => panic!("{owner}.{field}: {schema}"),
        };
        for (keyword, value) in map {
            constraints.extend(constraint(&kind, schema, keyword, value));
        }
        (kind, constraints)
    }

    fn union(&mut self, owner: &str, field: &str, members: &Value) -> String {
        let members: Vec<String> = members
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| self.inner(owner, field, it))
            .collect();
        members.join("|")
    }

    /// A type with constraints of its own beside its fields, as `nullable`.
    pub(super) fn component(&mut self, name: &str, schema: &Value) {
        let (kind, constraints) = self.kind(name, name, schema);
        if kind != name || !constraints.is_empty() {
            let mut fields = kind.clone();
            if kind == name {
                // The name is the constrained kind's; its fields get another.
                fields = self.free(&format!("{name}Fields"));
                let lines = self.lines.remove(name).unwrap_or_default();
                let renamed = lines
                    .iter()
                    .map(|it| it.replacen(name, &fields, 1))
                    .collect();
                self.lines.insert(fields.clone(), renamed);
                self.names
                    .values_mut()
                    .filter(|it| *it == name)
                    .for_each(|it| it.clone_from(&fields));
            }
            let line = [vec![name.to_owned(), "=".into(), fields], constraints].concat();
            self.lines.insert(name.to_owned(), vec![line.join("\t")]);
        }
    }

    /// The kind of a list's items or a map's values; constraints of their own need a name.
    fn inner(&mut self, owner: &str, field: &str, schema: &Value) -> String {
        let (kind, constraints) = self.kind(owner, field, schema);
        if constraints.is_empty() {
            return kind;
        }
        let line = format!("=\t{kind}\t{}", constraints.join("\t"));
        if let Some(name) = self.names.get(&line) {
            return name.clone();
        }
        let name = self.free(&format!("{}Item", title(field)));
        self.names.insert(line.clone(), name.clone());
        self.lines
            .insert(name.clone(), vec![format!("{name}\t{line}")]);
        name
    }
}

pub(super) fn title(field: &str) -> String {
    field
        .split(['-', '_', '$'])
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(char::to_uppercase).into_iter().flatten();
            first.chain(letters).collect::<String>()
        })
        .collect()
}

/// A keyword of a field's schema as a cell of the table; `None` for one that the kind says, or that is no constraint.
fn constraint(kind: &str, schema: &Value, keyword: &str, value: &Value) -> Option<String> {
    let text = || value.as_str().unwrap().to_owned();
    Some(match keyword {
        "additionalProperties" if value == true => "more".into(),
        "additionalProperties" if value == false => "closed".into(),
        "additionalProperties" if schema.get("properties").is_some() => {
            format!("others={}", value["type"].as_str().unwrap())
        }
        // What helps a generator of code, and text.
        "discriminator"
        | "description"
        | "example"
        | "title"
        | "deprecated"
        | "$ref"
        | "oneOf"
        | "type"
        | "properties"
        | "items"
        | "additionalProperties"
        | "required"
        | "format"
        | "anyOf"
        | "x-kubernetes-int-or-string"
        | "x-kubernetes-list-map-keys" => return None,
        "x-kubernetes-preserve-unknown-fields" if kind == "any" => return None,
        "x-kubernetes-preserve-unknown-fields" => "open".into(),
        "nullable" => "nullable".into(),
        "pattern" => format!("pattern={}", text()),
        "x-kubernetes-map-type" => format!("map={}", text()),
        "x-kubernetes-list-type" => match &schema["x-kubernetes-list-map-keys"] {
            Value::Array(keys) => {
                let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
                format!("list={}:{}", text(), keys.join(","))
            }
            _ => format!("list={}", text()),
        },
        "default" => format!("default={value}"),
        "enum" => format!("enum={value}"),
        "minimum" => format!("minimum={value}"),
        "maximum" => format!("maximum={value}"),
        "minLength" => format!("min-length={value}"),
        "maxLength" => format!("max-length={value}"),
        "minItems" => format!("min-items={value}"),
        "maxItems" => format!("max-items={value}"),
        "maxProperties" => format!("max-properties={value}"),
        "x-kubernetes-validations" => format!("validations={value}"),
        other => panic!("the table cannot hold `{other}`: {schema}"),
    })
}
