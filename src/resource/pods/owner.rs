//! The owner of a pod that is tried: policies refuse pods that no controller has made. Pure: no I/O.

use serde_json::{Value, json};

/// The uid of the owner, which does not exist: the API server does not look for it when a pod is created.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// `pod` as the controller of the object `name` of a kind makes it; only for dry runs. `kind` is that of the object that
/// arcctl or a chart writes: a `Deployment` has its pods made by a `ReplicaSet`.
pub(super) fn with_owner(pod: &Value, kind: &str, name: &str) -> Value {
    let (version, owner) = match kind {
        "StatefulSet" | "DaemonSet" => ("apps/v1", kind),
        "CronJob" | "Job" => ("batch/v1", "Job"),
        "Runner" => ("actions.summerwind.dev/v1alpha1", kind),
        "EphemeralRunner" | "AutoscalingListener" => ("actions.github.com/v1alpha1", kind),
        _ => ("apps/v1", "ReplicaSet"),
    };
    let mut pod = pod.clone();
    pod["metadata"]["ownerReferences"] = json!([{
        "apiVersion": version,
        "kind": owner,
        "name": name,
        "uid": NOBODY,
        "controller": true,
    }]);
    pod
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pod_has_the_owner_that_would_make_it() {
        let pod = json!({"metadata": {"name": "a-arcct-probe"}});
        for (kind, version, owner) in [
            ("Deployment", "apps/v1", "ReplicaSet"),
            ("StatefulSet", "apps/v1", "StatefulSet"),
            ("CronJob", "batch/v1", "Job"),
            ("Runner", "actions.summerwind.dev/v1alpha1", "Runner"),
            (
                "AutoscalingListener",
                "actions.github.com/v1alpha1",
                "AutoscalingListener",
            ),
        ] {
            let owned = with_owner(&pod, kind, "a");
            let reference = &owned["metadata"]["ownerReferences"][0];
            assert_eq!(reference["apiVersion"], version, "{kind}");
            assert_eq!(reference["kind"], owner, "{kind}");
            assert_eq!(reference["name"], "a");
            assert_eq!(reference["controller"], true);
        }
        assert!(pod["metadata"].get("ownerReferences").is_none());
    }
}
