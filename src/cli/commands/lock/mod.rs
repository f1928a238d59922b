//! `arcctl lock`: the digests of every chart and image of the profile.

mod write;

use std::path::PathBuf;

use clap::Args;

use crate::{
    desired::lock::{refusal, unsigned},
    error::{Error, ErrorKind, Result, System},
    report::{self, lock::LockReport},
    session::lock::{
        LockFile,
        make::{keyring_of, make},
        path, read,
    },
    terminal::{args::GlobalArgs, deadline::RunLimit, output::Output, profile_file},
};
use write::write;

/// Lock every chart and image by its digest, in `arcctl.lock` beside the profile
///
/// Fetches the charts with helm, renders them, and reads the digest of every image from its registry, or from the mirror in
/// `images.registry`. It needs no cluster. Commit the file: `plan` and `up` then pin images by digest, and exit with 7 before
/// the first write if a tag has moved, if a chart was published again with other content, or if the profile needs a chart or an
/// image that is not locked. `verify` checks the same except for charts, because it does not run helm. With a keyring, the
/// provenance of the charts is verified (docs/lock.md).
#[derive(Args)]
pub(crate) struct LockArgs {
    /// Only compare, and write nothing: exit with 7 if a chart or an image differs from the lock
    #[arg(long)]
    check: bool,
    /// File with the public keys of the charts' publishers [default: `provenance.keyring` of the profile]
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
}

/// Makes the lock, and writes or compares it.
pub(crate) async fn run(args: &LockArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let path = path(global).ok_or_else(|| {
        let what = "the lock is a file beside the profile, and `-f -` has no file";
        Error::new(ErrorKind::Usage, System::Local, what).hint("name the file with -f")
    })?;
    let file = profile_file::read(global, output)?;
    let name = path.display().to_string();
    let old = old(args, global, &name)?;
    let profile = &file.profile;
    let keyring = args.keyring.clone().or_else(|| keyring_of(profile));
    let making = Box::pin(make(profile, keyring, global, output));
    let made = RunLimit::reading(output)
        .within("fetching the charts and reading the registries", making)
        .await?;
    let made = match &old {
        Some(old) => made.since(&old.lock),
        None => made,
    };
    let missing = unsigned(profile, &made);
    let mut report = LockReport {
        profile: profile.name.clone(),
        file: name.clone(),
        checked: args.check,
        ..LockReport::default()
    };
    if let Some(old) = &old {
        report.differences = old.lock.against(&made);
    }
    report.differences.extend(missing.iter().cloned());
    let error = if args.check {
        refusal(&report.differences, &name)
    } else {
        refusal(&missing, &name)
    };
    if !args.check && error.is_none() {
        let text = made.text().map_err(|error| {
            Error::failed(System::Local, "the lock cannot be written as JSON")
                .cause(error)
                .hint("report this as a bug")
        })?;
        report.written = write(&path, &text)?;
    }
    report.lock = Some(made);
    Ok(tell(&report, error.as_ref(), global, output))
}

/// The lock that is there. One that cannot be read is replaced, but not compared.
fn old(args: &LockArgs, global: &GlobalArgs, name: &str) -> Result<Option<LockFile>> {
    match read(global) {
        Ok(None) if args.check => Err(Error::new(
            ErrorKind::Refused,
            System::Local,
            format!("there is no lock `{name}`"),
        )
        .object(name)
        .hint("run `arcctl lock`, and commit the file")),
        Err(error) if args.check => Err(error),
        found => Ok(found.ok().flatten()),
    }
}

/// Prints the report, and the error that the command ends with; returns the exit code.
fn tell(report: &LockReport, error: Option<&Error>, global: &GlobalArgs, output: Output) -> u8 {
    if output.is_json() {
        output.document(&report.document(error));
    } else {
        output.result(&report.text());
    }
    let Some(error) = error else {
        if report.written {
            output.note(
                "next: commit it; `arcctl plan` shows what the digests change, `arcctl up` applies it",
            );
        }
        return 0;
    };
    global.actions.failure(error);
    global.actions.summarize(&report::markdown::failure(error));
    output.print_error(error);
    error.kind.exit_code()
}
