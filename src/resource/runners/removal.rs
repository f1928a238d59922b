//! Removes a pool's runners one by one: at GitHub first, which refuses one with a job, then in the cluster.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{drain::Pool, leaving::runs};
use crate::{
    clients::{github::Removed, kube::Target},
    desired::{names, resource::Drain},
    error::{ErrorKind, Result},
    resource::context::{Context, scope},
};

/// How many runners are removed at a time. GitHub recommends few concurrent writes (docs.github.com: "Best practices for
/// using the REST API"); each removal also makes calls to the API server.
const CONCURRENT: usize = 4;

impl Drain {
    /// Removes these runners; `at_github` has the ids of those that GitHub lists. One that GitHub refuses to remove,
    /// because it has a job by now, is kept, except with `--force`.
    pub(super) async fn remove_runners(
        &self,
        context: &Context,
        pool: &Pool,
        names: &[String],
        at_github: &HashMap<String, u64>,
    ) -> Result<()> {
        stream::iter(names)
            .map(|name| self.remove_runner(context, pool, name, at_github.get(name).copied()))
            .buffer_unordered(CONCURRENT)
            .try_collect::<Vec<()>>()
            .await?;
        context.forget_runners().await;
        Ok(())
    }

    async fn remove_runner(
        &self,
        context: &Context,
        pool: &Pool,
        name: &str,
        id: Option<u64>,
    ) -> Result<()> {
        let removal = &context.removal;
        let runner = named(&pool.runners, name);
        let pod = named(&pool.pods, name);
        let left = self.leave_github(context, name, pod, id).await?;
        // With --force GitHub drops a busy runner once it is offline.
        if left == Removed::Busy && !removal.force {
            removal.saw_busy(name);
            return Ok(());
        }
        let at_once = removal.force || removal.by_hand.is_some();
        // Its owner reference deletes it too; but the garbage collector discovers a new kind only every 30 s
        // (kube-controller-manager, "garbage collector sync period"), and deletes nothing until then.
        if let Some(pod) = pod {
            let target = Target::namespaced("v1", "Pod", &self.namespace, name);
            if at_once {
                context.kube.kill_pod(&target, pod).await?;
                let_go(context, &target).await?;
            } else if !is_ending(pod) {
                match context.kube.delete_pod(&target, pod).await {
                    // Without the permission, the garbage collector deletes it.
                    Err(error) if error.kind == ErrorKind::Unauthorized => {}
                    other => other?,
                }
            }
        }
        if let Some(runner) = runner {
            let target =
                Target::namespaced(names::ARC_API_VERSION, "Runner", &self.namespace, name);
            if !is_ending(runner) {
                context.kube.delete(&target).await?;
            }
            if at_once {
                let_go(context, &target).await?;
            }
        }
        Ok(())
    }
}

impl Drain {
    /// Removes a runner at GitHub. If a list lacked it and its container runs, it is searched by
    /// name: the list may be older than the runner's registration, or lack one that moved between pages.
    async fn leave_github(
        &self,
        context: &Context,
        name: &str,
        pod: Option<&Value>,
        id: Option<u64>,
    ) -> Result<Removed> {
        if context.removal.without_github.is_some() {
            return Ok(Removed::Done);
        }
        let (github, profile) = context.github_of(&self.pool);
        let scope = scope(profile)?;
        let id = match id {
            None if pod.is_some_and(runs) => {
                github.runner_named(scope, name).await?.map(|it| it.id)
            }
            known => known,
        };
        match id {
            Some(id) => github.remove_runner(scope, id).await,
            None => Ok(Removed::Done),
        }
    }
}

pub(super) fn named<'a>(objects: &'a [Value], name: &str) -> Option<&'a Value> {
    objects.iter().find(|it| it["metadata"]["name"] == name)
}

pub(super) fn is_ending(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// Removes the finalizers of a terminating object.
async fn let_go(context: &Context, target: &Target) -> Result<()> {
    let Some(live) = context.kube.get(target).await? else {
        return Ok(());
    };
    if live["metadata"]["deletionTimestamp"].is_null() || live["metadata"]["finalizers"].is_null() {
        return Ok(());
    }
    let patch = json!({"metadata": {"finalizers": null, "uid": live["metadata"]["uid"]}});
    match context.kube.merge(target, &patch).await {
        // It was deleted in between.
        Err(error) if context.kube.get(target).await?.is_some() => Err(error),
        _ => Ok(()),
    }
}
