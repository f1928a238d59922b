//! Why a pod does not run: from its status and its events. Pure: no I/O.

use serde_json::Value;

use super::observed::Readiness;

/// How often kubelet has to repeat a message before it counts as stuck: volumes that cert-manager is still filling are
/// missing in the first seconds of every installation (reference: observed.md).
const PASSING_REPEATS: i64 = 6;

/// Whether the pod is Running with all its containers ready.
pub fn is_ready(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && pod["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|it| it["type"] == "Ready" && it["status"] == "True")
}

/// Why `pod` does not run yet; `events` are those of the namespace.
pub fn readiness(pod: &Value, events: &[Value]) -> Readiness {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    if is_ready(pod) {
        return Readiness::Ready;
    }
    let look = format!("look at it with `kubectl -n {namespace} describe pod {name}`");
    if let Some(condition) = unschedulable(pod) {
        let message = condition["message"].as_str().unwrap_or("no node fits");
        return Readiness::stuck(
            format!("pod `{name}` is unschedulable: {message}"),
            "add nodes that fit, or change instanceType, nodeSelector, tolerations or resources in the profile",
        );
    }
    if let Some((reason, message)) = waiting(pod) {
        return match reason {
            "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" => Readiness::stuck(
                format!("pod `{name}` cannot pull its image: {message}"),
                "check the image's name and tag in the profile, and images.registry and pullSecrets for a mirror",
            ),
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "CrashLoopBackOff"
            | "RunContainerError" => {
                Readiness::stuck(format!("pod `{name}`: {reason}: {message}"), look)
            }
            _ => event_reason(pod, name, events, &look)
                .unwrap_or_else(|| Readiness::progressing(format!("pod `{name}`: {reason}"))),
        };
    }
    event_reason(pod, name, events, &look).unwrap_or_else(|| {
        let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
        Readiness::progressing(format!("pod `{name}` is {phase} and not ready"))
    })
}

fn unschedulable(pod: &Value) -> Option<&Value> {
    pod["status"]["conditions"].as_array()?.iter().find(|it| {
        it["type"] == "PodScheduled" && it["status"] == "False" && it["reason"] == "Unschedulable"
    })
}

/// The reason and message of the first container that waits.
fn waiting(pod: &Value) -> Option<(&str, &str)> {
    ["initContainerStatuses", "containerStatuses"]
        .iter()
        .flat_map(|list| pod["status"][*list].as_array().into_iter().flatten())
        .find_map(|status| {
            let waiting = &status["state"]["waiting"];
            Some((
                waiting["reason"].as_str()?,
                waiting["message"].as_str().unwrap_or_default(),
            ))
        })
}

/// The newest warning about the pod.
fn event_reason(pod: &Value, name: &str, events: &[Value], look: &str) -> Option<Readiness> {
    let event = events
        .iter()
        .filter(|it| {
            it["type"] == "Warning" && it["involvedObject"]["uid"] == pod["metadata"]["uid"]
        })
        .max_by_key(|it| it["lastTimestamp"].as_str().unwrap_or_default())?;
    let said = event["message"].as_str().unwrap_or_default();
    let reason = format!(
        "pod `{name}`: {}: {said}",
        event["reason"].as_str().unwrap_or("Warning")
    );
    if event["reason"] == "FailedMount" && event["count"].as_i64().unwrap_or(1) < PASSING_REPEATS {
        return Some(Readiness::progressing(reason));
    }
    Some(Readiness::stuck(reason, look))
}

/// The worst of `all`: stuck before progressing before ready.
pub fn worst(all: impl IntoIterator<Item = Readiness>) -> Readiness {
    all.into_iter()
        .max_by_key(|it| match it {
            Readiness::Ready => 0,
            Readiness::Progressing { .. } => 1,
            Readiness::Stuck { .. } => 2,
        })
        .unwrap_or(Readiness::Ready)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(status: &Value) -> Value {
        json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "status": status})
    }

    #[test]
    fn an_unschedulable_pod_names_the_schedulers_words() {
        let pod = pod(
            &json!({"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/2 nodes are available"}]}),
        );
        let found = readiness(&pod, &[]);
        assert_eq!(
            found.reason(),
            Some("pod `p` is unschedulable: 0/2 nodes are available")
        );
        assert!(matches!(found, Readiness::Stuck { .. }));
    }

    #[test]
    fn a_volume_that_comes_late_is_not_stuck_at_once() {
        let pod = pod(&json!({"phase": "Pending"}));
        let event = |count: i64| {
            json!({"type": "Warning", "reason": "FailedMount", "count": count, "message": "no secret",
                "involvedObject": {"uid": "u"}})
        };
        assert!(matches!(
            readiness(&pod, &[event(1)]),
            Readiness::Progressing { .. }
        ));
        assert!(matches!(
            readiness(&pod, &[event(9)]),
            Readiness::Stuck { .. }
        ));
    }

    #[test]
    fn running_is_not_ready_while_it_is_deleted() {
        let mut pod = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        assert!(is_ready(&pod));
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!is_ready(&pod));
    }
}
