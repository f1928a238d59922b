//! Removes offline runners at GitHub that deleted pools left: by recorded names, or those that `doctor` found.

use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    clients::github::Runner,
    error::Result,
    inventory,
    resource::{
        context::Context,
        deletion::{ours, stays},
        observed::{Observed, Readiness},
    },
};

/// The names of the runners to remove.
async fn names<'a>(
    context: &Context,
    only: Option<&'a BTreeSet<String>>,
) -> Result<Cow<'a, BTreeSet<String>>> {
    Ok(match only {
        Some(only) => Cow::Borrowed(only),
        None => Cow::Owned(
            inventory::runners(&context.kube, inventory::Home::of(&context.profile)).await?,
        ),
    })
}

/// What is left at GitHub. For a runner that is still online or has a job, GitHub has not noticed its end yet; but
/// a runner that `doctor` found offline, and that is online again, is kept.
pub(crate) async fn remains(
    context: &Context,
    only: Option<&BTreeSet<String>>,
) -> Result<Observed> {
    let named = names(context, only).await?;
    if named.is_empty() {
        return Ok(Observed::Absent);
    }
    if let Some(why) = &context.removal.without_github {
        return Ok(stays(format!("GitHub cannot be asked: {why}")));
    }
    let runners = context.runners().await?;
    let left: Vec<&Runner> = runners
        .iter()
        .filter(|it| named.contains(&it.name) && (only.is_none() || can_go(it)))
        .collect();
    Ok(match left.iter().find(|it| can_go(it)) {
        _ if left.is_empty() => Observed::Absent,
        Some(_) => ours(Readiness::Ready),
        // GitHub lets no one remove a runner whose job was ended with it until it has noticed the end.
        None if context.removal.force && left.iter().all(|it| it.busy) => stays(format!(
            "GitHub takes runner `{}` for busy until it notices the end of its job, and then removes it itself",
            left[0].name
        )),
        None => ours(Readiness::progressing(format!(
            "GitHub still takes runner `{}` for alive",
            left[0].name
        ))),
    })
}

/// Removes those that are offline.
pub(crate) async fn delete(context: &Context, only: Option<&BTreeSet<String>>) -> Result<()> {
    let named = names(context, only).await?;
    context.forget_runners().await;
    let runners = context.runners().await?;
    for runner in runners
        .iter()
        .filter(|it| named.contains(&it.name) && can_go(it))
    {
        context.remove_runner(runner).await?;
    }
    context.forget_runners().await;
    Ok(())
}

fn can_go(runner: &Runner) -> bool {
    runner.status != "online" && !runner.busy
}
