//! Observes everything that is desired, phase by phase, and makes the plan.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::session::Session;
use crate::{
    desired::{
        Desired, Goal,
        removal::{self, Records},
    },
    error::{Error, Result},
    plan::{Action, Plan, Step, decide, refusals},
    resource::{context::Context, observed::Observed},
};

/// How many resources are observed at a time.
const CONCURRENT: usize = 32;

/// The plan of `session`: phases in order, since later ones need what earlier ones tell (the Secret's version).
pub(super) async fn plan(session: &Session, adopt: bool) -> Result<Plan> {
    let mut phases: Vec<_> = session.desired.iter().map(|it| it.phase).collect();
    phases.sort_unstable();
    phases.dedup();
    let (mut steps, mut refused): (Vec<Step>, Vec<Error>) = (Vec::new(), Vec::new());
    for phase in phases {
        let desired: Vec<_> = session
            .desired
            .iter()
            .filter(|it| it.phase == phase)
            .collect();
        let mut observed = stream::iter(desired)
            .map(|desired| async move {
                let observed = match desired.goal {
                    Goal::There => desired.resource.observe(&session.context).await,
                    Goal::Gone | Goal::Yields => desired.resource.remains(&session.context).await,
                };
                (desired, observed)
            })
            .buffered(CONCURRENT);
        while let Some((desired, observed)) = observed.next().await {
            match observed.and_then(|it| decide(desired, &it, adopt)) {
                Ok(step) => steps.push(step),
                Err(error) if error.kind == crate::error::ErrorKind::Refused => refused.push(error),
                Err(error) => return Err(error),
            }
        }
    }
    postpone_proofs(&mut steps);
    match refusals(refused) {
        Some(error) => Err(error),
        None => Ok(Plan {
            profile: session.context.profile.name.clone(),
            steps,
        }),
    }
}

/// A proof has nothing to write. While something else is to be written, one that does not hold is decided later;
/// otherwise it stays, not ready, and is waited for.
fn postpone_proofs(steps: &mut [Step]) {
    let writes = steps
        .iter()
        .any(|it| !it.proof && it.action != Action::Keep);
    for step in steps.iter_mut().filter(|it| it.proof) {
        step.action = if writes && !step.ready {
            Action::Later
        } else {
            Action::Keep
        };
    }
}

/// What the inventory has and the profile no longer.
#[derive(Default)]
pub(super) struct LeftBehind {
    /// What of it `up` takes away.
    pub(super) goes: Vec<Desired>,
    /// What of it is at AWS and stays, each with the reason.
    pub(super) stays: Vec<String>,
    /// What of it is not there any more, or was never arcctl's: nothing is left to be remembered.
    pub(super) gone: BTreeSet<String>,
}

/// Looks at what the inventory has and the profile no longer.
pub(super) async fn left_behind(
    context: &Context,
    records: &Records,
    desired: &[Desired],
) -> Result<LeftBehind> {
    let left = removal::left_behind(records, desired, &context.profile);
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
pub(super) async fn present(
    context: &Context,
    desired: Vec<Desired>,
) -> Result<Vec<(Desired, Step)>> {
    let mut found = Vec::new();
    for desired in desired {
        let observed = desired.resource.remains(context).await?;
        if !matches!(observed, Observed::Absent) {
            let step = decide(&desired, &observed, false)?;
            found.push((desired, step));
        }
    }
    Ok(found)
}
