//! The nodes that a pool's maximum needs. Pure: no I/O.

use serde_json::json;

use crate::{
    desired::pool::instance_type,
    profile::Pool,
    scheduling::{Cluster, Node, Pod},
};

/// The nodes that hold `count` more pods like `pod`, in words: like the node that holds the most of them, or, if no node
/// takes one, of the pool's instance type. `None` if neither is known. `new` are the nodes as they are when they come, and
/// whether they get prefixes of addresses.
pub(super) fn needs(
    (new, prefixes): (&Cluster, bool),
    pool: &Pool,
    pod: &Pod,
    count: u64,
) -> Option<String> {
    let best = new.nodes().max_by_key(|it| it.room(pod));
    if let Some((node, each)) = best.map(|it| (it, it.room(pod))).filter(|it| it.1 > 0) {
        let kind = node.label("node.kubernetes.io/instance-type");
        let kind = kind.map(|it| format!(" ({it})")).unwrap_or_default();
        return Some(format!(
            "{} like `{}`{kind}, with {each} on each",
            nodes(count.div_ceil(each)),
            node.name()
        ));
    }
    let name = pool.instance_type.as_deref()?;
    let found = instance_type::lookup(name)?;
    let pods = if prefixes && instance_type::takes_prefixes(name) {
        found.pods_with_prefixes()
    } else {
        found.pods()
    };
    let node = json!({"status": {"allocatable": found.allocatable_with(pods)}});
    Some(match Node::of(&node).holds(pod) {
        0 => format!("an instance type larger than `{name}`, which has no room for one"),
        each => format!(
            "about {} of `{name}`, with {each} on each: computed from the instance type, without DaemonSets",
            nodes(count.div_ceil(each))
        ),
    })
}

fn nodes(count: u64) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} more node{s}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{capacity::Seen, tests::profile};

    /// What the nodes to come must be for 120 small pods, which no node of today takes.
    fn needed(seen: &Seen, of: &str) -> String {
        let pool = json!({"name": "a", "image": "r:1", "min": 0, "max": 120, "instanceType": of});
        let profile = profile(&json!({"pools": [pool]}));
        let requests = json!({"cpu": "10m", "memory": "1Mi"});
        let pod = json!({"spec": {"containers": [{"resources": {"requests": requests}}]}});
        let new = (&seen.new, seen.prefixes);
        needs(new, &profile.pools[0], &Pod::of(&pod), 120).unwrap()
    }

    fn cni(value: &str) -> serde_json::Value {
        let env = json!([{"name": "ENABLE_PREFIX_DELEGATION", "value": value}]);
        json!({
            "metadata": {"namespace": "kube-system", "ownerReferences": [{"kind": "DaemonSet"}]},
            "spec": {"nodeName": "a", "containers": [{"name": "aws-node", "env": env}]},
        })
    }

    #[test]
    fn nodes_to_come_take_more_pods_where_the_network_gives_prefixes() {
        let mut seen = Seen::default();
        let addresses = "about 4 more nodes of `t3a.large`, with 35 on each";
        assert!(needed(&seen, "t3a.large").starts_with(addresses));
        seen.pod(&cni("false"));
        assert!(needed(&seen, "t3a.large").starts_with(addresses));
        seen.pod(&cni("true"));
        let prefixes = "about 2 more nodes of `t3a.large`, with 110 on each";
        assert!(needed(&seen, "t3a.large").starts_with(prefixes));
        // No node of this family gets any.
        assert!(needed(&seen, "t2.large").contains("with 35 on each"));
    }
}
