//! Asks for confirmation before writing. Without a terminal that is a usage error, immediately (DESIGN 2).

use std::time::Instant;

use super::{
    deadline::RunLimit,
    output::{Output, can_ask},
};
use crate::error::{Error, ErrorKind, Result, System};

/// Fails if there is no terminal for the prompt and `yes` is not set.
pub(crate) fn check(yes: bool) -> Result<()> {
    if yes || can_ask() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        System::Local,
        "cannot ask for confirmation without a terminal",
    )
    .hint("use --yes to run without confirmation; `arcctl plan` shows what would change"))
}

/// Shows the plan, and asks for confirmation unless `yes`; reports a no. The run's timeout excludes the prompt.
pub(crate) fn confirmed(
    text: &str,
    question: &str,
    yes: bool,
    limit: &mut RunLimit,
    output: Output,
) -> Result<bool> {
    let confirmed = agreed(text, question, yes, limit, output)?;
    if !confirmed {
        output.note("nothing was changed");
    }
    Ok(confirmed)
}

/// The same in the middle of a command, which says itself what a no means.
pub(crate) fn agreed(
    text: &str,
    question: &str,
    yes: bool,
    limit: &mut RunLimit,
    output: Output,
) -> Result<bool> {
    let answer = if yes {
        output.note(text);
        Ok(true)
    } else {
        output.error(text);
        let asked = Instant::now();
        let answer = ask(question);
        limit.extend(asked.elapsed());
        answer
    };
    // A Ctrl-C at the prompt counts as one.
    limit.stopped()?;
    answer
}

/// Asks `question`; no answer means no.
fn ask(question: &str) -> Result<bool> {
    dialoguer::Confirm::new()
        .with_prompt(question)
        .default(false)
        .interact_opt()
        .map(|it| it == Some(true))
        .map_err(|error| {
            Error::new(
                ErrorKind::Usage,
                System::Local,
                "cannot ask for confirmation",
            )
            .cause(error)
            .hint("use --yes to run without confirmation")
        })
}
