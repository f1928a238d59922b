//! `arcctl teardown`: drain, deregister, and remove what arcctl owns, in order.

use std::time::Instant;

use clap::Args;
use tokio::sync::watch;

use super::{
    GlobalArgs, Stop, confirm, observation,
    output::Output,
    permissions::check_permissions,
    print_error,
    progress::Progress,
    removal_session::{self, RemovalArgs},
    run_limit::RunLimit,
    session::Session,
    stop_on_signals,
    up::{Ended, READING, ended, holder, kept, not_started, say_remarks},
};
use crate::{
    clients::kube::Target,
    desired::{Desired, Phase},
    error::Result,
    execute::{self, Options, StepResult, lease::Lease},
    plan::Plan,
    profile::KubeDuration,
    report::{self, run::Run},
};

/// Drain, deregister, and remove what arcctl owns
#[derive(Args)]
pub(super) struct TeardownArgs {
    /// Go ahead without asking
    #[arg(short, long)]
    yes: bool,
    /// How long the whole run may take
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    timeout: KubeDuration,
    #[command(flatten)]
    removal: RemovalArgs,
}

/// Runs the command.
pub(super) async fn run(args: &TeardownArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    confirm::check(args.yes)?;
    let started = Instant::now();
    let stop = stop_on_signals();
    let mut limit = RunLimit::new(args.timeout, stop.clone(), output);
    let opened = async {
        let session = Box::pin(removal_session::open(&args.removal, global, output)).await?;
        output.note(session.target());
        let plan = observation::plan(&session, false).await?;
        Ok((session, plan))
    };
    let (session, plan) = match limit.within(READING, opened).await {
        Ok(opened) => opened,
        Err(error) => {
            let run = Run::refused(args.name(global), started.elapsed(), error);
            return Ok(finish(&run, global, output));
        }
    };
    global.actions.summarize(&report::markdown::plan(&plan));
    let (steps, error) = match attempt(args, &session, &plan, &mut limit, stop, output).await {
        Ok(ended) => ended,
        Err(error) => (not_started(&session.desired), Some(error)),
    };
    let run = ended(&session, started, steps, error);
    Ok(finish(&run, global, output))
}

impl TeardownArgs {
    /// The profile, as far as it is known before there is a session.
    fn name<'a>(&'a self, global: &'a GlobalArgs) -> &'a str {
        self.removal.name().unwrap_or_else(|| global.profile_name())
    }
}

/// Asks, and executes.
async fn attempt(
    args: &TeardownArgs,
    session: &Session,
    plan: &Plan,
    limit: &mut RunLimit,
    stop: Stop,
    output: Output,
) -> Result<Ended> {
    let text = report::plan::text(plan, output.verbosity > 0);
    if plan.is_unchanged() {
        output.note(text.trim_end());
        return Ok((kept(session), None));
    }
    let question = "Remove all this?";
    let agreed = confirm::agreed(text.trim_end(), question, args.yes, limit, output);
    // A Ctrl-C at the question is one.
    limit.stopped()?;
    if !agreed? {
        output.note("nothing was changed");
        return Ok((not_started(&session.desired), None));
    }
    let allowed = check_permissions(session, plan);
    limit.within("asking for permissions", allowed).await?;
    let options = Options {
        adopt: false,
        may_write: true,
        deadline: limit.deadline(),
        limit: args.timeout.get(),
        timeouts: &session.context.profile.timeouts,
        stop,
        paused: watch::Sender::new(false),
    };
    let before = session.context.remarks.all();
    let ended = execute(session, &options, limit, output).await;
    say_remarks(session, &before, output);
    Ok(ended)
}

/// All phases under the lease; last, without it, what arcctl remembers, and the namespace that holds both.
async fn execute(
    session: &Session,
    options: &Options<'_>,
    limit: &RunLimit,
    output: Output,
) -> Ended {
    let context = &session.context;
    let mut progress = Progress::new(output);
    let mut on_event = |event: &execute::Event| progress.event(event);
    let (memory, rest): (Vec<Desired>, Vec<Desired>) = session
        .desired
        .iter()
        .cloned()
        .partition(|it| it.phase == Phase::Memory);
    let lease = match lease(session, options, limit).await {
        Ok(lease) => lease,
        Err(error) => return (not_started(&session.desired), Some(error)),
    };
    match lease.as_ref().map(|it| &it.taken_over) {
        Some(Some(dead)) => output.note(format!(
            "took over the lease of a run that has ended: {dead}"
        )),
        Some(None) => {}
        None => output.note("advice: there is no namespace to hold a lease in: make sure that nobody else runs arcctl on this cluster now"),
    }
    let mut steps = execute::execute(&rest, context, options, &mut on_event).await;
    let failed = |steps: &[StepResult]| execute::ending(steps, options);
    if let Some(error) = failed(&steps) {
        if let Some(lease) = lease {
            lease.release().await;
        }
        steps.extend(not_started(&memory));
        return (steps, Some(error));
    }
    if let Some(lease) = lease {
        lease.keep().await;
    }
    steps.extend(execute::execute(&memory, context, options, &mut on_event).await);
    let error = failed(&steps);
    (steps, error)
}

/// The lease; none where its namespace is gone or going.
async fn lease(
    session: &Session,
    options: &Options<'_>,
    limit: &RunLimit,
) -> Result<Option<Lease>> {
    let kube = &session.context.kube;
    let home = &session.context.profile.controller.namespace;
    let namespace = Target::cluster("v1", "Namespace", home);
    let taken = async {
        match kube.get(&namespace).await? {
            Some(live) if live["metadata"]["deletionTimestamp"].is_null() => {}
            _ => return Ok(None),
        }
        let profile = &session.context.profile.name;
        Lease::acquire(kube, home, profile, &holder(), options.hold())
            .await
            .map(Some)
    };
    limit.within("waiting for the lease", taken).await
}

fn finish(run: &Run, global: &GlobalArgs, output: Output) -> u8 {
    global.actions.run(run, "teardown");
    if output.is_json() {
        output.document(&run.document());
    }
    if let Some(error) = &run.error {
        print_error(output, error);
        return error.kind.exit_code();
    }
    if !output.is_json() {
        output.result(&run.removed());
    }
    0
}
