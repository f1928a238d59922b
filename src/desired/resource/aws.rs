//! What a resource at AWS is. Pure: no I/O.

use std::fmt;

use serde_json::Value;

/// One thing at AWS.
#[derive(Clone, Debug)]
pub enum AwsResource {
    /// The OIDC provider of the cluster.
    Provider(OidcProvider),
    /// The role of the runners.
    Role(IamRole),
    /// The policy in the role, for buckets.
    RolePolicy(RolePolicy),
    /// The policy of a bucket of the own account.
    BucketPolicy(BucketPolicy),
    /// What gives the role to pods, with EKS Pod Identity.
    Association(PodIdentityAssociation),
    /// A rule of a security group.
    Rule(SecurityGroupRule),
}

/// The IAM OIDC provider of a cluster: one per issuer and account, so others may use it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcProvider {
    /// Its ARN, which follows from the issuer.
    pub arn: String,
    /// The issuer without its scheme.
    pub issuer: String,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The profile that makes it.
    pub profile: String,
}

/// A role, and the statement in its trust policy that lets the runners in.
#[derive(Clone, Debug, PartialEq)]
pub struct IamRole {
    /// Its name.
    pub name: String,
    /// The ARN that the profile gives it, where it gives one.
    pub arn: Option<String>,
    /// Whether it is made where it is missing; one given by ARN is not.
    pub create: bool,
    /// The path of one that is made.
    pub path: Option<String>,
    /// The permissions boundary of one that is made.
    pub permissions_boundary: Option<String>,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The statement.
    pub trust: Value,
    /// The managed policies it must have.
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

/// The statements in the policy of a bucket.
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

/// What gives a role to the pods of a service account: EKS has one at most for each.
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

/// A rule that lets one side of a connection through, unless another one does so already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityGroupRule {
    /// The group it is made in.
    pub group: String,
    /// The groups of the same network interfaces: a rule in any of them does.
    pub groups: Vec<String>,
    /// Which way.
    pub direction: Direction,
    /// The TCP port.
    pub port: u16,
    /// The other side, as the rule names it.
    pub peer: Peer,
    /// The groups of the other side: a rule that names any of them does.
    pub peers: Vec<String>,
    /// The addresses of the other side: rules that cover all of them do.
    pub addresses: Vec<String>,
    /// What it is for.
    pub purpose: String,
    /// What whoever may not make it can do instead.
    pub instead: Option<&'static str>,
    /// The `Sid` of this cluster and profile.
    pub sid: String,
    /// The profile.
    pub profile: String,
}

impl SecurityGroupRule {
    /// Whether both are made as the same rule.
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
    /// The values in which a fact can be missing offline.
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

/// Which way a connection goes, as the group with the rule sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It comes in.
    Ingress,
    /// It goes out.
    Egress,
}

/// The other side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// What is in a security group.
    Group(String),
    /// Addresses.
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
