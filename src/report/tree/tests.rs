//! The lines of a run, at several sizes of a terminal. The same run is in the pictures of the documents.

use super::*;
use crate::{
    desired::{Facts, desired, order},
    error::{Error, System},
    plan::Action,
    profile::load,
};

pub(crate) const PROFILE: &str = include_str!("../../../profiles/repository.yaml");

/// A run in the middle, or at its end.
pub(crate) struct Played {
    tree: Tree,
    /// The lines that stay.
    pub(crate) above: Vec<String>,
    began: Instant,
    now: Instant,
}

impl Played {
    pub(crate) fn new(steps: &[Desired]) -> Self {
        let began = Instant::now();
        Self {
            tree: Tree::new(steps),
            above: Vec::new(),
            began,
            now: began,
        }
    }

    /// So many milliseconds after the begin.
    fn at(&mut self, milliseconds: u64) {
        self.now = self.began + Duration::from_millis(milliseconds);
    }

    fn take(&mut self, event: &Event) {
        self.above.extend(self.tree.take(event, self.now));
    }

    fn started(&mut self, id: &Id, action: Action) {
        self.take(&Event::Started {
            id: id.clone(),
            action,
        });
    }

    fn waiting(&mut self, id: &Id, reason: &str) {
        self.take(&Event::Waiting {
            id: id.clone(),
            reason: reason.into(),
        });
    }

    fn finished(&mut self, id: &Id, elapsed: u64) {
        self.take(&Event::Finished {
            id: id.clone(),
            action: Action::Create,
            goal: Goal::Present,
            elapsed: Duration::from_millis(elapsed),
        });
    }

    fn failed(&mut self, id: &Id) {
        self.take(&Event::Failed {
            id: id.clone(),
            error: Error::failed(System::Kubernetes, "no").hint("try again"),
            elapsed: Duration::from_secs(1),
        });
    }

    pub(crate) fn lines(&self, columns: usize) -> Vec<String> {
        self.tree.lines(self.now, Size { rows: 24, columns }, 2)
    }
}

fn plain(lines: &[String]) -> Vec<String> {
    let plain = |it: &String| anstream::adapter::strip_str(it).to_string();
    lines.iter().map(plain).collect()
}

/// The steps of the smallest profile.
pub(crate) fn steps() -> Vec<Desired> {
    let profile = load(PROFILE, "repository").unwrap().profile;
    let mut steps = desired(&profile, &Facts::default()).unwrap();
    order::connect(&mut steps).unwrap();
    steps
}

fn ids(steps: &[Desired], of: &Group) -> Vec<Id> {
    let of = steps.iter().filter(|it| group(it) == *of);
    of.map(|it| it.id.clone()).collect()
}

/// What the API server says while the pod of a webhook starts.
const UNANSWERED: &str = "cert-manager's webhook does not respond: failed calling webhook \"webhook.cert-manager.io\": no endpoints available for service \"cert-manager-webhook\"";

/// cert-manager starts, and the rest waits for it.
pub(crate) fn in_the_middle(steps: &[Desired]) -> Played {
    let mut run = Played::new(steps);
    run.at(400);
    for id in ids(steps, &Group::Namespaces) {
        run.finished(&id, 400);
    }
    run.at(1900);
    let controller = ids(steps, &Group::Controller);
    run.started(&controller[0], Action::Create);
    run.at(3100);
    run.finished(&controller[0], 1200);
    let issuer = ids(steps, &Group::CertManager);
    let (webhook, before) = issuer.split_last().unwrap();
    for id in before {
        run.started(id, Action::Create);
        run.at(5600);
        run.finished(id, 2500);
    }
    run.waiting(webhook, UNANSWERED);
    run.at(13_900);
    run
}

/// The same run, done.
pub(crate) fn at_its_end(steps: &[Desired]) -> Played {
    let mut run = in_the_middle(steps);
    let mut at = 14_900;
    for group in [
        Group::CertManager,
        Group::Controller,
        Group::Pool("website".into()),
    ] {
        for id in ids(steps, &group) {
            run.started(&id, Action::Create);
            at += 1100;
            run.at(at);
            run.finished(&id, 1100);
        }
    }
    run
}

#[test]
fn each_group_is_a_line_with_what_it_waits_for() {
    let steps = steps();
    let run = in_the_middle(&steps);
    assert_eq!(plain(&run.above), ["✓ Namespaces    3 steps, 0.4 s"]);
    insta::assert_snapshot!(plain(&run.lines(80)).join("\n"));
    insta::assert_snapshot!(plain(&run.lines(160)).join("\n"));
}

#[test]
fn a_run_that_has_ended_is_a_line_per_group_and_nothing_else() {
    let steps = steps();
    let run = at_its_end(&steps);
    insta::assert_snapshot!(plain(&run.above).join("\n"));
    assert!(run.lines(80).is_empty());
    assert!(run.tree.left().is_empty());
}

#[test]
fn no_line_is_wider_than_the_terminal_or_has_control_characters() {
    let steps = steps();
    let mut run = in_the_middle(&steps);
    let pool = Group::Pool("website".into());
    for (id, reason) in ids(&steps, &pool).iter().zip([
        "파드가 노드를 기다립니다 \u{1b}[2J\u{1b}]0;x\u{7}\r\nzweite Zeile\tund mehr und mehr und mehr",
        "it does not exist yet",
        "\u{202e}\u{9b}31m",
    ]) {
        run.waiting(id, reason);
    }
    for columns in [1, 2, 20, 34, 79, 80, 120, 160, 400] {
        for line in run.lines(columns) {
            assert!(
                measure_text_width(&line) < columns.max(2),
                "{columns}: {line}"
            );
            let plain = anstream::adapter::strip_str(&line).to_string();
            assert!(!plain.chars().any(char::is_control), "{line:?}");
            assert!(!plain.contains('\u{202e}'), "{line:?}");
        }
    }
    let shown = plain(&run.lines(160)).join("\n");
    assert!(shown.contains("파드가 노드를 기다립니다 ␛[2J"), "{shown}");
    assert!(shown.contains("0 s +2"), "{shown}");
}

#[test]
fn secrets_in_reasons_are_not_shown() {
    let steps = steps();
    let mut run = Played::new(&steps);
    let token = "ghp_0123456789abcdefghij0123456789abcdef";
    run.waiting(&steps[0].id, &format!("the answer was `{token}`"));
    let shown = run.lines(160).join("\n");
    assert!(
        shown.contains("the answer was") && !shown.contains("ghp_0123"),
        "{shown}"
    );
}

#[test]
fn what_has_no_room_is_counted_and_what_works_is_shown() {
    let one = steps().pop().unwrap();
    let steps: Vec<Desired> = (0..200)
        .map(|it| {
            let name = format!("pool-{it}");
            let mut step = one.clone();
            step.id = Id::new("registration", Some("github"), &name);
            let crate::desired::resource::Resource::Registration(pool) = &mut step.resource else {
                panic!("{}", step.id);
            };
            // Names of a record that somebody has edited.
            pool.pool = format!("{name}\u{1b}[2J");
            step
        })
        .collect();
    let mut run = Played::new(&steps);
    run.waiting(&steps[150].id, "0 of 2 runners are online");
    let lines = plain(&run.lines(80));
    assert_eq!(lines.len(), 23, "{lines:#?}");
    // A reason has lines of its own only where they have room.
    let long = "0 of 2 runners are online: ".repeat(9);
    run.waiting(&steps[150].id, &long);
    assert_eq!(run.lines(80).len(), 23);
    assert!(lines[0].contains("Pool pool-150␛[2J  0 of 1"), "{lines:#?}");
    assert_eq!(lines[22], "· and 178 more");
}

#[test]
fn a_failed_run_says_what_it_has_left() {
    let steps = steps();
    let mut run = in_the_middle(&steps);
    let webhook = ids(&steps, &Group::CertManager).pop().unwrap();
    run.failed(&webhook);
    // The group has ended, and has no line of success.
    assert_eq!(run.above.len(), 1);
    assert!(!plain(&run.lines(80)).join("\n").contains("cert-manager  "));
    insta::assert_snapshot!(plain(&run.tree.left()).join("\n"));
}

#[test]
fn a_step_that_is_done_again_opens_its_group() {
    let steps = steps();
    let mut run = at_its_end(&steps);
    let before = run.above.len();
    let id = ids(&steps, &Group::Controller).remove(0);
    run.started(&id, Action::Update);
    assert!(run.lines(80)[0].contains("update"));
    run.finished(&id, 100);
    assert_eq!(run.above.len(), before + 1);
    // Events of what is in no group are none.
    run.waiting(&Id::new("a", None, "b"), "c");
    assert!(run.lines(80).is_empty());
}

#[test]
fn a_teardown_goes_the_other_way() {
    let mut steps = steps();
    for step in &mut steps {
        step.goal = Goal::Absent;
    }
    let run = Played::new(&steps);
    let lines = plain(&run.lines(80));
    assert!(lines[0].starts_with("· Pool website"), "{lines:#?}");
    assert!(
        lines.last().unwrap().starts_with("· Namespaces"),
        "{lines:#?}"
    );
}
