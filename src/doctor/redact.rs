//! Reduces an object to the fields that the checks read: environment variables, tokens in a status, and annotations of
//! other tools are never in the facts, nor in a bundle. Pure: no I/O.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::snapshot::{SecretShape, Shape};

/// The fields that are kept, by path, with everything below them. `*` matches every entry of a list.
const KEPT: &[&str] = &[
    "kind",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels",
    "metadata.finalizers",
    "metadata.ownerReferences.*.kind",
    "metadata.creationTimestamp",
    "metadata.generation",
    "metadata.deletionTimestamp",
    "metadata.annotations.actions-runner/id",
    "metadata.annotations.actions-runner/unregistration-request-timestamp",
    "metadata.annotations.arcctl.dev/secret-version",
    "metadata.annotations.runner-scale-set-id",
    "metadata.annotations.meta.helm.sh/release-name",
    "metadata.annotations.meta.helm.sh/release-namespace",
    "spec.nodeName",
    "spec.unschedulable",
    "spec.taints",
    "spec.overhead",
    "spec.volumes.*.name",
    "spec.volumes.*.persistentVolumeClaim.claimName",
    "spec.volumes.*.ephemeral.volumeClaimTemplate.spec.accessModes",
    "spec.resources.requests",
    "spec.affinity.podAntiAffinity",
    "spec.initContainers.*.restartPolicy",
    "spec.initContainers.*.resources.requests",
    "spec.initContainers.*.ports",
    "spec.containers.*.resources.requests",
    "spec.containers.*.ports",
    "spec.replicas",
    "spec.selector.matchLabels",
    "spec.runnerGroup",
    "spec.githubConfigUrl",
    "spec.autoscalingRunnerSetName",
    "spec.autoscalingRunnerSetNamespace",
    "spec.ephemeralRunnerSetName",
    "spec.runnerScaleSetId",
    "spec.ephemeralRunnerSpec.runnerScaleSetId",
    "spec.minRunners",
    "spec.maxRunners",
    "spec.minReplicas",
    "spec.maxReplicas",
    "spec.scheduledOverrides",
    "spec.ruleSelector",
    "spec.ruleNamespaceSelector",
    "spec.serviceMonitorSelector",
    "spec.serviceMonitorNamespaceSelector",
    "spec.podMonitorSelector",
    "spec.podMonitorNamespaceSelector",
    "spec.capacityReservations",
    "spec.containers.*.name",
    "spec.containers.*.image",
    "spec.template.spec.containers.*.name",
    "spec.template.spec.containers.*.image",
    "status.phase",
    "status.allocatable",
    "status.observedGeneration",
    "status.replicas",
    "status.updatedReplicas",
    "status.availableReplicas",
    "status.registration.expiresAt",
    "status.runnerId",
    "status.jobId",
    "status.ready",
    "status.failures",
    "status.reason",
    "status.message",
    "status.conditions",
    "status.containerStatuses",
    "status.initContainerStatuses",
    "status.notAfter",
    "status.numberReady",
    "status.desiredNumberScheduled",
    "webhooks.*.name",
    "webhooks.*.clientConfig.caBundle",
    "webhooks.*.clientConfig.service",
    "webhooks.*.namespaceSelector.matchLabels",
    "endpoints.*.conditions",
    "reason",
    "message",
    "type",
    "count",
    "lastTimestamp",
    "eventTime",
    "series.lastObservedTime",
    "involvedObject",
];

/// `object` without fields that no check reads; certificates as digests.
pub(super) fn slim(object: &Value) -> Value {
    let mut kept = Value::Object(Map::new());
    for path in KEPT {
        copy(object, &mut kept, &steps(path));
    }
    let webhooks = kept.get_mut("webhooks").and_then(Value::as_array_mut);
    for webhook in webhooks.into_iter().flatten() {
        if let Some(bundle) = webhook.pointer_mut("/clientConfig/caBundle") {
            *bundle = bundle.as_str().map(digest).into();
        }
    }
    kept
}

/// The state of a Secret's values; the values themselves are dropped here.
pub(super) fn shape(secret: &Value) -> SecretShape {
    let shape = |value: &Value| {
        let decoded = value.as_str().and_then(|it| STANDARD.decode(it).ok());
        let text = decoded
            .and_then(|it| String::from_utf8(it).ok())
            .unwrap_or_default();
        match (text.trim().is_empty(), text.trim().len() == text.len()) {
            (true, _) => Shape::Empty,
            (false, true) => Shape::Whole,
            (false, false) => Shape::Spaced,
        }
    };
    SecretShape {
        version: secret["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        keys: secret["data"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
    }
}

/// The digest that replaces a certificate.
pub(super) fn digest(text: &str) -> String {
    use std::fmt::Write;
    let mut digest = String::from("sha256:");
    for byte in &Sha256::digest(text.as_bytes())[..8] {
        // Writing to a String cannot fail.
        let _ignored = write!(digest, "{byte:02x}");
    }
    digest
}

/// The segments of a path: the name of an annotation is one segment, even with dots.
fn steps(path: &str) -> Vec<&str> {
    match path.strip_prefix("metadata.annotations.") {
        Some(name) => vec!["metadata", "annotations", name],
        None => path.split('.').collect(),
    }
}

fn copy(from: &Value, to: &mut Value, steps: &[&str]) {
    let Some((step, rest)) = steps.split_first() else {
        *to = from.clone();
        return;
    };
    if *step == "*" {
        let Some(entries) = from.as_array() else {
            return;
        };
        if !to.is_array() {
            *to = Value::Array(vec![Value::Object(Map::new()); entries.len()]);
        }
        for (entry, kept) in entries.iter().zip(to.as_array_mut().into_iter().flatten()) {
            copy(entry, kept, rest);
        }
    } else if let Some(value) = from.get(*step).filter(|it| !it.is_null()) {
        let mut kept = to.get_mut(*step).map(Value::take).unwrap_or_default();
        copy(value, &mut kept, rest);
        if !kept.is_null() {
            to[*step] = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::{events::seen, scale_sets::superseded::listener_name};

    #[test]
    fn the_last_time_of_an_event_is_kept() {
        let once = json!({"kind": "Event", "lastTimestamp": null, "eventTime": "2026-11-28T07:00:00.000001Z"});
        let mut again = once.clone();
        again["series"] = json!({"count": 2, "lastObservedTime": "2026-11-28T07:05:00.000001Z"});
        for event in [once, again] {
            assert!(seen(&event).is_some());
            assert_eq!(seen(&slim(&event)), seen(&event));
        }
    }

    #[test]
    fn what_names_the_listener_of_a_scale_set_is_kept() {
        let set = json!({
            "metadata": {"namespace": "n", "name": "s", "labels": {"app.kubernetes.io/version": "0.14.2"}},
            "spec": {"githubConfigUrl": "https://github.com/o", "runnerGroup": "ci"},
        });
        assert!(listener_name(&set).is_some());
        assert_eq!(listener_name(&slim(&set)), listener_name(&set));
    }

    #[test]
    fn what_no_check_looks_at_is_left_out() {
        let pod = json!({
            "metadata": {"name": "a", "annotations": {"theirs": "1", "arcctl.dev/secret-version": "7"}},
            "spec": {"containers": [{"name": "runner", "image": "i", "env": [{"name": "RUNNER_TOKEN", "value": "x"}]}]},
            "status": {"phase": "Running", "registration": {"token": "x"}},
        });
        let expected = json!({
            "metadata": {"name": "a", "annotations": {"arcctl.dev/secret-version": "7"}},
            "spec": {"containers": [{"name": "runner", "image": "i"}]},
            "status": {"phase": "Running"},
        });
        assert_eq!(slim(&pod), expected);
    }

    #[test]
    fn a_certificate_is_kept_as_a_digest_that_tells_it_from_others() {
        let configuration =
            |ca: &str| json!({"webhooks": [{"name": "w", "clientConfig": {"caBundle": ca}}]});
        let kept = slim(&configuration("Q0E="));
        assert_eq!(
            kept["webhooks"][0]["clientConfig"]["caBundle"],
            digest("Q0E=")
        );
        assert_ne!(kept, slim(&configuration("bmV3")));
    }
}
