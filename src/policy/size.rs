//! The size quotas of policy documents. Pure: no I/O.

/// The default quota of a trust policy, in characters.
pub const TRUST_POLICY_QUOTA: usize = 2048;
/// The maximum quota of a trust policy. Source: IAM user guide, quotas; it was 4096 in earlier versions.
pub const TRUST_POLICY_LIMIT: usize = 8192;
/// The quota of a bucket policy, in bytes; it cannot be raised.
pub const BUCKET_POLICY_LIMIT: usize = 20 * 1024;

/// The quota of all inline policies of a role together, in characters; it cannot be raised. Source: IAM user guide,
/// quotas.
pub const ROLE_POLICIES_LIMIT: usize = 10_240;
/// The default quota of managed policies attached to a role.
pub const ATTACHED_POLICIES_QUOTA: usize = 10;
/// The maximum quota of attached policies.
pub const ATTACHED_POLICIES_LIMIT: usize = 25;

/// A document that exceeds its quota.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it would have {size} characters, and {quota} are allowed")]
pub struct TooLarge {
    /// Its size.
    pub size: usize,
    /// The quota.
    pub quota: usize,
}

impl TooLarge {
    /// Whether `size` fits into `quota`.
    pub const fn check(size: usize, quota: usize) -> Result<(), Self> {
        if size <= quota {
            Ok(())
        } else {
            Err(Self { size, quota })
        }
    }
}
