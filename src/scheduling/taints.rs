//! Which taints a pod tolerates (kubernetes, `Toleration.ToleratesTaint` in `api/core/v1/toleration.go`). Pure: no I/O.

use serde_json::Value;

use super::list;

/// Whether a pod with this spec tolerates each of `taints` that keeps pods away; `PreferNoSchedule` does not.
pub fn tolerates_all(taints: &Value, spec: &Value) -> bool {
    list(taints)
        .iter()
        .filter(|it| matches!(it["effect"].as_str(), Some("NoSchedule" | "NoExecute")))
        .all(|taint| tolerates(spec, taint))
}

/// Whether a pod with this spec tolerates `taint`.
pub fn tolerates(spec: &Value, taint: &Value) -> bool {
    list(&spec["tolerations"])
        .iter()
        .any(|it| covers(it, taint))
}

fn covers(toleration: &Value, taint: &Value) -> bool {
    let field = |name: &str| toleration[name].as_str().unwrap_or_default();
    let of_taint = |name: &str| taint[name].as_str().unwrap_or_default();
    let same = |name: &str| field(name).is_empty() || field(name) == of_taint(name);
    let numbers = || {
        let number = |text: &str| text.parse::<i64>().ok();
        Some((number(of_taint("value"))?, number(field("value"))?))
    };
    same("effect")
        && same("key")
        && match field("operator") {
            "" | "Equal" => field("value") == of_taint("value"),
            "Exists" => true,
            // The API server takes these two only where the scheduler compares them.
            "Gt" => numbers().is_some_and(|(taint, bound)| taint > bound),
            "Lt" => numbers().is_some_and(|(taint, bound)| taint < bound),
            _ => false,
        }
}
