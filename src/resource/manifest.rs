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
pub fn objects(text: &str, what: &str, namespace: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in documents(text) {
        let object: Value = serde_saphyr::from_str(&document).map_err(|error| {
            Error::failed(System::Helm, format!("{what} is not YAML"))
                .cause(error)
                .hint("check the chart with `helm template`")
        })?;
        if object.is_object() {
            objects.push(placed(object, what, namespace)?);
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

fn placed(mut object: Value, what: &str, namespace: &str) -> Result<Value> {
    let in_namespace = !CLUSTER_KINDS.contains(&object["kind"].as_str().unwrap_or_default());
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return Err(Error::failed(
            System::Helm,
            format!("{what} has an object without `metadata`"),
        )
        .cause(format!("its kind is {}", object["kind"]))
        .hint("check the chart with `helm template`"));
    };
    if in_namespace && metadata.get("namespace").is_none_or(Value::is_null) {
        metadata.insert("namespace".into(), namespace.into());
    }
    Ok(object)
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

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["kind: Service\n", "kind: Service\nmetadata: N\n"] {
            let error = objects(text, "the chart", "x").unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("the chart has an object without `metadata`\n")
            );
        }
    }
}
