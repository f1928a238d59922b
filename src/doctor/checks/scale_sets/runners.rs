//! Checks of the runners of a scale set. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{age, facts, seconds_since, sets};
use crate::{
    doctor::{
        check::{Verdict, known},
        snapshot::{Refused, ScaleSetFacts, Snapshot},
    },
    profile::Pool,
    resource::{
        observed::Readiness,
        scale_sets::{
            objects::{has_ended, is_ready, name, set_of},
            runners::failure,
        },
    },
};

/// How many seconds a registered runner may be without a pod: the controller makes it in the next step.
const POD_SECONDS: i64 = 120;

/// How many seconds the container of a runner may run before it is online at GitHub.
const ONLINE_SECONDS: i64 = 300;

/// What the API server says of a pod whose sidecar has lost its `restartPolicy` (reference: scale-sets.md 6).
const PRUNED: &str = "startupProbe: Forbidden";

/// The runners of the profile's scale sets, each with its pool; without those that are being deleted.
fn of_sets<'a>(
    snapshot: &'a Snapshot,
    facts: &'a ScaleSetFacts,
) -> Result<Vec<(&'a Pool, &'a Value)>, Verdict> {
    let all = known(&facts.runners)?;
    let mut found = Vec::new();
    for (pool, _) in sets(snapshot, facts)? {
        let mine = all.iter().filter(|it| {
            set_of(it) == Some(pool.name.as_str())
                && it["metadata"]["namespace"] == pool.namespace.as_str()
                && it["metadata"]["deletionTimestamp"].is_null()
        });
        found.extend(mine.map(|it| (pool, it)));
    }
    Ok(found)
}

pub(super) fn runners(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let (mut found, mut fixes, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (pool, runner) in of_sets(snapshot, facts)? {
        // Its status may still have the reason of an earlier end.
        if is_ready(runner) {
            continue;
        }
        let of = format!("scale set `{}`", pool.name);
        let Some(Readiness::Stuck { reason, hint, .. }) = failure(runner, &of) else {
            continue;
        };
        found.push(reason);
        if runner["status"]["phase"] == "Failed" {
            failed.push(runner);
        } else if !fixes.contains(&hint) {
            fixes.push(hint);
        }
    }
    if found.iter().any(|it| it.contains(PRUNED)) {
        fixes.push("`arcctl up` applies the CRDs of the chart: older ones drop `restartPolicy` of a sidecar; so does a webhook that does not know it".to_owned());
    }
    if !failed.is_empty() {
        let delete = deletion(&failed);
        fixes.push(format!(
            "mend the cause, then {delete}: the controller makes others"
        ));
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

/// A runner without a pod takes no job, and counts towards the maximum. The controller writes it nowhere but in its log when a
/// quota refuses the pod (actions-runner-controller#4305).
pub(super) fn runner_pods(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let pods = known(&snapshot.runner_pods)?;
    let (mut found, mut fixes) = (Vec::new(), BTreeSet::new());
    for (pool, runner) in of_sets(snapshot, facts)? {
        let is_new =
            age(runner, "creationTimestamp", snapshot.now).is_none_or(|it| it < POD_SECONDS);
        if is_new || !is_due(runner) || pod(pods, runner).is_some() {
            continue;
        }
        let refused = refused(snapshot, pool);
        let said = refused.map_or_else(String::new, |it| format!(": {}", it.said));
        found.push(format!(
            "runner `{}` of scale set `{}` has no pod{said}",
            name(runner),
            pool.name
        ));
        fixes.insert(refused.map_or_else(
            || {
                let log = snapshot.profile.scale_sets.log_command();
                format!("the controller's log says why: `{log}`")
            },
            |it| it.fix.clone(),
        ));
    }
    let fixes: Vec<String> = fixes.into_iter().collect();
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

/// Whether the next step of the controller is a pod: one that has failed before is tried again later.
fn is_due(runner: &Value) -> bool {
    let status = &runner["status"];
    let has_failed = status["failures"]
        .as_object()
        .is_some_and(|it| !it.is_empty());
    status["runnerId"].as_u64().unwrap_or(0) > 0 && !has_failed && !has_ended(runner)
}

/// The pod of a runner has its name.
fn pod<'a>(pods: &'a [Value], runner: &Value) -> Option<&'a Value> {
    let is_its = |it: &&Value| {
        name(it) == name(runner) && it["metadata"]["namespace"] == runner["metadata"]["namespace"]
    };
    pods.iter().find(is_its)
}

/// Why the API server would refuse another pod of the pool now, where that is known.
fn refused<'a>(snapshot: &'a Snapshot, pool: &Pool) -> Option<&'a Refused> {
    let trials = snapshot.pod_trials.as_ref().ok()?;
    let trial = trials.iter().find(|it| it.pool == pool.name)?;
    trial.refused.as_ref().ok()?.as_ref()
}

/// A pod that was made again with a registration that has been used runs for an hour and gets no job
/// (actions-runner-controller#4588).
pub(super) fn runners_online(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let pods = known(&snapshot.runner_pods)?;
    let online: BTreeSet<&str> = known(&snapshot.registered)?
        .iter()
        .filter(|it| it.online)
        .map(|it| it.name.as_str())
        .collect();
    let (mut found, mut away) = (Vec::new(), Vec::new());
    for (pool, runner) in of_sets(snapshot, facts)? {
        let ran = pod(pods, runner).and_then(|it| ran(it, snapshot.now));
        let Some(ran) = ran.filter(|it| *it >= ONLINE_SECONDS) else {
            continue;
        };
        if !online.contains(name(runner)) {
            found.push(format!(
                "runner `{}` of scale set `{}` has run for {} minutes and is not online at GitHub",
                name(runner),
                pool.name,
                ran / 60
            ));
            away.push(runner);
        }
    }
    Ok(Verdict::unless(
        &found,
        &format!(
            "run `arcctl doctor` again in a minute: a runner that has just ended its job leaves by itself; then {}: the controller makes another",
            deletion(&away)
        ),
    ))
}

/// For how many seconds the runner's container has run; `None` if it does not, or its pod is being deleted.
fn ran(pod: &Value, now: jiff::Timestamp) -> Option<i64> {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let runner = statuses.iter().find(|it| it["name"] == "runner")?;
    seconds_since(&runner["state"]["running"]["startedAt"], now)
}

/// The commands that delete `EphemeralRunners`: one for each namespace.
fn deletion(runners: &[&Value]) -> String {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for it in runners {
        let namespace = it["metadata"]["namespace"].as_str().unwrap_or_default();
        names.entry(namespace).or_default().push(name(it));
    }
    let commands: Vec<String> = names
        .iter()
        .map(|(namespace, names)| {
            let names = names.join(" ");
            format!("`kubectl -n {namespace} delete ephemeralrunner {names}`")
        })
        .collect();
    commands.join(", ")
}
