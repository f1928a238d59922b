//! The controller: self-signed issuers become ready, and Certificates get their Secrets.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::certificate::{self, Issued};
use super::{CERTIFICATE, CLUSTER_ISSUER, ISSUER, REQUEST};
use crate::objects::{self, Event, Objects, SECRET, at, condition, seconds, text, uid};

/// How the controller behaves.
pub(super) struct Settings {
    pub(super) issue_after: Duration,
    pub(super) never_issue: bool,
}

/// Brings issuers and Certificates one step on; `started` remembers since when each Certificate is being issued.
pub(super) async fn reconcile(
    objects: &Objects,
    settings: &Settings,
    started: &mut HashMap<String, Timestamp>,
) -> Result<()> {
    for kind in [ISSUER, CLUSTER_ISSUER] {
        for issuer in objects.list(&kind, None).await? {
            let self_signed = issuer.pointer("/spec/selfSigned").is_some();
            if self_signed && !is_true(&issuer, "Ready") {
                let ready = transition(&issuer, "Ready", "True", "IsReady", "");
                let status = json!({ "conditions": [ready] });
                objects.merge_status(&kind, at(&issuer), &status).await?;
            }
        }
    }
    for certificate in objects.list(&CERTIFICATE, None).await? {
        if !objects::is_deleted(&certificate) {
            reconcile_certificate(objects, settings, started, &certificate).await?;
        }
    }
    Ok(())
}

async fn reconcile_certificate(
    objects: &Objects,
    settings: &Settings,
    started: &mut HashMap<String, Timestamp>,
    certificate: &Value,
) -> Result<()> {
    let namespace = at(certificate).0;
    let secret = objects
        .get(&SECRET, (namespace, text(certificate, "/spec/secretName")))
        .await?;
    let Some(why) = reason_to_issue(certificate, secret.as_ref()) else {
        started.remove(uid(certificate));
        return Ok(());
    };
    let now = Timestamp::now();
    let Some(since) = started.get(uid(certificate)) else {
        started.insert(uid(certificate).to_owned(), now);
        normal(objects, certificate, "Issuing", why.1).await;
        let conditions = json!({ "conditions": [
            transition(certificate, "Ready", "False", why.0, why.1),
            transition(certificate, "Issuing", "True", why.0, why.1),
        ] });
        objects
            .merge_status(&CERTIFICATE, at(certificate), &conditions)
            .await?;
        return Ok(());
    };
    let due = SignedDuration::try_from(settings.issue_after)?;
    let issuer = match text(certificate, "/spec/issuerRef/kind") {
        "ClusterIssuer" => (CLUSTER_ISSUER, ""),
        _ => (ISSUER, namespace),
    };
    let name = text(certificate, "/spec/issuerRef/name");
    let issuer = objects.get(&issuer.0, (issuer.1, name)).await?;
    let ready = issuer.is_some_and(|issuer| is_true(&issuer, "Ready"));
    if settings.never_issue || !ready || now.duration_since(*since) < due {
        return Ok(());
    }
    issue(objects, certificate, secret.is_some(), now).await
}

/// Why a certificate has to be issued: the reason and its words.
fn reason_to_issue(
    certificate: &Value,
    secret: Option<&Value>,
) -> Option<(&'static str, &'static str)> {
    let Some(secret) = secret else {
        return Some((
            "DoesNotExist",
            "Issuing certificate as Secret does not exist",
        ));
    };
    if text(secret, "/data/tls.crt").is_empty() || text(secret, "/data/tls.key").is_empty() {
        return Some((
            "MissingData",
            "Issuing certificate as Secret does not contain any data",
        ));
    }
    let names = "/metadata/annotations/cert-manager.io~1alt-names";
    if text(secret, names) != names_of(certificate).join(",") {
        let words =
            "Fields on existing CertificateRequest resource not up to date: [spec.dnsNames]";
        return Some(("RequestChanged", words));
    }
    // The controller was stopped between the Secret and the status.
    (!is_true(certificate, "Ready"))
        .then_some(("InProgress", "Issuing certificate as it is not ready"))
}

async fn issue(
    objects: &Objects,
    certificate: &Value,
    secret_exists: bool,
    now: Timestamp,
) -> Result<()> {
    let common_name = text(certificate, "/spec/commonName");
    let names = names_of(certificate);
    let issued = certificate::self_signed(&names, common_name, now, certificate::VALIDITY)?;
    let temporary = format!("{}-{}", at(certificate).1, objects::suffix());
    let revision = certificate
        .pointer("/status/revision")
        .and_then(Value::as_i64)
        .unwrap_or(0)
        + 1;
    let stored = format!("Stored new private key in temporary Secret resource \"{temporary}\"");
    normal(objects, certificate, "Generated", &stored).await;
    let request = request(certificate, &issued, &temporary, revision);
    let request = objects
        .create(&REQUEST, at(certificate).0, &request)
        .await?;
    let created = format!(
        "Created new CertificateRequest resource \"{}\"",
        at(&request).1
    );
    normal(objects, certificate, "Requested", &created).await;
    sign(objects, &request, &issued).await?;
    write_secret(objects, certificate, &issued, secret_exists).await?;
    let status = json!({
        "conditions": [transition(certificate, "Ready", "True", "Ready",
            "Certificate is up to date and has not expired")],
        "notBefore": seconds(issued.not_before), "notAfter": seconds(issued.not_after),
        "renewalTime": seconds(issued.not_after - SignedDuration::from_hours(30 * 24)),
        "revision": revision,
    });
    objects
        .merge_status(&CERTIFICATE, at(certificate), &status)
        .await?;
    let words = "The certificate has been successfully issued";
    normal(objects, certificate, "Issuing", words).await;
    Ok(())
}

fn request(certificate: &Value, issued: &Issued, temporary: &str, revision: i64) -> Value {
    let mut annotations = certificate
        .pointer("/metadata/annotations")
        .cloned()
        .unwrap_or(json!({}));
    annotations["cert-manager.io/certificate-name"] = at(certificate).1.into();
    annotations["cert-manager.io/certificate-revision"] = revision.to_string().into();
    annotations["cert-manager.io/private-key-secret-name"] = temporary.into();
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    json!({
        "metadata": {
            "generateName": format!("{}-", at(certificate).1), "namespace": at(certificate).0,
            "annotations": annotations, "labels": certificate.pointer("/metadata/labels"),
            "ownerReferences": objects::owner_reference(certificate),
        },
        "spec": {
            "issuerRef": certificate.pointer("/spec/issuerRef"),
            "request": STANDARD.encode(&issued.request),
        },
    })
}

/// Approves a request and answers it.
async fn sign(objects: &Objects, request: &Value, issued: &Issued) -> Result<()> {
    let waiting = "Not signing CertificateRequest until it is Approved";
    normal(objects, request, "WaitingForApproval", waiting).await;
    let approved = "Certificate request has been approved by cert-manager.io";
    normal(objects, request, "cert-manager.io", approved).await;
    let fetched = "Certificate fetched from issuer successfully";
    let certificate = STANDARD.encode(&issued.leaf.certificate);
    let mut conditions = [
        transition(request, "Approved", "True", "cert-manager.io", approved),
        transition(request, "Ready", "True", "Issued", fetched),
    ];
    for condition in &mut conditions {
        // The recorded ones have no generation here.
        condition
            .as_object_mut()
            .map(|condition| condition.remove("observedGeneration"));
    }
    let status = json!({ "conditions": conditions, "ca": certificate, "certificate": certificate });
    objects.merge_status(&REQUEST, at(request), &status).await?;
    normal(objects, request, "CertificateIssued", fetched).await;
    Ok(())
}

async fn write_secret(
    objects: &Objects,
    certificate: &Value,
    issued: &Issued,
    exists: bool,
) -> Result<()> {
    let (namespace, name) = (at(certificate).0, text(certificate, "/spec/secretName"));
    let pem = STANDARD.encode(&issued.leaf.certificate);
    let secret = json!({
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": { "controller.cert-manager.io/fao": "true" },
            "annotations": {
                "cert-manager.io/alt-names": names_of(certificate).join(","),
                "cert-manager.io/certificate-name": at(certificate).1,
                "cert-manager.io/common-name": text(certificate, "/spec/commonName"),
                "cert-manager.io/ip-sans": "", "cert-manager.io/uri-sans": "",
                "cert-manager.io/issuer-group": text(certificate, "/spec/issuerRef/group"),
                "cert-manager.io/issuer-kind": text(certificate, "/spec/issuerRef/kind"),
                "cert-manager.io/issuer-name": text(certificate, "/spec/issuerRef/name"),
            },
        },
        "type": "kubernetes.io/tls",
        "data": { "ca.crt": pem, "tls.crt": pem, "tls.key": STANDARD.encode(&issued.leaf.key) },
    });
    if exists {
        objects.merge(&SECRET, (namespace, name), &secret).await?;
    } else {
        objects.create(&SECRET, namespace, &secret).await?;
    }
    Ok(())
}

fn names_of(certificate: &Value) -> Vec<String> {
    let names = certificate
        .pointer("/spec/dnsNames")
        .and_then(Value::as_array);
    names
        .map(|names| {
            names
                .iter()
                .filter_map(Value::as_str)
                .map(ToOwned::to_owned)
                .collect()
        })
        .unwrap_or_default()
}

fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

fn transition(object: &Value, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let mut condition = json!({
        "type": kind, "status": status, "reason": reason,
        "lastTransitionTime": seconds(Timestamp::now()),
        "observedGeneration": object.pointer("/metadata/generation"),
    });
    if !message.is_empty() {
        condition["message"] = message.into();
    }
    condition
}

async fn normal(objects: &Objects, about: &Value, reason: &str, message: &str) {
    let event = Event {
        kind: "Normal",
        reason,
        message,
        component: "cert-manager",
    };
    objects.event(about, &event).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: &[&str]) -> Value {
        json!({
            "metadata": { "name": "c" }, "spec": { "dnsNames": names },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        })
    }

    fn secret(names: &str) -> Value {
        json!({
            "metadata": { "annotations": { "cert-manager.io/alt-names": names } },
            "data": { "tls.crt": "YQ==", "tls.key": "YQ==" },
        })
    }

    #[test]
    fn a_missing_secret_and_changed_names_are_reasons_to_issue() {
        assert_eq!(
            reason_to_issue(&certificate(&["a"]), None).unwrap().0,
            "DoesNotExist"
        );
        let changed = reason_to_issue(&certificate(&["a", "b"]), Some(&secret("a")));
        assert_eq!(changed.unwrap().0, "RequestChanged");
    }

    #[test]
    fn an_issued_certificate_is_left_alone() {
        assert_eq!(
            reason_to_issue(&certificate(&["a", "b"]), Some(&secret("a,b"))),
            None
        );
    }
}
