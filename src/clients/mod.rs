//! Connections to the systems: concrete, made when first needed, no traits made for mocking. `clients/` speaks,
//! `resource/` wants.

pub mod aws;
pub mod credential;
pub mod github;
pub mod helm;
pub mod kube;
mod pause;
pub mod requests;
pub mod same_cluster;
pub mod scratch;
