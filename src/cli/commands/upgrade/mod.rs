//! `arcctl upgrade` and `arcctl rollback`: newer versions one proven step at a time, and back.

mod begin;
mod rollback;
mod steps;

use std::time::Instant;

use clap::Args;

use crate::{
    error::Result,
    profile::KubeDuration,
    report::upgrade::Upgraded,
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::Output,
        profile_file::{self, ProfileFile},
        signals::stop_on_signals,
    },
};
pub(crate) use rollback::{RollbackArgs, run as roll_back};
use steps::Work;

/// Upgrade cert-manager, the controllers and the runners step by step, and verify each step
///
/// Shows the path from the installed versions: cert-manager one minor version at a time, then the controllers, then the runner
/// images, one pool before the others. Makes a backup in the cluster first. Each step is an `up` with the versions of that step;
/// if it fails its checks, all previous versions are restored. The profile gets the new versions at the end; comments and
/// everything else stay. To continue an interrupted upgrade, run the same command again; to undo it, run `arcctl rollback`
/// (docs/upgrade.md).
#[derive(Args)]
pub(crate) struct UpgradeArgs {
    /// Target versions; the keys are cert-manager, controller, scale-sets and runner (a version, or `newest`) [default: the
    /// chart versions that this arcctl installs; runner images stay]
    #[arg(long, value_name = "KEY=VERSION", value_delimiter = ',')]
    to: Vec<String>,
    /// Run a job on the first pool before the others get their image, and at the end, with the workflow of `arcctl render` in
    /// this repository
    #[arg(long, value_name = "OWNER/NAME")]
    smoke: Option<String>,
    /// With --smoke: environment variable with the token that dispatches the workflow [default: the profile's credential]
    #[arg(long, value_name = "VARIABLE", requires = "smoke")]
    token_env: Option<String>,
    /// Show the steps, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
    /// Time limit for the whole command; an automatic rollback has the same time again
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    timeout: KubeDuration,
}

/// Runs the command.
pub(crate) async fn run(args: &UpgradeArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let (file, text) = read(args.dry_run, args.yes, global, output)?;
    let mut work = Work::new(&file, args.timeout, global, output);
    let ended = Box::pin(begin::upgrade(&mut work, args, file, text)).await;
    Ok(finish(work, ended, global, output))
}

/// The profile, and its text; fails where it cannot be changed, or where nobody can be asked.
fn read(
    dry_run: bool,
    yes: bool,
    global: &GlobalArgs,
    output: Output,
) -> Result<(ProfileFile, String)> {
    profile_file::read_to_change(
        "the versions are written into",
        dry_run,
        yes,
        global,
        output,
    )
}

fn finish(work: Work<'_>, ended: Result<()>, global: &GlobalArgs, output: Output) -> u8 {
    let mut report: Upgraded = work.report;
    report.error = ended.err();
    report.elapsed = work.started.elapsed();
    if output.is_json() {
        output.document(&report.document());
    }
    if let Some(error) = &report.error {
        global.actions.failure(error);
        output.print_error(error);
        let recorded = report.upgrade.as_ref().filter(|_| report.stage.is_some());
        if let Some(upgrade) = recorded.filter(|it| it.is_in_progress()) {
            output.note(upgrade.notice());
        }
        return error.kind.exit_code();
    }
    let text = report.text();
    if !output.is_json() && !text.is_empty() {
        output.result(&text);
    }
    0
}

impl<'a> Work<'a> {
    fn new(
        file: &ProfileFile,
        timeout: KubeDuration,
        global: &'a GlobalArgs,
        output: Output,
    ) -> Self {
        Self {
            global,
            output,
            limit: RunLimit::new(timeout, stop_on_signals(), output),
            started: Instant::now(),
            report: Upgraded {
                profile: file.profile.name.clone(),
                file: file.name.clone(),
                ..Upgraded::default()
            },
            has_told_target: false,
        }
    }
}
