//! The pure parts of a run, each for 1, 10, 100 and 500 pools, statements or windows: their time, and what they allocate.
//! `make bench-micro` runs all of them, `make bench-micro ONLY=plan` some. That they grow no faster than their input,
//! `tests/cli/growth.rs` sees by counting.

#![expect(
    clippy::expect_used,
    reason = "an input that is not valid measures nothing"
)]

mod inputs;

use divan::{AllocProfiler, Bencher, black_box};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 4] = [1, 10, 100, 500];

fn main() {
    divan::main();
}

/// Parsing, validation and lint.
#[divan::bench(args = SIZES)]
fn load_profile(bencher: Bencher, pools: usize) {
    let text = inputs::profile_text(pools);
    bencher.bench(|| inputs::load_profile(black_box(&text)));
}

#[divan::bench(args = SIZES)]
fn build_desired(bencher: Bencher, pools: usize) {
    let profile = inputs::load_profile(&inputs::profile_text(pools));
    let facts = inputs::facts();
    bencher.bench(|| inputs::build_desired(black_box(&profile), &facts));
}

fn resources(pools: usize) -> Vec<arcctl::desired::Desired> {
    let profile = inputs::load_profile(&inputs::profile_text(pools));
    inputs::build_desired(&profile, &inputs::facts())
}

/// What each step of `up` waits for.
#[divan::bench(args = SIZES)]
fn order(bencher: Bencher, pools: usize) {
    let steps = resources(pools);
    bencher
        .with_inputs(|| steps.clone())
        .bench_values(inputs::connect);
}

/// What is in the inventory and no longer in the profile.
#[divan::bench(args = SIZES)]
fn left_behind(bencher: Bencher, pools: usize) {
    let profile = inputs::load_profile(&inputs::profile_text(pools));
    let steps = resources(pools);
    let records = inputs::records(&steps);
    bencher.bench(|| arcctl::desired::teardown::left_behind(black_box(&records), &steps, &profile));
}

/// Differences, decisions, and the document.
#[divan::bench(args = SIZES)]
fn plan(bencher: Bencher, pools: usize) {
    let observed = inputs::observations(&inputs::connect(resources(pools)));
    bencher.bench(|| {
        let plan = inputs::plan(black_box(&observed));
        arcctl::report::plan::document("big", Some(&plan), None)
    });
}

#[divan::bench(args = SIZES)]
fn merge_policy(bencher: Bencher, statements: usize) {
    let text = inputs::trust_policy(statements);
    bencher.bench(|| inputs::merge_policy(black_box(&text)));
}

#[divan::bench(args = SIZES)]
fn expand_schedule(bencher: Bencher, windows: usize) {
    let schedule = inputs::weekly(windows);
    bencher.bench(|| inputs::expand(black_box(&schedule)));
}
