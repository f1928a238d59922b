//! Finds the nodes for a pod: the scheduler's filters, with the scheduler's messages. Pure: no I/O.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, ResourceRequirements, Taint, Toleration,
};

use super::quantity::milli;

/// What pods ask of a node: CPU and memory in thousandths, and their number.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Demand {
    cpu: i128,
    memory: i128,
    pods: i128,
}

impl Demand {
    /// What a pod asks for: the sum of its containers, or its largest init container.
    pub(super) fn of(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else {
            return Self::default();
        };
        let ask = |resources: &Option<ResourceRequirements>, name: &str| {
            let requests = resources
                .as_ref()
                .and_then(|resources| resources.requests.as_ref());
            requests
                .and_then(|requests| requests.get(name))
                .map_or(0, milli)
        };
        let total = |name: &str| {
            let sum: i128 = spec
                .containers
                .iter()
                .map(|one| ask(&one.resources, name))
                .sum();
            let init = spec.init_containers.iter().flatten();
            sum.max(init.map(|one| ask(&one.resources, name)).max().unwrap_or(0))
        };
        Self {
            cpu: total("cpu"),
            memory: total("memory"),
            pods: 1,
        }
    }

    fn allocatable(node: &Node) -> Self {
        let all = node
            .status
            .as_ref()
            .and_then(|status| status.allocatable.as_ref());
        let of = |name: &str| all.and_then(|all| all.get(name)).map_or(0, milli);
        Self {
            cpu: of("cpu"),
            memory: of("memory"),
            pods: of("pods") / 1000,
        }
    }
}

impl std::ops::Add for Demand {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu: self.cpu + other.cpu,
            memory: self.memory + other.memory,
            pods: self.pods + other.pods,
        }
    }
}

/// Chooses the node for a pod, given what each node's pods ask for already: the one with the
/// most CPU left. Without one, says why in kube-scheduler's words.
pub(super) fn choose(pod: &Pod, nodes: &[(&Node, Demand)]) -> Result<String, String> {
    let demand = Demand::of(pod);
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut preemptible = 0;
    let mut best: Option<(i128, i128, &str)> = None;
    for (node, used) in nodes {
        match obstacles(pod, node, demand, *used) {
            Obstacles::None => {
                let left = Demand::allocatable(node).cpu - used.cpu;
                let name = node.metadata.name.as_deref().unwrap_or_default();
                // Fewer pods decide between equals, so that replicas spread over the nodes.
                let candidate = (left, -used.pods, name);
                if best.is_none_or(|(l, p, _)| (left, -used.pods) > (l, p)) {
                    best = Some(candidate);
                }
            }
            Obstacles::Never(reason) => *reasons.entry(reason).or_default() += 1,
            Obstacles::Full(full) => {
                preemptible += 1;
                for reason in full {
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
    }
    match best {
        Some((_, _, name)) => Ok(name.to_owned()),
        None => Err(message(nodes.len(), &reasons, preemptible)),
    }
}

enum Obstacles {
    None,
    /// Removing other pods would not help.
    Never(&'static str),
    /// Removing other pods might help.
    Full(Vec<&'static str>),
}

fn obstacles(pod: &Pod, node: &Node, demand: Demand, used: Demand) -> Obstacles {
    let spec = node.spec.as_ref();
    if spec.and_then(|spec| spec.unschedulable) == Some(true) {
        return Obstacles::Never("node(s) were unschedulable");
    }
    let tolerations = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.tolerations.as_deref());
    let mut taints = spec
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default()
        .iter();
    if taints.any(|taint| !is_tolerated(taint, tolerations.unwrap_or_default())) {
        return Obstacles::Never("node(s) had untolerated taint(s)");
    }
    if !is_selected(pod, node) {
        return Obstacles::Never("node(s) didn't match Pod's node affinity/selector");
    }
    let (all, sum) = (Demand::allocatable(node), used + demand);
    let full: Vec<_> = [
        (sum.pods > all.pods, "Too many pods"),
        (demand.cpu > 0 && sum.cpu > all.cpu, "Insufficient cpu"),
        (
            demand.memory > 0 && sum.memory > all.memory,
            "Insufficient memory",
        ),
    ]
    .into_iter()
    .filter_map(|(is_full, reason)| is_full.then_some(reason))
    .collect();
    if full.is_empty() {
        Obstacles::None
    } else {
        Obstacles::Full(full)
    }
}

fn message(nodes: usize, reasons: &BTreeMap<&str, usize>, preemptible: usize) -> String {
    if nodes == 0 {
        return "no nodes available to schedule pods".to_owned();
    }
    let mut counted: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    counted.sort();
    let helpless = nodes - preemptible;
    let mut preemption = Vec::new();
    if preemptible > 0 {
        preemption.push(format!(
            "{preemptible} No preemption victims found for incoming pod"
        ));
    }
    if helpless > 0 {
        preemption.push(format!(
            "{helpless} Preemption is not helpful for scheduling"
        ));
    }
    preemption.sort();
    format!(
        "0/{nodes} nodes are available: {}. no new claims to deallocate, preemption: 0/{nodes} nodes are available: {}.",
        counted.join(", "),
        preemption.join(", ")
    )
}

fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    // A preference keeps no pod away.
    taint.effect == "PreferNoSchedule"
        || tolerations.iter().any(|toleration| {
            let effect = toleration.effect.as_deref().unwrap_or_default();
            let key = toleration.key.as_deref().unwrap_or_default();
            let value = toleration.value.as_deref().unwrap_or_default();
            (effect.is_empty() || effect == taint.effect)
                && match toleration.operator.as_deref() {
                    Some("Exists") => key.is_empty() || key == taint.key,
                    _ => key == taint.key && value == taint.value.as_deref().unwrap_or_default(),
                }
        })
}

fn is_selected(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let empty = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let by_selector = spec
        .node_selector
        .iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|node| {
            node.required_during_scheduling_ignored_during_execution
                .as_ref()
        });
    let by_affinity = required.is_none_or(|required| {
        required
            .node_selector_terms
            .iter()
            .any(|term| matches_term(term, labels, name))
    });
    by_selector && by_affinity
}

fn matches_term(term: &NodeSelectorTerm, labels: &BTreeMap<String, String>, name: &str) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    // An empty term matches nothing.
    (!expressions.is_empty() || !fields.is_empty())
        && expressions
            .iter()
            .all(|one| meets(one, labels.get(&one.key).map(String::as_str)))
        && fields
            .iter()
            .all(|one| meets(one, (one.key == "metadata.name").then_some(name)))
}

fn meets(requirement: &NodeSelectorRequirement, found: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let listed = found.is_some_and(|found| values.iter().any(|value| value == found));
    let compare = |wanted: fn(&i64, &i64) -> bool| {
        let found = found.and_then(|found| found.parse().ok());
        let limit = values.first().and_then(|value| value.parse().ok());
        matches!((found, limit), (Some(found), Some(limit)) if wanted(&found, &limit))
    };
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::NodeSpec;
    use super::*;
    use serde_json::{Value, from_value, json};

    fn node(index: usize) -> Node {
        let spec = NodeSpec::numbered(index);
        let status = spec.status(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
        let mut node = spec.object().unwrap();
        node.status = from_value(status["status"].clone()).unwrap();
        node
    }

    fn pod(spec: &Value) -> Pod {
        from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap()
    }

    fn asks(cpu: &str, memory: &str) -> Pod {
        pod(&json!({"containers": [{"name": "c",
            "resources": {"requests": {"cpu": cpu, "memory": memory}}}]}))
    }

    fn fresh(nodes: &[Node]) -> Vec<(&Node, Demand)> {
        nodes.iter().map(|node| (node, Demand::default())).collect()
    }

    #[test]
    fn without_nodes_nothing_fits() {
        let reason = choose(&asks("1", "1Gi"), &[]).unwrap_err();
        assert_eq!(reason, "no nodes available to schedule pods");
    }

    #[test]
    fn another_instance_type_is_not_selected() {
        let nodes = [node(0), node(1)];
        let pod = pod(&json!({"containers": [],
            "nodeSelector": {"node.kubernetes.io/instance-type": "m5.large"}}));
        assert_eq!(
            choose(&pod, &fresh(&nodes)).unwrap_err(),
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. \
             no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        );
    }

    #[test]
    fn a_taint_keeps_away_what_does_not_tolerate_it() {
        let mut nodes = [node(0)];
        nodes[0].spec.as_mut().unwrap().taints =
            from_value(json!([{"key": "team", "value": "ci", "effect": "NoSchedule"}])).unwrap();
        let reason = choose(&asks("1", "1Gi"), &fresh(&nodes)).unwrap_err();
        assert!(reason.starts_with("0/1 nodes are available: 1 node(s) had untolerated taint(s)"));
        for toleration in [
            json!({"operator": "Exists"}),
            json!({"key": "team", "operator": "Exists", "effect": "NoSchedule"}),
            json!({"key": "team", "value": "ci"}),
        ] {
            let pod = pod(&json!({"containers": [], "tolerations": [toleration]}));
            assert!(choose(&pod, &fresh(&nodes)).is_ok());
        }
        let other = pod(&json!({"containers": [], "tolerations": [{"key": "team", "value": "x"}]}));
        assert!(choose(&other, &fresh(&nodes)).is_err());
    }

    #[test]
    fn a_full_node_says_what_it_lacks() {
        let nodes = [node(0)];
        let nodes = [(&nodes[0], Demand::of(&asks("1500m", "1Gi")))];
        assert_eq!(
            choose(&asks("500m", "7Gi"), &nodes).unwrap_err(),
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. \
             no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
        );
    }

    #[test]
    fn pods_spread_over_the_nodes() {
        let nodes = [node(0), node(1)];
        let plain = pod(&json!({"containers": []}));
        let first = choose(&plain, &fresh(&nodes)).unwrap();
        let used: Vec<_> = nodes
            .iter()
            .map(|node| {
                let is_first = node.metadata.name.as_deref() == Some(&first);
                (
                    node,
                    if is_first {
                        Demand::of(&plain)
                    } else {
                        Demand::default()
                    },
                )
            })
            .collect();
        assert_ne!(choose(&plain, &used).unwrap(), first);
    }

    #[test]
    fn containers_are_added_up_and_init_containers_are_not() {
        let pod = pod(&json!({
            "containers": [
                {"name": "runner", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}},
                {"name": "docker", "resources": {"requests": {"cpu": "250m", "memory": "512Mi"}}}],
            "initContainers": [
                {"name": "init", "resources": {"requests": {"cpu": "1", "memory": "1Mi"}}}],
        }));
        let memory = 1536 * 1024 * 1024 * 1000;
        assert_eq!(
            Demand::of(&pod),
            Demand {
                cpu: 1000,
                memory,
                pods: 1
            }
        );
    }

    #[test]
    fn node_affinity_is_an_or_of_ands() {
        let nodes = [node(0), node(1)];
        let pod = |operator: &str, values: &Value| {
            pod(&json!({"containers": [], "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {},
                {"matchExpressions": [{"key": "topology.kubernetes.io/zone",
                    "operator": operator, "values": values}]},
            ]}}}}))
        };
        let zones = json!(["ap-northeast-2c"]);
        let in_zone = choose(&pod("In", &zones), &fresh(&nodes)).unwrap();
        let elsewhere = choose(&pod("NotIn", &zones), &fresh(&nodes)).unwrap();
        assert_eq!(
            (in_zone, elsewhere),
            (NodeSpec::numbered(1).name, NodeSpec::numbered(0).name)
        );
        assert!(choose(&pod("DoesNotExist", &json!([])), &fresh(&nodes)).is_err());
    }
}
