//! That cert-manager's webhooks answer: a dry-run `CertificateRequest` is admitted, an invalid one denied
//! (DESIGN 5; the same probe as `cmctl check api`, reference: arc.md 3.2).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{context::Context, observed::Readiness, pod_reason, webhook_words::short};
use crate::{
    clients::kube::{Mode, Selection},
    error::Result,
};

/// A certificate signing request that nobody has the key of.
const REQUEST: &str = include_str!("probe.csr");

/// The labels of cert-manager's webhook pods, however it was installed.
const WEBHOOK_PODS: &str = "app.kubernetes.io/name=webhook,app.kubernetes.io/component=webhook";

/// What a watch must look at to see the webhooks come.
pub(super) fn selections() -> Vec<Selection> {
    vec![Selection::all("v1", "Pod").labelled(WEBHOOK_PODS)]
}

/// Tries both requests.
pub(super) async fn readiness(context: &Context) -> Result<Readiness> {
    let valid = context.kube.create(&request(REQUEST), Mode::DryRun).await;
    let admitted = match valid {
        Ok(admitted) => admitted,
        Err(failure) if failure.is_unauthorized() => {
            return Ok(Readiness::unauthorized(&failure.about(&target())));
        }
        Err(failure) => return why(context, &failure.said()).await,
    };
    if admitted["spec"]["username"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        return Ok(Readiness::progressing(
            "cert-manager's mutating webhook did not see a dry-run CertificateRequest",
        ));
    }
    match context
        .kube
        .create(&request("not a csr"), Mode::DryRun)
        .await
    {
        Ok(_) => Ok(Readiness::progressing(
            "cert-manager's webhook admitted an invalid CertificateRequest",
        )),
        Err(failure) if is_denial(failure.code()) => Ok(Readiness::Ready),
        Err(failure) => why(context, &failure.said()).await,
    }
}

/// Whether the webhook itself said no: 500 is the API server saying that it could not ask.
const fn is_denial(code: Option<u16>) -> bool {
    matches!(code, Some(400 | 403 | 406 | 422))
}

async fn why(context: &Context, said: &str) -> Result<Readiness> {
    let pods = context.kube.list(&selections()[0]).await?;
    let waiting: Vec<&Value> = pods.iter().filter(|it| !pod_reason::is_ready(it)).collect();
    let Some(pod) = waiting.first() else {
        return Ok(Readiness::progressing(format!(
            "cert-manager's webhook does not answer: {}",
            short(said)
        )));
    };
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let events = context
        .kube
        .list(&Selection::namespaced("v1", "Event", namespace))
        .await?;
    Ok(pod_reason::worst(
        waiting.iter().map(|it| pod_reason::readiness(it, &events)),
    ))
}

fn target() -> crate::clients::kube::Target {
    crate::clients::kube::Target::namespaced(
        "cert-manager.io/v1",
        "CertificateRequest",
        "default",
        "arcctl-probe",
    )
}

fn request(pem: &str) -> Value {
    json!({
        "apiVersion": "cert-manager.io/v1",
        "kind": "CertificateRequest",
        "metadata": {"generateName": "arcctl-probe-", "namespace": "default"},
        "spec": {"request": STANDARD.encode(pem), "issuerRef": {"name": "arcctl-probe"}},
    })
}
