//! A step that only saves time: it runs beside the others, ends with them at the latest, fails no run, and takes away what
//! it has made.

use std::pin::pin;

use tokio::sync::{mpsc, watch};

use super::{
    Clock, Event, Options, Stop, deadline,
    step::{Done, StepRun},
};
use crate::{
    desired::{Desired, Goal, resource::Resource},
    error::{Error, ErrorKind, Result},
    plan::Action,
    resource::context::Context,
};

/// Runs the step until it is ready, its time is over, or the run has ended without it; calls `open` for what waits for it;
/// then deletes it. Not deleted where the lease is lost: another run may use it.
pub(super) async fn run(
    run: StepRun<'_>,
    options: &Options<'_>,
    mut rest_done: watch::Receiver<bool>,
    open: impl FnOnce(),
) -> Done {
    let (desired, context, events) = (run.desired, run.context, run.events.clone());
    let began = Clock::now();
    let ended = |action, goal| Event::Finished {
        id: desired.id.clone(),
        action,
        goal,
        elapsed: began.elapsed(),
    };
    let mut stop = run.stop.clone();
    let own = watch::Sender::new(None);
    let (deadline, limit) = deadline::of_pull(options);
    let made = StepRun {
        deadline,
        limit,
        adopt: false,
        stop: own.subscribe(),
        ..run
    };
    let (mut done, outcome) = {
        let mut made = pin!(made.run());
        tokio::select! {
            ended = &mut made => ended,
            why = stops(&mut stop, &mut rest_done) => {
                // Not dropped: a write in flight is completed, so that it is known what there is to delete.
                own.send_replace(Some(why));
                made.await
            }
        }
    };
    open();
    if let Err(error) = outcome {
        tell(desired, context, &error);
    }
    let now = *stop.borrow();
    if now == Some(Stop::LeaseLost) {
        drop(events.send(ended(done.action, Goal::Present)));
        return done;
    }
    let (removed, outcome) = remove(desired, context, options, &events).await;
    done.written |= removed.written;
    if done.action == Action::Keep {
        done.action = removed.action;
    }
    // Without a receiver nothing displays the event.
    drop(events.send(match &outcome {
        Ok(()) => ended(removed.action, Goal::Absent),
        Err(_) => ended(done.action, Goal::Present),
    }));
    if let Err(error) = outcome {
        let said = error.document().message;
        let said = format!(
            "it stays for now: {said}; the next `arcctl up` or `arcctl teardown` removes it"
        );
        context.remarks.say(desired.id.as_str(), Some(said));
    }
    done
}

/// Deletes what the step has made.
async fn remove(
    desired: &Desired,
    context: &Context,
    options: &Options<'_>,
    events: &mpsc::UnboundedSender<Event>,
) -> (Done, Result<()>) {
    let gone = Desired {
        goal: Goal::Absent,
        ..desired.clone()
    };
    let (deadline, limit) = deadline::of_pull_removal();
    // Nothing stops it. A channel without a sender would.
    let never = watch::Sender::new(None);
    let removal = StepRun {
        desired: &gone,
        context,
        adopt: false,
        may_write: options.may_write,
        deadline,
        limit,
        stop: never.subscribe(),
        paused: options.paused.subscribe(),
        events: events.clone(),
        gate: None,
        looks_only: false,
    };
    removal.run().await
}

/// Waits until the run is stopped or all other steps have ended; why this one ends then.
async fn stops(
    stop: &mut watch::Receiver<Option<Stop>>,
    rest_done: &mut watch::Receiver<bool>,
) -> Stop {
    tokio::select! {
        why = stop.wait_for(Option::is_some) => why.ok().and_then(|it| *it).unwrap_or(Stop::Failed),
        _ = rest_done.wait_for(|it| *it) => Stop::Failed,
    }
}

/// Remembers a failure. That the run has ended before is none.
fn tell(desired: &Desired, context: &Context, error: &Error) {
    tracing::info!("{}: {}", error.message, error.causes.join(": "));
    let Resource::ImagePull(pull) = &desired.resource else {
        return;
    };
    let interrupted = [
        ErrorKind::Interrupted,
        ErrorKind::Terminated,
        ErrorKind::HungUp,
        ErrorKind::Locked,
    ];
    if error.consequence || interrupted.contains(&error.kind) {
        return;
    }
    let why = match error.causes.as_slice() {
        [] => error.message.clone(),
        causes => format!("{}: {}", error.message, causes.join(": ")),
    };
    pull.remark(context, &why);
}
