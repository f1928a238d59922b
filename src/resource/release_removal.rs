//! A Helm release that goes: uninstalled where nobody else needs it, and with it what its programs made by themselves.

use jiff::Timestamp;
use serde_json::Value;

use super::{
    HelmRelease, Webhooks,
    context::Context,
    helm_release::{at_work, newest_release},
    observed::{Observed, Ownership, Present, Readiness},
    owner,
    removal::{ours, release_id, stays},
    webhooks::is_of_release,
};
use crate::{
    clients::kube::{Selection, Target},
    desired::names,
    error::Result,
};

const ISSUER: &str = "cert-manager.io/v1";

/// What cert-manager does for others.
const ISSUED: [&str; 3] = ["Certificate", "ClusterIssuer", "Issuer"];

/// What the controller does for others.
const SERVED: [&str; 3] = [
    "RunnerDeployment",
    "RunnerSet",
    "HorizontalRunnerAutoscaler",
];

/// Whose the release is, by helm's record of it; without one, by what is known of it; `None` where nothing is.
pub(super) async fn owner(
    context: &Context,
    namespace: &str,
    name: &str,
    profile: &str,
) -> Result<Option<Ownership>> {
    let record = newest_release(&context.kube, namespace, name).await?;
    Ok(match record.filter(|it| it.status != "uninstalled") {
        Some(record) => Some(record.ownership(profile)),
        None if context.removal.was_ours(&release_id(namespace, name)) => Some(Ownership::Ours),
        None => None,
    })
}

impl HelmRelease {
    /// What is left of it: its record, else its pods, else what its programs made.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let record = newest_release(&context.kube, &self.namespace, &self.name).await?;
        let id = release_id(&self.namespace, &self.name);
        let Some(record) = record.filter(|it| it.status != "uninstalled") else {
            if !context.removal.was_ours(&id) {
                return Ok(Observed::Absent);
            }
            return self.leftovers(context).await;
        };
        let ownership = record.ownership(&self.profile);
        context
            .removal
            .learn(&self.namespace, ownership != Ownership::Ours);
        if ownership != Ownership::Ours {
            return Ok(Observed::Present(Present {
                ownership,
                ..Present::same(Readiness::Ready)
            }));
        }
        // Once it is uninstalled nothing else says whose the rest is.
        context.removal.saw(&id);
        if let Some(user) = self.user(context).await? {
            context.removal.learn(&self.namespace, true);
            return Ok(stays(format!("{user} needs it")));
        }
        Ok(ours(
            at_work(&record, Timestamp::now().as_second()).unwrap_or(Readiness::Ready),
        ))
    }

    /// What a release leaves when it is uninstalled: pods that still end, and then what they made.
    async fn leftovers(&self, context: &Context) -> Result<Observed> {
        let pods = Selection::namespaced("v1", "Pod", &self.namespace)
            .labelled(format!("app.kubernetes.io/instance={}", self.name));
        let pods = context.kube.list(&pods).await?;
        if let Some(pod) = pods.first() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            return Ok(ours(Readiness::progressing(format!(
                "pod `{name}` of the release still ends"
            ))));
        }
        Ok(match self.by_products(context).await?.as_slice() {
            [] => Observed::Absent,
            _ => ours(Readiness::Ready),
        })
    }

    /// Uninstalls it, or deletes what it left. Looked at once more: it may have changed hands or found a user.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        let Observed::Present(present) = self.remains(context).await? else {
            return Ok(());
        };
        if present.ownership != Ownership::Ours || present.readiness != Readiness::Ready {
            return Ok(());
        }
        if newest_release(&context.kube, &self.namespace, &self.name)
            .await?
            .is_some()
        {
            return context
                .helm
                .uninstall(self)
                .await
                .map_err(|error| error.object(release_id(&self.namespace, &self.name)));
        }
        for (target, live) in self.by_products(context).await? {
            context.kube.delete_exactly(&target, &live).await?;
        }
        Ok(())
    }

    /// What the release's programs made and no uninstallation takes away.
    async fn by_products(&self, context: &Context) -> Result<Vec<(Target, Value)>> {
        let mut found = Webhooks {
            namespace: self.namespace.clone(),
            release: self.name.clone(),
        }
        .configurations(context)
        .await?;
        let lease = |namespace: &str, name: &str| {
            Target::namespaced("coordination.k8s.io/v1", "Lease", namespace, name)
        };
        let secret = |name: &str| Target::namespaced("v1", "Secret", &self.namespace, name);
        let targets = if self.name == names::CERT_MANAGER {
            vec![
                lease("kube-system", "cert-manager-controller"),
                lease("kube-system", "cert-manager-cainjector-leader-election"),
                secret("cert-manager-webhook-ca"),
            ]
        } else {
            vec![
                lease(&self.namespace, &self.name),
                secret(&format!("{}-serving-cert", self.name)),
            ]
        };
        for target in targets {
            if let Some(live) = context.kube.get(&target).await?
                && self.made(&live)
            {
                found.push((target, live));
            }
        }
        Ok(found)
    }

    /// Whether `live` was made by this release's programs: a Lease was held by one of its pods, a Secret is of its
    /// certificate.
    fn made(&self, live: &Value) -> bool {
        let metadata = &live["metadata"];
        let holder = live["spec"]["holderIdentity"].as_str().unwrap_or_default();
        if live["kind"] == "Lease" {
            return holder.is_empty() || holder.starts_with(&format!("{}-", self.name));
        }
        let certificate = format!("{}-serving-cert", self.name);
        metadata["annotations"]["cert-manager.io/certificate-name"] == certificate.as_str()
            || metadata["annotations"]["cert-manager.io/allow-direct-injection"] == "true"
    }

    /// Who else needs the release: the first that is found.
    async fn user(&self, context: &Context) -> Result<Option<String>> {
        let (version, kinds) = if self.name == names::CERT_MANAGER {
            (ISSUER, ISSUED)
        } else {
            (names::ARC_API_VERSION, SERVED)
        };
        let controller_stays = context.removal.stays(names::SYSTEM_NAMESPACE);
        for kind in kinds {
            for live in context.kube.list(&Selection::all(version, kind)).await? {
                let own = owner::of_object(&live, &self.profile) == Ownership::Ours
                    || !controller_stays
                        && is_of_release(&live, names::SYSTEM_NAMESPACE, names::CONTROLLER)
                    || is_of_release(&live, &self.namespace, &self.name);
                if !own {
                    let text = |key: &str| live["metadata"][key].as_str().unwrap_or_default();
                    return Ok(Some(format!(
                        "{kind} `{}/{}`",
                        text("namespace"),
                        text("name")
                    )));
                }
            }
        }
        Ok(None)
    }
}
