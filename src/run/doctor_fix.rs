//! `arcctl doctor --fix`: shows the repairs, asks for confirmation, and executes them as `up` does: same resources, same
//! executor, under the lease.

use super::{
    READING,
    install::{execute, prepare},
};
use crate::{
    doctor::{collect::Parts, fix::Mends},
    error::Result,
    observe,
    profile::KubeDuration,
    report::{self, plan::Layout},
    session::{Session, lock},
    terminal::{args::GlobalArgs, deadline::RunLimit, output::Output, prompt, signals::StopSender},
    units::listed::and_more,
};

/// The timeout, including restarts of controllers.
const LIMIT: KubeDuration = KubeDuration::from_secs(300);

/// The maximum number of notes that are listed.
const TOLD: usize = 10;

/// The first notes, and the number of the others.
fn told(notes: &[String]) -> Vec<String> {
    let mut told: Vec<String> = notes
        .iter()
        .take(TOLD)
        .map(|it| format!("  {it}"))
        .collect();
    let more = and_more(notes.len().saturating_sub(TOLD), "");
    told.extend(more.map(|it| format!("  {it}")));
    told
}

/// Executes `mends`; returns whether anything was done.
pub(crate) async fn run(
    parts: Parts,
    mends: &Mends,
    (yes, stop): (bool, StopSender),
    global: &GlobalArgs,
    output: Output,
) -> Result<bool> {
    let mut limit = RunLimit::new(LIMIT, stop, output);
    // Repairs install what the profile names: nothing that its lock does not have.
    let _pins = lock::rendered(&parts.profile, global)?;
    let session = Session::of(parts.context?, mends.steps.clone(), parts.eks);
    output.note_sentence(&session.target(), 2);
    let plan = observe::plan(&session.context, &session.desired, false);
    let plan = limit.within(READING, plan).await?;
    let text = report::plan::text(&plan, output.verbosity > 0, Layout::Grouped);
    let text = format!("mends {}:\n{}", mends.checks.join(", "), text.trim_end());
    let text = [text]
        .into_iter()
        .chain(told(&mends.notes))
        .collect::<Vec<_>>();
    let text = text.join("\n");
    if !prompt::confirmed(&text, "Mend this?", yes, &mut limit, output)? {
        return Ok(false);
    }
    let prepared = prepare(&session, &plan);
    limit
        .within("fetching the charts and asking for permissions", prepared)
        .await?;
    let options = limit.options(&session.context.profile.timeouts, false, true);
    let (_, error) = execute(&session, &options, &limit, output).await;
    match error {
        Some(error) => Err(error),
        None => Ok(true),
    }
}
