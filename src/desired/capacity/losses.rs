//! How busy runners may lose their node, and what prevents it. Pure: no I/O.
//!
//! Source: Karpenter's documentation of `karpenter.sh/v1` (`Disruption`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    PoolRoom,
    growth::{CAPACITY_TYPE, can_have, is_of_auto_mode, list, name, takes},
};
use crate::{scheduling::selection::meets, units::listed::first_of};

/// The annotation of a pod with which Karpenter leaves its node alone.
const SPARED: &str = "karpenter.sh/do-not-disrupt";

/// The `NodePools` of EKS Auto Mode, which nobody may change (docs.aws.amazon.com/eks, "Enable or Disable Built-in
/// `NodePools`").
const BUILT_IN: [&str; 2] = ["general-purpose", "system"];

/// How many pools are named.
const NAMED: usize = 3;

/// How the runners of a pool may lose their node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loss {
    /// The `NodePool` of the node.
    pub node_pool: String,
    /// Whether it is one that nobody may change.
    pub built_in: bool,
    /// Why the node is taken away.
    pub why: Why,
}

/// Why a node with a busy runner is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Why {
    /// Karpenter moves its pods to another one.
    Consolidation,
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
            built_in: is_built_in(node_pool),
            why,
        };
        if !is_spared && consolidates(node_pool) {
            found.push(loss(Why::Consolidation));
        }
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
        match self.why {
            Why::Consolidation => {
                let other = if self.built_in {
                    "use a NodePool of your own"
                } else {
                    "set the NodePool's `consolidationPolicy: WhenEmpty`"
                };
                format!(
                    "NodePool `{name}` consolidates nodes with pods on them, and would end jobs of {of}: add `podMetadata: {{annotations: {{{SPARED}: \"true\"}}}}` to the pool, or {other}"
                )
            }
            Why::Spot => format!(
                "NodePool `{name}` may use Spot instances, which AWS interrupts with two minutes' notice: longer jobs of {of} are lost; set `nodeSelector: {{{CAPACITY_TYPE}: on-demand}}` in the pool to avoid them"
            ),
        }
    }
}

/// The first of the pools, and how many more there are.
fn named(pools: &[&str]) -> String {
    let s = if pools.len() == 1 { "" } else { "s" };
    let names = pools.iter().map(|it| format!("`{it}`"));
    format!("pool{s} {}", first_of(names, NAMED, [", ", " … "]))
}

fn is_built_in(node_pool: &Value) -> bool {
    is_of_auto_mode(node_pool) && BUILT_IN.contains(&name(node_pool))
}

/// Whether it replaces nodes on which there are pods: by default it does.
fn consolidates(node_pool: &Value) -> bool {
    let disruption = &node_pool["spec"]["disruption"];
    let never = list(&disruption["budgets"]).iter().any(|it| {
        it["nodes"] == "0" && it["schedule"].is_null() && list(&it["reasons"]).is_empty()
    });
    disruption["consolidationPolicy"] != "WhenEmpty"
        && disruption["consolidateAfter"] != "Never"
        && !never
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
