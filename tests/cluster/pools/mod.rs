//! Pools: their keys, their pods, the room for them, and jobs on them.

pub(crate) mod absent;
mod bundle;
mod capacity;
pub(crate) mod first_replicas;
mod images;
pub(crate) mod images_ahead;
mod locked;
pub(crate) mod no_nodes;
pub(crate) mod pod_trials;
mod policy_trials;
pub(crate) mod pool_keys;
pub(crate) mod refused_pools;
pub(crate) mod room;
mod runner_versions;
pub(crate) mod smoke;
