//! Runs that start at the same time: one does the work, the others find it done or report who does it, and none breaks it.

use std::{collections::BTreeMap, time::Instant};

use serde_json::{Value, json};

use super::{
    ground::{Ground, Work},
    listing::Listing,
    record::Record,
};

/// How many runs, and of what.
#[derive(Clone, Copy, Debug)]
struct Case {
    runs: u32,
    seed: u32,
    work: Work,
    /// Every second run takes down what the others put up.
    mixed: bool,
}

impl Case {
    fn name(&self) -> String {
        let what = if self.mixed {
            "up and teardown"
        } else {
            self.work.name()
        };
        format!("{} runs of {what}, seed {}", self.runs, self.seed)
    }

    /// After how long each run begins: within the time in which the first one plans, takes the lease, and writes.
    fn delays(&self) -> impl Iterator<Item = u64> {
        let mut state = u64::from(self.seed) * 0x9e37_79b9 + 1;
        (0..self.runs).map(move |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let spread = [1, 300, 3000][usize::try_from(state >> 60).unwrap_or(0) % 3];
            (state >> 33) % spread
        })
    }
}

fn raced(ground: &Ground, case: &Case, wanted: &Listing) -> (Result<(), String>, Value) {
    let ended: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = case
            .delays()
            .enumerate()
            .map(|(index, delay)| {
                let other = case.mixed && index % 2 == 1;
                let work = if other { Work::Teardown } else { case.work };
                scope.spawn(move || {
                    std::thread::sleep(std::time::Duration::from_millis(delay));
                    (work, ground.run(work))
                })
            })
            .collect();
        runs.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let mut codes: BTreeMap<String, u32> = BTreeMap::new();
    let mut faults = Vec::new();
    for (work, run) in &ended {
        *codes
            .entry(format!("{} {}", work.name(), run.code))
            .or_default() += 1;
        // What the other kind of run takes away while a run makes it can fail in as many ways as there are steps.
        let expected = matches!(run.code, 0 | 5) || case.mixed && matches!(run.code, 1 | 6 | 7);
        if !expected || run.stderr.contains("panicked") {
            faults.push(format!(
                "{} ended with {}: {}",
                work.name(),
                run.code,
                run.stderr
            ));
        }
    }
    if !case.mixed && ended.iter().all(|(_, run)| run.code != 0) {
        faults.push("none of them did it".into());
    }
    ground.age();
    let last = ground.run(case.work);
    if last.code != 0 {
        faults.push(format!(
            "the next run ended with {}: {}",
            last.code, last.stderr
        ));
    }
    if let Err(differing) = ground.becomes(wanted) {
        faults.push(differing);
    }
    let ended = if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    };
    (ended, json!({"codes": codes}))
}

fn races(record: &mut Record, make: fn() -> Ground, cases: Vec<Case>) {
    let mut left = record.left(cases, Case::name);
    left.reverse();
    'worlds: while record.goes_on() && !left.is_empty() {
        let ground = make();
        let mut installed = BTreeMap::new();
        for work in Work::ALL {
            let ended = ground.run(work);
            assert_eq!(ended.code, 0, "{}: {}", work.name(), ended.stderr);
            installed.insert(work, ground.settled());
        }
        while record.goes_on() && !left.is_empty() {
            for work in Work::ALL {
                let next = left.iter().rposition(|it| it.work == work);
                let Some(case) = next.map(|index| left.remove(index)) else {
                    let ended = ground.run(work);
                    assert_eq!(ended.code, 0, "{}: {}", work.name(), ended.stderr);
                    continue;
                };
                let began = Instant::now();
                let (ended, more) = raced(&ground, &case, &installed[&work]);
                record.add(&case.name(), began, &ended, &more);
                if ended.is_err() {
                    ground.cluster.finish();
                    continue 'worlds;
                }
            }
        }
        ground.cluster.finish();
    }
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn of_runs_that_start_at_once_one_does_the_work() {
    let mut record = Record::open("race sample");
    let case = |work| Case {
        runs: 3,
        seed: 1,
        work,
        mixed: false,
    };
    let cases = vec![case(Work::Up), case(Work::Teardown)];
    races(&mut record, Ground::new, cases);
    record.assert_all_well();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn of_runs_with_a_scale_set_that_start_at_once_one_does_the_work() {
    let mut record = Record::open("race sample of scale sets");
    let case = Case {
        runs: 3,
        seed: 2,
        work: Work::Up,
        mixed: false,
    };
    races(&mut record, Ground::with_scale_sets, vec![case]);
    record.assert_all_well();
}

#[test]
#[ignore = "it takes hours: `make torture`"]
fn race_matrix() {
    let mut record = Record::open("race");
    races(&mut record, Ground::new, all());
    record.assert_all_well();
}

#[test]
#[ignore = "it takes hours: `make torture`"]
fn race_matrix_of_scale_sets() {
    let mut record = Record::open("race of scale sets");
    races(&mut record, Ground::with_scale_sets, all());
    record.assert_all_well();
}

/// Two to eight runs of each kind of work, with twelve seeds.
fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for seed in 0..12 {
        for runs in 2..=8 {
            for work in Work::ALL {
                cases.push(Case {
                    runs,
                    seed,
                    work,
                    mixed: false,
                });
            }
            cases.push(Case {
                runs,
                seed,
                work: Work::Up,
                mixed: true,
            });
        }
    }
    cases
}
