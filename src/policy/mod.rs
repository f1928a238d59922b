//! IAM policy documents: parsed as IAM returns them, compared by meaning, and merged so that only the statements with
//! arcctl's own `Sid` are added, replaced or removed. Pure: no I/O.
//!
//! IAM has no compare-and-swap for a trust policy and cannot write a single statement: each write replaces the whole
//! document. So other users' statements are kept as their original text, not reserialized.

mod compare;
mod document;
pub(crate) mod lint;
mod merge;
mod others;
mod size;
mod statements;

pub use compare::{difference_of, same};
pub use document::{Document, PolicyError, Statement};
pub use lint::{advice, only_for_other_clients};
pub use merge::{differences, is_own, merged, without};
pub use others::{Orphan, is_granted, name_of, orphans};
pub use size::{
    ATTACHED_POLICIES_LIMIT, ATTACHED_POLICIES_QUOTA, BUCKET_POLICY_LIMIT, ROLE_POLICIES_LIMIT,
    TRUST_POLICY_LIMIT, TRUST_POLICY_QUOTA, TooLarge,
};
pub use statements::{
    AUDIENCE, BucketGrant, Trust, bucket_policy, pod_identity_statement, role_policy,
    trust_statement,
};

use sha2::{Digest, Sha256};

/// The `Sid` of arcctl's statements in shared documents: letters and digits only, as IAM requires, and the same in
/// every run of one profile on one cluster. `cluster` is the cluster's ARN.
pub fn own_sid(cluster: &str, profile: &str) -> String {
    let digest = Sha256::digest(format!("{cluster}\n{profile}"));
    let number = digest[..8]
        .iter()
        .fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    format!("Arcctl{number:016x}")
}

#[cfg(test)]
mod tests;
