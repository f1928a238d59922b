//! Checks of the runner scale sets. Pure: no I/O.

mod at_github;
mod controller;
mod listeners;
mod objects;
mod runners;

use jiff::Timestamp;
use serde_json::Value;

use at_github::{known_here, labels, registered};
use controller::{controller_runs, controllers_apart, update_strategy, versions};
use listeners::{listener, listener_current, one_listener, session};
use objects::{not_outdated, nothing_stuck, range, rights, secret, there};
use runners::{runner_pods, runners, runners_online};

use crate::{
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{ScaleSetFacts, Snapshot},
    },
    profile::Pool,
    resource::scale_sets::objects::name,
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "scale-set-controller-runs",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "GitHub's controller of the scale sets has an available pod",
        causes: &["api-server-answers", "nodes-ready"],
        judge: controller_runs,
    },
    Check {
        id: "scale-set-controllers-apart",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no other controller of runner scale sets is in the cluster",
        causes: &["api-server-answers"],
        judge: controllers_apart,
    },
    Check {
        id: "scale-set-versions",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each scale set and its controller have the same minor version",
        causes: &["api-server-answers"],
        judge: versions,
    },
    Check {
        id: "scale-set-update-strategy",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "the controller gives a changed scale set its listener back at once",
        causes: &["api-server-answers"],
        judge: update_strategy,
    },
    Check {
        id: "scale-set-there",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "the AutoscalingRunnerSet of each pool exists",
        causes: &[
            "api-server-answers",
            "resources-there",
            "scale-set-controllers-apart",
        ],
        judge: there,
    },
    Check {
        id: "scale-set-range",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no scale set has a minimum above its maximum",
        causes: &["api-server-answers"],
        judge: range,
    },
    Check {
        id: "scale-set-secret",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "the Secret that each scale set names exists",
        causes: &["api-server-answers"],
        judge: secret,
    },
    Check {
        id: "scale-set-rights",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "the Role and the RoleBinding by which the controller works for each scale set exist",
        causes: &["api-server-answers", "resources-there"],
        judge: rights,
    },
    Check {
        id: "scale-set-not-outdated",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "GitHub accepts the version of each scale set's runners",
        causes: &["api-server-answers"],
        judge: not_outdated,
    },
    Check {
        id: "scale-set-registered",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each scale set is registered at GitHub with the id that the cluster has",
        causes: &[
            "api-server-answers",
            "github-credential",
            "runner-groups",
            "scale-set-secret",
            "scale-set-rights",
            "scale-set-not-outdated",
            "scale-set-controller-runs",
        ],
        judge: registered,
    },
    Check {
        id: "scale-set-labels",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each scale set has the labels of its pool at GitHub, and no others",
        causes: &[
            "api-server-answers",
            "github-credential",
            "scale-set-registered",
        ],
        judge: labels,
    },
    Check {
        id: "scale-set-one-listener",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no scale set has two listeners",
        causes: &["api-server-answers"],
        judge: one_listener,
    },
    Check {
        id: "scale-set-listener",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each scale set has a listener with a pod",
        causes: &[
            "api-server-answers",
            "scale-set-secret",
            "scale-set-rights",
            "scale-set-versions",
            "scale-set-not-outdated",
            "scale-set-controller-runs",
            "scale-set-update-strategy",
            "scale-set-registered",
        ],
        judge: listener,
    },
    Check {
        id: "scale-set-listener-current",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each listener works for the id and the EphemeralRunnerSet that its scale set has now",
        causes: &[
            "api-server-answers",
            "scale-set-controller-runs",
            "scale-set-not-outdated",
            "scale-set-registered",
        ],
        judge: listener_current,
    },
    Check {
        id: "scale-set-session",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each listener keeps its session at GitHub",
        causes: &[
            "api-server-answers",
            "github-credential",
            "scale-set-range",
            "scale-set-one-listener",
            "scale-set-registered",
            "scale-set-listener",
            "scale-set-listener-current",
        ],
        judge: session,
    },
    Check {
        id: "scale-set-runners",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no runner of a scale set has failed permanently or is refused by a quota",
        causes: &[
            "api-server-answers",
            "scale-set-not-outdated",
            "pods-schedulable",
        ],
        judge: runners,
    },
    Check {
        id: "scale-set-runner-pods",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "each registered runner of a scale set has a pod",
        causes: &[
            "api-server-answers",
            "scale-set-controller-runs",
            "scale-set-rights",
            "scale-set-not-outdated",
            "runner-pods-admitted",
        ],
        judge: runner_pods,
    },
    Check {
        id: "scale-set-runners-online",
        category: "scale-sets",
        severity: Severity::Advice,
        claim: "each runner of a scale set whose pod runs is online at GitHub",
        causes: &[
            "api-server-answers",
            "github-credential",
            "nodes-reach-server",
            "probe-connects",
            "scale-set-registered",
            "runners-online",
        ],
        judge: runners_online,
    },
    Check {
        id: "scale-set-nothing-stuck",
        category: "scale-sets",
        severity: Severity::Required,
        claim: "no object of a scale set has been waiting for its deletion for more than ten minutes",
        causes: &[
            "api-server-answers",
            "github-credential",
            "scale-set-secret",
            "scale-set-rights",
            "scale-set-controller-runs",
        ],
        judge: nothing_stuck,
    },
    Check {
        id: "scale-set-known-here",
        category: "scale-sets",
        severity: Severity::Advice,
        claim: "GitHub has no scale set of this profile that the cluster does not have",
        causes: &["api-server-answers", "github-credential"],
        judge: known_here,
    },
];

fn facts(snapshot: &Snapshot) -> Result<&ScaleSetFacts, Verdict> {
    let facts = snapshot.scale_sets.as_ref();
    facts.ok_or_else(|| Verdict::skipped("no pool is a runner scale set"))
}

/// The `AutoscalingRunnerSet` of a pool.
fn set_of_pool<'a>(sets: &'a [Value], pool: &Pool) -> Option<&'a Value> {
    let is_its = |it: &&Value| {
        it["metadata"]["namespace"] == pool.namespace.as_str() && name(it) == pool.name
    };
    sets.iter().find(is_its)
}

/// The scale sets of the profile that exist, each with its pool.
fn sets<'a>(
    snapshot: &'a Snapshot,
    facts: &'a ScaleSetFacts,
) -> Result<Vec<(&'a Pool, &'a Value)>, Verdict> {
    let sets = known(&facts.sets)?;
    let of = |pool: &'a Pool| set_of_pool(sets, pool).map(|it| (pool, it));
    Ok(snapshot.profile.scale_set_pools().filter_map(of).collect())
}

/// How many seconds ago a time of an object's metadata was; `None` where it has none.
fn age(object: &Value, time: &str, now: Timestamp) -> Option<i64> {
    seconds_since(&object["metadata"][time], now)
}

/// How many seconds ago a time was.
fn seconds_since(time: &Value, now: Timestamp) -> Option<i64> {
    let time: Timestamp = time.as_str()?.parse().ok()?;
    Some(now.duration_since(time).as_secs())
}
