//! Observes everything that is desired, phase by phase, and makes the plan.

pub(crate) mod consequences;

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use tracing::Instrument as _;

use crate::{
    desired::{
        Desired, Goal,
        resource::Resource,
        teardown::{self, Records},
    },
    error::{Error, Result},
    log,
    plan::{Action, Plan, Step, decide, refusals},
    resource::{context::Context, crds_leave, observed::Observed},
};

/// How many resources are observed at a time.
pub(crate) const CONCURRENT: usize = 32;

/// The plan for `desired`: phases in order, since later ones need what earlier ones tell (the Secret's version).
pub(crate) async fn plan(context: &Context, desired: &[Desired], adopt: bool) -> Result<Plan> {
    let mut phases: Vec<_> = desired.iter().map(|it| it.phase).collect();
    phases.sort_unstable();
    phases.dedup();
    let (mut steps, mut refused): (Vec<Step>, Vec<Error>) = (Vec::new(), Vec::new());
    let mut leaving = BTreeSet::new();
    for phase in phases {
        let mut observed = stream::iter(desired.iter().filter(|it| it.phase == phase))
            .map(|desired| async move {
                let observed = one(context, desired).instrument(log::step(&desired.id));
                (desired, observed.await)
            })
            .buffered(CONCURRENT);
        while let Some((desired, observed)) = observed.next().await {
            let reason = observed
                .as_ref()
                .ok()
                .and_then(|it| is_leaving(desired, it));
            match observed.and_then(|it| decide(desired, &it, adopt)) {
                Ok(mut step) => {
                    let namespace = desired.id.namespace().unwrap_or_default();
                    if let Some(reason) = reason {
                        made_anew(&mut step, &reason);
                        if desired.id.kind() == "namespace" {
                            leaving.insert(desired.id.name().to_owned());
                        }
                    } else if leaving.contains(namespace) && step.action != Action::Delete {
                        made_anew(
                            &mut step,
                            &format!("namespace `{namespace}` is being deleted"),
                        );
                    }
                    let remark = context.remarks.of(desired.id.as_str());
                    step.note = step.note.or(remark);
                    steps.push(step);
                }
                Err(error) if error.kind == crate::error::ErrorKind::Refused => refused.push(error),
                Err(error) => return Err(error),
            }
        }
    }
    postpone_proofs(&mut steps);
    if let Some(error) = refusals(refused) {
        Err(error)
    } else {
        let mut plan = Plan {
            profile: context.profile.name.clone(),
            steps,
        };
        consequences::tell(context, desired, &mut plan).await?;
        plan.steps.iter().for_each(log_decision);
        Ok(plan)
    }
}

/// Reads what is there of one resource: as it is wanted, or what is left of it where it is to go.
pub(crate) async fn one(context: &Context, desired: &Desired) -> Result<Observed> {
    match desired.goal {
        Goal::There => desired.resource.observe(context).await,
        Goal::Gone | Goal::Yields => desired.resource.remains(context).await,
    }
}

/// What is decided for a step, and why, for the log.
fn log_decision(step: &Step) {
    let paths: Vec<&str> = step.differences.iter().map(|it| it.path.as_str()).collect();
    let why = match (&step.note, paths.is_empty()) {
        (Some(note), _) => format!(": {note}"),
        (None, false) => format!(": {}", paths.join(", ")),
        (None, true) => String::new(),
    };
    let decided = match step.action {
        Action::Create => "to be created",
        Action::Update => "to be updated",
        Action::Delete => "to be deleted",
        Action::Keep if step.ready => "unchanged and ready",
        Action::Keep => "unchanged, not ready",
        Action::Later => "decided once what comes before it is done",
    };
    log::step(&step.id).in_scope(|| tracing::info!("{decided}{why}"));
}

/// Why what is there now is no longer there when its turn comes: it is being deleted.
fn is_leaving(desired: &Desired, observed: &Observed) -> Option<String> {
    if desired.goal != Goal::There {
        return None;
    }
    match (&desired.resource, observed) {
        // An object does its work by being there: it is not ready only while it goes.
        (Resource::Object(_), Observed::Present(present)) => {
            present.readiness.reason().map(str::to_owned)
        }
        (Resource::Crds(_), observed) => crds_leave(observed).map(str::to_owned),
        _ => None,
    }
}

/// What is there now goes, or its namespace does, before it is made anew.
fn made_anew(step: &mut Step, reason: &str) {
    step.ready = false;
    step.differences = Vec::new();
    if !step.proof {
        step.action = Action::Create;
        step.note = Some(format!("made again once it has gone: {reason}"));
    }
}

/// A proof has nothing to write. While something else is to be written, one that does not hold is decided later;
/// otherwise it stays, not ready, and is waited for. One that says what it lacks is written to: so runners that never started
/// make room.
fn postpone_proofs(steps: &mut [Step]) {
    let writes = steps
        .iter()
        .any(|it| !it.proof && it.action != Action::Keep);
    for step in steps.iter_mut().filter(|it| it.proof) {
        step.action = if writes && !step.ready {
            Action::Later
        } else if step.differences.is_empty() {
            Action::Keep
        } else {
            Action::Update
        };
    }
}

/// What the inventory has and the profile no longer.
#[derive(Default)]
pub(crate) struct LeftBehind {
    /// What of it `up` takes away.
    pub(crate) goes: Vec<Desired>,
    /// What of it is at AWS and stays, each with the reason.
    pub(crate) stays: Vec<String>,
    /// What of it is not there any more, or was never arcctl's: nothing is left to be remembered.
    pub(crate) gone: BTreeSet<String>,
}

/// Looks at what the inventory has and the profile no longer.
pub(crate) async fn left_behind(
    context: &Context,
    records: &Records,
    desired: &[Desired],
) -> Result<LeftBehind> {
    let left = teardown::left_behind(records, desired, &context.profile);
    let mut result = LeftBehind {
        gone: left.iter().map(|it| it.id.to_string()).collect(),
        ..LeftBehind::default()
    };
    for (desired, step) in present(context, left).await? {
        result.gone.remove(desired.id.as_str());
        if step.action != Action::Keep {
            result.goes.push(desired);
        } else if desired.id.is_at_aws() {
            let why = step.note.unwrap_or_default();
            result.stays.push(format!("`{}` {why}", desired.id));
        }
    }
    Ok(result)
}

/// Those of `desired`, all of which are to go, that are there, each with its step.
pub(crate) async fn present(
    context: &Context,
    desired: Vec<Desired>,
) -> Result<Vec<(Desired, Step)>> {
    let mut observed = stream::iter(desired)
        .map(|desired| async move {
            let observed = desired.resource.remains(context).await?;
            Ok::<_, Error>((desired, observed))
        })
        .buffered(CONCURRENT);
    let mut found = Vec::new();
    while let Some(next) = observed.next().await {
        let (desired, observed) = next?;
        if !matches!(observed, Observed::Absent) {
            let step = decide(&desired, &observed, false)?;
            found.push((desired, step));
        }
    }
    Ok(found)
}
