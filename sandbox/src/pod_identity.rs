//! A stand-in for EKS's pod identity webhook: pods whose service account is annotated with a role, or has a Pod Identity
//! association, get its variables and its token, in all containers. As on EKS it is called by URL, and pods start without
//! it if it does not respond (reference: arc.md 9). The token is simulated: AWS does not accept it.

use std::sync::Arc;

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::admission::{AdmissionServer, Judge, Verdict};
use crate::certificates::Authority;
use crate::cloud::associations::Associations;
use crate::moto::REGION;

/// The name of the webhook configuration, as on EKS.
pub const NAME: &str = "pod-identity-webhook";

/// What a role brings into a pod, and where its token is.
struct Way {
    volume: &'static str,
    directory: &'static str,
    file: &'static str,
    audience: &'static str,
}

/// IAM roles for service accounts.
const IRSA: Way = Way {
    volume: "aws-iam-token",
    directory: "/var/run/secrets/eks.amazonaws.com/serviceaccount",
    file: "token",
    audience: "sts.amazonaws.com",
};

/// EKS Pod Identity.
const POD_IDENTITY: Way = Way {
    volume: "eks-pod-identity-token",
    directory: "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount",
    file: "eks-pod-identity-token",
    audience: "pods.eks.amazonaws.com",
};

/// The running webhook; it stops when it is dropped.
pub struct PodIdentity {
    _server: AdmissionServer,
}

impl PodIdentity {
    /// Serves, and tells the API server where.
    pub async fn start(client: &kube::Client, associations: Arc<Associations>) -> Result<Self> {
        let authority = Authority::new(NAME)?;
        let leaf = authority.server(&["127.0.0.1"])?;
        let accounts = client.clone();
        let judge: Judge = Arc::new(move |_path, request| {
            let (client, associations) = (accounts.clone(), Arc::clone(&associations));
            Box::pin(async move { judge(client, &associations, &request).await })
        });
        let server = AdmissionServer::start(&leaf, judge).await?;
        let bundle = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(authority.certificate())
        };
        let configuration: MutatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": NAME, "annotations": {"arcctl-sandbox": "simulated"}},
            "webhooks": [{
                "name": "iam-for-pods.amazonaws.com",
                "clientConfig": {
                    "url": format!("https://{}/mutate", server.address()),
                    "caBundle": bundle,
                },
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "failurePolicy": "Ignore",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        }))?;
        let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
        api.create(&PostParams::default(), &configuration).await?;
        Ok(Self { _server: server })
    }
}

async fn judge(client: kube::Client, associations: &Associations, request: &Value) -> Verdict {
    let pod = &request["object"];
    let namespace = request["namespace"].as_str().unwrap_or_default();
    let name = pod["spec"]["serviceAccountName"]
        .as_str()
        .unwrap_or("default");
    let accounts: Api<ServiceAccount> = Api::namespaced(client, namespace);
    let role = match accounts.get_opt(name).await {
        Ok(Some(account)) => account
            .metadata
            .annotations
            .and_then(|mut it| it.remove("eks.amazonaws.com/role-arn")),
        _ => None,
    };
    // Where there are both, EKS goes by the association.
    match role {
        _ if associations.gives_role(namespace, name) => Verdict::Patched(with_pod_identity(pod)),
        Some(role) => Verdict::Patched(with_irsa(pod, &role)),
        None => Verdict::Allowed,
    }
}

fn with_irsa(pod: &Value, role: &str) -> Value {
    let token = format!("{}/{}", IRSA.directory, IRSA.file);
    let variables = [
        ("AWS_STS_REGIONAL_ENDPOINTS", "regional"),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_REGION", REGION),
        ("AWS_ROLE_ARN", role),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
    ];
    patch(pod, &IRSA, &variables)
}

fn with_pod_identity(pod: &Value) -> Value {
    let token = format!("{}/{}", POD_IDENTITY.directory, POD_IDENTITY.file);
    let variables = [
        ("AWS_STS_REGIONAL_ENDPOINTS", "regional"),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_REGION", REGION),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://169.254.170.23/v1/credentials",
        ),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token),
    ];
    patch(pod, &POD_IDENTITY, &variables)
}

/// What is added to `pod`; nothing twice.
fn patch(pod: &Value, way: &Way, variables: &[(&str, &str)]) -> Value {
    let volume = json!({"name": way.volume, "projected": {"sources": [
        {"serviceAccountToken": {"audience": way.audience, "expirationSeconds": 86400, "path": way.file}},
    ]}});
    let mount = json!({"name": way.volume, "mountPath": way.directory, "readOnly": true});
    let mut operations = Vec::new();
    let mut add = |path: String, list: &Value, entries: Vec<Value>| {
        let there = |entry: &Value| {
            let mut known = list.as_array().into_iter().flatten();
            known.any(|it| it["name"] == entry["name"])
        };
        let new: Vec<Value> = entries.into_iter().filter(|it| !there(it)).collect();
        if list.is_array() {
            for entry in new {
                operations.push(json!({"op": "add", "path": format!("{path}/-"), "value": entry}));
            }
        } else if !new.is_empty() {
            operations.push(json!({"op": "add", "path": path, "value": new}));
        }
    };
    let spec = &pod["spec"];
    add("/spec/volumes".into(), &spec["volumes"], vec![volume]);
    for kind in ["initContainers", "containers"] {
        for (index, container) in spec[kind].as_array().into_iter().flatten().enumerate() {
            let at = format!("/spec/{kind}/{index}");
            let values = variables.iter();
            let values = values.map(|(name, value)| json!({"name": name, "value": value}));
            add(format!("{at}/env"), &container["env"], values.collect());
            add(
                format!("{at}/volumeMounts"),
                &container["volumeMounts"],
                vec![mount.clone()],
            );
        }
    }
    operations.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_gets_the_role_once() {
        let pod = json!({"spec": {"containers": [
            {"name": "runner", "env": [{"name": "AWS_REGION", "value": "kept"}]},
            {"name": "docker"},
        ]}});
        let operations = with_irsa(&pod, "arn:aws:iam::1:role/r");
        let text = operations.to_string();
        assert_eq!(text.matches("AWS_ROLE_ARN").count(), 2, "{text}");
        assert_eq!(text.matches("\"AWS_REGION\"").count(), 1, "{text}");
        assert_eq!(text.matches("/volumeMounts").count(), 2, "{text}");
        let text = with_pod_identity(&pod).to_string();
        let count = text.matches("AWS_CONTAINER_CREDENTIALS_FULL_URI").count();
        assert_eq!(count, 2, "{text}");
    }
}
