//! Checks of GitHub's controller of the scale sets. Pure: no I/O.

use super::{facts, sets};
use crate::{
    doctor::{
        check::{Verdict, known},
        snapshot::Snapshot,
    },
    resource::{
        kubernetes::rollout::is_scaled_to_nothing,
        observed::Readiness,
        other_controllers::SetController,
        pod_readiness,
        scale_sets::{
            objects::{minor, version},
            registered::is_available,
        },
        worst_readiness,
    },
};

/// The label with the part that a pod is, and that of the controller (reference: scale-sets.md 3).
const COMPONENT: &str = "app.kubernetes.io/component";
const CONTROLLER: &str = "controller-manager";

pub(super) fn controller_runs(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let controller = known(&facts.controller)?;
    let sets = &snapshot.profile.scale_sets;
    let (namespace, name) = (&sets.namespace, sets.full_name());
    let Some(deployment) = controller else {
        return Ok(Verdict::broken(
            format!("Deployment `{namespace}/{name}` does not exist"),
            "install it with `arcctl up`",
        ));
    };
    if is_scaled_to_nothing(deployment) {
        return Ok(Verdict::broken(
            format!("Deployment `{namespace}/{name}` is scaled to 0 pods"),
            "scale it up again with `arcctl up`",
        ));
    }
    if is_available(Some(deployment)) {
        return Ok(Verdict::Holds);
    }
    let found = format!("Deployment `{namespace}/{name}` has no available pod");
    let pods = facts.listener_pods.iter().flatten();
    let own = pods.filter(|it| it["metadata"]["labels"][COMPONENT] == CONTROLLER);
    // Without them some reasons are not known, for example a missing volume.
    let events = facts.listener_events.as_deref().unwrap_or_default();
    let worst = worst_readiness(own.map(|it| pod_readiness(it, events)));
    Ok(match worst {
        Readiness::Stuck { reason, hint, .. } => {
            Verdict::broken(format!("{found}: {reason}"), hint)
        }
        _ => Verdict::broken(
            found,
            format!(
                "see why: `kubectl -n {namespace} describe deployment {name}`, and its log: `{}`",
                sets.log_command()
            ),
        ),
    })
}

pub(super) fn controllers_apart(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let profile = &snapshot.profile;
    let all = known(&facts.controllers)?;
    let others: Vec<&SetController> = all.iter().filter(|it| !it.is_of(profile)).collect();
    let found: Vec<String> = others
        .iter()
        .map(|it| format!("another controller {}", it.words(profile)))
        .collect();
    let fixes: Vec<String> = others.iter().map(|it| it.way_out()).collect();
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

pub(super) fn versions(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let controller = known(&facts.controller)?.as_ref().and_then(version);
    let Some(controller) = controller.filter(|it| minor(it).is_some()) else {
        return Ok(Verdict::skipped(
            "the controller has no label with a version",
        ));
    };
    let mut found = Vec::new();
    for (pool, set) in sets(snapshot, facts)? {
        if let Some(its) = version(set)
            && minor(its).is_some_and(|it| minor(controller) != Some(it))
        {
            found.push(format!(
                "scale set `{}` is of version {its}, its controller of {controller}",
                pool.name
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "the controller deletes such a set: `arcctl up` brings both to `scaleSets.chartVersion`, with the jobs of the set ended first; do not upgrade one chart alone",
    ))
}

/// With the strategy `eventual` the controller deletes the listener of a changed scale set, and makes it again when no runner is
/// left: with a minimum above 0 that is never (reference: scale-sets.md 0).
pub(super) fn update_strategy(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let facts = facts(snapshot)?;
    let all = known(&facts.controllers)?;
    let own = all
        .iter()
        .filter(|it| it.eventual && it.is_of(&snapshot.profile));
    let found: Vec<String> = own
        .map(|it| {
            format!(
                "Deployment `{}/{}` has the argument `--update-strategy=eventual`: a scale set whose minimum or template changes loses its listener, and gets it back only when none of its runners is left",
                it.namespace, it.name
            )
        })
        .collect();
    Ok(Verdict::unless(
        &found,
        "`arcctl up` sets `immediate`, and the controller then makes the listeners that are missing",
    ))
}
