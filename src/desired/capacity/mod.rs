//! How many runners of each pool the nodes hold, why the others would stay Pending, and what would hold them. Pure: no
//! I/O.
//!
//! "How many more fit" is what kube-scheduler would do as long as no other pod is created ([`crate::scheduling`]). What
//! several pools need together is the best case: the scheduler may place them worse.

mod addresses;
mod growth;
mod losses;
mod needs;
mod prices;
mod saving;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names::{RUNNER_LABEL, SCALE_SET_LABEL};
use crate::{
    profile::{Pool, schedule::hours},
    scheduling::{Cluster, Pod},
};

pub use addresses::addresses;
pub use growth::Growth;
pub use losses::{Loss, Why, losses};
pub use prices::{Price, price};
pub use saving::{Cost, Minutes, Nodes, Saving, saving};

/// The label of a runner's pod with its pool's name, in the other mode than scale sets.
const POOL_LABEL: &str = "runner-deployment-name";

/// The nodes of a cluster and what is on them. Nodes must be seen before their pods.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The nodes with all pods.
    cluster: Cluster,
    /// The nodes with those pods that each new node has too.
    new: Cluster,
    /// The number of runners that have a node, by namespace and pool.
    placed: BTreeMap<(String, String), u64>,
    /// Karpenter's `NodePools`.
    pub node_pools: Vec<Value>,
    /// Whether Cluster Autoscaler runs, in whatever namespace.
    cluster_autoscaler: bool,
    /// Whether the VPC CNI gives prefixes to the nodes, and not one address after the other.
    prefixes: bool,
}

/// What is left for a pool beside those before it in the profile.
#[derive(Clone, Debug)]
struct Together {
    /// The nodes.
    nodes: Cluster,
    /// What these have of the limits of Karpenter's `NodePools`.
    ordered: growth::Ordered,
}

/// What the nodes hold of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolRoom {
    /// The pool.
    pub pool: String,
    /// How many of its runners have a node.
    pub placed: u64,
    /// How many more fit, if no other pool gets more.
    pub fits: u64,
    /// What is missing for the largest minimum that its schedule has in a year from now.
    pub minimum: Lack,
    /// What is missing for its maximum.
    pub maximum: Lack,
    /// How busy runners may lose their node.
    pub losses: Vec<Loss>,
    /// Why none of this is known.
    pub not_known: Option<String>,
}

/// What is missing for a number of runners of a pool, if the pools before it in the profile have theirs too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// The number of runners.
    pub wanted: u32,
    /// How many of them stay Pending.
    pub lacking: u64,
    /// Why, in the words of kube-scheduler; empty if none does.
    pub pending: String,
    /// The nodes that would hold these, in words.
    pub needs: Option<String>,
    /// Who adds nodes for them.
    pub growth: Growth,
}

impl Seen {
    /// Looks at a node.
    pub fn node(&mut self, node: &Value) {
        self.cluster.add_node(node);
        self.new.add_node(node);
    }

    /// Looks at a pod.
    pub fn pod(&mut self, pod: &Value) {
        self.cluster.add(pod);
        if is_on_every_node(pod) {
            self.new.add(pod);
        }
        let metadata = &pod["metadata"];
        let labels = &metadata["labels"];
        let of_set = Some(&labels[SCALE_SET_LABEL]).filter(|_| labels[RUNNER_LABEL] == "True");
        let pool = labels[POOL_LABEL]
            .as_str()
            .or_else(|| of_set.and_then(Value::as_str));
        let has_ended = matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        self.cluster_autoscaler |= !has_ended && is_cluster_autoscaler(pod);
        self.prefixes |= !has_ended && gives_prefixes(pod);
        if let (Some(pool), Some(namespace)) = (pool, metadata["namespace"].as_str())
            && pod["spec"]["nodeName"].is_string()
            && !has_ended
        {
            let key = (namespace.to_owned(), pool.to_owned());
            *self.placed.entry(key).or_default() += 1;
        }
    }

    /// What the nodes hold of each of `pools`, with the pod of one of its runners; the minimums are those from `now` on.
    pub fn rooms(&self, pools: &[(&Pool, Value)], now: Timestamp) -> Vec<PoolRoom> {
        let together = Together {
            nodes: self.cluster.clone(),
            ordered: growth::Ordered::default(),
        };
        let (mut minimums, mut maximums) = (together.clone(), together);
        pools
            .iter()
            .map(|(pool, pod)| {
                let minimum = largest_minimum(pool, now);
                self.room(pool, pod, minimum, [&mut minimums, &mut maximums])
            })
            .collect()
    }

    /// How many runners of a pool have a node.
    fn placed(&self, pool: &Pool) -> u64 {
        let key = (pool.namespace.clone(), pool.name.clone());
        self.placed.get(&key).copied().unwrap_or_default()
    }

    fn room(
        &self,
        pool: &Pool,
        pod: &Value,
        minimum: u32,
        [minimums, maximums]: [&mut Together; 2],
    ) -> PoolRoom {
        let placed = self.placed(pool);
        let mut room = PoolRoom {
            pool: pool.name.clone(),
            placed,
            fits: 0,
            minimum: Lack::default(),
            maximum: Lack::default(),
            losses: losses::of_pod(&self.node_pools, pod),
            not_known: self.cluster.not_known(pod),
        };
        if room.not_known.is_some() {
            return room;
        }
        room.fits = self.cluster.fits(&Pod::of(pod));
        room.minimum = self.lack(pool, pod, (minimum, placed), minimums);
        room.maximum = self.lack(pool, pod, (pool.max, placed), maximums);
        room
    }

    /// What is missing for `wanted` runners of `pool`, of which `placed` have a node; `together` has the pools before it.
    fn lack(
        &self,
        pool: &Pool,
        pod: &Value,
        (wanted, placed): (u32, u64),
        together: &mut Together,
    ) -> Lack {
        let asked = Pod::of(pod);
        let more = u64::from(wanted).saturating_sub(placed);
        let lacking = more - together.nodes.fill(&asked, more);
        if lacking == 0 {
            return Lack {
                wanted,
                ..Lack::default()
            };
        }
        Lack {
            wanted,
            lacking,
            pending: together.nodes.room(&asked).pending,
            needs: needs::needs((&self.new, self.prefixes), pool, &asked, lacking),
            growth: self.growth(pod, lacking, &mut together.ordered),
        }
    }
}

/// Whether a pod is of Cluster Autoscaler: its image has this name in each registry, and its other names are free.
fn is_cluster_autoscaler(pod: &Value) -> bool {
    let containers = pod["spec"]["containers"].as_array();
    let mut images = containers
        .into_iter()
        .flatten()
        .filter_map(|it| it["image"].as_str());
    images.any(|it| it.contains("cluster-autoscaler"))
}

/// Whether a pod is of the VPC CNI with prefix delegation (EKS user guide, "Increase the available IP addresses for your
/// Amazon EKS node").
fn gives_prefixes(pod: &Value) -> bool {
    let containers = pod["spec"]["containers"].as_array();
    let mut containers = containers.into_iter().flatten();
    let cni = containers.find(|it| it["name"] == "aws-node");
    let variables = cni.and_then(|it| it["env"].as_array());
    let mut variables = variables.into_iter().flatten();
    variables.any(|it| it["name"] == "ENABLE_PREFIX_DELEGATION" && it["value"] == "true")
}

/// The largest minimum of a pool that is in force at some time of a year from `now` on: a window that is over, or always
/// overruled by an earlier one, does not count.
fn largest_minimum(pool: &Pool, now: Timestamp) -> u32 {
    let schedule = pool.schedule.as_ref();
    // A profile without a valid schedule has its own error.
    let largest = schedule.and_then(|it| hours(it, pool.min, now).ok());
    largest.map_or(pool.min, |it| it.largest)
}

/// Whether a new node has such a pod too: of a `DaemonSet`, or one that the kubelet itself runs.
fn is_on_every_node(pod: &Value) -> bool {
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let mut owners = owners.into_iter().flatten();
    owners.any(|it| it["kind"] == "DaemonSet" || it["kind"] == "Node")
}

/// `pod` with the requests that the API server adds: a container's limit, where it has no request.
pub fn with_default_requests(pod: &Value) -> Value {
    let mut pod = pod.clone();
    for key in ["containers", "initContainers"] {
        let containers = pod["spec"].get_mut(key).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let Some(limits) = container["resources"]["limits"].as_object().cloned() else {
                continue;
            };
            for (resource, limit) in limits {
                let requests = &mut container["resources"]["requests"];
                if requests[&resource].is_null() {
                    requests[resource] = limit;
                }
            }
        }
    }
    pod
}
