//! The EKS Pod Identity Agent add-on, which provides the role's credentials on each node: detects problems. Pure: no
//! I/O.

use serde_json::Value;

/// The name of the add-on, and of its `DaemonSet`.
pub const NAME: &str = "eks-pod-identity-agent";

/// The label with what runs a node. Source: EKS user guide, "Control if a workload is deployed on EKS Auto Mode nodes".
const COMPUTE_TYPE: &str = "eks.amazonaws.com/compute-type";

/// The nodes that need no agent: it is built into those of Auto Mode, cannot run on Fargate, and has another name on hybrid
/// nodes.
const WITHOUT: [&str; 3] = ["auto", "fargate", "hybrid"];

/// Whether `nodes` need the agent. A cluster with Auto Mode can have other nodes too, and without nodes it gets those of
/// Auto Mode.
pub fn is_needed(auto_mode: bool, nodes: &[Value]) -> bool {
    let needs_it = |node: &Value| {
        let kind = node["metadata"]["labels"][COMPUTE_TYPE].as_str();
        kind.is_none_or(|it| !WITHOUT.contains(&it))
    };
    !auto_mode || nodes.iter().any(needs_it)
}

/// A problem and its fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The problem.
    pub found: String,
    /// How to fix it.
    pub fix: String,
}

/// The problem with the agent in `cluster`; `None` if there is none. It may be installed under another name, so this is
/// advice.
pub fn lack(agent: Option<&Value>, cluster: &str) -> Option<Lack> {
    let Some(agent) = agent else {
        return Some(Lack {
            found: format!(
                "the add-on `{NAME}`, which gives pods their role, is not in the cluster"
            ),
            fix: format!(
                "add it: `aws eks create-addon --cluster-name {cluster} --addon-name {NAME}`"
            ),
        });
    };
    let count = |key: &str| agent["status"][key].as_u64().unwrap_or_default();
    let (ready, wanted) = (count("numberReady"), count("desiredNumberScheduled"));
    (ready < wanted).then(|| Lack {
        found: format!(
            "the agent of Pod Identity runs on {ready} of {wanted} nodes: on the others the runners get no role"
        ),
        fix: format!("see why: `kubectl -n kube-system describe daemonset {NAME}`"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_nodes_of_auto_mode_have_the_agent_built_in() {
        let node = |kind: &str| json!({"metadata": {"labels": {COMPUTE_TYPE: kind}}});
        let other = json!({"metadata": {"labels": {"eks.amazonaws.com/nodegroup": "ci"}}});
        for (auto_mode, nodes, needed) in [
            (true, vec![], false),
            (true, vec![node("auto"), node("fargate")], false),
            (true, vec![node("auto"), other], true),
            (true, vec![json!({"metadata": {}})], true),
            (false, vec![node("auto")], true),
            (false, vec![], true),
        ] {
            assert_eq!(
                is_needed(auto_mode, &nodes),
                needed,
                "{auto_mode} {nodes:?}"
            );
        }
    }

    #[test]
    fn an_agent_that_is_missing_or_not_on_every_node_is_told() {
        let of = |ready: u64, wanted: u64| json!({"status": {"numberReady": ready, "desiredNumberScheduled": wanted}});
        let absent = lack(None, "runners").unwrap();
        assert!(absent.fix.contains("--cluster-name runners"), "{absent:?}");
        let behind = lack(Some(&of(1, 2)), "runners").unwrap();
        assert!(behind.found.contains("1 of 2 nodes"), "{behind:?}");
        assert_eq!(lack(Some(&of(2, 2)), "runners"), None);
    }
}
