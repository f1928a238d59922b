//! Finds why a pod does not run, from its status and its events. Pure: no I/O.

pub(crate) mod claims;
mod images;

use serde_json::Value;

use super::user;
use crate::{
    desired::names,
    resource::{
        events::{newest, warnings_about},
        kubernetes::rollout::{COMPONENT, PARTS},
        observed::Readiness,
    },
};

/// How often a message about a volume must be repeated before the pod counts as stuck: volumes that cert-manager fills are
/// missing in the first seconds of every installation (reference: observed.md), and a storage driver takes some seconds too.
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
    if let Some(waits) = claims::readiness(pod, name, events) {
        return waits;
    }
    if let Some(condition) = unschedulable(pod) {
        let message = condition["message"].as_str().unwrap_or("no node fits");
        return unscheduled(pod, name, message, events, &look);
    }
    if let Some((container, reason, message)) = waiting(pod) {
        return match reason {
            _ if images::REASONS.contains(&reason) => images::readiness(pod, name, message, events),
            "CreateContainerConfigError"
            | "CreateContainerError"
            | "CrashLoopBackOff"
            | "RunContainerError" => {
                let crashes = reason == "CrashLoopBackOff";
                let start_error = user::start_error(pod).filter(|_| crashes);
                // Kubelet says only that it starts it again; why it ends is in its log, if it ran.
                let look = if crashes && start_error.is_none() {
                    format!(
                        "see why it ends: `kubectl -n {namespace} logs {name} -c {container} --previous`"
                    )
                } else {
                    look
                };
                let (reason, message) = start_error.unwrap_or((reason, message));
                Readiness::stuck(
                    format!("pod `{name}`: {reason}: {message}"),
                    user::hint(pod, message).unwrap_or(look),
                )
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

/// That the scheduler has no node for a pod, or could not bind it to one, in its words.
fn unscheduled(pod: &Value, name: &str, message: &str, events: &[Value], look: &str) -> Readiness {
    // This is not a lack of nodes: the pod's event contains why its claim is not created.
    if message.contains("waiting for ephemeral volume controller") {
        return without_claim(pod, name, events).unwrap_or_else(|| {
            Readiness::progressing(format!("pod `{name}` waits for its volume: {message}"))
        });
    }
    let hint = if message.contains("no nodes available") {
        NO_NODES.to_owned()
    } else if claims::is_about_a_claim(message) {
        claims::hint(pod)
    } else if message.contains("not supported on Fargate") {
        NOT_ON_FARGATE.to_owned()
    } else if message.contains("nodes are available") {
        format!("add nodes that fit, or change {}", placement_keys(pod))
    } else {
        look.to_owned()
    };
    Readiness::stuck(format!("pod `{name}` is unschedulable: {message}"), hint)
}

/// Why a claim of the pod's ephemeral volumes is not created: their controller reports it in events of the pod (kubernetes,
/// `pkg/controller/volume/ephemeral`).
fn without_claim(pod: &Value, name: &str, events: &[Value]) -> Option<Readiness> {
    let refused = events.iter().find(|it| {
        it["reason"] == "FailedBinding" && it["involvedObject"]["uid"] == pod["metadata"]["uid"]
    })?;
    let said = refused["message"].as_str().unwrap_or_default();
    Some(Readiness::stuck(
        format!("pod `{name}` has no volume: {said}"),
        "change the volume claim (containerMode.kubernetes.workVolume, or the volume under template.volumes, of the pool in the profile), or the quota, LimitRange or policy that rejects it",
    ))
}

/// The hint where the cluster has no nodes: autoscalers start only when a pod is pending.
const NO_NODES: &str = "the cluster has no nodes: add a node group, or wait until the node autoscaler (Karpenter, Cluster Autoscaler) adds one for this pod";

/// The hint for what Fargate does not run (docs.aws.amazon.com, "Simplify compute management with AWS Fargate").
const NOT_ON_FARGATE: &str = "AWS Fargate runs no privileged container, and has few kinds of volumes: set containerMode of the pool in the profile to none, or run its pods on EC2 nodes, by taking their namespace or labels out of the Fargate profile";

/// The hint where the VPC CNI has no address for a pod (amazon-vpc-cni-k8s, "add cmd").
const NO_ADDRESS: &str = "the node has no free address of the VPC; a new node gets its addresses within a minute or two. See whether its subnet has free ones, and `kubectl -n kube-system logs daemonset/aws-node -c aws-node`";

/// The creator of a pod, by its labels.
pub(super) enum Maker {
    Pool,
    Controller,
    CertManager,
    /// The controller of scale sets, and their listeners, which have its image.
    ScaleSetController,
    Other,
}

pub(super) fn maker(object: &Value) -> Maker {
    let label = |name: &str| object["metadata"]["labels"][name].as_str();
    let part_of = label("app.kubernetes.io/part-of").unwrap_or_default();
    if label("runner-deployment-name").is_some() || label(names::RUNNER_LABEL).is_some() {
        Maker::Pool
    } else if ["gha-rs-controller", "gha-runner-scale-set"].contains(&part_of) {
        Maker::ScaleSetController
    } else if label("app.kubernetes.io/name") == Some(names::CONTROLLER) {
        Maker::Controller
    } else if label(COMPONENT).is_some_and(|it| PARTS.contains(&it)) {
        Maker::CertManager
    } else {
        Maker::Other
    }
}

/// The keys in the profile for the placement of a pod.
fn placement_keys(pod: &Value) -> &'static str {
    match maker(pod) {
        Maker::Pool => "instanceType, nodeSelector, tolerations or resources in the profile",
        Maker::Controller => {
            "nodeSelector, tolerations or resources under controller.values in the profile"
        }
        Maker::CertManager => {
            "nodeSelector, tolerations or resources of the part under certManager.values in the profile"
        }
        Maker::ScaleSetController => {
            "nodeSelector or tolerations of the pool or under scaleSets.values in the profile"
        }
        Maker::Other => "the nodeSelector, affinity, tolerations or resources of the pod",
    }
}

/// The key of the profile, or the creator, to change so that the pods of `object` comply with a policy.
pub(crate) fn what_to_change(object: &Value) -> &'static str {
    match maker(object) {
        Maker::Controller => "change `controller.values` in the profile",
        Maker::CertManager => {
            "change `certManager.values` in the profile, where arcctl installs it"
        }
        Maker::ScaleSetController => "change `scaleSets.values` in the profile",
        Maker::Pool | Maker::Other => "change the manifest or chart that made it",
    }
}

/// The scheduler's condition for a pod without a suitable node.
pub(crate) fn unschedulable(pod: &Value) -> Option<&Value> {
    condition(pod).filter(|it| it["reason"] == "Unschedulable")
}

/// The scheduler's condition for a pod that it could not bind to a node, for whatever reason.
fn condition(pod: &Value) -> Option<&Value> {
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    conditions.find(|it| it["type"] == "PodScheduled" && it["status"] == "False")
}

/// The name of the first waiting container, with the reason and the message.
fn waiting(pod: &Value) -> Option<(&str, &str, &str)> {
    ["initContainerStatuses", "containerStatuses"]
        .iter()
        .flat_map(|list| pod["status"][*list].as_array().into_iter().flatten())
        .find_map(|status| {
            let waiting = &status["state"]["waiting"];
            Some((
                status["name"].as_str().unwrap_or_default(),
                waiting["reason"].as_str()?,
                waiting["message"].as_str().unwrap_or_default(),
            ))
        })
}

/// The newest warning about the pod. Why it had no node before it got one is over.
fn event_reason(pod: &Value, name: &str, events: &[Value], look: &str) -> Option<Readiness> {
    let own = warnings_about(events, &pod["metadata"]["uid"])
        .filter(|it| it["reason"] != "FailedScheduling" || pod["spec"]["nodeName"].is_null());
    let event = newest(own)?;
    let said = event["message"].as_str().unwrap_or_default();
    if event["reason"] == "FailedScheduling" {
        return Some(unscheduled(pod, name, said, events, look));
    }
    let look = if said.contains("failed to assign an IP address") {
        NO_ADDRESS
    } else {
        look
    };
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
            Readiness::Settling { .. } => 1,
            Readiness::Progressing { .. } => 2,
            Readiness::Stuck { .. } => 3,
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
    fn without_any_node_nothing_of_the_profile_is_at_fault() {
        let pod = pod(
            &json!({"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "no nodes available to schedule pods"}]}),
        );
        let Readiness::Stuck { hint, .. } = readiness(&pod, &[]) else {
            panic!("it is not stuck");
        };
        assert_eq!(hint, NO_NODES);
    }

    #[test]
    fn a_claim_that_is_refused_is_no_lack_of_nodes() {
        let said = "0/2 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-work\". not found";
        let pod = pod(
            &json!({"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": said}]}),
        );
        assert!(matches!(
            readiness(&pod, &[]),
            Readiness::Progressing { .. }
        ));
        let event = json!({"type": "Warning", "reason": "FailedBinding", "involvedObject": {"uid": "u"},
            "message": "ephemeral volume \"work\": exceeded quota: q"});
        let Readiness::Stuck { reason, hint, .. } = readiness(&pod, &[event]) else {
            panic!("it is not stuck");
        };
        assert_eq!(
            reason,
            "pod `p` has no volume: ephemeral volume \"work\": exceeded quota: q"
        );
        assert!(
            hint.contains("workVolume") && !hint.contains("nodes"),
            "{hint}"
        );
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
    fn what_kept_a_pod_from_nodes_is_over_once_it_has_one() {
        let said = "0/2 nodes are available: 2 node(s) had untolerated taint(s). no new claims to deallocate, \
            preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
        // As the core API shows an event of `events.k8s.io`.
        let event = json!({"type": "Warning", "reason": "FailedScheduling", "message": said, "source": {},
            "firstTimestamp": null, "lastTimestamp": null, "eventTime": "2026-11-26T22:56:13.365062Z",
            "reportingComponent": "default-scheduler", "involvedObject": {"uid": "u"}});
        let older = json!({"type": "Warning", "reason": "FailedBinding", "message": "exceeded quota: q",
            "lastTimestamp": "2026-11-26T22:56:12Z", "involvedObject": {"uid": "u"}});
        let mut pod = pod(&json!({"phase": "Pending"}));
        let waiting = readiness(&pod, &[event.clone(), older]);
        assert!(
            matches!(&waiting, Readiness::Stuck { reason, .. } if reason.contains("untolerated taint(s)")),
            "{waiting:?}"
        );
        pod["spec"]["nodeName"] = json!("n");
        let bound = readiness(&pod, &[event]);
        assert_eq!(bound.reason(), Some("pod `p` is Pending and not ready"));
    }

    /// The next step of what is known: a log, a Fargate profile, the addresses of a subnet.
    #[test]
    fn what_is_known_of_a_failure_chooses_the_next_step() {
        let hint = |pod: &Value, events: &[Value]| match readiness(pod, events) {
            Readiness::Stuck { reason, hint, .. } => (reason, hint),
            other => panic!("{other:?}"),
        };
        let crashing = pod(
            &json!({"containerStatuses": [{"name": "runner", "state": {"waiting":
            {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}}}]}),
        );
        let log = "see why it ends: `kubectl -n n logs p -c runner --previous`";
        assert_eq!(hint(&crashing, &[]).1, log);
        let event = |reason: &str, said: &str| {
            json!({"type": "Warning", "reason": reason, "message": said,
                "lastTimestamp": "2026-11-28T07:00:00Z", "involvedObject": {"uid": "u"}})
        };
        let waiting = pod(&json!({"phase": "Pending"}));
        let fargate = "Pod not supported on Fargate: invalid SecurityContext fields: Privileged";
        let (reason, mends) = hint(&waiting, &[event("FailedScheduling", fargate)]);
        assert_eq!(reason, format!("pod `p` is unschedulable: {fargate}"));
        assert_eq!(mends, NOT_ON_FARGATE);
        let look = "look at it with `kubectl -n n describe pod p`";
        let rejected = "binding rejected: running Bind plugin \"DefaultBinder\": etcdserver: request timed out";
        let of_a_claim =
            "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
        for (said, first) in [(rejected, look), (of_a_claim, "create the claim")] {
            let mends = hint(&waiting, &[event("FailedScheduling", said)]).1;
            assert!(mends.starts_with(first), "{said}: {mends}");
        }
        let address = "Failed to create pod sandbox: plugin type=\"aws-cni\" failed (add): add cmd: failed to assign an IP address to container";
        assert_eq!(
            hint(&waiting, &[event("FailedCreatePodSandBox", address)]).1,
            NO_ADDRESS
        );
    }

    #[test]
    fn running_is_not_ready_while_it_is_deleted() {
        let mut pod = pod(&json!({"conditions": [{"type": "Ready", "status": "True"}]}));
        assert!(is_ready(&pod));
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!is_ready(&pod));
    }
}
