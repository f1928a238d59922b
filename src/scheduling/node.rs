//! A node with what its pods use, and a pod that could be put on it. Pure: no I/O.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ports::HostPort, requests::Amounts, selection::is_selected, taints};

/// What the filters read of a pod.
#[derive(Clone, Debug)]
pub struct Pod {
    spec: Value,
    asks: Amounts,
    ports: Vec<HostPort>,
}

impl Pod {
    /// Reads a pod, as the API server has admitted it.
    pub fn of(pod: &Value) -> Self {
        let spec = &pod["spec"];
        Self {
            spec: json!({
                "nodeSelector": spec["nodeSelector"],
                "affinity": {"nodeAffinity": spec["affinity"]["nodeAffinity"]},
                "tolerations": spec["tolerations"],
            }),
            asks: Amounts::of_pod(pod),
            ports: HostPort::of(pod),
        }
    }

    /// What it asks for.
    pub fn asks(&self) -> &Amounts {
        &self.asks
    }
}

/// A node, and what the pods on it use.
#[derive(Clone, Debug)]
pub struct Node {
    // Not copied with the node.
    object: Arc<Value>,
    has: Arc<Amounts>,
    used: Amounts,
    pods: u64,
    ports: Vec<HostPort>,
}

impl Node {
    /// A node without pods.
    pub fn of(node: &Value) -> Self {
        Self {
            object: Arc::new(json!({
                "metadata": {"name": node["metadata"]["name"], "labels": node["metadata"]["labels"]},
                "spec": {"taints": node["spec"]["taints"], "unschedulable": node["spec"]["unschedulable"]},
            })),
            has: Arc::new(Amounts::of(&node["status"]["allocatable"])),
            used: Amounts::default(),
            pods: 0,
            ports: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.object["metadata"]["labels"][key].as_str()
    }

    /// How many more pods like `pod` fit.
    pub fn room(&self, pod: &Pod) -> u64 {
        if self.rule(pod).is_some() {
            0
        } else {
            self.holds(pod)
        }
    }

    /// How many more pods like `pod` it has resources for, whether it takes them or not.
    pub fn holds(&self, pod: &Pod) -> u64 {
        let by_resource = pod.asks.positive().map(|(resource, amount)| {
            let free = self.has.get(resource) - self.used.get(resource);
            u64::try_from(free / amount).unwrap_or_default()
        });
        let fit = by_resource.fold(self.slots(), u64::min);
        // A second one would use the same port.
        if pod.ports.is_empty() {
            fit
        } else {
            fit.min(1)
        }
    }

    /// Puts so many pods like `pod` on it.
    pub fn take(&mut self, pod: &Pod, count: u64) {
        if count > 0 {
            self.used.add(&pod.asks, count);
            self.pods += count;
            self.ports.extend(pod.ports.iter().cloned());
        }
    }

    /// Why it does not take one more pod like `pod`, in the words of kube-scheduler; nothing if it does.
    pub fn refusals(&self, pod: &Pod) -> Vec<String> {
        if let Some(rule) = self.rule(pod) {
            return vec![rule.to_owned()];
        }
        let mut lacking: Vec<String> = pod
            .asks
            .positive()
            .filter(|(resource, amount)| *amount > self.has.get(resource) - self.used.get(resource))
            .map(|(resource, _)| format!("Insufficient {resource}"))
            .collect();
        if self.slots() == 0 {
            lacking.push("Too many pods".to_owned());
        }
        lacking
    }

    /// How many more pods of any kind it takes.
    fn slots(&self) -> u64 {
        let allowed = u64::try_from(self.has.get("pods")).unwrap_or_default();
        allowed.saturating_sub(self.pods)
    }

    /// The first rule by which it does not take `pod`, whatever the pod asks for.
    fn rule(&self, pod: &Pod) -> Option<&'static str> {
        let spec = &self.object["spec"];
        let is_used = |port: &HostPort| self.ports.iter().any(|it| it.collides(port));
        if spec["unschedulable"] == true && !tolerates_cordon(&pod.spec) {
            Some("node(s) were unschedulable")
        } else if !taints::tolerates_all(&spec["taints"], &pod.spec) {
            Some("node(s) had untolerated taint(s)")
        } else if !is_selected(&self.object, &pod.spec) {
            Some("node(s) didn't match Pod's node affinity/selector")
        } else if pod.ports.iter().any(is_used) {
            Some("node(s) didn't have free ports for the requested pod ports")
        } else {
            None
        }
    }
}

/// Whether a pod with this spec may be put on a cordoned node.
fn tolerates_cordon(spec: &Value) -> bool {
    let taint = json!({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"});
    taints::tolerates(spec, &taint)
}
