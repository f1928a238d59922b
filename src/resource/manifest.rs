//! Rendered YAML → objects. Pure: no I/O.

use serde_json::Value;

use crate::error::{Error, Result, System};

/// Kinds that have no namespace, among those that the two charts make.
const CLUSTER_KINDS: [&str; 10] = [
    "APIService",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "Namespace",
    "PersistentVolume",
    "PriorityClass",
    "ValidatingWebhookConfiguration",
];

/// The objects of `text`, the output of `what`; those without a namespace get `namespace`, where their kind has one.
///
/// Documents are read one at a time: a chart's CRDs together are larger than a parser's guard against hostile input.
pub(super) fn objects(text: &str, what: &str, namespace: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in documents(text) {
        let object: Value = serde_saphyr::from_str(&document).map_err(|error| {
            Error::failed(System::Helm, format!("{what} is not YAML"))
                .cause(error)
                .hint("check the chart with `helm template`")
        })?;
        if object.is_object() {
            objects.push(placed(object, namespace));
        }
    }
    Ok(objects)
}

/// The documents of a YAML stream. Helm 3 puts the files of `crds/` together without a separator, where they have none
/// of their own: a second `apiVersion:` at the margin begins a document too.
fn documents(text: &str) -> impl Iterator<Item = String> {
    let mut documents = vec![String::new()];
    for line in text.lines() {
        let begins = line.starts_with("apiVersion:")
            && documents
                .last()
                .is_some_and(|it| it.starts_with("apiVersion:") || it.contains("\napiVersion:"));
        if begins {
            documents.push(String::new());
        }
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.into_iter().filter(|it| {
        it.lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    })
}

fn placed(mut object: Value, namespace: &str) -> Value {
    let kind = object["kind"].as_str().unwrap_or_default();
    if !CLUSTER_KINDS.contains(&kind) && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = Value::String(namespace.into());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_put_together_without_a_separator_are_documents_of_their_own() {
        let text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\napiVersion: v1\nkind: B\nmetadata: {name: b}\n";
        assert_eq!(objects(text, "the chart", "x").unwrap().len(), 2);
    }

    #[test]
    fn documents_are_split_and_placed() {
        let text = "---\n# Source: a\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n\n---\nkind: ClusterRole\nmetadata: {name: b}\n";
        let found = objects(text, "the chart", "x").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["metadata"]["namespace"], "x");
        assert!(found[1]["metadata"]["namespace"].is_null());
    }
}
