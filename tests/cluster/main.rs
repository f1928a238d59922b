//! Tests on a real control plane, started by `arcctl-sandbox`. Three at a time (Makefile): they mostly wait, and two cores
//! cannot run more.
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts the programs it is about, and waits for them"
)]
#![expect(
    clippy::unwrap_used,
    reason = "in a test a panic is how it fails; clippy.toml knows only functions marked as tests"
)]

mod aws;
mod doctor;
mod gitops;
mod harness;
mod init;
mod install;
mod pools;
mod run;
mod scale;
mod scale_sets;
mod teardown;
mod torture;
