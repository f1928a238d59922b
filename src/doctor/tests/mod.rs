//! Tests of the checks with constructed facts: a healthy installation, one with each fault, and one without any facts.

mod at_aws;
mod bundle;
mod causes;
mod choice;
mod faults;
mod mends;
mod pods;
mod scale_set_faults;
mod scale_sets;
mod variants;
mod worlds;

use std::collections::BTreeSet;

use super::{
    Choice, Finding,
    check::Severity,
    checks, judge,
    snapshot::{Probed, Registered, Snapshot},
};
use crate::{
    desired::pool::probe::State,
    error::{Error, ErrorKind, System},
    report,
};
use faults::{all_faults, where_it_applies};
use scale_sets::{FACTS_OF_SCALE_SETS, of_scale_sets};
use variants::VARIANTS;
use worlds::{by_association, healthy, with_scale_set};

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    judge(snapshot, &Choice::default())
}

/// The report as a pipe gets it.
fn shown(findings: &[Finding], fixed: &[&str], verbose: bool) -> String {
    let text = report::doctor::text(findings, fixed, verbose, None);
    anstream::adapter::strip_str(&text).to_string()
}

fn ids(findings: &[Finding], word: &str) -> Vec<&'static str> {
    let of = findings.iter().filter(|it| it.verdict.word() == word);
    of.map(|it| it.id).collect()
}

/// The healthy worlds, each with the checks that do not apply to it.
fn worlds_and_what_does_not_apply() -> Vec<(Snapshot, Vec<&'static str>)> {
    vec![
        (healthy(), [BY_ASSOCIATION, &of_scale_sets()].concat()),
        (
            by_association(),
            [&["oidc-provider"], &*of_scale_sets()].concat(),
        ),
        (with_scale_set(), BY_ASSOCIATION.to_vec()),
    ]
}

#[test]
fn in_a_healthy_world_every_check_holds() {
    for (snapshot, elsewhere) in worlds_and_what_does_not_apply() {
        let findings = findings(&snapshot);
        assert_eq!(ids(&findings, "skipped"), elsewhere);
        let other: Vec<&Finding> = findings.iter().filter(|it| it.verdict.is_wrong()).collect();
        assert!(other.is_empty(), "{other:#?}");
        assert!(report::doctor::error(&findings).is_none());
    }
}

/// The image of a scale set's pool names no version, so only its runners tell.
#[test]
fn what_the_runners_of_a_scale_set_report_is_read() {
    let mut snapshot = with_scale_set();
    let pool = snapshot.profile.pools.last_mut().unwrap();
    pool.image = "ghcr.io/example/runner:own".into();
    snapshot.registered.as_mut().unwrap().push(Registered {
        name: "fast-a-runner-b".into(),
        online: true,
        busy: false,
        labels: vec!["fast".into()],
        version: Some("2.200.0".into()),
    });
    let findings = findings(&snapshot);
    let fresh = findings.iter().find(|it| it.id == "runner-version-fresh");
    let told = format!("{:?}", fresh.unwrap().verdict);
    assert!(told.contains("pool `fast` has runner 2.200.0"), "{told}");
}

/// A proof may report a missing condition as a difference: no user changed anything.
#[test]
fn what_a_proof_lacks_is_no_drift() {
    let mut snapshot = healthy();
    let resources = snapshot.resources.as_mut().unwrap();
    for it in resources.iter_mut().filter(|it| it.proof) {
        it.observed = Ok(faults::differs("room"));
    }
    assert!(!ids(&findings(&snapshot), "broken").contains(&"resources-unchanged"));
}

#[test]
fn every_check_has_a_fault_that_breaks_it_and_says_what_mends_it() {
    let faulty: Vec<&str> = all_faults().map(|it| it.0).collect();
    let there: BTreeSet<&str> = checks().iter().map(|it| it.id).collect();
    assert_eq!(faulty.iter().copied().collect::<BTreeSet<_>>(), there);
    for (id, fault) in all_faults() {
        let mut snapshot = where_it_applies(id);
        fault(&mut snapshot);
        let findings = findings(&snapshot);
        assert!(ids(&findings, "broken").contains(id), "{id}: {findings:#?}");
        let finding = findings.iter().find(|it| it.id == *id).unwrap();
        assert_eq!(finding.follows, None, "{id} is the root");
        let document = report::doctor::document(&findings, &[], None);
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
            (_, "github-credential" | "aws-credentials") => Some(4),
            _ => Some(1),
        };
        assert_eq!(code, expected, "{id}");
    }
}

/// Makes one fact unknown.
type Hide = fn(&mut Snapshot);

/// Every fact that may be unknown.
macro_rules! facts {
    ($($($fact:ident).+),* $(,)?) => {
        &[
            ("probe", |it| it.probe = Some(Err(unanswered()))),
            ("probe.said", |it| it.probe = Some(Ok(vec![Probed { pool: "basic".into(), said: Err(unanswered()) }]))),
            ("probe's answers", |it| it.probe = Some(Ok(vec![worlds::probed(State::Unknown)]))),
            $((stringify!($($fact).+), |it| it.$($fact).+ = Err(unanswered()))),*
        ]
    };
}

/// No response: not from AWS either, which is called first.
fn unanswered() -> Error {
    Error::new(ErrorKind::TimedOut, System::Aws, "no answer").hint("run it again")
}

const FACTS: &[(&str, Hide)] = facts!(
    helm,
    at_aws.caller,
    at_aws.cluster,
    at_aws.wiring,
    role_agent,
    kubernetes,
    nodes,
    cert_manager_namespace,
    cert_manager,
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
    runner_sets,
    pod_trials,
    rooms,
    node_groups,
    autoscalers,
    service_monitors,
    prometheus_rules,
    monitors,
    prometheuses,
    system_namespace,
    audit,
    groups,
    registered,
    offered,
    resources,
);

/// Checks that do not apply to a profile with a role by the OIDC provider.
const BY_ASSOCIATION: &[&str] = &["pod-identity-association", "pod-identity-agent"];

/// Checks of the profile alone, without which there is no report: they are always known.
const ALWAYS_KNOWN: [&str; 1] = ["profile-wise"];

#[test]
fn what_could_not_be_found_out_never_holds() {
    for (mut dark, elsewhere) in worlds_and_what_does_not_apply() {
        for (_, hide) in FACTS.iter().chain(FACTS_OF_SCALE_SETS) {
            hide(&mut dark);
        }
        let findings = findings(&dark);
        assert_eq!(ids(&findings, "holds"), ALWAYS_KNOWN);
        assert_eq!(ids(&findings, "skipped"), elsewhere);
        assert_eq!(ids(&findings, "broken"), [""; 0]);
        assert_eq!(
            ids(&findings, "unknown").len(),
            checks().len() - ALWAYS_KNOWN.len() - elsewhere.len()
        );
        let error = report::doctor::error(&findings).unwrap();
        assert_eq!(error.kind, ErrorKind::Failed);
    }
}

/// Each check depends on a fact, and is unknown without it; a broken check never holds without its facts.
#[test]
fn every_check_has_a_fact_without_which_it_cannot_tell() {
    for (id, fault) in all_faults() {
        let choice = Choice {
            only: vec![(*id).to_owned()],
            skip: Vec::new(),
        };
        let word = |snapshot: &Snapshot| judge(snapshot, &choice)[0].verdict.word();
        let mut needs = Vec::new();
        for (fact, hide) in FACTS.iter().chain(FACTS_OF_SCALE_SETS) {
            let (mut well, mut ill) = (where_it_applies(id), where_it_applies(id));
            hide(&mut well);
            if word(&well) == "unknown" {
                needs.push(*fact);
            }
            fault(&mut ill);
            hide(&mut ill);
            assert_ne!(word(&ill), "holds", "{id} is broken, without `{fact}`");
        }
        assert_eq!(
            needs.is_empty(),
            ALWAYS_KNOWN.contains(id),
            "{id}: {needs:?}"
        );
    }
}

#[test]
fn a_world_is_the_same_once_it_was_written_and_read() {
    for (id, fault) in all_faults() {
        let mut snapshot = where_it_applies(id);
        fault(&mut snapshot);
        let text = serde_json::to_string(&snapshot).unwrap();
        let again: Snapshot = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text, "{id}");
        let choice = Choice {
            only: vec![(*id).to_owned()],
            skip: Vec::new(),
        };
        assert_eq!(judge(&again, &choice)[0].verdict.word(), "broken", "{id}");
    }
}

/// Runners that wait, since a rule of a security group is missing.
fn without_rule() -> Snapshot {
    let mut snapshot = healthy();
    for id in [
        "nodes-reach-server",
        "runners-register",
        "runner-pods-run",
        "runners-online",
        "autoscaler-works",
    ] {
        all_faults().find(|it| it.0 == id).unwrap().1(&mut snapshot);
    }
    // The fault of `autoscaler-works` has replaced the events.
    snapshot
        .runner_events
        .as_mut()
        .unwrap()
        .push(faults::token_event(
            "FailedUpdateRegistrationToken",
            worlds::NOW,
        ));
    snapshot
}

/// The same, with advice: for a picture in the documents.
pub(crate) fn pictured() -> Vec<Finding> {
    let mut snapshot = without_rule();
    for id in ["trust-policy-has-room", "controller-replicas"] {
        all_faults().find(|it| it.0 == id).unwrap().1(&mut snapshot);
    }
    findings(&snapshot)
}

/// The chain of a missing rule, from the symptom to the fix.
#[test]
fn runners_that_wait_lead_to_the_rule_that_is_missing() {
    let findings = findings(&without_rule());
    let follows = |id: &str| findings.iter().find(|it| it.id == id).unwrap().follows;
    assert_eq!(follows("runner-pods-run"), Some("runners-register"));
    assert_eq!(follows("runners-register"), Some("nodes-reach-server"));
    assert_eq!(follows("nodes-reach-server"), None);
    let text = shown(&findings, &[], false);
    assert!(text.starts_with("  ✗ nodes-reach-server:"), "{text}");
    assert_eq!(text.matches("✗").count(), 1, "{text}");
    let verbose = shown(&findings, &[], true);
    assert!(
        verbose.contains("follows: runner-pods-run ← runners-register ← nodes-reach-server: "),
        "{verbose}"
    );
}

#[test]
fn the_report_leads_with_the_root_and_folds_what_follows() {
    let mut snapshot = healthy();
    for id in [
        "controller-scaled",
        "controller-runs",
        "webhook-reachable",
        "webhook-answers",
    ] {
        let fault = all_faults().find(|it| it.0 == id).unwrap().1;
        fault(&mut snapshot);
    }
    let findings = findings(&snapshot);
    let text = shown(&findings, &[], false);
    assert!(text.starts_with("  ✗ controller-scaled:"), "{text}");
    assert!(
        text.contains("follows: controller-runs, webhook-reachable, webhook-answers"),
        "{text}"
    );
    assert!(!text.contains("✗ webhook-answers"), "{text}");
    let verbose = shown(&findings, &[], true);
    assert!(
        verbose.contains("follows: webhook-answers ← controller-scaled: not yet"),
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

/// Each alone and every two of them together, in one order: more than two hundred worlds.
#[test]
fn healthy_variants_raise_no_alarm() {
    assert!(VARIANTS.len() * (VARIANTS.len() + 1) / 2 >= 200);
    for (index, first) in VARIANTS.iter().enumerate() {
        for second in &VARIANTS[index..] {
            let mut snapshot = healthy();
            first(&mut snapshot);
            second(&mut snapshot);
            let findings = findings(&snapshot);
            let wrong: Vec<&Finding> = findings.iter().filter(|it| it.verdict.is_wrong()).collect();
            assert!(wrong.is_empty(), "{wrong:#?}");
        }
    }
}

#[test]
fn fixed_is_what_something_was_done_for_and_holds_now() {
    let mut snapshot = healthy();
    all_faults().find(|it| it.0 == "webhook-trusted").unwrap().1(&mut snapshot);
    let found = findings(&snapshot);
    let fixed = report::doctor::fixed(&found, &["secret-complete", "webhook-trusted"]);
    assert_eq!(fixed, ["secret-complete"]);
    let document = report::doctor::document(&found, &fixed, None);
    assert_eq!(document["fixed"], serde_json::json!(["secret-complete"]));
    let text = shown(&found, &fixed, false);
    assert!(text.starts_with("Mended: secret-complete.\n"), "{text}");
}
