//! `arcctl man`.

use clap::CommandFactory;

use crate::{
    cli::Cli,
    error::{Error, Result, System},
    terminal::output::Output,
};

/// Prints the man page of arcctl and its commands.
pub(crate) fn run(output: Output) -> Result<u8> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    for command in commands {
        clap_mangen::Man::new(command.clone())
            .render(&mut page)
            .map_err(|error| {
                Error::failed(System::Local, "cannot render the man page")
                    .cause(error)
                    .hint("this is a defect of arcctl: please report it")
            })?;
    }
    output.generated(&String::from_utf8_lossy(&page));
    Ok(0)
}
