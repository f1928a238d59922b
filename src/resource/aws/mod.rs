//! What arcctl manages at AWS: one file per kind, three verbs, as for the rest.
//!
//! IAM shows a write late, and writes a policy as a whole: [`writes`] and [`documents`] keep both from being taken for
//! somebody's change.

mod bucket_policy;
pub mod consistency;
mod documents;
pub mod iam;
mod node_groups;
pub(super) mod record;
mod rule;
mod rule_reading;
mod security_group_rule;
#[cfg(test)]
mod tests;

pub use node_groups::node_groups;
pub use rule::{Direction, Peer};
pub use rule_reading::rules_of;

use serde_json::Value;

use super::{
    Id,
    context::Context,
    observed::{Observed, Ownership, Present, Readiness},
};
use crate::{
    clients::aws::Aws,
    diff::Difference,
    error::{Error, Result, System},
    units::aws_limits::Refused,
};

/// IAM's word for what is not there.
pub(crate) const NO_SUCH_ENTITY: &str = "NoSuchEntity";
/// IAM's word for what somebody else has made in between.
const ALREADY_EXISTS: &str = "EntityAlreadyExists";

/// The tags of what arcctl makes, as its labels in the cluster.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const PROFILE: &str = "arcctl.dev/profile";
/// The tag with the `Sid`, which tells clusters apart that have profiles of the same name.
const SID: &str = "arcctl.dev/sid";

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

impl AwsResource {
    /// Reads what is there and compares it with what is wanted.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let aws = aws(context)?;
        let writes = &context.aws_writes;
        let observed = match self {
            Self::Provider(provider) => Box::pin(provider.observe(aws, writes)).await,
            Self::Role(role) => Box::pin(role.observe(aws, writes)).await,
            Self::RolePolicy(policy) => Box::pin(policy.observe(aws, writes)).await,
            Self::BucketPolicy(policy) => Box::pin(policy.observe(aws, writes)).await,
            Self::Association(it) => Box::pin(it.observe(aws, &context.kube, writes)).await,
            Self::Rule(rule) => Box::pin(rule.observe(aws, writes)).await,
        };
        self.tell(context);
        observed
    }

    /// Says what this run has seen of other writers of the same document.
    fn tell(&self, context: &Context) {
        let (id, key) = match self {
            Self::Role(role) => (Id::new("iam-role", None, &role.name), role.name.clone()),
            Self::BucketPolicy(policy) => {
                (Id::new("bucket-policy", None, &policy.bucket), policy.key())
            }
            _ => return,
        };
        let told = context.aws_writes.told(&key);
        context.remarks.say(id.as_str(), told);
    }

    /// Makes it as wanted; doing so twice is as once.
    pub async fn apply(&self, context: &Context) -> Result<()> {
        let aws = aws(context)?;
        let writes = &context.aws_writes;
        match self {
            Self::Provider(provider) => Box::pin(provider.apply(aws, writes)).await,
            Self::Role(role) => Box::pin(role.apply(aws, writes)).await,
            Self::RolePolicy(policy) => Box::pin(policy.apply(aws, writes)).await,
            Self::BucketPolicy(policy) => Box::pin(policy.apply(aws, writes)).await,
            Self::Association(it) => Box::pin(it.apply(aws, writes)).await,
            Self::Rule(rule) => Box::pin(rule.apply(aws, writes)).await,
        }
    }

    /// Reads what is left of it, and how much of that is arcctl's.
    pub async fn remains(&self, context: &Context) -> Result<Observed> {
        let aws = aws(context)?;
        let (writes, removal) = (&context.aws_writes, &context.removal);
        let remains = match self {
            Self::Provider(provider) => Box::pin(provider.remains(aws, writes, removal)).await,
            Self::Role(role) => Box::pin(role.remains(aws, writes, removal)).await,
            Self::RolePolicy(policy) => Box::pin(policy.remains(aws, writes)).await,
            Self::BucketPolicy(policy) => Box::pin(policy.remains(aws, writes)).await,
            Self::Association(it) => Box::pin(it.remains(aws, writes)).await,
            Self::Rule(rule) => Box::pin(rule.remains(aws, writes)).await,
        };
        self.tell(context);
        remains
    }

    /// Takes away what is arcctl's of it; what is not there any more is taken away already.
    pub async fn delete(&self, context: &Context) -> Result<()> {
        let aws = aws(context)?;
        let (writes, removal) = (&context.aws_writes, &context.removal);
        match self {
            Self::Provider(provider) => Box::pin(provider.delete(aws, writes, removal)).await,
            Self::Role(role) => Box::pin(role.delete(aws, writes)).await,
            Self::RolePolicy(policy) => Box::pin(policy.delete(aws, writes)).await,
            Self::BucketPolicy(policy) => Box::pin(policy.delete(aws, writes)).await,
            Self::Association(it) => Box::pin(it.delete(aws, writes)).await,
            Self::Rule(rule) => Box::pin(rule.delete(aws, writes)).await,
        }
    }

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

/// The clients. A profile with `aws` names a cluster of EKS, so that they are there; the error is for those who build
/// resources themselves.
fn aws(context: &Context) -> Result<&Aws> {
    context.aws.as_ref().ok_or_else(|| {
        Error::failed(System::Aws, "there is no connection to AWS")
            .hint("name the cluster in the profile: cluster.eks and cluster.region")
    })
}

/// A text that AWS would not take, of something that arcctl is to make: told before the first write.
fn refused_text(object: &str, error: &Refused) -> Error {
    Error::failed(System::Aws, format!("`{object}` cannot be written: {error}"))
        .object(object)
        .hint("correct the name of it in the profile; where the profile does not say it, report this as a bug")
}

/// What goes in part: where others use the rest.
fn shared(differences: Vec<Difference>, because: impl Into<String>) -> Observed {
    let because = because.into();
    Observed::Present(Present {
        differences,
        readiness: Readiness::Ready,
        ownership: Ownership::Shared { because },
    })
}

/// What somebody else may show late: there, and not ready.
fn not_yet(reason: impl Into<String>) -> Observed {
    Observed::Present(Present::same(Readiness::progressing(reason)))
}
