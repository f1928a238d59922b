//! Runners that the controller does not take away: because it does not run, cannot ask GitHub, or a job is to end.

use serde_json::{Value, json};

use super::{
    Drain,
    context::{Context, scope},
    drain::Pool,
};
use crate::{clients::kube::Target, desired::names, error::Result};

impl Drain {
    /// Removes these runners at GitHub, then lets go of what holds their objects, and deletes those.
    pub(super) async fn take_away(
        &self,
        context: &Context,
        pool: &Pool,
        names: &[String],
    ) -> Result<()> {
        for name in names {
            if context.removal.without_github.is_none() {
                deregister(context, name).await?;
            }
            if let Some(pod) = named(&pool.pods, name) {
                let target = Target::namespaced("v1", "Pod", &self.namespace, name);
                context.kube.kill_pod(&target, pod).await?;
                let_go(context, &target).await?;
            }
            let target =
                Target::namespaced(names::ARC_API_VERSION, "Runner", &self.namespace, name);
            if named(&pool.runners, name).is_some() {
                context.kube.delete(&target).await?;
                let_go(context, &target).await?;
            }
        }
        Ok(())
    }
}

fn named<'a>(objects: &'a [Value], name: &str) -> Option<&'a Value> {
    objects.iter().find(|it| it["metadata"]["name"] == name)
}

/// Removes a runner at GitHub; one with a job stays there, and is removed once it is offline.
async fn deregister(context: &Context, name: &str) -> Result<()> {
    let runners = context.runners().await?;
    if let Some(runner) = runners.iter().find(|it| it.name == name) {
        let scope = scope(&context.profile)?;
        context.github.remove_runner(scope, runner.id).await?;
    }
    Ok(())
}

/// Takes the finalizers from an object that is being deleted.
async fn let_go(context: &Context, target: &Target) -> Result<()> {
    let Some(live) = context.kube.get(target).await? else {
        return Ok(());
    };
    if live["metadata"]["deletionTimestamp"].is_null() || live["metadata"]["finalizers"].is_null() {
        return Ok(());
    }
    let patch = json!({"metadata": {"finalizers": null, "uid": live["metadata"]["uid"]}});
    match context.kube.merge(target, &patch).await {
        // It went in between.
        Err(error) if context.kube.get(target).await?.is_some() => Err(error),
        _ => Ok(()),
    }
}
