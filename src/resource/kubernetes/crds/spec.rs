//! The spec of a CRD as the API server stores it, and its hash. Pure: no I/O.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The spec as the API server stores and returns it: with its defaults, and without a field that has its zero value (source:
/// k8s.io/apiextensions-apiserver, pkg/apis/apiextensions/v1: `defaults.go`, and `omitempty` in `types.go`).
pub(super) fn as_stored(mut spec: Value) -> Value {
    if spec["preserveUnknownFields"] == false
        && let Some(fields) = spec.as_object_mut()
    {
        fields.remove("preserveUnknownFields");
    }
    let kind = spec["names"]["kind"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for (path, field, value) in [
        ("", "conversion", json!({"strategy": "None"})),
        ("/names", "singular", json!(kind.to_lowercase())),
        ("/names", "listKind", json!(format!("{kind}List"))),
    ] {
        if let Some(fields) = spec.pointer_mut(path).and_then(Value::as_object_mut) {
            fields.entry(field).or_insert(value);
        }
    }
    spec
}

/// A hash of the spec, without the CA that cert-manager's cainjector writes into a conversion webhook.
pub(super) fn spec_hash(crd: &Value) -> String {
    let mut spec = crd["spec"].clone();
    if let Some(client) = spec
        .pointer_mut("/conversion/webhook/clientConfig")
        .and_then(Value::as_object_mut)
    {
        client.remove("caBundle");
    }
    let digest = Sha256::digest(spec.to_string().as_bytes());
    digest
        .iter()
        .take(16)
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_is_foreseen_as_it_is_stored() {
        let sent = json!({
            "group": "g", "names": {"kind": "Runner", "plural": "runners"}, "preserveUnknownFields": false,
        });
        let stored = json!({
            "conversion": {"strategy": "None"}, "group": "g",
            "names": {"kind": "Runner", "listKind": "RunnerList", "plural": "runners", "singular": "runner"},
        });
        assert_eq!(as_stored(sent), stored);
        // What it says itself stays.
        let own = json!({
            "conversion": {"strategy": "Webhook"}, "preserveUnknownFields": true,
            "names": {"kind": "A", "listKind": "As", "singular": "one"},
        });
        assert_eq!(as_stored(own.clone()), own);
    }
}
