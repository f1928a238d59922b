//! What kube-scheduler decides about a pod: the nodes on which it fits, how many like it fit, and why it stays Pending.
//! Pure: no I/O.
//!
//! Source: kubernetes v1.36.3, the filters in `pkg/scheduler/framework/plugins` in the order of
//! `pkg/scheduler/apis/config/v1/default_plugins.go`, and `component-helpers/resource` for what a pod asks for. A node is
//! refused by the first filter that refuses it. Not computed, and told as not known: rules between pods, volumes, resource
//! claims (`unknown`). An in-place resize that is not finished counts as the pod's spec says.

mod node;
mod ports;
pub mod requests;
pub mod selection;
pub mod taints;
mod unknown;

use std::collections::BTreeMap;

use serde_json::Value;

pub use node::{Node, Pod};
pub use requests::Amounts;
use unknown::{Avoids, in_itself};

/// The nodes of a cluster, with the pods on them.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    nodes: BTreeMap<String, Node>,
    /// The rules of pods on these nodes that keep other pods away.
    avoids: Vec<Avoids>,
}

/// How many pods like one fit beside those that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many more fit. Each of them fits as long as no other pod is created.
    pub fits: u64,
    /// Why the next one stays Pending, as kube-scheduler says it, without what it says about preemption.
    pub pending: String,
}

impl Cluster {
    /// The cluster with these nodes, and without pods.
    pub fn of(nodes: &[Value]) -> Self {
        let mut cluster = Self::default();
        for node in nodes {
            cluster.add_node(node);
        }
        cluster
    }

    /// Adds a node.
    pub fn add_node(&mut self, node: &Value) {
        let node = Node::of(node);
        self.nodes.insert(node.name().to_owned(), node);
    }

    /// Adds a pod to the node that it is bound to. One that has no node, or has ended, uses nothing.
    pub fn add(&mut self, pod: &Value) {
        if matches!(
            pod["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        ) {
            return;
        }
        let name = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        if let Some(node) = self.nodes.get_mut(name) {
            node.take(&Pod::of(pod), 1);
            self.avoids.extend(Avoids::of(pod));
        }
    }

    /// The nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Why this module does not know where `pod` fits; `None` if it does.
    pub fn not_known(&self, pod: &Value) -> Option<String> {
        in_itself(pod).or_else(|| {
            let mut avoids = self.avoids.iter();
            let other = avoids.find(|it| it.may_avoid(pod))?;
            Some(format!(
                "the anti-affinity of pod `{}` may be about it",
                other.pod()
            ))
        })
    }

    /// How many pods like `pod` fit.
    pub fn fits(&self, pod: &Pod) -> u64 {
        self.nodes.values().map(|it| it.room(pod)).sum()
    }

    /// The same, and why the next one does not fit.
    pub fn room(&self, pod: &Pod) -> Room {
        let mut full = self.clone();
        let fits = full.fill(pod, u64::MAX);
        Room {
            fits,
            pending: full.refusals(pod),
        }
    }

    /// Puts up to `count` pods like `pod` on the nodes, and returns how many fit. It fills one node after the other, and
    /// kube-scheduler spreads them: that is the same for one pool, and the best case for pools that follow.
    pub fn fill(&mut self, pod: &Pod, count: u64) -> u64 {
        let mut left = count;
        for node in self.nodes.values_mut() {
            let here = node.room(pod).min(left);
            node.take(pod, here);
            left -= here;
        }
        count - left
    }

    /// The words of kube-scheduler for a pod that fits on no node (`FitError` in `pkg/scheduler/framework/types.go`).
    fn refusals(&self, pod: &Pod) -> String {
        if self.nodes.is_empty() {
            return "no nodes available to schedule pods".to_owned();
        }
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for reason in self.nodes.values().flat_map(|it| it.refusals(pod)) {
            *reasons.entry(reason).or_default() += 1;
        }
        let mut reasons: Vec<String> = reasons
            .iter()
            .map(|(reason, nodes)| format!("{nodes} {reason}"))
            .collect();
        reasons.sort_unstable();
        format!(
            "0/{} nodes are available: {}",
            self.nodes.len(),
            reasons.join(", ")
        )
    }
}

/// The entries of a list; none for anything else.
fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
