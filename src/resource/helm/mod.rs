//! Helm releases: compared by helm's own record and by the live objects, installed, upgraded and uninstalled.

pub(crate) mod conflicts;
pub(crate) mod drift;
pub(crate) mod lock;
pub mod manifest;
pub(crate) mod manifest_drift;
pub mod record;
pub(crate) mod release;
pub(crate) mod uninstall;
pub(crate) mod users;
