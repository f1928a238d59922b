//! EC2 instance types and the resources a runner gets on them. Pure: no I/O.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Value, json};

use crate::{
    profile::ResourceRequirements,
    units::{quantity, table},
};

/// Name, vCPU, memory, interfaces, addresses; its header names the source.
const TABLE: &str = include_str!("../data/instance_types.tsv");

/// The capacity of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Network interfaces, at most.
    pub interfaces: u32,
    /// IPv4 addresses of an interface, at most.
    pub addresses: u32,
}

/// The families without the Nitro System, which get no prefixes (EC2 user guide, "Instances built on the AWS Nitro System").
const WITHOUT_NITRO: [&str; 24] = [
    "c1", "c3", "c4", "d2", "f1", "g2", "g3", "g3s", "h1", "i2", "i3", "m1", "m2", "m3", "m4",
    "p2", "p3", "r3", "r4", "t1", "t2", "x1", "x1e", "cr1",
];

/// Whether the VPC CNI can give prefixes to nodes of the instance type `name`.
pub fn takes_prefixes(name: &str) -> bool {
    let family = name.split('.').next().unwrap_or_default();
    !WITHOUT_NITRO.contains(&family)
}

/// The instance type called `name`; `None` if it is not in the table.
pub fn lookup(name: &str) -> Option<InstanceType> {
    BY_NAME.get(name).copied()
}

static BY_NAME: LazyLock<BTreeMap<&str, InstanceType>> =
    LazyLock::new(|| table::rows(TABLE).filter_map(parse).collect());

fn parse<'a>(mut fields: impl Iterator<Item = &'a str>) -> Option<(&'a str, InstanceType)> {
    let name = fields.next()?;
    let vcpu = fields.next()?.parse().ok()?;
    let memory_mib = fields.next()?.parse().ok()?;
    let interfaces = fields.next()?.parse().ok()?;
    let addresses = fields.next()?.parse().ok()?;
    let found = InstanceType {
        vcpu,
        memory_mib,
        interfaces,
        addresses,
    };
    Some((name, found))
}

impl InstanceType {
    /// The default resources of a runner: limits 3/4 of vCPU and memory, requests 1/4 and 1/8 (DESIGN 3).
    pub fn runner_resources(self) -> ResourceRequirements {
        let quantities = |cpu_milli: u32, memory_mib: u64| {
            BTreeMap::from([
                (
                    "cpu".to_owned(),
                    quantity::canonical(&format!("{cpu_milli}m")),
                ),
                (
                    "memory".to_owned(),
                    quantity::canonical(&format!("{memory_mib}Mi")),
                ),
            ])
        };
        ResourceRequirements {
            requests: quantities(self.vcpu * 250, self.memory_mib / 8),
            limits: quantities(self.vcpu * 750, self.memory_mib * 3 / 4),
        }
    }

    /// The number of pods that the VPC CNI gives an address: each interface keeps its first one, and two pods of each node
    /// use the node's own (amazon-eks-ami, `eni-max-pods.txt`). With prefix delegation a node takes more.
    pub const fn pods(self) -> u32 {
        self.interfaces * self.addresses.saturating_sub(1) + 2
    }

    /// The same with prefix delegation, where 16 addresses take the place of each: at most 110, and 250 with more than 30
    /// vCPU (amazon-eks-ami, `max-pods-calculator.sh`; the same limits apply to each managed node group, EKS user guide,
    /// "Assign more IP addresses to Amazon EKS nodes with prefixes").
    pub fn pods_with_prefixes(self) -> u32 {
        let by_address = self.interfaces * self.addresses.saturating_sub(1) * 16 + 2;
        by_address.min(if self.vcpu > 30 { 250 } else { 110 })
    }

    /// About what EKS leaves for pods, as `status.allocatable` of a node with as many pods as addresses.
    pub fn allocatable(self) -> Value {
        self.allocatable_with(self.pods())
    }

    /// The same of a node whose kubelet takes so many pods. CPU and memory that the kubelet keeps: the
    /// optimised AMIs of EKS (amazon-eks-ami, `nodeadm/internal/kubelet`), 6, 1, 0.5 and 0.25 % of the first, the second,
    /// the next two and all other cores; 255 MiB, 11 MiB per pod, and 100 MiB before it evicts. What the machine itself
    /// takes of the memory: 7.5 %, the default of Karpenter (`VM_MEMORY_OVERHEAD_PERCENT`).
    pub fn allocatable_with(self, pods: u32) -> Value {
        let shares = (0..self.vcpu).map(|core| match core {
            0 => 60_000,
            1 => 10_000,
            2 | 3 => 5_000,
            _ => 2_500,
        });
        let kept_cpu: u32 = shares.sum::<u32>() / 1000;
        let kept_memory = 355 + 11 * u64::from(pods);
        let memory = self.memory_mib * 925 / 1000;
        json!({
            "cpu": format!("{}m", self.vcpu * 1000 - kept_cpu),
            "memory": format!("{}Mi", memory.saturating_sub(kept_memory)),
            "pods": pods.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_type_is_none() {
        for name in [
            "",
            "#",
            "t3a",
            "t3a.larg",
            "# EC2 instance types: name, vCPU, memory in MiB.",
        ] {
            assert_eq!(lookup(name), None, "{name}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let names: Vec<_> = table::rows(TABLE)
            .map(|mut row| row.next().unwrap())
            .collect();
        assert!(names.len() > 1000);
        assert!(names.is_sorted());
        for name in names {
            let found = lookup(name).unwrap();
            assert!(found.vcpu > 0 && found.memory_mib > 0, "{name}");
            assert!(found.pods() > 2, "{name}");
        }
    }

    /// The node of the sandbox has what EKS leaves of one: 1930m, 7220184Ki (7051 MiB) and 35 pods.
    #[test]
    fn what_is_left_for_pods_is_about_what_a_node_reports() {
        let large = lookup("t3a.large").unwrap();
        let expected = json!({"cpu": "1930m", "memory": "6837Mi", "pods": "35"});
        assert_eq!(large.allocatable(), expected);
        assert_eq!(lookup("m5.4xlarge").unwrap().allocatable()["cpu"], "15890m");
    }

    #[test]
    fn with_prefixes_a_node_takes_more_pods_and_keeps_more_memory() {
        let large = lookup("t3a.large").unwrap();
        assert_eq!((large.pods(), large.pods_with_prefixes()), (35, 110));
        let expected = json!({"cpu": "1930m", "memory": "6012Mi", "pods": "110"});
        assert_eq!(large.allocatable_with(110), expected);
        assert_eq!(lookup("m5.12xlarge").unwrap().pods_with_prefixes(), 250);
        // Two interfaces with two addresses each.
        assert_eq!(lookup("t3.nano").unwrap().pods_with_prefixes(), 34);
        assert!(takes_prefixes("m5.large") && takes_prefixes("t3a.large"));
        assert!(!takes_prefixes("t2.large") && !takes_prefixes("m4.xlarge"));
    }

    #[test]
    fn the_default_resources_are_shares_of_the_type() {
        let resources = lookup("t3a.large").unwrap().runner_resources();
        let pair = |cpu: &str, memory: &str| {
            BTreeMap::from([
                ("cpu".to_owned(), cpu.to_owned()),
                ("memory".to_owned(), memory.to_owned()),
            ])
        };
        assert_eq!(resources.limits, pair("1500m", "6Gi"));
        assert_eq!(resources.requests, pair("500m", "1Gi"));
        let nano = lookup("t3a.nano").unwrap().runner_resources();
        assert_eq!(nano.limits, pair("1500m", "384Mi"));
        assert_eq!(nano.requests, pair("500m", "64Mi"));
    }
}
