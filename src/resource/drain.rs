//! A pool that goes: scaled to nothing, its jobs waited for, its `RunnerDeployment` deleted.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{
    Drain,
    context::Context,
    observed::{Observed, Ownership, Present, Readiness},
    owner,
    removal::{ending, ours, runner_deployment},
};
use crate::{
    clients::kube::{Selection, Target},
    desired::names,
    error::{Error, ErrorKind, Result, System},
    execute::inventory,
};

/// What there is of a pool.
pub(super) struct Pool {
    pub(super) deployment: Option<Value>,
    pub(super) runners: Vec<Value>,
    pub(super) pods: Vec<Value>,
}

/// What to do next with a pool.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Nothing is left.
    Gone,
    /// It is scaled to this many runners: those that have a job.
    Scale(u64),
    /// These runners are taken away by arcctl itself.
    TakeAway(Vec<String>),
    /// Its `RunnerDeployment` is deleted.
    Delete,
    /// Something has to end first.
    Wait(Readiness),
}

/// What GitHub says of the runners that have a job; `Err` is why it cannot be asked.
pub(super) type Busy = Result<HashSet<String>, String>;

impl Drain {
    fn pool(&self, kind: &str, version: &str) -> Selection {
        Selection::namespaced(version, kind, &self.namespace)
            .labelled(format!("runner-deployment-name={}", self.pool))
    }

    /// What a watch must look at to see it go.
    pub(super) fn selections(&self) -> Vec<Selection> {
        vec![
            self.pool("Runner", names::ARC_API_VERSION),
            self.pool("Pod", "v1"),
        ]
    }

    fn target(&self) -> Target {
        runner_deployment(&self.namespace, &self.pool)
    }

    pub(super) async fn read(&self, context: &Context) -> Result<Pool> {
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

    /// What is left of the pool, and what holds it.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let pool = self.read(context).await?;
        if let Some(deployment) = &pool.deployment {
            let ownership = owner::of_object(deployment, &context.profile.name);
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
            Next::Scale(_) | Next::TakeAway(_) | Next::Delete => ours(Readiness::Ready),
        })
    }

    /// Takes the next step.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        let pool = self.read(context).await?;
        let target = self.target();
        let deployment = pool.deployment.as_ref();
        if deployment
            .is_some_and(|it| owner::of_object(it, &context.profile.name) != Ownership::Ours)
        {
            return Ok(());
        }
        match (self.next(context, &pool).await?, deployment) {
            (Next::Scale(replicas), Some(live)) => {
                self.remember(context, &pool).await?;
                let version = &live["metadata"]["resourceVersion"];
                let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}});
                context.kube.merge(&target, &patch).await.map(|_| ())
            }
            (Next::Delete, Some(live)) => context.kube.delete_exactly(&target, live).await,
            (Next::TakeAway(names), _) => {
                self.remember(context, &pool).await?;
                self.take_away(context, &pool, &names).await
            }
            _ => Ok(()),
        }
    }

    /// Names the pool's runners in the inventory, so that what they leave at GitHub is found by name, also by another
    /// run: no prefix tells whose a runner is.
    async fn remember(&self, context: &Context, pool: &Pool) -> Result<()> {
        let names = pool.runners.iter().chain(&pool.pods).filter_map(name);
        let profile = &context.profile.name;
        inventory::remember_runners(&context.kube, profile, &self.pool, names).await
    }

    async fn next(&self, context: &Context, pool: &Pool) -> Result<Next> {
        let idle = pool.runners.is_empty() && pool.pods.is_empty();
        let deployment = pool.deployment.as_ref();
        if let Some(live) = deployment.filter(|it| ending(it).is_none()) {
            let jobs = self.jobs(context, pool).await?;
            // Never below the runners with a job: what goes first is not arcctl's to choose.
            if live["spec"]["replicas"].as_u64().unwrap_or(1) > jobs {
                return Ok(Next::Scale(jobs));
            }
            // The controller may not have looked at it yet: its replica sets follow.
            if idle {
                return Ok(if self.has_runners_to_come(context, live).await? {
                    Next::Wait(Readiness::progressing("the controller scales it to 0"))
                } else {
                    Next::Delete
                });
            }
        } else if idle {
            return Ok(match deployment.and_then(ending) {
                Some(reason) => Next::Wait(Readiness::progressing(reason)),
                None => Next::Gone,
            });
        }
        let busy = self.busy(context, pool).await?;
        Ok(decide(
            &left(pool),
            &busy,
            context.removal.force,
            context.removal.by_hand.as_deref(),
        ))
    }

    /// Whether a replica set of the pool still asks for runners; without a controller none will come.
    async fn has_runners_to_come(&self, context: &Context, deployment: &Value) -> Result<bool> {
        if context.removal.by_hand.is_some() {
            return Ok(false);
        }
        let sets =
            Selection::namespaced(names::ARC_API_VERSION, "RunnerReplicaSet", &self.namespace);
        let sets = context.kube.list(&sets).await?;
        let own = |it: &&Value| {
            let owners = it["metadata"]["ownerReferences"].as_array();
            let uid = &deployment["metadata"]["uid"];
            owners.into_iter().flatten().any(|it| it["uid"] == *uid)
        };
        Ok(sets
            .iter()
            .filter(own)
            .any(|it| it["spec"]["replicas"].as_i64().unwrap_or(1) > 0))
    }

    /// How many runners are to end a job before they go; not known is not none, but by the controller's own care.
    async fn jobs(&self, context: &Context, pool: &Pool) -> Result<u64> {
        if context.removal.force || context.removal.by_hand.is_some() {
            return Ok(0);
        }
        let busy = self.busy(context, pool).await?;
        let busy = busy.map_err(|why| {
            Error::failed(
                System::GitHub,
                format!(
                    "whether runners of pool `{}` have a job is not known",
                    self.pool
                ),
            )
            .object(self.target().to_string().replace('`', ""))
            .cause(why)
            .hint("mend that, or end the jobs with `arcctl teardown --force`")
            .passing(true)
        })?;
        Ok(u64::try_from(busy.len()).unwrap_or(u64::MAX))
    }

    async fn busy(&self, context: &Context, pool: &Pool) -> Result<Busy> {
        if let Some(why) = &context.removal.without_github {
            return Ok(Err(why.clone()));
        }
        match context.runners().await {
            Ok(runners) => {
                let names = left(pool);
                let busy = runners.iter().filter(|it| it.busy);
                Ok(Ok(busy
                    .filter(|it| names.contains(&it.name))
                    .map(|it| it.name.clone())
                    .collect()))
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

/// The names of the runners that are left, sorted.
fn left(pool: &Pool) -> Vec<String> {
    let mut names: Vec<String> = pool
        .runners
        .iter()
        .chain(&pool.pods)
        .filter_map(name)
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// What to do with the runners that are left of a pool that is scaled to nothing.
fn decide(left: &[String], busy: &Busy, force: bool, by_hand: Option<&str>) -> Next {
    let is_busy = |name: &&String| busy.as_ref().is_ok_and(|busy| busy.contains(*name));
    let (working, idle): (Vec<&String>, Vec<&String>) = left.iter().partition(is_busy);
    let owned = |names: Vec<&String>| names.into_iter().cloned().collect();
    match (busy, by_hand) {
        (Err(why), Some(_)) if !force => Next::Wait(Readiness::stuck(
            format!("whether its runners have a job is not known: {why}"),
            "mend that, or take them away as they are with `arcctl teardown --force`",
        )),
        (_, Some(_)) if force => Next::TakeAway(left.to_vec()),
        (_, Some(_)) if !idle.is_empty() => Next::TakeAway(owned(idle)),
        _ if force && !working.is_empty() => Next::TakeAway(owned(working)),
        _ if working.is_empty() => Next::Wait(Readiness::progressing(format!(
            "{} are left, among them `{}`",
            count(left.len()),
            left.first().map_or("", String::as_str)
        ))),
        _ => Next::Wait(Readiness::stuck(
            format!(
                "{} with a job: `{}`",
                count(working.len()),
                working
                    .iter()
                    .map(|it| it.as_str())
                    .collect::<Vec<_>>()
                    .join("`, `")
            ),
            "wait for the jobs to end with a longer `--timeout` or `timeouts.drain`, or end them with `arcctl teardown --force`",
        )),
    }
}

fn count(runners: usize) -> String {
    match runners {
        1 => "1 runner".to_owned(),
        more => format!("{more} runners"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn jobs_are_waited_for_and_only_ended_by_force() {
        let left = names(&["a", "b"]);
        let busy: Busy = Ok(HashSet::from(["b".to_owned()]));
        let Next::Wait(Readiness::Stuck { reason, .. }) = decide(&left, &busy, false, None) else {
            panic!("a job is not waited for");
        };
        assert_eq!(reason, "1 runner with a job: `b`");
        assert_eq!(
            decide(&left, &busy, true, None),
            Next::TakeAway(names(&["b"]))
        );
        let gone = Some("the controller does not run");
        assert_eq!(
            decide(&left, &busy, false, gone),
            Next::TakeAway(names(&["a"]))
        );
        assert_eq!(
            decide(&left, &busy, true, gone),
            Next::TakeAway(left.clone())
        );
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_idle() {
        let left = names(&["a"]);
        let unknown: Busy = Err("no answer".into());
        let gone = Some("the controller does not run");
        assert!(matches!(
            decide(&left, &unknown, false, gone),
            Next::Wait(Readiness::Stuck { .. })
        ));
        assert_eq!(
            decide(&left, &unknown, true, gone),
            Next::TakeAway(left.clone())
        );
        assert!(matches!(
            decide(&left, &unknown, false, None),
            Next::Wait(Readiness::Progressing { .. })
        ));
    }
}
