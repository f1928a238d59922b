//! Dispatches the verbs by kind of resource; watches and intervals for wait loops.

use std::time::Duration;

use super::{
    context::Context,
    observed::{Observed, Present},
    webhooks::{cert_manager, controller::Proof},
};
use crate::{
    clients::kube::{Selection, Target},
    desired::resource::{Id, Resource, WebhookProof},
    error::{Result, System},
};

impl Resource {
    /// Reads the current state and compares it with the wanted one. Changes nothing.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let readiness = match self {
            Self::Object(object) => return object.observe(context).await,
            Self::ControllerSecret(secret) => return secret.observe(context).await,
            Self::Secret(secret) => return secret.observe(context).await,
            Self::Crds(crds) => return crds.observe(context).await,
            Self::Release(release) => return release.observe(context).await,
            Self::Aws(aws) => return aws.observe(context).await,
            Self::Webhook(WebhookProof::CertManager) => cert_manager::readiness(context).await?,
            Self::Webhook(proof) => match controller(proof) {
                Some(proof) => proof.readiness(context).await?,
                None => cert_manager::readiness(context).await?,
            },
            Self::RunnerPods(registration) => {
                return Box::pin(registration.observe_pods(context)).await;
            }
            Self::Registration(registration) => return registration.observe(context).await,
            Self::ScaleSet(set) => return Box::pin(set.observe(context)).await,
            Self::ScaleSetMinimum(set) => return set.observe_minimum(context).await,
            Self::ScaleSetRunners(set) => Box::pin(set.runners_readiness(context)).await?,
            Self::ScaleSetOnline(set) => set.online_readiness(context).await?,
            Self::Probe(probe) => return probe.observe(context).await,
            Self::ImagePull(pull) => return pull.observe(context).await,
            Self::Restart(restart) => return restart.observe(context).await,
            // These are only ever deleted: the remaining part is the whole state.
            Self::Drain(_) | Self::ScaleSetDrain(_) | Self::Webhooks(_) | Self::Ghosts { .. } => {
                return Box::pin(self.remains(context)).await;
            }
        };
        Ok(Observed::Present(Present::same(readiness)))
    }

    /// Creates or updates it; idempotent. Proofs have nothing to apply, with three exceptions: a new registration proves a
    /// replaced credential, runners which never started are removed to make room for new ones, and the id of a scale set at
    /// GitHub is recorded.
    pub async fn apply(&self, context: &Context) -> Result<()> {
        match self {
            Self::Object(object) => object.apply(context).await,
            Self::ControllerSecret(secret) => secret.apply(context).await,
            Self::Secret(secret) => secret.apply(context).await,
            Self::Crds(crds) => crds.apply(context).await,
            Self::Release(release) => release.apply(context).await,
            Self::Aws(aws) => aws.apply(context).await,
            Self::Registration(registration) => registration.make_room(context).await,
            Self::Probe(probe) => probe.object().apply(context).await,
            Self::ImagePull(pull) => pull.apply(context).await,
            Self::Restart(restart) => restart.apply(context).await,
            Self::RunnerPods(registration) => {
                Box::pin(registration.make_room_for_pods(context)).await
            }
            Self::ScaleSet(set) => set.apply(context).await,
            Self::ScaleSetMinimum(set) => set.apply_minimum(context).await,
            Self::Webhook(_)
            | Self::ScaleSetRunners(_)
            | Self::ScaleSetOnline(_)
            | Self::ScaleSetDrain(_)
            | Self::Drain(_)
            | Self::Webhooks(_)
            | Self::Ghosts { .. } => Ok(()),
        }
    }

    /// Reads what remains of it, and who owns that by its labels. Ready means that it can be deleted now.
    pub async fn remains(&self, context: &Context) -> Result<Observed> {
        match self {
            Self::Object(object) => object.remains(context).await,
            Self::ControllerSecret(secret) => secret.remains(context).await,
            Self::Secret(secret) => secret.remains(context).await,
            Self::Crds(crds) => crds.remains(context).await,
            Self::Release(release) => release.remains(context).await,
            Self::Probe(probe) => probe.object().remains(context).await,
            Self::ImagePull(pull) => pull.remains(context).await,
            Self::Drain(drain) => drain.remains(context).await,
            Self::ScaleSetDrain(drain) => Box::pin(drain.remains(context)).await,
            Self::Webhooks(webhooks) => webhooks.remains(context).await,
            Self::Ghosts { only, .. } => {
                super::runners::offline::remains(context, only.as_ref()).await
            }
            Self::Aws(aws) => Box::pin(aws.remains(context)).await,
            // The release that has the scale set is what remains of it.
            Self::ScaleSet(_)
            | Self::ScaleSetMinimum(_)
            | Self::ScaleSetRunners(_)
            | Self::ScaleSetOnline(_)
            | Self::Webhook(_)
            | Self::RunnerPods(_)
            | Self::Registration(_)
            | Self::Restart(_) => Ok(Observed::Absent),
        }
    }

    /// Deletes what is this profile's at that moment; succeeds where it does not exist. [`Resource::remains`] shows whether
    /// it is gone.
    pub async fn delete(&self, context: &Context) -> Result<()> {
        match self {
            Self::Object(object) => object.delete(context).await,
            Self::ControllerSecret(secret) => secret.delete(context).await,
            Self::Secret(secret) => secret.delete(context).await,
            Self::Crds(crds) => crds.delete(context).await,
            Self::Release(release) => release.delete(context).await,
            Self::Probe(probe) => probe.object().delete(context).await,
            Self::ImagePull(pull) => pull.delete(context).await,
            Self::Drain(drain) => drain.delete(context).await,
            Self::ScaleSetDrain(drain) => Box::pin(drain.delete(context)).await,
            Self::Webhooks(webhooks) => webhooks.delete(context).await,
            Self::Ghosts { only, .. } => {
                super::runners::offline::delete(context, only.as_ref()).await
            }
            Self::Aws(aws) => aws.delete(context).await,
            Self::ScaleSet(_)
            | Self::ScaleSetMinimum(_)
            | Self::ScaleSetRunners(_)
            | Self::ScaleSetOnline(_)
            | Self::Webhook(_)
            | Self::RunnerPods(_)
            | Self::Registration(_)
            | Self::Restart(_) => Ok(()),
        }
    }

    /// Deletes a foreign object that blocks arcctl, as shown in the plan.
    pub async fn delete_foreign(&self, context: &Context) -> Result<()> {
        match self {
            Self::Object(object) if context.adopt => object.delete_foreign(context).await,
            other => other.delete(context).await,
        }
    }

    /// The system that reports its readiness.
    pub const fn system(&self) -> System {
        match self {
            Self::Release(_) => System::Helm,
            Self::Aws(_) => System::Aws,
            Self::Registration(_) | Self::ScaleSetOnline(_) | Self::Ghosts { .. } => System::GitHub,
            _ => System::Kubernetes,
        }
    }

    /// The kubectl arguments that show what remains of it.
    pub fn look(&self, id: &Id) -> String {
        let namespaced = |kinds: &str, what: &str| match id.namespace() {
            Some(namespace) => format!("-n {namespace} get {kinds} {what} -o yaml"),
            None => format!("get {kinds} {what} -o yaml"),
        };
        match self {
            Self::Crds(crds) => namespaced("crds", &crds.names.join(" ")),
            Self::Release(_) => {
                let label = format!("-l app.kubernetes.io/instance={}", id.name());
                namespaced("deployments,replicasets,pods", &label)
            }
            Self::Drain(drain) => {
                let label = format!("-l runner-deployment-name={}", drain.pool);
                namespaced("runners,pods", &label)
            }
            Self::ScaleSetDrain(drain) => {
                let kinds = "autoscalingrunnersets,ephemeralrunnersets,ephemeralrunners";
                format!("-n {} get {kinds} -o yaml", drain.namespace)
            }
            // The ids of these are not those of objects.
            Self::ScaleSet(set) | Self::ScaleSetMinimum(set) => {
                let (namespace, name) = (&set.namespace, &set.name);
                format!("-n {namespace} get autoscalingrunnersets {name} -o yaml")
            }
            Self::RunnerPods(pool) | Self::Registration(pool) => {
                let label = format!("runner-deployment-name={}", pool.pool);
                format!("-n {} get runners,pods -l {label} -o yaml", pool.namespace)
            }
            Self::Restart(restart) => {
                let (namespace, name) = (&restart.namespace, &restart.deployment);
                format!("-n {namespace} get deployments {name} -o yaml")
            }
            Self::Webhooks(_) => {
                "get mutatingwebhookconfigurations,validatingwebhookconfigurations -o yaml"
                    .to_owned()
            }
            Self::Object(object) => {
                let kind = object.manifest["kind"].as_str().unwrap_or_default();
                namespaced(&kind.to_lowercase(), id.name())
            }
            _ => namespaced(&id.kind().replace('-', ""), id.name()),
        }
    }

    /// The hint where another client `does` something to it.
    pub fn other_client(&self, id: &Id, does: &str) -> String {
        let place = match self.system() {
            System::Kubernetes | System::Helm => {
                format!("`kubectl {} --show-managed-fields`", self.look(id))
            }
            System::Aws => "CloudTrail in the AWS console".to_owned(),
            System::GitHub | System::Local | System::Profile | System::Registry => {
                "`arcctl doctor`".to_owned()
            }
        };
        format!("another client {does}: find it with {place}")
    }

    /// Whether it is a proof: only observed, and written only where it reports a difference.
    pub const fn is_proof(&self) -> bool {
        matches!(
            self,
            Self::Webhook(_)
                | Self::RunnerPods(_)
                | Self::Registration(_)
                | Self::ScaleSet(_)
                | Self::ScaleSetRunners(_)
                | Self::ScaleSetOnline(_)
        )
    }

    /// The watches for a wait loop.
    pub fn selections(&self) -> Vec<Selection> {
        match self {
            Self::Object(object) => Target::of(&object.manifest)
                .map(|target| Selection {
                    kind: target.kind,
                    namespace: target.namespace,
                    labels: None,
                    fields: Some(format!("metadata.name={}", target.name)),
                })
                .into_iter()
                .collect(),
            Self::ControllerSecret(_)
            | Self::Secret(_)
            | Self::Aws(_)
            | Self::Webhooks(_)
            | Self::Ghosts { .. } => Vec::new(),
            Self::Crds(crds) => crds.selections(),
            Self::Release(release) => release.selections(),
            Self::Webhook(proof) => {
                controller(proof).map_or_else(cert_manager::selections, |it| it.selections())
            }
            Self::RunnerPods(registration) | Self::Registration(registration) => {
                registration.selections()
            }
            Self::Probe(probe) => probe.selections(),
            Self::ImagePull(pull) => pull.selections(),
            Self::Restart(restart) => restart.selections(),
            Self::Drain(drain) => drain.selections(),
            Self::ScaleSet(set)
            | Self::ScaleSetMinimum(set)
            | Self::ScaleSetRunners(set)
            | Self::ScaleSetOnline(set) => set.selections(),
            Self::ScaleSetDrain(drain) => drain.selections(),
        }
    }

    /// The poll interval without changes: GitHub and webhooks cannot be watched.
    pub const fn interval(&self) -> Duration {
        match self {
            Self::Webhook(_) => Duration::from_millis(400),
            Self::Registration(_)
            | Self::ScaleSetOnline(_)
            | Self::Aws(_)
            | Self::Ghosts { .. } => Duration::from_millis(600),
            Self::Release(_) | Self::Drain(_) | Self::ScaleSet(_) | Self::ScaleSetDrain(_) => {
                Duration::from_secs(1)
            }
            _ => Duration::from_secs(3),
        }
    }

    /// The longest pause between two polls, if nothing changes.
    pub const fn longest_interval(&self) -> Duration {
        match self {
            // S3 is assumed to show writes after two seconds at most: the gap between reads must be shorter. IAM shows most after some
            // seconds, and a run waits for one after the other.
            Self::Webhook(_) | Self::Aws(_) => Duration::from_secs(1),
            _ => Duration::from_secs(5),
        }
    }
}

fn controller(proof: &WebhookProof) -> Option<Proof<'_>> {
    match proof {
        WebhookProof::CertManager => None,
        WebhookProof::Controller {
            namespace,
            release,
            runner_namespace,
        } => Some(Proof {
            namespace,
            release,
            runner_namespace,
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::desired::resource::{KubeObject, Restart};

    #[test]
    fn who_else_writes_a_resource_is_found_with_a_command_that_runs() {
        let manifest = json!({
            "apiVersion": "actions.summerwind.dev/v1alpha1",
            "kind": "RunnerDeployment",
            "metadata": {"name": "a", "namespace": "n"},
        });
        let id = Id::new("runner-deployment", Some("n"), "a");
        let hint = Resource::Object(KubeObject::new(manifest)).other_client(&id, "changes it");
        assert_eq!(
            hint,
            "another client changes it: find it with `kubectl -n n get runnerdeployment a -o yaml --show-managed-fields`"
        );
        let restart = Resource::Restart(Restart {
            namespace: "n".into(),
            deployment: "a".into(),
            since: jiff::Timestamp::UNIX_EPOCH,
        });
        let id = Id::new("restart", Some("n"), "a");
        assert_eq!(restart.look(&id), "-n n get deployments a -o yaml");
    }
}
