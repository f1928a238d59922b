//! The resources of the pools that are runner scale sets, and of GitHub's own controller. Pure: no I/O.
//!
//! The minimum of a schedule is written before the proof of the scale set: writing it restarts the listener, which must
//! then be alive for some time.

pub mod pod;
pub mod schedule;
pub mod upgrade;
pub mod values;

use super::{
    Desired, DesiredError, Facts, Phase, charts, named, names, object, release,
    resource::{HelmRelease, Id, Resource, scale_set::ScaleSet},
};
use crate::profile::{Pool, Profile};

/// The CRDs and the controller.
pub(super) fn controller(profile: &Profile) -> Vec<Desired> {
    if !profile.has_scale_sets() {
        return Vec::new();
    }
    let crds = named(
        Phase::Wiring,
        crds_id(),
        Resource::Crds(charts::scale_sets::crds(profile)),
    );
    let release = HelmRelease {
        name: names::SCALE_SET_RELEASE.into(),
        namespace: profile.scale_sets.namespace.clone(),
        chart: charts::scale_sets::controller_chart(profile),
        values: charts::scale_sets::values(profile),
        profile: profile.name.clone(),
    };
    let release = self::release(Phase::Controller, release).after(&crds);
    vec![crds, release]
}

/// The objects of the schedules that the scale sets need before there is one.
pub(super) fn wiring(profile: &Profile, facts: &Facts) -> Result<Vec<Desired>, DesiredError> {
    let mut result = Vec::new();
    for namespace in schedule::namespaces(profile) {
        let objects = schedule::wiring(profile, facts, namespace)?.into_iter();
        result.extend(objects.map(|manifest| object(Phase::Wiring, manifest)));
    }
    Ok(result)
}

/// A pool: its release, its minimum, and the proofs.
pub(super) fn pool(profile: &Profile, pool: &Pool) -> Result<Vec<Desired>, DesiredError> {
    let set = scale_set(profile, pool);
    let secret = Id::new("secret", Some(&pool.namespace), &set.secret);
    let mut made = release(
        Phase::Runners,
        HelmRelease {
            name: pool.name.clone(),
            namespace: pool.namespace.clone(),
            chart: charts::scale_sets::set_chart(profile),
            values: values::values(profile, pool)?,
            profile: profile.name.clone(),
        },
    );
    made.after = vec![crds_id(), secret, controller_id(profile)];
    let id = |kind: &str| Id::new(kind, Some(&pool.namespace), &pool.name);
    let minimum = pool.schedule.is_some().then(|| {
        let resource = Resource::ScaleSetMinimum(set.clone());
        named(Phase::Runners, id("scale-set-minimum"), resource).after(&made)
    });
    let mut proof = named(
        Phase::Runners,
        names::scale_set_id(&pool.namespace, &pool.name),
        Resource::ScaleSet(set.clone()),
    )
    .after(&made);
    if let Some(minimum) = &minimum {
        proof = proof.after(minimum);
    }
    let runners = Resource::ScaleSetRunners(set);
    let runners = named(Phase::Runners, id("runner-pods"), runners).after(&proof);
    Ok([Some(made), minimum, Some(proof), Some(runners)]
        .into_iter()
        .flatten()
        .collect())
}

/// What keeps the minimums of the schedules, once the scale sets are there.
pub(super) fn schedules(profile: &Profile) -> Result<Vec<Desired>, DesiredError> {
    let mut result = Vec::new();
    for namespace in schedule::namespaces(profile) {
        if let Some(manifest) = schedule::cron_job(profile, namespace)? {
            let mut job = object(Phase::Runners, manifest);
            let pools = profile.scale_set_pools();
            job.after = pools
                .filter(|it| it.namespace == namespace && it.schedule.is_some())
                .map(|it| Id::new("scale-set-minimum", Some(namespace), &it.name))
                .collect();
            result.push(job);
        }
    }
    Ok(result)
}

/// The runners of a pool at GitHub.
pub(super) fn online(profile: &Profile, pool: &Pool) -> Desired {
    named(
        Phase::Registration,
        Id::new("registration", Some("github"), &pool.name),
        Resource::ScaleSetOnline(scale_set(profile, pool)),
    )
}

/// The scale set of a pool.
pub fn scale_set(profile: &Profile, pool: &Pool) -> ScaleSet {
    let sets = &profile.scale_sets;
    ScaleSet {
        namespace: pool.namespace.clone(),
        name: pool.name.clone(),
        group: pool.group.clone(),
        labels: super::pool::both_modes::runner_labels(pool),
        controller_namespace: sets.namespace.clone(),
        controller: sets.full_name(),
        secret: values::secret_name(pool),
        chart_version: sets.chart_version.clone(),
        min: pool.min,
        max: pool.max,
        schedule: pool.schedule.clone(),
        profile: profile.name.clone(),
    }
}

fn crds_id() -> Id {
    Id::new("crds", None, names::SCALE_SET_CONTROLLER_CHART)
}

fn controller_id(profile: &Profile) -> Id {
    let namespace = Some(profile.scale_sets.namespace.as_str());
    Id::new("helm-release", namespace, names::SCALE_SET_RELEASE)
}
