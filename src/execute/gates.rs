//! A step behind its gates: it begins once those that it needs are open, and opens its own.

use std::{collections::HashMap, time::Instant as Clock};

use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;

use super::{
    Event, Options, Span, StepResult, deadline, not_started, optional, set_first, step::StepRun,
};
use crate::{
    desired::{Desired, resource::Id},
    log,
    resource::context::Context,
};

/// Opens when others may use what a step makes, at the latest when it is done: the time of that.
pub(super) type Gate = watch::Sender<Option<Clock>>;

/// Opens a gate, where it is not open.
pub(super) fn open(gate: &Gate, at: Clock) {
    set_first(gate, at);
}

/// The run was stopped before the step could begin.
struct Stopped;

/// Waits until the gates of all that `desired` needs are open: the last of them to open.
async fn wait_for_gates<'a>(
    desired: &'a Desired,
    gates: &HashMap<&Id, Gate>,
    stop: &mut watch::Receiver<Option<super::Stop>>,
) -> Result<Option<&'a Id>, Stopped> {
    let mut last: Option<(Clock, &Id)> = None;
    for id in &desired.after {
        let Some(gate) = gates.get(id) else { continue };
        let mut gate = gate.subscribe();
        let opened = tokio::select! {
            opened = gate.wait_for(Option::is_some) => opened.ok().and_then(|it| *it),
            _ = stop.wait_for(Option::is_some) => return Err(Stopped),
        };
        last = last.max(opened.map(|it| (it, id)));
    }
    if stop.borrow().is_some() {
        return Err(Stopped);
    }
    Ok(last.map(|(_, id)| id))
}

/// Waits for what the step needs, then runs it.
pub(super) async fn run_after(
    desired: &Desired,
    context: &Context,
    options: &Options<'_>,
    gates: &HashMap<&Id, Gate>,
    rest_done: &watch::Sender<bool>,
    events: mpsc::UnboundedSender<Event>,
) -> StepResult {
    let mut stop = options.stop.subscribe();
    let Ok(waited_for) = wait_for_gates(desired, gates, &mut stop).await else {
        return not_started(desired);
    };
    // The limit begins now: what the step waited for had its own.
    let (deadline, limit) = deadline::of_phase(desired.phase, options);
    let gate = gates.get(&desired.id);
    let run = StepRun {
        desired,
        context,
        adopt: options.adopt,
        may_write: options.may_write,
        looks_only: options.looks_only,
        deadline,
        limit,
        stop,
        paused: options.paused.subscribe(),
        events,
        gate,
    };
    let began = Clock::now();
    let opened = || {
        if let Some(gate) = gate {
            open(gate, Clock::now());
        }
    };
    let span = log::step(&desired.id);
    let (done, outcome) = if desired.resource.is_optional() {
        let run = optional::run(run, options, rest_done.subscribe(), opened);
        (Box::pin(run.instrument(span)).await, Ok(()))
    } else {
        let (done, outcome) = run.run().instrument(span).await;
        if outcome.is_ok() {
            opened();
        }
        (done, outcome)
    };
    let ended = Clock::now();
    StepResult {
        id: desired.id.clone(),
        action: Some(done.action),
        written: done.written,
        elapsed: ended - began,
        span: Some(Span {
            began,
            ended,
            waited_for: waited_for.cloned(),
        }),
        error: outcome.err(),
    }
}
