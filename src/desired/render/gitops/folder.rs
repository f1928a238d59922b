//! The files of a rendering: texts by path, known facts filled in, and the placeholders that are left. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Rendered;
use crate::desired::{
    DesiredError,
    placeholder::{self, Placeholder},
};

/// The files so far.
pub(super) struct Files<'a> {
    known: &'a BTreeMap<String, String>,
    written: Vec<(String, String)>,
    placeholders: BTreeSet<Placeholder>,
}

impl<'a> Files<'a> {
    /// None yet; `known` are facts by the name of their placeholder.
    pub(super) const fn new(known: &'a BTreeMap<String, String>) -> Self {
        Self {
            known,
            written: Vec::new(),
            placeholders: BTreeSet::new(),
        }
    }

    /// Adds a document as YAML.
    pub(super) fn add(&mut self, path: String, document: &Value) -> Result<(), DesiredError> {
        let document = self.filled(document);
        let text = serde_saphyr::to_string(&document).map_err(|error| DesiredError::Yaml {
            object: path.clone(),
            reason: error.to_string(),
        })?;
        self.written.push((path, text));
        Ok(())
    }

    /// Adds a document as JSON.
    pub(super) fn add_json(&mut self, path: String, document: &Value) {
        let document = self.filled(document);
        self.written.push((path, format!("{document:#}\n")));
    }

    /// Adds a text as it is.
    pub(super) fn add_text(&mut self, path: String, text: String) {
        self.written.push((path, text));
    }

    /// Adds the manifests of a folder, and the list of them that kustomize reads.
    pub(super) fn add_folder(
        &mut self,
        folder: &str,
        manifests: &[(String, Value)],
    ) -> Result<(), DesiredError> {
        for (name, manifest) in manifests {
            self.add(format!("{folder}/{name}"), manifest)?;
        }
        let names: Vec<&str> = manifests.iter().map(|(name, _)| name.as_str()).collect();
        self.add(format!("{folder}/kustomization.yaml"), &listing(&names))
    }

    /// What is still to be filled in.
    pub(super) const fn placeholders(&self) -> &BTreeSet<Placeholder> {
        &self.placeholders
    }

    /// The result.
    pub(super) fn rendered(mut self) -> Rendered {
        self.written.sort();
        Rendered {
            files: self.written,
            placeholders: self.placeholders,
        }
    }

    fn filled(&mut self, document: &Value) -> Value {
        let document = fill(document, self.known);
        self.placeholders.extend(placeholder::find(&document));
        document
    }
}

/// The list of files that kustomize reads: what is not in it is not applied.
pub(super) fn listing(names: &[&str]) -> Value {
    json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": names,
    })
}

/// `value` with the known facts in place of their placeholders, keys included.
fn fill(value: &Value, known: &BTreeMap<String, String>) -> Value {
    let text = |text: &str| {
        known.iter().fold(text.to_owned(), |text, (name, fact)| {
            text.replace(&format!("${{{name}}}"), fact)
        })
    };
    match value {
        Value::String(string) => text(string).into(),
        Value::Array(list) => list.iter().map(|it| fill(it, known)).collect(),
        Value::Object(fields) => {
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(key, value)| (text(key), fill(value, known)))
                .collect();
            fields.into()
        }
        other => other.clone(),
    }
}
