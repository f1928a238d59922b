//! Runners of a pool: whether they run and are online, their removal, and room for new ones.

pub mod account;
pub(crate) mod drain;
pub(crate) mod earlier;
mod held;
pub(crate) mod lack;
pub(crate) mod leaving;
pub mod offers;
pub(crate) mod offline;
pub(crate) mod registration;
pub(crate) mod removal;
pub(crate) mod room;
pub mod rotation;
pub(crate) mod running;
pub(crate) mod tokens;
