//! What a Prometheus of the operator reads of runner scale sets: the pods of GitHub's own controller, and the listeners of the
//! profile's pools. Their charts make no monitor (reference: scale-sets.md 7). Pure: no I/O.

use serde_json::{Value, json};

use super::{API_VERSION, metadata};
use crate::{
    desired::{
        charts::scale_sets::{METRICS_PATH, METRICS_PORT},
        names,
    },
    profile::{Monitoring, Profile},
};

/// That of the controller.
const CONTROLLER: &str = "scale-set-controller";
/// That of the listeners.
const LISTENERS: &str = "scale-set-listeners";

/// The label with the part that a pod is (reference: scale-sets.md 3).
const COMPONENT: &str = "app.kubernetes.io/component";

/// Both, beside the alerts: the pods are in the namespace of the controller.
pub(super) fn pod_monitors(profile: &Profile, monitoring: &Monitoring) -> [Value; 2] {
    let pools: Vec<&str> = profile
        .scale_set_pools()
        .map(|it| it.name.as_str())
        .collect();
    let controller = json!({"matchLabels": {
        "app.kubernetes.io/part-of": "gha-rs-controller",
        COMPONENT: "controller-manager",
    }});
    // Other profiles may have scale sets of the same controller.
    let listeners = json!({
        "matchLabels": {COMPONENT: "runner-scale-set-listener"},
        "matchExpressions": [{"key": names::SCALE_SET_LABEL, "operator": "In", "values": pools}],
    });
    [(CONTROLLER, controller), (LISTENERS, listeners)].map(|(name, selector)| {
        json!({
            "apiVersion": API_VERSION,
            "kind": "PodMonitor",
            "metadata": metadata(profile, monitoring, name, None),
            "spec": {
                "namespaceSelector": {"matchNames": [profile.scale_sets.namespace]},
                "selector": selector,
                "podMetricsEndpoints": [{"port": METRICS_PORT, "path": METRICS_PATH}],
            },
        })
    })
}
