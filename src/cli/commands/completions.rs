//! `arcctl completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, terminal::output::Output};

/// Print the completion script of a shell
#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs, output: Output) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "arcctl", &mut script);
    output.generated(&String::from_utf8_lossy(&script));
    0
}
