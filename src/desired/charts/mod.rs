//! The charts: their values by version, their CRDs, and the profile's pass-through values. Pure: no I/O.

pub mod cert_manager;
pub mod controller;
pub(crate) mod hardened;
pub(crate) mod overlay;
pub(crate) mod own_keys;
pub(crate) mod passthrough;
pub mod scale_sets;
