//! The last field managers of an object's fields, from its managed fields. Pure: no I/O.
//!
//! Changes by an admission webhook belong to the manager of the request: so a field of helm
//! has the value that resulted from helm's own write. Source: kubernetes.io, "Server-Side Apply", sections "Field
//! management" and "managedFields"; the encoding (`f:` fields, `k:` entries by key, `v:` entries by value) is that of
//! sigs.k8s.io/structured-merge-diff, fieldpath.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The managers of one path in an object.
#[derive(Clone, Debug)]
pub(crate) struct FieldOwners<'a> {
    at: Vec<(&'a Value, &'a Map<String, Value>)>,
}

impl<'a> FieldOwners<'a> {
    /// The managers of all fields of `live`.
    pub(crate) fn of(live: &'a Value) -> Self {
        Self::those(live, |_| true)
    }

    /// Only the entries of the managed fields for which `counts` is true.
    pub(super) fn those(live: &'a Value, counts: impl Fn(&Value) -> bool) -> Self {
        let entries = live["metadata"]["managedFields"].as_array();
        let at = entries
            .into_iter()
            .flatten()
            .filter(|entry| counts(entry))
            .filter_map(|entry| Some((&entry["manager"], entry["fieldsV1"].as_object()?)))
            .collect();
        Self { at }
    }

    /// The managers of a field below this path.
    #[must_use]
    pub(crate) fn field(&self, name: &str) -> Self {
        let key = format!("f:{name}");
        self.within(|fields| fields.get(&key))
    }

    /// The managers of an entry of the list at this path.
    #[must_use]
    pub(crate) fn entry(&self, entry: &Value, index: usize) -> Self {
        self.within(|fields| {
            let is_entry = |key: &&String| match key.split_once(':') {
                Some(("k", keys)) => has_keys(entry, keys),
                Some(("v", value)) => {
                    serde_json::from_str(value).is_ok_and(|it: Value| it == *entry)
                }
                Some(("i", at)) => at.parse().is_ok_and(|it: usize| it == index),
                _ => false,
            };
            let key = fields.keys().find(is_entry)?;
            fields.get(key)
        })
    }

    /// Whether this path and all below it have no manager.
    pub(super) const fn is_nobody(&self) -> bool {
        self.at.is_empty()
    }

    /// The managers' names.
    pub(crate) fn names(&self) -> BTreeSet<&'a str> {
        self.at
            .iter()
            .filter_map(|(manager, _)| manager.as_str())
            .collect()
    }

    /// A set without members is a leaf. A manager of an atomic list or map owns everything in it; of any other
    /// map it owns only the map itself, and the fields in it have their own managers.
    fn within(&self, step: impl Fn(&'a Map<String, Value>) -> Option<&'a Value>) -> Self {
        let named: Vec<_> = self
            .at
            .iter()
            .filter_map(|(manager, fields)| Some((*manager, step(fields)?.as_object()?)))
            .collect();
        let wholly = || {
            let leaves = self.at.iter().filter(|(_, fields)| fields.is_empty());
            leaves.copied().collect()
        };
        Self {
            at: if named.is_empty() { wholly() } else { named },
        }
    }
}

/// Whether `entry` has the values of all `keys`, which are JSON.
fn has_keys(entry: &Value, keys: &str) -> bool {
    let Ok(Value::Object(keys)) = serde_json::from_str(keys) else {
        return false;
    };
    // The key of a port is its number and its protocol, by default TCP.
    keys.iter().all(|(key, value)| match entry.get(key) {
        Some(own) => own == value,
        None => key == "protocol" && value == "TCP",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live() -> Value {
        json!({"metadata": {"managedFields": [
            {"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {
                "f:replicas": {},
                "f:containers": {
                    "k:{\"name\":\"manager\"}": {".": {}, "f:image": {}, "f:args": {}},
                    "k:{\"containerPort\":53,\"protocol\":\"TCP\"}": {".": {}},
                },
            }}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:containers": {
                "k:{\"name\":\"manager\"}": {"f:image": {}},
            }}}},
        ]}})
    }

    #[test]
    fn each_field_has_its_owners() {
        let live = live();
        let spec = FieldOwners::of(&live).field("spec");
        let names = |it: &FieldOwners<'_>| {
            it.names()
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&spec.field("replicas")), ["helm"]);
        let container = spec
            .field("containers")
            .entry(&json!({"name": "manager"}), 0);
        assert_eq!(names(&container.field("image")), ["helm", "kubectl-edit"]);
        // The owner of an atomic list owns all its entries.
        assert_eq!(
            names(&container.field("args").entry(&json!("--a"), 3)),
            ["helm"]
        );
        assert!(container.field("env").is_nobody());
        assert!(
            spec.field("containers")
                .entry(&json!({"name": "other"}), 0)
                .is_nobody()
        );
        let port = spec
            .field("containers")
            .entry(&json!({"containerPort": 53}), 0);
        assert_eq!(names(&port), ["helm"]);
    }

    #[test]
    fn who_has_only_the_map_has_nothing_in_it() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "helm", "fieldsV1": {"f:data": {}}},
            {"manager": "kubectl-patch", "fieldsV1": {"f:data": {"f:a": {}}}},
        ]}});
        let data = FieldOwners::of(&live).field("data");
        assert_eq!(data.names().len(), 2);
        assert_eq!(data.field("a").names(), ["kubectl-patch"].into());
    }

    #[test]
    fn an_object_without_managed_fields_is_nobody_s() {
        assert!(
            FieldOwners::of(&json!({"metadata": {}}))
                .field("spec")
                .is_nobody()
        );
    }
}
