//! A stand-in for a policy engine such as Kyverno: a mutating admission webhook that rewrites all requests. As there, it is
//! called for Deployments, Pods and `ServiceAccounts` on create and update.
//!
//! The rules follow the published policies of that project (kyverno/policies: "replace-image-registry", "add-labels",
//! "add-tolerations", "add-default-resources", "inject-sidecar-deployment", "time-annotation").

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Map, Value, json};

use crate::admission::{AdmissionServer, Judge, Verdict};
use crate::certificates::Authority;

/// The name of the webhook configuration.
pub const NAME: &str = "simulated-policy-engine";

/// One thing that the policy engine does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// Images come from [`MIRROR`].
    Images,
    /// Every object has the label [`LABEL`], and the pods of Deployments too.
    Labels,
    /// Pods tolerate one taint more.
    Tolerations,
    /// Pods of Deployments have one container more.
    Sidecar,
    /// Containers without requests get some.
    Resources,
    /// Every object says when it was last seen: another text each time.
    Times,
    /// What was made is changed only when it is made, not when it changes.
    OnlyNew,
}

/// Where the images are taken from.
pub const MIRROR: &str = "mirror.example.com";

/// The label that every object gets, with its value.
pub const LABEL: (&str, &str) = ("example.com/cost-center", "4711");

/// The annotation of [`Rule::Times`].
pub const SEEN: &str = "example.com/last-seen";

/// The running webhook; it stops when it is dropped.
pub struct PolicyEngine {
    client: kube::Client,
    _server: AdmissionServer,
}

impl PolicyEngine {
    /// Serves, and tells the API server where.
    pub async fn start(client: &kube::Client, rules: &[Rule]) -> Result<Self> {
        let authority = Authority::new(NAME)?;
        let leaf = authority.server(&["127.0.0.1"])?;
        let rules: Arc<BTreeSet<Rule>> = Arc::new(rules.iter().copied().collect());
        let asked = Arc::clone(&rules);
        let judge: Judge = Arc::new(move |_path, request| {
            let verdict = judge(&asked, &request);
            Box::pin(async move { verdict })
        });
        let server = AdmissionServer::start(&leaf, judge).await?;
        let operations: &[&str] = if rules.contains(&Rule::OnlyNew) {
            &["CREATE"]
        } else {
            &["CREATE", "UPDATE"]
        };
        let configuration: MutatingWebhookConfiguration = serde_json::from_value(json!({
            "metadata": {"name": NAME, "annotations": {"arcctl-sandbox": "simulated"}},
            "webhooks": [{
                "name": "mutate.policy.example.com",
                "clientConfig": {
                    "url": format!("https://{}/mutate", server.address()),
                    "caBundle": STANDARD.encode(authority.certificate()),
                },
                "rules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": operations, "resources": ["pods", "serviceaccounts"]},
                    {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": operations, "resources": ["deployments"]},
                ],
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "NoneOnDryRun",
                "admissionReviewVersions": ["v1"],
            }],
        }))?;
        let api: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
        api.create(&PostParams::default(), &configuration).await?;
        Ok(Self {
            client: client.clone(),
            _server: server,
        })
    }

    /// Ends, and the API server asks it no more.
    pub async fn stop(self) -> Result<()> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        api.delete(NAME, &DeleteParams::default()).await?;
        Ok(())
    }
}

fn judge(rules: &BTreeSet<Rule>, request: &Value) -> Verdict {
    let object = &request["object"];
    if object.is_null() || request["operation"] == "UPDATE" && !request["subResource"].is_null() {
        return Verdict::Allowed;
    }
    let mut changed = object.clone();
    let deployment = request["kind"]["kind"] == "Deployment";
    if rules.contains(&Rule::Labels) {
        set(&mut changed, "labels", LABEL.0, LABEL.1);
        if deployment {
            set(&mut changed["spec"]["template"], "labels", LABEL.0, LABEL.1);
        }
    }
    if rules.contains(&Rule::Times) {
        set(
            &mut changed,
            "annotations",
            SEEN,
            &Timestamp::now().to_string(),
        );
    }
    // The containers of a pod cannot be changed once it is there, but for their images.
    let pod = match request["kind"]["kind"].as_str() {
        Some("Deployment") => Some(&mut changed["spec"]["template"]["spec"]),
        Some("Pod") if request["operation"] == "CREATE" => Some(&mut changed["spec"]),
        _ => None,
    };
    if let Some(pod) = pod {
        change_pod(rules, pod, deployment);
    }
    let operations: Vec<Value> = ["metadata", "spec"]
        .iter()
        .filter(|key| changed[**key] != object[**key])
        .map(|key| json!({"op": "replace", "path": format!("/{key}"), "value": changed[*key]}))
        .collect();
    if operations.is_empty() {
        return Verdict::Allowed;
    }
    Verdict::Patched(operations.into())
}

fn change_pod(rules: &BTreeSet<Rule>, pod: &mut Value, deployment: bool) {
    if rules.contains(&Rule::Sidecar) && deployment {
        add(
            pod,
            "containers",
            &json!({"name": "log-shipper", "image": "example.com/log-shipper:1"}),
        );
    }
    if rules.contains(&Rule::Tolerations) {
        add(
            pod,
            "tolerations",
            &json!({"key": "example.com/shared", "operator": "Exists", "effect": "NoSchedule"}),
        );
    }
    for list in ["containers", "initContainers"] {
        for container in pod[list].as_array_mut().into_iter().flatten() {
            if rules.contains(&Rule::Images)
                && let Some(image) = container["image"].as_str()
            {
                container["image"] = mirrored(image).into();
            }
            if rules.contains(&Rule::Resources) && container["resources"]["requests"].is_null() {
                container["resources"]["requests"] = json!({"cpu": "10m", "memory": "16Mi"});
            }
        }
    }
}

/// `quay.io/a/b:1` → `mirror.example.com/a/b:1`; what is there already stays.
fn mirrored(image: &str) -> String {
    let path = match image.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => image,
    };
    format!("{MIRROR}/{path}")
}

fn set(object: &mut Value, map: &str, key: &str, value: &str) {
    let metadata = &mut object["metadata"];
    if metadata[map].is_null() {
        metadata[map] = Map::new().into();
    }
    metadata[map][key] = value.into();
}

/// Adds an entry to a list that does not have it yet.
fn add(pod: &mut Value, list: &str, entry: &Value) {
    if pod[list].is_null() {
        pod[list] = json!([]);
    }
    if let Some(list) = pod[list].as_array_mut() {
        let same = |it: &Value| match entry["name"].as_str() {
            Some(name) => it["name"] == name,
            None => it == entry,
        };
        if !list.iter().any(same) {
            list.push(entry.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(rules: &[Rule], object: &Value) -> Value {
        let request =
            json!({"kind": {"kind": object["kind"]}, "operation": "CREATE", "object": object});
        let Verdict::Patched(operations) = judge(&rules.iter().copied().collect(), &request) else {
            panic!("nothing was changed");
        };
        let mut object = object.clone();
        for operation in operations.as_array().unwrap() {
            let key = operation["path"].as_str().unwrap().trim_start_matches('/');
            object[key] = operation["value"].clone();
        }
        object
    }

    #[test]
    fn what_was_changed_once_stays_as_it_is() {
        let rules = [
            Rule::Images,
            Rule::Labels,
            Rule::Sidecar,
            Rule::Tolerations,
            Rule::Resources,
        ];
        let deployment = json!({"kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "a", "image": "quay.io/a/b:1"}]},
        }}});
        let once = patched(&rules, &deployment);
        let pod = &once["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], "mirror.example.com/a/b:1");
        assert_eq!(pod["containers"][1]["name"], "log-shipper");
        assert_eq!(pod["tolerations"].as_array().unwrap().len(), 1);
        let request =
            json!({"kind": {"kind": "Deployment"}, "operation": "UPDATE", "object": once});
        assert_eq!(judge(&rules.into(), &request), Verdict::Allowed);
    }

    #[test]
    fn an_image_without_a_host_is_of_docker_hub() {
        assert_eq!(
            mirrored("summerwind/x:1"),
            "mirror.example.com/summerwind/x:1"
        );
        assert_eq!(mirrored("docker:dind"), "mirror.example.com/docker:dind");
        assert_eq!(mirrored("localhost/x"), "mirror.example.com/x");
    }
}
