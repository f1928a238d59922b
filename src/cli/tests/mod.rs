//! The command line is well formed, and its screens are those of the documents.

mod pictures;
mod svg;

use std::{sync::mpsc, time::Instant};

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn what_every_command_takes_comes_after_its_own_options() {
    let mut program = Cli::command();
    program.build();
    let mut commands = vec![&program];
    while let Some(command) = commands.pop() {
        for argument in command.get_arguments() {
            let heading = argument.is_global_set().then_some("Global options");
            let (name, id) = (command.get_name(), argument.get_id());
            assert_eq!(argument.get_help_heading(), heading, "{name}: {id}");
        }
        commands.extend(command.get_subcommands());
    }
    let render = program.find_subcommand_mut("render").unwrap();
    let help = render.render_long_help().to_string();
    let (own, global) = help.split_once("\nGlobal options:\n").unwrap();
    assert!(own.contains("--pull-through <FORM>"), "{help}");
    assert!(!own.contains("--kubeconfig"), "{help}");
    assert!(global.contains("--kubeconfig <FILE>"), "{help}");
}

#[test]
fn a_name_whose_lookup_does_not_end_does_not_keep_the_program_from_ending() {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let (began, has_begun) = mpsc::channel();
    let (_open, never) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || {
        began.send(()).unwrap();
        let _ended = never.recv_timeout(Duration::from_secs(20));
    });
    has_begun.recv().unwrap();
    let asked = Instant::now();
    end(runtime);
    assert!(asked.elapsed() < 10 * ENDING, "{:?}", asked.elapsed());
}
