//! The webhook: its server, its own certificate authority, and its validation.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::certificate;
use crate::admission::{AdmissionServer, Judge, Verdict};
use crate::certificates::Leaf;
use crate::egress::Egress;
use crate::objects::{self, Objects, SECRET, text};

/// The name of the Service, the Deployment and the start of the Secret's.
const SERVICE: &str = "cert-manager-webhook";
const AUTHORITY: &str = "cert-manager-webhook-ca";

/// The webhook servers, one per namespace that has ready pods.
pub(super) struct Webhooks {
    objects: Objects,
    egress: Egress,
    servers: HashMap<String, (AdmissionServer, Leaf)>,
}

impl Webhooks {
    pub(super) fn new(objects: Objects, egress: Egress) -> Self {
        Self {
            objects,
            egress,
            servers: HashMap::new(),
        }
    }

    /// Serves in the namespaces of these pods and nowhere else.
    pub(super) async fn serve(&mut self, pods: &[&Value]) -> Result<()> {
        let wanted: Vec<&str> = pods.iter().map(|pod| objects::at(pod).0).collect();
        let egress = &self.egress;
        self.servers.retain(|namespace, _| {
            let kept = wanted.contains(&namespace.as_str());
            if !kept {
                egress.unregister(namespace, SERVICE);
            }
            kept
        });
        for namespace in wanted {
            let authority = self.authority(namespace).await?;
            self.serve_in(namespace, authority).await?;
        }
        Ok(())
    }

    async fn serve_in(&mut self, namespace: &str, authority: Leaf) -> Result<()> {
        let current = self.servers.get(namespace);
        if current.is_some_and(|(_, served)| served.certificate == authority.certificate) {
            return Ok(());
        }
        let names = [
            SERVICE.to_owned(),
            format!("{SERVICE}.{namespace}"),
            format!("{SERVICE}.{namespace}.svc"),
        ];
        let leaf = certificate::issued_by(&authority, &names, Timestamp::now())?;
        if let Some((server, served)) = self.servers.get_mut(namespace) {
            server.replace_certificate(&leaf)?;
            *served = authority;
            return Ok(());
        }
        let judge: Judge = Arc::new(|path, request| async move { judge(&path, &request) }.boxed());
        let server = AdmissionServer::start(&leaf, judge).await?;
        self.egress.register(namespace, SERVICE, server.address());
        self.servers
            .insert(namespace.to_owned(), (server, authority));
        Ok(())
    }

    /// The authority in the Secret; made when there is none.
    async fn authority(&self, namespace: &str) -> Result<Leaf> {
        if let Some(secret) = self.objects.get(&SECRET, (namespace, AUTHORITY)).await? {
            return from_secret(&secret);
        }
        let made = certificate::authority(AUTHORITY, Timestamp::now())?;
        let (certificate, key) = (
            STANDARD.encode(&made.certificate),
            STANDARD.encode(&made.key),
        );
        let secret = json!({
            "metadata": {
                "name": AUTHORITY, "namespace": namespace,
                "annotations": { "cert-manager.io/allow-direct-injection": "true" },
            },
            "type": "Opaque",
            "data": { "ca.crt": certificate, "tls.crt": certificate, "tls.key": key },
        });
        self.objects.create(&SECRET, namespace, &secret).await?;
        Ok(made)
    }
}

fn from_secret(secret: &Value) -> Result<Leaf> {
    let part = |pointer| -> Result<String> {
        let bytes = STANDARD.decode(text(secret, pointer))?;
        String::from_utf8(bytes).with_context(|| format!("Secret `{AUTHORITY}` is damaged"))
    };
    Ok(Leaf {
        certificate: part("/data/tls.crt")?,
        key: part("/data/tls.key")?,
    })
}

/// What the webhook answers: requests for certificates get their maker's name, and have to be requests.
fn judge(path: &str, request: &Value) -> Verdict {
    if text(request, "/resource/resource") != "certificaterequests"
        || !text(request, "/subResource").is_empty()
        || text(request, "/operation") != "CREATE"
    {
        return Verdict::Allowed;
    }
    if path == "/mutate" {
        return Verdict::Patched(identity(&request["userInfo"]));
    }
    match certificate::refusal(text(request, "/object/spec/request")) {
        None => Verdict::Allowed,
        Some(message) => Verdict::Denied(json!({
            "status": "Failure", "code": 406, "reason": "NotAcceptable", "message": message,
        })),
    }
}

fn identity(user: &Value) -> Value {
    let fields = ["username", "uid", "groups", "extra"];
    let known = fields.iter().filter(|field| !user[**field].is_null());
    known
        .map(
            |field| json!({ "op": "add", "path": format!("/spec/{field}"), "value": user[*field] }),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(csr: &str) -> Value {
        json!({
            "resource": { "resource": "certificaterequests" }, "operation": "CREATE",
            "userInfo": { "username": "jane", "groups": ["system:authenticated"] },
            "object": { "spec": { "request": STANDARD.encode(csr) } },
        })
    }

    #[test]
    fn a_request_that_is_none_is_not_acceptable() {
        let Verdict::Denied(status) = judge("/validate", &request("not a csr")) else {
            panic!("it was admitted");
        };
        assert_eq!(
            (status["code"].as_i64(), &status["reason"]),
            (Some(406), &json!("NotAcceptable"))
        );
    }

    #[test]
    fn a_request_gets_the_name_of_its_maker() {
        let operations = json!([
            { "op": "add", "path": "/spec/username", "value": "jane" },
            { "op": "add", "path": "/spec/groups", "value": ["system:authenticated"] },
        ]);
        assert_eq!(
            judge("/mutate", &request("any")),
            Verdict::Patched(operations)
        );
    }

    #[test]
    fn other_kinds_are_admitted() {
        let issuer = json!({ "resource": { "resource": "issuers" }, "operation": "CREATE" });
        assert_eq!(judge("/validate", &issuer), Verdict::Allowed);
    }
}
