//! Checks of the listeners, which get the jobs of the scale sets. Pure: no I/O.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{age, facts, sets};
use crate::{
    doctor::{
        check::{Verdict, known},
        snapshot::{ScaleSetFacts, Snapshot},
    },
    profile::Pool,
    resource::{
        observed::Readiness,
        scale_sets::{
            listener::{Seen, readiness},
            objects::{Place, id, name, set_of},
            recorded::registered_again,
            superseded::superseded,
        },
    },
};

/// How many seconds a listener may be new: the pod of one that cannot keep its session is made again and again.
const NEW_SECONDS: i64 = 300;

/// How many seconds old a listener must be before it is compared: a younger one may work for what was not there when the rest
/// was read.
const COMPARED_SECONDS: i64 = 60;

/// So many pods of one listener within [`OFTEN_SECONDS`] are too many: each change of the minimum makes one.
const OFTEN: usize = 4;

/// The time in which the pods of a listener are counted.
const OFTEN_SECONDS: i64 = 900;

/// The listeners of a pool.
fn listeners<'a>(
    snapshot: &Snapshot,
    facts: &'a ScaleSetFacts,
    pool: &Pool,
) -> Result<Vec<&'a Value>, Verdict> {
    let place = Place {
        namespace: &pool.namespace,
        name: &pool.name,
        controller_namespace: &snapshot.profile.scale_sets.namespace,
    };
    let all = known(&facts.listeners)?.iter();
    Ok(all.filter(|it| place.has_listener(it)).collect())
}

pub(super) fn one_listener(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let namespace = &snapshot.profile.scale_sets.namespace;
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for (pool, set) in sets(snapshot, facts)? {
        let mut listeners = listeners(snapshot, facts, pool)?;
        listeners.retain(|it| stays(it));
        let [_, _, ..] = listeners.as_slice() else {
            continue;
        };
        let former = superseded(listeners.iter().copied(), set);
        let count = format!(
            "scale set `{}` has {} listeners",
            pool.name,
            listeners.len()
        );
        let Some(first) = former.first().map(|it| name(it)) else {
            found.push(format!("{count}; GitHub allows one session"));
            fixes.push(format!(
                "`kubectl -n {namespace} get autoscalinglisteners` lists them; delete the former one"
            ));
            continue;
        };
        found.push(format!(
            "{count}; `{first}` is the former one and may hold the session"
        ));
        fixes.push(format!(
            "delete it: `kubectl -n {namespace} delete autoscalinglistener {first}`"
        ));
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

/// The pod of a listener has its name.
fn pod<'a>(facts: &'a ScaleSetFacts, listener: &Value) -> Result<Option<&'a Value>, Verdict> {
    let mut pods = known(&facts.listener_pods)?.iter();
    Ok(pods.find(|it| name(it) == name(listener)))
}

pub(super) fn listener(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let mut found = Vec::new();
    for (pool, _) in sets(snapshot, facts)? {
        let listeners = listeners(snapshot, facts, pool)?;
        let Some(listener) = listeners.first() else {
            found.push(format!(
                "scale set `{}` has no AutoscalingListener: it gets no job",
                pool.name
            ));
            continue;
        };
        if pod(facts, listener)?.is_none() {
            found.push(format!("listener `{}` has no pod", name(listener)));
        }
    }
    let log = snapshot.profile.scale_sets.log_command();
    Ok(Verdict::unless(
        &found,
        &format!("the controller creates it; its log has the reason if it does not: `{log}`"),
    ))
}

/// A listener, and a set of runners, keep the id that they were made with, and a listener keeps its set of runners: until 0.15
/// nobody compares them later (actions-runner-controller#4370, #4561).
pub(super) fn listener_current(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.runner_sets)?;
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for (pool, set) in sets(snapshot, facts)? {
        let mut listeners = listeners(snapshot, facts, pool)?;
        listeners.retain(|it| {
            age(it, "creationTimestamp", snapshot.now).is_some_and(|it| it >= COMPARED_SECONDS)
                && stays(it)
        });
        let own = all.iter().filter(|it| {
            set_of(it) == Some(pool.name.as_str())
                && it["metadata"]["namespace"] == pool.namespace.as_str()
        });
        let own: Vec<&Value> = own.collect();
        if let Some(words) = of_another_id(set, &listeners, &own) {
            found.push(words);
            fixes.push(registered_again(&pool.namespace, &pool.name));
        } else if let Some(listener) = listeners.iter().find(|it| is_lost(it, &own)) {
            found.push(format!(
                "listener `{}` of scale set `{}` works for EphemeralRunnerSet {}, which does not exist any more",
                name(listener),
                pool.name,
                listener["spec"]["ephemeralRunnerSetName"]
            ));
            fixes.push(format!(
                "have it made again: `kubectl -n {} delete autoscalinglistener {}`",
                snapshot.profile.scale_sets.namespace,
                name(listener)
            ));
        }
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

/// What works for another id than `set` has, in words.
fn of_another_id(set: &Value, listeners: &[&Value], runner_sets: &[&Value]) -> Option<String> {
    let id = id(set)?;
    let of_listeners = listeners
        .iter()
        .map(|it| ("listener", *it, &it["spec"]["runnerScaleSetId"]));
    let runner_sets = runner_sets.iter().filter(|it| stays(it)).map(|it| {
        let id = &it["spec"]["ephemeralRunnerSpec"]["runnerScaleSetId"];
        ("EphemeralRunnerSet", *it, id)
    });
    let mut others = of_listeners
        .chain(runner_sets)
        .filter(|(_, _, its)| its.as_u64().is_some_and(|its| its != id));
    let (kind, object, its) = others.next()?;
    Some(format!(
        "{kind} `{}` works for id {its}, and scale set `{}` has id {id} now",
        name(object),
        name(set)
    ))
}

/// Whether the `EphemeralRunnerSet` that a listener works for is not there.
fn is_lost(listener: &Value, runner_sets: &[&Value]) -> bool {
    let wanted = listener["spec"]["ephemeralRunnerSetName"].as_str();
    wanted.is_some_and(|wanted| !runner_sets.iter().any(|it| name(it) == wanted))
}

/// Whether an object is not being deleted.
fn stays(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_null()
}

pub(super) fn session(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let now = snapshot.now;
    for (pool, _) in sets(snapshot, facts)? {
        for listener in listeners(snapshot, facts, pool)? {
            let Some(pod) = pod(facts, listener)? else {
                continue;
            };
            let seen = Seen {
                pod,
                unchanged: std::time::Duration::ZERO,
            };
            match readiness(seen, &[], now) {
                Readiness::Ready => {}
                Readiness::Stuck { reason, hint, .. } => return Ok(Verdict::broken(reason, hint)),
                _ if is_new(listener, now) => {}
                Readiness::Settling { reason } | Readiness::Progressing { reason } => {
                    return young(snapshot, listener, &reason);
                }
            }
        }
    }
    Ok(Verdict::Holds)
}

/// A listener that is not new and whose pod is: it ends again and again, or its pod was made anew once.
fn young(snapshot: &Snapshot, listener: &Value, reason: &str) -> Result<Verdict, Verdict> {
    let pods = pods_of_late(snapshot, listener)?;
    let namespace = &snapshot.profile.scale_sets.namespace;
    let logs = format!(
        "`kubectl -n {namespace} logs -f {}` shows what ends it: with `409` another listener has the session (wait some minutes, or delete the other scale set of this name), with `401` GitHub refuses the credential",
        name(listener)
    );
    if pods >= OFTEN {
        let minutes = OFTEN_SECONDS / 60;
        return Ok(Verdict::broken(
            format!(
                "{reason}, and {pods} pods of it were started in the last {minutes} minutes: it ends again and again"
            ),
            logs,
        ));
    }
    Ok(Verdict::not_known(
        format!("{reason}, and the listener is not new: it may be restarted again and again"),
        format!("run `arcctl doctor` again in a minute; {logs}"),
    ))
}

/// How many pods of a listener were started lately. They have one name, and the scheduler tells of each.
fn pods_of_late(snapshot: &Snapshot, listener: &Value) -> Result<usize, Verdict> {
    let events = known(&facts(snapshot)?.listener_events)?.iter();
    let started = events.filter(|it| {
        let object = &it["involvedObject"];
        it["reason"] == "Scheduled"
            && object["kind"] == "Pod"
            && object["name"] == name(listener)
            && age(it, "creationTimestamp", snapshot.now).is_some_and(|it| it < OFTEN_SECONDS)
    });
    let pods: BTreeSet<&str> = started
        .filter_map(|it| it["involvedObject"]["uid"].as_str())
        .collect();
    Ok(pods.len())
}

/// Whether an object was made in the last minutes.
fn is_new(object: &Value, now: jiff::Timestamp) -> bool {
    age(object, "creationTimestamp", now).is_some_and(|it| it < NEW_SECONDS)
}
