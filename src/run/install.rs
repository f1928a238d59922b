//! A run of `up`: plans, prompts, executes; starts again if the cluster has changed in between.

use std::collections::BTreeSet;

use super::{
    Ended, READING,
    dry_runs::{check_again, try_pods},
    kept, lease, not_started,
    permissions::{check_permissions, writes},
    prune::{forget_gone, prune_records},
    rollback::put_back,
    say_remarks, say_taken_over,
};
use crate::{
    desired::{Desired, Goal, Phase, resource::Resource},
    error::{ErrorKind, Result},
    execute::{self, Options, StepResult, lease::Lease},
    inventory,
    observe::{self, consequences::LEFT},
    plan::{Action, Plan},
    report::{self, plan::Layout},
    session::{Session, image_pulls},
    terminal::{
        deadline::RunLimit, github_actions::Actions, output::Output, progress::Progress, prompt,
    },
};

/// The options of `up`.
pub(crate) struct Asked<'a> {
    /// Whether it runs without a prompt.
    pub(crate) yes: bool,
    /// Whether it adopts resources that were created by hand.
    pub(crate) adopt: bool,
    /// The annotations, summary and outputs for GitHub Actions.
    pub(crate) actions: &'a Actions,
}

/// How often planning is repeated because of changes by other users.
const PLANS: u32 = 3;

/// The description of the work between the plan and the first write.
const PREPARING: &str = "fetching the charts and asking for permissions";

/// Plans, prompts, and executes; starts again if the cluster has changed since the plan was made.
pub(crate) async fn attempts(
    asked: &Asked<'_>,
    session: &mut Session,
    limit: &mut RunLimit,
    output: Output,
) -> Result<Ended> {
    for attempt in 1.. {
        let read = planned(session, asked.adopt, output);
        let (mut plan, possible) = limit.within(READING, read).await?;
        if possible.is_ok() {
            let pulls = image_pulls::add(session, &mut plan);
            limit.within(READING, pulls).await?;
        }
        asked.actions.summarize(&report::markdown::plan(&plan));
        possible?;
        if !plan.is_unchanged() {
            let text = report::plan::text(&plan, output.verbosity > 0, Layout::Grouped);
            let question = "Make these changes?";
            if !prompt::confirmed(text.trim_end(), question, asked.yes, limit, output)? {
                return Ok((not_started(&session.desired), None));
            }
            let prepared = prepare(session, &plan);
            limit.within(PREPARING, prepared).await?;
            prove(session, limit).await?;
        }
        let timeouts = &session.context.profile.timeouts;
        let options = limit.options(timeouts, asked.adopt, !plan.is_unchanged());
        let before = session.context.remarks.all();
        let (steps, error) = if plan.is_proven() {
            (kept(session), None)
        } else {
            execute(session, &options, limit, output).await
        };
        say_remarks(session, &before, output);
        if error.is_none() {
            say_what_is_left(&plan, output);
        }
        if plan.is_unchanged() && error.is_none() {
            prune_records(session, limit, options.hold(), output).await;
        }
        let stale = error.as_ref().is_some_and(|it| it.kind == ErrorKind::Stale);
        if !stale || attempt >= PLANS {
            return Ok((steps, error));
        }
        limit.clear_failure();
        limit.within(READING, session.refresh(output)).await?;
    }
    Ok((not_started(&session.desired), None))
}

/// The plan, and whether its objects and their pods are accepted.
async fn planned(session: &Session, adopt: bool, output: Output) -> Result<(Plan, Result<()>)> {
    let (plan, mut trials) = tokio::join!(
        observe::plan(&session.context, &session.desired, adopt),
        Box::pin(try_pods(session))
    );
    let plan = plan?;
    Box::pin(trials.finish(&plan, output)).await;
    let possible = trials.check(&plan);
    Ok((plan, possible))
}

/// Everything that a run checks before its first write, and no write: for a command that changes something else before the run.
pub(crate) async fn check(session: &Session, limit: &RunLimit, output: Output) -> Result<()> {
    let read = planned(session, false, output);
    let (plan, possible) = limit.within(READING, read).await?;
    possible?;
    limit.within(PREPARING, prepare(session, &plan)).await
}

/// Reports after a run which resources it only adopted.
fn say_what_is_left(plan: &Plan, output: Output) {
    for step in &plan.steps {
        for text in step.consequences.iter().filter(|it| it.starts_with(LEFT)) {
            output.note(format!("`{}` is {text}", step.id));
        }
    }
}

/// Checks before the first write: permissions, helm's version, and the charts.
pub(crate) async fn prepare(session: &Session, plan: &Plan) -> Result<()> {
    // Joined, not raced: a missing permission is told first in every run.
    let (allowed, fetched) = tokio::join!(
        check_permissions(session, plan),
        fetch_charts(session, plan)
    );
    allowed?;
    fetched
}

/// Fetches the charts that `plan` installs; with a lock each is compared with it.
pub(crate) async fn fetch_charts(session: &Session, plan: &Plan) -> Result<()> {
    let charts = session
        .desired
        .iter()
        .filter(|it| it.goal == Goal::Present && writes(plan, it))
        .filter_map(|it| match &it.resource {
            Resource::Release(release) => Some(&release.chart),
            Resource::Crds(crds) => Some(&crds.chart),
            _ => None,
        });
    let fetched = charts.map(|chart| session.context.helm.fetch(chart));
    futures::future::try_join_all(fetched).await.map(|_| ())
}

/// Proves that the images of a bundle can be pulled; what an interruption has left is removed.
async fn prove(session: &Session, limit: &RunLimit) -> Result<()> {
    let (to_pull, context) = (&session.to_pull, &session.context);
    let proof = to_pull.prove(context);
    let proven = limit
        .within("checking that the cluster can pull each image", proof)
        .await;
    if proven.is_err() {
        to_pull.withdraw(context).await;
    }
    proven
}

/// Runs base phase, lease, inventory, and then the rest; without changes it only waits.
pub(crate) async fn execute(
    session: &Session,
    options: &Options<'_>,
    limit: &RunLimit,
    output: Output,
) -> Ended {
    let context = &session.context;
    let mut progress = Progress::new(output, &session.desired);
    let mut on_event = |event: &execute::Event| progress.event(event);
    let (base, rest): (Vec<Desired>, Vec<Desired>) = session
        .desired
        .iter()
        .cloned()
        .partition(|it| it.phase <= Phase::Base);
    let mut steps = execute::execute(&base, context, options, &mut on_event).await;
    let mut held = None;
    let mut error = execute::ending(&steps, options);
    if error.is_none() && options.may_write {
        let made = made_namespaces(&steps);
        match begin(session, options, &made, limit, output).await {
            Ok(lease) => held = lease,
            Err(failure) => error = Some(failure),
        }
        if let Some(lease) = &held {
            say_taken_over(lease, output);
        }
    }
    if error.is_none() {
        steps.extend(execute::execute(&rest, context, options, &mut on_event).await);
        let forgotten = if options.may_record() {
            forget_gone(session, &steps).await.map(drop)
        } else {
            Ok(())
        };
        error = execute::ending(&steps, options).or_else(|| forgotten.err());
        if error.is_none() && options.may_record() {
            remember_crds(session).await;
        }
    } else {
        steps.extend(not_started(&rest));
    }
    if let Some(failure) = error.as_mut() {
        put_back(session, options, failure, &mut steps, &mut on_event).await;
    }
    if let Some(lease) = held {
        lease.release().await;
    }
    (steps, error)
}

/// Records the CRDs that this run has read whole, so that the next one need not. It only saves time: a failure is no error.
async fn remember_crds(session: &Session) {
    let context = &session.context;
    let Some(known) = context.crds.to_record() else {
        return;
    };
    let home = inventory::Home::of(&context.profile);
    if let Err(error) = inventory::remember_crds(&context.kube, home, &known).await {
        tracing::info!("the CRDs are not recorded: {}", error.message);
    }
}

/// The namespaces that the steps have made.
fn made_namespaces(steps: &[StepResult]) -> BTreeSet<String> {
    let made = steps
        .iter()
        .filter(|it| it.id.kind() == "namespace" && it.action == Some(Action::Create));
    made.map(|it| it.id.name().to_owned()).collect()
}

/// Acquires the lease, unless the command holds it, and records what will be created. `made` are the namespaces that the run
/// has made.
async fn begin(
    session: &Session,
    options: &Options<'_>,
    made: &BTreeSet<String>,
    limit: &RunLimit,
    output: Output,
) -> Result<Option<Lease>> {
    let taken = lease(session, limit, options.hold());
    let held = limit.within("waiting for the lease", taken).await?;
    // Plan again under the lease, while no other run writes: conflicts are reported before the next write.
    let recorded = async {
        let plan = observe::plan(&session.context, &session.desired, options.adopt).await?;
        Box::pin(check_again(session, &plan, made, output)).await?;
        let (kube, profile) = (&session.context.kube, &session.context.profile);
        inventory::record(kube, profile, &session.desired).await
    };
    let recorded = limit.within("making the plan again", recorded).await;
    match (recorded, held) {
        (Ok(()), held) => Ok(held),
        (Err(error), None) => Err(error),
        (Err(error), Some(held)) => {
            held.release().await;
            Err(error)
        }
    }
}
