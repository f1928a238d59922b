//! Tests on a real control plane, started by `arcctl-sandbox`. Three at a time (Makefile): they mostly wait, and two cores
//! are not enough for more.
#![expect(
    clippy::disallowed_methods,
    reason = "a test starts the programs it is about, and waits for them"
)]
#![expect(
    clippy::unwrap_used,
    reason = "in a test a panic is how it fails; clippy.toml knows only functions marked as tests"
)]

mod account;
mod adoption;
mod aws;
mod aws_removal;
mod cluster;
mod dead_runs;
mod doctor;
mod doctor_cases;
mod doctor_fixes;
mod doctor_mends;
mod eks;
mod existing;
mod in_actions;
mod installation;
mod interruptions;
mod many;
mod monitoring;
mod networks;
mod pod_identity;
mod pools;
mod prometheus;
mod refusals;
mod role;
mod rotation;
mod running;
mod secrecy;
mod smoke;
mod teardown;
mod torture;
mod versions;
