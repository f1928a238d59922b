//! The profile YAML as Rust types. Pure: no I/O.
//!
//! The doc comments here are the descriptions of the JSON Schema (`arcctl schema`). Every type denies unknown keys;
//! none uses `flatten` or `untagged`, which lose line numbers. A new key is a field here and, where it can be wrong
//! in a way its type does not say, a rule in [`lint`].

mod diagnostic;
pub mod edit;
pub mod lint;
mod load;
mod metadata;
mod names;
pub mod object_names;
pub mod path;
pub mod pool_text;
pub mod schedule;
mod schema;
mod sections;
mod validate;
mod yaml;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use names::{is_runner_namespace, runner_namespace};

pub use crate::units::duration::KubeDuration;
pub use diagnostic::{Problem, Severity, render};
pub use load::{Loaded, ProfileErrors, load, load_to_change_images, load_with};
pub use metadata::Metadata;
pub use names::{
    CONTROLLER, RUNNER_NAMESPACE, SCALE_SET_NAMESPACE, SCALE_SET_RELEASE, SYSTEM_NAMESPACE,
    full_name, webhook_service,
};
pub use schema::schema;
pub use sections::{
    AccessMode, App, Auto, Aws, Bucket, BucketAccess, CertManager, ChartName, Charts, Cluster,
    ContainerMode, Controller, FileSource, GitHub, GithubServer, Hardening, Images, KubernetesMode,
    KubernetesSecretKey, LogLevel, Metric, MetricType, Mode, Monitoring, Pool, PoolGitHub,
    PoolResources, Prepull, Provenance, Proxy, Quantity, Repeat, ResourceRequirements, RoleVia,
    RunnerRole, ScaleSets, Scaling, Schedule, Scope, Step, Timeouts, TokenSource, Trigger, Window,
    WorkVolume, WorkflowJob, api_of, has_data_residency,
};

pub(crate) use validate::similar;

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
    /// GitHub's own controller, for the pools that are runner scale sets.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scale_sets: ScaleSets,
    /// Where the charts come from, where it is not their public repository.
    #[serde(default, skip_serializing_if = "is_default")]
    pub charts: Charts,
    /// Which charts must be signed, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// Where the images come from, where it is not their public registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// The proxy that the controller and the runners use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// IAM and EC2 around the runners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<Aws>,
    /// The runner pools; each becomes a `RunnerDeployment` and a `HorizontalRunnerAutoscaler` of its name, or a runner
    /// scale set.
    #[schemars(length(min = 1))]
    pub pools: Vec<Pool>,
    /// Metrics, alerts and the dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Objects that protect the controllers and the listeners, beside their charts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hardening: Hardening,
    /// How long each step may take once it can begin.
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
