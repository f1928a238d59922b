//! The inventory's record of CRDs that were read whole and found as wanted, so that no later run reads all of them again. Pure:
//! no I/O.
//!
//! The API server raises `metadata.generation` at every change of the spec, and only then; what is made again has another `uid`.
//! So a record cannot become wrong: with another uid or generation it says nothing. It is made of CRDs that
//! are Established, and those stay so until they are deleted.
//!
//! Sources: k8s.io/apiextensions-apiserver, `pkg/registry/customresourcedefinition/strategy.go` (`PrepareForUpdate`) and
//! `pkg/controller/status/naming_controller.go` (the condition that is there is kept).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is known of CRDs, by their names.
pub type KnownCrds = BTreeMap<String, KnownCrd>;

/// The spec of one CRD, as it was when it was read whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCrd {
    /// The CRD's uid.
    pub uid: String,
    /// The generation of the spec.
    pub generation: i64,
    /// The hash of the spec, as arcctl's annotation on the CRD has it.
    pub hash: String,
}

impl KnownCrd {
    /// What a whole read of `live` has shown, where its spec has this `hash`; `None` without uid or generation.
    pub fn of(live: &Value, hash: &str) -> Option<Self> {
        let metadata = &live["metadata"];
        Some(Self {
            uid: metadata["uid"].as_str()?.to_owned(),
            generation: metadata["generation"].as_i64()?,
            hash: hash.to_owned(),
        })
    }

    /// Whether the spec of `live`, of which only the metadata is needed, still is that spec.
    pub fn is_of(&self, live: &Value) -> bool {
        Self::of(live, &self.hash).as_ref() == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_of_one_spec_of_one_object() {
        let live = |uid: &str, generation: i64| json!({"metadata": {"uid": uid, "generation": generation}});
        let known = KnownCrd::of(&live("a", 3), "h").unwrap();
        assert!(known.is_of(&live("a", 3)));
        // Changed by hand; changed and put back; deleted and made again; from an API server that says less.
        for other in [
            live("a", 4),
            live("a", 5),
            live("b", 3),
            live("b", 1),
            json!({}),
        ] {
            assert!(!known.is_of(&other), "{other}");
        }
        assert_eq!(KnownCrd::of(&json!({"metadata": {"uid": "a"}}), "h"), None);
    }
}
