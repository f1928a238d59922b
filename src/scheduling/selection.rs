//! Whether a pod's `nodeSelector` and node affinity select a node (kubernetes,
//! `component-helpers/scheduling/corev1/nodeaffinity`), and whether labels meet a label selector. Pure: no I/O.

use serde_json::Value;

use super::list;

/// Whether a pod with this spec selects `node`.
pub fn is_selected(node: &Value, spec: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let selector = spec["nodeSelector"].as_object();
    let by_selector = selector
        .into_iter()
        .flatten()
        .all(|(key, value)| labels[key] == *value);
    let required =
        &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    // Of several terms one must hold.
    let by_affinity = required.is_null()
        || list(&required["nodeSelectorTerms"])
            .iter()
            .any(|term| holds(term, node));
    by_selector && by_affinity
}

/// Whether a term of a node affinity holds: all of its expressions. One without any selects no node.
fn holds(term: &Value, node: &Value) -> bool {
    let (expressions, fields) = (list(&term["matchExpressions"]), list(&term["matchFields"]));
    let labels = &node["metadata"]["labels"];
    let name = &node["metadata"]["name"];
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|it| {
            let key = it["key"].as_str().unwrap_or_default();
            meets(it, labels[key].as_str())
        })
        && fields
            .iter()
            .all(|it| it["key"] == "metadata.name" && meets(it, name.as_str()))
}

/// Whether the value of a label meets an expression. `Gte` and `Lte` are only in the requirements of Karpenter's `NodePools`.
pub fn meets(expression: &Value, value: Option<&str>) -> bool {
    let values = list(&expression["values"]);
    let is_in = value.is_some_and(|value| values.iter().any(|it| *it == value));
    let numbers = || {
        let bound = values.first()?.as_str()?.parse::<i64>().ok()?;
        Some((value?.parse::<i64>().ok()?, bound))
    };
    match expression["operator"].as_str() {
        Some("In") => is_in,
        Some("NotIn") => !is_in,
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        Some("Gt") => numbers().is_some_and(|(value, bound)| value > bound),
        Some("Lt") => numbers().is_some_and(|(value, bound)| value < bound),
        Some("Gte") => numbers().is_some_and(|(value, bound)| value >= bound),
        Some("Lte") => numbers().is_some_and(|(value, bound)| value <= bound),
        _ => false,
    }
}

/// Whether `labels` meet a label selector; an empty one selects everything, and none at all selects nothing.
pub fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    selector.is_object()
        && wanted
            .into_iter()
            .flatten()
            .all(|(key, value)| labels[key] == *value)
        && list(&selector["matchExpressions"]).iter().all(|it| {
            let key = it["key"].as_str().unwrap_or_default();
            meets(it, labels[key].as_str())
        })
}
