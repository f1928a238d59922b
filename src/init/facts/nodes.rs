//! The nodes of a cluster, by instance type and taints. Pure: no I/O.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use super::{NodeGroup, Nodes, Taint};

/// What nodes of a group have in common; see [`Nodes::of`].
type Alike = (String, Vec<Taint>, String);

impl Nodes {
    /// The nodes in the list of the API server.
    pub(crate) fn of(objects: &[Value]) -> Self {
        let mut found: BTreeMap<Alike, (usize, Vec<String>)> = BTreeMap::new();
        let (mut fargate, mut windows) = (0, 0);
        for node in objects {
            let labels = &node["metadata"]["labels"];
            let label = |key: &str| labels[key].as_str().unwrap_or_default().to_owned();
            if labels["eks.amazonaws.com/compute-type"] == "fargate" {
                fargate += 1;
                continue;
            }
            if labels["kubernetes.io/os"] == "windows" {
                windows += 1;
                continue;
            }
            let kind = label("node.kubernetes.io/instance-type");
            let key = (kind, taints(node), label("kubernetes.io/arch"));
            let (count, zones) = found.entry(key).or_default();
            *count += 1;
            let zone = label("topology.kubernetes.io/zone");
            if !zone.is_empty() && !zones.contains(&zone) {
                zones.push(zone);
                zones.sort_unstable();
            }
        }
        let mut groups: Vec<NodeGroup> = found
            .into_iter()
            .map(
                |((instance_type, taints, architecture), (count, zones))| NodeGroup {
                    instance_type,
                    count,
                    zones,
                    taints,
                    architecture,
                },
            )
            .collect();
        groups.sort_by_key(|it| (it.taints.len(), std::cmp::Reverse(it.count)));
        Self {
            groups,
            fargate,
            windows,
        }
    }
}

/// The taints of a node that last: those of a node that is not ready, or cordoned, say nothing about its group.
fn taints(node: &Value) -> Vec<Taint> {
    let all = node["spec"]["taints"].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<Taint> = all
        .map(|it| Taint {
            key: text(&it["key"]),
            value: text(&it["value"]),
            effect: text(&it["effect"]),
        })
        .filter(|it| it.effect != "PreferNoSchedule" && !it.key.starts_with("node.kubernetes.io/"))
        .collect();
    found.sort_unstable();
    found
}

impl NodeGroup {
    /// In words: `2 × t3a.large in ap-northeast-2a, ap-northeast-2c`.
    pub(crate) fn words(&self) -> String {
        let kind = match self.instance_type.as_str() {
            "" => "nodes without an instance type",
            kind => kind,
        };
        let mut text = format!("{} × {kind}", self.count);
        if self.architecture == "arm64" {
            text.push_str(" (arm64)");
        }
        if !self.zones.is_empty() {
            // Writing to a String cannot fail.
            let _ignored = write!(text, " in {}", self.zones.join(", "));
        }
        if !self.taints.is_empty() {
            let taints: Vec<String> = self.taints.iter().map(Taint::words).collect();
            let _ignored = write!(text, ", tainted {}", taints.join(", "));
        }
        text
    }
}

impl Taint {
    fn words(&self) -> String {
        match self.value.as_str() {
            "" => format!("{}:{}", self.key, self.effect),
            value => format!("{}={value}:{}", self.key, self.effect),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(kind: &str, zone: &str, more: &Value) -> Value {
        let mut node = json!({
            "metadata": {"labels": {
                "node.kubernetes.io/instance-type": kind,
                "topology.kubernetes.io/zone": zone,
                "kubernetes.io/arch": "amd64",
            }},
            "spec": {},
        });
        node["spec"]["taints"] = more.clone();
        node
    }

    #[test]
    fn nodes_are_grouped_and_those_that_take_pods_come_first() {
        let ours = json!([{"key": "runners", "value": "yes", "effect": "NoSchedule"}]);
        let cordoned = json!([{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]);
        let fargate =
            json!({"metadata": {"labels": {"eks.amazonaws.com/compute-type": "fargate"}}});
        let mut windows = node("t3a.large", "a", &Value::Null);
        windows["metadata"]["labels"]["kubernetes.io/os"] = "windows".into();
        let nodes = Nodes::of(&[
            windows,
            node("c5.large", "a", &ours),
            node("c5.large", "a", &ours),
            node("t3a.large", "c", &Value::Null),
            node("t3a.large", "a", &cordoned),
            fargate,
        ]);
        assert_eq!((nodes.fargate, nodes.windows), (1, 1));
        let words: Vec<String> = nodes.groups.iter().map(NodeGroup::words).collect();
        assert_eq!(
            words,
            [
                "2 × t3a.large in a, c",
                "2 × c5.large in a, tainted runners=yes:NoSchedule",
            ]
        );
    }
}
