//! `arcctl doctor`: reads everything once, and says what is wrong, why, and what mends it.

use clap::{Args, ValueEnum};

use super::{GlobalArgs, doctor_parts::parts, output::Output, profile_file};
use crate::{
    doctor::{Choice, gather::gather, judge},
    error::{Error, ErrorKind, Result, System},
    report,
};

/// Say what is wrong, why, and what mends it; write nothing
#[derive(Args)]
pub(super) struct DoctorArgs {
    /// Only these checks or categories
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Not these checks or categories
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// Exit with 3 when only advice is broken
    #[arg(long, value_enum, default_value = "required")]
    fail_on: FailOn,
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
pub(super) async fn run(args: &DoctorArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
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
    let file = profile_file::read(global, output)?;
    let world = Box::pin(gather(Box::pin(parts(global, file)).await)).await;
    let findings = judge(&world, &choice);
    let error = report::doctor::error(&findings);
    if output.is_json() {
        output.document(&report::doctor::document(&findings, error.as_ref()));
    } else {
        output.result(&report::doctor::text(&findings, output.verbosity > 0));
    }
    Ok(match error {
        Some(error) => error.kind.exit_code(),
        None if args.fail_on == FailOn::Advice && report::doctor::has_advice(&findings) => 3,
        None => 0,
    })
}
