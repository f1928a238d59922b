//! Adoption of a manually applied object: moves its field ownership to arcctl, and lists the removed fields. Pure: no I/O.
//!
//! Server-side apply removes fields that its manager no longer applies. So the fields of kubectl and helm move to
//! arcctl, in one entry, and the next apply removes those that the profile does not set. Source: kubernetes.io,
//! "Server-Side Apply", section on transferring ownership.

use serde_json::{Map, Value, json};

use crate::{clients::kube::FIELD_MANAGER, diff::Difference};

/// Prefixes of the field managers of manual tools.
const BY_HAND: [&str; 3] = ["kubectl", "helm", "Helm"];

/// Fields that a controller updates: if arcctl owned them, the apply would remove them, and the runners with them.
const OF_A_CONTROLLER: [(&str, &str); 2] =
    [("f:spec", "f:replicas"), ("f:spec", "f:effectiveTime")];

/// The managed fields of `live` with those of kubectl and helm moved to arcctl; `None` where there are none.
pub(super) fn managed_fields(live: &Value) -> Option<Vec<Value>> {
    let (by_hand, mut others): (Vec<Value>, Vec<Value>) = entries(live)
        .into_iter()
        .partition(|entry| is_by_hand(entry) || is_own(entry));
    if !by_hand.iter().any(is_by_hand) {
        return None;
    }
    let fields = union(&by_hand);
    let time = by_hand.iter().filter_map(|it| it["time"].as_str()).max();
    others.push(json!({
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }));
    Some(others)
}

/// The fields of `live` that are removed when `manifest` replaces what was applied manually.
pub(super) fn removals(live: &Value, manifest: &Value) -> Vec<Difference> {
    let by_hand: Vec<Value> = entries(live).into_iter().filter(is_by_hand).collect();
    let mut found = Vec::new();
    walk("", &union(&by_hand), live, manifest, &mut found);
    // Annotations of kubectl and labels of helm are their own metadata.
    found.retain(|it| {
        !it.path.starts_with("metadata.annotations") && !it.path.starts_with("metadata.labels")
    });
    found
}

fn entries(live: &Value) -> Vec<Value> {
    live["metadata"]["managedFields"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn is_by_hand(entry: &Value) -> bool {
    let manager = entry["manager"].as_str().unwrap_or_default();
    entry["subresource"].is_null() && BY_HAND.iter().any(|it| manager.starts_with(it))
}

fn is_own(entry: &Value) -> bool {
    entry["subresource"].is_null()
        && entry["manager"] == FIELD_MANAGER
        && entry["operation"] == "Apply"
}

/// The union of all fields of `entries`, without those of a controller.
fn union(entries: &[Value]) -> Value {
    let mut all = Map::new();
    for entry in entries {
        if let Some(fields) = entry["fieldsV1"].as_object() {
            merge(&mut all, fields);
        }
    }
    for (parent, field) in OF_A_CONTROLLER {
        if let Some(parent) = all.get_mut(parent).and_then(Value::as_object_mut) {
            parent.remove(field);
        }
    }
    Value::Object(all)
}

fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (
            into.get_mut(key).and_then(Value::as_object_mut),
            value.as_object(),
        ) {
            (Some(into), Some(from)) => merge(into, from),
            (Some(_), None) => {}
            (None, _) => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Follows named fields (`f:`); a keyed list entry (`k:`) is compared as a whole.
fn walk(path: &str, fields: &Value, live: &Value, manifest: &Value, found: &mut Vec<Difference>) {
    for (key, inner) in fields.as_object().into_iter().flatten() {
        let Some(name) = key.strip_prefix("f:") else {
            continue;
        };
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        match (&live[name], &manifest[name]) {
            (Value::Null, _) => {}
            (live, Value::Null) => {
                found.push(Difference {
                    path,
                    from: live.clone(),
                    to: Value::Null,
                });
            }
            (live, manifest) => walk(&path, inner, live, manifest, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Value {
        json!({
            "apiVersion": "actions.summerwind.dev/v1alpha1",
            "metadata": {"managedFields": [
                {"manager": "kubectl-client-side-apply", "operation": "Update", "time": "2026-01-01T00:00:00Z",
                    "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:image": {}}}}}},
                {"manager": "kubectl-edit", "operation": "Update", "time": "2026-01-02T00:00:00Z",
                    "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:env": {}}}}}},
                {"manager": "manager", "operation": "Update", "fieldsV1": {"f:status": {}}},
            ]},
            "spec": {"replicas": 2, "template": {"spec": {"image": "a", "env": [{"name": "X"}]}}},
        })
    }

    #[test]
    fn all_that_was_done_by_hand_becomes_one_entry_without_the_controllers_fields() {
        let fields = managed_fields(&live()).unwrap();
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0]["manager"], "manager");
        assert_eq!(fields[1]["manager"], FIELD_MANAGER);
        assert_eq!(
            fields[1]["fieldsV1"],
            json!({"f:spec": {"f:template": {"f:spec": {"f:image": {}, "f:env": {}}}}})
        );
    }

    #[test]
    fn what_the_profile_does_not_say_is_shown_to_go() {
        let manifest = json!({"spec": {"template": {"spec": {"image": "b"}}}});
        let paths: Vec<String> = removals(&live(), &manifest)
            .into_iter()
            .map(|it| it.path)
            .collect();
        assert_eq!(paths, ["spec.template.spec.env"]);
    }

    #[test]
    fn nothing_by_hand_is_nothing_to_take_over() {
        assert!(managed_fields(&json!({"metadata": {"managedFields": []}})).is_none());
    }
}
