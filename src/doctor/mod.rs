//! Diagnosis: what is wrong, why, and the fix. Facts are collected once (`collect`); each check is a pure function.

pub mod bundle;
pub mod check;
pub mod checks;
pub mod collect;
pub mod fix;
mod redact;
pub mod snapshot;

use serde::Serialize;

use check::{Check, Severity, Verdict};
use snapshot::Snapshot;

/// All checks, in the order in which they are shown; the areas are in the order of cause and effect.
pub fn checks() -> Vec<&'static Check> {
    [
        checks::tools::CHECKS,
        checks::aws::CHECKS,
        checks::network::CHECKS,
        checks::cluster::CHECKS,
        checks::cert_manager::CHECKS,
        checks::controller::CHECKS,
        checks::webhooks::CHECKS,
        checks::github::CHECKS,
        checks::runners::CHECKS,
        checks::runner_version::CHECKS,
        checks::capacity::CHECKS,
        checks::autoscaling::CHECKS,
        checks::scale_sets::CHECKS,
        checks::monitoring::CHECKS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A check and its verdict.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The slug, also the heading in docs/doctor.md.
    pub id: &'static str,
    /// Its area.
    pub category: &'static str,
    /// Whether runners need it.
    pub severity: Severity,
    /// True when all is well.
    pub claim: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The finding that causes it; `None`: it is a root.
    pub follows: Option<&'static str>,
}

/// Which checks are run.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only these ids or categories, where there are any.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
}

impl Choice {
    fn has(&self, check: &Check) -> bool {
        let names = |list: &[String]| list.iter().any(|it| it == check.id || it == check.category);
        (self.only.is_empty() || names(&self.only)) && !names(&self.skip)
    }

    /// The first word that is neither an id nor a category.
    pub fn unknown(&self) -> Option<&str> {
        let all = checks();
        let known = |word: &&String| {
            !all.iter()
                .any(|it| it.id == **word || it.category == **word)
        };
        self.only
            .iter()
            .chain(&self.skip)
            .find(known)
            .map(String::as_str)
    }
}

/// The areas of the community's controller.
const OF_DEPLOYMENTS: [&str; 4] = ["cert-manager", "controller", "webhooks", "autoscaling"];

/// A profile whose pools are all runner scale sets has no such controller.
fn of_the_other_mode(check: &Check, snapshot: &Snapshot) -> Option<Verdict> {
    let concerns = OF_DEPLOYMENTS.contains(&check.category);
    (concerns && !snapshot.profile.has_deployments())
        .then(|| Verdict::skipped("all pools are runner scale sets"))
}

/// Runs the selected checks on `world`, and links each finding to its cause.
pub fn judge(snapshot: &Snapshot, choice: &Choice) -> Vec<Finding> {
    let chosen: Vec<&Check> = checks().into_iter().filter(|it| choice.has(it)).collect();
    let mut findings: Vec<Finding> = chosen
        .iter()
        .map(|check| Finding {
            id: check.id,
            category: check.category,
            severity: check.severity,
            claim: check.claim,
            verdict: of_the_other_mode(check, snapshot)
                .unwrap_or_else(|| (check.judge)(snapshot).unwrap_or_else(|early| early)),
            follows: None,
        })
        .collect();
    let wrong: Vec<&str> = findings
        .iter()
        .filter(|it| it.verdict.is_wrong())
        .map(|it| it.id)
        .collect();
    for (finding, check) in findings.iter_mut().zip(&chosen) {
        if finding.verdict.is_wrong() {
            finding.follows = check
                .causes
                .iter()
                .copied()
                .find(|cause| wrong.contains(cause));
        }
    }
    findings
}

#[cfg(test)]
pub(crate) mod tests;
