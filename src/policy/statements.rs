//! The statements that arcctl writes, with least privilege. Pure: no I/O.

use serde_json::{Value, json};

use crate::{
    profile::{Bucket, BucketAccess},
    templates,
};

/// Who may assume the role of the runners.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The `Sid` of this cluster and profile.
    pub sid: &'a str,
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: &'a str,
    /// The account of the OIDC provider.
    pub account: &'a str,
    /// The issuer without its scheme: `oidc.eks.REGION.amazonaws.com/id/…`.
    pub issuer: &'a str,
    /// `system:serviceaccount:NAMESPACE:NAME`, for each namespace of the runners.
    pub subjects: &'a [String],
}

/// The audience of EKS tokens, and the client id of the OIDC provider.
pub const AUDIENCE: &str = "sts.amazonaws.com";

/// A condition's value: one value, or a list of alternatives (IAM user guide, "condition operators").
fn one_or_all<T: serde::Serialize>(values: &[T]) -> Value {
    match values {
        [one] => json!(one),
        all => json!(all),
    }
}

/// The trust policy statement that lets the service accounts of the runners of one cluster assume the role.
pub fn trust_statement(trust: Trust<'_>) -> Value {
    let Trust {
        sid,
        partition,
        account,
        issuer,
        subjects,
    } = trust;
    templates::TRUST_IRSA.value(&[
        ("SID", json!(sid)),
        ("PARTITION", json!(partition)),
        ("ACCOUNT", json!(account)),
        ("ISSUER", json!(issuer)),
        ("AUDIENCE", json!(AUDIENCE)),
        ("SUBJECTS", one_or_all(subjects)),
    ])
}

/// The trust policy statement that lets EKS Pod Identity assume the role for one service account of one cluster (its
/// ARN): EKS sets session tags that identify them.
pub fn pod_identity_statement(
    sid: &str,
    cluster: &str,
    namespaces: &[&str],
    account: &str,
) -> Value {
    templates::TRUST_POD_IDENTITY.value(&[
        ("SID", json!(sid)),
        ("CLUSTER_ARN", json!(cluster)),
        ("NAMESPACES", one_or_all(namespaces)),
        ("SERVICE_ACCOUNT", json!(account)),
    ])
}

/// A bucket and the granted access.
#[derive(Clone, Copy, Debug)]
pub struct BucketGrant<'a> {
    /// The `Sid` of this cluster and profile.
    pub sid: &'a str,
    /// The bucket's partition.
    pub partition: &'a str,
    /// The bucket.
    pub bucket: &'a Bucket,
}

impl BucketGrant<'_> {
    /// The minimum actions (DESIGN 5).
    fn object_actions(&self) -> &'static [&'static str] {
        match self.bucket.access {
            BucketAccess::Read => &["s3:GetObject", "s3:GetObjectAcl"],
            BucketAccess::ReadWrite => &[
                "s3:GetObject",
                "s3:GetObjectAcl",
                "s3:PutObject",
                "s3:PutObjectAcl",
            ],
        }
    }

    /// The statements, `Sid`s ending in `suffix`.
    fn statements(&self, suffix: &str) -> Vec<Value> {
        templates::BUCKET.items(&[
            ("SID", json!(self.sid)),
            ("SUFFIX", json!(suffix)),
            ("PARTITION", json!(self.partition)),
            ("BUCKET", json!(self.bucket.name)),
            ("ACTIONS", json!(self.object_actions())),
        ])
    }
}

/// The statements of the role's inline policy, for all its buckets.
pub fn role_policy(sid: &str, partition: &str, buckets: &[Bucket]) -> Vec<Value> {
    let grants = buckets.iter().enumerate().map(|(index, bucket)| {
        let grant = BucketGrant {
            sid,
            partition,
            bucket,
        };
        grant.statements(&index.to_string())
    });
    grants.flatten().collect()
}

/// The statements of the bucket policy, for the role `role` (its ARN).
pub fn bucket_policy(grant: BucketGrant<'_>, role: &str) -> Vec<Value> {
    let mut statements = grant.statements("");
    for statement in &mut statements {
        statement["Principal"] = json!({"AWS": role});
    }
    statements
}
