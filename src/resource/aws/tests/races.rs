//! Tests with two runs of arcctl, for two clusters, on the trust policy of one role, and another tool that writes it.
#![expect(
    clippy::disallowed_methods,
    reason = "the test's own waiting takes simulated time"
)]

use serde_json::{Value, json};
use tokio::time::sleep;

use super::late_iam::{Iam, paused, role, run, sids, statements, take_out};
use crate::{
    clients::aws::Aws,
    policy::Document,
    resource::{
        aws::consistency::Writes,
        deletion::Removal,
        observed::{Observed, Ownership},
    },
};

/// How many orders of requests `make test` tries; `make test-slow` sets more.
const SEEDS: u64 = 60;

fn seeds() -> u64 {
    let wanted = std::env::var("ARCCTL_RACE_SEEDS").ok();
    wanted.map_or(SEEDS, |it| it.parse().unwrap())
}

/// One run removes its statement while another adds its own; returns how often the policy was written.
fn race_of_a_removal(seed: u64) -> usize {
    let foreign =
        json!({"Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"});
    let (going, coming) = (role("A"), role("B"));
    paused().block_on(async {
        let statements = [&foreign, &going.trust];
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        let iam = Iam::new(seed, &[&document]);
        let _said = tokio::join!(take_out(&iam, &going), run(&iam, &coming));
        let state = iam.0.lock().unwrap();
        let last = Document::parse(&state.history.last().unwrap().1).unwrap();
        let values: Vec<&Value> = last.statements.iter().map(|it| &it.value).collect();
        assert_eq!(values, [&foreign, &coming.trust], "seed {seed}");
        state.writes
    })
}

#[test]
fn a_statement_goes_and_takes_no_other_with_it() {
    let writes: Vec<usize> = (0..seeds() / 10).map(race_of_a_removal).collect();
    assert!(writes.iter().any(|it| *it > 2), "no write was ever undone");
}

#[test]
fn the_last_statement_of_a_role_that_arcctl_did_not_make_stays() {
    let role = role("A");
    let document = json!({"Version": "2012-10-17", "Statement": [&role.trust]});
    paused().block_on(async {
        let iam = Iam::new(1, &[&document]);
        let aws = Aws::answered_by(iam.clone());
        let recorded = ["iam-role/-/r".to_owned()].into();
        let (writes, removal) = (Writes::default(), Removal::new(false, recorded));
        assert!(removal.goes("iam-role/-/r"));
        let Observed::Present(left) = role.remains(&aws, &writes, &removal).await.unwrap() else {
            panic!("it is there");
        };
        let Ownership::Foreign { evidence } = left.ownership else {
            panic!("{left:?}");
        };
        assert!(
            evidence.starts_with("arcctl did not make it; and with it arcctl's statement"),
            "{evidence}"
        );
        // So the provider that it trusts is kept too.
        assert!(!removal.goes("iam-role/-/r"));
        role.delete(&aws, &writes).await.unwrap();
        assert_eq!(iam.0.lock().unwrap().writes, 0);
    });
}

/// One race; returns how often the policy was written.
fn race(seed: u64) -> usize {
    let foreign: Vec<Value> = (0..3)
        .map(|index| json!({"Sid": format!("F{index}"), "Effect": "Allow", "Principal": {"Service": "x"}, "Action": "sts:AssumeRole"}))
        .collect();
    paused().block_on(async {
        let iam = Iam::new(
            seed,
            &[&json!({"Version": "2012-10-17", "Statement": foreign})],
        );
        let (one, two) = (role("A"), role("B"));
        let _said = tokio::join!(run(&iam, &one), run(&iam, &two));
        let state = iam.0.lock().unwrap();
        let last = Document::parse(&state.history.last().unwrap().1).unwrap();
        let values: Vec<&Value> = last.statements.iter().map(|it| &it.value).collect();
        assert_eq!(values.len(), 5, "seed {seed}: {values:?}");
        let wanted = foreign.iter().chain([&one.trust, &two.trust]);
        for statement in wanted {
            assert!(
                values.contains(&statement),
                "seed {seed}: {statement} is lost"
            );
        }
        state.writes
    })
}

#[test]
fn of_two_writers_none_loses_its_statement() {
    let writes: Vec<usize> = (0..seeds()).map(race).collect();
    // The test needs real races: some runs must have overwritten each other.
    let lost = writes.iter().filter(|it| **it > 2).count();
    assert!(lost > 0, "no writer was ever overwritten");
}

#[test]
fn what_was_revoked_a_moment_ago_stays_revoked() {
    let role = role("A");
    for seed in 0..seeds() {
        paused().block_on(async {
            // Two earlier versions: `X` first, then `Y` beside it, then neither.
            let versions = [["F", "X"].as_slice(), &["F", "X", "Y"], &["F"]];
            let versions = versions.map(statements);
            let iam = Iam::new(seed, &versions.each_ref());
            let told = run(&iam, &role).await;
            assert_eq!(iam.sids(), ["F", &role.sid], "seed {seed}");
            // What was seen before the write is known; what was not is reported and not restored.
            let told = told.unwrap_or_default();
            assert!(!told.contains("`F`"), "seed {seed}: {told}");
            let state = iam.0.lock().unwrap();
            assert_eq!(state.writes, 1, "seed {seed}");
        });
    }
}

/// Another tool removes `X` and adds `B` during arcctl's run; returns whether both changes were kept, and whether lost
/// ones were reported.
fn change_in_between(seed: u64) -> (bool, bool) {
    let role = role("A");
    paused().block_on(async {
        let iam = Iam::new(seed, &[&statements(&["F", "X"])]);
        let colleague = async {
            sleep(iam.random(25_000)).await;
            // It knows the current state, and keeps arcctl's statement.
            let mut changed = statements(&["F", "B"]);
            if iam.sids().contains(&role.sid) {
                let all = changed["Statement"].as_array_mut().unwrap();
                all.push(role.trust.clone());
            }
            iam.write(&changed);
        };
        let (told, ()) = tokio::join!(run(&iam, &role), colleague);
        let there = iam.sids();
        assert!(there.contains(&role.sid), "seed {seed}");
        let kept = there.contains(&"B".to_owned()) && !there.contains(&"X".to_owned());
        let told = told.unwrap_or_default();
        let said = told.contains("the statement `B`") && told.contains("the statement `X` was not");
        let state = iam.0.lock().unwrap();
        let after = state.shown.iter().filter(|(writes, _)| *writes > 0);
        let was_shown = after
            .map(|it| sids(&it.1))
            .any(|it| it.contains(&"B".to_owned()));
        if kept {
            assert_eq!(told, "", "seed {seed}: nothing is lost");
        } else {
            assert_eq!(said, was_shown, "seed {seed}: {told}");
        }
        (kept, said)
    })
}

#[test]
fn a_change_in_between_is_kept_or_told() {
    // The ends that are compared are rare: more orders than elsewhere.
    let ends: Vec<(bool, bool)> = (0..3 * seeds() / 2 + 30).map(change_in_between).collect();
    let count = |wanted: (bool, bool)| ends.iter().filter(|it| **it == wanted).count();
    // The test needs both: most changes are kept, and most lost ones are reported.
    let (kept, told, lost) = (
        count((true, false)),
        count((false, true)),
        count((false, false)),
    );
    assert!(
        kept > ends.len() / 2,
        "{kept} kept, {told} told, {lost} lost"
    );
    assert!(told > lost, "{kept} kept, {told} told, {lost} lost");
}
