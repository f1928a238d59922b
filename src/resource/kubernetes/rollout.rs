//! Evaluates the rollout of a Deployment, and the cause if it is not complete. Pure: no I/O.
//!
//! Ready pods of an older template prove nothing about the newest one, and a failure to create
//! pods is only visible in the Deployment's conditions and in events of its `ReplicaSets`.

use serde_json::Value;

use crate::resource::{events::newest, observed::Readiness, pods::status};

/// The parts of cert-manager, by the label `app.kubernetes.io/component` of its chart, its manifests and its add-ons.
pub const PARTS: [&str; 3] = ["controller", "cainjector", "webhook"];

/// The label of the parts.
pub const COMPONENT: &str = "app.kubernetes.io/component";

/// Selects the parts of cert-manager, under any name.
pub const PARTS_SELECTOR: &str = "app.kubernetes.io/component in (controller, cainjector, webhook)";

const INSTANCE: &str = "app.kubernetes.io/instance";

/// The Deployments of the cert-manager whose webhook is among `deployments`: another application may use the
/// component `controller` too.
pub fn cert_manager_parts(deployments: &[Value]) -> Vec<(&'static str, Option<&Value>)> {
    let label = |it: &Value, name: &str| it["metadata"]["labels"][name].clone();
    let instance = deployments
        .iter()
        .find(|it| label(it, COMPONENT) == "webhook")
        .map(|it| label(it, INSTANCE));
    let found = PARTS.map(|part| {
        let of = deployments.iter().find(|it| {
            label(it, COMPONENT) == part
                && instance
                    .as_ref()
                    .is_none_or(|known| label(it, INSTANCE) == *known)
        });
        (part, of)
    });
    if found.iter().all(|(_, it)| it.is_none()) {
        return Vec::new();
    }
    found.into()
}

/// The worst readiness of cert-manager's parts; `None` where no part has its labels.
pub fn cert_manager(
    namespace: &str,
    deployments: &[Value],
    pods: &[Value],
    events: &[Value],
) -> Option<Readiness> {
    let parts = cert_manager_parts(deployments);
    if parts.is_empty() {
        return None;
    }
    let of = |(part, deployment): (&str, Option<&Value>)| match deployment {
        Some(it) => readiness(it, pods, events),
        None => Readiness::stuck(
            format!("cert-manager's {part} has no Deployment in namespace `{namespace}`"),
            format!(
                "install all of cert-manager; `kubectl -n {namespace} get deployments` shows what exists"
            ),
        ),
    };
    Some(status::worst(parts.into_iter().map(of)))
}

/// Whether `deployment` is scaled to zero.
pub fn is_scaled_to_nothing(deployment: &Value) -> bool {
    deployment["spec"]["replicas"] == 0
}

/// `namespace/name` of an object.
pub fn place(object: &Value) -> String {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    format!("{}/{}", text("namespace"), text("name"))
}

/// The command to scale a Deployment.
pub fn scale_command(deployment: &Value, replicas: u64) -> String {
    let text = |key: &str| deployment["metadata"][key].as_str().unwrap_or_default();
    format!(
        "`kubectl -n {} scale deployment {} --replicas={replicas}`",
        text("namespace"),
        text("name")
    )
}

/// Whether all pods of a Deployment are of its newest template and available.
pub fn is_rolled_out(deployment: &Value) -> bool {
    let status = &deployment["status"];
    let count = |key: &str| status[key].as_u64().unwrap_or(0);
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && count("updatedReplicas") >= wanted
        && count("replicas") == count("updatedReplicas")
        && count("availableReplicas") >= wanted
}

/// Whether `deployment` is rolled out; `pods` and `events` are those of its namespace.
pub fn readiness(deployment: &Value, pods: &[Value], events: &[Value]) -> Readiness {
    let place = place(deployment);
    if is_scaled_to_nothing(deployment) {
        return Readiness::stuck(
            format!("Deployment `{place}` is scaled to 0"),
            format!("scale it up: {}", scale_command(deployment, 1)),
        );
    }
    if is_rolled_out(deployment) {
        return Readiness::Ready;
    }
    if let Some(said) = refused(deployment).or_else(|| failed_create(deployment, events)) {
        let namespace = deployment["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default();
        return Readiness::stuck(
            format!("Deployment `{place}` cannot create pods: {said}"),
            format!(
                "{}, or the policy or quota of namespace `{namespace}`",
                status::what_to_change(deployment)
            ),
        );
    }
    let own = pods
        .iter()
        .filter(|it| is_live(it) && is_of(it, deployment));
    let worst = status::worst(own.map(|it| status::readiness(it, events)));
    if worst != Readiness::Ready {
        return worst;
    }
    let count = |key: &str| deployment["status"][key].as_u64().unwrap_or(0);
    Readiness::progressing(format!(
        "{} of {} pods of Deployment `{place}` are updated and available",
        count("updatedReplicas").min(count("availableReplicas")),
        deployment["spec"]["replicas"].as_u64().unwrap_or(1),
    ))
}

/// Whether a pod can serve: an evicted pod remains as Failed, a completed one as Succeeded.
pub fn is_live(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str();
    !matches!(phase, Some("Failed" | "Succeeded")) && pod["metadata"]["deletionTimestamp"].is_null()
}

/// Whether the labels of `pod` match the selector of `deployment`.
fn is_of(pod: &Value, deployment: &Value) -> bool {
    let wanted = deployment["spec"]["selector"]["matchLabels"].as_object();
    wanted.is_some_and(|wanted| {
        let labels = &pod["metadata"]["labels"];
        !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
    })
}

/// The API server's error for pods of the newest `ReplicaSet`.
fn refused(deployment: &Value) -> Option<&str> {
    let conditions = deployment["status"]["conditions"].as_array()?;
    let failure = conditions
        .iter()
        .find(|it| it["type"] == "ReplicaFailure" && it["status"] == "True")?;
    failure["message"].as_str()
}

/// The newest event of a `ReplicaSet` of `deployment` that it cannot create a pod.
fn failed_create<'a>(deployment: &Value, events: &'a [Value]) -> Option<&'a str> {
    let name = deployment["metadata"]["name"].as_str()?;
    let is_its = |event: &Value| {
        let set = event["involvedObject"]["name"].as_str().unwrap_or_default();
        let hash = set.strip_prefix(name).and_then(|it| it.strip_prefix('-'));
        event["involvedObject"]["kind"] == "ReplicaSet" && hash.is_some_and(|it| !it.contains('-'))
    };
    newest_failed_create(events.iter().filter(|it| is_its(it)))
}

/// The message of the newest of `events` about a pod that could not be created.
pub fn newest_failed_create<'a>(events: impl Iterator<Item = &'a Value>) -> Option<&'a str> {
    newest(events.filter(|it| it["reason"] == "FailedCreate"))?["message"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(part: &str, change: &Value) -> Value {
        let mut it = json!({
            "metadata": {"name": format!("cm-{part}"), "namespace": "infra", "generation": 2,
                "labels": {COMPONENT: part, INSTANCE: "cm"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {COMPONENT: part}}},
            "status": {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
        });
        for (pointer, value) in change.as_object().into_iter().flatten() {
            *it.pointer_mut(pointer).unwrap() = value.clone();
        }
        it
    }

    fn pod(part: &str, status: &Value) -> Value {
        json!({"metadata": {"name": format!("cm-{part}-1"), "namespace": "infra", "uid": part,
            "labels": {COMPONENT: part}}, "status": status})
    }

    fn whole(changed: &str, change: &Value) -> Vec<Value> {
        let one = |part: &&str| {
            let none = json!({});
            deployment(part, if *part == changed { change } else { &none })
        };
        PARTS.iter().map(one).collect()
    }

    fn said(deployments: &[Value], pods: &[Value], events: &[Value]) -> Readiness {
        cert_manager("infra", deployments, pods, events).unwrap()
    }

    #[test]
    fn three_parts_that_are_rolled_out_are_ready() {
        assert_eq!(said(&whole("", &json!({})), &[], &[]), Readiness::Ready);
        assert_eq!(cert_manager("infra", &[], &[], &[]), None);
    }

    #[test]
    fn each_part_scaled_to_nothing_is_named_with_its_command() {
        for part in PARTS {
            let found = said(&whole(part, &json!({"/spec/replicas": 0})), &[], &[]);
            let Readiness::Stuck { reason, hint, .. } = found else {
                panic!("{part}: {found:?}");
            };
            assert_eq!(
                reason,
                format!("Deployment `infra/cm-{part}` is scaled to 0")
            );
            assert!(
                hint.contains(&format!(
                    "kubectl -n infra scale deployment cm-{part} --replicas=1"
                )),
                "{hint}"
            );
        }
    }

    #[test]
    fn old_pods_prove_nothing_of_an_image_that_is_missing() {
        let waits = json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting":
            {"reason": "ImagePullBackOff", "message": "not found"}}}]});
        let ready =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let deployments = whole("webhook", &json!({"/status/replicas": 2}));
        let pods = [pod("webhook", &ready), pod("webhook", &waits)];
        let found = said(&deployments, &pods, &[]);
        assert!(
            matches!(&found, Readiness::Stuck { reason, hint, .. }
                if reason.contains("cannot pull its image: not found") && hint.contains("certManager")),
            "{found:?}"
        );
    }

    #[test]
    fn the_schedulers_words_are_quoted_and_the_right_key_named() {
        let waits = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/2 nodes are available: 2 node(s) had untolerated taint(s)"}]});
        let none = json!({"/status/availableReplicas": 0});
        let found = said(
            &whole("cainjector", &none),
            &[pod("cainjector", &waits)],
            &[],
        );
        assert!(
            matches!(&found, Readiness::Stuck { reason, hint, .. }
                if reason.contains("2 node(s) had untolerated taint(s)") && hint.contains("certManager.values")),
            "{found:?}"
        );
    }

    #[test]
    fn a_pod_that_nobody_may_make_is_told_by_the_deployment_or_by_events() {
        let words = "pods \"cm-webhook-\" is forbidden: failed quota: q: must specify limits.cpu";
        let mut deployments = whole("webhook", &json!({"/status/availableReplicas": 0}));
        let event = json!({"reason": "FailedCreate", "message": words, "lastTimestamp": "2026-01-01T00:00:00Z",
            "involvedObject": {"kind": "ReplicaSet", "name": "cm-webhook-5d6cfc6599"}});
        let other = json!({"reason": "FailedCreate", "message": "of another", "lastTimestamp": "2026-01-02T00:00:00Z",
            "involvedObject": {"kind": "ReplicaSet", "name": "cm-webhook-proxy-5d6cfc6599"}});
        let by_event = said(&deployments, &[], &[event, other]);
        deployments[2]["status"]["conditions"] =
            json!([{"type": "ReplicaFailure", "status": "True", "message": words}]);
        let by_condition = said(&deployments, &[], &[]);
        for found in [by_event, by_condition] {
            let reason = found.reason().unwrap();
            assert!(reason.ends_with("must specify limits.cpu"), "{reason}");
            assert!(reason.contains("`infra/cm-webhook`"), "{reason}");
        }
    }

    #[test]
    fn a_change_that_is_not_seen_and_a_part_that_is_gone_are_not_ready() {
        let unseen = said(
            &whole("controller", &json!({"/metadata/generation": 3})),
            &[],
            &[],
        );
        assert!(
            matches!(unseen, Readiness::Progressing { .. }),
            "{unseen:?}"
        );
        let mut without = whole("", &json!({}));
        without.remove(1);
        let reason = said(&without, &[], &[]);
        assert!(
            reason
                .reason()
                .unwrap()
                .contains("cainjector has no Deployment")
        );
    }

    #[test]
    fn another_applications_controller_is_no_part() {
        let mut deployments = whole("", &json!({}));
        let mut other = deployment("controller", &json!({"/spec/replicas": 0}));
        other["metadata"]["labels"][INSTANCE] = "ingress-nginx".into();
        deployments.insert(0, other);
        assert_eq!(said(&deployments, &[], &[]), Readiness::Ready);
    }

    #[test]
    fn an_evicted_pod_does_not_break_what_serves() {
        let evicted = pod("webhook", &json!({"phase": "Failed", "reason": "Evicted"}));
        assert!(!is_live(&evicted));
        assert_eq!(
            said(&whole("", &json!({})), &[evicted], &[]),
            Readiness::Ready
        );
    }
}
