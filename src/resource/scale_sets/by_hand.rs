//! Removes the objects of a scale set without its controller: the annotation with its id, so that a controller that comes
//! back skips GitHub; then the finalizers, from the runners to the set and the roles (reference: scale-sets.md 10).
//!
//! Only objects of the set are touched, and only finalizers of its controller are removed. Of a set that stays, what its chart does
//! not have any more is let go.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{
    API_VERSION,
    going::Going,
    objects::{ID, name, set},
};
use crate::{
    clients::{
        github::Removed,
        kube::{Selection, Target},
    },
    desired::resource::scale_set::ScaleSetDrain,
    error::Result,
    resource::context::Context,
};

/// The domain of the controller's finalizers.
const DOMAIN: &str = "actions.github.com";

/// The finalizer of what the chart makes beside the set: the controller removes it last.
const PROTECTION: &str = "actions.github.com/cleanup-protection";

/// The annotations by which the chart names to the controller what it makes beside the set.
const CLEANUP: &str = "actions.github.com/cleanup-";

/// How many runners are removed at a time, as of other pools.
const CONCURRENT: usize = 4;

/// The kinds that the chart makes beside the set. Its Secret is only made of a token in its values, where arcctl puts none.
pub(super) const PROTECTED: [(&str, &str); 3] = [
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("v1", "ServiceAccount"),
];

/// The kinds that the controller makes for a listener in the namespace of the runners.
pub(super) const RIGHTS: [(&str, &str); 2] = [
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
];

impl ScaleSetDrain {
    /// Removes everything; what GitHub refuses, because it has a job by now, is left for the next time.
    pub(super) async fn free(&self, context: &Context, going: &Going) -> Result<()> {
        let objects = &going.objects;
        if let Some(live) = &objects.set {
            self.remember(context, going, live).await?;
            self.forget_id(context, live).await?;
        }
        let removed: Vec<bool> = stream::iter(&objects.runners)
            .map(|runner| self.remove_runner(context, going, runner))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await?;
        if !removed.is_empty() {
            context.forget_runners().await;
        }
        if removed.contains(&false) {
            return Ok(());
        }
        for live in &objects.runner_sets {
            let target = self.named("EphemeralRunnerSet", live);
            remove(context, &target, live).await?;
        }
        for live in &objects.listeners {
            let (kind, namespace) = ("AutoscalingListener", &self.controller_namespace);
            let target = Target::namespaced(API_VERSION, kind, namespace, name(live));
            remove(context, &target, live).await?;
        }
        for (target, live) in self.rights_of_listeners(context).await? {
            remove(context, &target, &live).await?;
        }
        if let Some(live) = &objects.set {
            remove(context, &set(&self.namespace, &self.name), live).await?;
        }
        for (target, live) in self.protected(context).await? {
            let_go(context, &target, &live).await?;
        }
        Ok(())
    }

    /// Whether roles or service accounts are left, once the set is gone, that its controller would have let go or removed.
    pub(super) async fn holds_roles(&self, context: &Context) -> Result<bool> {
        let held = self.protected(context).await?;
        let is_held = |it: &(Target, Value)| it.1["metadata"]["deletionTimestamp"].is_string();
        Ok(held.iter().any(is_held) || !self.rights_of_listeners(context).await?.is_empty())
    }

    /// What lets a listener write to the runners. It is in another namespace than the listener, so no garbage collector
    /// removes it with the listener: its controller does, with the listener's finalizer.
    async fn rights_of_listeners(&self, context: &Context) -> Result<Vec<(Target, Value)>> {
        let mut found = Vec::new();
        for (version, kind) in RIGHTS {
            let labels = self.place().labels();
            let all = Selection::namespaced(version, kind, &self.namespace).labelled(labels);
            for live in context.kube.list(&all).await? {
                if self.place().is_of_a_listener(&live) {
                    let target = Target::namespaced(version, kind, &self.namespace, name(&live));
                    found.push((target, live));
                }
            }
        }
        Ok(found)
    }

    fn named(&self, kind: &str, live: &Value) -> Target {
        Target::namespaced(API_VERSION, kind, &self.namespace, name(live))
    }

    /// Removes the annotation with its id: a controller then leaves the scale set at GitHub.
    pub(super) async fn forget_id(&self, context: &Context, live: &Value) -> Result<()> {
        if live["metadata"]["annotations"][ID].is_null() {
            return Ok(());
        }
        let patch =
            json!({"metadata": {"uid": live["metadata"]["uid"], "annotations": {ID: null}}});
        let target = set(&self.namespace, &self.name);
        context.kube.merge(&target, &patch).await.map(|_| ())
    }

    /// Removes a runner at GitHub and in the cluster; `false` if GitHub refuses, since it has a job.
    async fn remove_runner(
        &self,
        context: &Context,
        going: &Going,
        runner: &Value,
    ) -> Result<bool> {
        if context.removal.without_github.is_none() {
            match self.has_left_github(context, going, runner).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                // What is left in that scope is said once, of the set.
                Err(_) if context.removal.force && self.is_elsewhere(context, going) => {}
                Err(error) => return Err(self.unreached(context, going, error)),
            }
        }
        let target = self.named("EphemeralRunner", runner);
        remove(context, &target, runner).await?;
        // Its owner reference deletes it too, once the garbage collector knows the kind.
        let pod = Target::namespaced("v1", "Pod", &self.namespace, name(runner));
        if let Some(live) = context.kube.get(&pod).await? {
            context.kube.delete_pod(&pod, &live).await?;
        }
        Ok(true)
    }

    /// Removes a runner at GitHub; `false` if it has a job there, which is not ended without `--force`.
    async fn has_left_github(
        &self,
        context: &Context,
        going: &Going,
        runner: &Value,
    ) -> Result<bool> {
        let (github, scope) = self.registered_in(context, going)?;
        let Some(found) = github.runner_named(scope, name(runner)).await? else {
            return Ok(true);
        };
        let left = github.remove_runner(scope, found.id).await?;
        Ok(left != Removed::Busy || context.removal.force)
    }

    /// What its chart made beside it, while the controller's finalizer holds it.
    async fn protected(&self, context: &Context) -> Result<Vec<(Target, Value)>> {
        protected(context, (&self.namespace, &self.name), &PROTECTED).await
    }
}

/// What the chart made of these kinds beside a set, by its namespace and name, while the controller's finalizer holds it.
async fn protected(
    context: &Context,
    (namespace, set_name): (&str, &str),
    kinds: &[(&str, &str)],
) -> Result<Vec<(Target, Value)>> {
    let mut found = Vec::new();
    for (version, kind) in kinds {
        let of_the_set = format!("app.kubernetes.io/instance={set_name}");
        let all = Selection::namespaced(version, kind, namespace).labelled(of_the_set);
        for live in context.kube.list(&all).await? {
            if finalizers(&live).any(|it| it == PROTECTION) {
                let target = Target::namespaced(version, kind, namespace, name(&live));
                found.push((target, live));
            }
        }
    }
    Ok(found)
}

/// Lets go what an upgrade of the chart of the set `set_name` left out: the account and the rights of another mode, or of a pool
/// that had no account of its own, and the Secret with a credential that was in the values of others. The controller lets go
/// only what the set names, and only with the set (`controllers/actions.github.com/autoscalingrunnerset_controller.go` of Actions
/// Runner Controller at 0.14, `removeFinalizersFromDependentResources`). Until then the account stays, deleted: the API server
/// refuses its tokens (kubernetes, `pkg/serviceaccount/claims.go`), also when the chart has it again.
pub(crate) async fn let_go_what_is_left_out(
    context: &Context,
    namespace: &str,
    set_name: &str,
) -> Result<()> {
    let Some(live) = context.kube.get(&set(namespace, set_name)).await? else {
        return Ok(());
    };
    let kinds = [&PROTECTED[..], &[("v1", "Secret")]].concat();
    for (target, object) in protected(context, (namespace, set_name), &kinds).await? {
        if is_left_out(&live, &object) {
            let_go(context, &target, &object).await?;
        }
    }
    Ok(())
}

/// Whether an object of the chart is being deleted, and the set does not name it.
fn is_left_out(set: &Value, object: &Value) -> bool {
    let annotations = set["metadata"]["annotations"].as_object();
    let mut named = annotations
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(CLEANUP));
    object["metadata"]["deletionTimestamp"].is_string()
        && !named.any(|(_, value)| *value == name(object))
}

/// Deletes the object that was read as `live`, and removes the finalizers of a controller that is not there.
async fn remove(context: &Context, target: &Target, live: &Value) -> Result<()> {
    if live["metadata"]["deletionTimestamp"].is_null() {
        context.kube.delete_same(target, live).await?;
    }
    let_go(context, target, live).await
}

fn finalizers(live: &Value) -> impl Iterator<Item = &str> {
    let all = live["metadata"]["finalizers"].as_array();
    all.into_iter().flatten().filter_map(Value::as_str)
}

/// The finalizers of others: those of the controller may have the domain as such, or as the end of theirs.
fn of_others(live: &Value) -> Vec<&str> {
    let its_own = |it: &&str| {
        let domain = it.split('/').next().unwrap_or_default();
        domain == DOMAIN || domain.ends_with(&format!(".{DOMAIN}"))
    };
    finalizers(live).filter(|it| !its_own(it)).collect()
}

/// Removes the finalizers of the controller.
async fn let_go(context: &Context, target: &Target, live: &Value) -> Result<()> {
    let left = of_others(live);
    if left.len() == finalizers(live).count() {
        return Ok(());
    }
    let patch = json!({"metadata": {"finalizers": left, "uid": live["metadata"]["uid"]}});
    match context.kube.merge(target, &patch).await {
        // It was deleted in between.
        Err(error) if context.kube.get(target).await?.is_some() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_set_does_not_name_is_left_out() {
        let set = json!({"metadata": {"annotations": {
            "actions.github.com/cleanup-manager-role-name": "fast-gha-rs-manager", "note": "fast-gha-rs-kube-mode",
        }}});
        let object = |name: &str, deleted: Value| json!({"metadata": {"name": name, "deletionTimestamp": deleted}});
        let time = json!("2026-01-01T00:00:00Z");
        assert!(is_left_out(
            &set,
            &object("fast-gha-rs-kube-mode", time.clone())
        ));
        assert!(!is_left_out(&set, &object("fast-gha-rs-manager", time)));
        assert!(!is_left_out(
            &set,
            &object("fast-gha-rs-kube-mode", Value::Null)
        ));
    }

    #[test]
    fn only_the_controllers_finalizers_are_removed() {
        let live = json!({"metadata": {"finalizers": [
            "ephemeralrunner.actions.github.com/finalizer", "actions.github.com/cleanup-protection",
            "foregroundDeletion", "example.com/backup", "evilactions.github.com/x",
        ]}});
        assert_eq!(
            of_others(&live),
            [
                "foregroundDeletion",
                "example.com/backup",
                "evilactions.github.com/x"
            ]
        );
    }
}
