//! Reads the state of the pools that are runner scale sets: a few calls, for any number of them.

use std::collections::HashMap;

use serde_json::Value;

use super::state::{Counts, Runners};
use crate::{
    clients::kube::{Kube, Selection},
    error::Result,
    profile::Profile,
    resource::scale_sets::{
        API_VERSION,
        objects::{is_ready, job, name, set_of},
    },
};

/// The counts of a scale set.
#[derive(Default)]
pub(super) struct SetCounts {
    /// How many runners its listener has asked for.
    pub(super) desired: Option<u64>,
    pub(super) counts: Counts,
}

/// The objects to watch for changes.
pub(super) fn selections(profile: &Profile) -> Vec<Selection> {
    of(profile, "EphemeralRunner")
}

fn of(profile: &Profile, kind: &str) -> Vec<Selection> {
    let all = profile.scale_set_namespaces().into_iter();
    all.map(|it| Selection::namespaced(API_VERSION, kind, it))
        .collect()
}

/// The counts of each scale set, by its name; without GitHub's list, what the cluster knows.
pub(super) async fn read(
    kube: &Kube,
    profile: &Profile,
    runners: Option<&Runners>,
) -> Result<HashMap<String, SetCounts>> {
    let mut sets: HashMap<String, SetCounts> = HashMap::new();
    let mut see_set = |live: &Value| {
        let stays = live["metadata"]["deletionTimestamp"].is_null();
        if let Some(set) = set_of(live).filter(|_| stays) {
            let replicas = live["spec"]["replicas"].as_u64().unwrap_or(0);
            let desired = &mut sets.entry(set.to_owned()).or_default().desired;
            *desired = Some(desired.unwrap_or(0) + replicas);
        }
    };
    for selection in of(profile, "EphemeralRunnerSet") {
        kube.each(&selection, &mut see_set).await?;
    }
    let mut see_runner = |live: &Value| {
        let Some(set) = set_of(live) else { return };
        let counts = &mut sets.entry(set.to_owned()).or_default().counts;
        let seen = runners.map(|it| it.by_name.get(name(live)));
        let is_registered = live["status"]["runnerId"].as_u64().unwrap_or(0) > 0;
        counts.running += usize::from(is_ready(live));
        counts.registered += usize::from(match seen {
            Some(seen) => seen.is_some_and(|it| it.online),
            None => is_registered,
        });
        counts.busy += usize::from(match seen {
            Some(seen) => seen.is_some_and(|it| it.busy),
            None => job(live).is_some(),
        });
        let online = seen.flatten().filter(|it| it.online);
        let program = online.and_then(|it| it.program);
        counts.oldest = counts.oldest.into_iter().chain(program).min();
    };
    for selection in of(profile, "EphemeralRunner") {
        kube.each(&selection, &mut see_runner).await?;
    }
    Ok(sets)
}
