//! `arcctl up`: plan, ask, execute, prove.

use std::{collections::BTreeMap, time::Instant};

use clap::Args;
use tokio::sync::watch;

use super::{
    GlobalArgs, confirm, consequences,
    environment::variable,
    forget::{forget_gone, tidy},
    observation,
    output::{DIM, Output, paint},
    permissions::{check_permissions, writes},
    pod_trials::{check_pods, try_pods},
    print_error, profile_file,
    progress::Progress,
    put_back::put_back,
    removal_advice,
    run_limit::RunLimit,
    session::Session,
    stop_on_signals,
};
use crate::{
    clients::requests::Counts,
    desired::{Desired, Goal, Phase},
    error::{Error, ErrorKind, Result},
    execute::{self, Options, StepResult, inventory, lease::Lease},
    plan::{Action, Plan},
    profile::KubeDuration,
    report::{
        self,
        run::{Requests, Run},
    },
    resource::Resource,
};

/// Plan, ask, execute, prove
#[derive(Args)]
pub(super) struct UpArgs {
    /// Go ahead without asking
    #[arg(short, long)]
    yes: bool,
    /// How long the whole run may take
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    timeout: KubeDuration,
    /// Take over an installation that was made by hand
    #[arg(long)]
    adopt: bool,
}

/// What is done before there is a plan.
pub(super) const READING: &str = "reading the cluster and GitHub";

/// How often a plan is made anew because the world changed under it.
const PLANS: u32 = 3;

/// Runs the command.
pub(super) async fn run(args: &UpArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    confirm::check(args.yes)?;
    let started = Instant::now();
    let file = profile_file::read(global, output)?;
    let name = file.profile.name.clone();
    let stop = stop_on_signals();
    let mut limit = RunLimit::new(args.timeout, stop.clone(), output);
    let opened = async {
        let session = Box::pin(Session::open(global, file, args.adopt, output)).await?;
        output.note(session.target());
        removal_advice::refuse_own_runner(&session.context, &session.desired).await?;
        Ok(session)
    };
    let mut session = match limit.within(READING, opened).await {
        Ok(session) => session,
        Err(error) => {
            let run = Run::refused(&name, started.elapsed(), error);
            return Ok(finish(&run, &[], global, output));
        }
    };
    let work = attempts(args, global, &mut session, &mut limit, &stop, output);
    let (steps, error) = match work.await {
        Ok(ended) => ended,
        Err(error) => (not_started(&session.desired), Some(error)),
    };
    let run = ended(&session, started, steps, error);
    if output.in_actions && run.error.is_none() && run.is_started() {
        let registered = limit.within("counting the runners", registered(&session));
        match registered.await {
            Ok(count) => global.actions.set("runners-registered", count),
            Err(error) => output.note(format!(
                "advice: the output runners-registered is not set: {}",
                error.document().message
            )),
        }
    }
    Ok(finish(&run, &session.desired, global, output))
}

/// How many runners of this profile are online at GitHub.
async fn registered(session: &Session) -> Result<usize> {
    let mut count = 0;
    for desired in &session.desired {
        if let Resource::Registration(pool) = &desired.resource {
            count += pool.online(&session.context).await?;
        }
    }
    Ok(count)
}

/// What is said of a run with a session.
pub(super) fn ended(
    session: &Session,
    started: Instant,
    steps: Vec<StepResult>,
    error: Option<Error>,
) -> Run {
    Run {
        profile: session.context.profile.name.clone(),
        steps,
        elapsed: started.elapsed(),
        requests: requests(session),
        error,
    }
}

/// How a run ends: its steps, and the error that it ends with.
pub(super) type Ended = (Vec<StepResult>, Option<Error>);

/// Plans, asks, and executes; again where the world has changed since the plan was made.
async fn attempts(
    args: &UpArgs,
    global: &GlobalArgs,
    session: &mut Session,
    limit: &mut RunLimit,
    stop: &watch::Sender<Option<execute::Stop>>,
    output: Output,
) -> Result<Ended> {
    for attempt in 1.. {
        let read = async {
            let (plan, trials) = tokio::join!(
                observation::plan(session, args.adopt),
                Box::pin(try_pods(session))
            );
            let plan = plan?;
            trials.tell(&plan, output);
            let possible = trials.check(&plan);
            Ok((plan, possible))
        };
        let (plan, possible) = limit.within(READING, read).await?;
        global.actions.summarize(&report::markdown::plan(&plan));
        possible?;
        if !plan.is_unchanged() {
            let text = report::plan::text(&plan, output.verbosity > 0);
            let question = "Make these changes?";
            let agreed = confirm::agreed(text.trim_end(), question, args.yes, limit, output);
            // A Ctrl-C at the question is one.
            limit.stopped()?;
            if !agreed? {
                output.note("nothing was changed");
                return Ok((not_started(&session.desired), None));
            }
            let prepared = prepare(session, &plan);
            limit
                .within("fetching the charts and asking for permissions", prepared)
                .await?;
        }
        let options = Options {
            adopt: args.adopt,
            may_write: !plan.is_unchanged(),
            deadline: limit.deadline(),
            limit: args.timeout.get(),
            timeouts: &session.context.profile.timeouts,
            stop: stop.clone(),
            paused: watch::Sender::new(false),
        };
        let before = session.context.remarks.all();
        let (steps, error) = if plan.is_proven() {
            (kept(session), None)
        } else {
            execute(session, &options, limit, output).await
        };
        say_remarks(session, &before, output);
        if error.is_none() {
            consequences::say_what_is_left(&plan, output);
        }
        if plan.is_unchanged() && error.is_none() {
            tidy(session, limit, options.hold(), output).await;
        }
        let stale = error.as_ref().is_some_and(|it| it.kind == ErrorKind::Stale);
        if !stale || attempt >= PLANS {
            return Ok((steps, error));
        }
        // Only what the steps themselves said; a Ctrl-C stands.
        stop.send_if_modified(|it| it.take_if(|it| *it == execute::Stop::Failed).is_some());
        limit.within(READING, session.refresh(output)).await?;
    }
    Ok((not_started(&session.desired), None))
}

/// What has come to be known of the resources since `before`: what was known then is in the plan.
pub(super) fn say_remarks(session: &Session, before: &BTreeMap<String, String>, output: Output) {
    for (id, remark) in session.context.remarks.all() {
        if before.get(&id) != Some(&remark) {
            output.note(format!("advice: `{id}`: {remark}"));
        }
    }
}

/// What can be found out before the first write is: permissions, helm's version, and the charts themselves.
async fn prepare(session: &Session, plan: &Plan) -> Result<()> {
    check_permissions(session, plan).await?;
    let charts = session
        .desired
        .iter()
        .filter(|it| it.goal == Goal::There && writes(plan, it))
        .filter_map(|it| match &it.resource {
            Resource::Release(release) => Some(&release.chart),
            Resource::Crds(crds) => Some(&crds.chart),
            _ => None,
        });
    let fetched = charts.map(|chart| session.context.helm.fetch(chart));
    futures::future::try_join_all(fetched).await.map(|_| ())
}

/// What a run is that found everything as it was to be.
pub(super) fn kept(session: &Session) -> Vec<StepResult> {
    untouched(&session.desired, Some(Action::Keep))
}

pub(super) fn not_started(desired: &[Desired]) -> Vec<StepResult> {
    untouched(desired, None)
}

fn untouched(desired: &[Desired], action: Option<Action>) -> Vec<StepResult> {
    let step = |desired: &Desired| StepResult {
        id: desired.id.clone(),
        action,
        written: false,
        elapsed: std::time::Duration::ZERO,
        error: None,
    };
    desired.iter().map(step).collect()
}

/// Base phase, lease, inventory, and then the rest; without changes only the waiting.
pub(super) async fn execute(
    session: &Session,
    options: &Options<'_>,
    limit: &RunLimit,
    output: Output,
) -> Ended {
    let context = &session.context;
    let mut progress = Progress::new(output);
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
        match begin(session, options, limit).await {
            Ok(lease) => held = Some(lease),
            Err(failure) => error = Some(failure),
        }
        if let Some(dead) = held.as_ref().and_then(|it| it.taken_over.as_ref()) {
            output.note(format!(
                "took over the lease of a run that has ended: {dead}"
            ));
        }
    }
    if error.is_none() {
        steps.extend(execute::execute(&rest, context, options, &mut on_event).await);
        let forgotten = if options.may_write {
            forget_gone(session, &steps).await.map(drop)
        } else {
            Ok(())
        };
        error = execute::ending(&steps, options).or_else(|| forgotten.err());
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

/// Takes the lease and records what is about to be created.
async fn begin(session: &Session, options: &Options<'_>, limit: &RunLimit) -> Result<Lease> {
    let (kube, profile) = (&session.context.kube, &session.context.profile.name);
    let holder = holder();
    let lease = Lease::acquire(
        kube,
        &session.context.profile.controller.namespace,
        profile,
        &holder,
        options.hold(),
    );
    let lease = limit.within("waiting for the lease", lease).await?;
    // The plan once more, now that nobody else writes: what is refused is refused before the next write.
    let recorded = async {
        let plan = observation::plan(session, options.adopt).await?;
        Box::pin(check_pods(session, &plan)).await?;
        inventory::record(kube, &session.context.profile, &session.desired).await
    };
    match limit.within("making the plan again", recorded).await {
        Ok(()) => Ok(lease),
        Err(error) => {
            lease.release().await;
            Err(error)
        }
    }
}

/// Who this run is, for whoever meets its lease.
pub(super) fn holder() -> String {
    let user = variable("USER")
        .or_else(|| variable("LOGNAME"))
        .unwrap_or_else(|| "somebody".into());
    let host = variable("HOSTNAME")
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .unwrap_or_else(|| "a host".into());
    format!("{user}@{} (process {})", host.trim(), std::process::id())
}

pub(super) fn requests(session: &Session) -> Requests {
    Requests {
        kubernetes: session.context.kube.requests.snapshot(),
        aws: session
            .context
            .aws
            .as_ref()
            .map_or_else(Counts::default, |aws| aws.requests.snapshot()),
        github: session.context.github_requests(),
        helm: session.context.helm.processes(),
    }
}

fn finish(run: &Run, desired: &[Desired], global: &GlobalArgs, output: Output) -> u8 {
    global.actions.run(run, "up");
    if output.is_json() {
        output.document(&run.document());
    }
    if let Some(error) = &run.error {
        print_error(output, error);
        return error.kind.exit_code();
    }
    if !output.is_json() && run.is_started() {
        let pools: Vec<String> = desired
            .iter()
            .filter_map(|it| match &it.resource {
                Resource::Registration(pool) => Some(pool.promise(jiff::Timestamp::now())),
                _ => None,
            })
            .collect();
        output.result(&run.text(&pools.join(", ")));
        output.note(paint(DIM, "see `arcctl status` for the runners"));
    }
    0
}
