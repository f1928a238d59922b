//! Finds why the volumes of a pod do not come, from the events about its claims: the pod and the scheduler say only that they
//! wait. Pure: no I/O.
//!
//! Sources of the messages: kubernetes, `pkg/controller/volume/persistentvolume` and the scheduler's `volumebinding`;
//! kubernetes-csi, external-provisioner.

use serde_json::Value;

use super::{Maker, PASSING_REPEATS, condition, maker, worst};
use crate::resource::{
    events::{newest, seen},
    observed::Readiness,
};

/// The reason of the event that a storage driver is to make a volume. It is `Normal`, and comes again every 15 seconds until
/// there is one (`--pvclaimbinder-sync-period`).
const AWAITS_DRIVER: &str = "ExternalProvisioning";

/// The reason of the event that a driver has made a volume.
const MADE: &str = "ProvisioningSucceeded";

/// The reasons of those events about claims that are read here and are `Normal`.
pub(crate) const NORMAL: [&str; 2] = [AWAITS_DRIVER, MADE];

/// The reasons of warnings that a claim is not bound (kubernetes, `pv_controller.go`; external-provisioner has the first one
/// too): one such as `VolumeResizeFailed` is about a bound one.
const NOT_BOUND: [&str; 5] = [
    "ProvisioningFailed",
    "FailedBinding",
    "VolumeMismatch",
    "ClaimLost",
    "ClaimMisbound",
];

/// What the scheduler says of a claim. A claim that one pod only may use is not among them: other pods keep it.
const OF_A_CLAIM: [&str; 4] = [
    "unbound immediate PersistentVolumeClaims",
    "persistentvolumeclaim \"",
    "available persistent volumes to bind",
    "binding volumes",
];

/// The storage drivers of EKS, and their add-ons (docs.aws.amazon.com, "Amazon EKS add-ons").
const DRIVERS: [(&str, &str); 3] = [
    ("ebs.csi.aws.com", "aws-ebs-csi-driver"),
    ("efs.csi.aws.com", "aws-efs-csi-driver"),
    ("fsx.csi.aws.com", "aws-fsx-csi-driver"),
];

/// Whether `pod` waits for a node, and a claim of it may be why.
pub(crate) fn may_wait(pod: &Value) -> bool {
    let said = scheduler(pod);
    pod["spec"]["nodeName"].is_null()
        && names(pod).next().is_some()
        && said.is_none_or(is_about_a_claim)
}

/// Whether the scheduler's message is about a claim.
pub(super) fn is_about_a_claim(said: &str) -> bool {
    OF_A_CLAIM.iter().any(|it| said.contains(it))
}

/// What mends a claim that the scheduler does not find, or finds not bound.
pub(super) fn hint(pod: &Value) -> String {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    format!(
        "create the claim that is missing, or see why it is not bound: `kubectl -n {namespace} describe persistentvolumeclaims`; or change {}",
        keys(pod)
    )
}

/// Why the volumes of `pod` do not come; `None` where no event tells of its claims.
pub(super) fn readiness(pod: &Value, name: &str, events: &[Value]) -> Option<Readiness> {
    if !may_wait(pod) {
        return None;
    }
    let told: Vec<Readiness> = names(pod)
        .filter_map(|claim| unbound(pod, name, &claim, events))
        .collect();
    (!told.is_empty()).then(|| worst(told))
}

/// Why `claim` of `pod` is not bound; `None` where no event tells of that.
fn unbound(pod: &Value, name: &str, claim: &str, events: &[Value]) -> Option<Readiness> {
    let of_it: Vec<&Value> = events.iter().filter(|it| is_of(it, pod, claim)).collect();
    let with = |reason: &str| newest(of_it.iter().copied().filter(|it| it["reason"] == reason));
    let made = with(MADE);
    let failed = newest(of_it.iter().copied().filter(|it| {
        it["type"] == "Warning" && NOT_BOUND.iter().any(|reason| it["reason"] == *reason)
    }));
    // Each attempt of a driver that fails makes an event.
    let failed = failed.filter(|it| made.is_none_or(|made| seen(made) < seen(it)));
    let event = failed.or_else(|| with(AWAITS_DRIVER).filter(|_| made.is_none()))?;
    let said = event["message"].as_str().unwrap_or_default();
    if failed.is_none() && event["count"].as_i64().unwrap_or(1) < PASSING_REPEATS {
        return Some(Readiness::progressing(format!(
            "pod `{name}` waits for its volume: claim `{claim}`: {said}"
        )));
    }
    Some(Readiness::stuck(
        format!("pod `{name}` is unschedulable: its claim `{claim}` is not bound: {said}"),
        mend(pod, claim, said),
    ))
}

fn mend(pod: &Value, claim: &str, said: &str) -> String {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let keys = keys(pod);
    let driver = DRIVERS.iter().find(|(driver, _)| said.contains(driver));
    let first = match driver {
        Some((driver, add_on)) => format!(
            "install the driver `{driver}`, or mend it (on EKS the add-on `{add_on}`, which needs an IAM role of its own)"
        ),
        None => "mend what the message names".to_owned(),
    };
    format!(
        "{first}, or change {keys}; all that is told of the claim shows `kubectl -n {namespace} describe persistentvolumeclaim {claim}`"
    )
}

/// The keys in the profile for the volumes of a pod.
fn keys(pod: &Value) -> &'static str {
    match maker(pod) {
        Maker::Pool => {
            "containerMode.kubernetes.workVolume, or the volume under template.volumes, of the pool in the profile"
        }
        _ => "the volumes of the pod",
    }
}

/// The scheduler's message, if it has judged the pod.
fn scheduler(pod: &Value) -> Option<&str> {
    condition(pod)?["message"].as_str()
}

/// The names of the claims that the volumes of `pod` may have: an ephemeral one is called after the pod and the volume
/// (kubernetes, `pkg/controller/volume/ephemeral`).
fn names(pod: &Value) -> impl Iterator<Item = String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    volumes.filter_map(move |volume| {
        let claim = volume["persistentVolumeClaim"]["claimName"].as_str();
        if let Some(claim) = claim {
            return Some(claim.to_owned());
        }
        let (pod, name) = (pod["metadata"]["name"].as_str()?, volume["name"].as_str()?);
        volume["ephemeral"]["volumeClaimTemplate"]
            .is_object()
            .then(|| format!("{pod}-{name}"))
    })
}

/// Whether `event` is about `claim` in the namespace of `pod`.
fn is_of(event: &Value, pod: &Value, claim: &str) -> bool {
    let object = &event["involvedObject"];
    object["kind"] == "PersistentVolumeClaim"
        && object["namespace"] == pod["metadata"]["namespace"]
        && object["name"] == claim
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::resource::pods::status::readiness;

    use super::*;

    const AWAITS: &str = "Waiting for a volume to be created either by the external provisioner 'ebs.csi.aws.com' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.";
    const UNBOUND: &str =
        "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found";

    /// A pod of a pool with an ephemeral volume, and what the scheduler says of it.
    fn pod(said: Option<&str>) -> Value {
        let conditions = said.map(|it| {
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": it}])
        });
        json!({
            "metadata": {"name": "basic-a", "namespace": "ci", "uid": "u", "labels": {"runner-deployment-name": "basic"}},
            "spec": {"volumes": [{"name": "work", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}, {"name": "x"}]},
            "status": {"phase": "Pending", "conditions": conditions},
        })
    }

    fn event(kind: &str, reason: &str, count: i64, message: &str) -> Value {
        json!({"type": kind, "reason": reason, "count": count, "message": message,
            "lastTimestamp": "2026-11-28T07:00:00Z",
            "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "ci", "name": "basic-a-work"}})
    }

    fn stuck(pod: &Value, events: &[Value]) -> (String, String) {
        match readiness(pod, events) {
            Readiness::Stuck { reason, hint, .. } => (reason, hint),
            other => panic!("{other:?}"),
        }
    }

    /// EKS without the driver: the class binds late, so the scheduler says nothing for ten minutes (eksctl's default class).
    #[test]
    fn a_driver_that_is_not_there_is_named_with_its_add_on() {
        let waits = |count| readiness(&pod(None), &[event("Normal", AWAITS_DRIVER, count, AWAITS)]);
        assert!(
            matches!(waits(1), Readiness::Progressing { .. }),
            "{:?}",
            waits(1)
        );
        let events = [event("Normal", AWAITS_DRIVER, 9, AWAITS)];
        for said in [
            None,
            Some(UNBOUND),
            Some(
                "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded",
            ),
        ] {
            let (reason, hint) = stuck(&pod(said), &events);
            assert!(
                reason.contains(
                    "is unschedulable: its claim `basic-a-work` is not bound: Waiting for a volume"
                ),
                "{reason}"
            );
            assert!(
                hint.contains("`aws-ebs-csi-driver`") && hint.contains("workVolume"),
                "{hint}"
            );
            assert!(!hint.contains("add nodes"), "{hint}");
        }
    }

    #[test]
    fn the_drivers_own_words_are_quoted() {
        let said = "failed to provision volume with StorageClass \"gp3\": rpc error: code = Internal desc = Could not create volume \"pvc-1\": could not create volume in EC2: UnauthorizedOperation";
        let events = [
            event("Normal", AWAITS_DRIVER, 1, AWAITS),
            event("Warning", "ProvisioningFailed", 1, said),
        ];
        let (reason, hint) = stuck(&pod(None), &events);
        assert!(reason.ends_with(said), "{reason}");
        assert!(
            hint.contains("describe persistentvolumeclaim basic-a-work"),
            "{hint}"
        );
    }

    #[test]
    fn what_the_scheduler_says_of_nodes_or_of_a_claim_that_is_not_there_stays() {
        let events = [event("Normal", AWAITS_DRIVER, 9, AWAITS)];
        let (reason, hint) = stuck(
            &pod(Some("0/2 nodes are available: 2 Insufficient cpu.")),
            &events,
        );
        assert!(
            reason.ends_with("2 Insufficient cpu.") && hint.starts_with("add nodes"),
            "{reason} {hint}"
        );
        let absent = "0/2 nodes are available: persistentvolumeclaim \"cache\" not found.";
        let (reason, hint) = stuck(&pod(Some(absent)), &[]);
        assert!(reason.ends_with(absent), "{reason}");
        assert!(
            hint.starts_with("create the claim") && !hint.contains("nodes"),
            "{hint}"
        );
    }

    #[test]
    fn what_is_told_of_other_claims_and_of_earlier_attempts_is_over() {
        let mut other = event("Warning", "ProvisioningFailed", 9, "no space");
        other["involvedObject"]["name"] = json!("basic-b-work");
        let failed = event("Warning", "ProvisioningFailed", 9, "no space");
        let mut made = event("Normal", "ProvisioningSucceeded", 1, "it is there");
        made["lastTimestamp"] = json!("2026-11-28T07:00:01Z");
        for events in [vec![other], vec![failed.clone(), made]] {
            let found = readiness(&pod(None), &events);
            assert_eq!(
                found.reason(),
                Some("pod `basic-a` is Pending and not ready")
            );
        }
        let resized = event("Warning", "VolumeResizeFailed", 9, "the quota is used up");
        assert_eq!(
            readiness(&pod(None), &[resized]).reason(),
            Some("pod `basic-a` is Pending and not ready")
        );
        let mut bound = pod(None);
        bound["spec"]["nodeName"] = json!("n");
        assert!(!may_wait(&bound) && may_wait(&pod(None)));
        assert!(matches!(
            readiness(&bound, &[failed]),
            Readiness::Progressing { .. }
        ));
    }

    #[test]
    fn a_claim_that_is_bound_says_nothing_of_another() {
        let mut pod = pod(None);
        pod["spec"]["volumes"][1] =
            json!({"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}});
        let made = event("Normal", "ProvisioningSucceeded", 1, "it is there");
        let awaits = AWAITS.replace("ebs", "efs");
        let mut cache = event("Normal", AWAITS_DRIVER, 40, &awaits);
        cache["involvedObject"]["name"] = json!("cache");
        let (reason, hint) = stuck(&pod, &[made, cache]);
        assert!(
            reason.contains("its claim `cache` is not bound"),
            "{reason}"
        );
        assert!(hint.contains("`aws-efs-csi-driver`"), "{hint}");
    }
}
