//! A real Kubernetes control plane on loopback, with stand-ins for everything that no package registry has: for arcctl's
//! tests, and for first steps with arcctl.

pub mod admission;
mod app;
pub mod authenticator;
pub mod cert_manager;
pub mod certificates;
pub mod chart_repository;
pub mod cloud;
pub mod constraints;
pub mod control_plane;
pub mod controller;
mod duration;
pub mod egress;
pub mod exporter;
pub mod github;
mod github_com;
pub mod image_registry;
pub mod kubelet;
mod leases;
mod listen;
pub mod moto;
mod objects;
pub mod openapi;
pub mod pod_identity;
pub mod policy;
pub mod processes;
pub mod proxy;
mod query;
pub mod scale_sets;
#[cfg(test)]
mod test_client;
pub mod tools;
pub mod world;
