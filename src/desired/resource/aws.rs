//! The types of AWS resources. Pure: no I/O.

use std::fmt;

use serde_json::Value;

/// An AWS resource.
#[derive(Clone, Debug)]
pub enum AwsResource {
    /// The OIDC provider of the cluster.
    Provider(OidcProvider),
    /// The role of the runners.
    Role(IamRole),
    /// The inline policy of the role, for buckets.
    RolePolicy(RolePolicy),
    /// The policy of a bucket in the same account.
    BucketPolicy(BucketPolicy),
    /// The association of the role with pods, for EKS Pod Identity.
    Association(PodIdentityAssociation),
    /// A rule of a security group.
    Rule(SecurityGroupRule),
}

/// The IAM OIDC provider of a cluster: one per issuer and account, so other users may share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcProvider {
    /// Its ARN, which follows from the issuer.
    pub arn: String,
    /// The issuer without its scheme.
    pub issuer: String,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The profile that creates it.
    pub profile: String,
}

/// A role, and the trust policy statement for the runners.
#[derive(Clone, Debug, PartialEq)]
pub struct IamRole {
    /// Its name.
    pub name: String,
    /// The ARN in the profile, if given.
    pub arn: Option<String>,
    /// Whether to create it if it is missing; false for a role given by ARN.
    pub create: bool,
    /// The path for creation.
    pub path: Option<String>,
    /// The permissions boundary for creation.
    pub permissions_boundary: Option<String>,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The statement.
    pub trust: Value,
    /// The managed policies to attach.
    pub managed_policies: Vec<String>,
    /// The profile.
    pub profile: String,
}

/// An inline policy of the role.
#[derive(Clone, Debug, PartialEq)]
pub struct RolePolicy {
    /// The role.
    pub role: String,
    /// Its name in the role.
    pub name: String,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The statements.
    pub statements: Vec<Value>,
}

/// arcctl's statements in a bucket policy.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketPolicy {
    /// The bucket.
    pub bucket: String,
    /// The account that must own it.
    pub account: String,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The statements.
    pub statements: Vec<Value>,
}

/// The EKS Pod Identity association of a service account: at most one each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodIdentityAssociation {
    /// The cluster's name.
    pub cluster: String,
    /// The namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The ARN of the role.
    pub role_arn: String,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The profile.
    pub profile: String,
}

/// A security group rule that allows one direction of a connection, unless another rule already does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroupRule {
    /// The group to create it in.
    pub group: String,
    /// The groups of the same network interfaces: a rule in any of them is enough.
    pub groups: Vec<String>,
    /// The direction.
    pub direction: Direction,
    /// The TCP port.
    pub port: u16,
    /// The peer of the rule.
    pub peer: Peer,
    /// The groups of the peer: a rule that names any of them is enough.
    pub peers: Vec<String>,
    /// The addresses of the peer: rules that cover all of them are enough.
    pub addresses: Vec<String>,
    /// Its purpose.
    pub purpose: String,
    /// The alternative for users without permission to create it.
    pub instead: Option<&'static str>,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The profile.
    pub profile: String,
}

impl SecurityGroupRule {
    /// Whether both create the same rule.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.group, self.direction, self.port, &self.peer)
            == (&other.group, other.direction, other.port, &other.peer)
    }
}

impl PodIdentityAssociation {
    /// The first part of its id.
    pub const KIND: &str = "pod-identity-association";
}

impl AwsResource {
    /// The values in which facts can be missing offline.
    pub fn values(&self) -> Vec<Value> {
        let text = |it: &str| Value::String(it.into());
        match self {
            Self::Provider(provider) => vec![text(&provider.arn)],
            Self::Role(role) => vec![role.trust.clone()],
            Self::RolePolicy(policy) => policy.statements.clone(),
            Self::BucketPolicy(policy) => policy.statements.clone(),
            Self::Association(it) => vec![text(&it.role_arn)],
            Self::Rule(rule) => vec![text(&rule.group), text(rule.peer.name())],
        }
    }
}

/// The direction of a connection, seen from the rule's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Inbound.
    Ingress,
    /// Outbound.
    Egress,
}

/// The peer of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The members of a security group.
    Group(String),
    /// A CIDR.
    Cidr(String),
}

impl Direction {
    /// Its name: `ingress` or `egress`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// The direction of that name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Ingress, Self::Egress]
            .into_iter()
            .find(|it| it.word() == word)
    }
}

impl Peer {
    /// The group's id, or the CIDR.
    pub fn name(&self) -> &str {
        match self {
            Self::Group(name) | Self::Cidr(name) => name,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ingress => "from",
            Self::Egress => "to",
        })
    }
}
