//! The record of an upgrade and of its backup. Each write holds for the version of the inventory that was read: where another run
//! has written since, it fails with a conflict. A record that another run has changed is not written over.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{DETAILS, Home, IDS, UPGRADE, parsed};
use crate::{
    clients::kube::{Kube, Target},
    desired::teardown::Records,
    error::{Error, ErrorKind, Result, System},
    upgrade::{Upgrade, check_record},
};

/// The inventory as it is; without one nothing is installed.
async fn live(kube: &Kube, home: Home<'_>) -> Result<(Target, Value)> {
    let target = home.target();
    let live = kube.get(&target).await?;
    let live = live.filter(|it| !it["metadata"]["deletionTimestamp"].is_string());
    let live = live.ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            System::Kubernetes,
            format!(
                "the profile `{}` is not installed in this cluster",
                home.profile
            ),
        )
        .object(target.to_string().replace('`', ""))
        .hint("there is nothing to upgrade: `arcctl up` installs it")
    })?;
    Ok((target, live))
}

/// The ids and details of an inventory.
pub(super) fn records(target: &Target, live: &Value) -> Result<(BTreeSet<String>, Records)> {
    let data = &live["data"];
    let ids = parsed(target, data, IDS, "[]")?;
    Ok((ids, parsed(target, data, DETAILS, "{}")?))
}

pub(super) async fn write(
    kube: &Kube,
    (target, live): (&Target, &Value),
    data: &Value,
) -> Result<()> {
    let patch = json!({
        "metadata": {"resourceVersion": live["metadata"]["resourceVersion"]},
        "data": data,
    });
    kube.merge(target, &patch).await.map(|_| ())
}

pub(super) fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Fails if the record is not `before` any more.
fn check(target: &Target, live: &Value, before: Option<&Upgrade>) -> Result<()> {
    let there: Option<Upgrade> = parsed(target, &live["data"], UPGRADE, "null")?;
    check_record(there.as_ref(), before)
}

/// Records how far an upgrade is, before anything follows from it, in place of the record `before`.
pub async fn remember_upgrade(
    kube: &Kube,
    home: Home<'_>,
    upgrade: &Upgrade,
    before: Option<&Upgrade>,
) -> Result<()> {
    let (target, live) = live(kube, home).await?;
    check(&target, &live, before)?;
    let text = text(upgrade);
    if live["data"][UPGRADE] == *text {
        return Ok(());
    }
    write(kube, (&target, &live), &json!({UPGRADE: text})).await
}

/// Records an upgrade that begins, in place of the record `before`, and the objects of its backup (id, and what deleting it needs),
/// before they are made.
pub async fn remember_backup(
    kube: &Kube,
    home: Home<'_>,
    (upgrade, before): (&Upgrade, Option<&Upgrade>),
    parts: &Records,
) -> Result<()> {
    let (target, live) = live(kube, home).await?;
    check(&target, &live, before)?;
    let (mut ids, mut details) = records(&target, &live)?;
    ids.extend(parts.keys().cloned());
    details.extend(parts.clone());
    let data = json!({UPGRADE: text(upgrade), IDS: text(&ids), DETAILS: text(&details)});
    write(kube, (&target, &live), &data).await
}

/// Removes the record of an upgrade and of its backup, whose objects are gone.
pub async fn forget_upgrade(kube: &Kube, home: Home<'_>, parts: &[String]) -> Result<()> {
    forget(kube, home, parts, json!({UPGRADE: null})).await
}

/// Removes the record of objects of the backup of an upgrade before, which are gone.
pub async fn forget_backup(kube: &Kube, home: Home<'_>, parts: &[String]) -> Result<()> {
    forget(kube, home, parts, json!({})).await
}

/// Removes these ids, and writes `data` with the same patch.
async fn forget(kube: &Kube, home: Home<'_>, parts: &[String], mut data: Value) -> Result<()> {
    let (target, live) = live(kube, home).await?;
    let (mut ids, mut details) = records(&target, &live)?;
    ids.retain(|it| !parts.contains(it));
    details.retain(|it, _| !parts.contains(it));
    data[IDS] = json!(text(&ids));
    data[DETAILS] = json!(text(&details));
    write(kube, (&target, &live), &data).await
}
