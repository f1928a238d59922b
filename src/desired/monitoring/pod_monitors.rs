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

/// The label of a target with the name of its scale set, while its metrics are read.
const SCALE_SET: &str = "scale_set";

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
    [
        (CONTROLLER, controller, of_controller()),
        (LISTENERS, listeners, of_listeners()),
    ]
    .map(|(name, selector, endpoint)| {
        json!({
            "apiVersion": API_VERSION,
            "kind": "PodMonitor",
            "metadata": metadata(profile, monitoring, name, None),
            "spec": {
                "namespaceSelector": {"matchNames": [profile.scale_sets.namespace]},
                "selector": selector,
                "podMetricsEndpoints": [endpoint],
            },
        })
    })
}

/// Of the controller: the metric about a listener has the listener's name; here it gets that of the scale set, as rules and panels
/// know it (`publishRunningListener` in `controllers/actions.github.com/autoscalinglistener_controller.go` of Actions Runner
/// Controller at 0.14; the name of a listener is `SET-HASH-listener`).
fn of_controller() -> Value {
    json!({
        "port": METRICS_PORT,
        "path": METRICS_PATH,
        "metricRelabelings": [{
            "action": "replace",
            "sourceLabels": ["__name__", "name"],
            "regex": "gha_controller_running_listeners;(.+)-[^-]+-listener",
            "targetLabel": "name",
            "replacement": "$1",
        }],
    })
}

/// Of the listeners: their metrics have the name of the `EphemeralRunnerSet`, which until 0.15 has a random end; here they get that
/// of the scale set, which is a label of the pod (`cmd/ghalistener/main.go` of Actions Runner Controller at 0.14:
/// `ScaleSetName: config.EphemeralRunnerSetName`).
fn of_listeners() -> Value {
    json!({
        "port": METRICS_PORT,
        "path": METRICS_PATH,
        "relabelings": [{
            "action": "replace",
            "sourceLabels": [of_pod_label(names::SCALE_SET_LABEL)],
            "targetLabel": SCALE_SET,
        }],
        "metricRelabelings": [
            {
                "action": "replace",
                "sourceLabels": ["name", SCALE_SET],
                "regex": ".+;(.+)",
                "targetLabel": "name",
                "replacement": "$1",
            },
            {"action": "labeldrop", "regex": SCALE_SET},
        ],
    })
}

/// The name by which Prometheus has a label of a pod: other characters than letters and digits become `_`
/// (prometheus.io/docs/prometheus/latest/configuration, `kubernetes_sd_config`).
fn of_pod_label(label: &str) -> String {
    let known = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
    let name: String = label.chars().map(known).collect();
    format!("__meta_kubernetes_pod_label_{name}")
}
