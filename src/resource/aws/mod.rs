//! AWS resources that arcctl manages: one file per kind, with the same verbs as other resources.
//!
//! IAM shows writes late, and replaces whole policies: [`consistency`] and [`documents`] keep arcctl from taking either for
//! a change by another tool.

mod bucket_policy;
pub mod consistency;
pub(crate) mod custom_networking;
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

/// IAM's error code for a missing entity.
pub(crate) const NO_SUCH_ENTITY: &str = "NoSuchEntity";
/// IAM's error code for an entity that was created in between.
const ALREADY_EXISTS: &str = "EntityAlreadyExists";

/// The tag of resources that arcctl creates, like its label in the cluster.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const PROFILE: &str = "arcctl.dev/profile";
/// The tag with the `Sid`, which distinguishes clusters whose profiles have the same name.
const SID: &str = "arcctl.dev/sid";

impl AwsResource {
    /// Reads the current state and compares it with the wanted one.
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

    /// Adds a remark on other tools that write the same document.
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

    /// Creates or updates it; idempotent.
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

    /// Reads what remains of it, and which part is arcctl's.
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

    /// Deletes arcctl's part of it; succeeds where it does not exist.
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

/// The clients. A profile with `aws` names an EKS cluster, so they exist; the error is for code that
/// builds resources itself.
fn aws(context: &Context) -> Result<&Aws> {
    context.aws.as_ref().ok_or_else(|| {
        Error::failed(System::Aws, "there is no connection to AWS")
            .hint("name the cluster in the profile: cluster.eks and cluster.region")
    })
}

/// The error for a text in a new resource that AWS would reject: reported before the first write.
fn refused_text(object: &str, error: &Refused) -> Error {
    Error::failed(System::Aws, format!("`{object}` cannot be written: {error}"))
        .object(object)
        .hint("correct the name of it in the profile; where the profile does not say it, report this as a bug")
}

/// A partial deletion: other tools use the rest.
fn shared(differences: Vec<Difference>, because: impl Into<String>) -> Observed {
    let because = because.into();
    Observed::Present(Present {
        differences,
        readiness: Readiness::Ready,
        ownership: Ownership::Shared { because },
    })
}

/// An existing resource that AWS may show late: not ready.
fn not_yet(reason: impl Into<String>) -> Observed {
    Observed::Present(Present::same(Readiness::progressing(reason)))
}
