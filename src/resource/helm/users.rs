//! Finds other users of a release: foreign objects that its controllers process. While there are any, it is kept.

use serde_json::Value;

use super::conflicts::{RELEASE_NAME, RELEASE_NAMESPACE};
use crate::{
    clients::kube::{Kind, Selection},
    desired::{names, resource::HelmRelease},
    error::{ErrorKind, Result},
    resource::{
        context::Context, deletion::release_id, kubernetes::ownership, observed::Ownership,
        scale_sets, webhooks::is_of_release,
    },
};

/// Kinds that cert-manager processes. An object that one of these kinds owns does not count: its owner does.
const OF_CERT_MANAGER: [(&str, &str); 6] = [
    ("cert-manager.io/v1", "Issuer"),
    ("cert-manager.io/v1", "ClusterIssuer"),
    ("cert-manager.io/v1", "Certificate"),
    // Also created by csi-driver, istio-csr and the like, without a Certificate (cert-manager.io/docs/usage).
    ("cert-manager.io/v1", "CertificateRequest"),
    ("acme.cert-manager.io/v1", "Order"),
    ("acme.cert-manager.io/v1", "Challenge"),
];

const OF_THE_CONTROLLER: [&str; 5] = [
    "RunnerDeployment",
    "RunnerSet",
    "HorizontalRunnerAutoscaler",
    "RunnerReplicaSet",
    "Runner",
];

/// Kinds with annotations that request a certificate (cert-manager.io/docs/usage: ingress, gateway).
const ANNOTATED: [(&str, &str); 2] = [
    ("networking.k8s.io/v1", "Ingress"),
    ("gateway.networking.k8s.io/v1", "Gateway"),
];

const ASKING: [&str; 3] = [
    "cert-manager.io/issuer",
    "cert-manager.io/cluster-issuer",
    "kubernetes.io/tls-acme",
];

/// Kinds with annotations for cert-manager's CA injector (cert-manager.io/docs/concepts/ca-injector).
const INJECTED: [(&str, &str); 3] = [
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    ),
    ("apiregistration.k8s.io/v1", "APIService"),
];

const INJECTING: [&str; 3] = [
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-ca-from-secret",
    "cert-manager.io/inject-apiserver-ca",
];

/// cert-manager's own API groups; other groups below its domain belong to add-ons: trust-manager's Bundles,
/// approver-policy's policies, external issuers.
const OWN_GROUPS: [&str; 2] = ["cert-manager.io", "acme.cert-manager.io"];

const DOMAIN: &str = ".cert-manager.io";

impl HelmRelease {
    /// The first other user of the release, which has this chart.
    pub(super) async fn user(&self, context: &Context, chart: &str) -> Result<Option<String>> {
        // Nothing but its own controller uses a scale set.
        if chart == names::SCALE_SET_CHART {
            return Ok(None);
        }
        if chart == names::SCALE_SET_CONTROLLER_CHART {
            let kinds = [Kind::new(scale_sets::API_VERSION, "AutoscalingRunnerSet")];
            return self.first_of_others(context, &kinds).await;
        }
        if self.name != names::CERT_MANAGER {
            let kinds = OF_THE_CONTROLLER.map(|kind| Kind::new(names::ARC_API_VERSION, kind));
            return self.first_of_others(context, &kinds).await;
        }
        let kinds = OF_CERT_MANAGER.map(|(version, kind)| Kind::new(version, kind));
        if let Some(user) = self.first_of_others(context, &kinds).await? {
            return Ok(Some(user));
        }
        for (kinds, annotations) in [(&ANNOTATED[..], ASKING), (&INJECTED[..], INJECTING)] {
            for (version, kind) in kinds {
                let kind = Kind::new(version, kind);
                let asks = |live: &Value| {
                    let given = &live["metadata"]["annotations"];
                    let asks = annotations.iter().any(|it| given[*it].is_string());
                    asks && !self.is_own(context, live)
                };
                if let Some(user) = first(context, &kind, asks).await? {
                    return Ok(Some(user));
                }
            }
        }
        self.add_on(context).await
    }

    /// The first object of these kinds that is not arcctl's, and that none of these kinds owns: it is deleted with its
    /// owner, even if the garbage collector has not deleted it yet.
    async fn first_of_others(&self, context: &Context, kinds: &[Kind]) -> Result<Option<String>> {
        for kind in kinds {
            let is_user = |live: &Value| !self.is_own(context, live) && !is_owned_by(live, kinds);
            if let Some(user) = first(context, kind, is_user).await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// Add-ons that request certificates from cert-manager, found by their own objects.
    async fn add_on(&self, context: &Context) -> Result<Option<String>> {
        for kind in context.kube.kinds_of(&is_of_an_add_on).await? {
            let user = match first(context, &kind, |_| true).await {
                // Objects that this user cannot read may belong to other users.
                Err(error) if error.kind == ErrorKind::Unauthorized => {
                    let (plural, group) = (kind.plural(), kind.group());
                    Some(format!(
                        "one of the `{plural}.{group}`, which this user may not list,"
                    ))
                }
                other => other?,
            };
            if user.is_some() {
                return Ok(user);
            }
        }
        // Pods with the driver have certificates, which are deleted with the pods.
        let drivers = Kind::new("storage.k8s.io/v1", "CSIDriver");
        let of_cert_manager = |live: &Value| {
            let name = live["metadata"]["name"].as_str().unwrap_or_default();
            name.ends_with(DOMAIN)
        };
        first(context, &drivers, of_cert_manager).await
    }

    /// Whether `live` is this profile's, or of one of its releases that is deleted.
    fn is_own(&self, context: &Context, live: &Value) -> bool {
        let controller = &context.profile.controller;
        let controller_stays = context.removal.stays(&controller.namespace);
        // A controller for one namespace does not process runners in other namespaces.
        let is_controller = self.name == controller.release;
        let elsewhere = controller.watch_namespace.as_ref().is_some_and(|watched| {
            is_controller && live["metadata"]["namespace"] != watched.as_str()
        });
        elsewhere
            || ownership::of_object(live, &self.profile) == Ownership::Ours
            || is_of_recorded_release(context, live)
            || !controller_stays && is_of_release(live, &controller.namespace, &controller.release)
            || is_of_release(live, &self.namespace, &self.name)
    }
}

/// Whether `live` is of a release in the inventory.
fn is_of_recorded_release(context: &Context, live: &Value) -> bool {
    let annotation = |name: &str| live["metadata"]["annotations"][name].as_str();
    let release = annotation(RELEASE_NAMESPACE).zip(annotation(RELEASE_NAME));
    release.is_some_and(|(namespace, name)| context.removal.was_ours(&release_id(namespace, name)))
}

/// Whether an API group belongs to a cert-manager add-on, and not to cert-manager itself.
fn is_of_an_add_on(group: &str) -> bool {
    group.ends_with(DOMAIN) && !OWN_GROUPS.contains(&group)
}

/// Whether an object of one of `kinds` owns `live`.
fn is_owned_by(live: &Value, kinds: &[Kind]) -> bool {
    let owners = live["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|owner| {
        let version = owner["apiVersion"].as_str().unwrap_or_default();
        let group = version.rsplit_once('/').map_or("", |it| it.0);
        kinds
            .iter()
            .any(|it| it.group() == group && owner["kind"] == it.name())
    })
}

async fn first(
    context: &Context,
    kind: &Kind,
    is_user: impl Fn(&Value) -> bool,
) -> Result<Option<String>> {
    let mut found = None;
    context
        .kube
        .each(&everywhere(kind), |live| {
            if found.is_none() && is_user(live) {
                found = Some(named(kind, live));
            }
        })
        .await?;
    Ok(found)
}

fn everywhere(kind: &Kind) -> Selection {
    Selection {
        kind: kind.clone(),
        namespace: None,
        labels: None,
        fields: None,
    }
}

fn named(kind: &Kind, live: &Value) -> String {
    let metadata = &live["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{} `{namespace}/{name}`", kind.name()),
        None => format!("{} `{name}`", kind.name()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_below_the_domain_are_of_add_ons() {
        for group in [
            "trust.cert-manager.io",
            "policy.cert-manager.io",
            "awspca.cert-manager.io",
        ] {
            assert!(is_of_an_add_on(group), "{group}");
        }
        for group in [
            "cert-manager.io",
            "acme.cert-manager.io",
            "apps",
            "x.example.io",
        ] {
            assert!(!is_of_an_add_on(group), "{group}");
        }
    }

    #[test]
    fn only_a_request_that_nothing_of_cert_manager_owns_is_somebodys() {
        let kinds = OF_CERT_MANAGER.map(|(version, kind)| Kind::new(version, kind));
        let of = |version: &str, kind: &str| {
            let owner = json!({"apiVersion": version, "kind": kind, "uid": "1"});
            is_owned_by(&json!({"metadata": {"ownerReferences": [owner]}}), &kinds)
        };
        assert!(of("cert-manager.io/v1", "Certificate"));
        assert!(of("cert-manager.io/v1", "CertificateRequest"));
        assert!(of("acme.cert-manager.io/v1", "Order"));
        // csi-driver's object, and a user's own kind of this name.
        assert!(!of("v1", "Pod"));
        assert!(!of("example.io/v1", "Certificate"));
        // istio-csr's object.
        assert!(!is_owned_by(
            &json!({"metadata": {"name": "istio-csr-x"}}),
            &kinds
        ));
    }

    #[test]
    fn a_user_is_named_as_kubectl_finds_it() {
        let kind = Kind::new("trust.cert-manager.io/v1alpha1", "Bundle");
        let live = json!({"metadata": {"name": "b", "namespace": "n"}});
        assert_eq!(named(&kind, &live), "Bundle `n/b`");
        let live = json!({"metadata": {"name": "b"}});
        assert_eq!(named(&kind, &live), "Bundle `b`");
    }
}
