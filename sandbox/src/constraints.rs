//! A stand-in for Gatekeeper: a validating admission webhook that refuses what breaks a constraint. As there, the webhook is
//! called for every object on create and update, dry runs included, and its configuration says nothing of the namespaces that
//! a constraint is about: only its answer does.
//!
//! Its names, its rules and the words of a denial are those of Gatekeeper (open-policy-agent/gatekeeper, `pkg/webhook/policy.go`:
//! `[CONSTRAINT] MESSAGE`, a line for each, code 403), and those of the library's `K8sRequiredLabels`.

use std::sync::Arc;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::admission::{AdmissionServer, Judge, Verdict};
use crate::certificates::Authority;

/// The name of the webhook configuration.
pub const NAME: &str = "gatekeeper-validating-webhook-configuration";

/// The name of the webhook.
pub const WEBHOOK: &str = "validation.gatekeeper.sh";

/// Pods of some namespaces must have a label.
#[derive(Clone, Debug)]
pub struct RequiredLabel {
    /// The name of the constraint.
    pub name: String,
    /// The label.
    pub label: String,
    /// The namespaces.
    pub namespaces: Vec<String>,
}

/// The running webhook; it stops when it is dropped.
pub struct Gatekeeper {
    client: kube::Client,
    _server: AdmissionServer,
}

impl Gatekeeper {
    /// Serves, and tells the API server where.
    pub async fn start(client: &kube::Client, constraints: Vec<RequiredLabel>) -> Result<Self> {
        let authority = Authority::new(NAME)?;
        let leaf = authority.server(&["127.0.0.1"])?;
        let constraints = Arc::new(constraints);
        let judge: Judge = Arc::new(move |_path, request| {
            let verdict = judge(&constraints, &request);
            Box::pin(async move { verdict })
        });
        let server = AdmissionServer::start(&leaf, judge).await?;
        let configuration: ValidatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": NAME, "annotations": {"arcctl-sandbox": "simulated"}},
            "webhooks": [{
                "name": WEBHOOK,
                "clientConfig": {
                    "url": format!("https://{}/v1/admit", server.address()),
                    "caBundle": STANDARD.encode(authority.certificate()),
                },
                "rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["*"]}],
                "namespaceSelector": {"matchExpressions": [
                    {"key": "admission.gatekeeper.sh/ignore", "operator": "DoesNotExist"},
                ]},
                "failurePolicy": "Ignore",
                "sideEffects": "None",
                "timeoutSeconds": 3,
                "admissionReviewVersions": ["v1"],
            }],
        }))?;
        let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
        api.create(&PostParams::default(), &configuration).await?;
        Ok(Self {
            client: client.clone(),
            _server: server,
        })
    }

    /// Ends, and the API server asks it no more.
    pub async fn stop(self) -> Result<()> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        api.delete(NAME, &DeleteParams::default()).await?;
        Ok(())
    }
}

fn judge(constraints: &[RequiredLabel], request: &Value) -> Verdict {
    if request["kind"]["kind"] != "Pod" || request["operation"] != "CREATE" {
        return Verdict::Allowed;
    }
    let namespace = request["namespace"].as_str().unwrap_or_default();
    let labels = &request["object"]["metadata"]["labels"];
    let broken: Vec<String> = constraints
        .iter()
        .filter(|it| it.namespaces.iter().any(|own| own == namespace))
        .filter(|it| labels[it.label.as_str()].is_null())
        .map(|it| {
            format!(
                "[{}] you must provide labels: {{\"{}\"}}",
                it.name, it.label
            )
        })
        .collect();
    if broken.is_empty() {
        return Verdict::Allowed;
    }
    Verdict::Denied(json!({ "code": 403, "message": broken.join("\n") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(namespace: &str, labels: &Value) -> Verdict {
        let constraint = RequiredLabel {
            name: "pods-have-a-team".into(),
            label: "team".into(),
            namespaces: vec!["a".into()],
        };
        let request = json!({"kind": {"kind": "Pod"}, "operation": "CREATE", "namespace": namespace,
            "object": {"metadata": {"labels": labels}}});
        judge(&[constraint], &request)
    }

    #[test]
    fn a_denial_names_the_constraint_and_what_lacks() {
        let denied = json!({"code": 403, "message": "[pods-have-a-team] you must provide labels: {\"team\"}"});
        assert_eq!(asked("a", &Value::Null), Verdict::Denied(denied));
        assert_eq!(asked("a", &json!({"team": "ci"})), Verdict::Allowed);
        assert_eq!(asked("b", &Value::Null), Verdict::Allowed);
    }
}
