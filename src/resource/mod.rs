//! Resources that arcctl manages, with three verbs (`observe`, `apply`, `delete`): one folder per system.
//!
//! Their definitions are in `desired/resource/`; a new kind is a variant of its enum, and the compiler lists the rest.

mod as_it_is;
pub mod aws;
pub mod context;
pub mod deletion;
mod dispatch;
pub(crate) mod events;
pub mod helm;
pub mod kubernetes;
pub mod observed;
pub mod other_controllers;
mod owners;
pub mod pods;
pub mod remarks;
pub mod runners;
pub mod scale_sets;
mod webhooks;
pub mod written;

pub use helm::release::{newest_release, release_records};
pub use kubernetes::crds::crds_leave;
pub use pods::status::{is_ready, readiness as pod_readiness, worst as worst_readiness};
pub use runners::tokens::waits_for_token;
pub use webhooks::{
    cert_manager::webhook_namespace as cert_manager_namespace,
    readiness::{has_endpoint, issued, services, without_authority},
};
