//! The pods of a pool: why one is refused, why one does not run, and whether they fit.

pub mod dry_run;
pub(crate) mod quota;
pub mod references;
pub mod refusal;
pub(crate) mod role;
pub mod status;
