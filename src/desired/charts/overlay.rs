//! Merges the user's pass-through values into arcctl's. Pure: no I/O.

use serde_json::{Map, Value};

/// Adds `extra` to `base`. Maps are merged, lists of objects are joined; if both set the same thing `base` is kept, and
/// its path is among the collisions returned.
pub(crate) fn merge(base: &mut Map<String, Value>, extra: &Map<String, Value>) -> Vec<String> {
    let mut collisions = Vec::new();
    merge_map(base, extra, "", &mut collisions);
    collisions
}

/// `map` without the reserved keys.
pub(crate) fn without(map: &Map<String, Value>, reserved: &[&str]) -> Map<String, Value> {
    let kept = map
        .iter()
        .filter(|(key, _)| !reserved.contains(&key.as_str()));
    kept.map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn merge_map(
    base: &mut Map<String, Value>,
    extra: &Map<String, Value>,
    path: &str,
    collisions: &mut Vec<String>,
) {
    for (key, value) in extra {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match (base.get_mut(key), value) {
            (None, _) => {
                base.insert(key.clone(), value.clone());
            }
            (Some(Value::Object(ours)), Value::Object(theirs)) => {
                merge_map(ours, theirs, &path, collisions);
            }
            (Some(Value::Array(ours)), Value::Array(theirs))
                if objects(ours) && objects(theirs) =>
            {
                join(ours, theirs, &path, collisions);
            }
            (Some(_), _) => collisions.push(path),
        }
    }
}

fn objects(list: &[Value]) -> bool {
    list.iter().all(Value::is_object)
}

fn join(ours: &mut Vec<Value>, theirs: &[Value], path: &str, collisions: &mut Vec<String>) {
    let own = ours.len();
    for (index, entry) in theirs.iter().enumerate() {
        if ours[..own]
            .iter()
            .any(|existing| same_entry(existing, entry))
        {
            collisions.push(format!("{path}[{index}]"));
        } else {
            ours.push(entry.clone());
        }
    }
}

/// Entries match by their mount path if they have one (a volume may be mounted twice), else by name.
fn same_entry(left: &Value, right: &Value) -> bool {
    let key = |entry: &Value| {
        entry
            .get("mountPath")
            .or_else(|| entry.get("name"))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    key(left).map_or_else(|| left == right, |name| key(right) == Some(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(base: Value, extra: Value) -> (Value, Vec<String>) {
        let (Value::Object(mut base), Value::Object(extra)) = (base, extra) else {
            panic!("maps")
        };
        let collisions = merge(&mut base, &extra);
        (base.into(), collisions)
    }

    #[test]
    fn what_both_set_stays_and_is_named() {
        let (result, collisions) = merged(
            json!({"a": 1, "b": {"c": 2}, "d": ["x"], "e": [{"name": "n", "v": 1}]}),
            json!({"a": 9, "b": {"c": 9}, "d": ["y"], "e": [{"name": "m"}, {"name": "n", "v": 9}]}),
        );
        assert_eq!(collisions, ["a", "b.c", "d", "e[1]"]);
        assert_eq!(
            result,
            json!({"a": 1, "b": {"c": 2}, "d": ["x"], "e": [{"name": "n", "v": 1}, {"name": "m"}]})
        );
    }

    #[test]
    fn what_only_one_sets_is_kept() {
        let (result, collisions) = merged(
            json!({"a": {"x": 1}, "m": [{"name": "v", "mountPath": "/tmp"}]}),
            json!({"a": {"y": 2}, "b": [1], "m": [{"name": "v", "mountPath": "/data"}]}),
        );
        assert!(collisions.is_empty(), "{collisions:?}");
        assert_eq!(
            result,
            json!({"a": {"x": 1, "y": 2}, "b": [1],
                "m": [{"name": "v", "mountPath": "/tmp"}, {"name": "v", "mountPath": "/data"}]})
        );
    }
}
