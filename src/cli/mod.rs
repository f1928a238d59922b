//! The command line: one file per command. Arguments and environment are read here and nowhere else.

pub(crate) mod commands;
mod invocation;
#[cfg(test)]
mod tests;
mod usage;

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use crate::{
    clients::scratch,
    error::{Error, ErrorKind, Result, System},
    log,
    report::run::Run,
    terminal::{
        args::GlobalArgs,
        environment,
        output::{Format, Masks, Output},
        panic, second_signal,
    },
};
use usage::usage;

/// How long the threads of the program have to end, after its result is written.
const ENDING: Duration = Duration::from_secs(1);

/// The end of the help: what a script reads.
const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    failed
  2    with `--detailed-exitcode`: `plan` has changes, `images update` newer images
  3    `doctor --fail-on advice`: only checks of severity advice are broken
  4    Kubernetes, AWS or GitHub rejects the credential, or it lacks a permission
  5    another run holds the lease
  6    timed out; run it again to continue
  7    refused: it would change something that arcctl does not own, or something differs from the lock
  64   wrong usage
  65   the profile is missing or invalid
  129, 130, 131, 143   ended by SIGHUP, SIGINT (Ctrl-C), SIGQUIT, SIGTERM";

/// Turns an EKS cluster into working self-hosted GitHub Actions runners, and proves that they work
#[derive(Parser)]
#[command(
    name = "arcctl",
    version = env!("ARCCTL_VERSION"),
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = EXIT_CODES
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

// A command without a comment here has its help at its arguments: a comment would replace it, the long description too.
#[derive(Subcommand)]
enum Command {
    Init(Box<commands::init::InitArgs>),
    /// Show what `up` would change, field by field; write nothing
    Plan(commands::plan::PlanArgs),
    /// Install or update, then wait until the runners are online
    Up(commands::up::UpArgs),
    Verify(commands::verify::VerifyArgs),
    /// Show releases, certificate and pools on one screen
    Status(commands::status::StatusArgs),
    /// Diagnose the installation and suggest fixes; write nothing unless asked to
    Doctor(commands::doctor::DoctorArgs),
    /// Find newer runner images, and write them into the profile
    Images(commands::images::ImagesArgs),
    Lock(commands::lock::LockArgs),
    /// Put every chart and image of the profile into one file, and push it to a registry
    Bundle(commands::bundle::BundleArgs),
    /// Show the calendar of effective minimums in the profile's time zone
    Schedule(commands::schedule::ScheduleArgs),
    /// Run a job on each pool: dispatch the workflow that `render` writes, and follow it
    Smoke(commands::smoke::SmokeArgs),
    Render(commands::render::RenderArgs),
    Migrate(Box<commands::migrate::MigrateArgs>),
    Upgrade(Box<commands::upgrade::UpgradeArgs>),
    Rollback(commands::upgrade::RollbackArgs),
    /// Drain the runners, deregister them, and delete what arcctl owns
    Teardown(commands::teardown::TeardownArgs),
    /// Explain a key of the profile, with an example
    Explain(commands::explain::ExplainArgs),
    /// Print the JSON Schema of the profile
    Schema,
    /// Print the completion script of a shell
    Completions(commands::completions::CompletionsArgs),
    /// Print the man page, or write one for each command
    Man(commands::man::ManArgs),
}

impl Command {
    const fn name(&self) -> &'static str {
        match self {
            Self::Init(_) => "init",
            Self::Plan(_) => "plan",
            Self::Up(_) => "up",
            Self::Verify(_) => "verify",
            Self::Status(_) => "status",
            Self::Doctor(_) => "doctor",
            Self::Images(_) => "images",
            Self::Lock(_) => "lock",
            Self::Bundle(_) => "bundle",
            Self::Schedule(_) => "schedule",
            Self::Smoke(_) => "smoke",
            Self::Render(_) => "render",
            Self::Migrate(_) => "migrate",
            Self::Upgrade(_) => "upgrade",
            Self::Rollback(_) => "rollback",
            Self::Teardown(_) => "teardown",
            Self::Explain(_) => "explain",
            Self::Schema => "schema",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

/// The JSON document of a command that failed before it wrote another one.
fn failure(command: &str, profile: &str, error: &Error) -> Value {
    let error_document = error.document();
    match command {
        "init" => crate::report::init::document(
            &crate::report::init::Init {
                profile: profile.to_owned(),
                ..Default::default()
            },
            Some(error),
        ),
        "plan" => crate::report::plan::document(profile, None, Some(error)),
        "up" | "verify" | "teardown" => {
            Run::refused(profile, std::time::Instant::now(), error.clone()).document()
        }
        "doctor" => crate::report::doctor::document(&[], &[], Some(error)),
        "status" => crate::report::status::failure(profile, error),
        "smoke" => crate::report::smoke::failure(profile, error),
        "images" => crate::report::images::Images {
            profile: profile.to_owned(),
            ..Default::default()
        }
        .document(Some(error)),
        "lock" => crate::report::lock::LockReport {
            profile: profile.to_owned(),
            ..Default::default()
        }
        .document(Some(error)),
        "bundle" => crate::report::bundle::BundleReport {
            profile: profile.to_owned(),
            ..Default::default()
        }
        .document(Some(error)),
        "migrate" => crate::report::migration::Migrated {
            profile: profile.to_owned(),
            error: Some(error.clone()),
            ..Default::default()
        }
        .document(),
        "upgrade" | "rollback" => crate::report::upgrade::Upgraded {
            profile: profile.to_owned(),
            error: Some(error.clone()),
            ..Default::default()
        }
        .document(),
        "schedule" => crate::report::schedule::document(profile, 0, &[], Some(error)),
        "render" => json!({
            "schema": "arcctl.render/v1", "profile": profile, "format": "files", "files": [],
            "placeholders": [],
            "error": error_document,
        }),
        "explain" => json!({"schema": "arcctl.explain/v1", "error": error_document}),
        _ => json!({"error": error_document}),
    }
}

/// Runs the program: parses, dispatches, and converts the result to an exit code.
pub fn main() -> ExitCode {
    panic::keep_memory();
    // The provider is installed once; a second installation only fails because one exists already.
    drop(rustls::crypto::ring::default_provider().install_default());
    let cli = match invocation::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let global = &cli.global;
    let verbosity = i8::try_from(global.verbose).unwrap_or(i8::MAX)
        - i8::try_from(global.quiet).unwrap_or(i8::MAX);
    let mut output =
        Output::new(global.output, global.color, verbosity).with_progress(global.progress);
    if environment::variable("GITHUB_ACTIONS").as_deref() == Some("true") {
        output = output.in_actions(if global.mask {
            Masks::Asked
        } else {
            Masks::Never
        });
    } else if global.mask {
        output.note("advice: `--mask` does nothing outside GitHub Actions");
    }
    panic::tell_panics(output);
    let profile = Arc::clone(&cli.global.profile);
    let name = move || profile.get().cloned().unwrap_or_default();
    second_signal::prepare(output, cli.command.name(), name, failure);
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
    let code = match panic::catch_panic(|| runtime.block_on(run(&cli, output))) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => fail(output, &cli, &error),
        Err(fault) => leave(output, &cli, &fault),
    };
    global.actions.finish(output);
    end(runtime);
    // What a thread that still works has not dropped.
    scratch::remove_all();
    code
}

/// Ends the runtime, and waits for its threads only briefly. The system looks up names in such a thread, for up to a minute where
/// no DNS server answers, and nothing ends that; signals are no longer handled by then.
fn end(runtime: tokio::runtime::Runtime) {
    runtime.shutdown_timeout(ENDING);
}

/// Starts the log.
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
        Command::Init(args) => Box::pin(commands::init::run(args, global, output)).await,
        Command::Plan(args) => Box::pin(commands::plan::run(args, global, output)).await,
        Command::Up(args) => Box::pin(commands::up::run(args, global, output)).await,
        Command::Verify(args) => Box::pin(commands::verify::run(args, global, output)).await,
        Command::Status(args) => Box::pin(commands::status::run(args, global, output)).await,
        Command::Doctor(args) => Box::pin(commands::doctor::run(args, global, output)).await,
        Command::Images(args) => Box::pin(commands::images::run(args, global, output)).await,
        Command::Lock(args) => Box::pin(commands::lock::run(args, global, output)).await,
        Command::Bundle(args) => Box::pin(commands::bundle::run(args, global, output)).await,
        Command::Schedule(args) => commands::schedule::run(args, global, output),
        Command::Smoke(args) => Box::pin(commands::smoke::run(args, global, output)).await,
        Command::Render(args) => Box::pin(commands::render::run(args, global, output)).await,
        Command::Migrate(args) => Box::pin(commands::migrate::run(args, global, output)).await,
        Command::Upgrade(args) => Box::pin(commands::upgrade::run(args, global, output)).await,
        Command::Rollback(args) => {
            Box::pin(commands::upgrade::roll_back(args, global, output)).await
        }
        Command::Teardown(args) => Box::pin(commands::teardown::run(args, global, output)).await,
        Command::Explain(args) => commands::explain::run(args, output),
        Command::Schema => Ok(commands::schema::run(output)),
        Command::Completions(args) => Ok(commands::completions::run(args, output)),
        Command::Man(args) => commands::man::run(args, output),
    }
}

/// Writes the error: the document to stdout, the text to stderr.
fn fail(output: Output, cli: &Cli, error: &Error) -> ExitCode {
    let code = leave(output, cli, error);
    output.print_error(error);
    code
}

/// Writes the error for programs: the document on stdout, the annotation and the summary of GitHub Actions.
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
