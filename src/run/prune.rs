//! Removes deleted resources from the inventory: at the end of the run that deleted them, or in the next run if that one
//! was killed.

use std::collections::BTreeSet;

use super::lease;
use crate::{
    desired::{
        Goal,
        resource::{Id, Resource},
    },
    error::Result,
    execute::{StepResult, lease::Hold},
    inventory, observe,
    resource::observed::Observed,
    session::Session,
    terminal::{deadline::RunLimit, output::Output},
};

/// Removes from the inventory what `steps` deleted, and what did not exist before. Only under the lease: another run may
/// have created missing resources since, so they are looked up again. Returns what did not exist before.
pub(crate) async fn forget_gone(
    session: &Session,
    steps: &[StepResult],
) -> Result<BTreeSet<String>> {
    let context = &session.context;
    let (kube, profile) = (&context.kube, &context.profile);
    let ended = |id: &Id| {
        steps
            .iter()
            .any(|it| it.id == *id && it.error.is_none() && it.action.is_some())
    };
    let mut gone: BTreeSet<String> = session
        .desired
        .iter()
        .filter(|it| it.goal == Goal::Absent && ended(&it.id))
        .map(|it| it.id.to_string())
        .collect();
    for desired in &session.desired {
        if let Resource::ImagePull(pull) = &desired.resource
            && matches!(pull.remains(context).await, Ok(Observed::Absent))
        {
            gone.insert(desired.id.to_string());
        }
    }
    let mut before = BTreeSet::new();
    if !session.gone.is_empty() {
        let known = inventory::read(kube, inventory::Home::of(profile)).await?;
        let left = observe::left_behind(context, &known.records, &session.desired).await?;
        before = left.gone;
        gone.extend(before.iter().cloned());
    }
    if !gone.is_empty() {
        inventory::forget(kube, profile, &gone).await?;
    }
    Ok(before)
}

/// Removes from the inventory what a killed run deleted, if nothing else is to be done. A failure is no error of this run:
/// everything is as desired, and the next run that writes tries again.
pub(crate) async fn prune_records(session: &Session, limit: &RunLimit, hold: Hold, output: Output) {
    if session.gone.is_empty() {
        return;
    }
    let tidied = async {
        let taken = lease(session, limit, hold).await?;
        let forgotten = forget_gone(session, &[]).await;
        if let Some(lease) = taken {
            lease.release().await;
        }
        forgotten
    };
    match limit.within("waiting for the lease", tidied).await {
        Ok(gone) if gone.is_empty() => {}
        Ok(gone) => output.note(format!(
            "taken off the inventory, since a run that was killed had taken it away: {}",
            listed(&gone)
        )),
        Err(error) => output.note(format!(
            "advice: the inventory still names what is gone ({}): {}; the next run takes it off",
            listed(&session.gone),
            error.document().message
        )),
    }
}

fn listed(ids: &BTreeSet<String>) -> String {
    let ids: Vec<String> = ids.iter().map(|it| format!("`{it}`")).collect();
    ids.join(", ")
}
