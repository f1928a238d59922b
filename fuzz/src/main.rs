//! The fuzz targets: `ARCCTL_FUZZ_TARGET=NAME arcctl-fuzz CORPUS… [-max_total_time=SECONDS]`, with libFuzzer's arguments.
//!
//! Each target finds panics, endless loops and excessive memory use; it asserts all other properties. `tools/fuzz.sh`
//! builds it with coverage and runs the targets.

#![no_main]
#![expect(
    clippy::disallowed_methods,
    reason = "libFuzzer has the arguments; which target it is can only be said by the environment"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a target says by a panic that it has found something"
)]

mod github;
mod kubernetes;
mod policy;
mod profile;
mod release;
mod schedule;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fn target() -> fn(&[u8]) {
    match std::env::var("ARCCTL_FUZZ_TARGET").as_deref() {
        Ok("github") => github::run,
        Ok("kubernetes") => kubernetes::run,
        Ok("policy") => policy::run,
        Ok("profile") => profile::run,
        Ok("release") => release::run,
        Ok("schedule") => schedule::run,
        other => panic!("ARCCTL_FUZZ_TARGET is {other:?}: not the name of a target"),
    }
}

fuzz_target!(|data: &[u8]| {
    TARGET.get_or_init(target)(data);
});
