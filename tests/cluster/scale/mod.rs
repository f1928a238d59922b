//! How requests, time and memory of the commands that only read grow with the number of runners and pools.
//! `make bench-scale` runs the whole grid and writes the table of docs/performance.md.

mod growth;
mod measure;
mod report;
mod world;

use growth::{Cell, faster_than_linear, growths};
use world::World;

const RUNNERS: [usize; 4] = [10, 100, 1_000, 10_000];
const POOLS: [usize; 4] = [1, 10, 100, 200];

/// How often each command is timed.
const RUNS: usize = 3;

/// What puts the table into the document.
const WRITE: &str = "ARCCTL_SCALE_WRITE";

/// Every command with every number of pools and runners. A world has its pools from its installation, and gets more
/// runners.
#[expect(clippy::print_stderr, reason = "it takes minutes")]
fn measured(pools: &[usize], runners: &[usize], runs: usize) -> Vec<Cell> {
    let mut cells = Vec::new();
    for pools in pools {
        let mut world = World::install(*pools, runners[0]);
        for runners in runners {
            world.grow_to(*runners);
            eprintln!("scale: {pools} pools, {runners} runners");
            for command in measure::COMMANDS {
                let cell = measure::cost(&world, command, runs);
                world.assert_within_budget(&cell);
                cells.push(cell);
            }
        }
        world.finish();
    }
    cells
}

#[test]
#[ignore = "minutes, and only an optimised build says something: `make bench-scale`"]
#[expect(clippy::print_stdout, reason = "the table is what it is run for")]
fn the_whole_grid() {
    let cells = measured(&POOLS, &RUNNERS, RUNS);
    let growths = growths(&cells);
    println!("{}", report::tsv(&cells));
    println!("{}", report::markdown(&cells, &growths));
    if std::env::var_os(WRITE).is_some_and(|it| it == "1") {
        report::write(&cells, &growths);
    }
    let faster = faster_than_linear(&growths);
    assert!(faster.is_empty(), "{}", faster.join("\n"));
}

/// Requests alone are judged: they are the same on every machine.
#[test]
#[ignore = "slow: `make test-slow`"]
fn requests_grow_no_faster_than_runners_and_pools() {
    let cells = measured(&POOLS[..2], &RUNNERS[..2], 1);
    let faster = faster_than_linear(&growths(&cells));
    assert!(faster.is_empty(), "{}", faster.join("\n"));
}
