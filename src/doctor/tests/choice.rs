//! Which checks are chosen: by id, by category, and without some.

use super::{faults::all_faults, worlds::healthy};
use crate::doctor::{Choice, checks, judge};

#[test]
fn only_and_skip_choose_by_id_and_by_category() {
    let chosen = |only: &[&str], skip: &[&str]| {
        let list = |it: &[&str]| it.iter().map(ToString::to_string).collect();
        let choice = Choice {
            only: list(only),
            skip: list(skip),
        };
        let ids: Vec<&str> = judge(&healthy(), &choice).iter().map(|it| it.id).collect();
        (choice.unknown().map(str::to_owned), ids)
    };
    assert_eq!(chosen(&["tools"], &[]), (None, vec!["helm-usable"]));
    assert_eq!(chosen(&["webhooks"], &["webhook-answers"]).1.len(), 3);
    // An excluded check is excluded both ways.
    assert_eq!(chosen(&["helm-usable"], &["tools"]), (None, Vec::new()));
    let both = chosen(&["tools", "nodes-ready"], &[]).1;
    assert_eq!(both, ["helm-usable", "nodes-ready"]);
    assert_eq!(chosen(&[], &["aws"]).1.len(), {
        checks().iter().filter(|it| it.category != "aws").count()
    });
    assert_eq!(chosen(&["tools"], &["typo"]).0.as_deref(), Some("typo"));
    assert_eq!(chosen(&["nonsense"], &[]).0.as_deref(), Some("nonsense"));
}

/// A cause that was not checked explains nothing: its consequence is a root.
#[test]
fn what_follows_from_a_check_that_is_skipped_becomes_a_root() {
    let mut snapshot = healthy();
    for id in ["controller-scaled", "webhook-answers"] {
        all_faults().find(|it| it.0 == id).unwrap().1(&mut snapshot);
    }
    let choice = Choice {
        only: Vec::new(),
        skip: vec!["controller-scaled".into()],
    };
    let found = judge(&snapshot, &choice);
    let answers = found.iter().find(|it| it.id == "webhook-answers").unwrap();
    assert_eq!(answers.follows, None);
}
