//! Ownership of live objects, by arcctl's labels (DESIGN 5). Pure: no I/O.

use serde_json::Value;

use crate::{
    desired::names::{MANAGED_BY, PROFILE_LABEL},
    resource::observed::Ownership,
};

/// The owner of a live object, by its labels.
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

/// The manual tool that created the object, by its managed fields; else its last manager.
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
