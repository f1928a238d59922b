//! Inputs of any size for the pure parts: for `benches/micro.rs`, which measures their time, and for
//! `tests/cli/growth.rs`, which counts their work.

use std::fmt::Write as _;

use arcctl::{
    desired::{Desired, Facts, desired, order, resource::Resource, teardown, teardown::Records},
    diff,
    plan::{Plan, Step, decide},
    policy::{Document, Trust, merged, own_sid, trust_statement},
    profile::{Profile, Schedule, load, schedule},
    resource::observed::{Observed, Ownership, Present, Readiness},
};
use serde_json::{Value, json};

/// A profile with `pools` pools, each with what a pool has in most profiles.
pub(crate) fn profile_text(pools: usize) -> String {
    let mut text = String::from(
        "apiVersion: arcctl.dev/v1
name: big
cluster: {context: build}
github: {organization: acme, token: {env: ARCCTL_GITHUB_TOKEN}}
pools:
",
    );
    for index in 0..pools {
        let pool = format!(
            "  - name: pool-{index:03}
    image: summerwind/actions-runner:v2.336.0-ubuntu-22.04
    labels: [linux, x64, pool-{index:03}]
    min: 1
    max: 4
    scaling:
      metrics: [{{type: PercentageRunnersBusy, scaleUp: {{threshold: 0.75, factor: 2}}}}]
    schedule:
      timeZone: Europe/Berlin
      windows:
        - {{name: weekend, from: Sat 00:00, to: Mon 00:00, min: 2}}
    resources:
      runner:
        requests: {{cpu: 500m, memory: 1Gi}}
        limits: {{cpu: 1500m, memory: 6Gi}}
"
        );
        text.push_str(&pool);
    }
    text
}

/// The same as `arcctl` reads it, lint included.
pub(crate) fn load_profile(text: &str) -> Profile {
    load(text, "arcctl.yaml").expect("it is valid").profile
}

/// What a run knows of a cluster.
pub(crate) fn facts() -> Facts {
    Facts {
        now: now(),
        kubernetes: Some((1, 36)),
        secret_version: Some("4711".into()),
        service_monitor_crd: Some(false),
        prometheus_rule_crd: Some(false),
        foreign_cert_manager: Some(false),
        ..Facts::default()
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-27T08:00:00Z".parse().expect("it is a time")
}

/// The resources of a profile, not yet in order.
pub(crate) fn build_desired(profile: &Profile, facts: &Facts) -> Vec<Desired> {
    desired(profile, facts).expect("it is valid")
}

/// What each step waits for.
pub(crate) fn connect(mut steps: Vec<Desired>) -> Vec<Desired> {
    order::connect(&mut steps).expect("it has an order");
    steps
}

/// The inventory of a run with these resources.
pub(crate) fn records(steps: &[Desired]) -> Records {
    teardown::records(steps)
}

/// What was observed of each: every second object has another value of the field that people change by hand most.
pub(crate) fn observations(steps: &[Desired]) -> Vec<(Desired, Value)> {
    let changed = |(index, step): (usize, &Desired)| {
        let mut live = match &step.resource {
            Resource::Object(object) => object.manifest.clone(),
            _ => Value::Null,
        };
        if index % 2 == 0 && live["spec"].is_object() {
            live["spec"]["maxReplicas"] = json!(1);
        }
        (step.clone(), live)
    };
    steps.iter().enumerate().map(changed).collect()
}

/// The plan: the differences of each object, and what is to be done.
pub(crate) fn plan(observed: &[(Desired, Value)]) -> Plan {
    let step = |(desired, live): &(Desired, Value)| -> Step {
        let differences = match &desired.resource {
            Resource::Object(object) => diff::missing(live, &object.manifest),
            _ => Vec::new(),
        };
        let present = Observed::Present(Present {
            differences,
            readiness: Readiness::Ready,
            ownership: Ownership::Ours,
        });
        decide(desired, &present, false).expect("it is ours")
    };
    Plan {
        profile: "big".into(),
        steps: observed.iter().map(step).collect(),
    }
}

/// A trust policy with `statements` of others.
pub(crate) fn trust_policy(statements: usize) -> String {
    let mut text = String::from(r#"{"Version": "2012-10-17", "Statement": ["#);
    for index in 0..statements {
        let comma = if index == 0 { "" } else { ", " };
        write!(
            text,
            r#"{comma}{{"Sid": "Other{index}", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {{"AWS": "arn:aws:iam::123456789012:role/r{index}"}}}}"#
        )
        .expect("a text takes it");
    }
    text.push_str("]}");
    text
}

/// The policy with the runners' statement in it, as IAM gets it.
pub(crate) fn merge_policy(text: &str) -> String {
    let sid = own_sid("arn:aws:eks:eu-west-1:123456789012:cluster/runners", "big");
    let own = trust_statement(Trust {
        sid: &sid,
        partition: "aws",
        account: "123456789012",
        issuer: "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
        subjects: &["system:serviceaccount:actions-runner:runner".to_owned()],
    });
    let document = Document::parse(text).expect("it is a policy");
    merged(&document, &sid, &[own])
        .expect("the statement is new")
        .text()
}

/// A schedule with `windows` of ten minutes, spread over the week.
pub(crate) fn weekly(windows: usize) -> Schedule {
    let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let time = |minute: usize| {
        let (hour, minute) = (minute / 60 % 24, minute % 60);
        format!("{hour:02}:{minute:02}")
    };
    let window = |index: usize| {
        let (day, begin) = (days[index % 7], index / 7 * 15);
        json!({"name": format!("w{index}"), "min": 2,
            "from": format!("{day} {}", time(begin)), "to": format!("{day} {}", time(begin + 10))})
    };
    let windows: Vec<Value> = (0..windows).map(window).collect();
    let schedule = json!({"timeZone": "Europe/Berlin", "windows": windows});
    serde_json::from_value(schedule).expect("it is a schedule")
}

/// The controller's overrides for it.
pub(crate) fn expand(schedule: &Schedule) -> Vec<schedule::Override> {
    schedule::overrides(schedule, now()).expect("it is valid")
}
