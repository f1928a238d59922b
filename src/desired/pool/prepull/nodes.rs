//! Which nodes take a pod, and which images they have. Pure: no I/O.
//!
//! Source: kubernetes, `kubelet/nodestatus` (images).

use serde_json::Value;

use crate::scheduling::{selection::is_selected, taints::tolerates_all};

/// A node of AWS Fargate runs one pod, and no `DaemonSet`.
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// Whether a new pod with this spec can run on `node`, as far as the node's state, labels and taints decide.
pub(super) fn takes(node: &Value, pod: &Value) -> bool {
    is_usable(node) && is_selected(node, pod) && tolerates_all(&node["spec"]["taints"], pod)
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

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
