//! The backup of an upgrade in the cluster: made before the first step, used on the way back, removed after it.

use serde_json::{Value, json};

use crate::{
    clients::kube::{Kube, Mode, Selection, Target},
    desired::{
        names,
        resource::{CrdSet, HelmRelease, Id, KubeObject, Resource},
        teardown::Records,
    },
    error::{Error, Result, System},
    inventory::{self, Home},
    profile::Profile,
    resource::newest_release,
    session::Session,
    upgrade::{
        Upgrade,
        backup::{Part, Place, as_applied, content, is_of, parts_among},
    },
};

/// The group and the kind of CRDs.
const CRD_API: &str = "apiextensions.k8s.io/v1";
const CRD: &str = "CustomResourceDefinition";
/// What the parts with a CRD begin with.
const OF_CRD: &str = "crd-";
/// The group of scale sets: their CRDs go back in the order of a run, after the sets of the other version have ended.
const SCALE_SETS: &str = ".actions.github.com";
/// The kinds of the objects of pools.
const POOLS: [&str; 2] = ["RunnerDeployment", "HorizontalRunnerAutoscaler"];

fn place(profile: &Profile) -> Place<'_> {
    Place {
        namespace: &profile.controller.namespace,
        profile: &profile.name,
    }
}

/// Makes the backup: recorded first, in place of the record `before`, so that nothing is orphaned. `upgrade` gets its ids; `text`
/// is that of the profile.
pub(crate) async fn make(
    session: &Session,
    text: &str,
    upgrade: &mut Upgrade,
    before: Option<&Upgrade>,
) -> Result<()> {
    let (kube, profile) = (&session.context.kube, &session.context.profile);
    let place = place(profile);
    upgrade.secret = secret_version(kube, profile).await?;
    let parts = parts(session, text, upgrade.secret.as_deref()).await?;
    let manifests: Vec<Value> = parts
        .iter()
        .map(|it| it.manifest(place, &upgrade.began))
        .collect::<Result<_>>()?;
    let records: Records = parts
        .iter()
        .map(|it| (it.id(place).to_string(), it.record()))
        .collect();
    upgrade.backup = records.keys().cloned().collect();
    let home = Home::of(profile);
    inventory::remember_backup(kube, home, (&*upgrade, before), &records).await?;
    for manifest in &manifests {
        apply(kube, manifest).await?;
    }
    let old = recorded(kube, profile, &upgrade.backup).await?;
    if old.is_empty() {
        return Ok(());
    }
    delete(kube, profile, &old).await?;
    inventory::forget_backup(kube, home, &old).await
}

/// The ids of the profile's backups that the inventory has, without those in `kept`.
async fn recorded(kube: &Kube, profile: &Profile, kept: &[String]) -> Result<Vec<String>> {
    let known = inventory::read(kube, Home::of(profile)).await?;
    Ok(parts_among(known.records.keys(), &profile.name, kept))
}

async fn apply(kube: &Kube, manifest: &Value) -> Result<()> {
    let Some(target) = Target::of(manifest) else {
        return Err(
            Error::failed(System::Local, "a part of the backup has no kind or no name")
                .hint("run `arcctl up` with the profile from before"),
        );
    };
    let applied = kube.apply(manifest, Mode::Commit).await;
    applied.map(drop).map_err(|failure| failure.about(&target))
}

/// The version of the controller's Secret, without its value.
async fn secret_version(kube: &Kube, profile: &Profile) -> Result<Option<String>> {
    let named = format!("metadata.name={}", names::CONTROLLER_SECRET);
    let all = Selection::namespaced("v1", "Secret", &profile.controller.namespace);
    let found = kube.list_metadata(&all.with_fields(named)).await?;
    let version = found
        .first()
        .and_then(|it| it["metadata"]["resourceVersion"].as_str());
    Ok(version.map(str::to_owned))
}

/// What is there now.
async fn parts(session: &Session, text: &str, secret: Option<&str>) -> Result<Vec<Part>> {
    let kube = &session.context.kube;
    let mut parts = Vec::new();
    let mut pools = Vec::new();
    for desired in &session.desired {
        match &desired.resource {
            Resource::Crds(crds) => parts.extend(of_crds(kube, crds).await?),
            Resource::Release(release) => parts.extend(of_release(kube, release).await?),
            Resource::Object(object) => pools.extend(of_pool(kube, object).await?),
            _ => {}
        }
    }
    parts.push(of_profile(&pools, text, secret));
    Ok(parts)
}

/// The pools and the text of the profile: the environment in them may have what others must not read.
fn of_profile(pools: &[Value], text: &str, secret: Option<&str>) -> Part {
    Part {
        of: "pools".into(),
        content: json!({"pools": pools, "profile": text, "secretVersion": secret}),
        is_secret: true,
    }
}

async fn of_crds(kube: &Kube, crds: &CrdSet) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    for name in &crds.names {
        let target = Target::cluster(CRD_API, CRD, name);
        if let Some(mut live) = kube.get(&target).await? {
            (live["apiVersion"], live["kind"]) = (json!(CRD_API), json!(CRD));
            parts.push(Part {
                of: format!("{OF_CRD}{name}"),
                content: as_applied(&live),
                is_secret: false,
            });
        }
    }
    Ok(parts)
}

/// A release: its values may have what others must not read.
async fn of_release(kube: &Kube, release: &HelmRelease) -> Result<Option<Part>> {
    let (namespace, name) = (&release.namespace, &release.name);
    let record = newest_release(kube, namespace, name).await?;
    Ok(record.map(|it| Part {
        of: format!("release-{namespace}-{name}"),
        content: json!({
            "name": name,
            "namespace": namespace,
            "revision": it.revision,
            "chart": it.chart,
            "version": it.chart_version,
            "location": release.chart.location,
            "values": it.values,
            "manifest": it.manifest,
        }),
        is_secret: true,
    }))
}

async fn of_pool(kube: &Kube, object: &KubeObject) -> Result<Option<Value>> {
    let kind = object.manifest["kind"].as_str().unwrap_or_default();
    let Some(target) = Target::of(&object.manifest).filter(|_| POOLS.contains(&kind)) else {
        return Ok(None);
    };
    Ok(kube.get(&target).await?.map(|live| as_applied(&live)))
}

/// The address of an object of the backup.
fn address(id: &str) -> Option<Target> {
    let id = Id::parse(id)?;
    let kind = if id.kind() == "secret" {
        "Secret"
    } else {
        "ConfigMap"
    };
    Some(Target::namespaced("v1", kind, id.namespace()?, id.name()))
}

/// Puts the CRDs back that differ from the backup. What is not in it any more, or is of an upgrade before, comes from the chart, with the run that follows;
/// the result names it.
pub(crate) async fn restore_crds(kube: &Kube, upgrade: &Upgrade) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let of_crd = format!("-backup-{OF_CRD}");
    let crds = upgrade.backup.iter().filter(|it| it.contains(&of_crd));
    for id in crds.filter(|it| !it.ends_with(SCALE_SETS)) {
        let Some(address) = address(id) else { continue };
        let saved = kube.get(&address).await?;
        let saved = saved.filter(|it| is_of(it, &upgrade.began));
        let Some(saved) = saved.and_then(|it| content(&it).ok()) else {
            missing.push(id.clone());
            continue;
        };
        let Some(target) = Target::of(&saved) else {
            missing.push(id.clone());
            continue;
        };
        let live = kube.get(&target).await?;
        let same = live.is_some_and(|live| {
            let live = as_applied(&live);
            live["metadata"] == saved["metadata"] && live["spec"] == saved["spec"]
        });
        if !same {
            apply(kube, &saved).await?;
        }
    }
    Ok(missing)
}

/// Removes the objects of the backup, also what is left of one before, and then the record.
pub(crate) async fn remove(kube: &Kube, profile: &Profile) -> Result<()> {
    let all = recorded(kube, profile, &[]).await?;
    delete(kube, profile, &all).await?;
    inventory::forget_upgrade(kube, Home::of(profile), &all).await
}

/// Deletes objects of a backup that are this profile's.
async fn delete(kube: &Kube, profile: &Profile, ids: &[String]) -> Result<()> {
    for target in ids.iter().filter_map(|it| address(it)) {
        let live = kube.get(&target).await?;
        let ours = live.filter(|it| it["metadata"]["labels"][names::PROFILE_LABEL] == profile.name);
        if let Some(live) = ours {
            kube.delete_exactly(&target, &live).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_in_a_secret() {
        let part = of_profile(&[json!({"spec": {"env": "x"}})], "name: x", None);
        let place = Place {
            namespace: "a",
            profile: "x",
        };
        let manifest = part.manifest(place, "2026-11-27 09:00:00 UTC").unwrap();
        assert_eq!(manifest["kind"], "Secret");
        assert_eq!(content(&manifest).unwrap(), part.content);
    }
}
