//! The inventory: a `ConfigMap` with the resources that arcctl owns, written before they are created, so that none is
//! orphaned (DESIGN 5), and with what deleting them needs if the profile is lost.

mod crds;
mod migration;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    clients::kube::{Kube, Mode, Selection, Target},
    desired::{
        Desired,
        names::{self, pool_id, scale_set_id},
        record::crds::KnownCrds,
        resource::scale_set::SetRecord,
        teardown::{Records, is_at_aws, records},
    },
    error::{Error, Result, System},
    migration::Migration,
    profile::{Pool, Profile},
    upgrade::Upgrade,
};

pub use crds::remember_crds;
pub use migration::{forget_migration, is_of_migrations, remember_migration, with_pools};
pub use upgrade::{forget_backup, forget_upgrade, remember_backup, remember_upgrade};

/// The ids of the owned resources.
const IDS: &str = "resources";

/// What deleting each needs in addition to its id.
const DETAILS: &str = "details";

/// The profile without its pools: the GitHub scope and the source of the credential.
const PROFILE: &str = "profile";

/// The prefix of keys with a pool's name: the names of its runners at GitHub, during its deletion.
const RUNNERS: &str = "runners.";

/// The prefix of keys with a scale set's namespace and name: its id and scope at GitHub. A name may have dots, a namespace has none.
const SCALE_SET: &str = "scaleSet.";

/// The prefix of keys with a pool's namespace and name: its migration to the other mode, while it goes on. The pool itself is in
/// a Secret beside: its environment may have what others must not read.
const MIGRATION: &str = "migration.";

/// The key of the last upgrade, while its backup is kept.
const UPGRADE: &str = "upgrade";

/// The location of an inventory: the namespace of the controller, and the profile's name.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// The namespace of the controller.
    pub namespace: &'a str,
    /// The profile's name.
    pub profile: &'a str,
}

impl<'a> Home<'a> {
    /// The location for a profile.
    pub fn of(profile: &'a Profile) -> Self {
        Self {
            namespace: &profile.controller.namespace,
            profile: &profile.name,
        }
    }

    fn target(self) -> Target {
        let name = format!("arcctl-{}", self.profile);
        Target::namespaced("v1", "ConfigMap", self.namespace, &name)
    }
}

/// The namespaces with an inventory of `profile`: for when only the profile's name is known, not the namespace of its
/// controller.
pub async fn homes(kube: &Kube, profile: &str) -> Result<Vec<String>> {
    let labels = format!(
        "{}=arcctl,{}={profile}",
        names::MANAGED_BY,
        names::PROFILE_LABEL
    );
    let all = Selection::all("v1", "ConfigMap").labelled(labels);
    let name = format!("arcctl-{profile}");
    let found = kube.list(&all).await?;
    let found = found.iter().filter(|it| it["metadata"]["name"] == *name);
    Ok(found
        .filter_map(|it| Some(it["metadata"]["namespace"].as_str()?.to_owned()))
        .collect())
}

/// The contents of an inventory.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// The owned resources.
    pub records: Records,
    /// The profile without its pools, if the inventory has it.
    pub profile: Option<Profile>,
    /// The migrations of its pools that are in progress; of each old pool the name, the namespace and the mode.
    pub migrations: Vec<Migration>,
    /// The last upgrade, if its backup is kept.
    pub upgrade: Option<Upgrade>,
    /// The CRDs whose spec is known.
    pub crds: KnownCrds,
}

impl Inventory {
    /// The migrations and the upgrade that are in progress, in words.
    pub fn notices(&self) -> Vec<String> {
        let upgrade = self.upgrade.iter().filter(|it| it.is_in_progress());
        let migrations = self.migrations.iter().map(Migration::notice);
        migrations.chain(upgrade.map(Upgrade::notice)).collect()
    }
}

/// Reads the inventory of a profile; empty if there is none.
pub async fn read(kube: &Kube, home: Home<'_>) -> Result<Inventory> {
    let target = home.target();
    let Some(live) = kube.get(&target).await? else {
        return Ok(Inventory::default());
    };
    let data = &live["data"];
    let ids: Vec<String> = parsed(&target, data, IDS, "[]")?;
    let mut details: Records = parsed(&target, data, DETAILS, "{}")?;
    Ok(Inventory {
        records: ids
            .into_iter()
            .map(|id| {
                let details = details.remove(&id).unwrap_or(Value::Null);
                (id, details)
            })
            .collect(),
        profile: parsed(&target, data, PROFILE, "null")?,
        migrations: migrations(&target, data)?,
        upgrade: parsed(&target, data, UPGRADE, "null")?,
        crds: crds::known(data),
    })
}

/// The migrations and the upgrade that are in progress, in words, for commands that show a state; or why that is not known.
pub async fn notices(kube: &Kube, home: Home<'_>) -> Vec<String> {
    match read(kube, home).await {
        Ok(known) => known.notices(),
        Err(error) => vec![format!(
            "whether a migration or an upgrade is in progress could not be found out: {}",
            error.document().message
        )],
    }
}

fn migrations(target: &Target, data: &Value) -> Result<Vec<Migration>> {
    let keys = data.as_object().into_iter().flatten();
    keys.filter(|(key, _)| key.starts_with(MIGRATION))
        .map(|(key, _)| parsed(target, data, key, ""))
        .collect()
}

fn parsed<T: serde::de::DeserializeOwned>(
    target: &Target,
    data: &Value,
    key: &str,
    otherwise: &str,
) -> Result<T> {
    let text = data[key].as_str().unwrap_or(otherwise);
    serde_json::from_str(text).map_err(|error| {
        Error::failed(
            System::Kubernetes,
            format!("the inventory {target} cannot be read"),
        )
        .object(target.to_string().replace('`', ""))
        .cause(format!("key `{key}`: {error}"))
        .hint("it may be of a newer arcctl; or restore it from a backup")
    })
}

/// Adds the resources that are about to be created, and keeps those still to be deleted; writes only if something
/// changed.
pub async fn record(kube: &Kube, profile: &Profile, desired: &[Desired]) -> Result<()> {
    let known = read(kube, Home::of(profile)).await?;
    let mut all = known.records.clone();
    all.extend(records(desired));
    let kept = kept(profile, known.profile.as_ref(), &all);
    if all == known.records && known.profile.as_ref() == Some(&kept) {
        return Ok(());
    }
    write(kube, &kept, &all).await
}

/// Removes deleted resources (`ids`) from the inventory.
pub async fn forget(kube: &Kube, profile: &Profile, ids: &BTreeSet<String>) -> Result<()> {
    let known = read(kube, Home::of(profile)).await?;
    let mut left = known.records.clone();
    left.retain(|id, _| !ids.contains(id));
    if left == known.records {
        return Ok(());
    }
    let kept = kept(profile, known.profile.as_ref(), &left);
    write(kube, &kept, &left).await
}

/// The part of a profile that is stored: the cluster, GitHub and the source of the credential; never a secret value.
/// The EKS cluster is kept while AWS resources are on record: it leads to their account.
fn kept(profile: &Profile, known: Option<&Profile>, records: &Records) -> Profile {
    let mut cluster = profile.cluster.clone();
    if let Some(known) = known.map(|it| &it.cluster)
        && cluster.eks.is_none()
        && records.keys().any(|it| is_at_aws(it))
    {
        cluster.eks.clone_from(&known.eks);
        cluster.region.clone_from(&known.region);
    }
    Profile {
        api_version: profile.api_version,
        name: profile.name.clone(),
        cluster,
        github: profile.github.clone(),
        cert_manager: crate::profile::CertManager::default(),
        controller: crate::profile::Controller {
            namespace: profile.controller.namespace.clone(),
            release: profile.controller.release.clone(),
            watch_namespace: profile.controller.watch_namespace.clone(),
            ..crate::profile::Controller::default()
        },
        scale_sets: crate::profile::ScaleSets {
            chart_version: profile.scale_sets.chart_version.clone(),
            namespace: profile.scale_sets.namespace.clone(),
            ..crate::profile::ScaleSets::default()
        },
        charts: crate::profile::Charts::default(),
        provenance: None,
        images: None,
        proxy: None,
        aws: None,
        pools: accounts(profile, known, records),
        monitoring: None,
        hardening: crate::profile::Hardening::default(),
        timeouts: profile.timeouts.clone(),
    }
}

/// The pools with a GitHub scope of their own, reduced to it: those of the profile, and those still being deleted.
fn accounts(profile: &Profile, known: Option<&Profile>, records: &Records) -> Vec<Pool> {
    let own = profile.pools.iter();
    let going = known.into_iter().flat_map(|it| &it.pools).filter(|it| {
        let id = if it.is_scale_set() {
            scale_set_id(&it.namespace, &it.name)
        } else {
            pool_id(&it.namespace, &it.name)
        };
        records.contains_key(id.as_str()) && profile.pool(&it.namespace, &it.name).is_none()
    });
    let bare = |pool: &Pool| Pool {
        name: pool.name.clone(),
        mode: pool.mode,
        github: pool.github.clone(),
        namespace: pool.namespace.clone(),
        ..Pool::default()
    };
    let all = own.chain(going).filter(|it| it.github.is_some());
    all.map(bare).collect()
}

async fn write(kube: &Kube, profile: &Profile, records: &Records) -> Result<()> {
    let ids: Vec<&String> = records.keys().collect();
    let text = |value: serde_json::Result<String>| value.unwrap_or_default();
    let target = Home::of(profile).target();
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": names::labels(&profile.name),
        },
        "data": {
            IDS: text(serde_json::to_string(&ids)),
            DETAILS: text(serde_json::to_string(records)),
            PROFILE: text(serde_json::to_string(profile)),
        },
    });
    match kube.apply(&manifest, Mode::Commit).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.about(&target)),
    }
}

/// The names of the runners of pools that are being deleted.
pub async fn runners(kube: &Kube, home: Home<'_>) -> Result<BTreeSet<String>> {
    let target = home.target();
    let live = kube.get(&target).await?.unwrap_or_default();
    let keys = live["data"].as_object().into_iter().flatten();
    let mut names = BTreeSet::new();
    for (key, _) in keys.filter(|(key, _)| key.starts_with(RUNNERS)) {
        names.extend(parsed::<Vec<String>>(&target, &live["data"], key, "[]")?);
    }
    Ok(names)
}

/// Adds the names of a pool's runners; does nothing without an inventory.
pub async fn remember_runners(
    kube: &Kube,
    home: Home<'_>,
    pool: &str,
    names: impl Iterator<Item = &str>,
) -> Result<()> {
    let target = home.target();
    let Some(live) = kube.get(&target).await? else {
        return Ok(());
    };
    if live["metadata"]["deletionTimestamp"].is_string() {
        return Ok(());
    }
    let key = format!("{RUNNERS}{pool}");
    let known: BTreeSet<String> = parsed(&target, &live["data"], &key, "[]")?;
    let mut all = known.clone();
    all.extend(names.map(str::to_owned));
    if all == known {
        return Ok(());
    }
    let text = serde_json::to_string(&all).unwrap_or_default();
    let patch = json!({"data": {key: text}});
    kube.merge(&target, &patch).await.map(|_| ())
}

/// The records of the scale sets at GitHub that this profile has made, by `namespace/name`.
pub async fn scale_sets(kube: &Kube, home: Home<'_>) -> Result<BTreeMap<String, SetRecord>> {
    let target = home.target();
    let live = kube.get(&target).await?.unwrap_or_default();
    let keys = live["data"].as_object().into_iter().flatten();
    let mut found = BTreeMap::new();
    for (key, _) in keys {
        let place = key.strip_prefix(SCALE_SET);
        if let Some((namespace, name)) = place.and_then(|it| it.split_once('.')) {
            let record = parsed(&target, &live["data"], key, "0")?;
            found.insert(format!("{namespace}/{name}"), record);
        }
    }
    Ok(found)
}

/// Records a scale set at GitHub, or removes its record; does nothing without an inventory.
pub async fn remember_scale_set(
    kube: &Kube,
    home: Home<'_>,
    (namespace, name): (&str, &str),
    record: Option<&SetRecord>,
) -> Result<()> {
    let target = home.target();
    let Some(live) = kube.get(&target).await? else {
        return Ok(());
    };
    let key = format!("{SCALE_SET}{namespace}.{name}");
    let text = record.map(|it| serde_json::to_string(it).unwrap_or_default());
    if live["metadata"]["deletionTimestamp"].is_string()
        || live["data"][&key].as_str() == text.as_deref()
    {
        return Ok(());
    }
    let patch = json!({"data": {key: text}});
    kube.merge(&target, &patch).await.map(|_| ())
}
