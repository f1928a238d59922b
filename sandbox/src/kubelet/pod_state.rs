//! Reads a pod's status: phase, readiness, containers. Pure: no I/O.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use kube::ResourceExt as _;

use super::status::containers;

pub(super) fn is_of_job(pod: &Pod) -> bool {
    pod.owner_references()
        .iter()
        .any(|owner| owner.kind == "Job")
}

pub(super) fn is_running(pod: &Pod) -> bool {
    phase(pod) == Some("Running")
}

/// Whether it has ended, well or not.
pub(super) fn is_done(pod: &Pod) -> bool {
    matches!(phase(pod), Some("Succeeded" | "Failed"))
}

/// Whether a kubelet has taken it on.
pub(super) fn is_accepted(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .is_some_and(|status| status.start_time.is_some())
}

/// Whether its status says which containers are ready, as `ready` does.
pub(super) fn is_ready_as(pod: &Pod, ready: impl Fn(&Container) -> bool) -> bool {
    is_running(pod)
        && containers(pod).iter().all(|container| {
            status(pod, &container.name).is_some_and(|status| status.ready == ready(container))
        })
}

/// Whether a container waits for a reason.
pub(super) fn waits_for(pod: &Pod, container: &str, reason: &str) -> bool {
    let state = status(pod, container).and_then(|status| status.state.as_ref());
    let waiting = state.and_then(|state| state.waiting.as_ref());
    waiting.is_some_and(|waiting| waiting.reason.as_deref() == Some(reason))
}

/// What its status says of a container.
pub(super) fn status<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let containers = status.container_statuses.iter().flatten();
    let inits = status.init_container_statuses.iter().flatten();
    let mut all = containers.chain(inits);
    all.find(|status| status.name == container)
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn pod(phase: &str, ready: bool) -> Pod {
        from_value(json!({"metadata": {"ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u"}]},
            "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": phase, "containerStatuses": [{"name": "c", "image": "",
                "imageID": "", "restartCount": 0, "ready": ready,
                "state": {"waiting": {"reason": "ContainerCreating"}}}]}}))
        .unwrap()
    }

    #[test]
    fn a_pending_pod_is_ready_as_nothing() {
        assert!(!is_ready_as(&pod("Pending", true), |_| true));
        assert!(!is_ready_as(&pod("Running", false), |_| true));
        assert!(is_ready_as(&pod("Running", true), |_| true));
    }

    #[test]
    fn a_container_waits_for_its_own_reason_only() {
        assert!(!waits_for(&pod("Pending", false), "c", "ErrImagePull"));
        assert!(!waits_for(
            &pod("Pending", false),
            "other",
            "ContainerCreating"
        ));
        assert!(waits_for(&pod("Pending", false), "c", "ContainerCreating"));
    }
}
