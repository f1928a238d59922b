//! Executes the steps: each as soon as what it waits for is done, all others beside it.
//!
//! The first failure stops the run: writes in flight are completed, waits are cancelled, the rest does not start
//! (docs/decisions/0013-a-graph-of-steps.md).

mod deadline;
mod event;
mod gates;
pub mod lease;
mod optional;
mod phases;
pub mod rollback;
mod step;

use std::time::{Duration, Instant as Clock};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

pub use event::Event;

use crate::{
    desired::{Desired, Goal, resource::Id},
    error::{Error, ErrorKind, System},
    plan::Action,
    profile::Timeouts,
    resource::context::Context,
};
use gates::{Gate, Gates, run_after};
use phases::Phases;

/// What is said of a run that has lost its lease.
pub(crate) const LEASE_LOST: &str =
    "this run lost its lease: another run took it over, or it was deleted";

/// Why a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP: the terminal was closed.
    HungUp,
    /// Another run holds the lease, or the lease was deleted.
    LeaseLost,
    /// Another step failed.
    Failed,
}

impl Stop {
    /// The error kind and the name of the signal that ended a run; `None` if it was no signal.
    pub const fn signal(self) -> Option<(ErrorKind, &'static str)> {
        match self {
            Self::Interrupted => Some((ErrorKind::Interrupted, "interrupted")),
            Self::Terminated => Some((ErrorKind::Terminated, "terminated")),
            Self::HungUp => Some((
                ErrorKind::HungUp,
                "stopped, because the terminal was closed,",
            )),
            Self::LeaseLost | Self::Failed => None,
        }
    }

    fn error(self, id: &Id, reason: Option<&str>) -> Error {
        let kind = match self {
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Terminated => ErrorKind::Terminated,
            Self::HungUp => ErrorKind::HungUp,
            Self::LeaseLost => ErrorKind::Locked,
            Self::Failed => ErrorKind::Failed,
        };
        let mut error = Error::new(
            kind,
            System::Local,
            format!("stopped while `{id}` was not ready"),
        )
        .object(id)
        .hint("run the same command again to continue");
        error.consequence = matches!(self, Self::Failed | Self::LeaseLost);
        if let Some(reason) = reason {
            error = error.cause(reason);
        }
        error
    }
}

/// The options of a run.
pub struct Options<'a> {
    /// Adopts resources that were created by hand.
    pub adopt: bool,
    /// Whether writes are allowed: not in a run whose plan has no changes.
    pub may_write: bool,
    /// Whether it only observes: what differs is waited for, as what is not ready, and neither written nor an error.
    pub looks_only: bool,
    /// When the whole run times out.
    pub deadline: Instant,
    /// Time limit for the whole run, for messages.
    pub limit: Duration,
    /// The timeout of each phase.
    pub timeouts: &'a Timeouts,
    /// Set when the run must stop.
    pub stop: watch::Sender<Option<Stop>>,
    /// Set while the lease is not renewed: writes are paused.
    pub paused: watch::Sender<bool>,
}

impl Options<'_> {
    /// The signals of the lease to the run.
    pub fn hold(&self) -> lease::Hold {
        lease::Hold {
            stop: self.stop.clone(),
            paused: self.paused.clone(),
        }
    }

    /// Whether the inventory may be written now: not while another run may have the lease.
    pub fn may_record(&self) -> bool {
        let lost = *self.stop.borrow() == Some(Stop::LeaseLost);
        self.may_write && !lost && !*self.paused.borrow()
    }

    /// The error of an interrupted run, also if every step in progress succeeded.
    pub fn stopped(&self) -> Option<Error> {
        let (kind, message) = match *self.stop.borrow() {
            Some(Stop::Interrupted) => (
                ErrorKind::Interrupted,
                "interrupted before the run was complete",
            ),
            Some(Stop::Terminated) => (
                ErrorKind::Terminated,
                "terminated before the run was complete",
            ),
            Some(Stop::HungUp) => (
                ErrorKind::HungUp,
                "the terminal was closed before the run was complete",
            ),
            Some(Stop::LeaseLost) => (ErrorKind::Locked, LEASE_LOST),
            _ => return None,
        };
        let hint = "run the same command again to continue";
        Some(Error::new(kind, System::Local, message).hint(hint))
    }
}

/// The result of one step.
#[derive(Clone, Debug)]
pub struct StepResult {
    /// The resource.
    pub id: Id,
    /// The action that was done or attempted; `None` if the step was not started.
    pub action: Option<Action>,
    /// Whether something was written, regardless of the step's result.
    pub written: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// When it ran; `None` if it was not started.
    pub span: Option<Span>,
    /// Why it failed.
    pub error: Option<Error>,
}

/// When a step ran, by the local clock.
#[derive(Clone, Debug)]
pub struct Span {
    /// When it was started.
    pub began: Clock,
    /// When it was done, or failed.
    pub ended: Clock,
    /// The last of those that it waited for.
    pub waited_for: Option<Id>,
}

/// Runs all steps in the order of their `after`; one that is not in `desired` was done before. A failure leaves the rest
/// not started. An event [`Event::Phase`] tells that all steps of the phases before it have ended.
pub async fn execute(
    desired: &[Desired],
    context: &Context,
    options: &Options<'_>,
    on_event: &mut dyn FnMut(&Event),
) -> Vec<StepResult> {
    let (sender, mut events) = mpsc::unbounded_channel();
    let gates: Gates<'_> = desired
        .iter()
        .map(|it| (&it.id, (it, Gate::default())))
        .collect();
    let mut needed = desired
        .iter()
        .filter(|it| !it.resource.is_optional())
        .count();
    let rest_done = watch::Sender::new(needed == 0);
    let mut running: FuturesUnordered<_> = desired
        .iter()
        .map(|it| {
            let run = run_after(it, context, options, &gates, &rest_done, sender.clone());
            async move { (it, Box::pin(run).await) }
        })
        .collect();
    let mut phases = Phases::new(desired);
    let mut results = Vec::new();
    phases.announce(on_event);
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => on_event(&event),
            next = running.next() => match next {
                None => break,
                Some((step, result)) => {
                    // Report the step's events before its end.
                    while let Ok(event) = events.try_recv() {
                        on_event(&event);
                    }
                    if result.error.is_some() {
                        set_first(&options.stop, Stop::Failed);
                    }
                    if !step.resource.is_optional() {
                        needed -= 1;
                        rest_done.send_replace(needed == 0);
                        report(&result, step.goal, on_event);
                        // A run that was stopped reaches no further phase.
                        if options.stop.borrow().is_none() {
                            phases.end(step.phase, on_event);
                        }
                    }
                    results.push(result);
                }
            },
        }
    }
    results
}

/// Sets a value that has none yet; the first one stays.
fn set_first<T>(sender: &watch::Sender<Option<T>>, value: T) {
    sender.send_if_modified(|current| {
        let first = current.is_none();
        current.get_or_insert(value);
        first
    });
}

fn not_started(desired: &Desired) -> StepResult {
    StepResult {
        id: desired.id.clone(),
        action: None,
        written: false,
        elapsed: Duration::ZERO,
        span: None,
        error: None,
    }
}

fn report(result: &StepResult, goal: Goal, on_event: &mut dyn FnMut(&Event)) {
    let (id, elapsed) = (result.id.clone(), result.elapsed);
    match (&result.error, result.action) {
        (Some(error), _) => on_event(&Event::Failed {
            id,
            error: error.clone(),
            elapsed,
        }),
        (None, Some(action)) => on_event(&Event::Finished {
            id,
            action,
            goal,
            elapsed,
        }),
        (None, None) => {}
    }
}

/// The error of a run, also if a signal or a lost lease stopped it. The step stopped by a signal or a lost lease is only
/// the place; a lost lease is the cause and is reported.
pub fn ending(results: &[StepResult], options: &Options<'_>) -> Option<Error> {
    let first = first_error(results);
    match (first, options.stopped()) {
        (Some(first), Some(mut lost)) if first.consequence && lost.kind == ErrorKind::Locked => {
            lost.object.clone_from(&first.object);
            Some(lost.cause(first.document().message))
        }
        (Some(first), _) => Some(first.clone()),
        (None, stopped) => stopped,
    }
}

/// The error of the steps: a known 401 or 403 first, then independent failures, then their consequences.
pub fn first_error(results: &[StepResult]) -> Option<&Error> {
    let rank = |error: &&Error| match error.kind {
        ErrorKind::Unauthorized => 0,
        _ if error.consequence => 2,
        _ => 1,
    };
    results
        .iter()
        .filter_map(|it| it.error.as_ref())
        .min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_lost_its_lease_says_so_and_where_it_was() {
        let timeouts = Timeouts::default();
        let options = Options {
            adopt: false,
            may_write: true,
            looks_only: false,
            deadline: Instant::now(),
            limit: Duration::ZERO,
            timeouts: &timeouts,
            stop: watch::Sender::new(Some(Stop::LeaseLost)),
            paused: watch::Sender::new(false),
        };
        let id = Id::new("crds", None, "cert-manager");
        let result = |error: Error| StepResult {
            id: id.clone(),
            action: Some(Action::Create),
            written: true,
            elapsed: Duration::ZERO,
            span: None,
            error: Some(error),
        };
        let stopped = result(Stop::LeaseLost.error(&id, Some("2 CRDs are not Established yet")));
        let error = ending(std::slice::from_ref(&stopped), &options).unwrap();
        assert_eq!(error.kind, ErrorKind::Locked);
        assert!(error.message.contains("lost its lease"), "{error}");
        assert_eq!(error.object.as_deref(), Some("crds/-/cert-manager"));
        assert!(error.to_string().contains("not Established"), "{error}");

        // An independent failure is the cause, whatever came after it.
        let own = result(Error::failed(System::Helm, "cannot install"));
        let error = ending(&[stopped, own], &options).unwrap();
        assert_eq!(error.message, "cannot install");
    }

    #[test]
    fn the_inventory_is_written_only_while_the_lease_is_held() {
        let timeouts = Timeouts::default();
        let may = |stop, paused, may_write| {
            let options = Options {
                adopt: false,
                may_write,
                looks_only: false,
                deadline: Instant::now(),
                limit: Duration::ZERO,
                timeouts: &timeouts,
                stop: watch::Sender::new(stop),
                paused: watch::Sender::new(paused),
            };
            options.may_record()
        };
        assert!(may(None, false, true) && may(Some(Stop::Failed), false, true));
        assert!(may(Some(Stop::Interrupted), false, true));
        assert!(!may(Some(Stop::LeaseLost), false, true));
        assert!(!may(None, true, true) && !may(None, false, false));
    }
}
