//! The command line is well formed, and its screens are those of the documents.

mod pictures;
mod svg;

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}
