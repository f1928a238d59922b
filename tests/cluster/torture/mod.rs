//! Torture: runs that are killed, lied to, started together and surrounded by look-alikes. A sample of each is a test;
//! `make torture` runs all of it and keeps a line per case, from which the figures of docs/reliability.md are made.

mod crash;
mod faults;
mod foreign;
pub(crate) mod ground;
mod listing;
mod races;
mod record;
