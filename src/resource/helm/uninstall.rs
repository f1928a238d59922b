//! Uninstalls a Helm release that no one else needs, and deletes objects that its pods created.

use serde_json::Value;

use super::release::newest_release;
use crate::{
    clients::kube::{Selection, Target},
    desired::{
        names,
        resource::{HelmRelease, Webhooks},
    },
    error::Result,
    profile::{SCALE_SET_RELEASE, ScaleSets, full_name},
    resource::{
        context::Context,
        deletion::{ours, release_id, stays},
        observed::{Observed, Ownership, Present, Readiness},
    },
};

/// The owner of the release, by helm's record, or else by the recorded state; `None` where neither exists.
pub(crate) async fn owner(
    context: &Context,
    namespace: &str,
    name: &str,
    profile: &str,
) -> Result<Option<Ownership>> {
    let record = newest_release(&context.kube, namespace, name).await?;
    let record = record.filter(|it| it.status != "uninstalled");
    Ok(record.map(|it| it.ownership(profile)).or_else(|| {
        let known = context.removal.was_ours(&release_id(namespace, name));
        known.then_some(Ownership::Ours)
    }))
}

impl HelmRelease {
    /// What remains of it: its record, else its pods, else objects that its pods created.
    pub(crate) async fn remains(&self, context: &Context) -> Result<Observed> {
        let record = newest_release(&context.kube, &self.namespace, &self.name).await?;
        let id = release_id(&self.namespace, &self.name);
        let Some(record) = record.filter(|it| it.status != "uninstalled") else {
            if !context.removal.was_ours(&id) {
                return Ok(Observed::Absent);
            }
            return self.leftovers(context).await;
        };
        let ownership = record.ownership(&self.profile);
        let leases = leases(&self.namespace, &self.name, &record.values);
        context.removal.saw_leases(&id, leases);
        context
            .removal
            .learn(&self.namespace, ownership != Ownership::Ours);
        if ownership != Ownership::Ours {
            return Ok(Observed::Present(Present {
                ownership,
                ..Present::same(Readiness::Ready)
            }));
        }
        // After the uninstallation nothing else shows who owns the rest.
        context.removal.saw(&id);
        if let Some(user) = self.user(context, &record.chart).await? {
            context.removal.learn(&self.namespace, true);
            return Ok(stays(format!("{user} needs it, and is not arcctl's")));
        }
        Ok(ours(
            self.held(context, &record).unwrap_or(Readiness::Ready),
        ))
    }

    /// What an uninstallation leaves: terminating pods, and then the objects that they created.
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

    /// Uninstalls it, or deletes what is left. Checked again before: its owner or users may have changed.
    pub(crate) async fn delete(&self, context: &Context) -> Result<()> {
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

    /// Objects that the release's pods created, and that an uninstallation keeps.
    async fn by_products(&self, context: &Context) -> Result<Vec<(Target, Value)>> {
        let mut found = Webhooks {
            namespace: self.namespace.clone(),
            release: self.name.clone(),
        }
        .configurations(context)
        .await?;
        let id = release_id(&self.namespace, &self.name);
        let leases = context
            .removal
            .leases(&id)
            .unwrap_or_else(|| leases(&self.namespace, &self.name, &self.values));
        let leases = leases.into_iter().map(|(namespace, name)| {
            Target::namespaced("coordination.k8s.io/v1", "Lease", &namespace, &name)
        });
        let secret = if self.name == names::CERT_MANAGER {
            "cert-manager-webhook-ca".to_owned()
        } else {
            format!("{}-serving-cert", full_name(&self.name))
        };
        let secret = Target::namespaced("v1", "Secret", &self.namespace, &secret);
        let targets = leases.chain([secret]);
        for target in targets {
            if let Some(live) = context.kube.get(&target).await?
                && self.made(&live)
            {
                found.push((target, live));
            }
        }
        Ok(found)
    }

    /// Whether the release's pods created `live`: a Lease was held by one of its pods, a Secret belongs to its
    /// certificate.
    fn made(&self, live: &Value) -> bool {
        let metadata = &live["metadata"];
        let holder = live["spec"]["holderIdentity"].as_str().unwrap_or_default();
        if live["kind"] == "Lease" {
            return holder.is_empty()
                || [full_name(&self.name), self.name.clone()]
                    .iter()
                    .any(|name| holder.starts_with(&format!("{name}-")));
        }
        let certificate = format!("{}-serving-cert", full_name(&self.name));
        metadata["annotations"]["cert-manager.io/certificate-name"] == certificate.as_str()
            || metadata["annotations"]["cert-manager.io/allow-direct-injection"] == "true"
    }
}

/// The leader election Leases of a release with these values, as namespace and name (source: the
/// templates of the charts, and the names in cert-manager's `cmd/controller` and `cmd/cainjector`).
fn leases(namespace: &str, release: &str, values: &Value) -> Vec<(String, String)> {
    let given = |value: &Value, otherwise: &str| {
        let text = value.as_str().filter(|it| !it.is_empty());
        text.unwrap_or(otherwise).to_owned()
    };
    if release == names::CERT_MANAGER {
        let place = given(
            &values["global"]["leaderElection"]["namespace"],
            "kube-system",
        );
        return [
            "cert-manager-controller",
            "cert-manager-cainjector-leader-election",
        ]
        .map(|name| (place.clone(), name.to_owned()))
        .into();
    }
    if release == SCALE_SET_RELEASE {
        return vec![(namespace.to_owned(), ScaleSets::default().full_name())];
    }
    let name = given(&values["leaderElectionId"], &full_name(release));
    vec![(namespace.to_owned(), name)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leases_are_where_the_values_put_them() {
        let of = |release: &str, values: &Value| {
            let all = leases("n", release, values).into_iter();
            all.map(|(place, name)| format!("{place}/{name}"))
                .collect::<Vec<_>>()
        };
        let (cert_manager, controller) = (names::CERT_MANAGER, names::CONTROLLER);
        assert_eq!(of(controller, &json!({})), ["n/actions-runner-controller"]);
        assert_eq!(of(controller, &json!({"leaderElectionId": "x"})), ["n/x"]);
        assert_eq!(
            of(SCALE_SET_RELEASE, &json!({})),
            ["n/arc-gha-rs-controller"]
        );
        let kube_system = [
            "kube-system/cert-manager-controller",
            "kube-system/cert-manager-cainjector-leader-election",
        ];
        assert_eq!(of(cert_manager, &Value::Null), kube_system);
        let own = json!({"global": {"leaderElection": {"namespace": "cert-manager"}}});
        assert_eq!(
            of(cert_manager, &own),
            kube_system.map(|it| it.replace("kube-system", "cert-manager"))
        );
    }
}
