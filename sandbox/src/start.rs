//! `arcctl-sandbox start`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use arcctl_sandbox::world::Sandbox;
use clap::Args;

use crate::run::Signals;
use crate::{WorldArgs, announce, say};

/// The arguments of `start`.
#[derive(Args)]
pub(crate) struct StartArgs {
    /// Where the sandbox's files go; `DIR/env` is for a shell to source
    #[arg(long)]
    dir: PathBuf,
    #[command(flatten)]
    world: WorldArgs,
}

/// Keeps a sandbox running until a signal comes or one of its programs ends.
pub(crate) async fn run(args: StartArgs) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    announce(args.world.aws);
    let file = args.dir.join("env");
    let world = tokio::select! {
        world = Sandbox::start(args.world.options(Some(args.dir))) => world?,
        number = signals.next() => return Ok(ExitCode::from(128 + number)),
    };
    std::fs::write(&file, exports(&world))
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    writeln!(std::io::stdout(), "ready")?;
    say(&format!("in another shell: . {}", file.display()));
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    let result = loop {
        tokio::select! {
            _ = signals.next() => break Ok(ExitCode::SUCCESS),
            _ = tick.tick() => if let Err(error) = world.check() { break Err(error) },
        }
    };
    world.stop();
    result
}

/// The environment as lines of a POSIX shell.
fn exports(world: &Sandbox) -> String {
    world
        .environment()
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            // Writing to a String cannot fail.
            let _written = writeln!(text, "export {name}='{}'", value.replace('\'', r"'\''"));
            text
        })
}
