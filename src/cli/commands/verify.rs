//! `arcctl verify`: the proofs of `up` alone.

use std::time::Instant;

use clap::Args;

use crate::{
    error::Result,
    profile::KubeDuration,
    report::run::Run,
    run::{READING, ended, tell, verify::verify},
    session::verify,
    terminal::{
        args::GlobalArgs, deadline::RunLimit, output::Output, profile_file,
        signals::stop_on_signals,
    },
};

/// Check that the runners work, as at the end of `up`; write nothing
///
/// Waits until the webhooks of cert-manager and of the controller admit and deny dry runs, each pool has as many ready pods as
/// its minimum in force, and their runners are online at GitHub. It does not matter who installed them: use it as a hook after
/// a sync of Flux or Argo CD, or after `kubectl` and `helm` (docs/gitops.md). The exit codes and the JSON document are those of
/// `up`.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Time limit for the whole run; the profile's `timeouts` apply too
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    timeout: KubeDuration,
    /// Use the cluster of the pod that this runs in (or of $KUBECONFIG) in place of the profile's `cluster`
    #[arg(long, conflicts_with_all = ["kubeconfig", "context"])]
    in_cluster: bool,
}

/// Runs the command.
pub(crate) async fn run(args: &VerifyArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let started = Instant::now();
    let file = profile_file::read(global, output)?;
    let name = file.profile.name.clone();
    let limit = RunLimit::new(args.timeout, stop_on_signals(), output);
    let opened = verify::open(global, file, args.in_cluster, output);
    let session = match limit.within(READING, opened).await {
        Ok(session) => session,
        Err(error) => {
            return Ok(finish(
                &Run::refused(&name, started, error),
                "",
                global,
                output,
            ));
        }
    };
    output.note_sentence(&session.target(), 2);
    let (steps, error) = verify(&session, &limit, output).await;
    let run = ended(&session, started, steps, error);
    let online = session.promises(jiff::Timestamp::now());
    Ok(finish(&run, &online, global, output))
}

fn finish(run: &Run, online: &str, global: &GlobalArgs, output: Output) -> u8 {
    if let Some(code) = tell(run, "verify", global, output) {
        return code;
    }
    if !output.is_json() {
        output.result(&run.verified(online));
    }
    0
}
