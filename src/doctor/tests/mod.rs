//! Checks against worlds made by hand: a healthy one, one with each fault, one of which nothing is known.

mod faults;
mod worlds;

use std::collections::BTreeSet;

use super::{Choice, Finding, check::Severity, checks, judge, world::World};
use crate::{error::ErrorKind, report};
use faults::{FAULTS, VARIANTS, error};
use worlds::healthy;

fn findings(world: &World) -> Vec<Finding> {
    judge(world, &Choice::default())
}

fn ids(findings: &[Finding], word: &str) -> Vec<&'static str> {
    let of = findings.iter().filter(|it| it.verdict.word() == word);
    of.map(|it| it.id).collect()
}

#[test]
fn in_a_healthy_world_every_check_holds() {
    let findings = findings(&healthy());
    let other: Vec<&Finding> = findings
        .iter()
        .filter(|it| it.verdict.word() != "holds")
        .collect();
    assert!(other.is_empty(), "{other:#?}");
    assert!(report::doctor::error(&findings).is_none());
}

#[test]
fn every_check_has_a_fault_that_breaks_it_and_says_what_mends_it() {
    let faulty: Vec<&str> = FAULTS.iter().map(|it| it.0).collect();
    let there: BTreeSet<&str> = checks().iter().map(|it| it.id).collect();
    assert_eq!(faulty.iter().copied().collect::<BTreeSet<_>>(), there);
    for (id, fault) in FAULTS {
        let mut world = healthy();
        fault(&mut world);
        let findings = findings(&world);
        assert!(ids(&findings, "broken").contains(id), "{id}: {findings:#?}");
        let finding = findings.iter().find(|it| it.id == *id).unwrap();
        assert_eq!(finding.follows, None, "{id} is the root");
        let document = report::doctor::document(&findings, None);
        let shown = document["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["id"] == *id)
            .unwrap();
        assert!(
            shown["found"].is_string() && shown["fix"].is_string(),
            "{shown}"
        );
        let code = report::doctor::error(&findings).map(|it| it.kind.exit_code());
        let expected = match (finding.severity, *id) {
            (Severity::Advice, _) => None,
            (_, "github-credential") => Some(4),
            _ => Some(1),
        };
        assert_eq!(code, expected, "{id}");
    }
}

/// A world in which the API server and GitHub tell nothing.
fn dark() -> World {
    let mut world = healthy();
    let unknown = error(ErrorKind::TimedOut);
    macro_rules! hide {
        ($($fact:ident),*) => { $(world.$fact = Err(unknown.clone());)* };
    }
    hide!(
        helm,
        kubernetes,
        nodes,
        cert_manager_pods,
        cert_manager_events,
        controller,
        controller_pods,
        controller_events,
        certificate,
        serving_ca,
        secret,
        webhooks,
        missing_services,
        slices,
        runner_pods,
        runner_events,
        runners,
        autoscalers,
        service_monitors,
        audit,
        groups,
        registered,
        resources
    );
    world
}

#[test]
fn what_could_not_be_found_out_never_holds() {
    let findings = findings(&dark());
    assert_eq!(
        ids(&findings, "holds"),
        ["profile-supported", "profile-wise"]
    );
    assert_eq!(ids(&findings, "skipped"), [""; 0]);
    // These three are themselves the question whether somebody answers.
    let asked = ["helm-usable", "api-server-answers", "github-credential"];
    assert_eq!(ids(&findings, "broken"), asked);
    assert_eq!(ids(&findings, "unknown").len(), checks().len() - 5);
    assert_eq!(
        report::doctor::error(&findings).unwrap().kind,
        ErrorKind::Failed
    );
}

#[test]
fn the_report_leads_with_the_root_and_folds_what_follows() {
    let mut world = healthy();
    for id in [
        "controller-scaled",
        "controller-runs",
        "webhook-reachable",
        "webhook-answers",
    ] {
        let fault = FAULTS.iter().find(|it| it.0 == id).unwrap().1;
        fault(&mut world);
    }
    let findings = findings(&world);
    let text = report::doctor::text(&findings, false);
    assert!(text.starts_with("  ✗ controller-scaled:"), "{text}");
    assert!(
        text.contains("follows: controller-runs, webhook-reachable, webhook-answers"),
        "{text}"
    );
    assert!(!text.contains("✗ webhook-answers"), "{text}");
    let verbose = report::doctor::text(&findings, true);
    assert!(
        verbose.contains("follows: webhook-answers: not yet"),
        "{verbose}"
    );
    assert!(verbose.contains("✓ nodes-ready"), "{verbose}");
}

#[test]
fn causes_name_checks_and_never_go_in_a_circle() {
    let all = checks();
    let known: BTreeSet<&str> = all.iter().map(|it| it.id).collect();
    assert_eq!(known.len(), all.len(), "an id is there twice");
    for check in &all {
        let mut behind: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = check.causes.to_vec();
        while let Some(id) = open.pop() {
            assert!(known.contains(id), "{}: {id}", check.id);
            if behind.insert(id) {
                open.extend(all.iter().find(|it| it.id == id).unwrap().causes);
            }
        }
        assert!(!behind.contains(check.id), "{} is behind itself", check.id);
    }
}

/// Each alone and every two of them together.
#[test]
fn healthy_variants_raise_no_alarm() {
    for first in VARIANTS {
        for second in VARIANTS {
            let mut world = healthy();
            first(&mut world);
            second(&mut world);
            let findings = findings(&world);
            let wrong: Vec<&Finding> = findings.iter().filter(|it| it.verdict.is_wrong()).collect();
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
}

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
    assert_eq!(chosen(&["nonsense"], &[]).0.as_deref(), Some("nonsense"));
}
