//! Resources rendered from a profile: snapshots of the reference profile, properties of any profile, and the data of the
//! strict check.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod profiles;
mod reference;
