//! The path from some versions to others: one step at a time, and what to know of each. Pure: no I/O.

use super::{
    compatibility::{self, Kubernetes},
    is_same,
    versions::{Component, Versions, usage},
};
use crate::{
    desired::charts::controller,
    error::{Error, Result},
    units::version::triple,
};

/// A step: one chart to another version, or pools to other images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it changes.
    pub component: Component,
    /// The version before; of pools, the first one's image.
    pub from: String,
    /// The version after; of pools, the first one's image.
    pub to: String,
    /// The pools whose images change, as `namespace/name`; empty for a chart.
    pub pools: Vec<String>,
    /// Whether it tries the new image on one pool, before the others get theirs.
    pub canary: bool,
    /// All versions after it.
    pub after: Versions,
}

impl Step {
    /// What it does, for people.
    pub fn text(&self) -> String {
        let (word, from, to) = (self.component.word(), &self.from, &self.to);
        match (self.pools.as_slice(), self.canary) {
            ([], _) => format!("{word} {from} -> {to}"),
            ([pool], true) => format!("pool `{pool}` first: {from} -> {to}"),
            ([pool], false) => format!("pool `{pool}`: {from} -> {to}"),
            (pools, _) => format!("{} more pools to {to}", pools.len()),
        }
    }

    /// What to know of it, on this Kubernetes: one sentence each.
    pub fn risks(&self, kubernetes: Kubernetes) -> Vec<String> {
        let word = self.component.word();
        match self.component {
            Component::CertManager => {
                let (major, minor, _) = triple(&self.to);
                compatibility::risks(word, &format!("{major}.{minor}"), kubernetes)
            }
            Component::Controller => {
                let mut risks = compatibility::risks(word, &self.to, kubernetes);
                if controller::makes_runners_anew(&self.from, &self.to) {
                    risks.push(
                        "the runners of all pools are replaced, with as many beside them meanwhile; busy ones finish their jobs first"
                            .to_owned(),
                    );
                }
                risks
            }
            Component::ScaleSets if is_other_minor(&self.from, &self.to) => vec![
                "another minor version: each scale set finishes its jobs, is deleted, and is created again; new jobs wait at GitHub meanwhile"
                    .to_owned(),
            ],
            Component::ScaleSets => Vec::new(),
            Component::Runner => {
                vec!["the runners of these pools are replaced; busy ones finish their jobs first".to_owned()]
            }
        }
    }
}

fn is_other_minor(from: &str, to: &str) -> bool {
    let (from, to) = (triple(from), triple(to));
    (from.0, from.1) != (to.0, to.1)
}

/// The steps from one to the other: cert-manager by one minor version at a time, as its documents ask for; then the controllers;
/// the images last, of one pool before those of the others. Fails where a version is older than the one before.
pub fn path(from: &Versions, to: &Versions) -> Result<Vec<Step>> {
    steps(from, to, false)
}

/// The same from a step on the way. `has_tried`: a pool has its new image, so that all others get theirs.
pub(super) fn steps(from: &Versions, to: &Versions, has_tried: bool) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut now = from.clone();
    for component in Component::CHARTS {
        let (Some(old), Some(new)) = (from.charts.get(&component), to.charts.get(&component))
        else {
            continue;
        };
        for version in between(component, old, new)? {
            let before = now.charts.insert(component, version.clone());
            steps.push(Step {
                component,
                from: before.unwrap_or_default(),
                to: version,
                pools: Vec::new(),
                canary: false,
                after: now.clone(),
            });
        }
    }
    steps.extend(of_images(&mut now, to, has_tried));
    Ok(steps)
}

/// The versions on the way, without the first.
fn between(component: Component, from: &str, to: &str) -> Result<Vec<String>> {
    let (old, new) = (triple(from), triple(to));
    if is_same(from, to) {
        return Ok(Vec::new());
    }
    if new < old {
        return Err(older(component, from, to));
    }
    if component != Component::CertManager {
        return Ok(vec![to.to_owned()]);
    }
    if old.0 != new.0 || new.1 == u64::MAX {
        return Err(no_way(from, to, to));
    }
    let mut versions = Vec::new();
    for minor in old.1 + 1..new.1 {
        let chart = compatibility::cert_manager_chart((old.0, minor));
        let chart = chart.ok_or_else(|| no_way(from, to, &format!("{}.{minor}", old.0)))?;
        versions.push(chart.to_owned());
    }
    versions.push(to.to_owned());
    Ok(versions)
}

fn older(component: Component, from: &str, to: &str) -> Error {
    let word = component.word();
    usage(&format!(
        "{word} {to} is older than the installed {from}: an upgrade does not downgrade"
    ))
    .hint("`arcctl rollback` goes back to the versions before the last upgrade")
}

fn no_way(from: &str, to: &str, missing: &str) -> Error {
    usage(&format!(
        "there is no known upgrade path from cert-manager {from} to {to}: {missing} is not in this arcctl's table of {}",
        compatibility::as_of()
    ))
    .hint("use a newer arcctl, or name a version on the path: `--to cert-manager=VERSION`")
}

/// The steps of the images: one pool, unless one `has_tried` it, then the others.
fn of_images(now: &mut Versions, to: &Versions, has_tried: bool) -> Vec<Step> {
    let changed = |(key, image): &(&String, &String)| {
        let own = now.images.get(*key);
        own.is_some_and(|it| it != *image)
    };
    let all: Vec<(String, String)> = to
        .images
        .iter()
        .filter(changed)
        .map(|(key, image)| (key.clone(), image.clone()))
        .collect();
    let alone = usize::from(!has_tried).min(all.len());
    let (first, others) = all.split_at(alone);
    let mut steps = Vec::new();
    for (group, canary) in [(first, true), (others, false)] {
        let Some((key, image)) = group.first() else {
            continue;
        };
        let from = now.images.get(key).cloned().unwrap_or_default();
        now.images.extend(group.iter().cloned());
        steps.push(Step {
            component: Component::Runner,
            from,
            to: image.clone(),
            pools: group.iter().map(|(key, _)| key.clone()).collect(),
            canary: canary && !others.is_empty(),
            after: now.clone(),
        });
    }
    steps
}
