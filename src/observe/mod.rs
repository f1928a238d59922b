//! Observes all desired resources, stage by stage, and creates the plan.

pub(crate) mod capacity;
pub(crate) mod consequences;

use std::{collections::BTreeSet, pin::pin};

use futures::{Stream, StreamExt, stream};
use tracing::Instrument as _;

use crate::{
    desired::{
        Desired, Goal, Phase,
        resource::Resource,
        teardown::{self, Records},
    },
    error::{Error, Result},
    log,
    plan::{Action, Plan, Step, planned, refusals},
    resource::{context::Context, crds_leave, observed::Observed},
};

/// How many resources are observed concurrently.
pub(crate) const CONCURRENT: usize = 32;

/// The plan for `desired`: in stages, since later ones need results of earlier ones (the Secret's version).
pub(crate) async fn plan(context: &Context, desired: &[Desired], adopt: bool) -> Result<Plan> {
    let (mut steps, mut refused): (Vec<Step>, Vec<Error>) = (Vec::new(), Vec::new());
    let mut leaving = BTreeSet::new();
    let look = |desired| async move {
        let observed = one(context, desired).instrument(log::step(&desired.id));
        (desired, observed.await)
    };
    let mut observed = pin!(by_stages(desired, look));
    while let Some((desired, observed)) = observed.next().await {
        let reason = observed
            .as_ref()
            .ok()
            .and_then(|it| is_leaving(desired, it));
        match observed.and_then(|it| planned(desired, &it, adopt)) {
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

/// The results of `look` for each of `desired`, in the order of their phases: concurrently within a [`stage`].
pub(crate) fn by_stages<'a, F: Future>(
    desired: &'a [Desired],
    look: impl Fn(&'a Desired) -> F + Copy,
) -> impl Stream<Item = F::Output> {
    let mut all: Vec<&'a Desired> = desired.iter().collect();
    all.sort_by_key(|it| it.phase);
    let stages = all.chunk_by(|one, next| stage(one.phase) == stage(next.phase));
    let stages: Vec<Vec<&'a Desired>> = stages.map(<[_]>::to_vec).collect();
    stream::iter(stages).flat_map(move |stage| stream::iter(stage).map(look).buffered(CONCURRENT))
}

/// The last of the phases that are observed at the same time. The values of the release (controller) have the version of the
/// Secret (wiring), and runners need not match the profile where their pool is left as it is (runners). What is deleted may
/// depend on what stays of each phase before.
const fn stage(phase: Phase) -> Phase {
    match phase {
        Phase::Preflight | Phase::Base | Phase::Upgrade => Phase::Wiring,
        Phase::Controller => Phase::Runners,
        other => other,
    }
}

/// Reads the current state of one resource, or what remains of it if it is to be deleted.
pub(crate) async fn one(context: &Context, desired: &Desired) -> Result<Observed> {
    match desired.goal {
        Goal::Present => desired.resource.observe(context).await,
        Goal::Absent | Goal::Evicted => desired.resource.remains(context).await,
    }
}

/// Logs the action of a step, and the reason.
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

/// Why the live object will be gone when its step runs: it is being deleted.
fn is_leaving(desired: &Desired, observed: &Observed) -> Option<String> {
    if desired.goal != Goal::Present {
        return None;
    }
    match (&desired.resource, observed) {
        // A plain object is ready if it exists: it is not ready only while it is being deleted.
        (Resource::Object(_), Observed::Present(present)) => {
            present.readiness.reason().map(str::to_owned)
        }
        (Resource::Crds(_), observed) => crds_leave(observed).map(str::to_owned),
        _ => None,
    }
}

/// The live object, or its namespace, is deleted before it is created again.
fn made_anew(step: &mut Step, reason: &str) {
    step.ready = false;
    step.differences = Vec::new();
    if !step.proof {
        step.action = Action::Create;
        step.note = Some(format!("made again once it has gone: {reason}"));
    }
}

/// A proof writes nothing. If it does not hold while other writes are planned, it is decided later; otherwise it is
/// unchanged, not ready, and waited for. One that reports a difference is written: runners that never started are
/// deleted to free capacity.
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

/// Resources that are in the inventory but no longer in the profile.
#[derive(Default)]
pub(crate) struct Orphans {
    /// Those that `up` deletes.
    pub(crate) goes: Vec<Desired>,
    /// Those at AWS that are kept, each with the reason.
    pub(crate) stays: Vec<String>,
    /// Those that no longer exist, or never were arcctl's: they are removed from the inventory.
    pub(crate) gone: BTreeSet<String>,
}

/// Observes the resources that are in the inventory but no longer in the profile.
pub(crate) async fn left_behind(
    context: &Context,
    records: &Records,
    desired: &[Desired],
) -> Result<Orphans> {
    let left = teardown::left_behind(records, desired, &context.profile);
    let mut result = Orphans {
        gone: left.iter().map(|it| it.id.to_string()).collect(),
        ..Orphans::default()
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

/// The existing resources of `desired`, all of which are to be deleted, each with its step.
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
            let step = planned(&desired, &observed, false)?;
            found.push((desired, step));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::*;
    use crate::desired::{Facts, desired, tests::profile};

    #[tokio::test]
    async fn what_needs_nothing_of_each_other_is_read_at_the_same_time() {
        let mut steps = desired(&profile(&json!({})), &Facts::default()).unwrap();
        // What leaves the profile is at the end of the list, whatever its phase.
        steps.rotate_left(1);
        let (open, beside) = (RefCell::new(Vec::new()), RefCell::new(BTreeSet::new()));
        let (open, beside) = (&open, &beside);
        let looked = by_stages(&steps, |it| async move {
            open.borrow_mut().push(it.phase);
            tokio::task::yield_now().await;
            for other in open.borrow().iter() {
                beside.borrow_mut().insert((it.phase, *other));
            }
            open.borrow_mut().retain(|other| *other != it.phase);
            it.phase
        });
        let phases: Vec<Phase> = looked.collect().await;
        assert_eq!(phases.len(), steps.len());
        assert!(phases.is_sorted(), "{phases:?}");
        let beside = beside.borrow();
        for (one, other, together) in [
            (Phase::Base, Phase::Wiring, true),
            (Phase::Controller, Phase::Runners, true),
            (Phase::Wiring, Phase::Controller, false),
            (Phase::Runners, Phase::Registration, false),
        ] {
            let found = beside.contains(&(one, other)) || beside.contains(&(other, one));
            assert_eq!(found, together, "{one:?} {other:?}: {beside:?}");
        }
    }
}
