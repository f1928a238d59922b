//! `arcctl completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, output::Output};

/// Print the completion script of a shell
#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs, output: Output) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "arcctl", &mut script);
    output.generated(&String::from_utf8_lossy(&script));
    0
}
