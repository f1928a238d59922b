//! Reads the live rules of security groups, and checks whether they allow a connection.

use aws_sdk_ec2::{
    error::ProvideErrorMetadata,
    types::{Filter, SecurityGroupRule as Ec2Rule, Tag},
};

use super::{
    SID,
    rule::{LiveRule, are_unknown, covered},
};
use crate::{
    clients::aws::{Aws, error::Asked},
    desired::resource::aws::{Direction, Peer, SecurityGroupRule},
    error::{Error, Result, System},
};

/// EC2's error codes for a missing group.
const NO_GROUP: [&str; 2] = ["InvalidGroup.NotFound", "InvalidGroupId.Malformed"];

impl SecurityGroupRule {
    /// The rules of all groups on the network interfaces of the group.
    pub(super) async fn live(&self, aws: &Aws) -> Result<Vec<LiveRule>> {
        let groups = Filter::builder()
            .name("group-id")
            .set_values(Some(self.groups.clone()))
            .build();
        let request = aws.ec2().describe_security_group_rules().filters(groups);
        let asked = Asked {
            what: &format!(
                "read the rules of the security groups {}",
                self.groups.join(", ")
            ),
            action: "ec2:DescribeSecurityGroupRules",
            resource: &self.group,
        };
        let pages = request.into_paginator().items().send();
        let rules = asked.all(pages.try_collect()).await?;
        Ok(rules.iter().map(|it| live(it, &self.sid)).collect())
    }

    /// A group without rules may not exist: the plan reports that, before any write.
    pub(super) async fn check_group(&self, aws: &Aws, rules: &[LiveRule]) -> Result<()> {
        if rules.iter().any(|it| it.home == self.group) {
            return Ok(());
        }
        let request = aws.ec2().describe_security_groups().group_ids(&self.group);
        let Err(error) = request.send().await else {
            return Ok(());
        };
        if !error.code().is_some_and(|it| NO_GROUP.contains(&it)) {
            let asked = Asked {
                what: &format!("find the security group `{}`", self.group),
                action: "ec2:DescribeSecurityGroups",
                resource: "*",
            };
            return Err(asked.failed(&error));
        }
        let region = aws.region().unwrap_or_default();
        Err(Error::failed(
            System::Aws,
            format!("there is no security group `{}` in `{region}`", self.group),
        )
        .object(&self.group)
        .hint(format!(
            "correct aws.githubServer.securityGroup in the profile: `aws ec2 describe-security-groups --region {region}` lists those of this account"
        )))
    }

    /// Whether `rules` allow the connection. Reads the content of a prefix list, and the addresses of a group, only where
    /// the result depends on them.
    pub(super) async fn is_covered(&self, aws: &Aws, mut rules: Vec<LiveRule>) -> Result<bool> {
        let Self {
            direction,
            port,
            peers,
            addresses,
            ..
        } = self;
        if covered(&rules, *direction, *port, peers, addresses) {
            return Ok(true);
        }
        let concerned = |it: &&mut LiveRule| it.concerns(*direction, *port);
        let mut by_address = false;
        for rule in rules.iter_mut().filter(concerned) {
            by_address |= rule.cidr.is_some();
            if let Some(list) = &rule.prefix_list {
                rule.listed = aws.prefix_list(list).await?;
                by_address = true;
            }
        }
        if !by_address {
            return Ok(false);
        }
        if covered(&rules, *direction, *port, peers, addresses) {
            return Ok(true);
        }
        if !are_unknown(addresses) {
            return Ok(false);
        }
        let Peer::Group(group) = &self.peer else {
            return Ok(false);
        };
        let addresses = aws.addresses_in(group).await?;
        Ok(!addresses.is_empty() && covered(&rules, *direction, *port, peers, &addresses))
    }

    /// The ids of the rules that arcctl created, by their tags.
    pub(super) async fn own(&self, aws: &Aws) -> Result<Vec<String>> {
        let exact = |it: &LiveRule| {
            it.ours
                && it.egress == (self.direction == Direction::Egress)
                && it.from_port == i32::from(self.port)
                && it.is_with(&self.peer)
        };
        let rules = self.live(aws).await?.into_iter();
        Ok(rules.filter(exact).map(|it| it.id).collect())
    }
}

/// The rules that were created for `sid`, by their tags alone.
pub async fn rules_of(aws: &Aws, sid: &str, profile: &str) -> Result<Vec<SecurityGroupRule>> {
    let tagged = Filter::builder()
        .name(format!("tag:{SID}"))
        .values(sid)
        .build();
    let request = aws.ec2().describe_security_group_rules().filters(tagged);
    let asked = Asked {
        what: "find the security group rules that arcctl made",
        action: "ec2:DescribeSecurityGroupRules",
        resource: "*",
    };
    let pages = request.into_paginator().items().send();
    let found: Vec<Ec2Rule> = asked.all(pages.try_collect()).await?;
    let made = |rule: &Ec2Rule| {
        let live = live(rule, sid);
        let peer = live.group.map(Peer::Group).or(live.cidr.map(Peer::Cidr))?;
        let group = rule.group_id()?.to_owned();
        Some(SecurityGroupRule {
            groups: vec![group.clone()],
            group,
            direction: if live.egress {
                Direction::Egress
            } else {
                Direction::Ingress
            },
            port: u16::try_from(live.from_port).ok()?,
            peer,
            peers: Vec::new(),
            addresses: Vec::new(),
            purpose: String::new(),
            instead: None,
            sid: sid.to_owned(),
            profile: profile.to_owned(),
        })
    };
    Ok(found.iter().filter_map(made).collect())
}

/// The relevant fields of a rule.
fn live(rule: &Ec2Rule, sid: &str) -> LiveRule {
    let tagged = |it: &Tag| it.key() == Some(SID) && it.value() == Some(sid);
    LiveRule {
        home: rule.group_id().unwrap_or_default().to_owned(),
        id: rule.security_group_rule_id().unwrap_or_default().to_owned(),
        egress: rule.is_egress().unwrap_or(false),
        protocol: rule.ip_protocol().unwrap_or_default().to_owned(),
        from_port: rule.from_port().unwrap_or(-1),
        to_port: rule.to_port().unwrap_or(-1),
        cidr: rule
            .cidr_ipv4()
            .or_else(|| rule.cidr_ipv6())
            .map(str::to_owned),
        prefix_list: rule.prefix_list_id().map(str::to_owned),
        listed: Vec::new(),
        group: rule
            .referenced_group_info()
            .and_then(|it| it.group_id())
            .map(str::to_owned),
        ours: rule.tags().iter().any(tagged),
    }
}
