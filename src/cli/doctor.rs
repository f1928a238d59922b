//! `arcctl doctor`: reads everything once, and says what is wrong, why, and what mends it.

use std::time::Instant;

use clap::{Args, ValueEnum};

use super::{
    GlobalArgs,
    doctor_parts::parts,
    output::{Format, Output},
    profile_file,
};
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
    let started = Instant::now();
    let file = profile_file::read(global, output)?;
    let world = Box::pin(gather(Box::pin(parts(global, file, output)).await)).await;
    let findings = judge(&world, &choice);
    let error = report::doctor::error(&findings);
    let advice_fails = args.fail_on == FailOn::Advice;
    match output.format {
        Format::Json => output.document(&report::doctor::document(&findings, error.as_ref())),
        Format::Junit => {
            let text = report::junit::text(&findings, advice_fails, started.elapsed());
            output.result(&text);
        }
        Format::Human => {
            output.result(&report::doctor::text(&findings, output.verbosity > 0));
        }
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
