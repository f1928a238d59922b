//! What arcctl manages at AWS: one file per kind, three verbs, as for the rest.
//!
//! IAM shows a write late, and writes a policy as a whole: [`writes`] and [`documents`] keep both from being taken for
//! somebody's change.

mod bucket_policy;
pub mod consistency;
mod documents;
pub mod iam;
mod node_groups;
mod rule;
mod rule_reading;
mod security_group_rule;
#[cfg(test)]
mod tests;

pub use node_groups::node_groups;
pub use rule_reading::rules_of;

use super::{
    context::Context,
    observed::{Observed, Ownership, Present, Readiness},
};
use crate::{
    clients::aws::Aws,
    desired::resource::{Id, aws::AwsResource},
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
