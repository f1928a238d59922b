//! Finds drift of a release: live objects that differ from what its manifest would produce now.
//!
//! Uses a dry run: changes that the API server or an admission webhook makes to the manifest are not drift, later changes
//! are. Results of helm's own write are not drift either: another upgrade would produce the same.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::{
    manifest::objects,
    manifest_drift::{Drift, as_stored, drift, is_as_written, patch_of},
    record::{ACCEPTED, ReleaseRecord},
};
use crate::{
    clients::kube::{FIELD_MANAGER, Target},
    desired::resource::HelmRelease,
    diff::Difference,
    error::{Error, Result},
    resource::context::Context,
    units::listed::first_of,
};

/// How many live objects are read at a time.
const CONCURRENT_READS: usize = 16;

/// The maximum number of owners and paths in a remark.
const NAMED: usize = 3;

impl HelmRelease {
    /// The changes in the release's objects since helm wrote them.
    pub(super) async fn drift(
        &self,
        context: &Context,
        record: &ReleaseRecord,
    ) -> Result<Vec<Drift>> {
        let what = format!("the manifest of release `{}`", self.name);
        let manifests = objects(&record.manifest, &what)?;
        let found: Vec<Vec<Drift>> = stream::iter(manifests)
            .map(|manifest| async move { self.drift_of(context, &manifest).await })
            .buffer_unordered(CONCURRENT_READS)
            .try_collect()
            .await?;
        let mut found: Vec<Drift> = found.into_iter().flatten().collect();
        found.sort_by(|left, right| left.difference.path.cmp(&right.difference.path));
        Ok(found)
    }

    async fn drift_of(&self, context: &Context, manifest: &Value) -> Result<Vec<Drift>> {
        let manifest = &as_stored(manifest.clone());
        let kind = manifest["kind"].as_str().unwrap_or_default();
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let named = format!("live.{kind}/{name}");
        let absent = || {
            vec![Drift {
                difference: Difference::of(&named, &Value::Null, &json!("present")),
                owners: Vec::new(),
            }]
        };
        let Some(target) = context.kube.place(manifest, &self.namespace).await? else {
            return Ok(absent());
        };
        let Some(live) = context.kube.get(&target).await? else {
            return Ok(absent());
        };
        if is_as_written(manifest, &live) {
            return Ok(Vec::new());
        }
        let mut found = match context.kube.try_merge(&target, &patch_of(manifest)).await {
            Ok(applied) => drift(manifest, &applied, &live),
            Err(failure) if failure.code() == Some(404) => return Ok(absent()),
            // A failing webhook must not block the plan, and what a policy rejects or this user may not write, helm could
            // not write either: then only differences from the manifest's text count that another field manager certainly
            // wrote.
            Err(failure) if failure.code().is_some_and(|code| code != 401) => {
                let mut found = drift(manifest, manifest, &live);
                found.retain(|it| !it.owners.is_empty());
                found
            }
            Err(failure) => return Err(failure.about(&target)),
        };
        found.retain(|it| !it.owners.iter().any(|owner| is_of_the_release(owner)));
        for drift in &mut found {
            drift.difference.path = format!("{named}.{}", drift.difference.path);
        }
        Ok(found)
    }

    /// Helm 3 compares custom resources with its last manifest instead of the live object: this restores manual changes in a
    /// Certificate or an Issuer.
    pub(super) async fn mend(&self, context: &Context, record: &ReleaseRecord) -> Result<()> {
        let what = format!("the manifest of release `{}`", self.name);
        for manifest in objects(&record.manifest, &what)? {
            let group = manifest["apiVersion"].as_str().unwrap_or_default();
            if !is_custom(group.split_once('/').map_or("", |(group, _)| group)) {
                continue;
            }
            let Some(target) = context.kube.place(&manifest, &self.namespace).await? else {
                continue;
            };
            if !self.drift_of(context, &manifest).await?.is_empty() {
                context.kube.merge(&target, &patch_of(&manifest)).await?;
            }
        }
        Ok(())
    }

    /// Accepts drift that an upgrade did not fix, or that reappeared right after it: records it with
    /// the revision, so that no later run upgrades for it again, and reports it.
    pub(super) async fn accept(
        &self,
        context: &Context,
        record: &ReleaseRecord,
        left: &[Drift],
    ) -> Result<()> {
        if left.is_empty() {
            return Ok(());
        }
        let mut accepted = record.accepted.clone();
        accepted.extend(left.iter().map(|it| it.difference.path.clone()));
        let text = serde_json::to_string(&accepted).map_err(|error| {
            Error::failed(
                crate::error::System::Local,
                "cannot write the paths of differences",
            )
            .cause(error)
        })?;
        let target = Target::namespaced("v1", "Secret", &self.namespace, &record.secret);
        let patch = json!({"metadata": {"annotations": {ACCEPTED: text}}});
        context.kube.merge(&target, &patch).await?;
        self.tell(context, left);
        Ok(())
    }

    /// Reports accepted drift, and who writes it.
    pub(super) fn tell(&self, context: &Context, left: &[Drift]) {
        let id = crate::resource::deletion::release_id(&self.namespace, &self.name);
        context.remarks.say(&id, told(left));
    }
}

/// The message about accepted drift.
fn told(left: &[Drift]) -> Option<String> {
    if left.is_empty() {
        return None;
    }
    let mut owners: Vec<&str> = left
        .iter()
        .flat_map(|it| it.owners.iter().map(String::as_str))
        .collect();
    owners.sort_unstable();
    owners.dedup();
    let owners: Vec<String> = owners
        .iter()
        .take(NAMED)
        .map(|it| format!("`{it}`"))
        .collect();
    let keeps = match owners.as_slice() {
        [] => "something keeps".to_owned(),
        [one] => format!("{one} keeps"),
        some => format!("{} keep", some.join(", ")),
    };
    let path = |it: &Drift| format!("`{}`", it.difference.path.trim_start_matches("live."));
    let paths = first_of(left.iter().map(path), 1, ["", " "]);
    Some(format!(
        "{keeps} changing {paths}; upgrading the chart does not help, so arcctl leaves it as it is"
    ))
}

/// Whether a field manager is helm, under any binary name, or arcctl on its behalf ([`HelmRelease::mend`]).
fn is_of_the_release(manager: &str) -> bool {
    manager == FIELD_MANAGER || manager.to_lowercase().contains("helm")
}

/// Whether an API group is not one of Kubernetes' own.
fn is_custom(group: &str) -> bool {
    group.contains('.') && !group.ends_with(".k8s.io")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_with_its_writer() {
        let drift = |path: &str, owners: &[&str]| Drift {
            difference: Difference::of(path, &json!(1), &json!(2)),
            owners: owners.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(told(&[]), None);
        assert_eq!(
            told(&[
                drift("live.Deployment/a.spec.replicas", &["keda"]),
                drift("live.Deployment/b", &[]),
            ])
            .unwrap(),
            "`keda` keeps changing `Deployment/a.spec.replicas` and 1 more; upgrading the chart does not help, so arcctl leaves it as it is"
        );
    }

    #[test]
    fn helm_is_known_by_every_name_of_its() {
        for manager in [
            "helm",
            "Helm",
            "helm3",
            "terraform-provider-helm",
            "helm-controller",
            "arcctl",
        ] {
            assert!(is_of_the_release(manager), "{manager}");
        }
        assert!(!is_of_the_release("kubectl-edit") && !is_of_the_release("manager"));
    }

    #[test]
    fn custom_groups_are_those_of_others() {
        assert!(is_custom("cert-manager.io") && is_custom("monitoring.coreos.com"));
        assert!(!is_custom("apps") && !is_custom("") && !is_custom("rbac.authorization.k8s.io"));
    }
}
