//! Differences of an object from a dry run of its apply, only in arcctl's fields: those in its
//! manifest, and those that arcctl applied earlier. Pure: no I/O.
//!
//! A dry run also shows changes by admission webhooks (a label, a time in an annotation): these are ignored,
//! because they differ in every request.

use serde_json::Value;

use super::field_owners::FieldOwners;
use crate::{
    clients::kube::FIELD_MANAGER,
    diff::{Difference, differences_at, is_server_field, join},
};

/// Where `live` is not as `wanted`, which applying `manifest` would make of it.
pub(super) fn own_differences(manifest: &Value, live: &Value, wanted: &Value) -> Vec<Difference> {
    let applied = |entry: &Value| {
        entry["manager"] == FIELD_MANAGER
            && entry["operation"] == "Apply"
            && entry["subresource"].is_null()
    };
    let mut found = Vec::new();
    let owned = FieldOwners::those(live, applied);
    walk("", manifest, &owned, live, wanted, &mut found);
    found
}

fn walk(
    path: &str,
    manifest: &Value,
    owned: &FieldOwners<'_>,
    live: &Value,
    wanted: &Value,
    found: &mut Vec<Difference>,
) {
    if is_server_field(path) || live == wanted {
        return;
    }
    let (Value::Object(left), Value::Object(right)) = (live, wanted) else {
        // Compared by meaning, as in all comparisons.
        found.extend(differences_at(path, live, wanted));
        return;
    };
    let keys = left
        .keys()
        .chain(right.keys().filter(|it| !left.contains_key(*it)));
    for key in keys {
        let (said, owned) = (&manifest[key], owned.field(key));
        if said.is_null() && owned.is_nobody() {
            continue;
        }
        walk(
            &join(path, key),
            said,
            &owned,
            &live[key],
            &wanted[key],
            found,
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(manifest: &Value, live: &Value, wanted: &Value) -> Vec<String> {
        own_differences(manifest, live, wanted)
            .into_iter()
            .map(|it| it.path)
            .collect()
    }

    #[test]
    fn what_a_webhook_does_to_every_request_is_no_difference() {
        let manifest = json!({"metadata": {"labels": {"mine": "1"}}, "spec": {"max": 2}});
        let live = json!({"metadata": {"labels": {"mine": "1"}, "annotations": {"seen": "1"}}, "spec": {"max": 2}});
        let mut wanted = live.clone();
        wanted["metadata"]["annotations"]["seen"] = json!("2");
        wanted["metadata"]["labels"]["policy"] = json!("new");
        wanted["spec"]["defaulted"] = json!(true);
        assert!(paths(&manifest, &live, &wanted).is_empty());
        wanted["spec"]["max"] = json!(3);
        assert_eq!(paths(&manifest, &live, &wanted), ["spec.max"]);
    }

    #[test]
    fn what_arcctl_no_longer_says_is_a_difference() {
        let entry = |operation: &str| json!({"manager": "arcctl", "operation": operation, "fieldsV1": {"f:spec": {"f:old": {}}}});
        let mut live =
            json!({"metadata": {"managedFields": [entry("Apply")]}, "spec": {"old": 1, "max": 2}});
        let (manifest, wanted) = (json!({"spec": {"max": 2}}), json!({"spec": {"max": 2}}));
        assert_eq!(paths(&manifest, &live, &wanted), ["spec.old"]);
        // A webhook's change of arcctl's request has arcctl as manager, but as an update.
        live["metadata"]["managedFields"] = json!([entry("Update")]);
        assert!(paths(&manifest, &live, &wanted).is_empty());
    }
}
