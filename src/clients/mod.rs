//! Clients of the external systems: concrete types, created at first use, without traits for mocks. `clients/` makes the
//! calls; `resource/` decides which ones.

pub mod aws;
pub(crate) mod cause;
pub mod credential;
pub mod github;
pub mod helm;
pub mod kube;
pub mod registry;
pub mod requests;
mod retry;
pub mod scratch;
pub mod verify_cluster;
