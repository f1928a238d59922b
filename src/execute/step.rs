//! One step: observe, decide, act, and wait until the resource is verified.
//!
//! The only wait loop over resources. It is driven by watches; resources that cannot be watched are polled. On timeout,
//! the error contains the last reason.

use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};

use super::{
    Event, Stop,
    deadline::Limit,
    gates::{Gate, accepted, open},
};
use crate::{
    desired::{Desired, Goal},
    error::{Error, ErrorKind, Result, System},
    plan::{Action, decide},
    resource::{
        context::Context,
        observed::{Observed, Readiness},
    },
};

/// How often a resource is applied before it is an error that it keeps changing.
const APPLIES: u32 = 4;

/// How often in a row the parts of something may be deleted before it is an error that it still exists. A pause between
/// two deletions, in which jobs finish, resets the count.
const DELETES: u32 = 40;

/// How often helm may fail for a resource before that is an error: a starting webhook rejects a request once or twice.
const HELM_FAILURES: u32 = 2;

/// The growth factor of the polling interval.
const BACKOFF: f64 = 1.3;

/// The time in which several changes are handled as one.
const SETTLE: Duration = Duration::from_millis(30);

type Changes = std::pin::Pin<Box<dyn Stream<Item = ()> + Send>>;

/// One step in progress.
pub(super) struct StepRun<'a> {
    pub(super) desired: &'a Desired,
    pub(super) context: &'a Context,
    pub(super) adopt: bool,
    pub(super) may_write: bool,
    pub(super) looks_only: bool,
    pub(super) deadline: Instant,
    pub(super) limit: Limit,
    pub(super) stop: watch::Receiver<Option<Stop>>,
    pub(super) paused: watch::Receiver<bool>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// What waits for this step begins once this is open.
    pub(super) gate: Option<&'a Gate>,
}

/// The result of a step.
pub(super) struct Done {
    /// The action that was done or attempted.
    pub(super) action: Action,
    /// Whether a write was completed.
    pub(super) written: bool,
}

/// The result of one observation.
enum Look {
    /// As desired and ready.
    Done,
    /// To be written.
    Write(Action),
    /// As desired, or not writable, and not ready yet.
    Wait(Readiness),
}

/// What a step does next.
enum Next {
    Proven,
    AtOnce,
    Wait,
}

impl StepRun<'_> {
    /// Runs the step until the resource is verified.
    pub(super) async fn run(mut self) -> (Done, Result<()>) {
        let mut done = Done {
            action: Action::Keep,
            written: false,
        };
        let outcome = self.until_proven(&mut done).await;
        (done, outcome)
    }

    async fn until_proven(&mut self, done: &mut Done) -> Result<()> {
        let mut changes: Option<Changes> = None;
        // What was written or changes is close to its end: look often again.
        let interval = self.desired.resource.interval();
        let mut ticks = ticks(interval);
        let mut last = Readiness::progressing("it was not looked at yet");
        let (mut applied, mut failures, mut pause) = (0, 0, interval);
        loop {
            let mut stop = self.stop.clone();
            let look = tokio::select! {
                look = tokio::time::timeout_at(self.deadline, self.look(applied)) => look,
                _ = stop.wait_for(Option::is_some) => return Err(self.stopped(&last)),
            };
            let Ok(look) = look else {
                return Err(self.timed_out(&last));
            };
            if matches!(look, Ok(Look::Write(_))) && *self.paused.borrow() {
                self.until_renewed(&mut last).await?;
                continue;
            }
            // A write is never cancelled: its calls and processes have timeouts of their own.
            let look = match look {
                Ok(Look::Write(_)) if !self.may_write => return Err(self.changed()),
                Ok(Look::Write(action)) => self.write(action, done).await.map(|()| {
                    done.written = true;
                    applied += 1;
                    if let Some(gate) = self.gate {
                        accepted(gate);
                    }
                    Look::Write(action)
                }),
                other => other,
            };
            match self.next(look, &mut last, &mut failures)? {
                Next::Proven => return Ok(()),
                Next::AtOnce => {
                    pause = interval;
                    continue;
                }
                Next::Wait if self.desired.goal != Goal::Present => applied = 0,
                Next::Wait => {}
            }
            if self.stop.borrow().is_some() {
                return Err(self.stopped(&last));
            }
            let stream = changes.get_or_insert_with(|| self.changes());
            // Poll an unchanged resource less and less often: GitHub limits the request rate.
            ticks.reset_after(pause);
            pause = pause
                .mul_f64(BACKOFF)
                .min(self.desired.resource.longest_interval());
            tokio::select! {
                Some(()) = stream.next() => {
                    settle(stream).await;
                    pause = interval;
                }
                _ = ticks.tick() => {}
                _ = self.stop.changed() => {}
                () = tokio::time::sleep_until(self.deadline) => return Err(self.timed_out(&last)),
            }
        }
    }

    /// Changes of what the resource is watched by.
    fn changes(&self) -> Changes {
        let selections = self.desired.resource.selections();
        self.context.kube.changes(&selections).boxed()
    }

    /// Waits until the lease is renewed: until then another run may acquire it.
    async fn until_renewed(&mut self, last: &mut Readiness) -> Result<()> {
        let reason = "the lease of this run is not renewed, since the API server does not respond; nothing is written until it is";
        self.waits_for(last, Readiness::progressing(reason));
        let (mut paused, mut stop) = (self.paused.clone(), self.stop.clone());
        tokio::select! {
            _ = paused.wait_for(|paused| !paused) => Ok(()),
            _ = stop.wait_for(Option::is_some) => Err(self.stopped(last)),
            () = tokio::time::sleep_until(self.deadline) => Err(self.timed_out(last)),
        }
    }

    /// The next action after an observation or a write.
    fn next(&self, look: Result<Look>, last: &mut Readiness, failures: &mut u32) -> Result<Next> {
        match look {
            Ok(Look::Done) => Ok(Next::Proven),
            Ok(Look::Write(_)) => Ok(Next::AtOnce),
            Ok(Look::Wait(Readiness::Stuck {
                reason,
                hint,
                unauthorized: true,
            })) => {
                let system = self.desired.resource.system();
                Err(Error::new(ErrorKind::Unauthorized, system, reason)
                    .object(&self.desired.id)
                    .hint(hint))
            }
            Ok(Look::Wait(readiness)) => {
                if let (Readiness::Settling { .. }, Some(gate)) = (&readiness, self.gate) {
                    open(gate);
                }
                self.waits_for(last, readiness);
                Ok(Next::Wait)
            }
            Err(error) if error.system == System::Helm && *failures >= HELM_FAILURES => Err(error),
            Err(error) if error.passing && error.kind == ErrorKind::Failed => {
                *failures += u32::from(error.system == System::Helm);
                self.waits_for(last, as_reason(&error));
                Ok(Next::Wait)
            }
            Err(error) => Err(error),
        }
    }

    async fn write(&self, action: Action, done: &mut Done) -> Result<()> {
        if done.action == Action::Keep {
            done.action = action;
        }
        let id = self.desired.id.clone();
        self.send(Event::Started { id, action });
        match self.desired.goal {
            Goal::Present => self.desired.resource.apply(self.context).await,
            Goal::Absent => self.desired.resource.delete(self.context).await,
            Goal::Evicted => self.desired.resource.delete_foreign(self.context).await,
        }
    }

    /// The error of a run that must stop.
    fn stopped(&self, last: &Readiness) -> Error {
        let stop = self.stop.borrow().unwrap_or(Stop::Failed);
        stop.error(&self.desired.id, last.reason())
    }

    /// The error of a run that must not write, and found something to write.
    fn changed(&self) -> Error {
        Error::new(
            ErrorKind::Stale,
            System::Kubernetes,
            format!("`{}` has changed since the plan was made", self.desired.id),
        )
        .object(&self.desired.id)
        .hint("run the same command again: it makes a new plan")
    }

    async fn look(&self, applied: u32) -> Result<Look> {
        if self.desired.goal != Goal::Present {
            return self.look_what_remains(applied).await;
        }
        let observed = self.desired.resource.observe(self.context).await?;
        let step = decide(self.desired, &observed, self.adopt)?;
        // A proof is only written if it reports a difference: a fresh registration after a rotation.
        let only_seen = self.desired.resource.is_proof() && step.differences.is_empty();
        if step.action == Action::Keep || only_seen || self.looks_only {
            return Ok(match observed {
                Observed::Present(present) if present.readiness == Readiness::Ready => Look::Done,
                Observed::Present(present) => Look::Wait(present.readiness),
                Observed::Absent => Look::Wait(Readiness::progressing("it does not exist yet")),
            });
        }
        if applied < APPLIES {
            return Ok(Look::Write(step.action));
        }
        let paths: Vec<&str> = step.differences.iter().map(|it| it.path.as_str()).collect();
        Err(Error::failed(
            System::Kubernetes,
            format!("`{}` still differs from the profile", self.desired.id),
        )
        .object(&self.desired.id)
        .cause(format!(
            "after {APPLIES} applies these fields differ: {}",
            paths.join(", ")
        ))
        .hint(
            self.desired
                .resource
                .other_client(&self.desired.id, "changes it"),
        ))
    }

    /// Deletes a resource once that is possible, and waits until it is gone.
    async fn look_what_remains(&self, applied: u32) -> Result<Look> {
        let observed = self.desired.resource.remains(self.context).await?;
        let step = decide(self.desired, &observed, self.adopt)?;
        let Observed::Present(present) = observed else {
            return Ok(Look::Done);
        };
        if step.action == Action::Keep {
            return Ok(Look::Done);
        }
        match present.readiness {
            Readiness::Ready if applied < DELETES => Ok(Look::Write(step.action)),
            Readiness::Ready => Err(Error::failed(
                self.desired.resource.system(),
                format!("cannot delete `{}`", self.desired.id),
            )
            .object(&self.desired.id)
            .cause(format!("after {DELETES} deletions it still exists"))
            .hint(
                self.desired
                    .resource
                    .other_client(&self.desired.id, "creates it again"),
            )),
            other => Ok(Look::Wait(other)),
        }
    }

    /// The one next place to look if no cause is known.
    fn next_place(&self) -> String {
        let place = match (self.desired.resource.system(), self.desired.goal) {
            (System::Kubernetes | System::Helm, Goal::Present) => {
                "the cause is not known yet: `arcctl doctor` checks its pods, events and logs"
            }
            (System::Kubernetes | System::Helm, Goal::Absent | Goal::Evicted) => {
                return format!(
                    "the cause is not known yet: `kubectl {}` shows the finalizers and conditions that block the deletion",
                    self.desired.resource.look(&self.desired.id)
                );
            }
            (System::Aws, _) => {
                "the cause is not known yet: CloudTrail in the AWS console shows the requests"
            }
            (System::GitHub, _) => {
                "the cause is not known yet: `arcctl doctor` compares the runners with GitHub's list"
            }
            (System::Local | System::Profile | System::Registry, _) => {
                "the cause is not known yet: run `arcctl doctor`"
            }
        };
        place.to_owned()
    }

    fn waits_for(&self, last: &mut Readiness, readiness: Readiness) {
        if last.reason() != readiness.reason() {
            let reason = readiness.reason().unwrap_or_default().to_owned();
            self.send(Event::Waiting {
                id: self.desired.id.clone(),
                reason,
            });
        }
        *last = readiness;
    }

    fn send(&self, event: Event) {
        // The receiver lives as long as the run; without it nothing displays the event.
        drop(self.events.send(event));
    }

    fn timed_out(&self, last: &Readiness) -> Error {
        let limit = self.limit;
        let hint = match last {
            Readiness::Stuck { hint, .. } if !hint.is_empty() => {
                format!("{hint}; then run the same command again to continue")
            }
            // No sign of an error: it may only be slow.
            _ => {
                let longer = limit.longer().map(|it| format!("; {it}"));
                format!(
                    "{}; run the same command again to continue{}",
                    self.next_place(),
                    longer.unwrap_or_default()
                )
            }
        };
        let mut error = Error::new(
            ErrorKind::TimedOut,
            self.desired.resource.system(),
            match self.desired.goal {
                Goal::Present => format!("`{}` is not ready after {limit}", self.desired.id),
                Goal::Absent | Goal::Evicted => {
                    format!("`{}` is not deleted after {limit}", self.desired.id)
                }
            },
        )
        .object(&self.desired.id)
        .hint(hint);
        if let Some(reason) = last.reason() {
            error = error.cause(reason);
        }
        error
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A temporary failure, as the condition that the step waits for.
fn as_reason(error: &Error) -> Readiness {
    let reason = format!("{}: {}", error.message, error.causes.join(": "));
    Readiness::stuck(reason, error.hint.clone().unwrap_or_default())
}

/// Collects changes, so that a burst of events causes one observation.
async fn settle(stream: &mut (impl Stream<Item = ()> + Unpin)) {
    let end = Instant::now() + SETTLE;
    while let Ok(Some(())) = tokio::time::timeout_at(end, stream.next()).await {}
}
