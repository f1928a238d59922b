//! A change to another minor version of the charts: the scale sets of the other version end before its CRDs and its
//! controller come, which would delete them with their jobs (reference: scale-sets.md 9). Pure: no I/O.
//!
//! Their releases stay, and make them again once the new controller is there. Those of pools that leave the profile in the same
//! run are not made again.

use crate::{
    desired::{
        Desired, Goal, Phase,
        resource::{Id, Resource, scale_set::ScaleSetDrain},
    },
    profile::{Pool, Profile},
};

/// The steps that end `outgoing`: scale sets of this profile, by namespace and name, of another minor version than the
/// profile's.
pub fn drains(profile: &Profile, outgoing: &[(String, String)]) -> Vec<Desired> {
    let sets = &profile.scale_sets;
    let is_made_again = |namespace: &str, name: &str| {
        let pool = profile.pool(namespace, name);
        pool.is_some_and(Pool::is_scale_set)
    };
    let drain = |(namespace, name): &(String, String)| Desired {
        id: Id::new(ScaleSetDrain::KIND, Some(namespace), name),
        phase: Phase::Upgrade,
        after: Vec::new(),
        resource: Resource::ScaleSetDrain(ScaleSetDrain {
            namespace: namespace.clone(),
            name: name.clone(),
            controller_namespace: sets.namespace.clone(),
            controller: sets.full_name(),
            successor: is_made_again(namespace, name).then(|| sets.chart_version.clone()),
        }),
        goal: Goal::Absent,
    };
    outgoing.iter().map(drain).collect()
}
