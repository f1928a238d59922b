//! Checks the server that receives webhook events from GitHub, where a pool has triggers: without it such a pool never gets
//! a runner, and no error shows.

use crate::{
    clients::kube::{Selection, Target},
    error::Result,
    profile::Profile,
    resource::{context::Context, kubernetes::rollout, observed::Readiness},
};

/// Whether a pool of the profile scales by webhook events of GitHub.
fn is_needed(profile: &Profile) -> bool {
    let scaling = profile.pools.iter().filter_map(|it| it.scaling.as_ref());
    scaling.flat_map(|it| &it.triggers).next().is_some()
}

/// Whether its Deployment is rolled out.
pub(super) async fn readiness(context: &Context) -> Result<Readiness> {
    let controller = &context.profile.controller;
    if !is_needed(&context.profile) {
        return Ok(Readiness::Ready);
    }
    let name = controller.webhook_server();
    let namespace = &controller.namespace;
    let target = Target::namespaced("apps/v1", "Deployment", namespace, &name);
    let Some(deployment) = context.kube.get(&target).await? else {
        return Ok(Readiness::progressing(format!(
            "Deployment `{namespace}/{name}` does not exist yet"
        )));
    };
    if rollout::is_rolled_out(&deployment) && !rollout::is_scaled_to_nothing(&deployment) {
        return Ok(Readiness::Ready);
    }
    let labels = deployment["spec"]["selector"]["matchLabels"].as_object();
    let labels: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let pods = Selection::namespaced("v1", "Pod", namespace).labelled(labels.join(","));
    let (pods, events) = tokio::try_join!(context.kube.list(&pods), context.events(namespace))?;
    Ok(rollout::readiness(&deployment, &pods, &events))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_pool_with_triggers_needs_it() {
        let with = |scaling| {
            is_needed(&crate::desired::tests::profile(&json!({
                "pools": [
                    {"name": "a", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 1},
                    {"name": "b", "image": "r:v1-ubuntu-22.04", "min": 0, "max": 4, "scaling": scaling},
                ],
            })))
        };
        assert!(!with(
            json!({"metrics": [{"type": "PercentageRunnersBusy"}]})
        ));
        assert!(with(json!({"triggers": [{"workflowJob": {}}]})));
    }
}
