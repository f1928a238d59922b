//! The record of the CRDs whose spec is known: it only saves time, so that one that cannot be read is none.

use serde_json::{Value, json};

use super::Home;
use crate::{clients::kube::Kube, desired::record::crds::KnownCrds, error::Result};

/// The key of the record.
const CRDS: &str = "crds";

/// What the data of an inventory has of CRDs.
pub(super) fn known(data: &Value) -> KnownCrds {
    let text = data[CRDS].as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

/// Records `crds`, if the inventory has something else; does nothing without an inventory.
pub async fn remember_crds(kube: &Kube, home: Home<'_>, crds: &KnownCrds) -> Result<()> {
    let target = home.target();
    let Some(live) = kube.get(&target).await? else {
        return Ok(());
    };
    if live["metadata"]["deletionTimestamp"].is_string() || known(&live["data"]) == *crds {
        return Ok(());
    }
    let text = serde_json::to_string(crds).unwrap_or_default();
    let patch = json!({"data": {CRDS: text}});
    kube.merge(&target, &patch).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::record::crds::KnownCrd;

    #[test]
    fn a_record_that_cannot_be_read_is_none() {
        let crd = KnownCrd {
            uid: "a".into(),
            generation: 1,
            hash: "h".into(),
        };
        let crds = KnownCrds::from([("x".to_owned(), crd)]);
        let text = serde_json::to_string(&crds).unwrap();
        assert_eq!(known(&json!({"crds": text})), crds);
        for other in [
            json!({}),
            json!({"crds": "{"}),
            json!({"crds": r#"{"x": {"uid": 1}}"#}),
        ] {
            assert_eq!(known(&other), KnownCrds::new(), "{other}");
        }
    }
}
