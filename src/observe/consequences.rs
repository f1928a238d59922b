//! Adds side effects to a plan: how many runners are replaced, and how many of them run a job.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    clients::kube::Selection,
    desired::{Desired, names},
    diff::Difference,
    error::Result,
    plan::{
        Action, Plan,
        consequence::{Consequence, consequences},
    },
    profile::Pool,
    resource::{
        context::Context,
        scale_sets::objects::{job, name, set_of},
    },
};

/// The maximum number of runners listed by name.
const NAMED: usize = 4;

/// Adds its side effects to each step of `plan`; for an adopted resource, the changes of the next run.
pub(crate) async fn tell(context: &Context, desired: &[Desired], plan: &mut Plan) -> Result<()> {
    for desired in desired {
        let id = desired.id.to_string();
        let Some(step) = plan.steps.iter_mut().find(|it| it.id == id) else {
            continue;
        };
        let later = context.remarks.deferred(&id);
        let differences: &[Difference] = match &later {
            Some(later) => later,
            None if matches!(step.action, Action::Update | Action::Delete) => &step.differences,
            None => continue,
        };
        let mut told = Vec::new();
        for consequence in consequences(desired, differences) {
            told.push(words(context, &consequence).await?);
        }
        if later.is_none() {
            step.consequences = told;
            continue;
        }
        step.consequences = vec![left(&told)];
    }
    Ok(())
}

/// The changes that the next run makes to a resource that this run adopts unchanged.
fn left(told: &[String]) -> String {
    let later = match told {
        [] => "makes these changes".to_owned(),
        told => told.join(", and "),
    };
    format!("{LEFT}: the next `arcctl up`, without --adopt, {later}")
}

/// The prefix of a line about a resource that is only adopted.
pub(crate) const LEFT: &str = "taken over as it is";

async fn words(context: &Context, consequence: &Consequence) -> Result<String> {
    Ok(match consequence {
        Consequence::Pods { what } => format!("restarts the pods {what}, one after the other"),
        Consequence::OneRunner => {
            "replaces one idle runner, which registers with the new credential".to_owned()
        }
        Consequence::EveryRunner => every_runner(context).await?,
        Consequence::Runners { namespace, pool } => runners(context, namespace, pool).await?,
        Consequence::Minor { from, to } => format!(
            "{from} -> {to} is another minor version, whose controller deletes the scale sets of the earlier one, so the order is: delete the scale sets, change the CRDs, change the controller, create the scale sets again"
        ),
        Consequence::Quiet { namespace, pool } => quiet(context, namespace, pool).await?,
        Consequence::Gap { until } => format!(
            "after that there is no runner until `{until}` has created it again: as long as the CRDs, the controller and helm take; the run reports the seconds at its end"
        ),
    })
}

/// What happens to the jobs and the runners of a scale set that is made again.
async fn quiet(context: &Context, namespace: &str, pool: &str) -> Result<String> {
    let runners = of_set(context, namespace, pool).await?;
    let busy = runners.iter().filter(|it| job(it).is_some()).count();
    let drain = context.profile.timeouts.drain;
    Ok(ended(runners.len(), busy, &drain.to_string()))
}

/// The same in words. How long the jobs take is not known.
fn ended(runners: usize, busy: usize, limit: &str) -> String {
    let jobs = match busy {
        0 => "no job runs now".to_owned(),
        1 => format!("1 job runs now, and finishes first (for at most {limit}, `timeouts.drain`)"),
        busy => {
            format!("{busy} jobs run now, and finish first (for at most {limit}, `timeouts.drain`)")
        }
    };
    format!(
        "takes no new jobs, which wait at GitHub; ends {}; {jobs}",
        count(runners, "runner")
    )
}

/// The runners of a pool by name, and how many of them run a job.
async fn runners(context: &Context, namespace: &str, pool: &str) -> Result<String> {
    let known = context.profile.pool(namespace, pool);
    if known.is_some_and(Pool::is_scale_set) {
        return of_scale_set(context, namespace, pool).await;
    }
    let names = of_deployment(context, namespace, pool).await?;
    Ok(replaced(&names, busy(context, &names).await))
}

/// The same of all pools together, which the other version of the controller replaces though they are as before.
async fn every_runner(context: &Context) -> Result<String> {
    let mut names = BTreeSet::new();
    for pool in context.profile.deployment_pools() {
        names.extend(of_deployment(context, &pool.namespace, &pool.name).await?);
    }
    let replaced = replaced(&names, busy(context, &names).await);
    Ok(format!(
        "{replaced}: this version of the controller makes new runners for every pool"
    ))
}

/// The names of the runners of a `RunnerDeployment`.
async fn of_deployment(context: &Context, namespace: &str, pool: &str) -> Result<BTreeSet<String>> {
    let selection = Selection::namespaced(names::ARC_API_VERSION, "Runner", namespace)
        .labelled(format!("runner-deployment-name={pool}"));
    let runners = context.kube.list(&selection).await?;
    Ok(runners.iter().map(|it| name(it).to_owned()).collect())
}

/// How many of these runners have a job; `Err` is why that is not known.
async fn busy(context: &Context, names: &BTreeSet<String>) -> Result<usize, String> {
    let all = context.runners().await.map_err(|error| error.message)?;
    let busy = all.iter().filter(|it| it.busy && names.contains(&it.name));
    Ok(busy.count())
}

/// The same of a scale set, whose runners know themselves whether they have a job; its listener starts anew too.
async fn of_scale_set(context: &Context, namespace: &str, pool: &str) -> Result<String> {
    let runners = of_set(context, namespace, pool).await?;
    let names: BTreeSet<String> = runners.iter().map(|it| name(it).to_owned()).collect();
    let busy = runners.iter().filter(|it| job(it).is_some()).count();
    let replaced = replaced(&names, Ok(busy));
    Ok(format!("restarts the listener, and {replaced}"))
}

/// The runners of a scale set.
async fn of_set(context: &Context, namespace: &str, pool: &str) -> Result<Vec<Value>> {
    let selection =
        Selection::namespaced(names::SCALE_SET_API_VERSION, "EphemeralRunner", namespace);
    let mut runners = context.kube.list(&selection).await?;
    runners.retain(|it| set_of(it) == Some(pool));
    Ok(runners)
}

/// What happens to the runners of a pool when its template changes.
fn replaced(names: &BTreeSet<String>, busy: Result<usize, String>) -> String {
    if names.is_empty() {
        return "replaces no runner: there is none now".to_owned();
    }
    let shown: Vec<String> = names
        .iter()
        .take(NAMED)
        .map(|it| format!("`{it}`"))
        .collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    let busy = match busy {
        Ok(0) => "none has a job".to_owned(),
        Ok(1) => "1 has a job, and ends it first".to_owned(),
        Ok(busy) => format!("{busy} have a job, and end it first"),
        Err(why) => format!("how many have a job is not known: {why}"),
    };
    format!(
        "replaces {} ({}{more}); {busy}",
        count(names.len(), "runner"),
        shown.join(", ")
    )
}

fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jobs_that_hold_an_upgrade_up_are_counted() {
        assert_eq!(
            ended(2, 0, "10m"),
            "takes no new jobs, which wait at GitHub; ends 2 runners; no job runs now"
        );
        assert!(ended(2, 1, "10m").ends_with(
            "ends 2 runners; 1 job runs now, and finishes first (for at most 10m, `timeouts.drain`)"
        ));
        assert!(ended(3, 2, "1h").contains("2 jobs run now"));
    }

    #[test]
    fn runners_are_counted_and_named() {
        let names = |count: usize| {
            (1..=count)
                .map(|it| format!("basic-{it}"))
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(
            replaced(&names(1), Ok(0)),
            "replaces 1 runner (`basic-1`); none has a job"
        );
        assert_eq!(
            replaced(&names(6), Ok(2)),
            "replaces 6 runners (`basic-1`, `basic-2`, `basic-3`, `basic-4`, …); 2 have a job, and end it first"
        );
        assert!(replaced(&names(2), Err("no answer".into())).ends_with("is not known: no answer"));
        assert!(replaced(&names(0), Ok(0)).contains("no runner"));
    }
}
