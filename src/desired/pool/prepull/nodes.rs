//! Which nodes take a pod, and which images they have. Pure: no I/O.
//!
//! Sources: kubernetes, `component-helpers/scheduling/corev1` (node affinity, taints) and `kubelet/nodestatus` (images).

use serde_json::Value;

/// A node of AWS Fargate runs one pod, and no `DaemonSet`.
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// Whether a new pod with this spec can run on `node`, as far as the node's state, labels and taints decide.
pub(super) fn takes(node: &Value, pod: &Value) -> bool {
    is_usable(node) && is_selected(node, pod) && tolerates_all(node, pod)
}

/// Whether `node` is seen to lack an image. A kubelet lists the 50 largest images at most (`nodeStatusMaxImages`), and
/// none where that is 0: a node without any says nothing.
pub(super) fn lacks(node: &Value, image: &str) -> bool {
    let listed = list(&node["status"]["images"]);
    !listed.is_empty()
        && !listed
            .iter()
            .any(|it| list(&it["names"]).iter().any(|name| *name == image))
}

/// Whether the pods of `pod` may keep off a node with any pod on it: an anti-affinity that is not about certain labels.
pub(super) fn may_avoid_any_pod(pod: &Value) -> bool {
    let rules = &pod["affinity"]["podAntiAffinity"];
    let required = list(&rules["requiredDuringSchedulingIgnoredDuringExecution"]);
    required.iter().any(|term| {
        let selector = &term["labelSelector"];
        let labels = selector["matchLabels"].as_object();
        let certain = list(&selector["matchExpressions"])
            .iter()
            .any(|it| matches!(it["operator"].as_str(), Some("In" | "Exists")));
        !certain && labels.is_none_or(serde_json::Map::is_empty)
    })
}

fn is_usable(node: &Value) -> bool {
    let conditions = list(&node["status"]["conditions"]);
    let ready = conditions
        .iter()
        .any(|it| it["type"] == "Ready" && it["status"] == "True");
    let labels = &node["metadata"]["labels"];
    ready
        && node["metadata"]["deletionTimestamp"].is_null()
        && node["spec"]["unschedulable"] != true
        && labels["kubernetes.io/os"] != "windows"
        && labels[COMPUTE_TYPE] != "fargate"
}

fn is_selected(node: &Value, pod: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let selector = pod["nodeSelector"].as_object();
    let by_selector = selector
        .into_iter()
        .flatten()
        .all(|(key, value)| labels[key] == *value);
    let required =
        &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
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

/// Whether the value of a label meets an expression.
fn meets(expression: &Value, value: Option<&str>) -> bool {
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
        _ => false,
    }
}

/// Whether the pod tolerates each taint that keeps pods away; `PreferNoSchedule` does not.
fn tolerates_all(node: &Value, pod: &Value) -> bool {
    let tolerations = list(&pod["tolerations"]);
    list(&node["spec"]["taints"])
        .iter()
        .filter(|it| it["effect"] != "PreferNoSchedule")
        .all(|taint| tolerations.iter().any(|it| tolerates(it, taint)))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let field = |name: &str| toleration[name].as_str().unwrap_or_default();
    let of_taint = |name: &str| taint[name].as_str().unwrap_or_default();
    let same = |name: &str| field(name).is_empty() || field(name) == of_taint(name);
    same("effect")
        && same("key")
        && (field("operator") == "Exists" || field("value") == of_taint("value"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
