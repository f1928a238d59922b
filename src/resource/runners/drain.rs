//! Removes a pool: scales it to zero, waits for its jobs, removes its runners at GitHub and then in the cluster, and
//! deletes its `RunnerDeployment`.
//!
//! arcctl does not wait for the controller's scale-down: with young runners it takes one or two sync periods longer
//! (seen with ARC v0.27.4). It waits only until the controller creates no new runners and releases the old ones.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{
    leaving::{self, Leaving, Way, decide},
    removal::{is_ending, named},
};
use crate::{
    clients::{
        github::Runner,
        kube::{Selection, Target},
    },
    desired::{names, resource::Drain},
    error::{ErrorKind, Result},
    inventory,
    resource::{
        context::Context,
        deletion::{ending, ours, runner_deployment},
        kubernetes::ownership,
        observed::{Observed, Ownership, Present, Readiness},
        owners::is_made_by,
    },
};

/// The objects of a pool.
pub(super) struct Pool {
    pub(super) deployment: Option<Value>,
    pub(super) runners: Vec<Value>,
    pub(super) pods: Vec<Value>,
}

/// The next step for a pool.
enum Next {
    /// Nothing is left.
    Gone,
    /// Scale it to zero: then the controller creates no new runners, and checks with GitHub before it ends one.
    Scale,
    /// Remove these runners; with GitHub's ids of those that it lists.
    Remove(Vec<String>, HashMap<String, u64>),
    /// Delete its `RunnerDeployment`.
    Delete,
    /// Wait for this.
    Wait(Readiness),
}

impl Drain {
    fn pool(&self, kind: &str, version: &str) -> Selection {
        Selection::namespaced(version, kind, &self.namespace)
            .labelled(format!("runner-deployment-name={}", self.pool))
    }

    /// The watches for its deletion.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        vec![
            self.pool("Runner", names::ARC_API_VERSION),
            self.pool("Pod", "v1"),
        ]
    }

    fn target(&self) -> Target {
        runner_deployment(&self.namespace, &self.pool)
    }

    async fn read(&self, context: &Context) -> Result<Pool> {
        let target = self.target();
        let (runners, pods) = (
            self.pool("Runner", names::ARC_API_VERSION),
            self.pool("Pod", "v1"),
        );
        let (deployment, runners, pods) = tokio::try_join!(
            context.kube.get(&target),
            context.kube.list(&runners),
            context.kube.list(&pods),
        )?;
        Ok(Pool {
            deployment,
            runners,
            pods,
        })
    }

    /// What remains of the pool, and what blocks its deletion.
    pub(crate) async fn remains(&self, context: &Context) -> Result<Observed> {
        let pool = self.read(context).await?;
        if let Some(deployment) = &pool.deployment {
            let ownership = ownership::of_object(deployment, &context.profile.name);
            if ownership != Ownership::Ours {
                return Ok(Observed::Present(Present {
                    ownership,
                    ..Present::same(Readiness::Ready)
                }));
            }
        } else if !context.removal.recorded.contains(&format!(
            "runner-deployment/{}/{}",
            self.namespace, self.pool
        )) {
            return Ok(Observed::Absent);
        }
        Ok(match self.next(context, &pool).await? {
            Next::Gone => Observed::Absent,
            Next::Wait(readiness) => ours(readiness),
            Next::Scale | Next::Remove(..) | Next::Delete => ours(Readiness::Ready),
        })
    }

    /// Runs the next step.
    pub(crate) async fn delete(&self, context: &Context) -> Result<()> {
        let pool = self.read(context).await?;
        let target = self.target();
        let deployment = pool.deployment.as_ref();
        if deployment
            .is_some_and(|it| ownership::of_object(it, &context.profile.name) != Ownership::Ours)
        {
            return Ok(());
        }
        match (self.next(context, &pool).await?, deployment) {
            (Next::Scale, Some(live)) => {
                self.remember(context, &pool).await?;
                let version = &live["metadata"]["resourceVersion"];
                let patch =
                    json!({"metadata": {"resourceVersion": version}, "spec": {"replicas": 0}});
                context.kube.merge(&target, &patch).await.map(|_| ())
            }
            (Next::Delete, Some(live)) => context.kube.delete_exactly(&target, live).await,
            (Next::Remove(names, at_github), _) => {
                self.remember(context, &pool).await?;
                self.remove_runners(context, &pool, &names, &at_github)
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Adds the names of the pool's runners to the inventory, so that any later run finds their entries at GitHub by name:
    /// a name prefix does not show the owner.
    async fn remember(&self, context: &Context, pool: &Pool) -> Result<()> {
        let names = pool.runners.iter().chain(&pool.pods).filter_map(name);
        let home = inventory::Home::of(&context.profile);
        inventory::remember_runners(&context.kube, home, &self.pool, names).await
    }

    async fn next(&self, context: &Context, pool: &Pool) -> Result<Next> {
        let removal = &context.removal;
        let none_left = pool.runners.is_empty() && pool.pods.is_empty();
        let live = pool.deployment.as_ref().filter(|it| ending(it).is_none());
        if let Some(live) = live {
            if live["spec"]["replicas"].as_u64().unwrap_or(1) > 0 {
                return Ok(Next::Scale);
            }
            // A runner that is removed before its replica set is at 0 is created again.
            if removal.by_hand.is_none() && self.has_runners_to_come(context, live).await? {
                let reason = "the controller scales it to 0";
                return Ok(Next::Wait(Readiness::progressing(reason)));
            }
        }
        if none_left {
            return Ok(match (live, pool.deployment.as_ref().and_then(ending)) {
                (Some(_), _) => Next::Delete,
                (None, Some(reason)) => Next::Wait(Readiness::progressing(reason)),
                (None, None) => Next::Gone,
            });
        }
        let at_github = self.at_github(context, pool).await?;
        let known = at_github.as_ref().map(|_| ()).map_err(String::as_str);
        let runners = at_github.as_deref().unwrap_or_default();
        let left = leaving(context, pool, runners);
        let way = Way {
            force: removal.force,
            by_hand: removal.by_hand.as_deref(),
        };
        Ok(match decide(&left, known, way) {
            leaving::Next::Wait(readiness) => Next::Wait(readiness),
            leaving::Next::Remove(names) => {
                let ids = runners.iter().map(|it| (it.name.clone(), it.id)).collect();
                Next::Remove(names, ids)
            }
        })
    }

    /// Whether a replica set of the pool still creates runners; without a controller it cannot.
    async fn has_runners_to_come(&self, context: &Context, deployment: &Value) -> Result<bool> {
        let sets =
            Selection::namespaced(names::ARC_API_VERSION, "RunnerReplicaSet", &self.namespace);
        let sets = context.kube.list(&sets).await?;
        Ok(sets
            .iter()
            .filter(|it| is_made_by(it, deployment))
            .any(|it| it["spec"]["replicas"].as_i64().unwrap_or(1) > 0))
    }

    /// Those of the pool's runners that GitHub lists; a text error is the reason why GitHub cannot be called.
    async fn at_github(
        &self,
        context: &Context,
        pool: &Pool,
    ) -> Result<std::result::Result<Vec<Runner>, String>> {
        if let Some(why) = &context.removal.without_github {
            return Ok(Err(why.clone()));
        }
        let names = left(pool);
        match context.runners().await {
            Ok(runners) => {
                let own = runners.iter().filter(|it| names.contains(it.name.as_str()));
                Ok(Ok(own.cloned().collect()))
            }
            Err(error) if error.kind == ErrorKind::Unauthorized => Err(error),
            Err(error) => Ok(Err(format!(
                "{}: {}",
                error.message,
                error.causes.join(": ")
            ))),
        }
    }
}

fn name(object: &Value) -> Option<&str> {
    object["metadata"]["name"].as_str()
}

/// The names of the remaining runners.
fn left(pool: &Pool) -> BTreeSet<&str> {
    let objects = pool.runners.iter().chain(&pool.pods);
    objects.filter_map(name).collect()
}

/// The state of each remaining runner.
fn leaving(context: &Context, pool: &Pool, at_github: &[Runner]) -> Vec<Leaving> {
    let now = context.kube.now();
    let one = |name: &str| {
        let (runner, pod) = (named(&pool.runners, name), named(&pool.pods, name));
        let listed = at_github.iter().find(|it| it.name == name);
        let busy = listed.map(|it| it.busy || context.removal.is_busy(name));
        Leaving {
            name: name.to_owned(),
            state: leaving::state(pod, busy, now),
            // A pod without its Runner is deleted by the garbage collector.
            ending: runner.is_none_or(is_ending),
        }
    };
    left(pool).into_iter().map(one).collect()
}
