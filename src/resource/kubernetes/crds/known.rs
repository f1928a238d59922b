//! The CRDs whose spec is known, by the inventory or by this run: of these the metadata is enough. Pure: no I/O.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::{CHART, SPEC_HASH};
use crate::desired::record::crds::{KnownCrd, KnownCrds};

/// What is known of CRDs.
#[derive(Debug, Default)]
pub struct Known {
    /// By the inventory.
    recorded: KnownCrds,
    /// With what this run has read whole.
    all: Mutex<KnownCrds>,
}

impl Known {
    /// What the inventory has.
    pub fn new(recorded: KnownCrds) -> Self {
        Self {
            all: Mutex::new(recorded.clone()),
            recorded,
        }
    }

    fn all(&self) -> MutexGuard<'_, KnownCrds> {
        // A poisoned lock only means that another task panicked; the map is still whole.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the CRD `name`.
    pub(super) fn of(&self, name: &str) -> Option<KnownCrd> {
        self.all().get(name).cloned()
    }

    /// Remembers `live`, the CRD `name`, which was read whole, and is as wanted and Established. Nothing without a hash: another
    /// tool has applied it.
    pub(super) fn learn(&self, name: &str, live: &Value) {
        let hash = live["metadata"]["annotations"][SPEC_HASH].as_str();
        if let Some(known) = hash.and_then(|it| KnownCrd::of(live, it)) {
            self.all().insert(name.to_owned(), known);
        }
    }

    /// Forgets the CRD `name`, which is not there.
    pub(super) fn forget(&self, name: &str) {
        self.all().remove(name);
    }

    /// What the inventory should have; `None` if it has that.
    pub fn to_record(&self) -> Option<KnownCrds> {
        let all = self.all().clone();
        (all != self.recorded).then_some(all)
    }
}

impl KnownCrd {
    /// Whether `live`, by its metadata, still has that spec and arcctl's annotations for it and for `chart` (`NAME-VERSION`), and
    /// is not being deleted.
    pub(super) fn describes(&self, live: &Value, chart: &str) -> bool {
        let metadata = &live["metadata"];
        let annotations = &metadata["annotations"];
        self.is_of(live)
            && metadata["deletionTimestamp"].is_null()
            && annotations[CHART] == chart
            && annotations[SPEC_HASH] == self.hash.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn crd() -> Value {
        json!({
            "metadata": {
                "uid": "a", "generation": 1, "annotations": {CHART: "cert-manager-v1.21.1", SPEC_HASH: "h"},
            },
        })
    }

    fn learned(live: &Value) -> Known {
        let known = Known::default();
        known.learn("x", live);
        known
    }

    #[test]
    fn metadata_is_enough_as_long_as_nothing_in_it_says_otherwise() {
        let known = learned(&crd()).of("x").unwrap();
        let still = |live: &Value| known.describes(live, "cert-manager-v1.21.1");
        assert!(still(&crd()));
        // What the API server and others add does not matter.
        let mut labelled = crd();
        labelled["metadata"]["labels"] = json!({"team": "a"});
        labelled["metadata"]["resourceVersion"] = json!("9");
        assert!(still(&labelled));
        for (path, value) in [
            ("/metadata/generation", json!(2)),
            ("/metadata/uid", json!("b")),
            ("/metadata/annotations", json!({})),
            (
                "/metadata/annotations/arcctl.dev~1spec-hash",
                json!("other"),
            ),
            (
                "/metadata/annotations/arcctl.dev~1chart",
                json!("cert-manager-v1.20.0"),
            ),
        ] {
            let mut changed = crd();
            *changed.pointer_mut(path).unwrap() = value;
            assert!(!still(&changed), "{path}");
        }
        let mut leaving = crd();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!still(&leaving));
        // An upgrade, or the way back.
        assert!(!known.describes(&crd(), "cert-manager-v1.22.0"));
    }

    #[test]
    fn what_another_tool_applied_is_read_whole_each_time() {
        let mut live = crd();
        live["metadata"]["annotations"] = json!({CHART: "cert-manager-v1.21.1"});
        assert_eq!(learned(&live).of("x"), None);
    }

    #[test]
    fn only_news_is_recorded() {
        let first = learned(&crd()).to_record().unwrap();
        let known = Known::new(first.clone());
        assert_eq!(known.to_record(), None);
        known.learn("x", &crd());
        assert_eq!(known.to_record(), None);
        let mut changed = crd();
        changed["metadata"]["generation"] = json!(2);
        known.learn("x", &changed);
        let second = known.to_record().unwrap();
        assert_ne!(first, second);
        // The record is small: it is in every inventory.
        assert!(serde_json::to_string(&second).unwrap().len() < 60);
    }
}
