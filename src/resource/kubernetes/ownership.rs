//! The marks of what arcctl owns (DESIGN 5). Pure: no I/O.

use serde_json::Value;

use crate::{
    desired::names::{MANAGED_BY, PROFILE_LABEL},
    resource::observed::Ownership,
};

/// Whose a live object is, by its labels.
pub fn of_object(live: &Value, profile: &str) -> Ownership {
    let labels = &live["metadata"]["labels"];
    match labels[PROFILE_LABEL].as_str() {
        Some(name) if name == profile => Ownership::Ours,
        Some(name) => Ownership::OtherProfile { name: name.into() },
        None => Ownership::Foreign {
            evidence: match (labels[MANAGED_BY].as_str(), last_manager(live)) {
                (Some(by), _) => format!("managed by {by}"),
                (None, Some(by)) => format!("written by {by}"),
                (None, None) => "it has no mark of arcctl".into(),
            },
        },
    }
}

/// Who made the object by hand, by its managed fields; else who wrote it last.
fn last_manager(live: &Value) -> Option<String> {
    let fields = live["metadata"]["managedFields"].as_array()?;
    let by_hand = |entry: &&Value| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        ["kubectl", "helm", "Helm"]
            .iter()
            .any(|it| manager.starts_with(it))
    };
    let last = || {
        fields
            .iter()
            .max_by_key(|it| it["time"].as_str().unwrap_or_default())
    };
    let entry = fields.iter().find(by_hand).or_else(last)?;
    entry["manager"].as_str().map(str::to_owned)
}
