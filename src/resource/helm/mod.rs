//! Helm releases: compares them by helm's record and the live objects; installs, upgrades and uninstalls them.

pub(crate) mod conflicts;
pub(crate) mod drift;
pub(crate) mod lock;
pub mod manifest;
pub(crate) mod manifest_drift;
pub mod record;
pub(crate) mod release;
pub(crate) mod uninstall;
pub(crate) mod users;
