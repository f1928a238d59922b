//! A pool's manifests, and the pod that the controller creates for a runner. Pure: no I/O.

pub mod autoscaler;
pub(crate) mod both_modes;
pub(crate) mod ca_bundle;
pub(crate) mod containers;
pub mod dry_run_pod;
pub mod image;
pub mod instance_type;
pub(crate) mod pod_rules;
pub mod prepull;
pub mod probe;
pub(crate) mod proxy;
pub mod pull_proof;
pub mod references;
pub mod runner_deployment;
pub mod runner_version;
pub(crate) mod service_account;
