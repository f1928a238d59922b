//! The checks, one file per area. Pure: no I/O.

pub(crate) mod autoscaling;
pub(crate) mod aws;
pub(crate) mod capacity;
pub(crate) mod cert_manager;
pub(crate) mod cluster;
pub(crate) mod controller;
pub(crate) mod github;
pub(crate) mod monitoring;
pub(crate) mod network;
pub(crate) mod runner_version;
pub(crate) mod runners;
pub(crate) mod scale_sets;
pub(crate) mod tools;
pub(crate) mod webhooks;
