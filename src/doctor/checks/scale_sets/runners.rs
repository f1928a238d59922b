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
            objects::{has_ended, is_ready, job, name, set_of},
            runners::failure,
        },
    },
    units::listed::and_more,
};

/// How many seconds a registered runner may be without a pod: the controller makes it in the next step.
const POD_SECONDS: i64 = 120;

/// How many seconds the container of a runner may run before it is online at GitHub.
const ONLINE_SECONDS: i64 = 300;

/// What the API server says of a pod whose sidecar has lost its `restartPolicy` (reference: scale-sets.md 6).
const PRUNED: &str = "startupProbe: Forbidden";

/// The first version of Kubernetes with sidecars that need no feature gate.
const SIDECARS: (u32, u32) = (1, 29);

/// The runners of the profile's scale sets, each with its pool; without those that are being deleted.
fn of_sets<'a>(
    snapshot: &'a Snapshot,
    facts: &'a ScaleSetFacts,
) -> Result<Vec<(&'a Pool, &'a Value)>, Verdict> {
    let all = known(&facts.runners)?;
    let sets = sets(snapshot, facts)?.into_iter();
    let pools: BTreeMap<(&str, &str), &Pool> = sets
        .map(|(pool, _)| ((pool.namespace.as_str(), pool.name.as_str()), pool))
        .collect();
    let stay = all
        .iter()
        .filter(|it| it["metadata"]["deletionTimestamp"].is_null());
    let found = stay.filter_map(|it| {
        let place = (namespace(it), set_of(it)?);
        Some((*pools.get(&place)?, it))
    });
    Ok(found.collect())
}

/// The pods by their namespace and name, which a runner and its pod have in common: there may be thousands.
fn by_place(pods: &[Value]) -> BTreeMap<(&str, &str), &Value> {
    pods.iter().map(|it| (place(it), it)).collect()
}

fn place(object: &Value) -> (&str, &str) {
    (namespace(object), name(object))
}

fn namespace(object: &Value) -> &str {
    let namespace = &object["metadata"]["namespace"];
    namespace.as_str().unwrap_or_default()
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
        let before_sidecars = snapshot.kubernetes.as_ref().is_ok_and(|it| *it < SIDECARS);
        fixes.push(if before_sidecars {
            "this Kubernetes drops `restartPolicy` of a sidecar: upgrade the cluster to 1.29 or newer, or write `containerMode: none` or `mode: runnerDeployment` in the pool".to_owned()
        } else {
            "`arcctl up` applies the CRDs of the chart: older ones drop `restartPolicy` of a sidecar; so does a webhook that does not know it".to_owned()
        });
    }
    if !failed.is_empty() {
        let delete = deletion(&failed);
        fixes.push(format!(
            "fix the cause, then {delete}: the controller creates others"
        ));
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

/// A runner without a pod takes no job, and counts towards the maximum. The controller writes it nowhere but in its log when a
/// quota refuses the pod (actions-runner-controller#4305).
pub(super) fn runner_pods(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let pods = by_place(known(&snapshot.runner_pods)?);
    let (mut found, mut fixes) = (Vec::new(), BTreeSet::new());
    for (pool, runner) in of_sets(snapshot, facts)? {
        let is_new =
            age(runner, "creationTimestamp", snapshot.now).is_none_or(|it| it < POD_SECONDS);
        if is_new || !is_due(runner) || pods.contains_key(&place(runner)) {
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

/// Why the API server would refuse another pod of the pool now, where that is known.
fn refused<'a>(snapshot: &'a Snapshot, pool: &Pool) -> Option<&'a Refused> {
    let trials = snapshot.pod_trials.as_ref().ok()?;
    let mut trials = trials.iter();
    let trial = trials.find(|it| it.pool == pool.name && it.namespace == pool.namespace)?;
    trial.refused.as_ref().ok()?.as_ref()
}

/// A pod that was made again with a registration that has been used runs for an hour and gets no job
/// (actions-runner-controller#4588).
pub(super) fn runners_online(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let pods = by_place(known(&snapshot.runner_pods)?);
    let at_github: BTreeMap<&str, bool> = known(&snapshot.registered)?
        .iter()
        .map(|it| (it.name.as_str(), it.online))
        .collect();
    let (mut found, mut away) = (Vec::new(), Vec::new());
    for (pool, runner) in of_sets(snapshot, facts)? {
        let Some(pod) = pods.get(&place(runner)) else {
            continue;
        };
        let Some(ran) = ran(pod, snapshot.now).filter(|it| *it >= ONLINE_SECONDS) else {
            continue;
        };
        let is_away = match at_github.get(name(runner)) {
            Some(online) => !online,
            None => !has_just_ended(runner, pod, snapshot.now),
        };
        if is_away {
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
            "run `arcctl doctor` again in a minute; if it is still not online: {}; the controller makes another",
            deletion(&away)
        ),
    ))
}

/// Whether a runner that GitHub does not have has just ended its job: GitHub removes it some seconds before its program ends.
/// Its first pod has not begun much later than the runner; a later one has a registration that has been used.
fn has_just_ended(runner: &Value, pod: &Value, now: jiff::Timestamp) -> bool {
    let made = |it: &Value| age(it, "creationTimestamp", now);
    let ages = made(runner).zip(made(pod));
    job(runner).is_some() && ages.is_some_and(|(runner, pod)| runner - pod < POD_SECONDS)
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

/// How many runners a command deletes at most: one with thousands of names is no command.
const DELETED_AT_ONCE: usize = 20;

/// The commands that delete `EphemeralRunners`: one for each namespace.
fn deletion(runners: &[&Value]) -> String {
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for it in runners {
        names.entry(namespace(it)).or_default().push(name(it));
    }
    let commands: Vec<String> = names
        .iter()
        .map(|(namespace, names)| {
            let (first, rest) = names.split_at(names.len().min(DELETED_AT_ONCE));
            let first = first.join(" ");
            let more = and_more(rest.len(), "").map_or_else(String::new, |more| {
                format!(" ({more}: then run the check again)")
            });
            format!("`kubectl -n {namespace} delete ephemeralrunner {first}`{more}")
        })
        .collect();
    commands.join(", ")
}
