//! The sections of a profile, one file each; [`super::Profile`] lists them in the order of the YAML. Pure.

mod aws;
mod charts;
mod cluster;
mod github;
mod operation;
mod pool;
mod scale_sets;
mod scaling;

pub use aws::{Aws, Bucket, BucketAccess, GithubServer, RoleVia, RunnerRole};
pub use charts::{
    Auto, CertManager, ChartName, Charts, Controller, Images, Prepull, Provenance, Proxy,
};
pub use cluster::Cluster;
pub use github::{
    App, FileSource, GitHub, KubernetesSecretKey, PoolGitHub, Scope, TokenSource, api_of,
    has_data_residency,
};
pub use operation::{Hardening, Monitoring, Timeouts};
pub use pool::{
    AccessMode, ContainerMode, KubernetesMode, Mode, Pool, PoolResources, Quantity,
    ResourceRequirements, WorkVolume,
};
pub use scale_sets::{LogLevel, ScaleSets};
pub use scaling::{
    Metric, MetricType, Repeat, Scaling, Schedule, Step, Trigger, Window, WorkflowJob,
};
