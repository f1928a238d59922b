//! Observes everything that is desired, phase by phase, and makes the plan.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use super::session::Session;
use crate::{
    desired::names,
    error::{Error, Result},
    execute::inventory,
    plan::{Action, Plan, Step, decide, refusals},
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
                let observed = desired.resource.observe(&session.context).await;
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

/// What the inventory has and the profile no longer: it stays, and is said.
pub(super) async fn left_behind(session: &Session) -> Result<Vec<String>> {
    let (kube, profile) = (&session.context.kube, &session.context.profile.name);
    let recorded = inventory::read(kube, names::SYSTEM_NAMESPACE, profile).await?;
    let wanted: BTreeSet<String> = session.desired.iter().map(|it| it.id.to_string()).collect();
    Ok(recorded.difference(&wanted).cloned().collect())
}
