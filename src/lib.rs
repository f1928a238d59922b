//! `arcctl`: from one profile YAML to working self-hosted GitHub Actions runners on EKS.
//!
//! ```text
//! profile.yaml → Profile → desired [Resource] → observe → Plan (data) → execute → Event → report
//!      load, lint (pure)    (pure)              reads      (pure)        writes    (pure)
//! ```
//!
//! The modules below stand in that order.

pub mod account;

pub mod profile;

pub mod policy;

pub mod desired;

pub mod resource;

pub mod cli;
pub mod clients;
pub mod doctor;
pub mod error;
pub mod execute;
pub mod log;
pub mod plan;
pub mod report;
pub mod secret;
pub mod smoke;
