//! Validates the profile's tree against its JSON Schema: reports every schema error in one run. Pure.
//!
//! The walk also builds the value for [`super::Profile`]. It replaces wrong values with neutral ones and records the
//! paths, so that the rules of [`super::lint`] can still check the rest.

mod describe;
mod recovery;
mod scalars;
mod secrets;
mod suggestion;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    diagnostic::{Problem, Severity},
    path::Path,
    schema,
    yaml::{Content, Entry, Meaning, Node, Position, Scalar},
};
use crate::secret::{name::is_secret, shape::is_refused};
pub(crate) use describe::similar;
use describe::{
    first_sentence, hint, home, name, said_of_a_map, said_otherwise, shown, stands_for,
};
use recovery::{neutral, repaired, resolve};
use secrets::SECRET_KEYS;
pub(super) use secrets::secrets;

/// The result of a walk.
pub(super) struct Checked {
    /// The profile as JSON, with neutral values in the place of wrong ones.
    pub(super) value: Value,
    /// The problems.
    pub(super) problems: Vec<Problem>,
    /// The paths of wrong values.
    pub(super) wrong: Vec<Path>,
    /// The maps with an unknown key: it may have been meant for any known key.
    pub(super) uncertain: Vec<Path>,
}

/// Checks a tree.
pub(super) fn check(tree: &Node) -> Checked {
    let mut walk = Walk::default();
    let value = walk.node(tree, tree.span.start, schema::shared(), &Path::root());
    let Walk {
        problems,
        wrong,
        uncertain,
    } = walk;
    Checked {
        value,
        problems,
        wrong,
        uncertain,
    }
}

#[derive(Default)]
struct Walk {
    problems: Vec<Problem>,
    wrong: Vec<Path>,
    uncertain: Vec<Path>,
}

impl Walk {
    fn report(&mut self, at: Position, path: &Path, message: impl AsRef<str>, hint: Option<&str>) {
        self.problems.push(Problem::new(
            at,
            &path.to_string(),
            Severity::Error,
            message.as_ref(),
            hint,
        ));
        self.wrong.push(path.clone());
    }

    /// Checks a node; `at` is the position of its key.
    fn node(&mut self, node: &Node, at: Position, schema: &'static Value, path: &Path) -> Value {
        let schema = resolve(schema);
        if let Content::Scalar(scalar) = &node.value
            && is_refused(&scalar.text)
        {
            self.literal_secret(node, path);
            return neutral(schema, path);
        }
        if schema.get("oneOf").is_some() {
            return self.choice(node, at, schema, path);
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => match &node.value {
                Content::Map(entries) => self.map(entries, at, schema, path),
                _ => self.wrong_type(node, at, "a map (`key: value`)", schema, path),
            },
            Some("array") => match &node.value {
                Content::List(items) => self.list(items, at, schema, path),
                _ => self.wrong_type(node, at, "a list", schema, path),
            },
            Some("string") => self.text(node, at, schema, path),
            Some(number @ ("integer" | "number")) => self.number(node, at, number, schema, path),
            Some("boolean") => match meaning(node) {
                Some(Meaning::Boolean(value)) => json!(value),
                _ => self.wrong_type(node, at, "`true` or `false`", schema, path),
            },
            _ => self.free(node, path),
        }
    }

    fn literal_secret(&mut self, node: &Node, path: &Path) {
        self.report(
            node.span.start,
            path,
            "this is a credential; a profile must never contain one",
            Some("name its source, for example `token: {env: NAME}`, and revoke it if others have seen this file"),
        );
    }

    fn wrong_type(
        &mut self,
        node: &Node,
        at: Position,
        wanted: &str,
        schema: &'static Value,
        path: &Path,
    ) -> Value {
        let secret_key = path.last_key().filter(|key| SECRET_KEYS.contains(key));
        if let (Some(key), Content::Scalar(Scalar { text, .. })) = (secret_key, &node.value)
            && !text.is_empty()
        {
            let example = if key == "token" {
                "token: {env: ARCCTL_GITHUB_TOKEN}"
            } else {
                "privateKey: {file: app.pem}"
            };
            self.report(
                node.span.start,
                path,
                format!("`{key}` names the source of the secret and is never the secret itself"),
                Some(&format!(
                    "write `{example}`, and revoke the secret if others have seen this file"
                )),
            );
            return neutral(schema, path);
        }
        let name = name(path);
        let (at, message, hint) = match &node.value {
            Content::Scalar(scalar) if scalar.meaning() == Meaning::Nothing => (
                at,
                format!("{name} is empty and must be {wanted}"),
                Some("give it a value or remove the key".into()),
            ),
            Content::Scalar(scalar) => {
                let hint = hint(scalar, wanted, schema);
                let shown = shown(node, path).unwrap_or_else(|| "this".into());
                (
                    node.span.start,
                    format!("{name} must be {wanted}, but {shown} is {}", node.kind()),
                    hint,
                )
            }
            _ => (
                at,
                format!("{name} must be {wanted}, but this is {}", node.kind()),
                said_of_a_map(node, path).or_else(|| {
                    let is_text = wanted == "text" && !path.last_key().is_some_and(is_secret);
                    let meant = is_text
                        .then(|| suggestion::meant_by(node, schema))
                        .flatten();
                    meant.map(|it| format!("write `{it}`"))
                }),
            ),
        };
        self.report(at, path, message, hint.as_deref());
        repaired(node, schema, path)
    }

    fn map(
        &mut self,
        entries: &[Entry],
        at: Position,
        schema: &'static Value,
        path: &Path,
    ) -> Value {
        let properties = schema.get("properties").and_then(Value::as_object);
        let rest = schema.get("additionalProperties");
        let mut result = Map::new();
        let mut lines = HashMap::new();
        let mut meant = Vec::new();
        for entry in entries {
            let child = path.key(&entry.key);
            let line = entry.key_span.start.line;
            if let Some(line) = lines.insert(entry.key.as_str(), line) {
                self.report(
                    entry.key_span.start,
                    &child,
                    format!("duplicate key `{}`", entry.key),
                    Some(&format!("keep one; the first is on line {line}")),
                );
                continue;
            }
            let known = properties.and_then(|properties| properties.get(&entry.key));
            let below = match (known, rest) {
                (Some(known), _) => Some(known),
                (None, Some(Value::Bool(false))) => None,
                (None, Some(rest)) => Some(rest),
                (None, None) => Some(&Value::Null),
            };
            if let Some(below) = below {
                let value = self.node(&entry.node, entry.key_span.start, below, &child);
                result.insert(entry.key.clone(), value);
            } else {
                meant.extend(self.unknown_key(entry, properties, &child));
                self.uncertain.push(path.clone());
            }
        }
        self.missing_keys(&mut result, &meant, at, schema, path);
        Value::Object(result)
    }

    /// Reports an unknown key, and returns the keys that were probably meant (`<<`: all of them).
    fn unknown_key(
        &mut self,
        entry: &Entry,
        properties: Option<&'static Map<String, Value>>,
        path: &Path,
    ) -> Option<&'static str> {
        let known = properties
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str);
        let known: Vec<&'static str> = known.collect();
        let close = similar(&entry.key, &known);
        let (meant, hint) = if entry.key == "<<" {
            let hint = "merge keys are not supported; an alias (`*name`) for a whole value is";
            (Some("<<"), Some(hint.to_owned()))
        } else if let Some(hint) = said_otherwise(&entry.key, path) {
            (stands_for(&entry.key, &known), Some(hint))
        } else if let Some(close) = close {
            (Some(close), Some(format!("did you mean `{close}`?")))
        } else {
            let belongs = home(&entry.key).map(|home| format!("it belongs under `{home}`"));
            (
                None,
                belongs.or_else(|| Some(format!("valid keys: {}", known.join(", ")))),
            )
        };
        self.report(
            entry.key_span.start,
            path,
            format!("unknown key `{}`", entry.key),
            hint.as_deref(),
        );
        if let Content::Scalar(scalar) = &entry.node.value
            && is_refused(&scalar.text)
        {
            self.literal_secret(&entry.node, path);
        }
        meant
    }

    fn missing_keys(
        &mut self,
        result: &mut Map<String, Value>,
        meant: &[&str],
        at: Position,
        schema: &'static Value,
        path: &Path,
    ) {
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for key in required.filter_map(Value::as_str) {
            if result.contains_key(key) {
                continue;
            }
            let child = path.key(key);
            let below = schema
                .get("properties")
                .and_then(|properties| properties.get(key));
            let hint = below
                .and_then(|below| below.get("description"))
                .and_then(Value::as_str)
                .map(first_sentence);
            let of = if path.is_root() {
                String::new()
            } else {
                format!(" in `{path}`")
            };
            if meant.contains(&key) || meant.contains(&"<<") {
                self.wrong.push(child.clone());
            } else {
                self.report(
                    at,
                    &child,
                    format!("the key `{key}` is missing{of}"),
                    hint.as_deref(),
                );
            }
            result.insert(
                key.to_owned(),
                below.map_or(Value::Null, |below| neutral(below, &child)),
            );
        }
    }

    fn list(&mut self, items: &[Node], at: Position, schema: &'static Value, path: &Path) -> Value {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let count = items.len() as u64;
        if let Some(least) = bound("minItems").filter(|least| count < *least) {
            self.report(
                at,
                path,
                format!(
                    "{} has {count} entries, but needs at least {least}",
                    name(path)
                ),
                None,
            );
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            self.report(
                at,
                path,
                format!(
                    "{} has {count} entries, but can have at most {most}",
                    name(path)
                ),
                None,
            );
        }
        let below = schema.get("items").unwrap_or(&Value::Null);
        let items = items.iter().enumerate();
        items
            .map(|(index, item)| self.node(item, item.span.start, below, &path.index(index)))
            .collect()
    }

    /// A pass-through value: only checked for secrets and duplicate keys.
    fn free(&mut self, node: &Node, path: &Path) -> Value {
        match &node.value {
            Content::Map(entries) => self.map(entries, node.span.start, &Value::Null, path),
            Content::List(items) => self.list(items, node.span.start, &Value::Null, path),
            Content::Scalar(scalar) => match scalar.meaning() {
                Meaning::Nothing => Value::Null,
                Meaning::Boolean(value) => json!(value),
                Meaning::Whole(whole) => json!(whole),
                Meaning::Number(number) => json!(number),
                Meaning::Text(text) => json!(text),
            },
        }
    }
}

fn meaning(node: &Node) -> Option<Meaning<'_>> {
    match &node.value {
        Content::Scalar(scalar) => Some(scalar.meaning()),
        _ => None,
    }
}
