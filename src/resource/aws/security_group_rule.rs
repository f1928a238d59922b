//! A security group rule, added only if no other rule allows the connection.

use aws_sdk_ec2::{
    error::{ProvideErrorMetadata, SdkError},
    types::{
        IpPermission, IpRange, Ipv6Range, ResourceType, Tag, TagSpecification, UserIdGroupPair,
    },
};

use super::{
    MANAGED_BY, PROFILE, SID,
    consistency::{Verdict, Writes},
    not_yet, refused_text,
};
use crate::{
    clients::aws::{Aws, error::Asked},
    desired::resource::aws::{Direction, Peer, SecurityGroupRule},
    error::{Error, Result},
    resource::{
        deletion::ours,
        observed::{Observed, Present, Readiness},
    },
    units::aws_limits::{RULE_DESCRIPTION, TAG},
};

impl SecurityGroupRule {
    /// The rule as text: ``TCP 443 from sg-…``.
    fn words(&self) -> String {
        format!("TCP {} {} {}", self.port, self.direction, self.peer.name())
    }

    fn object(&self) -> String {
        format!("{} {}", self.group, self.words())
    }

    /// Reports what EC2 would reject before the first write.
    fn check(&self) -> Result<()> {
        let texts = [
            (RULE_DESCRIPTION, self.description()),
            (TAG, self.profile.clone()),
            (TAG, self.sid.clone()),
        ];
        for (constraint, text) in texts {
            constraint
                .check(&text)
                .map_err(|error| refused_text(&self.group, &error))?;
        }
        Ok(())
    }

    /// Whether the connection is allowed, by any rule.
    pub(super) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        self.check()?;
        let rules = self.live(aws).await?;
        self.check_group(aws, &rules).await?;
        let through = self.is_covered(aws, rules).await?;
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), through) {
            return Ok(not_yet(reason));
        }
        Ok(if through {
            Observed::Present(Present::same(Readiness::Ready))
        } else {
            Observed::Absent
        })
    }

    /// Adds the rule, tagged. If it already exists, it is not arcctl's.
    pub(super) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        writes.record(&self.object());
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

    fn description(&self) -> String {
        format!("arcctl {}: {}", self.profile, self.purpose)
    }

    fn permission(&self) -> IpPermission {
        let port = i32::from(self.port);
        let description = self.description();
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

    /// What remains of it; a rule that was never created, or was revoked, is absent.
    pub(super) async fn remains(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let own = self.own(aws).await?;
        if own.is_empty() {
            return Ok(Observed::Absent);
        }
        if let Verdict::NotYet(reason) = writes.judge(&self.object(), false) {
            return Ok(ours(Readiness::progressing(reason)));
        }
        Ok(ours(Readiness::Ready))
    }

    /// Revokes the rule if its tags show that arcctl created it.
    pub(super) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let own = self.own(aws).await?;
        if own.is_empty() {
            return Ok(());
        }
        writes.record(&self.object());
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

/// EC2's error code for a rule that already exists.
const THERE: [&str; 1] = ["InvalidPermission.Duplicate"];

/// EC2's error codes for a missing rule or group.
const GONE: [&str; 3] = [
    "InvalidGroup.NotFound",
    "InvalidPermission.NotFound",
    "InvalidSecurityGroupRuleId.NotFound",
];

/// The error of a call, unless its code shows that the wanted state is reached.
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
