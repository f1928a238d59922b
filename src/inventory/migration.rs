//! The record of a migration: in the inventory how far it is, for every command; in a Secret beside it the old pool as the profile
//! had it, whose environment may have what others must not read.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    DETAILS, Home, IDS, MIGRATION,
    upgrade::{records, text, write},
};
use crate::{
    clients::kube::{Kube, Mode, Target},
    desired::{names, resource::Id},
    error::{Error, ErrorKind, Result, System},
    migration::Migration,
    profile::{Pool, Profile},
};

/// The Secret with the old pools of a profile's migrations.
fn secret_id(home: Home<'_>) -> Id {
    Id::new("secret", Some(home.namespace), &secret_name(home.profile))
}

fn secret_name(profile: &str) -> String {
    format!("arcctl-{profile}-migration")
}

fn secret_target(home: Home<'_>) -> Target {
    Target::namespaced("v1", "Secret", home.namespace, &secret_name(home.profile))
}

/// Whether an id is that of the Secret with the old pools: no other run removes it.
pub fn is_of_migrations(id: &Id, profile: &str) -> bool {
    id.kind() == "secret" && id.name() == secret_name(profile)
}

/// The old pool's place, as in keys.
fn place(migration: &Migration) -> String {
    format!("{}.{}", migration.from.namespace, migration.from.name)
}

/// What the inventory has of a migration: the old pool only as far as other commands need it.
fn bare(migration: &Migration) -> Migration {
    let from = Pool {
        name: migration.from.name.clone(),
        mode: migration.from.mode,
        namespace: migration.from.namespace.clone(),
        ..Pool::default()
    };
    Migration {
        from,
        ..migration.clone()
    }
}

/// The migrations with their whole old pools. Where the Secret is gone, those of the profile; one that is in neither stays bare.
pub async fn with_pools(
    kube: &Kube,
    home: Home<'_>,
    migrations: Vec<Migration>,
    profile: &Profile,
) -> Result<Vec<Migration>> {
    if migrations.is_empty() {
        return Ok(migrations);
    }
    let target = secret_target(home);
    let live = kube.get(&target).await?.unwrap_or_default();
    let whole = |it: Migration| -> Result<Migration> {
        let (namespace, name) = (it.from.namespace.clone(), it.from.name.clone());
        let of_profile = || profile.pool(&namespace, &name).cloned();
        let stored = stored(&live, &place(&it)).map_err(|cause| unreadable(&target, &cause))?;
        let from = stored.or_else(of_profile);
        Ok(match from {
            Some(from) => Migration { from, ..it },
            None => it,
        })
    };
    migrations.into_iter().map(whole).collect()
}

/// The pool that a Secret has under a key; the error says what is wrong with it.
fn stored(secret: &Value, key: &str) -> Result<Option<Pool>, String> {
    let Some(packed) = secret["data"][key].as_str() else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(packed).map_err(|it| it.to_string())?;
    // Not the parser's own words: they may quote a value.
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|_| format!("key `{key}` has no pool that this version of arcctl can read"))
}

fn unreadable(target: &Target, cause: &str) -> Error {
    Error::failed(
        System::Kubernetes,
        format!("the old pool in {target} cannot be read"),
    )
    .object(target.to_string().replace('`', ""))
    .cause(cause)
    .hint("use the version of arcctl that wrote it; or delete the Secret: arcctl then takes the old pool from the profile")
}

/// Records a migration, before anything is made for it: the inventory first, which knows the Secret before it exists. Without
/// an inventory nothing is installed, and there is nothing to migrate.
pub async fn remember_migration(kube: &Kube, home: Home<'_>, migration: &Migration) -> Result<()> {
    let target = home.target();
    let live = kube.get(&target).await?;
    let Some(live) = live.filter(|it| !it["metadata"]["deletionTimestamp"].is_string()) else {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Kubernetes,
            format!(
                "the profile `{}` is not installed in this cluster",
                home.profile
            ),
        )
        .object(target.to_string().replace('`', ""))
        .hint("there is nothing to migrate: change the pool in the profile, and run `arcctl up`"));
    };
    let key = format!("{MIGRATION}{}", place(migration));
    let known = text(&bare(migration));
    let (mut ids, mut details) = records(&target, &live)?;
    let id = secret_id(home).to_string();
    let is_new = ids.insert(id.clone());
    if is_new || live["data"][&key] != *known {
        details.insert(id, json!({"managed": true}));
        let data = json!({key: known, IDS: text(&ids), DETAILS: text(&details)});
        write(kube, (&target, &live), &data).await?;
    }
    remember_pool(kube, home, migration).await
}

/// Writes the old pool into the Secret, unless it is there.
async fn remember_pool(kube: &Kube, home: Home<'_>, migration: &Migration) -> Result<()> {
    let target = secret_target(home);
    let key = place(migration);
    let live = kube.get(&target).await?;
    if let Some(live) = &live {
        refuse_foreign(live, &target, home)?;
    }
    let known = live.as_ref().map(|it| stored(it, &key));
    let is_same = matches!(&known, Some(Ok(Some(pool))) if *pool == migration.from);
    if is_same || *migration == bare(migration) {
        return Ok(());
    }
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": names::labels(home.profile),
        },
        "type": "Opaque",
        "data": {key: STANDARD.encode(text(&migration.from))},
    });
    match kube.apply(&manifest, Mode::Commit).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.about(&target)),
    }
}

fn is_ours(live: &Value, home: Home<'_>) -> bool {
    live["metadata"]["labels"][names::PROFILE_LABEL] == *home.profile
}

fn refuse_foreign(live: &Value, target: &Target, home: Home<'_>) -> Result<()> {
    if is_ours(live, home) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("{target} exists, and arcctl did not create it"),
    )
    .object(target.to_string().replace('`', ""))
    .hint("rename or delete it: arcctl keeps the old pool of a migration there"))
}

/// Removes the record of a migration that has ended: its Secret first.
pub async fn forget_migration(kube: &Kube, home: Home<'_>, migration: &Migration) -> Result<()> {
    let secret = secret_target(home);
    if kube
        .get(&secret)
        .await?
        .is_some_and(|it| is_ours(&it, home))
    {
        kube.delete(&secret).await?;
    }
    let target = home.target();
    let Some(live) = kube.get(&target).await? else {
        return Ok(());
    };
    let key = format!("{MIGRATION}{}", place(migration));
    let (mut ids, mut details) = records(&target, &live)?;
    let id = secret_id(home).to_string();
    if live["data"][&key].is_null() && !ids.contains(&id) {
        return Ok(());
    }
    ids.remove(&id);
    details.remove(&id);
    let data = json!({key: null, IDS: text(&ids), DETAILS: text(&details)});
    write(kube, (&target, &live), &data).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{migration::Stage, profile::Mode as PoolMode};

    fn migration() -> Migration {
        let pool = json!({
            "name": "basic", "image": "r:1", "min": 0, "max": 1,
            "env": [{"name": "PASSWORD", "value": "hunter2"}],
        });
        Migration {
            from: serde_json::from_value(pool).unwrap(),
            to: "basic-ss".into(),
            mode: PoolMode::ScaleSet,
            stage: Stage::Beside,
            was_there: false,
            image: None,
            no_labels: false,
        }
    }

    #[test]
    fn the_inventory_has_no_value_of_the_pool_s_environment() {
        let whole = migration();
        assert!(text(&whole).contains("hunter2"));
        let kept = text(&bare(&whole));
        assert!(!kept.contains("hunter2"), "{kept}");
        let read: Migration = serde_json::from_str(&kept).unwrap();
        assert_eq!((read.forth(), read.back()), (whole.forth(), whole.back()));
    }

    #[test]
    fn the_secret_has_the_whole_pool_and_an_error_quotes_none_of_it() {
        let whole = migration();
        let with = |content: &str| json!({"data": {"n.basic": STANDARD.encode(content)}});
        let live = with(&text(&whole.from));
        assert_eq!(stored(&live, "n.basic").unwrap(), Some(whole.from));
        assert_eq!(stored(&live, "n.other").unwrap(), None);
        let error = stored(&with("{\"name\": \"hunter2\", \"x\": 1}"), "n.basic").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn only_its_own_secret_is_kept_from_other_runs() {
        let home = Home {
            namespace: "system",
            profile: "website",
        };
        let id = secret_id(home);
        assert_eq!(id.as_str(), "secret/system/arcctl-website-migration");
        assert!(is_of_migrations(&id, "website") && !is_of_migrations(&id, "other"));
    }
}
