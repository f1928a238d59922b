//! Who adds nodes for pods that stay Pending. Pure: no I/O.
//!
//! Sources: Karpenter's documentation of `karpenter.sh/v1` (`NodePools`, `Scheduling`) and its `NewScheduler` in
//! `pkg/controllers/provisioning/provisioner.go`, Cluster Autoscaler's of AWS
//! (`cluster-autoscaler/cloudprovider/aws/README.md`, `buildGenericLabels` in `aws_manager.go` there).

use std::collections::BTreeMap;

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

/// The prefixes of labels that Karpenter gives each node by itself, beside those of its instance type; other labels are in
/// the `NodePool`.
const KNOWN: [&str; 7] = [
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/",
    "topology.k8s.aws/",
    "topology.ebs.csi.aws.com/",
    "node.kubernetes.io/",
    "karpenter.sh/",
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

/// The labels that Cluster Autoscaler knows of a group that has no node, without a tag.
const OF_EMPTY_GROUPS: [&str; 6] = [
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.ebs.csi.aws.com/zone",
    INSTANCE_TYPE,
];

/// What the pools before one have of new nodes, by the name of the `NodePool`.
pub(super) type Ordered = BTreeMap<String, Amounts>;

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
        /// Whether pools before it in the profile have taken some of these limits.
        shared: bool,
    },
    /// Karpenter, once these `NodePools` are ready.
    NotReady {
        /// Their names.
        names: Vec<String>,
    },
    /// Cluster Autoscaler: how large its groups may become is not read.
    ClusterAutoscaler {
        /// The labels that the pool's pods select, and no node has.
        labels: Vec<String>,
    },
}

impl Seen {
    /// Who adds nodes for `lacking` pods like `pod`, and takes them off the limits that are left by `ordered`.
    pub(super) fn growth(&self, pod: &Value, lacking: u64, ordered: &mut Ordered) -> Growth {
        let taking = self.node_pools.iter();
        let taking = taking.filter(|it| !is_static(it) && takes(it, pod));
        let (ready, others): (Vec<&Value>, Vec<&Value>) = taking.partition(|it| is_ready(it));
        if !ready.is_empty() {
            return of_node_pools(ready, pod, lacking, ordered);
        }
        if self.cluster_autoscaler {
            let labels = self.labels_of_no_node(pod);
            return Growth::ClusterAutoscaler { labels };
        }
        if others.is_empty() {
            return Growth::None;
        }
        Growth::NotReady {
            names: names(&others),
        }
    }

    /// The labels that `pod` selects, no node has, and Cluster Autoscaler does not know by itself.
    fn labels_of_no_node(&self, pod: &Value) -> Vec<String> {
        let selector = pod["spec"]["nodeSelector"].as_object();
        let wanted = selector.into_iter().flatten();
        let labels = wanted.filter(|(key, value)| {
            let mut nodes = self.new.nodes();
            !OF_EMPTY_GROUPS.contains(&key.as_str())
                && !nodes.any(|it| it.label(key) == value.as_str())
        });
        labels.map(|(key, value)| label(key, value)).collect()
    }
}

/// Karpenter, which tries the `NodePools` by weight, and those of the same weight by name, from the last one.
fn of_node_pools(
    mut node_pools: Vec<&Value>,
    pod: &Value,
    lacking: u64,
    ordered: &mut Ordered,
) -> Growth {
    node_pools.sort_by(|a, b| {
        let by_weight = weight(b).cmp(&weight(a));
        by_weight.then_with(|| name(b).cmp(name(a)))
    });
    let asked = Amounts::of_pod(pod);
    let (mut left, mut most, mut shared) = (lacking, Some(0_u64), false);
    for node_pool in &node_pools {
        let before = ordered.entry(name(node_pool).to_owned()).or_default();
        shared |= before.positive().next().is_some();
        let allowed = allows(node_pool, &asked, before);
        let here = allowed.unwrap_or(left).min(left);
        before.add(&asked, here);
        left -= here;
        most = most
            .zip(allowed)
            .map(|(sum, more)| sum.saturating_add(more));
    }
    Growth::NodePools {
        names: names(&node_pools),
        most,
        shared,
    }
}

fn names(node_pools: &[&Value]) -> Vec<String> {
    node_pools.iter().map(|it| name(it).to_owned()).collect()
}

fn weight(node_pool: &Value) -> i64 {
    node_pool["spec"]["weight"].as_i64().unwrap_or_default()
}

/// Whether it has a fixed number of nodes, and adds none for pods.
pub(super) fn is_static(node_pool: &Value) -> bool {
    !node_pool["spec"]["replicas"].is_null()
}

/// Whether Karpenter uses it: it leaves out one whose condition `Ready` is not `True`, as long as the node class is missing or not
/// ready. Without Karpenter nobody sets the condition.
fn is_ready(node_pool: &Value) -> bool {
    let mut conditions = list(&node_pool["status"]["conditions"]).iter();
    conditions.any(|it| it["type"] == "Ready" && it["status"] == "True")
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
        .all(|(key, value)| can_have(node_pool, current(key), value.as_str()));
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

/// The label for which Karpenter takes one of an earlier name (`NormalizedLabels` in its `pkg/apis/v1/labels.go`).
fn current(key: &str) -> &str {
    match key {
        "beta.kubernetes.io/arch" => "kubernetes.io/arch",
        "beta.kubernetes.io/os" => "kubernetes.io/os",
        "beta.kubernetes.io/instance-type" => INSTANCE_TYPE,
        "failure-domain.beta.kubernetes.io/region" => "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone" => "topology.kubernetes.io/zone",
        key => key,
    }
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

/// The prefix of the labels of its instance types (EKS user guide, "Create a Node Pool for EKS Auto Mode").
fn prefix_of_types(node_pool: &Value) -> &'static str {
    if is_of_auto_mode(node_pool) {
        "eks.amazonaws.com/"
    } else {
        "karpenter.k8s.aws/"
    }
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
            .any(|it| !matches!(it["operator"].as_str(), Some("NotIn" | "DoesNotExist")))
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
        let mut known = KNOWN.iter().copied().chain([prefix_of_types(node_pool)]);
        return known.any(|it| key.starts_with(it));
    }
    value.is_none_or(|value| requirements.iter().all(|it| meets(it, Some(value))))
}

/// Whether its nodes can meet each expression of a term.
fn can_meet(node_pool: &Value, term: &Value) -> bool {
    list(&term["matchExpressions"]).iter().all(|it| {
        let key = current(it["key"].as_str().unwrap_or_default());
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

/// How many more pods that ask for `asked` the limits of a `NodePool` allow beside `before`; `None` if they allow any
/// number. Nodes are larger than the pods on them, so it is the most.
fn allows(node_pool: &Value, asked: &Amounts, before: &Amounts) -> Option<u64> {
    let limits = node_pool["spec"]["limits"].as_object()?;
    let limit = Amounts::of(&node_pool["spec"]["limits"]);
    let used = Amounts::of(&node_pool["status"]["resources"]);
    let by_resource = limits.iter().filter_map(|(resource, value)| {
        // What is no amount limits nothing that is known here.
        amount(value)?;
        let one = Some(asked.get(resource)).filter(|it| *it > 0)?;
        let free = limit.get(resource) - used.get(resource) - before.get(resource);
        Some(u64::try_from(free / one).unwrap_or_default())
    });
    by_resource.min()
}
