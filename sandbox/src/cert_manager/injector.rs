//! The injector: writes CA certificates into the annotated webhook configurations.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::CERTIFICATE;
use crate::objects::{self, Kind, MUTATING, Objects, SECRET, VALIDATING, text};

const CONFIG_MAP: Kind = Kind::new("", "v1", "configmaps", "ConfigMap");

/// Injects into every configuration whose source is there.
pub(super) async fn inject(objects: &Objects) -> Result<()> {
    for kind in [MUTATING, VALIDATING] {
        for configuration in objects.list(&kind, None).await? {
            let Some(authority) = authority(objects, &configuration).await? else {
                continue;
            };
            if let Some(patch) = patch(&configuration, &authority) {
                objects
                    .merge(&kind, objects::at(&configuration), &patch)
                    .await?;
            }
        }
    }
    Ok(())
}

/// The authority that a configuration asks for, in base64.
async fn authority(objects: &Objects, configuration: &Value) -> Result<Option<String>> {
    let asked = |name: &str| {
        let annotation = format!("/metadata/annotations/cert-manager.io~1{name}");
        text(configuration, &annotation).to_owned()
    };
    let (certificate, secret) = (asked("inject-ca-from"), asked("inject-ca-from-secret"));
    let secret = if let Some((namespace, name)) = certificate.split_once('/') {
        let Some(certificate) = objects.get(&CERTIFICATE, (namespace, name)).await? else {
            return Ok(None);
        };
        let secret = text(&certificate, "/spec/secretName");
        objects.get(&SECRET, (namespace, secret)).await?
    } else if let Some((namespace, name)) = secret.split_once('/') {
        let secret = objects.get(&SECRET, (namespace, name)).await?;
        secret.filter(|secret| {
            let allowed = "/metadata/annotations/cert-manager.io~1allow-direct-injection";
            text(secret, allowed) == "true"
        })
    } else if asked("inject-apiserver-ca") == "true" {
        let root = objects
            .get(&CONFIG_MAP, ("kube-system", "kube-root-ca.crt"))
            .await?;
        return Ok(root.map(|root| STANDARD.encode(text(&root, "/data/ca.crt"))));
    } else {
        None
    };
    let authority = secret.map(|secret| text(&secret, "/data/ca.crt").to_owned());
    Ok(authority.filter(|authority| !authority.is_empty()))
}

/// The patch that brings an authority into all webhooks of a configuration; `None` when it is there.
fn patch(configuration: &Value, authority: &str) -> Option<Value> {
    let mut webhooks = configuration["webhooks"].as_array()?.clone();
    let has = |webhook: &Value| text(webhook, "/clientConfig/caBundle") == authority;
    if webhooks.iter().all(has) {
        return None;
    }
    for webhook in &mut webhooks {
        webhook["clientConfig"]["caBundle"] = authority.into();
    }
    let version = configuration.pointer("/metadata/resourceVersion");
    Some(json!({ "metadata": { "resourceVersion": version }, "webhooks": webhooks }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_webhook_gets_the_authority_once() {
        let mut configuration = json!({
            "metadata": { "resourceVersion": "5" },
            "webhooks": [{ "clientConfig": { "service": {} } }, { "clientConfig": { "caBundle": "b2xk" } }],
        });
        let patched = patch(&configuration, "bmV3").unwrap();
        for webhook in patched["webhooks"].as_array().unwrap() {
            assert_eq!(webhook["clientConfig"]["caBundle"], "bmV3");
        }
        configuration["webhooks"] = patched["webhooks"].clone();
        assert_eq!(patch(&configuration, "bmV3"), None);
    }
}
