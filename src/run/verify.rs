//! A run of `verify`: waits until every proof holds, and writes nothing.

use super::Ended;
use crate::{
    execute::{self, Options},
    session::Session,
    terminal::{deadline::RunLimit, output::Output, progress::Progress},
};

/// Waits for the proofs, with the limits of their phases.
pub(crate) async fn verify(session: &Session, limit: &RunLimit, output: Output) -> Ended {
    let context = &session.context;
    let options = Options {
        looks_only: true,
        ..limit.options(&context.profile.timeouts, false, false)
    };
    let mut progress = Progress::new(output, &session.desired);
    let mut on_event = |event: &execute::Event| progress.event(event);
    let steps = execute::execute(&session.desired, context, &options, &mut on_event).await;
    let error = execute::ending(&steps, &options);
    (steps, error)
}
