//! Pods of a pool, and of the controllers: why one is rejected, why it does not run, and whether quotas allow it.

pub mod dry_run;
pub(crate) mod image_pull;
pub mod made;
pub mod new_namespace;
mod owner;
pub mod parts;
mod pull_proof;
pub(crate) mod quota;
pub mod quotas;
pub mod references;
pub mod refusal;
pub(crate) mod role;
pub mod status;
mod user;
