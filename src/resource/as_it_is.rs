//! `--adopt` without restarts: objects whose change would restart pods are only annotated and reported; the next run without
//! `--adopt` changes them (findings: lab.md 13). Pure: no I/O.
//!
//! The annotation makes `--adopt` repeatable, also after an interrupted run: the same objects are left unchanged.

use serde_json::Value;

use super::observed::Ownership;
use crate::diff::Difference;

/// The annotation of objects that were adopted and not changed yet.
pub(super) const TAKEN_OVER: &str = "arcctl.dev/taken-over";

/// Its value.
pub(super) const AS_IT_IS: &str = "as-it-is";

/// Whether `object` was adopted and not changed yet.
pub(super) fn is_marked(object: &Value) -> bool {
    object["metadata"]["annotations"][TAKEN_OVER] == AS_IT_IS
}

/// Whether a run leaves `object` unchanged: only with `adopt`, for foreign objects and those that `adopt` left before.
pub(super) fn is_left(adopt: bool, ownership: &Ownership, object: &Value) -> bool {
    let ours_since = matches!(ownership, Ownership::Ours) && is_marked(object);
    adopt && (ours_since || matches!(ownership, Ownership::Foreign { .. }))
}

/// The removal of the annotation, by the first run without `--adopt`, together with the other changes.
pub(super) fn mark_goes() -> Difference {
    let path = format!("metadata.annotations.{TAKEN_OVER}");
    Difference::of(&path, &AS_IT_IS.into(), &Value::Null)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_taken_over_now_is_left_as_it_is() {
        let marked = json!({"metadata": {"annotations": {TAKEN_OVER: AS_IT_IS}}});
        let plain = json!({"metadata": {}});
        let foreign = Ownership::Foreign {
            evidence: "kubectl".into(),
        };
        assert!(is_left(true, &foreign, &plain) && is_left(true, &Ownership::Ours, &marked));
        assert!(!is_left(true, &Ownership::Ours, &plain));
        assert!(!is_left(false, &Ownership::Ours, &marked) && !is_left(false, &foreign, &plain));
    }
}
