//! IAM and EC2 resources of the runners. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// IAM and EC2 around the runners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Aws {
    /// The IAM role of the runner pods, taken on through the cluster's OIDC provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub irsa: Option<RunnerRole>,
    /// The IAM role of the runner pods, given by EKS Pod Identity; in place of `irsa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<RunnerRole>,
    /// What the worker nodes must reach on 443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github_server: Option<GithubServer>,
}

impl Aws {
    /// The role of the runner pods, and how they take it on.
    pub fn runner_role(&self) -> Option<(RoleVia, &RunnerRole)> {
        let irsa = self.irsa.as_ref().map(|it| (RoleVia::Irsa, it));
        let pod_identity = self.pod_identity.as_ref();
        irsa.or(pod_identity.map(|it| (RoleVia::PodIdentity, it)))
    }
}

/// How pods take on their role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleVia {
    /// IAM roles for service accounts: with a token of the cluster's OIDC provider.
    Irsa,
    /// EKS Pod Identity: from the agent on their node.
    PodIdentity,
}

impl RoleVia {
    /// Its key under `aws`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Irsa => "irsa",
            Self::PodIdentity => "podIdentity",
        }
    }

    /// The variables that EKS gives to every container of a pod.
    pub const fn variables(self) -> [&'static str; 2] {
        match self {
            Self::Irsa => ["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"],
            Self::PodIdentity => [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            ],
        }
    }
}

/// The IAM role of the runner pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunnerRole {
    /// A name (created, or merged into) or an ARN (merged into only).
    pub role: String,
    /// The `ServiceAccount` of the runner pods.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"),
        extend("patternErrorMessage" = "a Kubernetes name: a-z, 0-9, `-` and `.`")
    )]
    pub service_account: String,
    /// ARNs of managed policies to attach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_policies: Vec<String>,
    /// The path of a role that is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The permissions boundary of a role that is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
    /// Buckets the runners may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<Bucket>,
}

/// A bucket the runners may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Bucket {
    /// The bucket's name.
    #[schemars(
        regex(pattern = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
        extend("patternErrorMessage" = "a bucket name: 3 to 63 characters of a-z, 0-9, `.` and `-`")
    )]
    pub name: String,
    /// The account that owns it, quoted; the own account where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[0-9]{12}$"),
        extend("patternErrorMessage" = "an account id: 12 digits, in quotes")
    )]
    pub account: Option<String>,
    /// What the runners may do.
    pub access: BucketAccess,
    /// In the own account: merge the statement into the bucket's policy.
    #[serde(default)]
    pub apply: bool,
}

/// What the runners may do with a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BucketAccess {
    /// List and get.
    Read,
    /// List, get and put.
    ReadWrite,
}

/// The GitHub server as the security groups see it; exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GithubServer {
    /// Its security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^sg-[0-9a-f]{8,17}$"),
        extend("patternErrorMessage" = "a security group id, for example `sg-0123456789abcdef0`")
    )]
    pub security_group: Option<String>,
    /// Its addresses, where it is outside AWS: a CIDR of IPv4 or IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
}
