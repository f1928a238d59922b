//! The crash matrix: a run is killed before or after each of its writes, and run again. The result equals that of an
//! undisturbed run, and nothing else is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use arcctl_sandbox::proxy::{Effect, System};
use serde_json::json;

use super::{
    ground::{Ground, SYSTEMS, Work},
    listing::Listing,
    record::Record,
};

/// At which write a run is killed.
#[derive(Clone, Debug)]
struct Case {
    work: Work,
    system: System,
    nth: usize,
    /// Whether the write arrived.
    after: bool,
    /// At which write to the same system the next run is killed too.
    again: Option<usize>,
}

impl Case {
    fn name(&self) -> String {
        let when = if self.after { "after" } else { "before" };
        let again = self
            .again
            .map_or_else(String::new, |nth| format!(", again at {nth}"));
        format!(
            "{}: killed {when} write {} to {:?}{again}",
            self.work.name(),
            self.nth,
            self.system
        )
    }

    const fn effect(&self) -> Effect {
        if self.after {
            Effect::KillAfter
        } else {
            Effect::Kill
        }
    }
}

/// What undisturbed runs make, and with how many writes.
struct Reference {
    made: BTreeMap<Work, Listing>,
    writes: BTreeMap<(Work, System), usize>,
}

impl Reference {
    fn of(ground: &Ground) -> Self {
        let (mut made, mut writes) = (BTreeMap::new(), BTreeMap::new());
        for work in Work::ALL {
            ground.reset_counts();
            let ended = ground.run(work);
            assert_eq!(ended.code, 0, "{}: {}", work.name(), ended.stderr);
            for system in SYSTEMS {
                writes.insert((work, system), ground.writes(system).len());
            }
            made.insert(work, ground.settled());
        }
        Self { made, writes }
    }

    /// Before and after each write, each of these alone and with two places in the recovery.
    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (&(work, system), &writes) in &self.writes {
            for nth in 1..=writes {
                for after in [false, true] {
                    let case = |again| Case {
                        work,
                        system,
                        nth,
                        after,
                        again,
                    };
                    cases.push(case(None));
                    // The recovery has little more to write than was left, so that its first writes and another one
                    // are what it surely comes to.
                    let left = writes - nth + 1;
                    let places = BTreeSet::from([1 + nth % 3, 1 + (nth * 7) % left]);
                    cases.extend(places.into_iter().map(|it| case(Some(it))));
                }
            }
        }
        cases
    }
}

/// Kills a run as `case` says, runs it again, and compares.
fn killed(
    ground: &Ground,
    case: &Case,
    reference: &Reference,
) -> (Result<(), String>, serde_json::Value) {
    let mut at = Vec::new();
    for nth in [Some(case.nth), case.again].into_iter().flatten() {
        at.push(ground.run_until_killed(case.work, case.system, nth, case.effect()));
        ground.age();
    }
    let began = Instant::now();
    let ended = ground.run(case.work);
    let more = json!({"at": at, "recovery": began.elapsed().as_secs_f64()});
    if ended.code != 0 || ended.stderr.contains("panicked") {
        return (
            Err(format!(
                "at {at:?}; the next run ended with {}: {}",
                ended.code, ended.stderr
            )),
            more,
        );
    }
    let same = ground.becomes(&reference.made[&case.work]);
    (
        same.map_err(|differing| format!("at {at:?}: {differing}")),
        more,
    )
}

/// Kills in turn: each kind of work brings the cluster to where the next kind begins.
fn matrix(record: &mut Record, make: fn() -> Ground, choose: impl Fn(&Reference) -> Vec<Case>) {
    let mut ground = make();
    let mut reference = Reference::of(&ground);
    let mut left = record.left(choose(&reference), Case::name);
    // What is popped comes first.
    left.reverse();
    while record.goes_on() && !left.is_empty() {
        for work in Work::ALL {
            let next = left.iter().rposition(|it| it.work == work);
            let Some(case) = next.map(|index| left.remove(index)) else {
                let ended = ground.run(work);
                assert_eq!(ended.code, 0, "{}: {}", work.name(), ended.stderr);
                continue;
            };
            let began = Instant::now();
            let (ended, more) = killed(&ground, &case, &reference);
            record.add(&case.name(), began, &ended, &more);
            if ended.is_err() {
                // Nothing that comes after can be trusted.
                ground.cluster.finish();
                ground = make();
                reference = Reference::of(&ground);
                break;
            }
        }
    }
    ground.cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_killed_run_is_continued_by_the_next() {
    let mut record = Record::open("crash sample");
    matrix(&mut record, Ground::new, |reference| {
        let case = |work, nth: usize, after| {
            let writes = reference.writes[&(work, System::Kubernetes)];
            Case {
                work,
                system: System::Kubernetes,
                nth: nth.min(writes),
                after,
                again: None,
            }
        };
        vec![
            Case {
                again: Some(9),
                ..case(Work::Up, 30, true)
            },
            case(Work::Change, 12, true),
            case(Work::Teardown, 8, true),
        ]
    });
    record.assert_all_well();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_killed_run_with_a_scale_set_is_continued_by_the_next() {
    let mut record = Record::open("crash sample of scale sets");
    matrix(&mut record, Ground::with_scale_sets, |reference| {
        // Late in a run: what is of scale sets comes last, and goes first.
        let case = |work, tenths: usize, after| Case {
            work,
            system: System::Kubernetes,
            nth: (reference.writes[&(work, System::Kubernetes)] * tenths / 10).max(1),
            after,
            again: None,
        };
        vec![
            case(Work::Up, 9, true),
            case(Work::Change, 5, false),
            case(Work::Teardown, 3, true),
        ]
    });
    record.assert_all_well();
}

#[test]
#[ignore = "it takes hours: `make torture`"]
fn crash_matrix_of_scale_sets() {
    let mut record = Record::open("crash of scale sets");
    matrix(&mut record, Ground::with_scale_sets, Reference::cases);
    record.assert_all_well();
}

#[test]
#[ignore = "it takes hours: `make torture`"]
fn crash_matrix() {
    let mut record = Record::open("crash");
    matrix(&mut record, Ground::new, Reference::cases);
    record.assert_all_well();
}

#[test]
#[ignore = "it takes hours: `make torture`"]
fn crash_matrix_at_aws() {
    let mut record = Record::open("crash at AWS");
    matrix(&mut record, Ground::at_aws, |reference| {
        let mut cases = reference.cases();
        cases.retain(|it| it.system == System::Aws);
        cases
    });
    record.assert_all_well();
}
