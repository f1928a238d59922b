//! EC2 instance types and the resources a runner gets on them. Pure: no I/O.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::{profile::ResourceRequirements, units::quantity};

/// Name, vCPU, memory; its header names the source.
const TABLE: &str = include_str!("../data/instance_types.tsv");

/// The capacity of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceType {
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
}

/// The instance type called `name`; `None` if it is not in the table.
pub fn lookup(name: &str) -> Option<InstanceType> {
    BY_NAME.get(name).copied()
}

static BY_NAME: LazyLock<BTreeMap<&str, InstanceType>> =
    LazyLock::new(|| TABLE.lines().filter_map(parse).collect());

fn parse(line: &str) -> Option<(&str, InstanceType)> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let vcpu = fields.next()?.parse().ok()?;
    let memory_mib = fields.next()?.parse().ok()?;
    Some((name, InstanceType { vcpu, memory_mib }))
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
        let names: Vec<_> = TABLE
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert!(names.len() > 1000);
        assert!(names.is_sorted());
        for name in names {
            let found = lookup(name).unwrap();
            assert!(found.vcpu > 0 && found.memory_mib > 0, "{name}");
        }
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
