//! Usage errors: clap's own messages, as a JSON document if `-o json` is given.

use std::process::ExitCode;

use clap::CommandFactory;
use serde_json::Value;

use super::{Cli, failure};
use crate::{
    error::{Error, ErrorKind, System},
    terminal::output::{Color, Format, Output},
};

/// clap's own messages: help and version are results, everything else is a usage error (exit 64).
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind as Kind;
    if matches!(error.kind(), Kind::DisplayHelp | Kind::DisplayVersion) {
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    // An argument that is not UTF-8 may be the one that clap rejected.
    let arguments: Vec<String> = std::env::args_os()
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    if asks_for_json(&arguments) {
        let text = error.to_string();
        let said: Vec<&str> = text
            .lines()
            .map(str::trim)
            .take_while(|it| !it.is_empty())
            .collect();
        let first = said.join(" ").replace("error: ", "");
        let error = Error::new(ErrorKind::Usage, System::Local, first).hint("see `arcctl --help`");
        Output::new(Format::Json, Color::Auto, 0).document(&usage_document(&arguments, &error));
    }
    drop(error.print());
    ExitCode::from(ErrorKind::Usage.exit_code())
}

/// Whether arguments that clap rejects contain `-o json`, in any spelling that clap accepts.
fn asks_for_json(arguments: &[String]) -> bool {
    let next = arguments.iter().skip(1).map(String::as_str);
    arguments
        .iter()
        .map(String::as_str)
        .zip(next.map(Some).chain([None]))
        .any(|(argument, next)| {
            let value = if let Some(value) = argument.strip_prefix("--output") {
                value
            } else if let Some(flags) = argument.strip_prefix('-') {
                match flags.trim_start_matches(['v', 'q']).strip_prefix('o') {
                    Some(value) => value,
                    None => return false,
                }
            } else {
                return false;
            };
            match value {
                "" => next == Some("json"),
                "json" => !argument.starts_with("--"),
                _ => value == "=json",
            }
        })
}

/// The JSON document of the intended command, if it can be recognized.
fn usage_document(arguments: &[String], error: &Error) -> Value {
    let meant = arguments
        .iter()
        .skip(1)
        .find(|it| Cli::command().find_subcommand(it).is_some());
    failure(meant.map_or("", String::as_str), "", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_every_spelling() {
        let asks = |text: &str| {
            let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
            asks_for_json(&arguments)
        };
        for text in [
            "-o json",
            "-o=json",
            "-ojson",
            "-vo=json",
            "--output json",
            "--output=json",
        ] {
            assert!(asks(&format!("arcctl plan --bogus {text}")), "{text}");
        }
        for text in [
            "-o",
            "-o human",
            "-o=human",
            "--outputjson",
            "-f=json",
            "json",
            "--output",
        ] {
            assert!(!asks(&format!("arcctl plan --bogus {text}")), "{text}");
        }
    }
}
