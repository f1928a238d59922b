//! Connections to the systems: concrete, made when first needed, no traits made for mocking. `clients/` speaks,
//! `resource/` wants.

pub mod aws;
pub mod credential;
pub mod github;
pub mod helm;
pub mod kube;
pub mod requests;
mod retry;
pub mod scratch;
pub mod verify_cluster;
