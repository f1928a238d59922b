//! What the nodes hold of the pools that get new pods, or may have another number of them.

use serde_json::Value;

use super::{Subject, Trial, Trials};
use crate::{
    desired::capacity::{addresses, losses, with_default_requests},
    observe::capacity,
    plan::{Plan, consequence::changes_maximum},
    profile::Pool,
    terminal::output::Output,
};

impl Trials<'_> {
    /// Reports what the nodes hold of the pools that get new pods or another maximum by `plan`, before any is made.
    pub(super) async fn tell_capacity(&self, plan: &Plan, output: Output) {
        let pools = self.pools_to_tell(plan);
        if pools.is_empty() {
            return;
        }
        let context = &self.session.context;
        match capacity::seen(&context.kube).await {
            Ok(seen) => {
                let rooms = seen.rooms(&pools, context.started);
                for room in &rooms {
                    if let Some(advice) = room.advice() {
                        output.note(format!("advice: {advice}"));
                    }
                    if let Some(why) = &room.not_known {
                        tracing::info!(
                            "cannot compute how many runners of pool `{}` fit on the nodes: {why}",
                            room.pool
                        );
                    }
                }
                let to_come = seen.to_come(&context.profile);
                let addresses = addresses(&context.free_addresses, to_come);
                for advice in losses(&rooms).into_iter().chain(addresses) {
                    output.note(format!("advice: {advice}"));
                }
            }
            Err(error) => output.note(format!(
                "advice: could not find out how many runners fit on the nodes: {}",
                error.document().message
            )),
        }
    }

    /// These pools, with the pod as the API server has admitted it, or as it will about be.
    fn pools_to_tell(&self, plan: &Plan) -> Vec<(&Pool, Value)> {
        let context = &self.session.context;
        self.tried
            .iter()
            .filter_map(|tried| {
                let Subject::Pool(registration) = &tried.subject else {
                    return None;
                };
                let (namespace, name) = (&registration.namespace, &registration.pool);
                let is_resized =
                    !registration.is_left(context) && changes_maximum(plan, namespace, name);
                if !is_resized && !self.is_made(plan, &tried.subject) {
                    return None;
                }
                let pool = context.profile.pool(namespace, name)?;
                let pod = if let Trial::Admitted(admitted) = &tried.trial {
                    (**admitted).clone()
                } else {
                    // Its namespace is not there yet.
                    let pod = context.runner_pod(pool).ok()?;
                    with_default_requests(&pod)
                };
                Some((pool, pod))
            })
            .collect()
    }
}
