//! `arcctl up`: plans, prompts, executes, and verifies.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;

use crate::{
    desired::resource::Resource,
    error::Result,
    profile::{KubeDuration, Pool},
    report::run::{Run, critical_path, pause},
    run::{
        READING, ended,
        install::{Asked, attempts},
        not_started, tell,
    },
    secret,
    session::{Session, bundle, teardown::advice},
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::{DIM, Output, paint},
        profile_file, prompt,
        signals::stop_on_signals,
    },
};

/// Install or update, then wait until the runners are online
#[derive(Args)]
pub(crate) struct UpArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Time limit for the whole run
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    timeout: KubeDuration,
    /// Take over an installation that was created by hand
    #[arg(long)]
    adopt: bool,
    /// Install only from a bundle: `oci://REGISTRY/PATH`, or a bundle file whose images were pushed to `images.registry`
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<String>,
    /// Write the times of all steps to a file, for `chrome://tracing` or Perfetto
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// Runs the command.
pub(crate) async fn run(args: &UpArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    profile_file::check_exists(global)?;
    prompt::check(args.yes)?;
    let started = Instant::now();
    let file = profile_file::read(global, output)?;
    let name = file.profile.name.clone();
    let mut limit = RunLimit::new(args.timeout, stop_on_signals(), output);
    let opened = async {
        let source = args.bundle.as_deref();
        let opened = bundle::session(source, file, global, args.adopt, output);
        let (session, bundle) = Box::pin(opened).await?;
        output.note_sentence(&session.target(), 2);
        session.say_migrations(output);
        session.lock.check()?;
        advice::refuse_own_runner(&session.context, &session.desired).await?;
        Ok((session, bundle))
    };
    // The charts of a bundle are there as long as the run.
    let (mut session, _bundle) = match limit.within(READING, opened).await {
        Ok(session) => session,
        Err(error) => {
            let run = Run::refused(&name, started, error);
            return Ok(finish(&run, "", &[], global, output));
        }
    };
    let asked = Asked {
        yes: args.yes,
        adopt: args.adopt,
        actions: &global.actions,
    };
    let work = attempts(&asked, &mut session, &mut limit, output);
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
    if let Some(path) = &args.trace {
        write_trace(path, &run, output);
    }
    let online = session.promises(jiff::Timestamp::now());
    let pools = &session.context.profile.pools;
    Ok(finish(&run, &online, pools, global, output))
}

/// A trace that cannot be written does not change the command's result.
fn write_trace(path: &Path, run: &Run, output: Output) {
    let trace = secret::value::told(&critical_path::trace(&run.steps, run.began));
    if let Err(error) = std::fs::write(path, format!("{trace:#}\n")) {
        output.note(format!(
            "advice: the trace is not written to `{}`: {error}",
            path.display()
        ));
    }
}

/// How many runners of this profile are online at GitHub.
async fn registered(session: &Session) -> Result<usize> {
    let mut count = 0;
    for desired in &session.desired {
        count += match &desired.resource {
            Resource::Registration(pool) => pool.online(&session.context).await?,
            Resource::ScaleSetOnline(set) => set.online(&session.context).await?,
            _ => 0,
        };
    }
    Ok(count)
}

fn finish(run: &Run, online: &str, pools: &[Pool], global: &GlobalArgs, output: Output) -> u8 {
    if let Some(code) = tell(run, "up", global, output) {
        return code;
    }
    if !output.is_json() && run.is_started() {
        output.result(&run.text(online));
        if run.changed() > 0
            && let Some(line) = critical_path::line(&run.steps)
        {
            output.note(paint(DIM, line));
        }
        for line in pause::lines(&run.steps) {
            output.note(line);
        }
        for line in run.next(pools) {
            output.note(paint(DIM, line));
        }
    }
    0
}
