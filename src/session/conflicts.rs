//! Detects what other owners have in this cluster: used unchanged, reported, or an error before any write.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    clients::kube::{Kube, Selection, Target},
    desired::{monitoring, names},
    error::{Error, ErrorKind, Result, System},
    inventory,
    profile::{Auto, Profile},
    resource::{
        other_controllers::{Meeting, OtherController, deployments, others, set_controllers},
        release_records,
    },
};

/// The CRD of the Prometheus operator for `ServiceMonitors`.
pub(super) const MONITORS: &str = "servicemonitors.monitoring.coreos.com";

/// The CRD for `PodMonitors`.
pub(super) const POD_MONITORS: &str = "podmonitors.monitoring.coreos.com";

/// The CRD for `PrometheusRules`.
pub(super) const RULES: &str = "prometheusrules.monitoring.coreos.com";

const WEBHOOKS: &str = "admissionregistration.k8s.io/v1";

/// The existing installations of other owners.
pub(super) struct Looked {
    /// Whether a cert-manager exists that arcctl did not install: it is used and not changed.
    pub cert_manager: bool,
    /// Whether helm has no record of cert-manager's release.
    pub no_release: bool,
    /// Whether the controller's webhooks are missing: its release is absent, or lacks objects.
    pub no_controller: bool,
    /// The warnings.
    pub advice: Vec<String>,
}

/// The caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A run that may write: a conflict is an error.
    Run,
    /// The doctor, which has its own checks for conflicts.
    Doctor,
}

/// Detects the existing installations of other owners.
pub(super) async fn look(kube: &Kube, profile: &Profile, whom: For) -> Result<Looked> {
    let selection = Selection::all(WEBHOOKS, "ValidatingWebhookConfiguration");
    // Who uses the cert-manager of another team may not read its namespace.
    let releases = async {
        if profile.cert_manager.install == Auto::Never {
            return Ok(Vec::new());
        }
        let records = release_records(&profile.cert_manager.namespace, names::CERT_MANAGER);
        kube.list_metadata(&records).await
    };
    let (configurations, releases) = tokio::join!(kube.list(&selection), releases);
    let (configurations, releases) = (configurations?, releases?);
    let mut advice = Vec::new();
    if whom == For::Run {
        advice = beside_others(kube, profile, &configurations).await?;
        refuse_controller_without_helm(kube, profile, &configurations).await?;
        advice.extend(beside_set_controllers(kube, profile).await?);
    }
    Ok(Looked {
        cert_manager: cert_manager(kube, profile, &configurations, &releases).await?,
        no_release: releases.is_empty(),
        no_controller: own_configuration(profile, &configurations).is_none(),
        advice,
    })
}

/// The controllers of other teams: each causes a warning, or an error.
async fn beside_others(
    kube: &Kube,
    profile: &Profile,
    configurations: &[Value],
) -> Result<Vec<String>> {
    let others = others(configurations, profile);
    let meets = others.iter().any(|it| it.shares(profile).is_some());
    let installed = meets && is_installed(kube, profile).await?;
    let mut advice = Vec::new();
    for other in others {
        let gone = missing_service(kube, &other).await?;
        match other.meets(profile, gone.as_ref(), installed) {
            Meeting::Apart => {}
            Meeting::Told(words) => advice.push(words),
            Meeting::Refused(error) => return Err(error),
        }
    }
    Ok(advice)
}

/// Whether arcctl's own controller is installed.
async fn is_installed(kube: &Kube, profile: &Profile) -> Result<bool> {
    let known = inventory::read(kube, inventory::Home::of(profile)).await?;
    let controller = &profile.controller;
    let id = format!(
        "helm-release/{}/{}",
        controller.namespace, controller.release
    );
    let name = controller.full_name();
    let deployment = Target::namespaced("apps/v1", "Deployment", &controller.namespace, &name);
    Ok(known.records.contains_key(&id) && kube.exists(&deployment).await?)
}

/// The controllers of scale sets beside the profile's: each causes a warning, or an error.
async fn beside_set_controllers(kube: &Kube, profile: &Profile) -> Result<Vec<String>> {
    if !profile.has_scale_sets() {
        return Ok(Vec::new());
    }
    let all = set_controllers(&kube.list(&deployments()).await?);
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let namespace = &profile.scale_sets.namespace;
    let id = format!("helm-release/{namespace}/{}", names::SCALE_SET_RELEASE);
    let known = inventory::read(kube, inventory::Home::of(profile)).await?;
    let is_recorded = known.records.contains_key(&id);
    let own = all.iter().find(|it| it.is_of(profile));
    if let Some(own) = own.filter(|_| !is_recorded) {
        let records = release_records(namespace, names::SCALE_SET_RELEASE);
        if kube.list_metadata(&records).await?.is_empty() {
            return Err(own.without_helm());
        }
    }
    let mut advice = Vec::new();
    for other in all.iter().filter(|it| !it.is_of(profile)) {
        match other.meets(profile, is_recorded && own.is_some()) {
            Meeting::Apart => {}
            Meeting::Told(words) => advice.push(words),
            Meeting::Refused(error) => return Err(error),
        }
    }
    Ok(advice)
}

/// The missing Service of another controller. If this user may not read the other team's namespace, the Service is assumed
/// to exist.
async fn missing_service(kube: &Kube, other: &OtherController) -> Result<Option<Target>> {
    for (namespace, name) in &other.services {
        let target = Target::namespaced("v1", "Service", namespace, name);
        match kube.get(&target).await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Some(target)),
            Err(error) if error.kind == ErrorKind::Unauthorized => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Which CRDs of the Prometheus operator the cluster has.
#[derive(Clone, Copy)]
pub(super) struct Operator {
    pub service_monitors: bool,
    pub pod_monitors: bool,
    pub rules: bool,
}

/// Fails if the profile needs objects whose CRD is missing.
pub(super) fn check_monitoring(profile: &Profile, operator: Operator) -> Result<()> {
    let Some(chosen) = &profile.monitoring else {
        return Ok(());
    };
    // A monitor of a controller that no pool needs is not made.
    let needed = |is_needed: bool, choice: Auto| is_needed && choice == Auto::Always;
    for (key, needed, known, crd, kind) in [
        (
            "serviceMonitor",
            needed(profile.has_deployments(), chosen.service_monitor),
            operator.service_monitors,
            MONITORS,
            "ServiceMonitors",
        ),
        (
            "podMonitor",
            needed(monitoring::watches_scale_sets(profile), chosen.pod_monitor),
            operator.pod_monitors,
            POD_MONITORS,
            "PodMonitors",
        ),
        (
            "alerts",
            needed(true, chosen.alerts),
            operator.rules,
            RULES,
            "PrometheusRules",
        ),
    ] {
        if needed && !known {
            return Err(Error::failed(
                System::Kubernetes,
                format!("monitoring.{key} is `always`, but this cluster has no CRD for {kind}"),
            )
            .object(format!("custom-resource-definition/-/{crd}"))
            .cause(format!("CustomResourceDefinition `{crd}` does not exist"))
            .hint(format!(
                "install the Prometheus operator first, or set monitoring.{key} to auto"
            )));
        }
    }
    Ok(())
}

/// A controller that was installed by kubectl, by Argo CD or with another storage driver of helm has no record of its
/// owner, and helm would fail half-way or adopt it silently.
async fn refuse_controller_without_helm(
    kube: &Kube,
    profile: &Profile,
    configurations: &[Value],
) -> Result<()> {
    let controller = &profile.controller;
    let Some(there) = own_configuration(profile, configurations) else {
        return Ok(());
    };
    let namespace = &controller.namespace;
    let records = release_records(namespace, &controller.release);
    if !kube.list_metadata(&records).await?.is_empty() {
        return Ok(());
    }
    let full_name = controller.full_name();
    let deployment = Target::namespaced("apps/v1", "Deployment", namespace, &full_name);
    if kube.get(&deployment).await?.is_none() {
        // The remains of an uninstallation: helm adopts them.
        return Ok(());
    }
    let id = format!("helm-release/{namespace}/{}", controller.release);
    let inventory = inventory::read(kube, inventory::Home::of(profile)).await?;
    if inventory.records.contains_key(&id) {
        return Ok(());
    }
    Err(second(
        "an Actions Runner Controller",
        there,
        "helm has no release record of it, so arcctl cannot adopt it: uninstall it with the tool that installed it (kubectl, Argo CD, helm with another storage driver), keep the CRDs, and run the same command again",
    )
    .cause(format!("{deployment} exists, but helm has no record of release `{}`", controller.release)))
}

/// The webhook configuration of the controller's release, by its name.
fn own_configuration<'a>(profile: &Profile, configurations: &'a [Value]) -> Option<&'a Value> {
    let own = format!(
        "{}-validating-webhook-configuration",
        profile.controller.full_name()
    );
    configurations.iter().find(|it| name(it) == own)
}

/// A cert-manager installed by helm, by kubectl or as an EKS add-on has a webhook configuration with its own webhook.
async fn cert_manager(
    kube: &Kube,
    profile: &Profile,
    configurations: &[Value],
    releases: &[Value],
) -> Result<bool> {
    let install = profile.cert_manager.install;
    let Some(there) = with(configurations, "webhook.cert-manager.io")
        .into_iter()
        .next()
    else {
        return match install {
            Auto::Never => Err(Error::failed(
                System::Kubernetes,
                "cert-manager is not installed in this cluster, and certManager.install is `never`",
            )
            .object("validating-webhook-configuration/-/cert-manager-webhook")
            .hint("install cert-manager, or set certManager.install to auto: arcctl installs it")),
            Auto::Auto | Auto::Always => Ok(false),
        };
    };
    if install == Auto::Always {
        return match releases {
            [] => Err(second(
                "a cert-manager",
                there,
                "set certManager.install to auto: arcctl then uses it and does not change it",
            )),
            _ => Ok(false),
        };
    }
    let ours = releases
        .iter()
        .any(|it| it["metadata"]["labels"][names::PROFILE_LABEL].is_string());
    if ours && install == Auto::Auto {
        return Ok(false);
    }
    refuse_leftover(kube, there).await?;
    Ok(true)
}

/// A configuration whose Service is gone is left from an uninstallation; it rejects every Certificate.
async fn refuse_leftover(kube: &Kube, configuration: &Value) -> Result<()> {
    for service in services(configuration) {
        let (Some(namespace), Some(service)) =
            (service["namespace"].as_str(), service["name"].as_str())
        else {
            continue;
        };
        let target = Target::namespaced("v1", "Service", namespace, service);
        if kube.get(&target).await?.is_none() {
            let name = name(configuration);
            return Err(Error::new(
                ErrorKind::Refused,
                System::Kubernetes,
                "a webhook configuration of cert-manager exists, but cert-manager is not installed",
            )
            .object(object(configuration))
            .cause(format!("its {target} does not exist"))
            .hint(format!(
                "if cert-manager was uninstalled, delete what it left: `kubectl delete validatingwebhookconfiguration,mutatingwebhookconfiguration {name}`"
            )));
        }
    }
    Ok(())
}

/// The configurations with a webhook whose name ends with `suffix`.
fn with<'a>(configurations: &'a [Value], suffix: &str) -> Vec<&'a Value> {
    let named = |configuration: &&Value| {
        webhooks(configuration).any(|it| {
            it["name"]
                .as_str()
                .is_some_and(|name| name.ends_with(suffix))
        })
    };
    configurations.iter().filter(named).collect()
}

fn webhooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration["webhooks"].as_array().into_iter().flatten()
}

fn services(configuration: &Value) -> impl Iterator<Item = &Value> {
    webhooks(configuration)
        .map(|it| &it["clientConfig"]["service"])
        .filter(|it| it.is_object())
}

pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn object(configuration: &Value) -> String {
    format!("validating-webhook-configuration/-/{}", name(configuration))
}

fn second(what: &str, configuration: &Value, hint: &str) -> Error {
    let place: BTreeSet<&str> = services(configuration)
        .filter_map(|it| it["namespace"].as_str())
        .collect();
    Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("{what} that arcctl does not manage runs in this cluster"),
    )
    .object(object(configuration))
    .cause(format!(
        "ValidatingWebhookConfiguration `{}` belongs to it, for a Service in namespace {}",
        name(configuration),
        place.into_iter().collect::<Vec<_>>().join(", ")
    ))
    .hint(hint)
}
