//! That cert-manager works: its three Deployments are rolled out, in whatever namespace its webhook is called, and its
//! webhooks answer, which a dry-run `CertificateRequest` that is admitted and an invalid one that is denied show
//! (DESIGN 5; the same probe as `cmctl check api`, reference: arc.md 3.2).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{error::short, readiness};
use crate::{
    clients::kube::{Kube, Mode, Selection},
    desired::names,
    error::Result,
    resource::{
        context::Context,
        kubernetes::rollout::{self, PARTS_SELECTOR},
        observed::Readiness,
    },
};

/// A certificate signing request that nobody has the key of.
const REQUEST: &str = include_str!("probe.csr");

/// What the name of cert-manager's own webhook ends with, however it was installed.
const WEBHOOK: &str = "webhook.cert-manager.io";

/// What a watch must look at to see cert-manager come.
pub(crate) fn selections() -> Vec<Selection> {
    // Elsewhere it is looked at in the proof's interval.
    [("v1", "Pod"), ("apps/v1", "Deployment")]
        .map(|(version, kind)| {
            Selection::namespaced(version, kind, names::CERT_MANAGER_NAMESPACE)
                .labelled(PARTS_SELECTOR)
        })
        .into()
}

/// Looks at the Deployments and tries both requests.
pub(crate) async fn readiness(context: &Context) -> Result<Readiness> {
    let (parts, admission) = tokio::join!(parts(context), admission(context));
    let (parts, admission) = (parts?, admission?);
    Ok(match (parts, admission) {
        (Readiness::Ready, admission) => admission,
        (
            _,
            refused @ Readiness::Stuck {
                unauthorized: true, ..
            },
        ) => refused,
        // A part that does not run is why a webhook does not answer.
        (parts, _) => parts,
    })
}

/// The namespace in which the API server calls cert-manager's webhook.
pub(super) async fn namespace(kube: &Kube) -> Result<Option<String>> {
    let selection = Selection::all(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    );
    let configurations = kube.list(&selection).await?;
    Ok(webhook_namespace(&configurations))
}

/// The namespace of the Service that cert-manager's webhook has in these configurations.
pub fn webhook_namespace(configurations: &[Value]) -> Option<String> {
    let own = |it: &&Value| {
        let mut webhooks = it["webhooks"].as_array().into_iter().flatten();
        webhooks.any(|it| {
            it["name"]
                .as_str()
                .is_some_and(|name| name.ends_with(WEBHOOK))
        })
    };
    configurations
        .iter()
        .filter(own)
        .flat_map(readiness::services)
        .map(|(namespace, _)| namespace.to_owned())
        .next()
}

/// Whether the controller, the injector of certificate authorities and the webhook are rolled out. Where nothing has
/// the labels of its chart and manifests, only the webhook's answers are known.
async fn parts(context: &Context) -> Result<Readiness> {
    let Some(namespace) = namespace(&context.kube).await? else {
        return Ok(Readiness::progressing(
            "cert-manager's webhook configuration is not there yet",
        ));
    };
    let of = |version: &str, kind: &str| {
        Selection::namespaced(version, kind, &namespace).labelled(PARTS_SELECTOR)
    };
    let deployments = context.kube.list(&of("apps/v1", "Deployment")).await?;
    match rollout::cert_manager(&namespace, &deployments, &[], &[]) {
        None | Some(Readiness::Ready) => return Ok(Readiness::Ready),
        Some(_) => {}
    }
    let pods = of("v1", "Pod");
    let (pods, events) = tokio::try_join!(context.kube.list(&pods), context.events(&namespace))?;
    Ok(rollout::cert_manager(&namespace, &deployments, &pods, &events).unwrap_or(Readiness::Ready))
}

async fn admission(context: &Context) -> Result<Readiness> {
    let valid = context.kube.create(&request(REQUEST), Mode::DryRun).await;
    let admitted = match valid {
        Ok(admitted) => admitted,
        Err(failure) if failure.is_unauthorized() => {
            return Ok(Readiness::unauthorized(&failure.about(&target())));
        }
        Err(failure) => return Ok(silent(&failure.said())),
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
        Err(failure) => Ok(silent(&failure.said())),
    }
}

/// Whether the webhook itself said no: 500 is the API server saying that it could not ask.
const fn is_denial(code: Option<u16>) -> bool {
    matches!(code, Some(400 | 403 | 406 | 422))
}

fn silent(said: &str) -> Readiness {
    Readiness::progressing(format!(
        "cert-manager's webhook does not answer: {}",
        short(said)
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
