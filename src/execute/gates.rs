//! A step behind its gates: it begins once those that it needs are open, and opens its own.

use std::{collections::HashMap, time::Instant as Clock};

use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;

use super::{Event, Options, Span, StepResult, deadline, not_started, optional, step::StepRun};
use crate::{
    desired::{Desired, order::begins_when_accepted, resource::Id},
    log,
    resource::context::Context,
};

/// What others wait for, and when it came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opened {
    /// The first write of the step was accepted.
    accepted: Option<Clock>,
    /// Others may use what the step makes; at the latest it is done.
    usable: Option<Clock>,
}

/// Opens while a step runs.
pub(super) type Gate = watch::Sender<Opened>;

/// The steps of a run with their gates, by id.
pub(super) type Gates<'a> = HashMap<&'a Id, (&'a Desired, Gate)>;

/// Opens a gate as a whole, where it is not open.
pub(super) fn open(gate: &Gate) {
    set(gate, |it| &mut it.usable);
}

/// Opens a gate to those that need no more than an accepted write.
pub(super) fn accepted(gate: &Gate) {
    set(gate, |it| &mut it.accepted);
}

fn set(gate: &Gate, which: fn(&mut Opened) -> &mut Option<Clock>) {
    gate.send_if_modified(|opened| {
        let time = which(opened);
        let first = time.is_none();
        time.get_or_insert_with(Clock::now);
        first
    });
}

/// The run was stopped before the step could begin.
struct Stopped;

/// Waits until the gates of all that `desired` needs are open: the last of them to open.
async fn wait_for_gates<'a>(
    desired: &'a Desired,
    gates: &Gates<'_>,
    stop: &mut watch::Receiver<Option<super::Stop>>,
) -> Result<Option<&'a Id>, Stopped> {
    let mut last: Option<(Clock, &Id)> = None;
    for id in &desired.after {
        let Some((need, gate)) = gates.get(id) else {
            continue;
        };
        let mut gate = gate.subscribe();
        let early = begins_when_accepted(desired, need);
        let time = |it: &Opened| it.usable.or(it.accepted.filter(|_| early));
        let opened = tokio::select! {
            opened = gate.wait_for(|it| time(it).is_some()) => opened.ok().and_then(|it| time(&it)),
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
    gates: &Gates<'_>,
    rest_done: &watch::Sender<bool>,
    events: mpsc::UnboundedSender<Event>,
) -> StepResult {
    let mut stop = options.stop.subscribe();
    let Ok(waited_for) = wait_for_gates(desired, gates, &mut stop).await else {
        return not_started(desired);
    };
    // The limit begins now: what the step waited for had its own.
    let (deadline, limit) = deadline::of_phase(desired.phase, options);
    let gate = gates.get(&desired.id).map(|it| &it.1);
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
            open(gate);
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;
    use crate::desired::{
        order::connect,
        teardown::{Records, TeardownOptions, teardown},
    };

    const POLICY: &str = "iam-role-policy/old/Arcctl1";
    const ROLE: &str = "iam-role/-/old";
    const PROVIDER: &str = "oidc-provider/-/issuer";
    const MEMORY: &str = "namespace/-/actions-runner-system";

    /// A teardown of a role with its policy, and of the provider that it trusts.
    fn steps() -> Vec<Desired> {
        let records: Records = [
            (PROVIDER, json!({"arn": "arn:p", "sid": "Arcctl1"})),
            (ROLE, json!({"create": true, "sid": "Arcctl1"})),
            (POLICY, json!({"sid": "Arcctl1"})),
        ]
        .map(|(id, details)| (id.to_owned(), details))
        .into();
        let profile = crate::desired::tests::profile(&json!({"name": "p"}));
        let mut steps = teardown(&records, &profile, TeardownOptions::default());
        connect(&mut steps).unwrap();
        steps
    }

    fn gate<'a>(gates: &'a Gates<'_>, id: &str) -> &'a Gate {
        let mut all = gates.values();
        &all.find(|it| it.0.id.as_str() == id).unwrap().1
    }

    fn may_begin(gates: &Gates<'_>, id: &str) -> bool {
        let step = gates.values().find(|it| it.0.id.as_str() == id).unwrap().0;
        let (_running, mut end) = watch::channel(None);
        let waited = wait_for_gates(step, gates, &mut end).now_or_never();
        waited.is_some_and(|it| it.is_ok())
    }

    /// IAM shows each deletion seconds late. What waits for that one after the other waits the sum.
    #[tokio::test]
    async fn a_deletion_at_aws_waits_for_accepted_ones_and_the_inventory_until_all_are_shown() {
        let steps = steps();
        let gates: Gates<'_> = steps
            .iter()
            .map(|it| (&it.id, (it, Gate::default())))
            .collect();
        assert!(may_begin(&gates, POLICY));
        for (need, step) in [(POLICY, ROLE), (ROLE, PROVIDER)] {
            assert!(!may_begin(&gates, step), "{step}");
            accepted(gate(&gates, need));
            assert!(may_begin(&gates, step), "{step}");
        }
        accepted(gate(&gates, PROVIDER));
        for (step, gate) in gates.values().filter(|it| !it.0.id.is_at_aws()) {
            if step.id.as_str() != MEMORY {
                open(gate);
            }
        }
        assert!(!may_begin(&gates, MEMORY));
        for id in [POLICY, ROLE, PROVIDER] {
            assert!(!may_begin(&gates, MEMORY));
            open(gate(&gates, id));
        }
        assert!(may_begin(&gates, MEMORY));
    }
}
