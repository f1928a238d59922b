//! Ends the process immediately after a second signal, without waiting for work in progress. Removes temporary files
//! with secrets, and `-o json` still gets its one document.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::output::Output;
use crate::{
    clients::scratch,
    error::{Error, ErrorKind, System},
    execute::{Event, StepResult, Stop},
    plan::Action,
    report::run::Run,
};

/// The JSON document of a failed command: from the command's name, the profile's name, and the error.
pub(crate) type Failure = fn(&str, &str, &Error) -> Value;

/// The data for the final output.
struct Ending {
    output: Output,
    command: &'static str,
    profile: Box<dyn Fn() -> String + Send + Sync>,
    failure: Failure,
    began: Instant,
}

static ENDING: OnceLock<Ending> = OnceLock::new();

/// The steps that have started so far.
static STEPS: Mutex<Vec<StepResult>> = Mutex::new(Vec::new());

/// Sets the data for the final output; `profile` returns the profile's name, once it is known, `failure` the document of
/// a command without steps.
pub(crate) fn prepare(
    output: Output,
    command: &'static str,
    profile: impl Fn() -> String + Send + Sync + 'static,
    failure: Failure,
) {
    // Each process runs one command.
    ENDING.get_or_init(|| Ending {
        output,
        command,
        profile: Box::new(profile),
        failure,
        began: Instant::now(),
    });
}

/// Records the progress of the run.
pub(super) fn note(event: &Event) {
    let mut steps = steps();
    let (id, action, elapsed, error) = match event {
        Event::Phase(_) | Event::Waiting { .. } => return,
        Event::Started { id, action } => (id, Some(*action), Duration::ZERO, None),
        Event::Finished {
            id,
            action,
            elapsed,
            ..
        } => (id, Some(*action), *elapsed, None),
        Event::Failed { id, error, elapsed } => (id, None, *elapsed, Some(error)),
    };
    let ended = !matches!(event, Event::Started { .. });
    let before = steps.iter().position(|it| it.id == *id);
    let known = before.and_then(|it| steps.get(it)).and_then(|it| it.action);
    let action = action.or(known);
    let result = StepResult {
        id: id.clone(),
        action,
        // A started step may be done or not; only completed ones are counted.
        written: ended
            && matches!(
                action,
                Some(Action::Create | Action::Update | Action::Delete)
            ),
        elapsed,
        span: None,
        error: match (error, ended) {
            (Some(error), _) => Some(error.clone()),
            (None, true) => None,
            (None, false) => Some(in_work(id)),
        },
    };
    match before.and_then(|it| steps.get_mut(it)) {
        Some(step) => *step = result,
        None => steps.push(result),
    }
}

/// Ends the process.
#[expect(clippy::exit, reason = "a second signal means: now")]
pub(super) fn end(stop: Stop, code: u8) -> ! {
    scratch::remove_all();
    let Some(ending) = ENDING.get() else {
        std::process::exit(code.into());
    };
    let (kind, word) = stop
        .signal()
        .unwrap_or((ErrorKind::Interrupted, "interrupted"));
    let error = Error::new(kind, System::Local, format!("{word} at once"))
        .cause("the step in progress may or may not have been carried out")
        .hint("run `arcctl plan` to see what is left, or the same command again to continue");
    ending
        .output
        .end(ending.document(&error).as_ref(), &error, code)
}

impl Ending {
    fn document(&self, error: &Error) -> Option<Value> {
        let profile = (self.profile)();
        self.output.is_json().then(|| match self.command {
            "up" | "teardown" => Run {
                steps: std::mem::take(&mut *steps()),
                ..Run::refused(&profile, self.began, error.clone())
            }
            .document(),
            command => (self.failure)(command, &profile, error),
        })
    }
}

fn in_work(id: &crate::desired::resource::Id) -> Error {
    let message = format!("`{id}` was in progress");
    Error::new(ErrorKind::Interrupted, System::Local, message)
        .object(id)
        .hint("run the same command again to continue")
}

fn steps() -> MutexGuard<'static, Vec<StepResult>> {
    STEPS.lock().unwrap_or_else(PoisonError::into_inner)
}
