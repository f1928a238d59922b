//! Which object a controller has made for which. Pure: no I/O.

use serde_json::Value;

/// Whether `owner` made an object, by its owner references.
pub(crate) fn is_made_by(object: &Value, owner: &Value) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    owners.any(|it| it["uid"] == owner["metadata"]["uid"])
}

/// Whether `owner` made one of `others` that made an object.
pub(crate) fn is_made_through(object: &Value, others: &[Value], owner: &Value) -> bool {
    let mut own = others.iter().filter(|it| is_made_by(it, owner));
    own.any(|it| is_made_by(object, it))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_of_the_set_that_made_its_runner() {
        let of = |uid: &str, owner: &str| json!({"metadata": {"uid": uid, "ownerReferences": [{"uid": owner}]}});
        let (old, new) = (of("old", "d"), of("new", "d"));
        let runners = [of("first", "old"), of("second", "new")];
        assert!(is_made_through(&of("pod", "second"), &runners, &new));
        assert!(!is_made_through(&of("pod", "second"), &runners, &old));
        assert!(!is_made_through(&of("pod", "first"), &runners, &new));
        assert!(!is_made_through(&json!({}), &runners, &new));
    }
}
