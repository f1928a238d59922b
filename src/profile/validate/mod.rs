//! The tree of a profile against its JSON Schema: every problem of form in one run. Pure.
//!
//! The walk also makes the value that becomes a [`super::Profile`]. Where something is wrong it puts in a neutral
//! value and remembers the path, so that the rules of [`super::lint`] can still be asked about all the rest.

mod describe;
mod recovery;
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
pub(super) use describe::similar;
use describe::{
    first_sentence, hint, home, name, said_of_a_map, said_otherwise, shown, stands_for,
};
use recovery::{neutral, repaired, resolve};
use secrets::SECRET_KEYS;
pub(super) use secrets::secrets;

/// What a walk gives.
pub(super) struct Checked {
    /// The profile as JSON, with neutral values in the place of wrong ones.
    pub(super) value: Value,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// Where.
    pub(super) wrong: Vec<Path>,
    /// The maps in which a key is not known: it may have been meant for any of theirs.
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

    /// Checks a node; `at` is the place of its key.
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
            "a credential stands here; a profile never holds one",
            Some("name where it is, as `token: {env: NAME}`, and revoke it if others have seen this file"),
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
                format!("`{key}` says where the secret is and is never the secret itself"),
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
                format!("{name} is empty and wants {wanted}"),
                Some("give it a value or remove the key".into()),
            ),
            Content::Scalar(scalar) => {
                let hint = hint(scalar, wanted, schema);
                let shown = shown(node, path).unwrap_or_else(|| "this".into());
                (
                    node.span.start,
                    format!("{name} wants {wanted}, and {shown} is {}", node.kind()),
                    hint,
                )
            }
            _ => (
                at,
                format!("{name} wants {wanted}, and this is {}", node.kind()),
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
                    format!("the key `{}` stands here twice", entry.key),
                    Some(&format!("keep one; the first is in line {line}")),
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

    /// Reports a key that is not known, and returns the one it was probably meant to be (`<<`: all of them).
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
            let hint = "merge keys are not read; an alias (`*name`) for a whole value is";
            (Some("<<"), Some(hint.to_owned()))
        } else if let Some(hint) = said_otherwise(&entry.key, path) {
            (stands_for(&entry.key, &known), Some(hint))
        } else if let Some(close) = close {
            (Some(close), Some(format!("did you mean `{close}`?")))
        } else {
            let belongs = home(&entry.key).map(|home| format!("it belongs under `{home}`"));
            (
                None,
                belongs.or_else(|| Some(format!("known here: {}", known.join(", ")))),
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
                    "{} wants at least {least}, and there are {count}",
                    name(path)
                ),
                None,
            );
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            self.report(
                at,
                path,
                format!("{} takes at most {most}, and there are {count}", name(path)),
                None,
            );
        }
        let below = schema.get("items").unwrap_or(&Value::Null);
        let items = items.iter().enumerate();
        items
            .map(|(index, item)| self.node(item, item.span.start, below, &path.index(index)))
            .collect()
    }

    fn text(&mut self, node: &Node, at: Position, schema: &'static Value, path: &Path) -> Value {
        let Some(Meaning::Text(text)) = meaning(node) else {
            return self.wrong_type(node, at, "text", schema, path);
        };
        let rule = |key: &str| schema.get(key).and_then(Value::as_str);
        let says = rule("patternErrorMessage");
        let short = schema
            .get("minLength")
            .and_then(Value::as_u64)
            .is_some_and(|least| (text.len() as u64) < least);
        let fits = rule("pattern")
            .and_then(schema::pattern)
            .is_none_or(|pattern| pattern.is_match(text));
        if short || !fits {
            let wanted = says.unwrap_or("some text");
            let message = match shown(node, path) {
                Some(value) => format!("{} is {value} and must be {wanted}", name(path)),
                None => format!("{} must be {wanted}", name(path)),
            };
            // What could be a secret is not said again.
            let meant = shown(node, path).and_then(|_| suggestion::meant(text, schema));
            let hint = meant.map(|it| format!("did you mean `{it}`?"));
            self.report(node.span.start, path, message, hint.as_deref());
            // Of all texts only a duration is read by its type.
            let duration = says.is_some_and(|says| says.contains("duration"));
            return if duration {
                neutral(schema, path)
            } else {
                json!(text)
            };
        }
        json!(text)
    }

    fn number(
        &mut self,
        node: &Node,
        at: Position,
        kind: &str,
        schema: &'static Value,
        path: &Path,
    ) -> Value {
        let value = match meaning(node) {
            Some(Meaning::Whole(whole)) => json!(whole),
            Some(Meaning::Number(number)) if kind == "number" => json!(number),
            _ => {
                let wanted = if kind == "integer" {
                    "a whole number"
                } else {
                    "a number"
                };
                return self.wrong_type(node, at, wanted, schema, path);
            }
        };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let number = value.as_f64().unwrap_or_default();
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("from {least} to {most}"),
                (Some(least), None) => format!("at least {least}"),
                (None, most) => format!("at most {}", most.unwrap_or_default()),
            };
            self.report(
                node.span.start,
                path,
                format!("{} is {value} and must be {range}", name(path)),
                None,
            );
            return neutral(schema, path);
        }
        value
    }

    /// One of some words, or a map that says more.
    fn choice(&mut self, node: &Node, at: Position, schema: &'static Value, path: &Path) -> Value {
        let options = || {
            schema
                .get("oneOf")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let words: Vec<&str> = options()
            .filter_map(|option| option.get("const")?.as_str())
            .collect();
        if let Content::Map(_) = &node.value
            && let Some(option) = options().find(|option| option.get("properties").is_some())
        {
            return self.node(node, at, option, path);
        }
        let Some(Meaning::Text(text)) = meaning(node) else {
            let wanted = format!("one of {}", words.join(", "));
            return self.wrong_type(node, at, &wanted, schema, path);
        };
        if words.contains(&text) {
            return json!(text);
        }
        let maps = options().filter_map(|option| option.get("properties")?.as_object());
        let maps: Vec<&str> = maps.flat_map(Map::keys).map(String::as_str).collect();
        let subject = shown(node, path).unwrap_or_else(|| name(path));
        let (message, hint) = if maps.contains(&text) {
            let message = format!("{subject} does not stand alone");
            (message, format!("it takes parameters: `{text}: {{…}}`"))
        } else {
            let known = words.iter().map(|word| format!("`{word}`"));
            let known = known.chain(maps.iter().map(|key| format!("`{key}: {{…}}`")));
            let hint = match similar(text, &words) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("write {}", known.collect::<Vec<_>>().join(", ")),
            };
            (format!("{subject} is not known here"), hint)
        };
        self.report(node.span.start, path, message, Some(&hint));
        neutral(schema, path)
    }

    /// A value that is passed through: only secrets and duplicate keys are looked for.
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
