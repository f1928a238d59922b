//! Going back to the credential that was there before, when the new one could not be proven.

use tokio::{sync::watch, time::Instant};

use super::{Event, Options, StepResult, execute, first_error};
use crate::{
    desired::{Desired, Phase},
    error::Error,
    resource::{Resource, context::Context},
};

/// How far going back came.
#[derive(Debug)]
pub enum PutBack {
    /// The controller works with the old credential.
    Done,
    /// The Secret has it, and the controller does not work.
    SecretOnly(Error),
    /// The Secret may have either.
    Failed(Error),
}

/// Writes the old data into the Secret, and waits until the controller works with it: the same steps as any other.
pub async fn put_back(
    desired: &[Desired],
    context: &Context,
    options: &Options<'_>,
    on_event: &mut dyn FnMut(&Event),
) -> PutBack {
    context.rotation().restore();
    let steps: Vec<Desired> = desired
        .iter()
        .filter(|it| it.phase == Phase::Controller || is_secret(it))
        .cloned()
        .collect();
    // The run that failed may have used up its time, and its stop is set.
    let limit = options.timeouts.controller.get();
    let (stop, _receiver) = watch::channel(None);
    let options = Options {
        deadline: Instant::now() + limit,
        limit,
        stop,
        ..*options
    };
    let results = execute(&steps, context, &options, on_event).await;
    let secret = |it: &&StepResult| steps.iter().any(|step| step.id == it.id && is_secret(step));
    let written = results
        .iter()
        .find(secret)
        .is_some_and(|it| it.action.is_some() && it.error.is_none());
    match first_error(&results).cloned() {
        None => PutBack::Done,
        Some(error) if written => PutBack::SecretOnly(error),
        Some(error) => PutBack::Failed(error),
    }
}

fn is_secret(desired: &Desired) -> bool {
    matches!(desired.resource, Resource::ControllerSecret(_))
}

/// The Secret has the data again that it had before: its step has changed nothing, and ended as the run does.
pub fn mark_put_back(desired: &[Desired], steps: &mut [StepResult], failure: &Error) {
    let secret = |step: &StepResult| {
        let of_the_step = desired.iter().find(|it| it.id == step.id);
        of_the_step.is_some_and(is_secret)
    };
    for step in steps
        .iter_mut()
        .filter(|it| secret(it) && it.error.is_none())
    {
        let message = format!("`{}` has the old credential again", step.id);
        let error = Error::new(failure.kind, failure.system, message)
            .object(&step.id)
            .cause("the new one was not proven");
        // What is as it was before has not changed.
        step.written = false;
        step.error = Some(match &failure.hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
}
