//! Reads the networks of a cluster from EC2: network interfaces of the nodes' instances, subnets, prefix lists.
//!
//! Selects the interfaces for pods as the VPC CNI does. Sources: aws/amazon-vpc-cni-k8s, README (tags of
//! interfaces) and `setUnmanagedENIs` (the value is `true`, the first interface is used in any case), release v1.7.10 (only
//! the first network card); EC2 user guide, "EFA interfaces" (one that is `efa-only` has no address).

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    Filter, Instance, InstanceNetworkInterface, InstanceNetworkInterfaceAttachment as Attachment,
};

use super::{Aws, error::Asked};
use crate::error::Result;

/// How many instances or interfaces one request contains.
const AT_ONCE: usize = 100;

/// The tag and value of an interface that the VPC CNI does not manage.
const NOT_FOR_PODS: (&str, &str) = ("node.k8s.amazonaws.com/no_manage", "true");

/// The CIDR blocks of a subnet, and what is left of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    /// IPv4.
    pub v4: Vec<String>,
    /// IPv6.
    pub v6: Vec<String>,
    /// The free IPv4 addresses, if EC2 says how many.
    pub free: Option<u32>,
}

/// A network interface: its security groups and its subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interface {
    /// Its security groups.
    pub groups: BTreeSet<String>,
    /// Its subnet.
    pub subnet: Option<String>,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityGroup {
    /// Its VPC.
    pub vpc: Option<String>,
    /// The keys of its tags.
    pub tags: BTreeSet<String>,
}

/// A network interface of a node's instance.
#[derive(Clone, Debug)]
struct Attached {
    /// Its id, unless it is the primary interface, which nodes always use.
    further: Option<String>,
    interface: Interface,
}

fn filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    let values = values.into_iter().collect();
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

impl Aws {
    /// The network interfaces of instances that nodes and their pods use. With custom networking of the VPC CNI, secondary
    /// interfaces have their own groups and subnets. Interfaces for storage, management or other pod networks are left out:
    /// by their tag, their type or their network card. Instances that EKS manages (Auto Mode) are returned
    /// only where the request includes them.
    pub async fn interfaces(&self, instances: &[String]) -> Result<Vec<Interface>> {
        let mut found = Vec::new();
        for ids in instances.chunks(AT_ONCE) {
            // A filter instead of ids: a node whose instance was just terminated must not fail the request.
            let request = self
                .ec2()
                .describe_instances()
                .include_managed_resources(true)
                .filters(filter("instance-id", ids.to_vec()));
            let asked = Asked {
                what: "read the EC2 instances of the cluster's nodes",
                action: "ec2:DescribeInstances",
                resource: "*",
            };
            let pages = request.into_paginator().items().send();
            let reservations = asked.all(pages.try_collect()).await?;
            let all = reservations
                .into_iter()
                .flat_map(|it| it.instances.unwrap_or_default());
            found.extend(all.flat_map(|it| of_instance(&it)));
        }
        self.used(found).await
    }

    /// Those without the unmanaged tag. Reads the tags only where needed: most secondary interfaces have the groups and the
    /// subnet of a primary one.
    async fn used(&self, attached: Vec<Attached>) -> Result<Vec<Interface>> {
        let first: BTreeSet<Interface> = attached
            .iter()
            .filter(|it| it.further.is_none())
            .map(|it| it.interface.clone())
            .collect();
        let matters = |it: &&Attached| !first.contains(&it.interface);
        let further = attached.iter().filter(matters);
        let ids: Vec<String> = further.filter_map(|it| it.further.clone()).collect();
        let mut unused = BTreeSet::new();
        for ids in ids.chunks(AT_ONCE) {
            unused.extend(self.left_alone(ids).await?);
        }
        let is_used = |it: &Attached| !it.further.as_ref().is_some_and(|id| unused.contains(id));
        let used = attached.into_iter().filter(is_used);
        Ok(used.map(|it| it.interface).collect())
    }

    /// Which of the interfaces `ids` have the unmanaged tag.
    async fn left_alone(&self, ids: &[String]) -> Result<Vec<String>> {
        let (key, value) = NOT_FOR_PODS;
        let request = self
            .ec2()
            .describe_network_interfaces()
            .filters(filter("network-interface-id", ids.to_vec()))
            .filters(filter(&format!("tag:{key}"), [value.to_owned()]));
        let asked = Asked {
            what: "read the network interfaces of the cluster's nodes",
            action: "ec2:DescribeNetworkInterfaces",
            resource: "*",
        };
        let pages = request.into_paginator().items().send();
        let found = asked.all(pages.try_collect()).await?;
        Ok(found
            .into_iter()
            .filter_map(|it| it.network_interface_id)
            .collect())
    }

    /// The CIDR blocks of subnets, by subnet id.
    pub async fn subnets(&self, ids: BTreeSet<String>) -> Result<BTreeMap<String, Subnet>> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let request = self
            .ec2()
            .describe_subnets()
            .filters(filter("subnet-id", ids));
        let asked = Asked {
            what: "read the subnets of the cluster",
            action: "ec2:DescribeSubnets",
            resource: "*",
        };
        let pages = request.into_paginator().items().send();
        let subnets = asked.all(pages.try_collect()).await?;
        let networks = |it: aws_sdk_ec2::types::Subnet| {
            let v6 = it.ipv6_cidr_block_association_set.unwrap_or_default();
            let subnet = Subnet {
                v4: it.cidr_block.into_iter().collect(),
                v6: v6.into_iter().filter_map(|it| it.ipv6_cidr_block).collect(),
                free: it
                    .available_ip_address_count
                    .and_then(|it| u32::try_from(it).ok()),
            };
            Some((it.subnet_id?, subnet))
        };
        Ok(subnets.into_iter().filter_map(networks).collect())
    }

    /// Security groups by id; one that does not exist is left out.
    pub async fn security_groups(
        &self,
        ids: BTreeSet<String>,
    ) -> Result<BTreeMap<String, SecurityGroup>> {
        let request = self
            .ec2()
            .describe_security_groups()
            .filters(filter("group-id", ids));
        let asked = Asked {
            what: "read the security groups of the cluster's nodes and of the GitHub server",
            action: "ec2:DescribeSecurityGroups",
            resource: "*",
        };
        let pages = request.into_paginator().items().send();
        let groups = asked.all(pages.try_collect()).await?;
        let found = |it: aws_sdk_ec2::types::SecurityGroup| {
            let tags = it.tags.unwrap_or_default().into_iter();
            let group = SecurityGroup {
                vpc: it.vpc_id,
                tags: tags.filter_map(|it| it.key).collect(),
            };
            Some((it.group_id?, group))
        };
        Ok(groups.into_iter().filter_map(found).collect())
    }

    /// The CIDR blocks in a prefix list.
    pub async fn prefix_list(&self, id: &str) -> Result<Vec<String>> {
        let request = self
            .ec2()
            .get_managed_prefix_list_entries()
            .prefix_list_id(id);
        let asked = Asked {
            what: &format!("read the prefix list `{id}` that a security group rule names"),
            action: "ec2:GetManagedPrefixListEntries",
            resource: id,
        };
        let pages = request.into_paginator().items().send();
        let entries = asked.all(pages.try_collect()).await?;
        Ok(entries.into_iter().filter_map(|it| it.cidr).collect())
    }

    /// The addresses of the interfaces in a security group, each as a /32 or /128 CIDR block.
    pub async fn addresses_in(&self, group: &str) -> Result<Vec<String>> {
        let request = self
            .ec2()
            .describe_network_interfaces()
            .filters(filter("group-id", [group.to_owned()]));
        let asked = Asked {
            what: &format!("read the addresses of what is in the security group `{group}`"),
            action: "ec2:DescribeNetworkInterfaces",
            resource: "*",
        };
        let pages = request.into_paginator().items().send();
        let interfaces = asked.all(pages.try_collect()).await?;
        // An interface has one primary private address, and may have further ones.
        let addresses = interfaces.into_iter().flat_map(|it| {
            let further = it.private_ip_addresses.unwrap_or_default().into_iter();
            let further = further.filter_map(|it| it.private_ip_address);
            let v4 = it.private_ip_address.into_iter().chain(further);
            let v6 = it.ipv6_addresses.unwrap_or_default().into_iter();
            let v6 = v6
                .filter_map(|it| it.ipv6_address)
                .map(|it| format!("{it}/128"));
            v4.map(|it| format!("{it}/32"))
                .chain(v6)
                .collect::<Vec<_>>()
        });
        let different: BTreeSet<String> = addresses.collect();
        Ok(different.into_iter().collect())
    }
}

/// The interfaces of an instance that pods can use; where none is listed, the instance's own groups and subnet.
fn of_instance(instance: &Instance) -> Vec<Attached> {
    let told = instance.network_interfaces();
    if told.is_empty() {
        let groups = instance.security_groups().iter();
        let interface = Interface {
            groups: groups.filter_map(|it| it.group_id.clone()).collect(),
            subnet: instance.subnet_id.clone(),
        };
        let further = None;
        return vec![Attached { further, interface }];
    }
    let may_have_pods = |it: &&InstanceNetworkInterface| is_first(it) || may_be_used(it);
    told.iter()
        .filter(may_have_pods)
        .map(|it| {
            let groups = it.groups().iter();
            Attached {
                further: it.network_interface_id.clone().filter(|_| !is_first(it)),
                interface: Interface {
                    groups: groups.filter_map(|it| it.group_id.clone()).collect(),
                    subnet: it.subnet_id.clone(),
                },
            }
        })
        .collect()
}

/// The position of an interface: network card index and device index.
fn place(interface: &InstanceNetworkInterface) -> (i32, i32) {
    let attachment = interface.attachment();
    let card = attachment.and_then(Attachment::network_card_index);
    let device = attachment.and_then(Attachment::device_index);
    (card.unwrap_or(0), device.unwrap_or(0))
}

fn is_first(interface: &InstanceNetworkInterface) -> bool {
    place(interface) == (0, 0)
}

/// Whether pods can have addresses of it.
fn may_be_used(interface: &InstanceNetworkInterface) -> bool {
    place(interface).0 == 0 && interface.interface_type() != Some("efa-only")
}

#[cfg(test)]
mod tests;
