//! The commands, one file each.

pub(crate) mod bundle;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod images;
pub(crate) mod init;
pub(crate) mod lock;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod render;
pub(crate) mod schedule;
pub(crate) mod schema;
pub(crate) mod smoke;
pub(crate) mod status;
pub(crate) mod teardown;
pub(crate) mod up;
pub(crate) mod upgrade;
pub(crate) mod verify;
