//! Finds literal secrets in a profile. Pure.

use crate::{
    profile::{
        path::{Path, Segment},
        yaml::{Content, Entry, Node, Span},
    },
    secret::{
        name::is_secret,
        shape::is_refused,
        text::{Manner, masked_document},
        value::Standing,
    },
};

/// Keys that accept only a reference to a secret.
pub(super) const SECRET_KEYS: [&str; 2] = ["token", "privateKey"];

/// The spans of literal secrets: texts in a secret's format, and every scalar in place of a reference.
pub(in crate::profile) fn secrets(tree: &Node) -> Vec<Span> {
    let mut spans = Vec::new();
    walk(tree, None, Standing::Open, &mut spans);
    spans
}

/// Whether messages must not repeat a value at this path.
pub(super) fn is_hidden(path: &Path, text: &str) -> bool {
    let named = |segment: &&Segment| matches!(segment, Segment::Key(key) if is_secret(key));
    path.segments().iter().any(named) || shows_secret(text)
}

fn shows_secret(text: &str) -> bool {
    masked_document(text, Manner::Strict) != text
}

fn walk(node: &Node, key: Option<&str>, standing: Standing, spans: &mut Vec<Span>) {
    match &node.value {
        Content::Scalar(scalar) => {
            // A registry has no URL scheme, so its login is detected by the `@`.
            let login = key == Some("registry") && scalar.text.contains('@');
            let literal = standing.hides() && !scalar.text.is_empty();
            if literal || login || shows_secret(&scalar.text) {
                spans.push(node.span);
            }
        }
        Content::List(items) => items
            .iter()
            .for_each(|item| walk(item, key, standing, spans)),
        Content::Map(entries) => {
            let named = named(entries);
            for entry in entries {
                if is_refused(&entry.key) || shows_secret(&entry.key) {
                    spans.push(entry.key_span);
                }
                let standing = standing.of_entry(&entry.key, named);
                walk(&entry.node, Some(&entry.key), standing, spans);
            }
        }
    }
}

/// The name in a map of a name and a value: `{name: DB_PASSWD, value: …}`.
fn named(entries: &[Entry]) -> Option<&str> {
    let name = entries.iter().find(|entry| entry.key == "name")?;
    match &name.node.value {
        Content::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}
