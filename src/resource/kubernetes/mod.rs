//! Kubernetes objects: applied server-side, compared with a dry run of the apply.

pub mod access;
pub(crate) mod adoption;
pub(crate) mod controller_secret;
pub(crate) mod crds;
pub(crate) mod field_owners;
pub(crate) mod namespace;
pub(crate) mod object;
pub(crate) mod own_fields;
pub mod ownership;
pub(crate) mod probe;
pub(crate) mod restart;
pub mod rollout;
pub(crate) mod secret;
