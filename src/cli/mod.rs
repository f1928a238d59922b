//! What the user types: one file per command. Arguments and environment are read here and nowhere else.

mod accounts;
mod actions;
mod at_once;
mod aws_facts;
mod completions;
mod confirm;
mod connection;
mod consequences;
mod doctor;
mod doctor_fix;
mod doctor_parts;
mod doctor_probe;
mod environment;
mod foreign;
mod forget;
mod man;
mod observation;
mod output;
mod own_fault;
mod permissions;
mod plan;
mod pod_trials;
mod pool_names;
mod profile_file;
mod progress;
mod put_back;
mod removal_advice;
mod removal_session;
mod removal_source;
mod render;
mod run_limit;
mod schedule;
mod schema;
mod session;
mod sign_in;
mod signals;
mod smoke;
mod state;
mod status;
mod teardown;
mod up;
mod usage;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, OnceLock},
    time::Duration,
};

use clap::{ArgAction, Parser, Subcommand};
use serde_json::{Value, json};

use crate::{
    error::{Error, ErrorKind, Result, System},
    log,
    report::run::Run,
};
use output::{BAD, Color, Format, GOOD, Masks, Output, paint};
use signals::stop_on_signals;
use usage::usage;

/// Turns an EKS cluster into working self-hosted GitHub Actions runners, and proves that they work
#[derive(Parser)]
#[command(
    name = "arcctl",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(clap::Args, Clone)]
pub struct GlobalArgs {
    /// The profile; `-` is stdin
    #[arg(
        short,
        long,
        global = true,
        value_name = "PROFILE",
        default_value = "arcctl.yaml"
    )]
    file: PathBuf,
    /// The form of the result on stdout
    #[arg(short, long, global = true, value_enum, default_value = "human")]
    output: Format,
    /// The kubeconfig; by the usual rules where left out
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig, before the profile's own
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: Color,
    /// Show unchanged resources and log decisions (-vv: requests to all systems and helm's arguments, -vvv: retries and
    /// watch events). `ARCCTL_LOG` in the environment names a file for the whole log
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Show only the result and errors
    #[arg(short, long, global = true, action = ArgAction::Count)]
    quiet: u8,
    /// In GitHub Actions: ask GitHub's log to hide the credential; only needed where it is not one of the workflow's
    /// secrets. The credential goes to stderr for that, so do not use it where stderr is kept (`2>&1`, `tee`)
    #[arg(long, global = true)]
    mask: bool,
    /// The profile's name, once it is read: documents of failures have it too.
    #[arg(skip)]
    profile: Arc<OnceLock<String>>,
    /// What is left behind in GitHub Actions.
    #[arg(skip)]
    actions: actions::Actions,
}

impl GlobalArgs {
    fn profile_name(&self) -> &str {
        self.profile.get().map_or("", String::as_str)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Show what `up` would change, field by field; write nothing
    Plan(plan::PlanArgs),
    /// Plan, ask, execute, prove
    Up(up::UpArgs),
    /// Show releases, certificate and pools on one screen
    Status(status::StatusArgs),
    /// Say what is wrong, why, and what mends it; write nothing unless asked to
    Doctor(doctor::DoctorArgs),
    /// Show the calendar of effective minimums in the profile's time zone
    Schedule(schedule::ScheduleArgs),
    /// Run a job on each pool: dispatch the workflow that `render` writes, and follow it
    Smoke(smoke::SmokeArgs),
    /// Write everything as files, without any network
    Render(render::RenderArgs),
    /// Drain, deregister, and remove what arcctl owns
    Teardown(teardown::TeardownArgs),
    /// Print the JSON Schema of the profile
    Schema,
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Print the man page
    Man,
}

impl Command {
    const fn name(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Up(_) => "up",
            Self::Status(_) => "status",
            Self::Doctor(_) => "doctor",
            Self::Schedule(_) => "schedule",
            Self::Smoke(_) => "smoke",
            Self::Render(_) => "render",
            Self::Teardown(_) => "teardown",
            Self::Schema => "schema",
            Self::Completions(_) => "completions",
            Self::Man => "man",
        }
    }
}

/// The document of a command that failed before it had another.
fn failure(command: &str, profile: &str, error: &Error) -> Value {
    let error_document = error.document();
    match command {
        "plan" => crate::report::plan::document(profile, None, Some(error)),
        "up" | "teardown" => Run::refused(profile, Duration::ZERO, error.clone()).document(),
        "doctor" => crate::report::doctor::document(&[], &[], Some(error)),
        "status" => crate::report::status::failure(profile, error),
        "smoke" => crate::report::smoke::failure(profile, error),
        "schedule" => crate::report::schedule::document(profile, 0, &[], Some(error)),
        "render" => json!({
            "schema": "arcctl.render/v1", "profile": profile, "files": [], "placeholders": [],
            "error": error_document,
        }),
        _ => json!({"error": error_document}),
    }
}

/// Runs the program: parses, dispatches, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    own_fault::keep_memory();
    // The provider is installed once; a second installation would only mean that it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let global = &cli.global;
    let verbosity = i8::try_from(global.verbose).unwrap_or(i8::MAX)
        - i8::try_from(global.quiet).unwrap_or(i8::MAX);
    let mut output = Output::new(global.output, global.color, verbosity);
    if environment::variable("GITHUB_ACTIONS").as_deref() == Some("true") {
        output = output.in_actions(if global.mask {
            Masks::Asked
        } else {
            Masks::Never
        });
    } else if global.mask {
        output.note("advice: `--mask` does nothing outside GitHub Actions");
    }
    own_fault::tell_panics(output);
    let profile = Arc::clone(&cli.global.profile);
    at_once::prepare(output, cli.command.name(), move || {
        profile.get().cloned().unwrap_or_default()
    });
    if let Err(error) = start_log(output) {
        return fail(output, &cli, &error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::failed(System::Local, "cannot start").cause(error);
            return fail(output, &cli, &error);
        }
    };
    let code = match own_fault::caught(|| runtime.block_on(run(&cli, output))) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => fail(output, &cli, &error),
        Err(fault) => leave(output, &cli, &fault),
    };
    global.actions.finish(output);
    code
}

/// Begins the log.
fn start_log(output: Output) -> Result<()> {
    let file = environment::variable(log::VARIABLE);
    let file = file.map(|it| log::open(Path::new(&it))).transpose()?;
    log::start(output.verbosity, file, move |line| output.error(line));
    Ok(())
}

async fn run(cli: &Cli, output: Output) -> Result<u8> {
    let global = &cli.global;
    if output.format == Format::Junit && !matches!(cli.command, Command::Doctor(_)) {
        let error = Error::new(
            ErrorKind::Usage,
            System::Local,
            format!("`{}` has no JUnit report", cli.command.name()),
        );
        return Err(error.hint("only `arcctl doctor` has one; `-o json` is for all commands"));
    }
    match &cli.command {
        Command::Plan(args) => Box::pin(plan::run(args, global, output)).await,
        Command::Up(args) => Box::pin(up::run(args, global, output)).await,
        Command::Status(args) => Box::pin(status::run(args, global, output)).await,
        Command::Doctor(args) => Box::pin(doctor::run(args, global, output)).await,
        Command::Schedule(args) => schedule::run(args, global, output),
        Command::Smoke(args) => Box::pin(smoke::run(args, global, output)).await,
        Command::Render(args) => render::run(args, global, output),
        Command::Teardown(args) => Box::pin(teardown::run(args, global, output)).await,
        Command::Schema => Ok(schema::run(output)),
        Command::Completions(args) => Ok(completions::run(args, output)),
        Command::Man => man::run(output),
    }
}

/// Prints the error where it belongs: the document to stdout, the text to stderr.
fn fail(output: Output, cli: &Cli, error: &Error) -> ExitCode {
    let code = leave(output, cli, error);
    print_error(output, error);
    code
}

/// Leaves the error behind for programs: the document on stdout, the annotation and the summary of GitHub Actions.
fn leave(output: Output, cli: &Cli, error: &Error) -> ExitCode {
    if output.is_json() {
        let profile = cli.global.profile_name();
        output.document(&failure(cli.command.name(), profile, error));
    }
    if output.format == Format::Junit && matches!(cli.command, Command::Doctor(_)) {
        output.result(&crate::report::junit::failure(error));
    }
    cli.global.actions.failure(error);
    cli.global
        .actions
        .summarize(&crate::report::markdown::failure(error));
    ExitCode::from(error.kind.exit_code())
}

/// The one printer of errors.
fn print_error(output: Output, error: &Error) {
    // The text of an invalid profile is a report of its own, with its own first line.
    let text = error
        .message
        .strip_prefix("error: ")
        .unwrap_or(&error.message)
        .trim_end();
    output.error(format!("{} {text}", paint(BAD, "error:")));
    for cause in &error.causes {
        output.error(format!("  caused by: {cause}"));
    }
    if let Some(hint) = &error.hint {
        output.error(format!("\n{} {hint}", paint(GOOD, "hint:")));
    }
}

/// What a signal handler and the executor share.
type Stop = tokio::sync::watch::Sender<Option<crate::execute::Stop>>;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
