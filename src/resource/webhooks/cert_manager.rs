//! Checks that cert-manager works: its three Deployments are rolled out, in the namespace of its webhook, and its
//! webhooks respond: a dry run of a valid `CertificateRequest` is accepted and an invalid one is denied
//! (DESIGN 5; the same probe as `cmctl check api`, reference: arc.md 3.2).

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    error::{answered_by_the_kubelet, short},
    readiness,
};
use crate::{
    clients::kube::{Kube, Mode, Selection},
    desired::names,
    error::Result,
    resource::{
        context::Context,
        kubernetes::rollout::{self, PARTS_SELECTOR},
        observed::Readiness,
    },
    templates,
};

/// The suffix of the name of cert-manager's own webhook, for every installation method.
const WEBHOOK: &str = "webhook.cert-manager.io";

/// The watches for cert-manager.
pub(crate) fn selections() -> Vec<Selection> {
    // In other namespaces it is polled.
    [("v1", "Pod"), ("apps/v1", "Deployment")]
        .map(|(version, kind)| {
            Selection::namespaced(version, kind, names::CERT_MANAGER_NAMESPACE)
                .labelled(PARTS_SELECTOR)
        })
        .into()
}

/// Checks the Deployments and sends both requests.
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
        // A part that does not run explains a webhook that does not respond.
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

/// The namespace of the Service in these configurations of cert-manager's webhook.
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

/// Whether controller, cainjector and webhook are rolled out. Without the labels of its chart and manifests, only the
/// webhook's responses are checked.
async fn parts(context: &Context) -> Result<Readiness> {
    let Some(namespace) = namespace(&context.kube).await? else {
        return Ok(Readiness::progressing(
            "cert-manager's webhook configuration does not exist yet",
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
    let valid = context
        .kube
        .create(&request(&templates::PROBE_REQUEST.text(&[])), Mode::DryRun)
        .await;
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
            "cert-manager's mutating webhook was not called for a dry-run CertificateRequest",
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

/// Whether the webhook itself denied: 500 means that the API server could not call it.
const fn is_denial(code: Option<u16>) -> bool {
    matches!(code, Some(400 | 403 | 406 | 422))
}

fn silent(said: &str) -> Readiness {
    let mend = "write `certManager: {values: {webhook: {securePort: 10260}}}` into the profile, or give the same value to the chart of a cert-manager that arcctl has not installed";
    answered_by_the_kubelet(said, "cert-manager's webhook", mend).unwrap_or_else(|| {
        Readiness::progressing(format!(
            "cert-manager's webhook does not respond: {}",
            short(said)
        ))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_in_the_place_of_the_webhook_is_told_with_what_mends_it() {
        let post = "Internal error occurred: failed calling webhook \"webhook.cert-manager.io\": failed to call webhook: Post \"https://x\": ";
        let kubelet = silent(&format!(
            "{post}tls: failed to verify certificate: x509: certificate is valid for ip-10-0-0-1.ec2.internal, not cert-manager-webhook.cert-manager.svc"
        ));
        let Readiness::Stuck { reason, hint, .. } = kubelet else {
            panic!("it is waited for");
        };
        assert!(
            reason.contains("the kubelet answers") && reason.contains("ip-10-0-0-1"),
            "{reason}"
        );
        assert!(hint.contains("securePort: 10260"), "{hint}");
        let slow = silent(&format!("{post}context deadline exceeded"));
        assert!(matches!(slow, Readiness::Progressing { .. }));
    }
}
