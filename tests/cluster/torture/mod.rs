//! Torture tests: runs that are killed, get wrong responses, start together or meet similar objects. A sample of each is a
//! test; `make torture` runs all of it and writes a line per case, the source of the figures of docs/reliability.md.

mod crash;
mod faults;
mod foreign;
pub(crate) mod ground;
pub(crate) mod listing;
mod races;
mod record;
