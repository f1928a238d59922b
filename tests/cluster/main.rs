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

mod account;
mod account_others;
mod adoption;
mod any_profile;
mod aws;
mod aws_permissions;
mod aws_removal;
mod aws_rules;
mod canaries;
mod cert_manager_parts;
mod cluster;
mod dead_runs;
mod dead_tokens;
mod doctor;
mod doctor_cases;
mod doctor_fixes;
mod doctor_mends;
mod drains;
mod eks;
mod existing;
mod going_crds;
mod in_actions;
mod installation;
mod interruptions;
mod leader;
mod leases;
mod leftovers;
mod log;
mod many;
mod monitoring;
mod moved_leases;
mod networks;
mod no_nodes;
mod pod_identity;
mod pod_trials;
mod policies;
mod pool_keys;
mod pools;
mod prometheus;
mod quirks;
mod refusals;
mod refused_pools;
mod role;
mod role_reasons;
mod room;
mod rotation;
mod running;
mod scopes;
mod secrecy;
mod signals;
mod smoke;
mod teardown;
mod torture;
mod unreached;
mod users;
mod versions;
mod waiting;
