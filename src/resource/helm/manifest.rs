//! Parses rendered YAML to objects. Pure: no I/O.

use serde_json::Value;

use crate::error::{Error, Result, System};

/// The objects in `text`, the output of `what`, in order; a List is split into its items, as in helm.
///
/// Documents are parsed one at a time: together, a chart's CRDs exceed the parser's size limit.
pub fn objects(text: &str, what: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in documents(text) {
        let object: Value =
            serde_saphyr::from_str_with_options(&document, reading()).map_err(|error| {
                Error::failed(System::Helm, format!("{what} is not YAML"))
                    // The lines around the fault may be those of a Secret.
                    .cause(error.without_snippet())
                    .hint("check the chart with `helm template`")
            })?;
        add(object, what, &mut objects)?;
    }
    Ok(objects)
}

/// The options of helm's YAML 1.1 parser (sigs.k8s.io/yaml): `0440` is octal, `yes` is true, the last duplicate key wins.
fn reading() -> serde_saphyr::Options {
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        strict_booleans: false,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
    }
}

/// The documents of a YAML stream. Helm 3 joins the files of `crds/` without a separator, where they have none
/// of their own: a second `apiVersion:` at the start of a line begins a document too.
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

fn add(mut object: Value, what: &str, objects: &mut Vec<Value>) -> Result<()> {
    if !object.is_object() {
        return Ok(());
    }
    let is_list = object["kind"]
        .as_str()
        .is_some_and(|it| it.ends_with("List"));
    if is_list
        && object["items"].is_array()
        && let Value::Array(items) = object["items"].take()
    {
        return items.into_iter().try_for_each(|it| add(it, what, objects));
    }
    if !object["metadata"].is_object() {
        return Err(Error::failed(
            System::Helm,
            format!("{what} has an object without `metadata`"),
        )
        .cause(format!("its kind is {}", object["kind"]))
        .hint("check the chart with `helm template`"));
    }
    objects.push(object);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_put_together_without_a_separator_are_documents_of_their_own() {
        let text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\napiVersion: v1\nkind: B\nmetadata: {name: b}\n";
        assert_eq!(objects(text, "the chart").unwrap().len(), 2);
    }

    #[test]
    fn documents_are_split() {
        let text = "---\n# Source: a\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n\n---\nkind: ClusterRole\nmetadata: {name: b}\n";
        let found = objects(text, "the chart").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[1],
            serde_json::json!({"kind": "ClusterRole", "metadata": {"name": "b"}})
        );
    }

    #[test]
    fn no_line_is_quoted_of_what_is_not_yaml() {
        let text =
            "kind: Secret\nmetadata: {name: a}\nstringData:\n  admin: \"correct\" horse battery\n";
        let error = objects(text, "the chart").unwrap_err();
        assert!(!error.to_string().contains("horse"), "{error}");
    }

    #[test]
    fn it_is_read_as_helm_reads_it() {
        let text = "kind: A\nmetadata: {name: a}\nmode: 0440\nother: 0o400\nword: yes\nquoted: 'no'\na: 1\na: 2\n";
        let found = objects(text, "the chart").unwrap();
        let wanted = serde_json::json!([288, 256, true, "no", 2]);
        let read: Vec<_> = ["mode", "other", "word", "quoted", "a"]
            .iter()
            .map(|it| found[0][*it].clone())
            .collect();
        assert_eq!(serde_json::Value::from(read), wanted);
    }

    #[test]
    fn the_objects_of_a_list_are_objects_of_their_own() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {kind: A, metadata: {name: a}}\n- kind: BList\n  items: [{kind: B, metadata: {name: b}}]\n---\nkind: List\nmetadata: {}\nitems: []\n---\nkind: AllowList\nmetadata: {name: c}\n";
        let found = objects(text, "the chart").unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|it| it["metadata"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["kind: Service\n", "kind: Service\nmetadata: N\n"] {
            let error = objects(text, "the chart").unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("the chart has an object without `metadata`\n")
            );
        }
    }
}
