//! Where in a profile literal secrets stand. Pure.

use super::super::{
    secret::{looks_secret, names_secret},
    tree::{Content, Node, Span},
};

/// Keys under which only the place of a secret may stand.
pub(super) const SECRET_KEYS: [&str; 2] = ["token", "privateKey"];

/// The spans of literal secrets: what looks like one, and every scalar that stands where the place of one should.
pub(in super::super) fn secrets(tree: &Node) -> Vec<Span> {
    fn walk(node: &Node, key: Option<&str>, below: bool, spans: &mut Vec<Span>) {
        match &node.value {
            Content::Scalar(scalar) => {
                let literal =
                    key.is_some_and(|key| SECRET_KEYS.contains(&key)) && !scalar.text.is_empty();
                // Below `token` only the documented keys hold what may be seen.
                let stray = below && !key.is_some_and(is_public);
                // A registry has no scheme by which the login in it would be known.
                let login = key == Some("registry") && scalar.text.contains('@');
                if literal || stray || login || looks_secret(&scalar.text) {
                    spans.push(node.span);
                }
            }
            Content::List(items) => items.iter().for_each(|item| walk(item, key, below, spans)),
            Content::Map(entries) => {
                let below = below || key.is_some_and(|key| SECRET_KEYS.contains(&key));
                let named = entries.iter().any(|entry| {
                    entry.key == "name" && scalar_text(&entry.node).is_some_and(names_secret)
                });
                for entry in entries {
                    if named && entry.key == "value" && scalar_text(&entry.node).is_some() {
                        spans.push(entry.node.span);
                    }
                    if looks_secret(&entry.key) {
                        spans.push(entry.key_span);
                    }
                    walk(&entry.node, Some(&entry.key), below, spans);
                }
            }
        }
    }
    let mut spans = Vec::new();
    walk(tree, None, false, &mut spans);
    spans
}

fn scalar_text(node: &Node) -> Option<&str> {
    match &node.value {
        Content::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

fn is_public(key: &str) -> bool {
    [
        "env",
        "file",
        "secretsManager",
        "ssm",
        "kubernetesSecret",
        "namespace",
        "name",
        "key",
    ]
    .contains(&key)
}
