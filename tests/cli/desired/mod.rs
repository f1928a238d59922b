//! What is made of a profile: the reference profile as snapshots, any profile as properties, and the data behind the
//! strict check.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod profiles;
mod reference;
