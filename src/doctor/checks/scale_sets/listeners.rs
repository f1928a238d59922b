//! Checks of the listeners, which get the jobs of the scale sets. Pure: no I/O.

use serde_json::Value;

use super::{facts, sets};
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
            objects::{Place, name},
        },
    },
};

/// How many seconds a listener may be new: the pod of one that cannot keep its session is made again and again.
const NEW_SECONDS: i64 = 300;

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
    let (mut found, mut fix) = (Vec::new(), String::new());
    for (pool, _) in sets(snapshot, facts)? {
        let listeners = listeners(snapshot, facts, pool)?;
        let made = |it: &&&Value| {
            it["metadata"]["creationTimestamp"]
                .as_str()
                .map(str::to_owned)
        };
        if let [_, _, ..] = listeners.as_slice()
            && let Some(oldest) = listeners.iter().min_by_key(|it| made(it))
        {
            found.push(format!(
                "scale set `{}` has {} listeners; `{}` is of an earlier version and may hold the session",
                pool.name,
                listeners.len(),
                name(oldest)
            ));
            fix = format!(
                "delete it: `kubectl -n {namespace} delete autoscalinglistener {}`",
                name(oldest)
            );
        }
    }
    Ok(Verdict::unless(&found, &fix))
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
                    return Ok(Verdict::not_known(
                        format!(
                            "{reason}, and the listener is not new: it may be restarted again and again"
                        ),
                        format!(
                            "run `arcctl doctor` again in a minute; `kubectl -n {} logs {}` shows why it ends: with `409` another listener has the session",
                            snapshot.profile.scale_sets.namespace,
                            name(pod)
                        ),
                    ));
                }
            }
        }
    }
    Ok(Verdict::Holds)
}

/// Whether an object was made in the last minutes.
fn is_new(object: &Value, now: jiff::Timestamp) -> bool {
    let made = object["metadata"]["creationTimestamp"].as_str();
    let made = made.and_then(|it| it.parse::<jiff::Timestamp>().ok());
    made.is_some_and(|it| now.duration_since(it).as_secs() < NEW_SECONDS)
}
