//! How busy runners may lose their node, and what prevents it. Pure: no I/O.
//!
//! Sources: Karpenter's documentation of `karpenter.sh/v1` (`Disruption`), its `NewCandidate` in
//! `pkg/controllers/disruption/types.go`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    PoolRoom,
    growth::{CAPACITY_TYPE, can_have, is_of_auto_mode, is_static, list, name, takes},
};
use crate::{
    scheduling::selection::meets,
    units::{duration::KubeDuration, listed::first_of},
};

/// The annotation of a pod with which Karpenter leaves its node alone.
const SPARED: &str = "karpenter.sh/do-not-disrupt";

/// What keeps a `NodePool` from taking nodes with pods on them.
const KEPT: &str = "`consolidationPolicy: WhenEmpty`, `expireAfter: Never` and a budget of 0 nodes for the reason `Drifted`";

/// How old a node of EKS Auto Mode may get, also with `expireAfter: Never` (EKS user guide, "Learn about Amazon EKS Auto Mode
/// managed instances").
const OLDEST_OF_AUTO_MODE: &str = "21 days or a shorter `expireAfter`";

/// How long a job may run unless its workflow has another `timeout-minutes` (GitHub's documentation, "Workflow syntax").
const JOB: KubeDuration = KubeDuration::from_secs(6 * 60 * 60);

/// How many pools are named.
const NAMED: usize = 3;

/// How the runners of a pool may lose their node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loss {
    /// The `NodePool` of the node.
    pub node_pool: String,
    /// Whether it is of EKS Auto Mode, where no node gets older than 21 days.
    pub auto_mode: bool,
    /// Why the node is taken away.
    pub why: Why,
}

/// Why a node with a busy runner is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Why {
    /// Karpenter moves its pods to another one.
    Consolidation,
    /// Karpenter replaces it, because it has drifted from what it would be today.
    Drift,
    /// Karpenter takes it away at a certain age.
    Age,
    /// The same as `Drift` and `Age`, and Karpenter does not wait for pods that it should spare as long as a job may run.
    GracePeriod,
    /// AWS takes it back.
    Spot,
}

/// How Karpenter, or AWS, may take the node away from a busy runner with this pod.
pub(super) fn of_pod(node_pools: &[Value], pod: &Value) -> Vec<Loss> {
    let is_spared = pod["metadata"]["annotations"][SPARED] == "true";
    let mut found = Vec::new();
    for node_pool in node_pools.iter().filter(|it| takes(it, pod)) {
        let loss = |why: Why| Loss {
            node_pool: name(node_pool).to_owned(),
            auto_mode: is_of_auto_mode(node_pool),
            why,
        };
        found.extend(taken(node_pool, is_spared).map(&loss));
        if can_be_spot(node_pool) && can_select_spot(pod) {
            found.push(loss(Why::Spot));
        }
    }
    found
}

/// How busy runners may lose their node, and what prevents it: once for each `NodePool` and reason.
pub fn losses(rooms: &[PoolRoom]) -> Vec<String> {
    let mut pools: BTreeMap<&Loss, Vec<&str>> = BTreeMap::new();
    for room in rooms {
        for loss in &room.losses {
            pools.entry(loss).or_default().push(&room.pool);
        }
    }
    pools
        .into_iter()
        .map(|(loss, pools)| loss.told(&pools))
        .collect()
}

impl Loss {
    fn told(&self, pools: &[&str]) -> String {
        let (name, of) = (&self.node_pool, named(pools));
        let age = if self.auto_mode {
            OLDEST_OF_AUTO_MODE
        } else {
            "`expireAfter`"
        };
        match self.why {
            Why::Consolidation => self.spare(&of, "consolidates nodes with pods on them"),
            Why::Drift => self.spare(
                &of,
                "replaces nodes that have drifted, such as after a new AMI, with pods on them",
            ),
            Why::Age => self.spare(
                &of,
                &format!("removes nodes that are older than {age}, with pods on them"),
            ),
            Why::GracePeriod => format!(
                "NodePool `{name}` has a `terminationGracePeriod` of less than 6 hours: that long after a node has drifted or become older than {age}, pods with `{SPARED}` are ended too, and longer jobs of {of} are lost; raise it to the time that the longest job takes, or remove it"
            ),
            Why::Spot => format!(
                "NodePool `{name}` may use Spot instances, which AWS interrupts with two minutes' notice: longer jobs of {of} are lost; set `nodeSelector: {{{CAPACITY_TYPE}: on-demand}}` in the pool to avoid them"
            ),
        }
    }

    /// What it does with nodes, and how pods are spared.
    fn spare(&self, of: &str, does: &str) -> String {
        let name = &self.node_pool;
        let other = if self.auto_mode {
            String::new()
        } else {
            format!(", or give the NodePool {KEPT}")
        };
        format!(
            "NodePool `{name}` {does}, and would end jobs of {of}: add `podMetadata: {{annotations: {{{SPARED}: \"true\"}}}}` to the pool{other}"
        )
    }
}

/// The first of the pools, and how many more there are.
fn named(pools: &[&str]) -> String {
    let s = if pools.len() == 1 { "" } else { "s" };
    let names = pools.iter().map(|it| format!("`{it}`"));
    format!("pool{s} {}", first_of(names, NAMED, [", ", " … "]))
}

/// Why it takes away nodes with pods on them: by default it does, for each of the three reasons, of which one is told. A pod
/// that `is_spared` is waited for, at most for the grace period.
fn taken(node_pool: &Value, is_spared: bool) -> Option<Why> {
    let template = &node_pool["spec"]["template"]["spec"];
    let replaces = !is_forbidden(node_pool, "Drifted");
    // No budget is about the age.
    let removes = is_of_auto_mode(node_pool) || template["expireAfter"] != "Never";
    if is_spared {
        let period = template["terminationGracePeriod"].as_str();
        let period = period.and_then(|it| it.parse::<KubeDuration>().ok());
        let is_short = period.is_some_and(|it| it < JOB);
        (is_short && (replaces || removes)).then_some(Why::GracePeriod)
    } else if consolidates(node_pool) {
        Some(Why::Consolidation)
    } else if replaces {
        Some(Why::Drift)
    } else {
        removes.then_some(Why::Age)
    }
}

/// Whether it moves pods to other nodes to have fewer or cheaper ones.
fn consolidates(node_pool: &Value) -> bool {
    let disruption = &node_pool["spec"]["disruption"];
    !is_static(node_pool)
        && disruption["consolidationPolicy"] != "WhenEmpty"
        && disruption["consolidateAfter"] != "Never"
        && !is_forbidden(node_pool, "Underutilized")
}

/// Whether a budget of no node, at all times, is about `reason`: one without reasons is about each.
fn is_forbidden(node_pool: &Value, reason: &str) -> bool {
    let mut budgets = list(&node_pool["spec"]["disruption"]["budgets"]).iter();
    budgets.any(|it| {
        let reasons = list(&it["reasons"]);
        matches!(it["nodes"].as_str(), Some("0" | "0%"))
            && it["schedule"].is_null()
            && (reasons.is_empty() || reasons.iter().any(|it| *it == reason))
    })
}

fn can_be_spot(node_pool: &Value) -> bool {
    can_have(node_pool, CAPACITY_TYPE, Some("spot"))
}

/// Whether the pod's own rules leave Spot instances open.
fn can_select_spot(pod: &Value) -> bool {
    let spec = &pod["spec"];
    let selected = spec["nodeSelector"][CAPACITY_TYPE].as_str();
    let required =
        &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let of_term = |term: &Value| {
        list(&term["matchExpressions"])
            .iter()
            .filter(|it| it["key"] == CAPACITY_TYPE)
            .all(|it| meets(it, Some("spot")))
    };
    selected.is_none_or(|it| it == "spot")
        && (required.is_null() || list(&required["nodeSelectorTerms"]).iter().any(of_term))
}
