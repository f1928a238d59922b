//! Proves in the cluster that images can be pulled: makes the Job, looks at its pod, and removes it.

use std::{pin::pin, time::Duration};

use futures::{StreamExt, future::join_all};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::image_pull::{State, state, unscheduled};
use crate::{
    clients::kube::{Kube, Mode, Selection, Target},
    desired::pool::pull_proof::{DEADLINE, ToPull},
    error::{Error, ErrorKind, Result, System},
    resource::{
        context::Context,
        kubernetes::{ownership, rollout::newest_failed_create},
        observed::Ownership,
    },
};

/// For how long a pull may fail: the kubelet tries it again after 10 s and after 20 s.
const FAILING: Duration = Duration::from_secs(40);

/// How often the pod is looked at where no change is told.
const LOOK: Duration = Duration::from_secs(5);

/// Where there is no namespace of the profile yet.
const NAMESPACE: &str = "default";

impl ToPull {
    /// Proves that each image can be pulled: in each namespace of the pools that is there, with its pull secrets, or in
    /// `default` where there is none yet. One node is enough: what is proven is the way to the registry.
    pub(crate) async fn prove(&self, context: &Context) -> Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let mut namespaces = Vec::new();
        for name in context.profile.runner_namespaces() {
            let target = Target::cluster("v1", "Namespace", name);
            if context.kube.get(&target).await?.is_some() {
                namespaces.push(name);
            }
        }
        if namespaces.is_empty() {
            namespaces.push(NAMESPACE);
        }
        let proofs = namespaces.into_iter().map(|it| self.prove_in(context, it));
        // Joined, not raced: each removes its Job, and the same fault gives the same error.
        join_all(proofs).await.into_iter().collect()
    }

    /// Removes what a proof has left that was interrupted, if the API server answers soon; else it goes by itself.
    pub(crate) async fn withdraw(&self, context: &Context) {
        if self.images.is_empty() {
            return;
        }
        let name = Self::name(&context.profile);
        let namespaces = context.profile.runner_namespaces();
        let removals = namespaces.into_iter().chain([NAMESPACE]).map(|namespace| {
            let target = Target::namespaced("batch/v1", "Job", namespace, &name);
            async move { remove(&context.kube, &target, &context.profile.name).await }
        });
        let _removed = timeout(LOOK, join_all(removals)).await;
    }

    async fn prove_in(&self, context: &Context, namespace: &str) -> Result<()> {
        let kube = &context.kube;
        let name = Self::name(&context.profile);
        let target = Target::namespaced("batch/v1", "Job", namespace, &name);
        // What a run that was killed has left may be for other images.
        remove(kube, &target, &context.profile.name).await?;
        let job = self.job(&context.profile, namespace);
        let made = kube.create(&job, Mode::Commit).await;
        let made = made.map_err(|failure| failure.about(&target))?;
        let proven = self.pulled(context, namespace, &made).await;
        let removed = remove(kube, &target, &context.profile.name).await;
        proven.and(removed)
    }

    /// Waits until the pod of the Job has all images.
    async fn pulled(&self, context: &Context, namespace: &str, job: &Value) -> Result<()> {
        let kube = &context.kube;
        let uid = job["metadata"]["uid"].as_str().unwrap_or_default();
        let pods = Selection::namespaced("v1", "Pod", namespace)
            .labelled(format!("batch.kubernetes.io/controller-uid={uid}"));
        let mut changes = pin!(kube.changes(std::slice::from_ref(&pods)));
        // Before the pod ends, and takes its reason with it.
        let end = Instant::now() + Duration::from_secs(DEADLINE.into()).saturating_sub(LOOK * 3);
        let mut failing: Option<Instant> = None;
        loop {
            let found = kube.list(&pods).await?;
            let said = match found.first().map(seen) {
                Some((State::Pulled, _)) => return Ok(()),
                Some((State::Failed(said), _)) => {
                    failing.get_or_insert_with(Instant::now);
                    said
                }
                Some((State::Pending, said)) => {
                    failing = None;
                    said
                }
                None => no_pod(context, namespace, job).await?,
            };
            let is_final = failing.is_some_and(|it| it.elapsed() >= FAILING);
            if is_final || Instant::now() >= end {
                return Err(unproven(namespace, &said));
            }
            // Also without a change: a failure that lasts is none.
            let _changed = timeout(LOOK, changes.next()).await;
        }
    }
}

/// How far the images of the Job's pod are, and what a wait is for. One without a node waits: an autoscaler may add one, and
/// other pods end.
fn seen(pod: &Value) -> (State, String) {
    match (unscheduled(pod), state(pod)) {
        (Some(why), _) => (
            State::Pending,
            format!("its pod is not scheduled yet: {why}"),
        ),
        (None, state) => (state, "the images are being pulled".to_owned()),
    }
}

/// Why the Job has no pod.
async fn no_pod(context: &Context, namespace: &str, job: &Value) -> Result<String> {
    let events = context.events(namespace).await?;
    let own = events
        .iter()
        .filter(|it| it["involvedObject"]["uid"] == job["metadata"]["uid"]);
    Ok(newest_failed_create(own).map_or_else(
        || "its Job has no pod yet".to_owned(),
        |said| format!("its pod is refused: {said}"),
    ))
}

fn unproven(namespace: &str, said: &str) -> Error {
    Error::failed(
        System::Kubernetes,
        "the images of the bundle cannot be pulled in the cluster; nothing was changed",
    )
    .object(format!("namespace/-/{namespace}"))
    .cause(said)
    .hint(format!("push the bundle with `arcctl bundle push`; the nodes must reach the registry and trust its certificate, and a registry with a login needs `images.pullSecrets`, with the Secret in namespace `{namespace}`"))
}

/// Removes the Job of an earlier proof, if there is one.
async fn remove(kube: &Kube, target: &Target, profile: &str) -> Result<()> {
    let Some(live) = kube.get(target).await? else {
        return Ok(());
    };
    if ownership::of_object(&live, profile) != Ownership::Ours {
        return Err(Error::new(
            ErrorKind::Refused,
            System::Kubernetes,
            format!("{target} is not arcctl's"),
        )
        .object(target)
        .hint("remove or rename it: arcctl needs the name for a short time, to check that images can be pulled"));
    }
    kube.delete_same(target, &live).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_without_a_node_waits_with_its_reason() {
        let mut pod = json!({
            "spec": {"containers": [{"image": "a"}]},
            "status": {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]},
        });
        let (state, said) = seen(&pod);
        assert_eq!(state, State::Pending);
        assert!(said.contains("0/3 nodes are available"), "{said}");
        pod["status"] = json!({"phase": "Pending", "containerStatuses": [
            {"image": "a", "state": {"waiting": {"reason": "ErrImagePull", "message": "said"}}}]});
        assert!(matches!(seen(&pod).0, State::Failed(_)));
    }
}
