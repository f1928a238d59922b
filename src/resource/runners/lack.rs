//! Finds which resource new runners of a pool lack because other pods use it: nodes or a quota. Pure: no I/O.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    resource::pods::status::unschedulable,
    scheduling::{Node, Pod},
};

/// The scheduler's messages for a pod that other pods keep from a node (kubernetes, `pkg/scheduler/framework/plugins`).
const NO_ROOM: [&str; 7] = [
    "Insufficient ",
    "Too many pods",
    "exceed max volume count",
    "didn't have free ports",
    ANTI_AFFINITY,
    SPREAD,
    IN_USE,
];

/// Those of these that pods on other nodes can cause.
const ELSEWHERE: [&str; 3] = [ANTI_AFFINITY, SPREAD, IN_USE];

/// Of the pod itself (`pod anti-affinity rules`) or of pods that run (`existing pods anti-affinity rules`).
const ANTI_AFFINITY: &str = "anti-affinity rules";

const SPREAD: &str = "pod topology spread constraints";

/// What follows [`SPREAD`] where the nodes lack a label: no pod causes that.
const NO_LABEL: &str = "pod topology spread constraints (missing required label)";

/// Of a claim that only one pod may use; older versions of Kubernetes have other words before these.
const IN_USE: &str = "ReadWriteOncePod access mode";

/// What the newest pods lack, and so which pods of earlier templates block them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// A quota: all pods of the namespace count.
    Quota,
    /// These nodes would have room if they were empty.
    Nodes(BTreeSet<String>),
    /// A pod on any node can block it on all nodes.
    AnyNode,
}

impl Lack {
    /// Whether `pod` blocks the newest pods.
    pub(super) fn is_for(&self, pod: &Value) -> bool {
        let node = pod["spec"]["nodeName"].as_str();
        let node = node.filter(|it| !it.is_empty());
        match self {
            Self::Quota => true,
            Self::Nodes(nodes) => node.is_some_and(|it| nodes.contains(it)),
            Self::AnyNode => node.is_some(),
        }
    }
}

/// Whether other pods can keep `pod` from a node.
pub(super) fn lacks_room(pod: &Value) -> bool {
    says(pod, &NO_ROOM)
}

fn says(pod: &Value, words: &[&str]) -> bool {
    let said = unschedulable(pod).and_then(|it| it["message"].as_str());
    let said = said.unwrap_or_default().replace(NO_LABEL, "");
    words.iter().any(|it| said.contains(it))
}

/// What `pod`, which has no room on `nodes`, lacks; `None` where it would fit on none of them even if they were empty.
pub(super) fn lack(pod: &Value, nodes: &[Value]) -> Option<Lack> {
    let asked = Pod::of(pod);
    let fitting: BTreeSet<String> = nodes
        .iter()
        .map(Node::of)
        .filter(|it| it.room(&asked) > 0)
        .map(|it| it.name().to_owned())
        .collect();
    if fitting.is_empty() {
        None
    } else if says(pod, &ELSEWHERE) {
        Some(Lack::AnyNode)
    } else {
        Some(Lack::Nodes(fitting))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A new pod with this CPU request, and the scheduler's message for it.
    fn asks_for(cpu: &str, said: &str) -> Value {
        json!({
            "spec": {"containers": [
                {"name": "docker", "resources": {"requests": {"cpu": "500m"}}},
                {"name": "runner", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}},
            ]},
            "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}]},
        })
    }

    fn node(name: &str, cpu: &str) -> Value {
        json!({"metadata": {"name": name, "labels": {"kind": name}},
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}})
    }

    const NO_CPU: &str = "0/2 nodes are available: 2 Insufficient cpu.";

    #[test]
    fn what_fits_on_no_node_waits_for_no_pod() {
        let nodes = [node("a", "3920m"), node("b", "3920m")];
        assert_eq!(lack(&asks_for("64", NO_CPU), &nodes), None);
        assert_eq!(lack(&asks_for("3500m", NO_CPU), &nodes), None);
        let both = Lack::Nodes(["a".to_owned(), "b".to_owned()].into());
        assert_eq!(lack(&asks_for("3", NO_CPU), &nodes), Some(both));
        assert_eq!(lack(&asks_for("3", NO_CPU), &[]), None);
    }

    #[test]
    fn a_node_that_does_not_take_the_pod_does_not_count() {
        let large = node("large", "96");
        let mut cordoned = large.clone();
        cordoned["spec"] = json!({"unschedulable": true});
        let mut pod = asks_for("64", NO_CPU);
        assert_eq!(lack(&pod, &[cordoned]), None);
        let found = lack(&pod, &[large.clone(), node("small", "4")]);
        assert_eq!(found, Some(Lack::Nodes(["large".to_owned()].into())));
        pod["spec"]["nodeSelector"] = json!({"kind": "small"});
        assert_eq!(lack(&pod, std::slice::from_ref(&large)), None);
        let mut gpu = asks_for("1", NO_CPU);
        gpu["spec"]["containers"][1]["resources"]["requests"]["nvidia.com/gpu"] = json!("1");
        assert_eq!(lack(&gpu, &[large]), None);
    }

    /// Messages of kube-scheduler 1.36.3 on two nodes, up to what preemption would do.
    const RULES_BETWEEN_PODS: [&str; 4] = [
        "2 node(s) didn't match pod anti-affinity rules",
        "2 node(s) didn't satisfy existing pods anti-affinity rules",
        "2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
        "1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints",
    ];

    fn in_full(reasons: &str) -> String {
        format!(
            "0/2 nodes are available: {reasons}. no new claims to deallocate, preemption: 0/2 nodes are available: \
             2 No preemption victims found for incoming pod."
        )
    }

    #[test]
    fn rules_between_pods_may_be_about_other_nodes() {
        let nodes = [node("a", "4")];
        for reasons in RULES_BETWEEN_PODS {
            let said = in_full(reasons);
            assert_eq!(lack(&asks_for("1", &said), &nodes), Some(Lack::AnyNode));
            assert_eq!(lack(&asks_for("64", &said), &nodes), None);
        }
    }

    #[test]
    fn room_is_what_other_pods_take() {
        let said = |message: &str| lacks_room(&asks_for("1", message));
        for reasons in [
            "2 Insufficient cpu",
            "1 Insufficient cpu, 1 node(s) were unschedulable",
            "2 Too many pods",
            "2 node(s) didn't have free ports for the requested pod ports",
            // As 1.33 says it.
            "2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode",
        ]
        .iter()
        .chain(&RULES_BETWEEN_PODS)
        {
            assert!(said(&in_full(reasons)), "{reasons}");
        }
        for other in [
            "2 node(s) didn't match Pod's node affinity/selector",
            "2 node(s) had untolerated taint(s)",
            "2 node(s) didn't match pod affinity rules",
            "2 node(s) didn't match pod topology spread constraints (missing required label)",
            "2 node(s) didn't find available persistent volumes to bind",
        ] {
            assert!(!said(&in_full(other)), "{other}");
        }
        for other in [
            "no nodes available to schedule pods",
            "0/2 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim \"w\". not found",
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
        ] {
            assert!(!said(other), "{other}");
        }
        assert!(!lacks_room(&json!({"status": {}})));
    }
}
