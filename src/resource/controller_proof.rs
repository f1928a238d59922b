//! That the controller's webhooks answer, in the order of DESIGN 5: certificate, pods, CA bundles, endpoints, and dry
//! runs of a `RunnerDeployment` that must be admitted and of one that must be denied.
//!
//! The last release has no readiness probe, so that a Ready pod proves nothing (reference: arc.md 0.2).

use serde_json::{Value, json};

use super::{
    context::Context,
    observed::Readiness,
    pod_reason,
    webhook_state::{self, without_authority},
    webhook_words::short,
};
use crate::{
    clients::kube::{Mode, Selection, Target},
    error::Result,
};

const CERTIFICATES: &str = "cert-manager.io/v1";
const REGISTRATION: &str = "admissionregistration.k8s.io/v1";
const RUNNERS: &str = "actions.summerwind.dev/v1alpha1";

/// The controller's release, and where a `RunnerDeployment` is tried.
pub(super) struct Proof<'a> {
    /// The release's namespace.
    pub namespace: &'a str,
    /// The release's name.
    pub release: &'a str,
    /// Where a `RunnerDeployment` is tried.
    pub runner_namespace: &'a str,
    /// How many pods serve the webhooks.
    pub replicas: u32,
}

impl Proof<'_> {
    /// What a watch must look at to see the webhooks come.
    pub(super) fn selections(&self) -> Vec<Selection> {
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
        let name = if self.release.contains("actions-runner-controller") {
            self.release.to_owned()
        } else {
            format!("{}-actions-runner-controller", self.release)
        };
        name.chars().take(63).collect()
    }

    fn configuration(&self, kind: &str) -> String {
        format!("{}-{kind}-webhook-configuration", self.full_name())
    }

    /// The first thing that is not as it must be.
    pub(super) async fn readiness(&self, context: &Context) -> Result<Readiness> {
        let certificate = self.certificate(context).await?;
        let pods = self.pods(context).await?;
        // A pod that waits for the certificate's Secret is stuck too, but that is the consequence.
        let waits_for_certificate = pods.reason().is_some_and(|it| it.contains("-serving-cert"));
        if matches!(pods, Readiness::Stuck { .. }) && !waits_for_certificate {
            return Ok(pods);
        }
        for step in [certificate, pods, self.bundles(context).await?] {
            if step != Readiness::Ready {
                return Ok(step);
            }
        }
        let endpoints = self.endpoints(context).await?;
        if endpoints != Readiness::Ready {
            return Ok(endpoints);
        }
        // The API server spreads its calls over the pods: each has to answer.
        for _ in 0..self.replicas.saturating_mul(2).min(8) {
            let step = self.admission(context).await?;
            if step != Readiness::Ready {
                return Ok(step);
            }
        }
        Ok(Readiness::Ready)
    }

    async fn certificate(&self, context: &Context) -> Result<Readiness> {
        let name = format!("{}-serving-cert", self.full_name());
        let target = Target::namespaced(CERTIFICATES, "Certificate", self.namespace, &name);
        let Some(certificate) = context.kube.get(&target).await? else {
            return Ok(Readiness::progressing(format!("{target} is not there yet")));
        };
        Ok(match webhook_state::issued(&certificate) {
            Ok(()) => Readiness::Ready,
            Err(Some(said)) => Readiness::stuck(
                format!("{target} is not issued: {said}"),
                format!(
                    "see why with `kubectl -n {} describe certificaterequest` and cert-manager's log",
                    self.namespace
                ),
            ),
            Err(None) => Readiness::stuck(
                format!("{target} is not issued, and nothing works on it"),
                "check that cert-manager's controller runs: `kubectl -n cert-manager get pods`",
            ),
        })
    }

    async fn pods(&self, context: &Context) -> Result<Readiness> {
        let selection = Selection::namespaced("v1", "Pod", self.namespace).labelled(self.labels());
        let name = self.full_name();
        let deployment = Target::namespaced("apps/v1", "Deployment", self.namespace, &name);
        let (pods, deployment) =
            tokio::try_join!(context.kube.list(&selection), context.kube.get(&deployment))?;
        let Some(deployment) = deployment else {
            return Ok(Readiness::progressing(format!(
                "Deployment `{name}` is not there yet"
            )));
        };
        // An evicted pod stays as Failed, and is none of those that serve.
        let ended = |pod: &Value| {
            matches!(
                pod["status"]["phase"].as_str(),
                Some("Failed" | "Succeeded")
            )
        };
        let pods: Vec<Value> = pods.into_iter().filter(|it| !ended(it)).collect();
        let ready = pods.iter().filter(|it| pod_reason::is_ready(it)).count();
        let live: Vec<&Value> = pods
            .iter()
            .filter(|it| it["metadata"]["deletionTimestamp"].is_null())
            .collect();
        let wanted = usize::try_from(self.replicas).unwrap_or(usize::MAX);
        let rolled_out = is_rolled_out(&deployment, self.replicas);
        if ready >= wanted && live.len() == ready && rolled_out {
            return Ok(Readiness::Ready);
        }
        if live.is_empty() {
            return Ok(Readiness::progressing("the controller has no pod yet"));
        }
        let events = context
            .kube
            .list(&Selection::namespaced("v1", "Event", self.namespace))
            .await?;
        let worst = pod_reason::worst(live.iter().map(|it| pod_reason::readiness(it, &events)));
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
            return Ok(Readiness::progressing(format!("{target} is not there yet")));
        };
        let wanted = &secret["data"]["ca.crt"];
        for (kind, prefix) in [
            ("MutatingWebhookConfiguration", "mutating"),
            ("ValidatingWebhookConfiguration", "validating"),
        ] {
            let target = Target::cluster(REGISTRATION, kind, &self.configuration(prefix));
            let Some(live) = context.kube.get(&target).await? else {
                return Ok(Readiness::progressing(format!("{target} is not there yet")));
            };
            if let Some(webhook) = without_authority(&live, wanted.as_str()).next() {
                return Ok(Readiness::progressing(format!(
                    "cert-manager's cainjector has not yet given webhook `{webhook}` of {target} the CA of {name}",
                )));
            }
        }
        Ok(Readiness::Ready)
    }

    async fn endpoints(&self, context: &Context) -> Result<Readiness> {
        let service: String = self.full_name().chars().take(55).collect::<String>() + "-webhook";
        let selection =
            Selection::namespaced("discovery.k8s.io/v1", "EndpointSlice", self.namespace)
                .labelled(format!("kubernetes.io/service-name={service}"));
        let slices = context.kube.list(&selection).await?;
        let ready = webhook_state::has_endpoint(&slices, &service);
        Ok(if ready {
            Readiness::Ready
        } else {
            Readiness::progressing(format!("Service `{service}` has no ready endpoint yet"))
        })
    }

    /// One `RunnerDeployment` that must be admitted, and one that must be denied by the validator.
    async fn admission(&self, context: &Context) -> Result<Readiness> {
        if let Err(failure) = context.kube.create(&self.probe(true), Mode::DryRun).await {
            return Ok(if failure.is_unauthorized() {
                Readiness::unauthorized(&failure.about(&self.target()))
            } else {
                refused(&failure.said())
            });
        }
        match context.kube.create(&self.probe(false), Mode::DryRun).await {
            Ok(_) => Ok(Readiness::progressing(
                "the controller's validating webhook admitted a RunnerDeployment without scope",
            )),
            Err(failure) => Ok(match failure.status() {
                Some(status) if status.reason == "Invalid" && names_the_scope(status) => {
                    Readiness::Ready
                }
                _ => refused(&failure.said()),
            }),
        }
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

/// Whether all pods of a Deployment are of its newest template. Until its controller has seen a change, the old pods are
/// all Ready, with the old token.
fn is_rolled_out(deployment: &Value, replicas: u32) -> bool {
    let status = &deployment["status"];
    let count = |key: &str| status[key].as_u64().unwrap_or(0);
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && count("updatedReplicas") >= u64::from(replicas)
        && count("replicas") == count("updatedReplicas")
}

/// What the validator says of a `RunnerDeployment` without scope (reference: recordings/refusals.txt).
fn names_the_scope(status: &kube::core::Status) -> bool {
    let field = "spec.template.spec.repository";
    status
        .details
        .as_ref()
        .is_some_and(|details| details.causes.iter().any(|cause| cause.field == field))
}

fn refused(said: &str) -> Readiness {
    Readiness::progressing(format!(
        "the controller's webhook does not answer: {}",
        short(said)
    ))
}
