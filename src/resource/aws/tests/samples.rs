//! Sample AWS resources of the profile `p`, one per kind.

use serde_json::{Value, json};

use crate::desired::resource::aws::{
    BucketPolicy, Direction, IamRole, OidcProvider, Peer, PodIdentityAssociation, RolePolicy,
    SecurityGroupRule,
};

/// The `Sid` of our statement.
pub(super) const SID: &str = "Arcctl0000000000000000";
pub(super) const POLICY: &str = "arn:aws:iam::111122223333:policy/x";
pub(super) const ATTACHED: &str = "<member><PolicyName>x</PolicyName><PolicyArn>arn:aws:iam::111122223333:policy/x</PolicyArn></member>";
/// The tags of a resource that arcctl created.
pub(super) const MADE: &str =
    "<Tags><member><Key>arcctl.dev/sid</Key><Value>Arcctl0000000000000000</Value></member></Tags>";
/// The tag for the client STS that arcctl added to a provider.
pub(super) const CLIENT: &str = "<member><Key>arcctl.dev/client/0000000000000000</Key><Value>sts.amazonaws.com</Value></member>";
/// The tag for the attached [`POLICY`].
pub(super) const MARK: &str = "<Tags><member><Key>arcctl.dev/attached/0000000000000000/737bec41a7eb16c5</Key><Value>x</Value></member></Tags>";

pub(super) fn statement() -> Value {
    json!({"Sid": SID, "Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"})
}

pub(super) fn foreign() -> Value {
    json!({"Sid": "F", "Effect": "Allow", "Principal": {"Service": "y"}, "Action": "sts:AssumeRole"})
}

pub(super) fn document(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

pub(super) fn role() -> IamRole {
    IamRole {
        name: "r".into(),
        arn: None,
        create: true,
        path: None,
        permissions_boundary: None,
        sid: SID.into(),
        trust: statement(),
        managed_policies: Vec::new(),
        profile: "p".into(),
    }
}

pub(super) fn provider() -> OidcProvider {
    OidcProvider {
        arn: "arn:aws:iam::111122223333:oidc-provider/i".into(),
        issuer: "i".into(),
        sid: SID.into(),
        profile: "p".into(),
    }
}

pub(super) fn role_policy(statements: Vec<Value>) -> RolePolicy {
    RolePolicy {
        role: "r".into(),
        name: "p".into(),
        sid: SID.into(),
        statements,
    }
}

pub(super) fn bucket() -> BucketPolicy {
    BucketPolicy {
        bucket: "b.example".into(),
        account: "111122223333".into(),
        sid: SID.into(),
        statements: vec![statement()],
    }
}

pub(super) fn rule(direction: Direction) -> SecurityGroupRule {
    SecurityGroupRule {
        group: "sg-1".into(),
        groups: vec!["sg-1".into()],
        direction,
        port: 443,
        peer: Peer::Cidr("10.0.0.0/8".into()),
        peers: Vec::new(),
        addresses: vec!["10.0.0.0/8".into()],
        purpose: "a test".into(),
        instead: None,
        sid: SID.into(),
        profile: "p".into(),
    }
}

/// The same rule as EC2 returns it.
pub(super) fn live_rule(egress: bool) -> String {
    format!(
        "<item><securityGroupRuleId>sgr-1</securityGroupRuleId><groupId>sg-1</groupId><isEgress>{egress}</isEgress><ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort>\
         <cidrIpv4>10.0.0.0/8</cidrIpv4><tagSet><item><key>arcctl.dev/sid</key><value>{SID}</value></item></tagSet></item>"
    )
}

/// An egress rule on 443 of another tool.
pub(super) fn rule_of_others(peer: &str) -> String {
    format!(
        "<item><securityGroupRuleId>sgr-2</securityGroupRuleId><groupId>sg-1</groupId><isEgress>true</isEgress><ipProtocol>tcp</ipProtocol>\
         <fromPort>443</fromPort><toPort>443</toPort>{peer}</item>"
    )
}

/// An egress rule to a group whose addresses are unknown.
pub(super) fn to_group() -> SecurityGroupRule {
    SecurityGroupRule {
        peer: Peer::Group("sg-9".into()),
        peers: vec!["sg-9".into()],
        addresses: Vec::new(),
        ..rule(Direction::Egress)
    }
}

pub(super) fn association() -> PodIdentityAssociation {
    PodIdentityAssociation {
        cluster: "runners".into(),
        namespace: "n".into(),
        service_account: "s".into(),
        role_arn: "arn:aws:iam::111122223333:role/r".into(),
        sid: SID.into(),
        profile: "p".into(),
    }
}

/// A role with a managed policy.
pub(super) fn attaching() -> IamRole {
    IamRole {
        managed_policies: vec![POLICY.into()],
        ..role()
    }
}

/// A role with a permissions boundary.
pub(super) fn bounded() -> IamRole {
    IamRole {
        permissions_boundary: Some(POLICY.into()),
        ..role()
    }
}
