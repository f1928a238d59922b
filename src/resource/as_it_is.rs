//! Taking over what was made by hand without restarting anything: what would restart pods is only marked, shown, and left
//! for the next run without `--adopt` (findings: lab.md 13). Pure: no I/O.
//!
//! The mark is an annotation, so that `--adopt` run again, also after a run that was killed, leaves the same as it is.

use serde_json::Value;

use super::observed::Ownership;
use crate::diff::Difference;

/// Marks what was taken over and not changed yet.
pub(super) const TAKEN_OVER: &str = "arcctl.dev/taken-over";

/// Its value.
pub(super) const AS_IT_IS: &str = "as-it-is";

/// Whether `object` was taken over and not changed yet.
pub(super) fn is_marked(object: &Value) -> bool {
    object["metadata"]["annotations"][TAKEN_OVER] == AS_IT_IS
}

/// Whether a run leaves `object` as it is: one that takes over (`adopt`), and what is not arcctl's yet or was left so.
pub(super) fn is_left(adopt: bool, ownership: &Ownership, object: &Value) -> bool {
    let ours_since = matches!(ownership, Ownership::Ours) && is_marked(object);
    adopt && (ours_since || matches!(ownership, Ownership::Foreign { .. }))
}

/// That the mark goes, with all that was left: by the first run that does not take over.
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
