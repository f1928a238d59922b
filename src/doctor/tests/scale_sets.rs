//! The checks and the facts of runner scale sets, which not every profile has.

use serde_json::{Value, json};

use super::{Hide, checks, findings, ids, unanswered, worlds::with_scale_set};
use crate::doctor::{
    check::Verdict,
    redact::slim,
    snapshot::{PodTrial, Refused, ScaleSetFacts, Snapshot},
};

/// The facts of the scale sets.
fn sets(snapshot: &mut Snapshot) -> &mut ScaleSetFacts {
    snapshot.scale_sets.as_mut().unwrap()
}

/// The runner of the scale set.
fn runner(snapshot: &mut Snapshot) -> &mut Value {
    &mut sets(snapshot).runners.as_mut().unwrap()[0]
}

/// The verdict of one check.
fn verdict(snapshot: &Snapshot, id: &str) -> Verdict {
    let all = findings(snapshot);
    let found = all.iter().find(|it| it.id == id);
    found.unwrap().verdict.clone()
}

/// The evidence and the fix of a check that is broken.
fn told(snapshot: &Snapshot, id: &str) -> (String, String) {
    match verdict(snapshot, id) {
        Verdict::Broken { found, fix, .. } => (found, fix),
        other => panic!("{id}: {other:?}"),
    }
}

/// Checks that do not apply to a profile without a scale set.
pub(super) fn of_scale_sets() -> Vec<&'static str> {
    let all = checks().into_iter().map(|it| it.id);
    all.filter(|it| it.starts_with("scale-set-")).collect()
}

/// Makes one fact of the scale sets unknown, where there are any.
macro_rules! facts_of_scale_sets {
    ($($fact:ident),* $(,)?) => {
        &[$((stringify!($fact), |it| {
            if let Some(facts) = &mut it.scale_sets {
                facts.$fact = Err(unanswered());
            }
        })),*]
    };
}

/// Every fact of the scale sets that may be unknown.
pub(super) const FACTS_OF_SCALE_SETS: &[(&str, Hide)] = facts_of_scale_sets!(
    controller,
    controllers,
    sets,
    listeners,
    listener_pods,
    listener_events,
    runner_sets,
    runners,
    secret_name,
    missing_rights,
    at_github,
    recorded,
    pod_monitors,
);

/// Ids are unique in a scope only.
#[test]
fn the_same_id_in_another_scope_is_another_scale_set() {
    let mut snapshot = with_scale_set();
    let facts = snapshot.scale_sets.as_mut().unwrap();
    let all = facts.at_github.as_mut().unwrap();
    let mut theirs = all[0].clone();
    theirs.scope = "https://github.com/another".into();
    theirs.labels = Vec::new();
    theirs.name = "another".into();
    all.insert(0, theirs);
    assert_eq!(ids(&findings(&snapshot), "broken"), [""; 0]);

    // Nor is it the own one, where that is gone.
    let facts = snapshot.scale_sets.as_mut().unwrap();
    facts.at_github.as_mut().unwrap().truncate(1);
    let broken = findings(&snapshot);
    assert!(ids(&broken, "broken").contains(&"scale-set-registered"));
}

#[test]
fn a_set_that_is_registered_in_the_former_scope_is_not_registered_again() {
    let mut snapshot = with_scale_set();
    let facts = snapshot.scale_sets.as_mut().unwrap();
    let recorded = facts.recorded.as_mut().unwrap();
    let record = recorded.get_mut("actions-runner/fast").unwrap();
    record.scope = Some("https://github.com/former".into());
    facts.at_github = Ok(Vec::new());
    let all = findings(&snapshot);
    let found = all.iter().find(|it| it.id == "scale-set-registered");
    let Verdict::Broken { found, fix, .. } = &found.unwrap().verdict else {
        panic!("{all:#?}");
    };
    assert!(
        found.contains("is registered in https://github.com/former"),
        "{found}"
    );
    assert!(!fix.contains("annotate"), "{fix}");
    assert!(
        fix.contains("write https://github.com/former in the profile again"),
        "{fix}"
    );
}

/// What the controller registers anew gets another id, which the next `up` records.
#[test]
fn a_scale_set_that_was_registered_again_is_no_stranger() {
    let mut snapshot = with_scale_set();
    let facts = snapshot.scale_sets.as_mut().unwrap();
    let recorded = facts.recorded.as_mut().unwrap();
    recorded.get_mut("actions-runner/fast").unwrap().id = 6;
    assert_eq!(ids(&findings(&snapshot), "broken"), [""; 0]);

    let facts = snapshot.scale_sets.as_mut().unwrap();
    facts.at_github.as_mut().unwrap()[0].id = 8;
    let broken = findings(&snapshot);
    assert!(ids(&broken, "broken").contains(&"scale-set-known-here"));
}

/// What a check reads must be among the fields that are kept of a live object.
#[test]
fn what_the_checks_of_scale_sets_read_is_kept() {
    let mut snapshot = with_scale_set();
    runner(&mut snapshot)["status"]["jobId"] = json!("1");
    let prometheuses = snapshot.prometheuses.clone().unwrap();
    let facts = sets(&mut snapshot);
    let lists = [
        &facts.sets,
        &facts.listeners,
        &facts.listener_pods,
        &facts.runner_sets,
        &facts.runners,
    ];
    let all = lists.into_iter().flatten().flatten().chain(&prometheuses);
    for object in all {
        assert_eq!(slim(object), *object);
    }
}

/// Removing the annotation alone gives the set another id, and its listener and its runners keep the dead one.
#[test]
fn a_scale_set_that_is_gone_is_made_again_as_a_whole() {
    let mut snapshot = with_scale_set();
    sets(&mut snapshot).at_github = Ok(Vec::new());
    let (_, fix) = told(&snapshot, "scale-set-registered");
    let delete = fix.find("delete autoscalingrunnerset fast");
    let annotate = fix.find("annotate autoscalingrunnerset fast runner-scale-set-id-");
    assert!(annotate.is_some() && annotate < delete, "{fix}");

    let mut snapshot = with_scale_set();
    let facts = sets(&mut snapshot);
    facts.at_github.as_mut().unwrap()[0].id = 8;
    facts.sets.as_mut().unwrap()[0]["metadata"]["annotations"]["runner-scale-set-id"] = json!("8");
    let (found, fix) = told(&snapshot, "scale-set-listener-current");
    assert!(
        found.contains("works for id 7, and scale set `fast` has id 8 now"),
        "{found}"
    );
    assert!(fix.contains("delete autoscalingrunnerset fast"), "{fix}");

    // The runners alone, as after a listener was deleted by hand.
    let facts = sets(&mut snapshot);
    facts.listeners.as_mut().unwrap()[0]["spec"]["runnerScaleSetId"] = json!(8);
    let (found, _) = told(&snapshot, "scale-set-listener-current");
    assert!(found.contains("EphemeralRunnerSet `fast-a`"), "{found}");
}

#[test]
fn a_listener_that_has_just_been_made_is_not_compared() {
    let mut snapshot = with_scale_set();
    let listener = &mut sets(&mut snapshot).listeners.as_mut().unwrap()[0];
    listener["spec"]["ephemeralRunnerSetName"] = json!("fast-new");
    listener["metadata"]["creationTimestamp"] = json!("2026-11-24T11:59:30Z");
    assert_eq!(
        verdict(&snapshot, "scale-set-listener-current"),
        Verdict::Holds
    );
}

/// The controller makes the pod of a listener anew, so that no container shows a restart.
#[test]
fn the_pods_of_a_listener_are_counted_by_their_events() {
    let mut snapshot = with_scale_set();
    let facts = sets(&mut snapshot);
    facts.listener_pods.as_mut().unwrap()[0]["status"]["containerStatuses"][0]["state"] =
        json!({"running": {"startedAt": "2026-11-24T11:59:50Z"}});
    assert_eq!(verdict(&snapshot, "scale-set-session").word(), "unknown");

    let started = |uid: usize, time: &str| {
        json!({"reason": "Scheduled", "metadata": {"creationTimestamp": time},
            "involvedObject": {"kind": "Pod", "name": "fast-1-listener", "uid": uid.to_string()}})
    };
    let earlier = (0..9).map(|it| started(it, "2026-11-24T11:30:00Z"));
    let late = (9..13).map(|it| started(it, "2026-11-24T11:55:00Z"));
    sets(&mut snapshot).listener_events = Ok(earlier.chain(late).collect());
    let (found, fix) = told(&snapshot, "scale-set-session");
    assert!(found.contains("4 pods of it were started"), "{found}");
    assert!(fix.contains("logs -f fast-1-listener"), "{fix}");
}

/// Each is named once, and one command deletes all that the controller does not replace.
#[test]
fn all_runners_that_have_failed_are_told_with_one_command() {
    let mut snapshot = with_scale_set();
    let failed =
        json!({"phase": "Failed", "reason": "InvalidPod", "message": "startupProbe: Forbidden"});
    let mut other = runner(&mut snapshot).clone();
    other["metadata"]["name"] = json!("fast-a-runner-c");
    other["status"] = failed.clone();
    runner(&mut snapshot)["status"] = failed;
    sets(&mut snapshot).runners.as_mut().unwrap().push(other);
    let (found, fix) = told(&snapshot, "scale-set-runners");
    assert_eq!(found.matches("InvalidPod").count(), 2, "{found}");
    assert!(
        fix.contains(
            "`kubectl -n actions-runner delete ephemeralrunner fast-a-runner-b fast-a-runner-c`"
        ),
        "{fix}"
    );
    assert!(fix.contains("CRDs"), "{fix}");
    let mut older = snapshot.clone();
    older.kubernetes = Ok((1, 28));
    let (_, fix) = told(&older, "scale-set-runners");
    assert!(fix.contains("upgrade the cluster to 1.29"), "{fix}");
    assert!(!fix.contains("CRDs"), "{fix}");

    // The controller tries again by itself, and writes no reason.
    sets(&mut snapshot).runners.as_mut().unwrap().truncate(1);
    let ends = json!({"1": "t", "2": "t", "3": "t"});
    runner(&mut snapshot)["status"] = json!({"phase": "Pending", "failures": ends});
    let (found, _) = told(&snapshot, "scale-set-runners");
    assert!(found.contains("has ended 3 times without a job"), "{found}");
    runner(&mut snapshot)["status"] = json!({"phase": "Running", "ready": true, "runnerId": 3, "failures": ends, "reason": "Evicted"});
    assert_eq!(verdict(&snapshot, "scale-set-runners"), Verdict::Holds);
}

#[test]
fn a_runner_whose_pod_a_quota_refuses_is_told_with_the_quota() {
    let mut snapshot = with_scale_set();
    let pods = snapshot.runner_pods.as_mut().unwrap();
    pods.retain(|it| it["metadata"]["name"] != "fast-a-runner-b");
    let trial = |namespace: &str, quota: &str| PodTrial {
        namespace: namespace.into(),
        pool: "fast".into(),
        refused: Ok(Some(Refused {
            said: format!("exceeded quota: {quota}"),
            fix: "raise the quota".into(),
            lacks_room: true,
        })),
    };
    // A pool of the same name in another namespace has another quota.
    let trials = [trial("others", "small"), trial("actions-runner", "compute")];
    snapshot.pod_trials.as_mut().unwrap().extend(trials);
    let (found, fix) = told(&snapshot, "scale-set-runner-pods");
    assert!(
        found.contains("`fast-a-runner-b` of scale set `fast` has no pod: exceeded quota: compute"),
        "{found}"
    );
    assert_eq!(fix, "raise the quota");

    // It was registered a moment ago, or it is tried again after its pod has ended.
    let mut new = snapshot.clone();
    runner(&mut new)["metadata"]["creationTimestamp"] = json!("2026-11-24T11:59:00Z");
    assert_eq!(verdict(&new, "scale-set-runner-pods"), Verdict::Holds);
    // It was made while the facts were read, after the pods.
    runner(&mut new)["metadata"]["creationTimestamp"] = json!("2026-11-24T12:00:01Z");
    assert_eq!(verdict(&new, "scale-set-runner-pods"), Verdict::Holds);
    runner(&mut snapshot)["status"]["failures"] = json!({"1": "t"});
    assert_eq!(verdict(&snapshot, "scale-set-runner-pods"), Verdict::Holds);
}

/// GitHub removes a runner some seconds before its program ends: with many runners there is always such a one.
#[test]
fn a_runner_that_has_just_ended_its_job_is_not_told() {
    let id = "scale-set-runners-online";
    let mut snapshot = with_scale_set();
    snapshot
        .registered
        .as_mut()
        .unwrap()
        .retain(|it| it.name != "fast-a-runner-b");
    assert_eq!(verdict(&snapshot, id).word(), "broken");
    runner(&mut snapshot)["status"]["jobId"] = json!("1");
    let pod = |snapshot: &mut Snapshot, made: &str| {
        let pods = snapshot.runner_pods.as_mut().unwrap();
        let own = pods
            .iter_mut()
            .find(|it| it["metadata"]["name"] == "fast-a-runner-b");
        own.unwrap()["metadata"]["creationTimestamp"] = json!(made);
    };
    pod(&mut snapshot, "2026-11-20T12:00:04Z");
    assert_eq!(verdict(&snapshot, id), Verdict::Holds);

    // Its node was lost, and its pod was made again with a registration that has been used.
    pod(&mut snapshot, "2026-11-21T00:00:00Z");
    assert_eq!(verdict(&snapshot, id).word(), "broken");
}

/// Its runners end their jobs first, which may take hours.
#[test]
fn a_scale_set_that_goes_when_its_jobs_have_ended_is_not_stuck() {
    let mut snapshot = with_scale_set();
    let set = &mut sets(&mut snapshot).sets.as_mut().unwrap()[0]["metadata"];
    set["deletionTimestamp"] = json!("2026-11-24T09:00:00Z");
    set["finalizers"] = json!(["autoscalingrunnerset.actions.github.com/finalizer"]);
    let (found, fix) = told(&snapshot, "scale-set-nothing-stuck");
    assert!(
        found.contains("AutoscalingRunnerSet `actions-runner/fast`"),
        "{found}"
    );
    assert!(
        fix.contains("annotate autoscalingrunnerset fast runner-scale-set-id-"),
        "{fix}"
    );
    runner(&mut snapshot)["status"]["jobId"] = json!("1");
    assert_eq!(
        verdict(&snapshot, "scale-set-nothing-stuck"),
        Verdict::Holds
    );
}
