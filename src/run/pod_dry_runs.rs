//! The runners' pods are tried before anything waits for them: one that nobody can make ends a run before its first write.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::timeout;

use crate::{
    clients::kube::{Selection, Target},
    desired::{
        Goal,
        resource::{Registration, Resource},
    },
    error::{Error, Result},
    observe::CONCURRENT,
    plan::{Plan, consequence::makes_pods},
    resource::pods::{
        dry_run::{self, Trial},
        refusal::missing_account,
    },
    session::Session,
    terminal::output::Output,
};

/// What came of the pods of each pool.
pub(crate) struct Trials<'a> {
    session: &'a Session,
    tried: Vec<(&'a Registration, Trial)>,
}

/// Tries a pod of each pool. What an earlier step of the run makes counts as there.
pub(crate) async fn try_pods(session: &Session) -> Trials<'_> {
    let coming: BTreeSet<String> = session
        .desired
        .iter()
        .filter(|it| it.goal == Goal::There)
        .map(|it| it.id.to_string())
        .collect();
    let pools = session.desired.iter().filter_map(|it| match &it.resource {
        Resource::RunnerPods(pool) if it.goal == Goal::There => Some(pool),
        _ => None,
    });
    let coming = &coming;
    let tried = stream::iter(pools)
        .map(|pool| async move { (pool, pool.try_pod(&session.context, coming).await) })
        .buffered(CONCURRENT);
    Trials {
        session,
        tried: tried.collect().await,
    }
}

impl Trials<'_> {
    /// The error of a run that makes or changes pods which nobody can make, with every such pool's refusal. Where `plan`
    /// leaves a pool as it is, its refusal is no reason to keep the rest from being done.
    pub(crate) fn check(&self, plan: &Plan) -> Result<()> {
        let lasting = self.tried.iter().filter_map(|(pool, trial)| match trial {
            Trial::Refused(refusal) if refusal.is_lasting() && self.is_made(plan, pool) => {
                Some((*pool, refusal))
            }
            _ => None,
        });
        match dry_run::error(lasting) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The namespaces whose account `default` is not there yet.
    fn without_account(&self) -> BTreeSet<&str> {
        let lacks = |trial: &Trial| match trial {
            Trial::Refused(refusal) => {
                missing_account(&refusal.said).is_some_and(|it| it.ends_with("/default"))
            }
            _ => false,
        };
        let lacking = self.tried.iter().filter(|(_, trial)| lacks(trial));
        lacking.map(|(pool, _)| pool.namespace.as_str()).collect()
    }

    /// Whether `plan` makes pods as the profile wants them: not of a pool that is taken over as it is.
    fn is_made(&self, plan: &Plan, pool: &Registration) -> bool {
        !pool.is_left(&self.session.context) && makes_pods(plan, &pool.namespace, &pool.pool)
    }

    /// What may pass, what this plan does not depend on, and what is not known: said, and no reason to stop. A used-up
    /// quota is no news of a pool whose runners are there.
    pub(crate) fn tell(&self, plan: &Plan, output: Output) {
        for (pool, trial) in &self.tried {
            let id = format!("runner-pods/{}/{}", pool.namespace, pool.pool);
            let is_ready = plan.steps.iter().any(|it| it.id == id && it.ready);
            match trial {
                Trial::Refused(refusal) if refusal.is_lasting() => {
                    if !self.is_made(plan, pool) {
                        output.note(format!(
                            "advice: the API server refuses new runner pods of pool `{}`: {}; the pods that run stay, and others come only after this: {}",
                            pool.pool, refusal.said, refusal.hint
                        ));
                    }
                }
                Trial::Refused(refusal) if !is_ready => {
                    output.note(format!(
                        "advice: at this moment the API server refuses the runner pods of pool `{}`: {}. It may pass by itself; if not: {}",
                        pool.pool, refusal.said, refusal.hint
                    ));
                }
                Trial::Unknown(error) => output.note(format!(
                    "advice: whether the API server takes the runner pods of pool `{}` could not be found out: {}",
                    pool.pool,
                    error.document().message
                )),
                Trial::Refused(_) | Trial::Admitted | Trial::TooEarly => {}
            }
        }
    }
}

/// How long a namespace may take to get the account `default`: an instant, and some for a busy cluster.
const ACCOUNT_COMES: Duration = Duration::from_secs(30);

/// Tries the pods again where their namespaces are new, before anything waits for them. Until such a namespace has its
/// account `default`, nothing else is judged of a pod.
pub(crate) async fn check_pods(session: &Session, plan: &Plan) -> Result<(), Error> {
    let trials = try_pods(session).await;
    let without = trials.without_account();
    if without.is_empty() {
        return trials.check(plan);
    }
    for namespace in without {
        // One that does not come, or cannot be read, is what the wait for the pods then tells.
        let _waited = timeout(ACCOUNT_COMES, account_comes(session, namespace)).await;
    }
    try_pods(session).await.check(plan)
}

/// Waits until a namespace has its account `default`.
async fn account_comes(session: &Session, namespace: &str) -> Result<()> {
    let kube = &session.context.kube;
    let account = Target::namespaced("v1", "ServiceAccount", namespace, "default");
    let accounts = Selection::namespaced("v1", "ServiceAccount", namespace);
    let mut changes = pin!(kube.changes(&[accounts]));
    while kube.get(&account).await?.is_none() && changes.next().await.is_some() {}
    Ok(())
}
