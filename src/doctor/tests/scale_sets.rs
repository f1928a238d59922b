//! The checks and the facts of runner scale sets, which not every profile has.

use super::{Hide, checks, findings, ids, unanswered, worlds::with_scale_set};
use crate::doctor::check::Verdict;

/// Checks that do not apply to a profile without a scale set.
pub(super) fn of_scale_sets() -> Vec<&'static str> {
    let all = checks().into_iter().map(|it| it.id);
    all.filter(|it| it.starts_with("scale-set-")).collect()
}

/// Makes one fact of the scale sets unknown, where there are any.
macro_rules! facts_of_scale_sets {
    ($($fact:ident),* $(,)?) => {
        &[$((stringify!($fact), |it| {
            if let Some(facts) = &mut it.scale_sets {
                facts.$fact = Err(unanswered());
            }
        })),*]
    };
}

/// Every fact of the scale sets that may be unknown.
pub(super) const FACTS_OF_SCALE_SETS: &[(&str, Hide)] = facts_of_scale_sets!(
    controller,
    controllers,
    sets,
    listeners,
    listener_pods,
    runner_sets,
    runners,
    secret_name,
    at_github,
    recorded,
    pod_monitors,
);

/// Ids are unique in a scope only.
#[test]
fn the_same_id_in_another_scope_is_another_scale_set() {
    let mut snapshot = with_scale_set();
    let facts = snapshot.scale_sets.as_mut().unwrap();
    let all = facts.at_github.as_mut().unwrap();
    let mut theirs = all[0].clone();
    theirs.scope = "https://github.com/another".into();
    theirs.labels = Vec::new();
    theirs.name = "another".into();
    all.insert(0, theirs);
    assert_eq!(ids(&findings(&snapshot), "broken"), [""; 0]);

    // Nor is it the own one, where that is gone.
    let facts = snapshot.scale_sets.as_mut().unwrap();
    facts.at_github.as_mut().unwrap().truncate(1);
    let broken = findings(&snapshot);
    assert!(ids(&broken, "broken").contains(&"scale-set-registered"));
}

#[test]
fn a_set_that_is_registered_in_the_former_scope_is_not_registered_again() {
    let mut snapshot = with_scale_set();
    let facts = snapshot.scale_sets.as_mut().unwrap();
    let recorded = facts.recorded.as_mut().unwrap();
    let record = recorded.get_mut("actions-runner/fast").unwrap();
    record.scope = Some("https://github.com/former".into());
    facts.at_github = Ok(Vec::new());
    let all = findings(&snapshot);
    let found = all.iter().find(|it| it.id == "scale-set-registered");
    let Verdict::Broken { found, fix, .. } = &found.unwrap().verdict else {
        panic!("{all:#?}");
    };
    assert!(
        found.contains("is registered in https://github.com/former"),
        "{found}"
    );
    assert!(!fix.contains("annotate"), "{fix}");
    assert!(
        fix.contains("write https://github.com/former in the profile again"),
        "{fix}"
    );
}

/// What the controller registers anew gets another id, which the next `up` records.
#[test]
fn a_scale_set_that_was_registered_again_is_no_stranger() {
    let mut snapshot = with_scale_set();
    let facts = snapshot.scale_sets.as_mut().unwrap();
    let recorded = facts.recorded.as_mut().unwrap();
    recorded.get_mut("actions-runner/fast").unwrap().id = 6;
    assert_eq!(ids(&findings(&snapshot), "broken"), [""; 0]);

    let facts = snapshot.scale_sets.as_mut().unwrap();
    facts.at_github.as_mut().unwrap()[0].id = 8;
    let broken = findings(&snapshot);
    assert!(ids(&broken, "broken").contains(&"scale-set-known-here"));
}
