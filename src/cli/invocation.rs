//! The command line as it was called: as `arcctl`, or as the plugin `kubectl arc`.

use std::{ffi::OsString, path::Path};

use clap::{CommandFactory, FromArgMatches};

use super::Cli;

/// The file name by which kubectl finds a plugin `arc` (kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins).
const PLUGIN: &str = "kubectl-arc";

/// Parses `arguments`, the first of which is the program's name. If that is the plugin's name, help and usage errors name
/// `kubectl arc`, which is what the user has typed.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = Cli::command();
    if arguments.first().is_some_and(|it| is_plugin(Path::new(it))) {
        command = command.bin_name("kubectl arc");
    }
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

fn is_plugin(program: &Path) -> bool {
    program.file_name().is_some_and(|it| it == PLUGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What clap says about an unknown flag of `up`.
    fn complaint(program: &str) -> String {
        let arguments = [program, "up", "--unknown"].map(OsString::from);
        parse(arguments).err().unwrap().to_string()
    }

    #[test]
    fn usage_names_what_was_typed() {
        assert!(complaint("arcctl").contains("Usage: arcctl up"));
        for program in ["kubectl-arc", "/usr/local/bin/kubectl-arc"] {
            let text = complaint(program);
            assert!(text.contains("Usage: kubectl arc up"), "{text}");
            assert!(!text.contains("kubectl-arc"), "{text}");
        }
        assert!(parse(["kubectl-arc", "schema"].map(OsString::from)).is_ok());
        assert!(!is_plugin(Path::new("kubectl-arc/arcctl")));
    }
}
