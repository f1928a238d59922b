//! How long a policy document may be. Pure: no I/O.

/// The characters of a trust policy where nobody asked AWS for more.
pub const TRUST_POLICY_QUOTA: usize = 2048;
/// The most that AWS grants.
pub const TRUST_POLICY_LIMIT: usize = 4096;
/// The bytes of a bucket's policy, which cannot be raised.
pub const BUCKET_POLICY_LIMIT: usize = 20 * 1024;

/// The characters of all inline policies of a role together, which cannot be raised. Source: IAM user guide, quotas.
pub const ROLE_POLICIES_LIMIT: usize = 10_240;
/// The managed policies of a role where nobody asked AWS for more.
pub const ATTACHED_POLICIES_QUOTA: usize = 10;
/// The most that AWS grants.
pub const ATTACHED_POLICIES_LIMIT: usize = 25;

/// A document that would not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it would have {size} characters, and {quota} are allowed")]
pub struct TooLarge {
    /// How long it would be.
    pub size: usize,
    /// How long it may be.
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
