//! What the user asked for: the profile YAML as types. Pure: no I/O.
//!
//! The doc comments here are the descriptions of the JSON Schema (`arcctl schema`). Every type denies unknown keys;
//! none uses `flatten` or `untagged`, which lose line numbers. A new key is a field here and, where it can be wrong
//! in a way its type does not say, a rule in [`lint`].

mod diagnostic;
pub mod lint;
mod load;
mod metadata;
mod names;
pub mod object_names;
pub mod path;
pub mod schedule;
mod schema;
mod validate;
mod yaml;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use names::{is_runner_namespace, runner_namespace};

pub use crate::units::duration::KubeDuration;
pub use diagnostic::{Problem, Severity, render};
pub use load::{Loaded, ProfileErrors, load, load_with};
pub use metadata::Metadata;
pub use names::{CONTROLLER, RUNNER_NAMESPACE, SYSTEM_NAMESPACE, full_name};
pub use schema::schema;

/// The whole scenario of one cluster: where it is, who its GitHub is, which runners it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Profile {
    /// The format of this file.
    pub api_version: ApiVersion,
    /// 1 to 32 characters of a-z, 0-9 and `-`; with the cluster it marks everything arcctl owns.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$"),
        extend("patternErrorMessage" = "1 to 32 characters of a-z, 0-9 and `-`, with a letter or digit at both ends")
    )]
    pub name: String,
    /// The cluster the runners live in.
    pub cluster: Cluster,
    /// The GitHub the runners register at.
    pub github: GitHub,
    /// The cert-manager that issues the controller's webhook certificate.
    #[serde(default)]
    pub cert_manager: CertManager,
    /// Actions Runner Controller.
    #[serde(default)]
    pub controller: Controller,
    /// Where the charts come from, where it is not their public repository.
    #[serde(default, skip_serializing_if = "is_default")]
    pub charts: Charts,
    /// Where the images come from, where it is not their public registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// The proxy that the controller and the runners use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// IAM and EC2 around the runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
    /// The runner pools; each becomes a `RunnerDeployment` and a `HorizontalRunnerAutoscaler` of its name.
    #[schemars(length(min = 1))]
    pub pools: Vec<Pool>,
    /// Metrics, alerts and the dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// How long each phase may wait.
    #[serde(default)]
    pub timeouts: Timeouts,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The profile formats this program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one so far.
    #[serde(rename = "arcctl.dev/v1")]
    V1,
}

/// Which cluster, and how it is reached: `eks` with `region`, or `context`, or both for the same cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Cluster {
    /// The name of the EKS cluster: its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"),
        extend("patternErrorMessage" = "the name of an EKS cluster: letters, digits, `-` and `_`, at most 100")
    )]
    pub eks: Option<String>,
    /// The AWS region of the EKS cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z]{2,8}(-[a-z]+)+-[0-9]{1,2}$"),
        extend("patternErrorMessage" = "an AWS region, for example `ap-northeast-2`")
    )]
    pub region: Option<String>,
    /// A context of the kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub context: Option<String>,
}

/// The GitHub server, the scope of the runners and the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GitHub {
    /// The GitHub Enterprise Server, as `https://HOST`; left out for github.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The slug of the enterprise; exactly one of enterprise, organization and repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub enterprise: Option<String>,
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub organization: Option<String>,
    /// The repository, as OWNER/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+/[^/\s]+$"),
        extend("patternErrorMessage" = "OWNER/NAME")
    )]
    pub repository: Option<String>,
    /// Where the personal access token is; never the token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSource>,
    /// A GitHub App instead of a token; not for enterprise scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// The login the token must belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_owner: Option<String>,
    /// The private certificate authority of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<FileSource>,
}

/// The scope and the credential of a pool, where they are not the profile's. What is left out is the profile's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PoolGitHub {
    /// The slug of the enterprise; at most one of enterprise, organization and repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub enterprise: Option<String>,
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub organization: Option<String>,
    /// The repository, as OWNER/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+/[^/\s]+$"),
        extend("patternErrorMessage" = "OWNER/NAME")
    )]
    pub repository: Option<String>,
    /// Where the personal access token is; never the token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSource>,
    /// A GitHub App instead of a token; not for enterprise scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// The login the token must belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_owner: Option<String>,
}

impl PoolGitHub {
    /// Whether it names a credential.
    pub const fn has_credential(&self) -> bool {
        self.token.is_some() || self.app.is_some()
    }

    /// Whether it names a scope.
    pub const fn has_scope(&self) -> bool {
        self.enterprise.is_some() || self.organization.is_some() || self.repository.is_some()
    }
}

/// Where a secret value is; exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenSource {
    /// The name of an environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"),
        extend("patternErrorMessage" = "the name of an environment variable: letters, digits and `_`")
    )]
    pub env: Option<String>,
    /// A file, relative to the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The name or ARN of a secret in AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<String>,
    /// The name or ARN of a parameter in SSM Parameter Store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm: Option<String>,
    /// A key of a Kubernetes Secret that someone else manages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_secret: Option<KubernetesSecretKey>,
}

/// One key of a Kubernetes Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KubernetesSecretKey {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A GitHub App that the controller authenticates as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct App {
    /// The App's id, quoted.
    #[schemars(
        regex(pattern = r"^[0-9]+$"),
        extend("patternErrorMessage" = "digits only, in quotes")
    )]
    pub id: String,
    /// The id of the App's installation in the organization or repository, quoted.
    #[schemars(
        regex(pattern = r"^[0-9]+$"),
        extend("patternErrorMessage" = "digits only, in quotes")
    )]
    pub installation_id: String,
    /// Where the App's private key (PEM) is.
    pub private_key: TokenSource,
}

/// A file beside the profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSource {
    /// The path, relative to the profile (from stdin: to the working directory).
    pub file: String,
}

/// Whether and which cert-manager is installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CertManager {
    /// `auto` uses a working one and installs otherwise.
    pub install: Auto,
    /// The chart's version, for example `v1.21.1`.
    #[schemars(
        regex(pattern = r"^v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$"),
        extend("patternErrorMessage" = "an exact version, for example `v1.21.1`")
    )]
    pub chart_version: String,
    /// The namespace of its release; where it is somebody else's, it is found wherever it is.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`, with a letter or digit at both ends")
    )]
    pub namespace: String,
    /// Passed through to the chart; what arcctl sets itself is an error here.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
}

impl Default for CertManager {
    fn default() -> Self {
        Self {
            install: Auto::Auto,
            chart_version: "v1.21.1".into(),
            namespace: "cert-manager".into(),
            values: Map::new(),
        }
    }
}

/// Whether something is done: by what is found, in any case, or in no case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Auto {
    /// Decided by what the cluster has.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// The controller's release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Controller {
    /// The version of the chart `actions-runner-controller`.
    #[schemars(
        regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$"),
        extend("patternErrorMessage" = "an exact version, for example `0.23.7`")
    )]
    pub chart_version: String,
    /// How many controller pods; one of them leads.
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
    /// The port the admission webhooks listen on in the pod; 10250 passes the default rules of EKS.
    #[schemars(range(min = 1, max = 65535))]
    pub webhook_port: u16,
    /// How often the controller looks at GitHub.
    pub sync_period: KubeDuration,
    /// The image of the docker sidecar; the chart's default floats.
    #[schemars(length(min = 1))]
    pub docker_image: String,
    /// The namespace of the controller, and of arcctl's own inventory and lease.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`")
    )]
    pub namespace: String,
    /// The name of the controller's release.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a release: 1 to 53 characters of a-z, 0-9 and `-`")
    )]
    pub release: String,
    /// The only namespace that the controller looks at, where others have controllers of their own beside it; every
    /// namespace where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`")
    )]
    pub watch_namespace: Option<String>,
    /// Passed through to the chart; what arcctl sets itself is an error here.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            chart_version: "0.23.7".into(),
            replicas: 2,
            webhook_port: 9443,
            sync_period: KubeDuration::from_secs(60),
            docker_image: "docker:28-dind".into(),
            namespace: SYSTEM_NAMESPACE.into(),
            release: CONTROLLER.into(),
            watch_namespace: None,
            values: Map::new(),
        }
    }
}

/// Mirrors of the charts: an https or oci repository, or a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Charts {
    /// Where the chart `cert-manager` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<String>,
    /// Where the chart `actions-runner-controller` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
}

/// Mirrors of the images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Images {
    /// The registry (and path) that takes the place of the images' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Secrets of type `kubernetes.io/dockerconfigjson` in the namespaces of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

/// The proxy of the controller and the runners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Proxy {
    /// For http URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// For https URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// Hosts, domains and CIDRs that are reached directly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_proxy: Vec<String>,
}

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

/// A set of runners that scale together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pool {
    /// The name of its `RunnerDeployment` and `HorizontalRunnerAutoscaler`.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"),
        extend("patternErrorMessage" = "1 to 40 characters of a-z, 0-9 and `-`, with a letter or digit at both ends")
    )]
    pub name: String,
    /// Whose its runners are, and with which credential, where that is not the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub github: Option<PoolGitHub>,
    /// The namespace of its runners.
    #[serde(
        default = "runner_namespace",
        skip_serializing_if = "is_runner_namespace"
    )]
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`")
    )]
    pub namespace: String,
    /// An EC2 instance type: node selector, a runner label, and the default resources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$"),
        extend("patternErrorMessage" = "an EC2 instance type, for example `t3a.large`")
    )]
    pub instance_type: Option<String>,
    /// The runner image, with a tag or digest.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Labels of the runners beside the instance type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The runner group; it must exist at GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub group: Option<String>,
    /// The fewest runners outside every window.
    #[schemars(range(min = 0, max = 10000))]
    pub min: u32,
    /// The most runners.
    #[schemars(range(min = 0, max = 10000))]
    pub max: u32,
    /// When the controller adds and removes runners; left out: the number stays at `min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// When another minimum holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Labels and annotations of the `RunnerDeployment`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub metadata: Metadata,
    /// Labels and annotations of the runner pods, for example for Vault, Karpenter or a policy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pod_metadata: Metadata,
    /// An existing `ServiceAccount` for the runner pods, used and never written; in place of the one of the role in `aws`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// How jobs run containers.
    #[serde(default)]
    pub container_mode: ContainerMode,
    /// An `emptyDir` at /tmp of the runner and the docker container.
    #[serde(default)]
    pub shared_tmp: bool,
    /// Resources of the containers; by instance type where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<PoolResources>,
    /// How long a runner may finish its job when its pod is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_stop: Option<KubeDuration>,
    /// Labels the node must have, beside the instance type.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints of nodes that are tolerated, as in a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Map<String, Value>>,
    /// Environment of the runner container, as in a pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Map<String, Value>>,
    /// Pull secrets of this pool, beside `images.pullSecrets`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<String>,
    /// The group of mounted volumes; by the image's Ubuntu where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub fs_group: Option<u32>,
    /// Passed through to the `RunnerDeployment`'s `spec.template.spec`, checked against the CRD; what arcctl sets
    /// itself is an error here.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub template: Map<String, Value>,
}

/// When the controller adds and removes runners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scaling {
    /// One metric, or `PercentageRunnersBusy` and then `TotalNumberOfQueuedAndInProgressWorkflowRuns`; may be left out
    /// beside `triggers`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub metrics: Vec<Metric>,
    /// Runners for each job that GitHub tells of by webhook; exactly one, where there is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1))]
    pub triggers: Vec<Trigger>,
    /// How long after adding runners none is removed; 10m where left out (the controller's default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down_delay: Option<KubeDuration>,
}

/// Runners that are added for each event that GitHub sends to the controller's webhook server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Trigger {
    /// The event of a job that is queued and whose labels the pool has; written as `{}`.
    pub workflow_job: WorkflowJob,
    /// How many runners it adds.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub amount: u32,
    /// How long they are kept for it, where its end is never told; 10m where left out (the controller's default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<KubeDuration>,
}

const fn one() -> u32 {
    1
}

/// The event `workflow_job`, the only one that works since app 0.27 (reference: arc.md 2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkflowJob {}

/// One measure of need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metric {
    /// What is measured.
    #[serde(rename = "type")]
    pub kind: MetricType,
    /// For `TotalNumberOfQueuedAndInProgressWorkflowRuns` in an organization: the repositories to ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<String>,
    /// When and by how much runners are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_up: Option<Step>,
    /// When and by how much runners are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_down: Option<Step>,
}

/// What the controller can measure (reference: `HorizontalRunnerAutoscaler.spec.metrics[].type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MetricType {
    /// The share of runners with a job.
    PercentageRunnersBusy,
    /// Jobs waiting and running, asked of GitHub.
    TotalNumberOfQueuedAndInProgressWorkflowRuns,
}

/// A threshold with a factor or an adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Step {
    /// The share of busy runners, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub threshold: Option<f64>,
    /// The number of runners is multiplied by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// This many runners are added or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub adjustment: Option<u32>,
}

/// Windows of wall-clock time in which another minimum holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Schedule {
    /// An IANA time zone, for example Asia/Seoul.
    pub time_zone: String,
    /// The first window that is open wins.
    #[schemars(length(min = 1))]
    pub windows: Vec<Window>,
}

/// One window: daily (`HH:MM`), on days of the week (`days`, or `Ddd HH:MM`), or dated (`YYYY-MM-DD HH:MM`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Window {
    /// What it is called in `status` and `schedule`.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The days on which a window of `HH:MM` opens, for example `Mon-Fri` or `Sat, Sun`; every day where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?(, ?(Mon|Tue|Wed|Thu|Fri|Sat|Sun)(-(Mon|Tue|Wed|Thu|Fri|Sat|Sun))?)*$"),
        extend("patternErrorMessage" = "days and ranges of days, for example `Mon-Fri` or `Sat, Sun`")
    )]
    pub days: Option<String>,
    /// When it opens.
    #[schemars(
        regex(pattern = r"^((Mon|Tue|Wed|Thu|Fri|Sat|Sun) |[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) )?([01][0-9]|2[0-3]):[0-5][0-9]$"),
        extend("patternErrorMessage" = "`HH:MM` for every day (or those in `days`), `Ddd HH:MM` for every week, for example `Sat 00:00`, or `YYYY-MM-DD HH:MM` for a date")
    )]
    pub from: String,
    /// When it closes.
    #[schemars(
        regex(pattern = r"^((Mon|Tue|Wed|Thu|Fri|Sat|Sun) |[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) )?([01][0-9]|2[0-3]):[0-5][0-9]$"),
        extend("patternErrorMessage" = "`HH:MM` for every day (or those in `days`), `Ddd HH:MM` for every week, for example `Sat 00:00`, or `YYYY-MM-DD HH:MM` for a date")
    )]
    pub to: String,
    /// How a dated window comes back; once where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// The last date on which it opens, for a window that comes back; for ever where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"),
        extend("patternErrorMessage" = "a date, for example `2027-03-01`")
    )]
    pub until: Option<String>,
    /// The fewest runners while it is open.
    #[schemars(range(min = 0, max = 10000))]
    pub min: u32,
}

/// When it is open, in the words of the profile.
impl std::fmt::Display for Window {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(days) = &self.days {
            write!(formatter, "{days} ")?;
        }
        write!(formatter, "from {} to {}", self.from, self.to)?;
        match self.repeat {
            Some(Repeat::Monthly) => formatter.write_str(", every month")?,
            Some(Repeat::Yearly) => formatter.write_str(", every year")?,
            None => {}
        }
        if let Some(until) = &self.until {
            write!(formatter, ", until {until}")?;
        }
        Ok(())
    }
}

/// How a dated window comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Repeat {
    /// On the same day of each month that has it.
    Monthly,
    /// On the same date of each year that has it.
    Yearly,
}

/// How jobs run containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum ContainerMode {
    /// A docker daemon beside the runner, privileged.
    #[default]
    Dind,
    /// A docker daemon in the runner's own container, privileged; the image must bring it, as `actions-runner-dind` does.
    DindInRunner,
    /// The docker daemon of the node; no EKS node has one since 1.24.
    Dood,
    /// No docker.
    None,
    /// Each job in a pod of its own.
    Kubernetes(KubernetesMode),
}

/// The parameters of container mode kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KubernetesMode {
    /// The volume that the runner and the job share.
    pub work_volume: WorkVolume,
}

/// The volume that the runner and the job share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkVolume {
    /// The `StorageClass`.
    pub storage_class: String,
    /// Its size, for example 10Gi.
    pub size: String,
    /// How it is mounted.
    pub access_mode: AccessMode,
}

/// The access modes that the controller admits for the work volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccessMode {
    /// By the pods of one node.
    ReadWriteOnce,
    /// By pods of any node.
    ReadWriteMany,
}

/// Resources of the pool's containers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PoolResources {
    /// Of the runner container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<ResourceRequirements>,
    /// Of the docker container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker: Option<ResourceRequirements>,
}

/// Requests and limits, as in a pod: resource name to quantity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResourceRequirements {
    /// What the scheduler sets aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Quantity>,
    /// What the container may use at most.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, Quantity>,
}

/// A Kubernetes quantity, as written in the profile (`500m`, `6Gi`, a plain number in quotes).
pub type Quantity = String;

/// Metrics, alerts and the dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Monitoring {
    /// A `ServiceMonitor` through the chart.
    pub service_monitor: Auto,
    /// A `PrometheusRule` with alerts and each pool's minimum in force.
    pub alerts: Auto,
    /// A Grafana dashboard in a labelled `ConfigMap`.
    pub dashboard: Auto,
    /// Labels of the `ServiceMonitor`, the `PrometheusRule` and the dashboard, for example the one that Prometheus
    /// selects.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// How long each phase may wait; `--timeout` caps the whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Timeouts {
    /// Until cert-manager's webhooks answer.
    pub cert_manager: KubeDuration,
    /// Until the controller's webhooks answer.
    pub controller: KubeDuration,
    /// Until the runner pods run.
    pub runners: KubeDuration,
    /// Until the runners are online at GitHub.
    pub registration: KubeDuration,
    /// Until busy runners are done, in `teardown`.
    pub drain: KubeDuration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let five = KubeDuration::from_secs(300);
        Self {
            cert_manager: five,
            controller: five,
            runners: five,
            registration: five,
            drain: KubeDuration::from_secs(600),
        }
    }
}

/// The GitHub object whose runners these are; a loaded profile has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The slug of an enterprise.
    Enterprise(&'a str),
    /// An organization.
    Organization(&'a str),
    /// A repository, as OWNER/NAME.
    Repository(&'a str),
}

impl Profile {
    /// The role of the runner pods, and how they take it on.
    pub fn runner_role(&self) -> Option<(RoleVia, &RunnerRole)> {
        self.aws.as_ref().and_then(Aws::runner_role)
    }

    /// The role of the pods of `pool`: none where they run as a `ServiceAccount` of their own.
    pub fn role_of(&self, pool: &Pool) -> Option<(RoleVia, &RunnerRole)> {
        self.runner_role()
            .filter(|(_, role)| match &pool.service_account {
                Some(own) => *own == role.service_account,
                None => true,
            })
    }
}

impl GitHub {
    /// The scope; `None` only in a profile that [`lint`] has refused.
    pub fn scope(&self) -> Option<Scope<'_>> {
        match (&self.enterprise, &self.organization, &self.repository) {
            (Some(name), None, None) => Some(Scope::Enterprise(name)),
            (None, Some(name), None) => Some(Scope::Organization(name)),
            (None, None, Some(name)) => Some(Scope::Repository(name)),
            _ => None,
        }
    }
}
