//! The work of the pure parts grows no faster than their input. It is counted, not timed: allocations, and the bytes that
//! they ask for. `make bench-micro` shows the time.

#![expect(
    clippy::expect_used,
    reason = "an input that is not valid tests nothing"
)]

#[path = "../../benches/inputs.rs"]
mod inputs;

use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};

const SMALL: usize = 100;

/// Four times as much.
const LARGE: usize = 4 * SMALL;

/// How much more work that may be, in tenths: what doubles its room when it is full has up to twice of it at the end.
const MOST: u64 = 45;

/// What `work` allocates for an input of a size.
fn counted<I, O>(size: usize, input: impl Fn(usize) -> I, work: impl Fn(I) -> O) -> AllocationInfo {
    let made = input(size);
    measure(|| drop(black_box(work(made))))
}

#[track_caller]
fn is_linear<I, O>(what: &str, input: impl Fn(usize) -> I, work: impl Fn(I) -> O) {
    // What is made once in a process, such as the schema, is made before.
    counted(1, &input, &work);
    let (small, large) = (counted(SMALL, &input, &work), counted(LARGE, &input, &work));
    let grown = [
        ("allocations", small.count_total, large.count_total),
        ("bytes", small.bytes_total, large.bytes_total),
    ];
    for (of, small, large) in grown {
        assert!(small > 0, "{what} allocates nothing: nothing is tested");
        assert!(
            large * 10 <= small * MOST,
            "{what}: {small} {of} for {SMALL}, {large} for {LARGE}: {}.{:02} times as many",
            large / small,
            large * 100 / small % 100
        );
    }
}

fn resources(pools: usize) -> Vec<arcctl::desired::Desired> {
    let profile = inputs::load_profile(&inputs::profile_text(pools));
    inputs::build_desired(&profile, &inputs::facts())
}

#[test]
fn loading_a_profile() {
    is_linear("loading", inputs::profile_text, |text| {
        inputs::load_profile(&text)
    });
}

#[test]
fn making_the_resources() {
    is_linear(
        "making the resources",
        |pools| inputs::load_profile(&inputs::profile_text(pools)),
        |profile| inputs::build_desired(&profile, &inputs::facts()),
    );
}

#[test]
fn ordering_the_steps() {
    is_linear("ordering", resources, inputs::connect);
}

#[test]
fn finding_what_is_left_behind() {
    is_linear(
        "finding what is left behind",
        |pools| {
            let profile = inputs::load_profile(&inputs::profile_text(pools));
            let steps = resources(pools);
            // Of a profile that had twice as many pools.
            (inputs::records(&resources(2 * pools)), steps, profile)
        },
        |(records, steps, profile)| {
            arcctl::desired::teardown::left_behind(&records, &steps, &profile)
        },
    );
}

#[test]
fn planning() {
    is_linear(
        "planning",
        |pools| inputs::observations(&inputs::connect(resources(pools))),
        |observed| {
            let plan = inputs::plan(&observed);
            arcctl::report::plan::document("big", Some(&plan), None).to_string()
        },
    );
}

#[test]
fn merging_a_policy() {
    is_linear("merging", inputs::trust_policy, |text| {
        inputs::merge_policy(&text)
    });
}

#[test]
fn expanding_a_schedule() {
    is_linear("expanding", inputs::weekly, |schedule| {
        inputs::expand(&schedule)
    });
}

/// The counting itself: what is quadratic fails.
#[test]
#[should_panic(expected = "16.00 times as many")]
fn what_is_quadratic_is_seen() {
    is_linear(
        "pairs",
        |size| size,
        |size| {
            (0..size * size)
                .map(Box::new)
                .collect::<std::collections::LinkedList<_>>()
        },
    );
}
