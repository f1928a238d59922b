//! Checks of what GitHub has of the scale sets. Pure: no I/O.

use serde_json::Value;

use super::{facts, sets};
use crate::{
    desired::{resource::scale_set::is_same_scope, scale_set::values::config_url},
    doctor::{
        check::{Verdict, known},
        snapshot::{SetAtGithub, Snapshot},
    },
    profile::Pool,
    resource::scale_sets::{
        compared::{LabelDifference, made_anew},
        objects::{id, name},
        recorded::{elsewhere, elsewhere_words, registered_again, way_back},
    },
};

/// The address of the scope in which the profile has a pool.
fn scope_of(snapshot: &Snapshot, pool: &Pool) -> String {
    // The lint has refused a profile without a scope.
    config_url(&snapshot.profile.github_of(pool)).unwrap_or_default()
}

/// The set at GitHub by the id of the cluster, in the scope of its pool: another scope may have the same id.
fn at_github<'a>(all: &'a [SetAtGithub], set: &Value, scope: &str) -> Option<&'a SetAtGithub> {
    let id = id(set)?;
    all.iter()
        .find(|it| it.id == id && is_same_scope(&it.scope, scope))
}

/// The `namespace/name` by which the inventory knows a set.
fn key(set: &Value) -> String {
    let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
    format!("{namespace}/{}", name(set))
}

pub(super) fn registered(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let (all, recorded) = (known(&facts.at_github)?, known(&facts.recorded)?);
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for (pool, set) in sets(snapshot, facts)? {
        let (namespace, name) = (&pool.namespace, &pool.name);
        let scope = scope_of(snapshot, pool);
        if let Some(there) = elsewhere(recorded.get(&key(set)), None, &scope) {
            found.push(elsewhere_words(name, there, &scope));
            fixes.push(way_back(there.1));
            continue;
        }
        let Some(id) = id(set) else {
            found.push(format!(
                "the controller has not registered scale set `{name}`"
            ));
            let log = snapshot.profile.scale_sets.log_command();
            fixes.push(format!("the controller's log has the reason: `{log}`"));
            continue;
        };
        if at_github(all, set, &scope).is_none() {
            found.push(format!(
                "{scope} has no scale set with the id {id}, that of `{name}`"
            ));
            fixes.push(registered_again(namespace, name));
        }
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

pub(super) fn labels(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.at_github)?;
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for (pool, set) in sets(snapshot, facts)? {
        let Some(there) = at_github(all, set, &scope_of(snapshot, pool)) else {
            continue;
        };
        let wanted = crate::desired::scale_set::scale_set(&snapshot.profile, pool).labels;
        let labels = there.labels.iter().map(String::as_str);
        if let Some(words) = LabelDifference::of(&pool.name, &wanted, labels).in_words() {
            found.push(format!("scale set `{}` {words}", pool.name));
            fixes.push(made_anew(&pool.namespace, &pool.name));
        }
    }
    Ok(Verdict::unless(
        &found,
        &format!(
            "{}. GitHub Enterprise Server before 3.21 drops labels without the feature flag `DistributedTask.AllowRunnerScaleSetCustomLabels`",
            fixes.join("; ")
        ),
    ))
}

/// Whether the pool of a set is in a scope; a set without a pool may be.
fn is_of_its_pool(snapshot: &Snapshot, set: &Value, scope: &str) -> bool {
    let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
    let pool = snapshot.profile.pool(namespace, name(set));
    pool.is_none_or(|it| is_same_scope(&scope_of(snapshot, it), scope))
}

/// Those that this cluster made and does not have any more, and those of a pool's name and group that it did not make.
pub(super) fn known_here(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.at_github)?;
    let (sets, recorded) = (known(&facts.sets)?, known(&facts.recorded)?);
    let is_here = |it: &&SetAtGithub| {
        let mut same_id = sets.iter().filter(|set| id(set) == Some(it.id));
        same_id.any(|set| match recorded.get(&key(set)) {
            Some(record) if record.id == it.id => record.is(it.id, &it.scope),
            // It was registered again since, in the scope that its pool has now.
            _ => is_of_its_pool(snapshot, set, &it.scope),
        })
    };
    let mut found = Vec::new();
    for there in all.iter().filter(|it| !is_here(it)) {
        if recorded.values().any(|it| it.is(there.id, &there.scope)) {
            found.push(format!(
                "GitHub has `{}`, which this cluster made and does not have any more: {}",
                there.name, there.words
            ));
            continue;
        }
        let is_pools = |pool: &Pool| {
            let group = pool.group.as_deref().or(Some("default"));
            let same_group = there.group.as_deref().zip(group);
            pool.name.eq_ignore_ascii_case(&there.name)
                && is_same_scope(&scope_of(snapshot, pool), &there.scope)
                && same_group.is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
        };
        if snapshot.profile.scale_set_pools().any(is_pools) {
            found.push(format!(
                "GitHub has `{}`, which this cluster did not make: {}",
                there.name, there.words
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "if no other cluster uses it, delete it at GitHub (in the settings, under Actions and Runners); otherwise give the pool another name or group: with the same name, two clusters compete for its jobs",
    ))
}
