//! Hints where the namespace or the cluster is at fault, whatever the pod is like. Pure: no I/O.

use super::{NOT_READY, failed_webhook};

/// The hint where the cluster is at fault, whatever the pod is like.
pub(super) fn of_the_cluster(said: &str, namespace: &str) -> Option<String> {
    if said.contains(NOT_READY) {
        return Some("run the same command again: the API server has just started".to_owned());
    }
    if said.contains("because it is being terminated") {
        return Some(format!(
            "wait until the namespace has gone; what holds it shows `kubectl get namespace {namespace} -o yaml` under status.conditions"
        ));
    }
    let webhook = failed_webhook(said)?;
    Some(format!(
        "see why webhook `{webhook}` does not respond: `kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations -o wide`, then the pods behind its Service"
    ))
}

/// How to lower the Pod Security level of a namespace.
pub(super) fn lower_level(namespace: &str) -> String {
    format!(
        "lower the namespace's level: `kubectl label --overwrite namespace {namespace} pod-security.kubernetes.io/enforce=privileged`"
    )
}

/// The hint for a new quota.
pub(super) fn until_counted(namespace: &str, quota: &str) -> String {
    format!(
        "wait until the quota is counted, which takes seconds: `kubectl -n {namespace} describe resourcequota {quota}`"
    )
}
