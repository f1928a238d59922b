//! `arcctl doctor`: reads everything once, and reports what is wrong, why, and how to fix it.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use clap::{Args, ValueEnum};

use crate::{
    doctor::{
        Choice, Finding,
        bundle::{pack, unpack},
        check::Verdict,
        collect::{Parts, gather},
        fix::mends,
        judge,
        snapshot::Snapshot,
    },
    error::{Error, ErrorKind, Result, System},
    inventory, log, report,
    run::{READING, doctor_fix, doctor_probe},
    session::{doctor::parts, lock, target},
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::{Format, Output},
        profile_file::{self, ProfileFile},
        prompt,
        signals::{StopSender, stop_on_signals},
    },
};

/// Diagnose the installation and suggest fixes
#[derive(Args)]
pub(crate) struct DoctorArgs {
    /// Run only these checks or categories
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Skip these checks or categories
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// Exit with 3 when only advice is broken
    #[arg(long, value_enum, default_value = "required")]
    fail_on: FailOn,
    /// Run a short-lived pod like the runners', which tries what they need: GitHub's name, connection, certificate and
    /// API, and the role at AWS
    #[arg(long)]
    probe: bool,
    /// Write what was seen, redacted, into an archive (.tar.gz) that a maintainer can judge
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Mend what arcctl made and is safe to make again: show it, ask, do it, and look again
    #[arg(long)]
    fix: bool,
    /// With --fix: do not ask for confirmation
    #[arg(short, long, requires = "fix")]
    yes: bool,
    /// Diagnose from an archive that --bundle wrote, instead of a cluster
    #[arg(long, value_name = "FILE", conflicts_with_all = ["probe", "bundle", "fix"])]
    from: Option<PathBuf>,
}

/// What makes the exit code of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A required check that is broken or unknown.
    Required,
    /// Advice too.
    Advice,
}

/// Prints the report.
pub(crate) async fn run(args: &DoctorArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let choice = Choice {
        only: args.only.clone(),
        skip: args.skip.clone(),
    };
    if let Some(word) = choice.unknown() {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Local,
            format!("`{word}` is neither a check nor a category"),
        )
        .hint("docs/doctor.md lists both"));
    }
    let started = Instant::now();
    if args.fix {
        profile_file::check_exists(global)?;
        prompt::check(args.yes)?;
    }
    let (snapshot, tried) = match &args.from {
        Some(path) => (bundled(path)?, Vec::new()),
        None => Box::pin(snapshot(args, global, &choice, output)).await?,
    };
    let findings = judge(&snapshot, &choice);
    findings.iter().for_each(log_finding);
    let fixed = report::doctor::fixed(&findings, &tried);
    let error = report::doctor::error(&findings);
    if let Some(path) = &args.bundle {
        let report = report::doctor::document(&findings, &fixed, error.as_ref());
        write_bundle(path, &pack(&snapshot, &report)?)?;
        output.note(format!(
            "{} has what was seen, without secrets: look through it before you give it away",
            path.display()
        ));
    }
    let advice_fails = args.fail_on == FailOn::Advice;
    match output.format {
        Format::Json => {
            output.document(&report::doctor::document(&findings, &fixed, error.as_ref()));
        }
        Format::Junit => {
            let text = report::junit::text(&findings, advice_fails, started.elapsed());
            output.result(&text);
        }
        Format::Human => {
            let (verbose, columns) = (output.verbosity > 0, output.columns());
            output.result(&report::doctor::text(&findings, &fixed, verbose, columns));
        }
    }
    if let Some(error) = error.as_ref().filter(|_| output.is_json()) {
        output.print_error(error);
    }
    let actions = &global.actions;
    actions.annotate(|_| report::github::of_findings(&findings));
    actions.summarize(&report::markdown::doctor(&findings, global.profile_name()));
    Ok(match error {
        Some(error) => error.kind.exit_code(),
        None if advice_fails && report::doctor::has_advice(&findings) => 3,
        None => 0,
    })
}

/// The facts, with those of a probe if requested, and after the repairs of `--fix`; and the checks that were repaired.
async fn snapshot(
    args: &DoctorArgs,
    global: &GlobalArgs,
    choice: &Choice,
    output: Output,
) -> Result<(Snapshot, Vec<&'static str>)> {
    let mut tried = Vec::new();
    let stop = stop_on_signals();
    // Only once: standard input cannot be read again.
    let file = profile_file::read(global, output)?;
    let mut seen = Box::pin(look(args, global, file.clone(), &stop, output)).await?;
    if args.fix {
        let (parts, snapshot) = seen;
        let wanted = parts.desired.as_deref().unwrap_or_default();
        let mends = mends(&snapshot, &judge(&snapshot, choice), wanted);
        if mends.steps.is_empty() {
            output.note("there is nothing that --fix mends");
            return Ok((snapshot, tried));
        }
        if !Box::pin(doctor_fix::run(
            parts,
            &mends,
            (args.yes, stop.clone()),
            global,
            output,
        ))
        .await?
        {
            return Ok((snapshot, tried));
        }
        tried = mends.checks;
        seen = Box::pin(look(args, global, file, &stop, output)).await?;
    }
    Ok((seen.1, tried))
}

async fn look(
    args: &DoctorArgs,
    global: &GlobalArgs,
    file: ProfileFile,
    stop: &StopSender,
    output: Output,
) -> Result<(Parts, Snapshot)> {
    let limit = RunLimit::looking(stop.clone(), output);
    let read = async { Ok(Box::pin(parts(global, file, output)).await) };
    let mut parts = limit.within(READING, read).await?;
    if args.probe {
        parts.probe = Some(match &parts.context {
            Ok(context) => {
                output.note_sentence(&target(context, parts.eks.as_ref()), 2);
                match lock::read(global) {
                    Ok(_) => Box::pin(doctor_probe::run(context, stop, output)).await,
                    // Nothing is known of the digests that its images must have.
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error.clone()),
        });
        limit.stopped()?;
    }
    let read = async { Ok(tokio::join!(Box::pin(gather(&parts)), migrations(&parts))) };
    let (snapshot, notices) = limit.within(READING, read).await?;
    for notice in notices {
        output.note(format!("advice: {notice}"));
    }
    Ok((parts, snapshot))
}

/// The migrations that are in progress: what else is found may come from them.
async fn migrations(parts: &Parts) -> Vec<String> {
    // A cluster that does not answer is a finding of its own.
    match &parts.kube {
        Ok(kube) => inventory::notices(kube, inventory::Home::of(&parts.profile)).await,
        Err(_) => Vec::new(),
    }
}

/// A check's result, for the log.
fn log_finding(finding: &Finding) {
    log::step(&finding.id).in_scope(|| match &finding.verdict {
        Verdict::Holds => tracing::info!("holds"),
        Verdict::Skipped { why } => tracing::info!("skipped: {why}"),
        Verdict::Unknown { why, .. } => tracing::info!("unknown: {why}"),
        Verdict::Broken { found, .. } => tracing::info!("broken: {}", found),
    });
}

/// The facts at the time of the bundle.
fn bundled(path: &Path) -> Result<Snapshot> {
    let archive = std::fs::read(path).map_err(|error| {
        Error::failed(System::Local, "cannot read the bundle")
            .object(path.display())
            .cause(error)
            .hint("give the file that `arcctl doctor --bundle FILE` wrote")
    })?;
    unpack(&archive).map_err(|it| it.object(path.display()))
}

/// Writes a file that only its owner can read, and never overwrites one.
fn write_bundle(path: &Path, archive: &[u8]) -> Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(archive));
    written.map_err(|error| {
        Error::failed(System::Local, "cannot write the bundle")
            .object(path.display())
            .cause(error)
            .hint("give --bundle the name of a new file in a directory that you may write to")
    })
}
