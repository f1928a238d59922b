//! One key of the profile for people: its type, default, rules and an example, from the schema and the shipped profiles.
//! Pure: no I/O.

mod text;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::profile::{schema, similar};

/// The shipped profiles, in the order in which an example is looked for.
const EXAMPLES: [(&str, &str); 4] = [
    (
        "profiles/reference.yaml",
        include_str!("../../../profiles/reference.yaml"),
    ),
    (
        "profiles/organization-app.yaml",
        include_str!("../../../profiles/organization-app.yaml"),
    ),
    (
        "profiles/repository.yaml",
        include_str!("../../../profiles/repository.yaml"),
    ),
    (
        "profiles/scale-sets.yaml",
        include_str!("../../../profiles/scale-sets.yaml"),
    ),
];

/// A key of the profile.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Its path, with `[]` after a list; empty for the whole profile.
    pub key: String,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it must be there, where what it is in is.
    pub required: bool,
    /// What holds where it is left out; null: see the description.
    pub default: Value,
    /// What it is.
    pub description: String,
    /// What the value must be like, beside its type.
    pub rule: Option<String>,
    /// The values that it may have, where they are few.
    pub values: Vec<Choice>,
    /// The keys in it.
    pub keys: Vec<Child>,
    /// A profile with the key, as far as it is shown here; null: no shipped profile has it.
    pub example: Value,
    /// The file that the example is from.
    pub example_file: Option<&'static str>,
}

/// A value that a key may have.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// The value.
    pub value: String,
    /// What it means.
    pub meaning: String,
}

/// A key below another.
#[derive(Clone, Debug, Serialize)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it is.
    pub description: String,
}

/// A path that the profile does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// There is no such key.
    #[error("{parent} has no key `{name}`")]
    Key {
        /// What it would be in.
        parent: String,
        /// The key.
        name: String,
        /// One that is similar.
        similar: Option<String>,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The keys are those of another program.
    #[error("`{0}` takes any keys: arcctl passes them on")]
    PassedOn(String),
}

/// Explains the key at `path`: names with dots between them; lists may have `[]` or a number in brackets.
pub fn explain(path: &str) -> Result<Explained, Unknown> {
    let schema = schema();
    let mut node = schema.clone();
    let (mut key, mut required) = (String::new(), true);
    let mut names = Vec::new();
    for name in path.split('.').filter(|it| !it.is_empty()) {
        let name = name.split('[').next().unwrap_or_default();
        let (holder, lists) = inside(&schema, &node);
        key.push_str(&"[]".repeat(lists));
        let (child, needed) = child(&schema, &holder, name, &key)?;
        (node, required) = (child, needed);
        key = if key.is_empty() {
            name.to_owned()
        } else {
            format!("{key}.{name}")
        };
        names.push(name.to_owned());
    }
    let resolved = resolve(&schema, &node);
    let (holder, _) = inside(&schema, &node);
    let (example_file, example) = example(&names).map_or((None, Value::Null), |(file, value)| {
        (Some(file), nested(&names, value))
    });
    let text = |key: &str| resolved[key].as_str().map(one_line);
    Ok(Explained {
        kind: kind(&schema, &resolved),
        required,
        default: resolved["default"].clone(),
        description: text("description").unwrap_or_default(),
        rule: rule(&resolved),
        values: choices(&resolved),
        keys: children(&schema, &holder),
        example,
        example_file,
        key,
    })
}

/// All keys below `path`, one per line, indented: as `kubectl explain --recursive`.
pub fn tree(path: &str) -> Result<String, Unknown> {
    let explained = explain(path)?;
    let mut text = String::new();
    branch(path, &explained, 0, &mut text);
    Ok(text)
}

fn branch(path: &str, of: &Explained, depth: usize, text: &mut String) {
    for child in &of.keys {
        let needed = if child.required { ", required" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}{}  <{}{needed}>",
            "  ".repeat(depth),
            child.name,
            child.kind
        );
        let path = format!("{path}.{}", child.name);
        if let Ok(below) = explain(&path) {
            branch(&path, &below, depth + 1, text);
        }
    }
}

/// The schema with a reference in it followed; what stands beside the reference wins.
fn resolve(root: &Value, node: &Value) -> Value {
    let Some(name) = node["$ref"].as_str() else {
        return node.clone();
    };
    let target = name.trim_start_matches('#');
    let mut whole = root.pointer(target).cloned().unwrap_or_default();
    for (key, value) in node.as_object().into_iter().flatten() {
        if key != "$ref" {
            whole[key] = value.clone();
        }
    }
    whole
}

/// What holds the keys of a value: the items of a list. With the number of lists around it.
fn inside(root: &Value, node: &Value) -> (Value, usize) {
    let mut node = resolve(root, node);
    let mut lists = 0;
    while node["type"] == "array" {
        node = resolve(root, &node["items"]);
        lists += 1;
    }
    (node, lists)
}

/// The keys of an object, those of its variants too.
fn properties(node: &Value) -> Map<String, Value> {
    let variants = node["oneOf"].as_array().into_iter().flatten();
    std::iter::once(node)
        .chain(variants)
        .filter_map(|it| it["properties"].as_object())
        .flat_map(Map::clone)
        .collect()
}

fn is_required(holder: &Value, name: &str) -> bool {
    let required = holder["required"].as_array();
    required.is_some_and(|it| it.iter().any(|it| it == name))
}

fn child(root: &Value, holder: &Value, name: &str, path: &str) -> Result<(Value, bool), Unknown> {
    let known = properties(holder);
    if let Some(found) = known.get(name) {
        return Ok((found.clone(), is_required(holder, name)));
    }
    match &holder["additionalProperties"] {
        Value::Bool(true) => return Err(Unknown::PassedOn(path.to_owned())),
        values @ Value::Object(_) => return Ok((resolve(root, values), false)),
        _ => {}
    }
    let known: Vec<String> = known.keys().cloned().collect();
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    Err(Unknown::Key {
        parent: if path.is_empty() {
            "a profile".into()
        } else {
            format!("`{path}`")
        },
        name: name.to_owned(),
        similar: similar(name, &names).map(str::to_owned),
        known,
    })
}

fn children(root: &Value, holder: &Value) -> Vec<Child> {
    let of = |(name, node): (String, Value)| {
        let node = resolve(root, &node);
        Child {
            kind: kind(root, &node),
            required: is_required(holder, &name),
            description: node["description"]
                .as_str()
                .map(one_line)
                .unwrap_or_default(),
            name,
        }
    };
    let mut all: Vec<Child> = properties(holder).into_iter().map(of).collect();
    // As in a kubectl: what must be there first.
    all.sort_by_key(|it| !it.required);
    all
}

/// What a value is, in words.
fn kind(root: &Value, node: &Value) -> String {
    let node = resolve(root, node);
    match node["type"].as_str() {
        Some("array") => {
            let items = kind(root, &node["items"]);
            format!("list of {}", plural(&items))
        }
        Some("object") if node["additionalProperties"].is_object() => "map of strings".into(),
        Some(name) => name.to_owned(),
        None => {
            let variants = node["oneOf"].as_array().into_iter().flatten();
            let mut kinds: Vec<String> = variants.map(|it| kind(root, it)).collect();
            kinds.sort_unstable_by(|one, other| other.cmp(one));
            kinds.dedup();
            kinds.join(" or ")
        }
    }
}

fn plural(kind: &str) -> String {
    match kind.split_once(' ') {
        Some((first, rest)) => format!("{first}s {rest}"),
        None => format!("{kind}s"),
    }
}

/// What the value must be like, beside its type.
fn rule(node: &Value) -> Option<String> {
    if let Some(words) = node["patternErrorMessage"].as_str() {
        return Some(words.to_owned());
    }
    let number = |key: &str| node[key].as_i64();
    match (
        number("minimum"),
        number("maximum"),
        number("minItems"),
        number("maxItems"),
    ) {
        (Some(from), Some(to), ..) => Some(format!("{from} to {to}")),
        (Some(from), None, ..) => Some(format!("{from} or more")),
        (None, Some(to), ..) | (.., None, Some(to)) => Some(format!("at most {to}")),
        (.., Some(from), None) => Some(format!("at least {from}")),
        (.., Some(from), Some(to)) => Some(format!("{from} to {to} of them")),
        _ => None,
    }
}

fn choices(node: &Value) -> Vec<Choice> {
    let variants = node["oneOf"].as_array().into_iter().flatten();
    variants
        .map(|it| {
            let object = || {
                let keys: Vec<String> = properties(it).keys().cloned().collect();
                format!("{{{}: …}}", keys.join(", "))
            };
            Choice {
                value: it["const"].as_str().map_or_else(object, str::to_owned),
                meaning: it["description"].as_str().map(one_line).unwrap_or_default(),
            }
        })
        .collect()
}

/// The first shipped profile with a value at a path, and the value.
fn example(names: &[String]) -> Option<(&'static str, Value)> {
    if names.is_empty() {
        return None;
    }
    EXAMPLES.into_iter().find_map(|(file, text)| {
        let profile: Value = serde_saphyr::from_str(text).ok()?;
        at(&profile, names).map(|value| (file, value))
    })
}

fn at(value: &Value, names: &[String]) -> Option<Value> {
    if let Value::Array(items) = value
        && !names.is_empty()
    {
        return items.iter().find_map(|it| at(it, names));
    }
    match names.split_first() {
        None => Some(value.clone()),
        Some((name, rest)) => at(value.get(name)?, rest),
    }
}

/// The value below its path, as in a profile.
fn nested(names: &[String], value: Value) -> Value {
    let schema = schema();
    let mut lists = Vec::new();
    let mut node = schema.clone();
    for name in names {
        let (holder, _) = inside(&schema, &node);
        node = properties(&holder).get(name).cloned().unwrap_or_default();
        lists.push(inside(&schema, &node).1 > 0);
    }
    let last = names.len().saturating_sub(1);
    let levels = names.iter().zip(lists).enumerate().rev();
    levels.fold(value, |value, (index, (name, is_list))| {
        // The value itself is the whole list.
        if is_list && index < last {
            json!({name: [value]})
        } else {
            json!({name: value})
        }
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
