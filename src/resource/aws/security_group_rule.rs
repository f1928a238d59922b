//! A rule of a security group, added only where no other lets the connection through.

use aws_sdk_ec2::{
    error::{ProvideErrorMetadata, SdkError},
    types::{
        Filter, IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRule as Ec2Rule, Tag,
        TagSpecification, UserIdGroupPair,
    },
};

use super::{
    Direction, MANAGED_BY, PROFILE, Peer, SID, SecurityGroupRule, not_yet,
    rule::{LiveRule, covered},
    writes::{Verdict, Writes},
};
use crate::{
    clients::aws::{Aws, failure::Asked},
    error::{Error, Result},
    resource::{
        observed::{Observed, Present, Readiness},
        removal::ours,
    },
};

impl SecurityGroupRule {
    /// The rule in words: ``TCP 443 from sg-…``.
    fn words(&self) -> String {
        format!("TCP {} {} {}", self.port, self.direction, self.peer.name())
    }

    fn object(&self) -> String {
        format!("{} {}", self.group, self.words())
    }

    /// The rules of the groups that share its network interfaces.
    async fn live(&self, aws: &Aws) -> Result<Vec<LiveRule>> {
        let groups = Filter::builder()
            .name("group-id")
            .set_values(Some(self.groups.clone()))
            .build();
        let rules: Vec<Ec2Rule> = aws
            .ec2()
            .describe_security_group_rules()
            .filters(groups)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| {
                Asked {
                    what: &format!(
                        "read the rules of the security groups {}",
                        self.groups.join(", ")
                    ),
                    action: "ec2:DescribeSecurityGroupRules",
                    resource: &self.group,
                }
                .failed(&error)
            })?;
        Ok(rules.iter().map(|it| live(it, &self.sid)).collect())
    }

    /// Whether the connection gets through, by whichever rule.
    pub(super) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let rules = self.live(aws).await?;
        let through = covered(
            &rules,
            self.direction,
            self.port,
            &self.peers,
            &self.addresses,
        );
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), "", through) {
            return Ok(not_yet(reason));
        }
        Ok(if through {
            Observed::Present(Present::same(Readiness::Ready))
        } else {
            Observed::Absent
        })
    }

    /// Adds the rule, tagged. One that is there already is none of our doing.
    pub(super) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        writes.record(&self.object(), "");
        let tags = self.tags();
        let permission = self.permission();
        let what = format!(
            "add the rule `{}` ({}) to the security group `{}`",
            self.words(),
            self.purpose,
            self.group
        );
        let asked = |action| Asked {
            what: &what,
            action,
            resource: &self.group,
        };
        let made = match self.direction {
            Direction::Ingress => {
                let request = aws
                    .ec2()
                    .authorize_security_group_ingress()
                    .group_id(&self.group)
                    .ip_permissions(permission)
                    .tag_specifications(tags);
                unless(
                    request.send().await,
                    &THERE,
                    asked("ec2:AuthorizeSecurityGroupIngress"),
                )
            }
            Direction::Egress => {
                let request = aws
                    .ec2()
                    .authorize_security_group_egress()
                    .group_id(&self.group)
                    .ip_permissions(permission)
                    .tag_specifications(tags);
                unless(
                    request.send().await,
                    &THERE,
                    asked("ec2:AuthorizeSecurityGroupEgress"),
                )
            }
        };
        made.map_err(|error| self.with_a_way_out(error))
    }

    fn with_a_way_out(&self, mut error: Error) -> Error {
        if let (Some(hint), Some(instead)) = (&mut error.hint, self.instead) {
            hint.push_str("; or ");
            hint.push_str(instead);
        }
        error
    }

    fn tags(&self) -> TagSpecification {
        let tags = [
            (MANAGED_BY, "arcctl"),
            (PROFILE, &self.profile),
            (SID, &self.sid),
        ];
        let tags = tags.map(|(key, value)| Tag::builder().key(key).value(value).build());
        TagSpecification::builder()
            .resource_type(ResourceType::SecurityGroupRule)
            .set_tags(Some(tags.into()))
            .build()
    }

    fn permission(&self) -> IpPermission {
        let port = i32::from(self.port);
        let description = format!("arcctl {}: {}", self.profile, self.purpose);
        let permission = IpPermission::builder()
            .ip_protocol("tcp")
            .from_port(port)
            .to_port(port);
        match &self.peer {
            Peer::Group(group) => permission.user_id_group_pairs(
                UserIdGroupPair::builder()
                    .group_id(group)
                    .description(description)
                    .build(),
            ),
            Peer::Cidr(cidr) if cidr.contains(':') => permission.ipv6_ranges(
                Ipv6Range::builder()
                    .cidr_ipv6(cidr)
                    .description(description)
                    .build(),
            ),
            Peer::Cidr(cidr) => permission.ip_ranges(
                IpRange::builder()
                    .cidr_ip(cidr)
                    .description(description)
                    .build(),
            ),
        }
        .build()
    }

    /// The ids of the rule itself: those that arcctl made, as their tags say.
    async fn own(&self, aws: &Aws) -> Result<Vec<String>> {
        let exact = |it: &LiveRule| {
            it.ours
                && it.egress == (self.direction == Direction::Egress)
                && it.from_port == i32::from(self.port)
                && [&it.cidr, &it.group].contains(&&Some(self.peer.name().to_owned()))
        };
        let rules = self.live(aws).await?.into_iter();
        Ok(rules.filter(exact).map(|it| it.id).collect())
    }

    /// What is left of it: what nobody made, or somebody revoked, is gone.
    pub(super) async fn remains(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let own = self.own(aws).await?;
        if own.is_empty() {
            return Ok(Observed::Absent);
        }
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), &own.join(" "), false) {
            return Ok(ours(Readiness::progressing(reason)));
        }
        Ok(ours(Readiness::Ready))
    }

    /// Revokes the rule where its tags say that arcctl made it.
    pub(super) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let own = self.own(aws).await?;
        if own.is_empty() {
            return Ok(());
        }
        writes.record(&self.object(), &own.join(" "));
        let what = format!(
            "revoke the rule `{}` of the security group `{}`",
            self.words(),
            self.group
        );
        let asked = |action| Asked {
            what: &what,
            action,
            resource: &self.group,
        };
        match self.direction {
            Direction::Ingress => {
                let request = aws
                    .ec2()
                    .revoke_security_group_ingress()
                    .group_id(&self.group)
                    .set_security_group_rule_ids(Some(own));
                unless(
                    request.send().await,
                    &GONE,
                    asked("ec2:RevokeSecurityGroupIngress"),
                )
            }
            Direction::Egress => {
                let request = aws
                    .ec2()
                    .revoke_security_group_egress()
                    .group_id(&self.group)
                    .set_security_group_rule_ids(Some(own));
                unless(
                    request.send().await,
                    &GONE,
                    asked("ec2:RevokeSecurityGroupEgress"),
                )
            }
        }
    }
}

/// What EC2 says of a rule that is there already.
const THERE: [&str; 1] = ["InvalidPermission.Duplicate"];

/// What EC2 says where there is no such rule, or no such group.
const GONE: [&str; 3] = [
    "InvalidGroup.NotFound",
    "InvalidPermission.NotFound",
    "InvalidSecurityGroupRuleId.NotFound",
];

/// The failure of a call, unless its code says that everything is as it was to be.
fn unless<T, E>(
    answer: std::result::Result<T, SdkError<E>>,
    fine: &[&str],
    asked: Asked<'_>,
) -> Result<()>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Err(error) if !error.code().is_some_and(|it| fine.contains(&it)) => {
            Err(asked.failed(&error))
        }
        _ => Ok(()),
    }
}

/// The rules that were made for `sid`, by their tags alone.
pub async fn rules_of(aws: &Aws, sid: &str, profile: &str) -> Result<Vec<SecurityGroupRule>> {
    let tagged = Filter::builder()
        .name(format!("tag:{SID}"))
        .values(sid)
        .build();
    let request = aws.ec2().describe_security_group_rules().filters(tagged);
    let found: Vec<Ec2Rule> = request
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| {
            Asked {
                what: "find the security group rules that arcctl made",
                action: "ec2:DescribeSecurityGroupRules",
                resource: "*",
            }
            .failed(&error)
        })?;
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

/// What counts of a rule.
fn live(rule: &Ec2Rule, sid: &str) -> LiveRule {
    let tagged = |it: &Tag| it.key() == Some(SID) && it.value() == Some(sid);
    LiveRule {
        id: rule.security_group_rule_id().unwrap_or_default().to_owned(),
        egress: rule.is_egress().unwrap_or(false),
        protocol: rule.ip_protocol().unwrap_or_default().to_owned(),
        from_port: rule.from_port().unwrap_or(-1),
        to_port: rule.to_port().unwrap_or(-1),
        cidr: rule
            .cidr_ipv4()
            .or_else(|| rule.cidr_ipv6())
            .map(str::to_owned),
        group: rule
            .referenced_group_info()
            .and_then(|it| it.group_id())
            .map(str::to_owned),
        ours: rule.tags().iter().any(tagged),
    }
}
