//! Who adds nodes for pods that stay Pending. Pure: no I/O.
//!
//! Sources: Karpenter's documentation of `karpenter.sh/v1` (`NodePools`, `Scheduling`), Cluster Autoscaler's
//! of AWS (`cluster-autoscaler/cloudprovider/aws/README.md`).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Seen;
use crate::{
    desired::pool::instance_type,
    scheduling::{Amounts, Node, Pod, requests::amount, selection::meets, taints::tolerates_all},
};

/// The label of a node with what it costs: `on-demand`, `spot` or `reserved`.
pub(super) const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";

const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";

/// The label of a node with the name of its `NodePool`.
const NODE_POOL: &str = "karpenter.sh/nodepool";

/// The label of a node of EKS Auto Mode: `auto`; of a managed node group or Fargate it has other values.
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// The labels of a managed node group (docs.aws.amazon.com/eks, "Managed node groups"): no `NodePool` gives them.
const OF_NODE_GROUPS: [&str; 2] = [
    "eks.amazonaws.com/nodegroup",
    "eks.amazonaws.com/capacityType",
];

/// The prefixes of labels that Karpenter gives each node by itself; other labels are in the `NodePool`.
const KNOWN: [&str; 9] = [
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/",
    "topology.k8s.aws/",
    "topology.ebs.csi.aws.com/",
    "node.kubernetes.io/",
    "karpenter.k8s.aws/",
    "karpenter.sh/",
    "eks.amazonaws.com/",
];

/// The labels that each node of a `NodePool` has.
const ALWAYS: [&str; 6] = [
    NODE_POOL,
    CAPACITY_TYPE,
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    INSTANCE_TYPE,
];

/// Who adds nodes for the pods of a pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Growth {
    /// Nobody, as far as arcctl sees.
    #[default]
    None,
    /// Karpenter, with these `NodePools`, and EKS Auto Mode, which has the same.
    NodePools {
        /// Their names.
        names: Vec<String>,
        /// How many more runners their limits allow at most; `None` without a limit.
        most: Option<u64>,
    },
    /// Cluster Autoscaler: how large its groups may become is not read.
    ClusterAutoscaler {
        /// The labels that the pool's pods select, and no node has.
        labels: Vec<String>,
    },
}

impl Seen {
    /// Who adds nodes for pods like `pod`.
    pub(super) fn growth(&self, pod: &Value) -> Growth {
        let taking: Vec<&Value> = self.node_pools.iter().filter(|it| takes(it, pod)).collect();
        if !taking.is_empty() {
            let limits = taking.iter().map(|it| allows(it, pod));
            return Growth::NodePools {
                names: taking.iter().map(|it| name(it).to_owned()).collect(),
                most: limits.sum(),
            };
        }
        if !self.cluster_autoscaler {
            return Growth::None;
        }
        let selector = pod["spec"]["nodeSelector"].as_object();
        let wanted = selector.into_iter().flatten();
        let labels = wanted.filter(|(key, value)| {
            let mut nodes = self.new.nodes();
            !nodes.any(|it| it.label(key) == value.as_str())
        });
        Growth::ClusterAutoscaler {
            labels: labels.map(|(key, value)| label(key, value)).collect(),
        }
    }
}

fn label(key: &str, value: &Value) -> String {
    format!("{key}={}", value.as_str().unwrap_or_default())
}

pub(super) fn name(node_pool: &Value) -> &str {
    node_pool["metadata"]["name"].as_str().unwrap_or_default()
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether a node of a `NodePool` can take pods like `pod`.
pub(super) fn takes(node_pool: &Value, pod: &Value) -> bool {
    let template = &node_pool["spec"]["template"]["spec"];
    let spec = &pod["spec"];
    let selector = spec["nodeSelector"].as_object();
    let by_selector = selector
        .into_iter()
        .flatten()
        .all(|(key, value)| can_have(node_pool, key, value.as_str()));
    let required =
        &spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let by_affinity = required.is_null()
        || list(&required["nodeSelectorTerms"])
            .iter()
            .any(|term| can_meet(node_pool, term));
    node_pool["metadata"]["deletionTimestamp"].is_null()
        && tolerates_all(&template["taints"], spec)
        && by_selector
        && by_affinity
        && is_large_enough(node_pool, pod)
}

/// The requirements of a `NodePool` on a label.
fn requirements<'a>(node_pool: &'a Value, key: &str) -> Vec<&'a Value> {
    let all = list(&node_pool["spec"]["template"]["spec"]["requirements"]).iter();
    all.filter(|it| it["key"] == *key).collect()
}

/// Whether its nodes are of EKS Auto Mode.
pub(super) fn is_of_auto_mode(node_pool: &Value) -> bool {
    node_pool["spec"]["template"]["spec"]["nodeClassRef"]["group"] == "eks.amazonaws.com"
}

/// The only value that a label of its nodes has: of its name, of its kind or of its template.
fn fixed<'a>(node_pool: &'a Value, key: &str) -> Option<&'a str> {
    match key {
        NODE_POOL => Some(name(node_pool)),
        COMPUTE_TYPE if is_of_auto_mode(node_pool) => Some("auto"),
        _ => node_pool["spec"]["template"]["metadata"]["labels"][key].as_str(),
    }
}

/// Whether a label of its nodes has none but `values`.
fn is_always_in(node_pool: &Value, key: &str, values: &[Value]) -> bool {
    if let Some(own) = fixed(node_pool, key) {
        return values.iter().any(|it| it == own);
    }
    requirements(node_pool, key).iter().any(|it| {
        let own = list(&it["values"]);
        it["operator"] == "In" && !own.is_empty() && own.iter().all(|it| values.contains(it))
    })
}

/// Whether each of its nodes has this label.
fn has_always(node_pool: &Value, key: &str) -> bool {
    ALWAYS.contains(&key)
        || fixed(node_pool, key).is_some()
        || requirements(node_pool, key)
            .iter()
            .any(|it| matches!(it["operator"].as_str(), Some("In" | "Exists" | "Gt" | "Lt")))
}

/// Whether its nodes can have a label with this value, or, without one, with any.
pub(super) fn can_have(node_pool: &Value, key: &str, value: Option<&str>) -> bool {
    if OF_NODE_GROUPS.contains(&key) {
        return false;
    }
    if let Some(own) = fixed(node_pool, key) {
        return value.is_none_or(|it| it == own);
    }
    let requirements = requirements(node_pool, key);
    if requirements.is_empty() {
        // Karpenter allows what is not required, Spot instances too.
        return key != COMPUTE_TYPE && KNOWN.iter().any(|it| key.starts_with(it));
    }
    value.is_none_or(|value| requirements.iter().all(|it| meets(it, Some(value))))
}

/// Whether its nodes can meet each expression of a term.
fn can_meet(node_pool: &Value, term: &Value) -> bool {
    list(&term["matchExpressions"]).iter().all(|it| {
        let key = it["key"].as_str().unwrap_or_default();
        match it["operator"].as_str() {
            Some("In") => list(&it["values"])
                .iter()
                .any(|value| can_have(node_pool, key, value.as_str())),
            Some("NotIn") => !is_always_in(node_pool, key, list(&it["values"])),
            Some("DoesNotExist") => !has_always(node_pool, key),
            _ => can_have(node_pool, key, None),
        }
    })
}

/// Whether one of the instance types that it names has room for the pod; true if it names none, or one that is not known.
fn is_large_enough(node_pool: &Value, pod: &Value) -> bool {
    let asked = Pod::of(pod);
    requirements(node_pool, INSTANCE_TYPE)
        .iter()
        .filter(|it| it["operator"] == "In")
        .all(|it| {
            list(&it["values"]).iter().any(|name| {
                let found = name.as_str().and_then(instance_type::lookup);
                found.is_none_or(|it| {
                    let status = serde_json::json!({"status": {"allocatable": it.allocatable()}});
                    Node::of(&status).holds(&asked) > 0
                })
            })
        })
}

/// How many more pods like `pod` the limits of a `NodePool` allow; `None` if they allow any number. Nodes are larger than
/// the pods on them, so it is the most.
fn allows(node_pool: &Value, pod: &Value) -> Option<u64> {
    let limits = node_pool["spec"]["limits"].as_object()?;
    let limit = Amounts::of(&node_pool["spec"]["limits"]);
    let used = Amounts::of(&node_pool["status"]["resources"]);
    let asked = Amounts::of_pod(pod);
    let by_resource = limits.iter().filter_map(|(resource, value)| {
        // What is no amount limits nothing that is known here.
        amount(value)?;
        let one = Some(asked.get(resource)).filter(|it| *it > 0)?;
        let free = limit.get(resource) - used.get(resource);
        Some(u64::try_from(free / one).unwrap_or_default())
    });
    by_resource.min()
}
