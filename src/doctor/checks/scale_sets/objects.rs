//! Checks of the objects of a scale set: whether it exists, what it needs, and whether it goes when it is deleted. Pure: no I/O.

use serde_json::Value;

use super::{age, facts, set_of_pool, sets};
use crate::{
    doctor::{
        check::{Verdict, known},
        snapshot::Snapshot,
    },
    resource::scale_sets::{
        objects::{ID, job, name, set_of},
        registered::OUTDATED,
    },
};

/// How many seconds a deletion may take.
const DELETION_SECONDS: i64 = 600;

pub(super) fn there(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.sets)?;
    let pools = snapshot.profile.scale_set_pools();
    let found: Vec<String> = pools
        .filter(|pool| set_of_pool(all, pool).is_none())
        .map(|pool| {
            format!(
                "AutoscalingRunnerSet `{}/{}` does not exist",
                pool.namespace, pool.name
            )
        })
        .collect();
    Ok(Verdict::unless(
        &found,
        "make it with `arcctl up`; if it disappears again, another tool deletes it, or a controller of another minor version",
    ))
}

/// The API server takes a minimum above the maximum; the listener ends with an error (reference: scale-sets.md 4).
pub(super) fn range(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let mut found = Vec::new();
    for (pool, set) in sets(snapshot, facts)? {
        let number = |key: &str| set["spec"][key].as_i64();
        let min = number("minRunners").unwrap_or(0);
        if let Some(max) = number("maxRunners").filter(|max| min > *max) {
            found.push(format!(
                "scale set `{}` has minRunners {min} and maxRunners {max}: its listener ends with an error",
                pool.name
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "`arcctl up` writes those of the profile; if they change again, another tool patches them: it must keep the minimum at or below the maximum",
    ))
}

pub(super) fn secret(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let secrets = known(&facts.secret_name)?;
    let mut found = Vec::new();
    for (pool, _) in sets(snapshot, facts)? {
        let (namespace, name) = (&pool.namespace, &pool.name);
        let secret = secrets.get(&format!("{namespace}/{name}"));
        if let Some(secret) = secret.filter(|it| !it.exists) {
            found.push(format!(
                "Secret `{namespace}/{}` of scale set `{name}` does not exist",
                secret.name
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "make it again with `arcctl doctor --fix` or `arcctl up`; without it the controller can neither register nor delete the scale set",
    ))
}

pub(super) fn rights(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let missing = known(&facts.missing_rights)?;
    let mut found = Vec::new();
    for (pool, _) in sets(snapshot, facts)? {
        let (namespace, name) = (&pool.namespace, &pool.name);
        let those = missing.get(&format!("{namespace}/{name}"));
        let words = those.into_iter().flatten();
        found.extend(words.map(|it| format!("{it} of scale set `{name}` does not exist")));
    }
    Ok(Verdict::unless(
        &found,
        "make it again with `arcctl up`: without it the controller can make no listener and no runner, and cannot delete the scale set; if it disappears again, see which other tool removes it",
    ))
}

pub(super) fn not_outdated(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let (mut found, mut commands) = (Vec::new(), Vec::new());
    for (pool, set) in sets(snapshot, facts)? {
        if set["status"]["phase"] == OUTDATED {
            let (namespace, name) = (&pool.namespace, &pool.name);
            found.push(format!(
                "scale set `{name}` is Outdated: its controller has removed its listener and its runners"
            ));
            commands.push(format!(
                "`kubectl -n {namespace} patch autoscalingrunnerset {name} --subresource=status --type=merge -p '{{\"status\":{{\"phase\":\"\"}}}}'`"
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        &format!(
            "set a newer `image` of the pool in the profile and run `arcctl up`; if the image is current, end the state: {}",
            commands.join(", ")
        ),
    ))
}

pub(super) fn nothing_stuck(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let runners = known(&facts.runners)?;
    let lists = [
        ("EphemeralRunner", runners),
        ("EphemeralRunnerSet", known(&facts.runner_sets)?),
        ("AutoscalingListener", known(&facts.listeners)?),
        ("AutoscalingRunnerSet", known(&facts.sets)?),
    ];
    let late = |it: &Value| {
        age(it, "deletionTimestamp", snapshot.now).is_some_and(|it| it > DELETION_SECONDS)
    };
    let (mut found, mut sets) = (Vec::new(), Vec::new());
    for (kind, all) in lists {
        for it in all.iter().filter(|it| late(it)) {
            if waits_for_jobs(kind, it, runners) {
                continue;
            }
            found.push(held(kind, it));
            if kind == "AutoscalingRunnerSet" {
                sets.push(it);
            }
        }
    }
    let log = snapshot.profile.scale_sets.log_command();
    let mut fix = format!("the controller's log has the reason: `{log}`");
    if let Some(set) = sets.first() {
        fix.push_str(&without_its_id(set));
    }
    fix.push_str("; if the whole profile is to go, `arcctl teardown --force` removes it without the controller");
    Ok(Verdict::unless(&found, &fix))
}

/// Whether an object goes as soon as jobs have ended, which may take hours.
fn waits_for_jobs(kind: &str, object: &Value, runners: &[Value]) -> bool {
    let set = match kind {
        "EphemeralRunner" => return job(object).is_some(),
        "AutoscalingListener" => return false,
        "AutoscalingRunnerSet" => Some(name(object)),
        _ => set_of(object),
    };
    let namespace = &object["metadata"]["namespace"];
    let mut own = runners
        .iter()
        .filter(|it| set_of(it) == set && it["metadata"]["namespace"] == *namespace);
    own.any(|it| job(it).is_some())
}

/// What holds an object, in words.
fn held(kind: &str, object: &Value) -> String {
    let finalizers = object["metadata"]["finalizers"].as_array();
    let finalizers: Vec<&str> = finalizers
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    format!(
        "{kind} `{}/{}` is held by {}",
        object["metadata"]["namespace"].as_str().unwrap_or_default(),
        name(object),
        finalizers.join(", ")
    )
}

/// The way out where GitHub has no scale set of the id any more: until 0.15 its deletion is an error that is tried for ever
/// (reference: scale-sets.md 10).
fn without_its_id(set: &Value) -> String {
    let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
    format!(
        "; with `404` and `RunnerScaleSetNotFoundException` GitHub has no such scale set any more, and `kubectl -n {namespace} annotate autoscalingrunnerset {} {ID}-` lets it go",
        name(set)
    )
}
