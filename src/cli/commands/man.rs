//! `arcctl man`.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};

use crate::{
    cli::Cli,
    error::{Error, Result, System},
    terminal::output::Output,
};

/// Print the man page, or write one for each command
#[derive(Args)]
pub(crate) struct ManArgs {
    /// Write one page for each command into this directory (`arcctl.1`, `arcctl-plan.1`, …), and print nothing
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// A page: the name of its file, and its text.
type Page = (String, Vec<u8>);

/// Prints or writes the pages of arcctl and its commands.
pub(crate) fn run(args: &ManArgs, output: Output) -> Result<u8> {
    let pages = pages().map_err(|error| {
        Error::failed(System::Local, "cannot render the man page")
            .cause(error)
            .hint("this is a defect of arcctl: please report it")
    })?;
    if let Some(directory) = &args.directory {
        write(directory, &pages).map_err(|error| {
            Error::failed(
                System::Local,
                format!("cannot write the man pages to `{}`", directory.display()),
            )
            .cause(error)
            .hint("name a directory that you may write")
        })?;
    } else {
        let all: Vec<u8> = pages.into_iter().flat_map(|(_, text)| text).collect();
        output.generated(&String::from_utf8_lossy(&all));
    }
    Ok(0)
}

/// The page of arcctl, then those of its commands.
fn pages() -> std::io::Result<Vec<Page>> {
    let mut command = Cli::command();
    command.build();
    let name = command.get_name().to_owned();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    commands
        .map(|it| {
            let mut text = Vec::new();
            clap_mangen::Man::new(it.clone()).render(&mut text)?;
            let own = it.get_name();
            let file = if own == name {
                format!("{name}.1")
            } else {
                format!("{name}-{own}.1")
            };
            Ok((file, text))
        })
        .collect()
}

fn write(directory: &Path, pages: &[Page]) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for (file, text) in pages {
        std::fs::write(directory.join(file), text)?;
    }
    Ok(())
}
