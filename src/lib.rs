//! `arcctl`: from one profile YAML to working self-hosted GitHub Actions runners on EKS.
//!
//! ```text
//! profile.yaml → Profile → desired [Resource] → observe → Plan (data) → execute → Event → report
//!      load, lint (pure)    (pure)              reads      (pure)        writes    (pure)
//! ```
//!
//! The modules stand in the order of their imports: each uses only those above it (`tests/cli/architecture.rs`).

pub mod secret;

pub mod error;

pub mod log;

pub mod units;

pub mod scheduling;

pub mod templates;

pub mod diff;

pub(crate) mod printable;

pub mod profile;

pub mod policy;

pub mod desired;

pub mod migration;

pub mod upgrade;

pub mod bundle;

pub mod clients;

pub mod inventory;

pub mod resource;

pub mod plan;

pub(crate) mod observe;

pub mod execute;

pub mod doctor;

pub mod smoke;

pub mod report;

pub(crate) mod terminal;

pub(crate) mod session;

pub(crate) mod run;

pub(crate) mod init;

pub mod cli;
