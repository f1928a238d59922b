//! Tests what each step of a run waits for, and what it does not wait for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::profile;
use crate::{
    desired::{
        Desired, Facts, Goal, Phase, desired,
        order::{OrderError, begins_when_accepted, connect},
        pool::prepull::Candidate,
        resource::{Drain, Id, Resource},
        teardown::{self, Records, TeardownOptions},
    },
    profile::load,
};

const RELEASE: &str = "helm-release/actions-runner-system/actions-runner-controller";
const WEBHOOK: &str = "webhook/actions-runner-system/actions-runner-controller-webhook";
const CERT_MANAGER: &str = "helm-release/cert-manager/cert-manager";
const CRDS: &str = "crds/-/cert-manager";
const DEPLOYMENT: &str = "runner-deployment/actions-runner/basic";

/// A profile with everything that others may wait for.
fn everything() -> Value {
    json!({
        "cluster": {"context": null, "eks": "prod", "region": "eu-central-1"},
        "github": {"caBundle": {"file": "ca.pem"}},
        "monitoring": {"alerts": "always", "dashboard": "always"},
        "aws": {
            "githubServer": {"securityGroup": "sg-server"},
            "irsa": {"role": "runner", "serviceAccount": "sa", "buckets": [{"name": "bucket", "access": "read", "apply": true}]},
        },
    })
}

fn connected(changes: &Value) -> Vec<Desired> {
    let mut steps = desired(&profile(changes), &Facts::default()).unwrap();
    connect(&mut steps).unwrap();
    steps
}

/// Everything that a step waits for, directly or through others.
fn before(steps: &[Desired], id: &str) -> BTreeSet<String> {
    let after: BTreeMap<&str, &Vec<Id>> =
        steps.iter().map(|it| (it.id.as_str(), &it.after)).collect();
    let mut found = BTreeSet::new();
    let mut open = vec![id.to_owned()];
    while let Some(next) = open.pop() {
        for earlier in after
            .get(next.as_str())
            .into_iter()
            .flat_map(|it| it.iter())
        {
            if found.insert(earlier.to_string()) {
                open.push(earlier.to_string());
            }
        }
    }
    found
}

/// What a new pool waits for, but for its namespace: an old pool has one.
fn before_runners(steps: &[Desired]) -> BTreeSet<String> {
    let mut before = before(steps, DEPLOYMENT);
    before.retain(|it| it != "namespace/-/actions-runner");
    before
}

fn of_kind(steps: &[Desired], kind: &str) -> Vec<String> {
    let ids = steps.iter().map(|it| &it.id);
    let found: Vec<String> = ids
        .filter(|it| it.kind() == kind)
        .map(ToString::to_string)
        .collect();
    assert!(!found.is_empty(), "no {kind}");
    found
}

#[track_caller]
fn assert_waits(steps: &[Desired], id: &str, kinds: &[&str]) {
    let before = before(steps, id);
    for earlier in kinds.iter().flat_map(|it| of_kind(steps, it)) {
        assert!(
            before.contains(&earlier),
            "{id} does not wait for {earlier}"
        );
    }
}

#[track_caller]
fn assert_does_not_wait(steps: &[Desired], id: &str, kinds: &[&str]) {
    let before = before(steps, id);
    for other in kinds.iter().flat_map(|it| of_kind(steps, it)) {
        assert!(!before.contains(&other), "{id} waits for {other}");
    }
}

/// What AWS takes its time for, an alert, or the runners themselves: the controller does not wait for it.
const NOT_BEFORE_THE_CONTROLLER: [&str; 6] = [
    "oidc-provider",
    "iam-role",
    "iam-role-policy",
    "bucket-policy",
    "prometheus-rule",
    "runner-deployment",
];

#[test]
fn the_controller_waits_for_what_it_reads_and_not_for_aws() {
    let steps = connected(&everything());
    assert_waits(&steps, RELEASE, &["crds", "secret"]);
    let authority = "config-map/actions-runner-system/arcctl-github-ca";
    let before = before(&steps, RELEASE);
    assert!(before.contains(authority), "{before:?}");
    assert!(
        before.contains("webhook/cert-manager/cert-manager-webhook"),
        "{before:?}"
    );
    assert_does_not_wait(&steps, RELEASE, &NOT_BEFORE_THE_CONTROLLER);
}

#[test]
fn a_runner_has_all_it_needs_before_it_takes_a_job() {
    let steps = connected(&everything());
    let needs = [
        "iam-role",
        "iam-role-policy",
        "bucket-policy",
        "service-account",
        "secret",
        "crds",
    ];
    assert_waits(&steps, DEPLOYMENT, &needs);
    assert!(before(&steps, DEPLOYMENT).contains(WEBHOOK));
    assert_does_not_wait(&steps, DEPLOYMENT, &["prometheus-rule"]);
    assert!(
        before(&steps, "registration/github/basic").contains("runner-pods/actions-runner/basic")
    );
}

#[test]
fn rules_are_there_before_what_goes_through_them_and_hold_nothing_else_up() {
    let steps = connected(&everything());
    assert_waits(&steps, WEBHOOK, &["security-group-rule"]);
    assert_waits(&steps, DEPLOYMENT, &["security-group-rule"]);
    for id in [RELEASE, "webhook/cert-manager/cert-manager-webhook"] {
        assert_does_not_wait(&steps, id, &["security-group-rule"]);
    }
    for id in of_kind(&steps, "security-group-rule") {
        let kinds = ["crds", "helm-release", "webhook", "iam-role", "secret"];
        assert_does_not_wait(&steps, &id, &kinds);
    }
}

#[test]
fn cert_manager_and_aws_do_not_wait_for_each_other() {
    let steps = connected(&everything());
    let aws = ["oidc-provider", "iam-role"];
    assert_does_not_wait(&steps, "webhook/cert-manager/cert-manager-webhook", &aws);
    for id in aws.iter().flat_map(|it| of_kind(&steps, it)) {
        assert_does_not_wait(&steps, &id, &["crds", "helm-release", "webhook"]);
    }
}

#[test]
fn only_a_fresh_cert_manager_does_not_wait_for_its_crds() {
    let with = |no_cert_manager_release: bool, changes: &Value| {
        let facts = Facts {
            no_cert_manager_release,
            ..Facts::default()
        };
        let mut steps = desired(&profile(changes), &facts).unwrap();
        connect(&mut steps).unwrap();
        let proven = before(&steps, "webhook/cert-manager/cert-manager-webhook");
        assert!(proven.contains(CRDS), "{proven:?}");
        assert!(proven.contains(CERT_MANAGER), "{proven:?}");
        before(&steps, CERT_MANAGER).contains(CRDS)
    };
    assert!(with(false, &json!({})));
    assert!(!with(true, &json!({})));
    // An Issuer of the user's in the chart's values is of a kind that must be there.
    let own = json!({"certManager": {"values": {"extraObjects": ["kind: ClusterIssuer"]}}});
    assert!(with(true, &own));
}

#[test]
fn a_pool_does_not_wait_for_another() {
    let pool = |name: &str| json!({"name": name, "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4});
    let steps = connected(&json!({"pools": [pool("a"), pool("b")]}));
    let of_a = before(&steps, "registration/github/a");
    assert!(of_a.contains("runner-pods/actions-runner/a"), "{of_a:?}");
    assert!(!of_a.iter().any(|it| it.ends_with("/b")), "{of_a:?}");
}

#[test]
fn every_shipped_profile_has_an_order() {
    for text in [
        include_str!("../../../profiles/reference.yaml"),
        include_str!("../../../profiles/organization-app.yaml"),
        include_str!("../../../profiles/repository.yaml"),
        include_str!("../../../profiles/scale-sets.yaml"),
    ] {
        let profile = load(text, "shipped").unwrap().profile;
        let mut steps = desired(&profile, &Facts::default()).unwrap();
        connect(&mut steps).unwrap();
        // Nothing is added the second time: a plan that is made again has the same order.
        let once: Vec<Vec<Id>> = steps.iter().map(|it| it.after.clone()).collect();
        connect(&mut steps).unwrap();
        let twice: Vec<Vec<Id>> = steps.iter().map(|it| it.after.clone()).collect();
        assert_eq!(once, twice);
    }
}

fn drain(pool: &str) -> Desired {
    let drain = Drain {
        namespace: "actions-runner".into(),
        pool: pool.into(),
    };
    Desired {
        id: Id::new("runner-deployment", Some("actions-runner"), pool),
        phase: Phase::Drain,
        after: Vec::new(),
        resource: Resource::Drain(drain),
        goal: Goal::Absent,
    }
}

#[test]
fn a_removed_pool_makes_room_once_its_successor_can_be_made() {
    let mut steps = desired(&profile(&json!({})), &Facts::default()).unwrap();
    steps.push(drain("old"));
    connect(&mut steps).unwrap();
    let before = before(&steps, "runner-deployment/actions-runner/old");
    assert_eq!(before, before_runners(&steps));
    assert!(before.contains(WEBHOOK), "{before:?}");
}

#[test]
fn a_foreign_autoscaler_stays_until_ours_can_be_made() {
    let rival = json!({
        "apiVersion": "actions.summerwind.dev/v1alpha1",
        "kind": "HorizontalRunnerAutoscaler",
        "metadata": {"name": "theirs", "namespace": "actions-runner"},
        "spec": {"scaleTargetRef": {"name": "basic"}},
    });
    let facts = Facts {
        rivals: vec![rival],
        ..Facts::default()
    };
    let mut steps = desired(&profile(&json!({})), &facts).unwrap();
    connect(&mut steps).unwrap();
    let theirs = "horizontal-runner-autoscaler/actions-runner/theirs";
    assert_eq!(before(&steps, theirs), before_runners(&steps));
    assert!(before(&steps, "horizontal-runner-autoscaler/actions-runner/basic").contains(theirs));
}

/// Of a role, its policies and the statements of buckets, each request that comes too early is sent again; a runner would use what
/// is not there yet.
#[test]
fn what_is_at_aws_waits_for_a_request_only_and_everything_else_for_its_result() {
    let steps = connected(&everything());
    for step in &steps {
        for need in steps.iter().filter(|it| step.after.contains(&it.id)) {
            assert_eq!(
                begins_when_accepted(step, need),
                step.id.is_at_aws() && need.id.is_at_aws(),
                "{} {}",
                step.id,
                need.id
            );
        }
    }
    let of = |kind: &str, goal| Desired {
        goal,
        ..steps
            .iter()
            .find(|it| it.id.kind() == kind)
            .unwrap()
            .clone()
    };
    for (one, other, early) in [
        (Goal::Present, Goal::Present, true),
        (Goal::Absent, Goal::Absent, true),
        // A role that leaves goes once the runners have another one, and that works.
        (Goal::Absent, Goal::Present, false),
        (Goal::Present, Goal::Absent, false),
    ] {
        let found = begins_when_accepted(&of("iam-role", one), &of("oidc-provider", other));
        assert_eq!(found, early, "{one:?} {other:?}");
    }
}

#[test]
fn a_teardown_keeps_the_order_of_its_phases() {
    let object = |kind: &str| json!({"apiVersion": "v1", "kind": kind});
    let records: Records = [
        (DEPLOYMENT.to_owned(), object("RunnerDeployment")),
        (RELEASE.to_owned(), json!({})),
        (
            "secret/actions-runner-system/controller-manager".to_owned(),
            json!({"managed": true}),
        ),
        (
            "helm-release/cert-manager/cert-manager".to_owned(),
            json!({}),
        ),
        (
            "security-group-rule/sg-1/ingress-443-from-sg-2".to_owned(),
            json!({"direction": "ingress", "port": 443, "peer": {"group": "sg-2"}, "sid": "Arcctl1"}),
        ),
    ]
    .into();
    let mut steps = teardown::teardown(&records, &profile(&json!({})), TeardownOptions::default());
    connect(&mut steps).unwrap();
    assert!(steps.iter().any(|it| it.id.is_at_aws()));
    for step in &steps {
        let earlier = steps.iter().filter(|it| it.phase < step.phase);
        for earlier in earlier {
            // What is left in the cluster goes beside AWS, the inventory after both.
            let waits = !earlier.id.is_at_aws() || step.phase == Phase::Memory;
            assert_eq!(
                step.after.contains(&earlier.id),
                waits,
                "{} {}",
                step.id,
                earlier.id
            );
        }
    }
}

#[test]
fn a_need_that_nobody_fulfils_and_a_circle_are_faults() {
    let fresh = || desired(&profile(&json!({})), &Facts::default()).unwrap();
    let mut steps = fresh();
    let missing = Id::new("secret", Some("n"), "forgotten");
    steps[3].after.push(missing.clone());
    let step = steps[3].id.clone();
    assert_eq!(
        connect(&mut steps),
        Err(OrderError::Unknown { step, missing })
    );

    let mut steps = fresh();
    let last = steps.last().unwrap().id.clone();
    steps[4].after.push(last);
    assert!(matches!(connect(&mut steps), Err(OrderError::Circular(_))));
}

/// The pull of the only pool's images on one node.
fn pull(profile: &crate::profile::Profile) -> Desired {
    let pool = &profile.pools[0];
    let runner = crate::desired::pool::dry_run_pod::runner_pod(profile, pool).unwrap();
    let mut candidate = Candidate::of(profile, pool, &runner).unwrap();
    candidate.see(&json!({
        "metadata": {"name": "a", "labels": {}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "images": [{"names": ["pause"]}]},
    }));
    candidate.decide(profile).unwrap()
}

#[test]
fn images_are_pulled_beside_everything_and_nothing_waits_for_them() {
    let profile = profile(&everything());
    let mut steps = desired(&profile, &Facts::default()).unwrap();
    let pull = pull(&profile);
    steps.push(pull.clone());
    // What leaves the profile last does not wait for them either.
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let records: Records = [("config-map/actions-runner/old".to_owned(), object)].into();
    steps.extend(teardown::left_behind(&records, &steps, &profile));
    connect(&mut steps).unwrap();
    assert_eq!(
        before(&steps, pull.id.as_str()),
        BTreeSet::from(["namespace/-/actions-runner".to_owned()])
    );
    for step in &steps {
        assert!(
            !step.after.contains(&pull.id),
            "{} waits for images",
            step.id
        );
    }
}

#[test]
fn what_pulled_images_for_a_run_that_was_killed_goes_at_once() {
    let profile = profile(&json!({}));
    let mut steps = desired(&profile, &Facts::default()).unwrap();
    let records = teardown::records(&[pull(&profile)]);
    let left = teardown::left_behind(&records, &steps, &profile);
    let id = left[0].id.to_string();
    steps.extend(left);
    connect(&mut steps).unwrap();
    assert_eq!(before(&steps, &id), BTreeSet::new());
}
