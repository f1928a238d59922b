//! Creates the runners' pods as a dry run: if the API server rejects one, the run fails before its first write.

use std::{collections::BTreeSet, pin::pin, time::Duration};

use futures::{StreamExt, stream};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    clients::kube::{Selection, Target},
    desired::{
        Goal,
        capacity::with_default_requests,
        resource::{Registration, Resource},
    },
    error::{Error, Result},
    observe::{CONCURRENT, capacity},
    plan::{Plan, consequence::makes_pods},
    profile::Pool,
    resource::pods::{
        dry_run::{self, Trial},
        refusal::missing_account,
    },
    session::Session,
    terminal::output::Output,
};

/// The dry-run result of each pool.
pub(crate) struct Trials<'a> {
    session: &'a Session,
    tried: Vec<(&'a Registration, Trial)>,
}

/// Dry-runs a pod of each pool. Resources that an earlier step creates do not count as missing.
pub(crate) async fn try_pods(session: &Session) -> Trials<'_> {
    let coming: BTreeSet<String> = session
        .desired
        .iter()
        .filter(|it| it.goal == Goal::Present)
        .map(|it| it.id.to_string())
        .collect();
    let pools = session.desired.iter().filter_map(|it| match &it.resource {
        Resource::RunnerPods(pool) if it.goal == Goal::Present => Some(pool),
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
    /// The error of a run that creates or changes pods that the API server rejects, with the rejection of each such pool.
    /// Pools that `plan` does not change are ignored.
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

    /// The namespaces without a service account `default`.
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

    /// Whether `plan` creates pods from the profile: not for a pool that is adopted unchanged.
    fn is_made(&self, plan: &Plan, pool: &Registration) -> bool {
        !pool.is_left(&self.session.context) && makes_pods(plan, &pool.namespace, &pool.pool)
    }

    /// Reports rejections that may be temporary, that do not affect this plan, or that are unknown. An exhausted quota is
    /// not reported for a pool whose runners exist.
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
                Trial::Refused(_) | Trial::Admitted(_) | Trial::TooEarly => {}
            }
        }
    }
}

impl Trials<'_> {
    /// Reports what the nodes hold of the pools that get new pods by `plan`, before any is made.
    pub(crate) async fn tell_capacity(&self, plan: &Plan, output: Output) {
        let context = &self.session.context;
        let made = self
            .tried
            .iter()
            .filter(|(pool, _)| self.is_made(plan, pool));
        let pools: Vec<(&Pool, Value)> = made
            .filter_map(|(registration, trial)| {
                let mut pools = context.profile.pools.iter();
                let pool = pools.find(|it| it.name == registration.pool)?;
                let pod = match trial {
                    Trial::Admitted(admitted) => (**admitted).clone(),
                    // Its namespace is not there yet.
                    _ => with_default_requests(&context.runner_pod(pool).ok()?),
                };
                Some((pool, pod))
            })
            .collect();
        if pools.is_empty() {
            return;
        }
        match capacity::rooms(&context.kube, &pools).await {
            Ok(rooms) => {
                for room in rooms {
                    for advice in room.advice() {
                        output.note(format!("advice: {advice}"));
                    }
                    if let Some(why) = room.not_known {
                        tracing::info!(
                            "how many runners of pool `{}` the nodes hold is not computed: {why}",
                            room.pool
                        );
                    }
                }
            }
            Err(error) => output.note(format!(
                "advice: how many runners the nodes hold could not be found out: {}",
                error.document().message
            )),
        }
    }
}

/// How long a new namespace may need to get its service account `default`: an instant, or longer in a busy cluster.
const ACCOUNT_COMES: Duration = Duration::from_secs(30);

/// Repeats the dry runs in new namespaces, before the run waits for pods. Until a namespace has its service account
/// `default`, the API server checks nothing else of a pod.
pub(crate) async fn check_pods(session: &Session, plan: &Plan) -> Result<(), Error> {
    let trials = try_pods(session).await;
    let without = trials.without_account();
    if without.is_empty() {
        return trials.check(plan);
    }
    for namespace in without {
        // If it does not appear, or cannot be read, the wait for the pods reports that.
        let _waited = timeout(ACCOUNT_COMES, account_comes(session, namespace)).await;
    }
    try_pods(session).await.check(plan)
}

/// Waits until a namespace has its service account `default`.
async fn account_comes(session: &Session, namespace: &str) -> Result<()> {
    let kube = &session.context.kube;
    let account = Target::namespaced("v1", "ServiceAccount", namespace, "default");
    let accounts = Selection::namespaced("v1", "ServiceAccount", namespace);
    let mut changes = pin!(kube.changes(&[accounts]));
    while kube.get(&account).await?.is_none() && changes.next().await.is_some() {}
    Ok(())
}
