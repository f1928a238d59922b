//! Custom networking of the VPC CNI: pods get the subnet and the security groups of an `ENIConfig`, and not those of their node.
//! A node without pods has no such network interface yet, and a node group that begins with no node has no node at all; so the
//! objects themselves say which networks pods will have.
//!
//! Sources: aws/amazon-vpc-cni-k8s, README (`AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG`), `config/master/aws-k8s-cni.yaml` (`ENIConfig`:
//! `spec.subnet`, `spec.securityGroups`; the `DaemonSet`), `UseCustomNetworkCfg` (read as Go's `strconv.ParseBool`), and
//! `createENI` (without groups the new interface gets those of the node's first one).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    clients::{
        aws::network::Interface,
        kube::{Kube, Selection, Target},
    },
    error::Result,
};

/// The namespace of the VPC CNI.
const NAMESPACE: &str = "kube-system";
/// Its `DaemonSet`, and the container in it.
const NAME: &str = "aws-node";
/// The variable that turns custom networking on.
const SWITCH: &str = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG";
/// What Go's `strconv.ParseBool` reads as true.
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];

/// The network of an `ENIConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodNetwork {
    /// The name of the `ENIConfig`.
    pub name: String,
    /// Its security groups and its subnet. Without groups, a network interface gets those of its node.
    pub interface: Interface,
}

/// The networks of all `ENIConfigs`, whether or not a node uses them; none without custom networking, or where another network
/// plugin gives pods their addresses.
pub(crate) async fn pod_networks(kube: &Kube) -> Result<Vec<PodNetwork>> {
    let plugin = Target::namespaced("apps/v1", "DaemonSet", NAMESPACE, NAME);
    if !kube.get(&plugin).await?.is_some_and(|it| is_on(&it)) {
        return Ok(Vec::new());
    }
    let configs = Selection::all("crd.k8s.amazonaws.com/v1alpha1", "ENIConfig");
    let configs = kube.list(&configs).await?;
    Ok(configs.iter().map(network).collect())
}

/// Whether the `DaemonSet` of the VPC CNI has custom networking on.
fn is_on(plugin: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let containers = list(&plugin["spec"]["template"]["spec"]["containers"]);
    let own = containers.iter().filter(|it| it["name"] == NAME);
    let mut variables = own.flat_map(|it| list(&it["env"]));
    variables.any(|it| {
        let value = it["value"].as_str();
        it["name"] == SWITCH && value.is_some_and(|it| TRUE.contains(&it))
    })
}

fn network(config: &Value) -> PodNetwork {
    let groups = config["spec"]["securityGroups"].as_array();
    let groups = groups.into_iter().flatten().filter_map(Value::as_str);
    let groups: BTreeSet<String> = groups.map(str::to_owned).collect();
    let name = config["metadata"]["name"].as_str();
    PodNetwork {
        name: name.unwrap_or_default().to_owned(),
        interface: Interface {
            groups,
            subnet: config["spec"]["subnet"].as_str().map(str::to_owned),
        },
    }
}

/// The network interfaces that pods can get of `networks`: without groups of their own, with those that the interfaces of
/// `nodes` have.
pub(crate) fn interfaces(networks: &[PodNetwork], nodes: &[Interface]) -> Vec<Interface> {
    let sets: BTreeSet<&BTreeSet<String>> = nodes
        .iter()
        .map(|it| &it.groups)
        .filter(|it| !it.is_empty())
        .collect();
    let of_network = |it: &PodNetwork| -> Vec<Interface> {
        if !it.interface.groups.is_empty() {
            return vec![it.interface.clone()];
        }
        let of_node = |groups: &&BTreeSet<String>| Interface {
            groups: (*groups).clone(),
            subnet: it.interface.subnet.clone(),
        };
        sets.iter().map(of_node).collect()
    };
    networks.iter().flat_map(of_network).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin(container: &str, name: &str, value: &str) -> Value {
        json!({"spec": {"template": {"spec": {"containers": [
            {"name": "aws-eks-nodeagent"},
            {"name": container, "env": [{"name": "WARM_ENI_TARGET", "value": "1"}, {"name": name, "value": value}]},
        ]}}}})
    }

    #[test]
    fn custom_networking_is_read_as_the_plugin_reads_it() {
        for (value, expected) in [
            ("true", true),
            ("True", true),
            ("1", true),
            ("false", false),
            ("yes", false),
            ("", false),
        ] {
            assert_eq!(is_on(&plugin(NAME, SWITCH, value)), expected, "{value}");
        }
        assert!(!is_on(&plugin("aws-eks-nodeagent", SWITCH, "true")));
        assert!(!is_on(&plugin(NAME, "ENABLE_POD_ENI", "true")));
        assert!(!is_on(&json!({})));
    }

    fn set(groups: &[&str]) -> BTreeSet<String> {
        groups.iter().map(ToString::to_string).collect()
    }

    fn interface(groups: &[&str], subnet: &str) -> Interface {
        Interface {
            groups: set(groups),
            subnet: Some(subnet.to_owned()),
        }
    }

    #[test]
    fn a_network_without_groups_has_those_of_the_nodes() {
        let config = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
        let networks = [
            network(&config(
                "eu-west-1a",
                json!({"subnet": "subnet-a", "securityGroups": ["sg-pods", "sg-more"]}),
            )),
            network(&config("eu-west-1b", json!({"subnet": "subnet-b"}))),
        ];
        assert_eq!(networks[0].name, "eu-west-1a");
        let nodes = [
            interface(&["sg-node"], "subnet-1"),
            interface(&["sg-node"], "subnet-2"),
            interface(&["sg-other"], "subnet-2"),
        ];
        assert_eq!(
            interfaces(&networks, &nodes),
            [
                interface(&["sg-more", "sg-pods"], "subnet-a"),
                interface(&["sg-node"], "subnet-b"),
                interface(&["sg-other"], "subnet-b"),
            ]
        );
        assert_eq!(
            interfaces(&networks, &[]),
            [interface(&["sg-more", "sg-pods"], "subnet-a")]
        );
    }
}
