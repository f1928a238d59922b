//! `up` on a cluster, from an empty one to one with an installation of somebody else.

pub(crate) mod adoption;
pub(crate) mod any_profile;
pub(crate) mod existing;
pub(crate) mod going_crds;
pub(crate) mod installation;
pub(crate) mod leader;
pub(crate) mod leftovers;
pub(crate) mod moved_leases;
pub(crate) mod policies;
pub(crate) mod quirks;
pub(crate) mod refusals;
pub(crate) mod requests;
pub(crate) mod scopes;
pub(crate) mod versions;
