//! What interrupts a run, what it logs, and how it keeps secrets.

pub(crate) mod canaries;
pub(crate) mod dead_runs;
pub(crate) mod dead_tokens;
pub(crate) mod documents;
pub(crate) mod edges;
pub(crate) mod in_actions;
pub(crate) mod interruptions;
pub(crate) mod leases;
pub(crate) mod log;
pub(crate) mod rotation;
pub(crate) mod signals;
pub(crate) mod upgrade;
