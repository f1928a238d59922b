//! Checks of what GitHub has of the scale sets. Pure: no I/O.

use serde_json::Value;

use super::{facts, sets};
use crate::{
    doctor::{
        check::{Verdict, known},
        snapshot::{SetAtGithub, Snapshot},
    },
    profile::Pool,
    resource::scale_sets::{
        labels::{LabelDifference, MADE_ANEW},
        objects::id,
    },
};

/// The set at GitHub by the id of the cluster.
fn at_github<'a>(all: &'a [SetAtGithub], set: &Value) -> Option<&'a SetAtGithub> {
    let id = id(set)?;
    all.iter().find(|it| it.id == id)
}

pub(super) fn registered(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.at_github)?;
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for (pool, set) in sets(snapshot, facts)? {
        let (namespace, name) = (&pool.namespace, &pool.name);
        let Some(id) = id(set) else {
            found.push(format!(
                "the controller has not registered scale set `{name}`"
            ));
            let log = snapshot.profile.scale_sets.log_command();
            fixes.push(format!("the controller's log has the reason: `{log}`"));
            continue;
        };
        if at_github(all, set).is_none() {
            found.push(format!(
                "GitHub has no scale set with the id {id}, that of `{name}`"
            ));
            fixes.push(format!(
                "have it registered again: `kubectl -n {namespace} annotate autoscalingrunnerset {name} runner-scale-set-id-`"
            ));
        }
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

pub(super) fn labels(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.at_github)?;
    let mut found = Vec::new();
    for (pool, set) in sets(snapshot, facts)? {
        let Some(there) = at_github(all, set) else {
            continue;
        };
        let wanted = crate::desired::scale_set::scale_set(&snapshot.profile, pool).labels;
        let labels = there.labels.iter().map(String::as_str);
        if let Some(words) = LabelDifference::of(&pool.name, &wanted, labels).in_words() {
            found.push(format!("scale set `{}` {words}", pool.name));
        }
    }
    Ok(Verdict::unless(
        &found,
        &format!(
            "{MADE_ANEW}. GitHub Enterprise Server before 3.21 drops labels without the feature flag `DistributedTask.AllowRunnerScaleSetCustomLabels`"
        ),
    ))
}

/// Those that this cluster made and does not have any more, and those of a pool's name and group that it did not make.
pub(super) fn known_here(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.at_github)?;
    let (sets, recorded) = (known(&facts.sets)?, known(&facts.recorded)?);
    let ids: Vec<u64> = sets.iter().filter_map(id).collect();
    let mut found = Vec::new();
    for there in all.iter().filter(|it| !ids.contains(&it.id)) {
        if recorded.values().any(|it| *it == there.id) {
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
        "where no other cluster uses it, delete it at GitHub; else give the pool another name or group: with one name two clusters fight over its jobs",
    ))
}
