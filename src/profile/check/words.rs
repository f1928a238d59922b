//! Values and keys in a sentence. Pure.

use serde_json::Value;

use super::{
    super::{
        path::Path,
        schema,
        secret::looks_secret,
        tree::{Content, Meaning, Node, Scalar},
    },
    SECRET_KEYS,
    neutral::resolve,
};

/// How alike two words are before one is offered for the other (Jaro-Winkler).
const ALIKE: f64 = 0.84;

/// How the thing at a path is called in a sentence.
pub(super) fn name(path: &Path) -> String {
    match path.last_key() {
        Some(key) => format!("`{key}`"),
        None if path.is_root() => "a profile".into(),
        None => format!("`{path}`"),
    }
}

/// A scalar in a sentence; `None` for what could be a secret, and for what is too long.
pub(super) fn shown(node: &Node, path: &Path) -> Option<String> {
    let Content::Scalar(scalar) = &node.value else {
        return None;
    };
    let text = scalar.text.as_str();
    let secret = SECRET_KEYS.iter().any(|key| path.through(key)) || looks_secret(text);
    if secret || text.chars().count() > 60 || text.contains('\n') {
        None
    } else if scalar.plain {
        Some(format!("`{text}`"))
    } else {
        Some(format!("`\"{text}\"`"))
    }
}

/// The section, or the list's items, where a key is known.
pub(super) fn home(key: &str) -> Option<String> {
    let knows = |schema: &'static Value| {
        let properties = resolve(schema).get("properties")?;
        properties.get(key)
    };
    let root = schema::shared();
    let sections = root.get("properties").and_then(Value::as_object)?;
    sections.iter().find_map(|(name, section)| {
        let items = resolve(section).get("items");
        match items {
            Some(items) => knows(items).map(|_| format!("{name}[]")),
            None => knows(section).map(|_| name.clone()),
        }
    })
}

pub(super) fn hint(scalar: &Scalar, wanted: &str) -> Option<String> {
    let meaning_without_quotes = Scalar {
        text: scalar.text.clone(),
        plain: true,
    };
    match (wanted, scalar.meaning()) {
        ("text", Meaning::Whole(_) | Meaning::Number(_) | Meaning::Boolean(_)) => {
            Some(format!("put it in quotes: `\"{}\"`", scalar.text))
        }
        ("a whole number" | "a number", Meaning::Text(_)) if !scalar.plain => matches!(
            meaning_without_quotes.meaning(),
            Meaning::Whole(_) | Meaning::Number(_)
        )
        .then(|| "remove the quotes".into()),
        ("`true` or `false`", Meaning::Text("yes" | "on")) => Some("write `true`".into()),
        ("`true` or `false`", Meaning::Text("no" | "off")) => Some("write `false`".into()),
        ("a list", _) => {
            Some(format!("write `[{}]`", scalar.text)).filter(|_| scalar.text.chars().count() < 40)
        }
        _ => None,
    }
}

/// A description as a hint: its first sentence, without the full stop.
pub(super) fn first_sentence(text: &str) -> String {
    let sentence = text
        .split(". ")
        .next()
        .unwrap_or(text)
        .trim_end_matches('.')
        .replace('\n', " ");
    let mut characters = sentence.chars();
    let first = characters
        .next()
        .map(|first| first.to_lowercase().to_string())
        .unwrap_or_default();
    format!("it is {first}{}", characters.as_str())
}

/// The known word that a wrong one was probably meant to be.
pub(in super::super) fn similar<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(word);
    let scored = known.iter().map(|candidate| {
        let candidate_plain = plain(candidate);
        let score = if candidate_plain == wanted {
            2.0
        } else {
            strsim::jaro_winkler(&wanted, &candidate_plain)
        };
        (score, *candidate)
    });
    scored
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}
