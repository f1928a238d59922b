//! `arcctl images`: the runner images of the profile.

mod update;

use clap::{Args, Subcommand};

use crate::{
    error::Result,
    terminal::{args::GlobalArgs, output::Output},
};

/// Find newer runner images, and write them into the profile
#[derive(Args)]
pub(crate) struct ImagesArgs {
    #[command(subcommand)]
    command: ImagesCommand,
}

#[derive(Subcommand)]
enum ImagesCommand {
    Update(update::UpdateArgs),
}

/// Runs the command.
pub(crate) async fn run(args: &ImagesArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    match &args.command {
        ImagesCommand::Update(args) => update::run(args, global, output).await,
    }
}
