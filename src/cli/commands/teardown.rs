//! `arcctl teardown`: drains and deregisters the runners, and deletes arcctl's resources, in order.

use std::time::Instant;

use clap::Args;

use crate::{
    error::Result,
    observe,
    profile::KubeDuration,
    report::{self, run::Run},
    run::{READING, ended, not_started, teardown::attempt, tell},
    session::teardown::{self, RemovalArgs},
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::{DIM, Output, paint},
        prompt,
        signals::stop_on_signals,
    },
};

/// Drain the runners, deregister them, and delete what arcctl owns
#[derive(Args)]
pub(crate) struct TeardownArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Time limit for the whole run
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    timeout: KubeDuration,
    #[command(flatten)]
    removal: RemovalArgs,
}

/// Runs the command.
pub(crate) async fn run(args: &TeardownArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    prompt::check(args.yes)?;
    let started = Instant::now();
    let mut limit = RunLimit::new(args.timeout, stop_on_signals(), output);
    let opened = async {
        let session = Box::pin(teardown::open(&args.removal, global, output)).await?;
        output.note_sentence(&session.target(), 2);
        let plan = observe::plan(&session.context, &session.desired, false).await?;
        Ok((session, plan))
    };
    let (session, plan) = match limit.within(READING, opened).await {
        Ok(opened) => opened,
        Err(error) => {
            let run = Run::refused(args.name(global), started, error);
            return Ok(finish(&run, global, output));
        }
    };
    global.actions.summarize(&report::markdown::plan(&plan));
    let (steps, error) = match attempt(args.yes, &session, &plan, &mut limit, output).await {
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

fn finish(run: &Run, global: &GlobalArgs, output: Output) -> u8 {
    if let Some(code) = tell(run, "teardown", global, output) {
        return code;
    }
    if !output.is_json() {
        output.result(&run.removed());
        if run.changed() > 0 {
            let next = "next: `arcctl up` with the same profile makes all of it again";
            output.note(paint(DIM, next));
        }
    }
    0
}
