//! The worker nodes of the sandbox: EC2 instances of an EKS node group, as Kubernetes shows them. Pure: no I/O.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// A worker node.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// The private DNS name, which is the node's name.
    pub name: String,
    /// The private address.
    pub address: String,
    /// The EC2 instance.
    pub instance_id: String,
    /// The EC2 instance type.
    pub instance_type: String,
    /// The availability zone; its region is all but the last letter.
    pub zone: String,
    /// What pods may ask for in all: CPU, memory and the number of pods.
    pub allocatable: Allocatable,
    /// Taints, besides those that Kubernetes sets itself.
    pub taints: Vec<Taint>,
}

/// What a node has for pods.
#[derive(Clone, Debug)]
pub struct Allocatable {
    /// CPU, as a quantity.
    pub cpu: String,
    /// Memory, as a quantity.
    pub memory: String,
    /// The number of pods.
    pub pods: u32,
}

impl NodeSpec {
    /// The node number `index` of a node group of t3a.large in two zones.
    pub fn numbered(index: usize) -> Self {
        let (subnet, zone) = [(1, "ap-northeast-2a"), (2, "ap-northeast-2c")][index % 2];
        // 65 000 nodes have distinct addresses, far more than a sandbox has.
        let (third, fourth) = (subnet + 2 * (index / 240), 11 + index % 240);
        Self {
            name: format!("ip-10-0-{third}-{fourth}.ap-northeast-2.compute.internal"),
            address: format!("10.0.{third}.{fourth}"),
            instance_id: format!("i-{:017x}", 0x0a1b_2c3d_4e5f_6000 + index),
            instance_type: "t3a.large".to_owned(),
            zone: zone.to_owned(),
            // What EKS leaves of 2 vCPU and 8 GiB.
            allocatable: Allocatable {
                cpu: "1930m".to_owned(),
                memory: "7220184Ki".to_owned(),
                pods: 35,
            },
            taints: Vec::new(),
        }
    }

    /// The Node object.
    pub(super) fn object(&self) -> Result<Node, serde_json::Error> {
        serde_json::from_value(json!({
            "metadata": {"name": self.name, "labels": {
                "eks.amazonaws.com/capacityType": "ON_DEMAND",
                "eks.amazonaws.com/nodegroup": "runners",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": self.name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": self.instance_type,
                "topology.kubernetes.io/region": self.region(),
                "topology.kubernetes.io/zone": self.zone,
            }},
            "spec": {
                "providerID": format!("aws:///{}/{}", self.zone, self.instance_id),
                "taints": self.taints,
            },
        }))
    }

    /// Its status, Ready since `now`, with the images that are there.
    pub(super) fn status(&self, now: Timestamp, images: &Value) -> Value {
        let condition = |kind: &str, status: &str, reason: &str, message: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": message,
                "lastHeartbeatTime": now, "lastTransitionTime": now})
        };
        let healthy = |kind, reason, message| condition(kind, "False", reason, message);
        let Allocatable { cpu, memory, pods } = &self.allocatable;
        json!({"status": {
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "InternalDNS", "address": self.name},
                {"type": "Hostname", "address": self.name},
            ],
            "capacity": {"cpu": "2", "memory": "8023912Ki", "pods": pods.to_string(),
                "ephemeral-storage": "83873772Ki"},
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods.to_string(),
                "ephemeral-storage": "76224326324"},
            "conditions": [
                healthy("MemoryPressure", "KubeletHasSufficientMemory",
                    "kubelet has sufficient memory available"),
                healthy("DiskPressure", "KubeletHasNoDiskPressure",
                    "kubelet has no disk pressure"),
                healthy("PIDPressure", "KubeletHasSufficientPID",
                    "kubelet has sufficient PID available"),
                condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            ],
            "images": images,
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux",
                "kubeletVersion": "v1.36.3", "kubeProxyVersion": "",
                "containerRuntimeVersion": "containerd://2.1.5",
                "osImage": "arcctl-sandbox (simulated)", "kernelVersion": "simulated",
                "machineID": "", "systemUUID": "", "bootID": "",
            },
        }})
    }

    /// The lease whose renewal keeps the node alive.
    pub(super) fn lease(&self, now: Timestamp) -> Result<Lease, serde_json::Error> {
        serde_json::from_value(json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": self.name, "leaseDurationSeconds": 40,
                "renewTime": format!("{now:.6}")},
        }))
    }

    fn region(&self) -> &str {
        self.zone.trim_end_matches(|c: char| c.is_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_nodes_share_a_name_or_an_instance() {
        let nodes: Vec<_> = (0..500).map(NodeSpec::numbered).collect();
        let names: BTreeSet<_> = nodes.iter().map(|node| &node.name).collect();
        let instances: BTreeSet<_> = nodes.iter().map(|node| &node.instance_id).collect();
        assert_eq!((names.len(), instances.len()), (500, 500));
    }

    #[test]
    fn a_node_shows_its_instance() {
        let node = NodeSpec::numbered(0).object().unwrap();
        let provider = node.spec.unwrap().provider_id.unwrap();
        assert_eq!(provider, "aws:///ap-northeast-2a/i-00a1b2c3d4e5f6000");
        let labels = node.metadata.labels.unwrap();
        assert_eq!(labels["topology.kubernetes.io/region"], "ap-northeast-2");
        assert_eq!(labels["node.kubernetes.io/instance-type"], "t3a.large");
    }
}
