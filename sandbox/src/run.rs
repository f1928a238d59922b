//! `arcctl-sandbox run`.

use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use anyhow::{Context as _, Result};
use arcctl_sandbox::world::Sandbox;
use clap::Args;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{WorldArgs, announce};

/// The arguments of `run`.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// Where the sandbox's files go, logs included; otherwise they vanish with it
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    world: WorldArgs,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// The signals that end the sandbox.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The number of the next signal.
    pub(crate) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hangup.recv() => 1,
        }
    }
}

/// Runs a command in a sandbox; its exit code is the result.
pub(crate) async fn run(args: RunArgs) -> Result<ExitCode> {
    let mut signals = Signals::new()?;
    announce(args.world.aws);
    let world = tokio::select! {
        world = Sandbox::start(args.world.options(args.dir)) => world?,
        number = signals.next() => return Ok(ExitCode::from(128 + number)),
    };
    let ended = command(&args.command, &world, &mut signals).await;
    world.stop();
    Ok(exit_code(ended?))
}

async fn command(words: &[String], world: &Sandbox, signals: &mut Signals) -> Result<ExitStatus> {
    let (program, arguments) = words.split_first().context("there is no command to run")?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(world.environment())
        .spawn()
        .with_context(|| format!("cannot run `{program}`: is it in PATH?"))?;
    if let Some(id) = child.id() {
        world.on_kill(move || kill(id));
    }
    loop {
        tokio::select! {
            ended = child.wait() => return Ok(ended?),
            number = signals.next() => forward(&child, number).await?,
        }
    }
}

/// Kills the command, as a fault asked for. Its end is seen where it is waited for.
fn kill(id: u32) {
    let _killed = std::process::Command::new("sh")
        .args(["-c", &format!("kill -9 {id}")])
        .status();
}

/// Hands a signal on. A terminal has sent its Ctrl-C to the command already; a second one would
/// mean "at once" there.
async fn forward(child: &Child, number: u8) -> Result<()> {
    let is_from_terminal = number == 2 && std::io::stdin().is_terminal();
    if let Some(id) = child.id().filter(|_| !is_from_terminal) {
        let words = [format!("-{number}"), id.to_string()];
        Command::new("sh")
            .args(["-c", "kill \"$@\"", "sh"])
            .args(words)
            .status()
            .await?;
    }
    Ok(())
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let by_signal = || status.signal().map(|number| 128 + number);
    let code = status
        .code()
        .or_else(by_signal)
        .and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
