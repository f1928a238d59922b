//! `arcctl images`: the runner images of the profile.

mod update;
mod write;

use clap::{Args, Subcommand};

use crate::{
    error::Result,
    terminal::{args::GlobalArgs, output::Output},
};

/// Find newer runner images, and write them into the profile
///
///   arcctl images update [--write] [--pool NAME]… [--detailed-exitcode]
///
/// `update` reads the tags of each pool's image at its registry, or at the mirror in `images.registry`, and shows the newest
/// of the same flavour: the tag that differs only in the runner's version. It needs no cluster and no GitHub. Logins are
/// those of `docker login`, else those of the profile's pull secrets, which are read from the cluster. `--write` changes the
/// images in the profile's text and nothing else: comments, quotes and order stay (docs/ci.md has a job that opens a pull
/// request with it).
#[derive(Args)]
pub(crate) struct ImagesArgs {
    #[command(subcommand)]
    command: ImagesCommand,
}

#[derive(Subcommand)]
enum ImagesCommand {
    /// Show the newest image of the same flavour for each pool; `--write` puts it into the profile
    Update(update::UpdateArgs),
}

/// Runs the command.
pub(crate) async fn run(args: &ImagesArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    match &args.command {
        ImagesCommand::Update(args) => update::run(args, global, output).await,
    }
}
