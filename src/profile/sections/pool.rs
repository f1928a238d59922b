//! A pool of identical runners. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::profile::{
    KubeDuration, Metadata, PoolGitHub, Scaling, Schedule, is_default, is_runner_namespace,
    runner_namespace,
};

/// A set of runners that scale together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pool {
    /// The name of its `RunnerDeployment` and `HorizontalRunnerAutoscaler`, or of its runner scale set.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$"),
        extend("patternErrorMessage" = "1 to 40 characters of a-z, 0-9 and `-`, with a letter or digit at both ends")
    )]
    pub name: String,
    /// Which of the two controllers runs the pool.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
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
    /// The fewest runners outside every window; in a scale set the fewest that are idle.
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
    /// Labels and annotations of the `RunnerDeployment`, or of the `AutoscalingRunnerSet`.
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
    /// Passed through to the `RunnerDeployment`'s `spec.template.spec`, or to the pod's `spec` of a scale set, checked
    /// against the CRD; what arcctl sets itself is an error here.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub template: Map<String, Value>,
}

/// The controller of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// A `RunnerDeployment` of the community's controller, which scales by metrics.
    #[default]
    RunnerDeployment,
    /// A runner scale set of GitHub's own controller, which adds a runner for each job.
    ScaleSet,
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
