//! Tests of the reported cause if several are possible.

use serde_json::{Value, json};

use super::{
    faults::{all_faults, differs, observe, token_event},
    findings, shown,
    worlds::{NOW, healthy, resource},
};
use crate::{
    doctor::{Choice, Finding, Verdict, judge, snapshot::Snapshot},
    report,
    resource::observed::{Observed, Ownership, Present, Readiness},
};

/// The token in the cluster is not the profile's, and GitHub rejects it: the network is not the cause.
#[test]
fn another_credential_in_the_secret_is_no_matter_of_the_network() {
    let fix = |path: &str, ownership: Ownership, id: &str| {
        let mut snapshot = healthy();
        snapshot.runner_events = Ok(vec![
            token_event("FailedUpdateRegistrationToken", NOW),
            json!({"reason": "RunnerAutoscalingFailure", "lastTimestamp": NOW,
                "message": "GET https://x: 401 Bad credentials", "involvedObject": {"name": "basic"}}),
        ]);
        let mut secret = resource("secret", "actions-runner-system", "controller-manager");
        let Observed::Present(mut present) = differs(path) else {
            panic!("it is there");
        };
        present.ownership = ownership;
        secret.observed = Ok(Observed::Present(present));
        snapshot.resources.as_mut().unwrap().push(secret);
        let document = report::doctor::document(&findings(&snapshot), &[], None);
        let checks = document["checks"].as_array().unwrap();
        let found = checks.iter().find(|it| it["id"] == id).unwrap();
        assert_eq!(found["verdict"], "broken");
        found["fix"].as_str().unwrap().to_owned()
    };
    for id in ["runners-register", "autoscaler-works"] {
        let ours = fix("data.github_token", Ownership::Ours, id);
        assert!(
            ours.ends_with("contains another one: write it with `arcctl up`"),
            "{ours}"
        );
        assert!(!ours.contains("reach"), "{ours}");
        let evidence = "kubectl".into();
        let theirs = fix("data.github_token", Ownership::Foreign { evidence }, id);
        assert!(theirs.contains("`arcctl up --adopt`"), "{theirs}");
        let same = fix("metadata.annotations.x", Ownership::Ours, id);
        assert!(!same.contains("another one"), "{same}");
    }
}

/// No controller, no token: the network to GitHub is not the cause.
#[test]
fn runners_without_a_token_follow_from_a_controller_that_does_not_run() {
    for cause in ["controller-scaled", "controller-runs"] {
        let mut snapshot = healthy();
        for id in [cause, "runners-register"] {
            all_faults().find(|it| it.0 == id).unwrap().1(&mut snapshot);
        }
        let findings = findings(&snapshot);
        let found = findings.iter().find(|it| it.id == "runners-register");
        assert_eq!(found.unwrap().follows, Some(cause));
    }
}

/// A failure is repeated at every sync, but not as an event: client-go holds events back. A success leaves none.
#[test]
fn an_autoscaler_fails_as_long_as_its_events_may_be_apart() {
    let word = |sync: &str, seconds: i64| {
        let mut snapshot = healthy();
        snapshot.profile.controller.sync_period = serde_json::from_value(json!(sync)).unwrap();
        let last = (snapshot.now - jiff::SignedDuration::from_secs(seconds)).to_string();
        snapshot.runner_events = Ok(vec![json!({"reason": "RunnerAutoscalingFailure",
            "lastTimestamp": last, "message": "no", "involvedObject": {"name": "basic"}})]);
        let choice = Choice {
            only: vec!["autoscaler-works".into()],
            skip: Vec::new(),
        };
        judge(&snapshot, &choice)[0].verdict.word()
    };
    // The newest event may be five minutes and a sync old while the failure continues.
    assert_eq!(word("1m", 170), "broken");
    assert_eq!(word("1m", 350), "broken");
    assert_eq!(word("1m", 370), "holds");
    assert_eq!(word("1m", 590), "holds", "minutes after it was mended");
    assert_eq!(word("10m", 29 * 60), "broken");
    assert_eq!(word("10m", 31 * 60), "holds");
}

/// An old controller that ended for another reason than its known panic: that reason is reported.
#[test]
fn only_a_panic_is_told_as_the_known_one() {
    let old = |status: &Value, ready: bool| {
        let mut snapshot = healthy();
        let fault = all_faults().find(|it| it.0 == "controller-fits-kubernetes");
        fault.unwrap().1(&mut snapshot);
        let pods = snapshot.controller_pods.as_mut().unwrap();
        pods.truncate(1);
        let pod = &mut pods[0];
        let mut status = status.clone();
        status["name"] = json!("manager");
        pod["status"]["containerStatuses"] = json!([status]);
        if !ready {
            pod["status"]["conditions"] = json!([]);
        }
        let findings = findings(&snapshot);
        let of = |id: &str| findings.iter().find(|it| it.id == id).unwrap().clone();
        let document = report::doctor::document(&findings, &[], None);
        let fits = document["checks"].as_array().unwrap().iter();
        let found = fits
            .clone()
            .find(|it| it["id"] == "controller-fits-kubernetes");
        (
            found.unwrap()["found"].to_string(),
            of("controller-fits-kubernetes").verdict.word(),
            of("controller-runs").verdict.word(),
            of("controller-runs").follows,
        )
    };
    let crash = |code: i64, reason: &str| {
        json!({"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": {"terminated": {"exitCode": code, "reason": reason}}})
    };
    let (found, fits, runs, follows) = old(&crash(2, "Error"), false);
    assert!(found.contains("panics on Kubernetes"), "{found}");
    let root = Some("controller-fits-kubernetes");
    assert_eq!((fits, runs, follows), ("broken", "broken", root));
    for other in [crash(137, "OOMKilled"), crash(1, "Error")] {
        let (_, fits, runs, follows) = old(&other, false);
        assert_eq!((fits, runs, follows), ("skipped", "broken", None));
    }
    // It lost its lease once, and runs again.
    let again = json!({"restartCount": 1, "state": {"running": {}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}});
    let (found, fits, runs, _) = old(&again, true);
    assert!(found.contains("none of its pods has done so"), "{found}");
    assert_eq!((fits, runs), ("broken", "holds"));
    let (_, fits, ..) = old(
        &json!({"state": {"waiting": {"reason": "ContainerCreating"}}}),
        false,
    );
    assert_eq!(fits, "skipped");
}

/// The findings if `ready` of the controller's two pods are ready, and no runner has a token or is online.
fn with_pods(ready: usize, scaled: u64) -> Vec<Finding> {
    let mut snapshot = healthy();
    snapshot.controller.as_mut().unwrap().as_mut().unwrap()["spec"]["replicas"] = scaled.into();
    let pods = snapshot.controller_pods.as_mut().unwrap();
    pods.truncate(usize::try_from(scaled).unwrap());
    for pod in &mut pods[ready..] {
        pod["status"]["conditions"] = json!([]);
    }
    let waits = Readiness::progressing(format!("{ready} of 2 controller pods are ready"));
    let waits = Observed::Present(Present::same(waits));
    if ready < 2 {
        observe(
            &mut snapshot,
            "webhook/actions-runner-system",
            waits.clone(),
        );
    }
    observe(&mut snapshot, "runner-pods", waits.clone());
    observe(&mut snapshot, "registration", waits);
    snapshot.runner_events = Ok(vec![token_event("FailedUpdateRegistrationToken", NOW)]);
    findings(&snapshot)
}

/// One pod leads: a missing or failed second pod is a finding of its own, and not the cause of missing runners.
#[test]
fn one_of_two_controller_pods_explains_nothing_of_runners() {
    const OF_RUNNERS: [&str; 3] = ["runners-register", "runner-pods-run", "runners-online"];
    for (ready, scaled, found) in [
        (1, 2, "1 of 2 pods"),
        (1, 1, "scaled to 1, and the profile says 2"),
    ] {
        let findings = with_pods(ready, scaled);
        let of = |id: &str| findings.iter().find(|it| it.id == id).unwrap();
        for id in ["controller-scaled", "controller-runs"] {
            assert_eq!(of(id).verdict, Verdict::Holds, "{id}");
        }
        let short = of("controller-replicas");
        assert_eq!((short.verdict.word(), short.follows), ("broken", None));
        assert_eq!(of("webhook-answers").verdict.word(), "skipped");
        assert_eq!(of("runners-register").follows, None);
        for id in OF_RUNNERS {
            assert_eq!(of(id).verdict.word(), "broken", "{id}");
            assert_ne!(of(id).follows, Some("controller-replicas"), "{id}");
        }
        let text = shown(&findings, &[], false);
        assert!(text.contains(found), "{text}");
    }
    // None of two: that is the cause.
    let findings = with_pods(0, 2);
    let of = |id: &str| findings.iter().find(|it| it.id == id).unwrap();
    assert_eq!(of("controller-replicas").verdict.word(), "skipped");
    for id in OF_RUNNERS {
        assert_eq!(of(id).follows, Some("controller-runs"), "{id}");
    }
    // Both: nothing of the controller is wrong.
    let findings = with_pods(2, 2);
    let of = |id: &str| findings.iter().find(|it| it.id == id).unwrap();
    assert_eq!(of("controller-replicas").verdict, Verdict::Holds);
    assert_eq!(of("runners-register").follows, None);
}

/// The Service of a webhook is deleted and its pods run: its owner creates it again.
#[test]
fn the_service_of_a_living_webhook_is_made_again_by_what_made_it() {
    let fix = |change: fn(&mut Snapshot)| {
        let mut snapshot = healthy();
        let service = "cert-manager/cert-manager-webhook";
        snapshot.missing_services = Ok([service.to_owned()].into());
        let webhooks = snapshot.webhooks.as_mut().unwrap();
        webhooks[0]["metadata"]["name"] = json!("cert-manager-webhook");
        webhooks[0]["webhooks"][0]["clientConfig"]["service"] =
            json!({"namespace": "cert-manager", "name": "cert-manager-webhook"});
        change(&mut snapshot);
        let document = report::doctor::document(&findings(&snapshot), &[], None);
        let mut checks = document["checks"].as_array().unwrap().iter();
        let found = checks
            .find(|it| it["id"] == "webhooks-not-orphaned")
            .unwrap();
        found["fix"].as_str().unwrap().to_owned()
    };
    let by_hand = "if its controller is gone for good: kubectl delete mutatingwebhookconfiguration cert-manager-webhook";
    let ours = fix(|it| {
        let release = resource("helm-release", "cert-manager", "cert-manager");
        it.resources.as_mut().unwrap().push(release);
    });
    assert_eq!(
        ours,
        format!("make the Service again with `arcctl up`; {by_hand}")
    );
    let theirs = fix(|_| {});
    assert!(
        theirs
            .starts_with("cert-manager's pods run: make its Service again with what installed it"),
        "{theirs}"
    );
    assert!(theirs.ends_with(by_hand), "{theirs}");
    let gone = fix(|it| it.cert_manager_pods = Ok(Vec::new()));
    assert_eq!(gone, by_hand);

    // The Service of a controller has the chart's full name for its release.
    let controllers = fix(|it| {
        let (namespace, service) = (
            "actions-runner-system",
            "arc-actions-runner-controller-webhook",
        );
        it.profile.controller.release = "arc".into();
        it.missing_services = Ok([format!("{namespace}/{service}")].into());
        it.webhooks.as_mut().unwrap()[0]["webhooks"][0]["clientConfig"]["service"] =
            json!({"namespace": namespace, "name": service});
        let release = resource("helm-release", namespace, "arc");
        it.resources.as_mut().unwrap().push(release);
    });
    assert!(
        controllers.starts_with("make the Service again with `arcctl up`; "),
        "{controllers}"
    );
}
