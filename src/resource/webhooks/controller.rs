//! Checks that the controller's webhooks respond, in the order of DESIGN 5: certificate, pods, CA bundles, endpoints, and
//! dry runs of a `RunnerDeployment` that must be accepted and of one that must be denied.
//!
//! The last release has no readiness probe, so a Ready pod proves nothing (reference: arc.md 0.2).

use serde_json::{Value, json};

use super::{
    cert_manager,
    error::{KUBELET_PORT, answered_by_the_kubelet, not_answered, of_certificate},
    github_events,
    leader::{election, leader, led_by_another},
    readiness::{self, without_authority},
};
use crate::{
    clients::kube::{Mode, Selection, Target},
    desired::{names, resource::Id},
    error::Result,
    profile::{full_name, webhook_service},
    resource::{context::Context, kubernetes::rollout, observed::Readiness, pods::status},
};

const CERTIFICATES: &str = "cert-manager.io/v1";
const REGISTRATION: &str = "admissionregistration.k8s.io/v1";
const RUNNERS: &str = "actions.summerwind.dev/v1alpha1";

/// The controller's release, and the namespace for dry runs.
pub(crate) struct Proof<'a> {
    /// The release's namespace.
    pub namespace: &'a str,
    /// The release's name.
    pub release: &'a str,
    /// The namespace for dry runs of a `RunnerDeployment`.
    pub runner_namespace: &'a str,
}

impl Proof<'_> {
    /// The watches for the webhooks.
    pub(crate) fn selections(&self) -> Vec<Selection> {
        vec![
            Selection::namespaced("v1", "Pod", self.namespace).labelled(self.labels()),
            Selection::namespaced(CERTIFICATES, "Certificate", self.namespace),
            Selection::all(REGISTRATION, "ValidatingWebhookConfiguration").with_fields(format!(
                "metadata.name={}",
                self.configuration("validating")
            )),
        ]
    }

    fn labels(&self) -> String {
        format!(
            "app.kubernetes.io/name=actions-runner-controller,app.kubernetes.io/instance={}",
            self.release
        )
    }

    /// The chart's full name (reference: arc.md 1.4).
    fn full_name(&self) -> String {
        full_name(self.release)
    }

    /// The Service that the API server calls; the step of this proof has its name.
    fn service(&self) -> String {
        webhook_service(&self.full_name())
    }

    fn configuration(&self, kind: &str) -> String {
        format!("{}-{kind}-webhook-configuration", self.full_name())
    }

    /// The first failed check.
    pub(crate) async fn readiness(&self, context: &Context) -> Result<Readiness> {
        let certificate = self.certificate(context).await?;
        let selection = Selection::namespaced("v1", "Pod", self.namespace).labelled(self.labels());
        let name = self.full_name();
        let deployment = Target::namespaced("apps/v1", "Deployment", self.namespace, &name);
        let (pods, deployment) =
            tokio::try_join!(context.kube.list(&selection), context.kube.get(&deployment))?;
        let Some(deployment) = deployment else {
            return Ok(Readiness::progressing(format!(
                "Deployment `{name}` does not exist yet"
            )));
        };
        // The release is already compared with the profile; an adopted one is as another tool created it.
        let replicas = deployment["spec"]["replicas"].as_u64().unwrap_or(1).max(1);
        let running = self.pods(context, &pods, &deployment, replicas).await?;
        // A pod that waits for the certificate's Secret is stuck too, but only as a consequence.
        let waits_for_certificate = running
            .reason()
            .is_some_and(|it| it.contains("-serving-cert"));
        if matches!(running, Readiness::Stuck { .. }) && !waits_for_certificate {
            return Ok(running);
        }
        for step in [certificate, running, self.bundles(context).await?] {
            if step != Readiness::Ready {
                return Ok(step);
            }
        }
        let endpoints = self.endpoints(context).await?;
        if endpoints != Readiness::Ready {
            return Ok(endpoints);
        }
        // The API server distributes its calls over the pods: each must respond.
        let calls = (0..replicas.saturating_mul(2).min(8)).map(|_| self.admission(context));
        let steps = futures::future::try_join_all(calls).await?;
        if let Some(step) = steps.into_iter().find(|it| *it != Readiness::Ready) {
            return Ok(step);
        }
        let server = github_events::readiness(context).await?;
        if server != Readiness::Ready {
            return Ok(server);
        }
        self.leader(context, &pods, &deployment).await
    }

    /// Every pod serves webhooks; only the leader creates runners.
    async fn leader(
        &self,
        context: &Context,
        pods: &[Value],
        deployment: &Value,
    ) -> Result<Readiness> {
        let Some(name) = election(deployment) else {
            return Ok(Readiness::Ready);
        };
        let target = Target::namespaced("coordination.k8s.io/v1", "Lease", self.namespace, &name);
        let lease = context.kube.get(&target).await?;
        let name = format!("{}/{name}", self.namespace);
        let readiness = leader(&name, lease.as_ref(), pods);
        if readiness == Readiness::Ready {
            return Ok(readiness);
        }
        let all = Selection::namespaced("v1", "Pod", self.namespace)
            .labelled("app.kubernetes.io/name=actions-runner-controller");
        let all = context.kube.list(&all).await?;
        let another = led_by_another(&name, lease.as_ref(), &all, self.release);
        Ok(another.unwrap_or(readiness))
    }

    async fn certificate(&self, context: &Context) -> Result<Readiness> {
        let name = format!("{}-serving-cert", self.full_name());
        let target = Target::namespaced(CERTIFICATES, "Certificate", self.namespace, &name);
        let Some(certificate) = context.kube.get(&target).await? else {
            return Ok(Readiness::progressing(format!(
                "{target} does not exist yet"
            )));
        };
        Ok(match readiness::issued(&certificate) {
            Ok(()) => Readiness::Ready,
            Err(Some(said)) => Readiness::stuck(
                format!("{target} is not issued: {said}"),
                format!(
                    "see why with `kubectl -n {} describe certificaterequest` and cert-manager's log",
                    self.namespace
                ),
            ),
            Err(None) => Readiness::stuck(
                format!("cert-manager has not processed {target} yet"),
                format!("check that {}", cert_manager_runs(context).await),
            ),
        })
    }

    async fn pods(
        &self,
        context: &Context,
        pods: &[Value],
        deployment: &Value,
        replicas: u64,
    ) -> Result<Readiness> {
        // An evicted pod remains as Failed, and does not serve.
        let ended = |pod: &Value| {
            matches!(
                pod["status"]["phase"].as_str(),
                Some("Failed" | "Succeeded")
            )
        };
        let pods = pods.iter().filter(|it| !ended(it));
        let ready = pods.clone().filter(|it| status::is_ready(it)).count();
        let live: Vec<&Value> = pods
            .filter(|it| it["metadata"]["deletionTimestamp"].is_null())
            .collect();
        let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
        let rolled_out = is_rolled_out(deployment, replicas);
        if ready >= wanted && live.len() == ready && rolled_out {
            return Ok(Readiness::Ready);
        }
        if live.is_empty() {
            let events = context.events(self.namespace).await?;
            return Ok(match rollout::readiness(deployment, &[], &events) {
                // Its conditions and its ReplicaSets' events show pods that cannot be created.
                refused @ Readiness::Stuck { .. } => refused,
                _ => Readiness::progressing("the controller has no pod yet"),
            });
        }
        let events = context.events(self.namespace).await?;
        let worst = status::worst(live.iter().map(|it| status::readiness(it, &events)));
        Ok(match worst {
            Readiness::Ready => {
                Readiness::progressing(format!("{ready} of {wanted} controller pods are ready"))
            }
            other => other,
        })
    }

    /// Every webhook must trust the CA that is in the certificate's Secret.
    async fn bundles(&self, context: &Context) -> Result<Readiness> {
        let name = format!("{}-serving-cert", self.full_name());
        let target = Target::namespaced("v1", "Secret", self.namespace, &name);
        let Some(secret) = context.kube.get(&target).await? else {
            return Ok(Readiness::progressing(format!(
                "{target} does not exist yet"
            )));
        };
        let wanted = &secret["data"]["ca.crt"];
        for (kind, prefix) in [
            ("MutatingWebhookConfiguration", "mutating"),
            ("ValidatingWebhookConfiguration", "validating"),
        ] {
            let target = Target::cluster(REGISTRATION, kind, &self.configuration(prefix));
            let Some(live) = context.kube.get(&target).await? else {
                return Ok(Readiness::progressing(format!(
                    "{target} does not exist yet"
                )));
            };
            if let Some(webhook) = without_authority(&live, wanted.as_str()).next() {
                return Ok(Readiness::progressing(format!(
                    "cert-manager's cainjector has not yet written the CA of {name} into webhook `{webhook}` of {target}",
                )));
            }
        }
        Ok(Readiness::Ready)
    }

    async fn endpoints(&self, context: &Context) -> Result<Readiness> {
        let service = self.service();
        let selection =
            Selection::namespaced("discovery.k8s.io/v1", "EndpointSlice", self.namespace)
                .labelled(format!("kubernetes.io/service-name={service}"));
        let slices = context.kube.list(&selection).await?;
        let ready = readiness::has_endpoint(&slices, &service);
        Ok(if ready {
            Readiness::Ready
        } else {
            Readiness::progressing(format!("Service `{service}` has no ready endpoint yet"))
        })
    }

    /// One `RunnerDeployment` that must be accepted, and one that the validator must deny.
    async fn admission(&self, context: &Context) -> Result<Readiness> {
        if let Err(failure) = context.kube.create(&self.probe(true), Mode::DryRun).await {
            return Ok(if failure.is_unauthorized() {
                Readiness::unauthorized(&failure.about(&self.target()))
            } else if failure.is_by_policy() {
                self.answered_before(context, &failure.said())
            } else {
                self.refused(context, &failure.said()).await
            });
        }
        match context.kube.create(&self.probe(false), Mode::DryRun).await {
            Ok(_) => self.admitted(context).await,
            Err(failure) => Ok(match failure.status() {
                Some(status) if status.reason == "Invalid" && names_the_scope(status) => {
                    Readiness::Ready
                }
                _ => self.refused(context, &failure.said()).await,
            }),
        }
    }

    /// Why a `RunnerDeployment` without a scope is admitted: a webhook that is not called for its namespace denies nothing.
    async fn admitted(&self, context: &Context) -> Result<Readiness> {
        let (kind, namespace) = ("ValidatingWebhookConfiguration", self.runner_namespace);
        let configuration = Target::cluster(REGISTRATION, kind, &self.configuration("validating"));
        let target = Target::cluster("v1", "Namespace", namespace);
        let (live, home) =
            tokio::try_join!(context.kube.get(&configuration), context.kube.get(&target))?;
        let lacking = live
            .zip(home)
            .and_then(|(live, home)| readiness::lacking_label(&live, &home));
        Ok(match lacking {
            Some(label) => label.readiness(namespace),
            None => Readiness::progressing(
                "the controller's validating webhook admitted a RunnerDeployment without scope",
            ),
        })
    }

    /// A policy of the cluster refuses the dry run, so the validating webhook's own denial cannot be seen. The mutating one was
    /// called before (its `failurePolicy` is `Fail`), and both are of one server: it answers.
    ///
    /// Source: Kubernetes documentation, "Admission Control in Kubernetes", phases.
    fn answered_before(&self, context: &Context, said: &str) -> Readiness {
        let id = Id::new("webhook", Some(self.namespace), &self.service());
        let remark = format!(
            "a policy of the cluster refuses arcctl's dry run of a RunnerDeployment in namespace `{}`, so only the controller's mutating webhook was verified: {said}",
            self.runner_namespace
        );
        context.remarks.say(id.as_str(), Some(remark));
        Readiness::Ready
    }

    async fn refused(&self, context: &Context, said: &str) -> Readiness {
        let mend = "set `controller.webhookPort: 9443` in the profile";
        let is_the_kubelets = context.profile.controller.webhook_port == KUBELET_PORT;
        let kubelet = || {
            answered_by_the_kubelet(said, "the controller's webhook", mend)
                .filter(|_| is_the_kubelets)
        };
        if let Some(known) = not_answered(said).or_else(kubelet) {
            return known;
        }
        let (namespace, name) = (self.namespace, self.full_name());
        Readiness::stuck(
            format!(
                "the API server rejects the certificate of the controller's webhook: {}",
                of_certificate(said)
            ),
            format!(
                "see its events with `kubectl -n {namespace} describe certificate {name}-serving-cert`, and check that {}",
                cert_manager_runs(context).await
            ),
        )
    }

    fn target(&self) -> Target {
        Target::namespaced(
            RUNNERS,
            "RunnerDeployment",
            self.runner_namespace,
            "arcctl-probe",
        )
    }

    fn probe(&self, valid: bool) -> Value {
        let spec = if valid {
            json!({"organization": "arcctl-probe"})
        } else {
            json!({})
        };
        json!({
            "apiVersion": RUNNERS,
            "kind": "RunnerDeployment",
            "metadata": {"generateName": "arcctl-probe-", "namespace": self.runner_namespace},
            "spec": {"template": {"spec": spec}},
        })
    }
}

/// Whether all pods of a Deployment have its newest template. Until the Deployment controller has seen a change, the old
/// pods are all Ready, with the old token.
fn is_rolled_out(deployment: &Value, replicas: u64) -> bool {
    let status = &deployment["status"];
    let count = |key: &str| status[key].as_u64().unwrap_or(0);
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && count("updatedReplicas") >= replicas
        && count("replicas") == count("updatedReplicas")
}

/// Whether the validator reports a `RunnerDeployment` without scope (reference: recordings/refusals.txt).
fn names_the_scope(status: &kube::core::Status) -> bool {
    let field = "spec.template.spec.repository";
    status
        .details
        .as_ref()
        .is_some_and(|details| details.causes.iter().any(|cause| cause.field == field))
}

/// The command that shows whether cert-manager's controller runs, in any namespace.
async fn cert_manager_runs(context: &Context) -> String {
    let namespace = cert_manager::namespace(&context.kube).await;
    let namespace = namespace.ok().flatten();
    format!(
        "cert-manager's controller runs: `kubectl -n {} get pods`",
        namespace
            .as_deref()
            .unwrap_or(names::CERT_MANAGER_NAMESPACE)
    )
}
