//! Tests of the runners' pods and their registration.

use super::{findings, variants, worlds::healthy};
use crate::doctor::{check::Verdict, redact::slim, snapshot::Snapshot};

#[test]
fn a_pool_lacks_runners_unless_some_are_online_and_the_rest_has_just_begun() {
    let word = |change: fn(&mut Snapshot)| {
        let mut snapshot = healthy();
        variants::turnover(&mut snapshot);
        change(&mut snapshot);
        let found = findings(&snapshot);
        let online = found.iter().find(|it| it.id == "runners-online").unwrap();
        online.verdict.word()
    };
    assert_eq!(word(|_| {}), "holds");
    let old: fn(&mut Snapshot) = |it| {
        let pods = it.runner_pods.as_mut().unwrap();
        pods[1]["metadata"]["creationTimestamp"] = serde_json::json!("2026-11-24T11:57:00Z");
    };
    assert_eq!(word(old), "broken");
    assert_eq!(
        word(|it| it.registered.as_mut().unwrap()[0].online = false),
        "broken"
    );
    // No pod comes at all: a quota, or a controller that makes none.
    assert_eq!(
        word(|it| drop(it.runner_pods.as_mut().unwrap().pop())),
        "broken"
    );
}

#[test]
fn a_pod_that_never_started_and_was_asked_to_leave_is_to_be_deleted() {
    let schedulable = |annotations: serde_json::Value| {
        let mut snapshot = healthy();
        let pod = &mut snapshot.runner_pods.as_mut().unwrap()[0];
        pod["metadata"]["namespace"] = "ci".into();
        pod["metadata"]["annotations"] = annotations;
        pod["status"] = serde_json::json!({"phase": "Pending", "conditions": [{"type": "PodScheduled",
            "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"}]});
        // The world contains only the kept fields of an object.
        *pod = slim(pod);
        let found = findings(&snapshot);
        let found = found.iter().find(|it| it.id == "pods-schedulable").unwrap();
        match &found.verdict {
            Verdict::Broken { fix, .. } => fix.clone(),
            other => panic!("{other:?}"),
        }
    };
    let asked = "actions-runner/unregistration-request-timestamp";
    let left = schedulable(serde_json::json!({ (asked): "t" }));
    assert_eq!(
        left,
        "delete what never started: `kubectl -n ci delete pod basic-a`"
    );
    // A pod that is not asked to stop does not count.
    let wanted = schedulable(serde_json::json!({}));
    assert!(wanted.starts_with("add nodes that fit"), "{wanted}");
    // The controller can see the end of a registration.
    let registered = schedulable(serde_json::json!({ (asked): "t", "actions-runner/id": "7" }));
    assert!(registered.starts_with("add nodes that fit"), "{registered}");
}

/// A pod that waits for the volume of a storage driver: no node mends that.
#[test]
fn a_claim_that_is_not_bound_is_told_in_the_drivers_words() {
    let mut snapshot = healthy();
    let pod = &mut snapshot.runner_pods.as_mut().unwrap()[0];
    pod["metadata"]["namespace"] = "ci".into();
    pod["status"] = serde_json::json!({"phase": "Pending"});
    pod["spec"] = serde_json::json!({"volumes": [{"name": "work",
        "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}]});
    // The world contains only the kept fields of an object.
    *pod = slim(pod);
    let claim = format!("{}-work", pod["metadata"]["name"].as_str().unwrap());
    let said = "failed to provision volume with StorageClass \"gp3\": UnauthorizedOperation";
    snapshot.runner_events = Ok(vec![
        serde_json::json!({"type": "Warning", "reason": "ProvisioningFailed",
        "message": said, "lastTimestamp": "2026-11-24T11:59:00Z",
        "involvedObject": {"kind": "PersistentVolumeClaim", "namespace": "ci", "name": claim}}),
    ]);
    let all = findings(&snapshot);
    let judged = all.iter().find(|it| it.id == "pods-schedulable").unwrap();
    let Verdict::Broken { found, fix, .. } = &judged.verdict else {
        panic!("{judged:?}");
    };
    assert!(found.ends_with(said), "{found}");
    assert!(
        fix.contains("describe persistentvolumeclaim") && !fix.contains("add nodes"),
        "{fix}"
    );
}
