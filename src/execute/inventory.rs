//! The inventory: what is owned, written before it is created, so that nothing is ever orphaned (DESIGN 5).

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    clients::kube::{Kube, Mode, Target},
    desired::Desired,
    error::{Error, Result, System},
    resource::owner,
};

/// The key of the `ConfigMap`.
const KEY: &str = "resources";

fn target(namespace: &str, profile: &str) -> Target {
    Target::namespaced("v1", "ConfigMap", namespace, &format!("arcctl-{profile}"))
}

/// The ids on record; none where there is no inventory.
pub async fn read(kube: &Kube, namespace: &str, profile: &str) -> Result<BTreeSet<String>> {
    let target = target(namespace, profile);
    let Some(live) = kube.get(&target).await? else {
        return Ok(BTreeSet::new());
    };
    let text = live["data"][KEY].as_str().unwrap_or("[]");
    serde_json::from_str(text).map_err(|error| {
        Error::failed(
            System::Kubernetes,
            format!("the inventory {target} cannot be read"),
        )
        .object(target.to_string().replace('`', ""))
        .cause(error)
        .hint("restore its key `resources` from a backup: a JSON list of ids")
    })
}

/// Adds what is about to be created to the record; writes only when something is new.
pub async fn record(
    kube: &Kube,
    namespace: &str,
    profile: &str,
    desired: &[Desired],
) -> Result<()> {
    let known = read(kube, namespace, profile).await?;
    let mut all = known.clone();
    all.extend(
        desired
            .iter()
            .filter(|it| !it.resource.is_proof())
            .map(|it| it.id.to_string()),
    );
    if all == known {
        return Ok(());
    }
    let target = target(namespace, profile);
    let manifest = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": {owner::MANAGED_BY: "arcctl", owner::PROFILE: profile},
        },
        "data": {KEY: serde_json::to_string(&all).unwrap_or_default()},
    });
    match kube.apply(&manifest, Mode::Commit).await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.about(&target)),
    }
}
