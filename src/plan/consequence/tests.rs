//! Tests the side effects of changes.

use serde_json::{Value, json};

use super::*;
use crate::desired::{
    Goal,
    resource::{Chart, HelmRelease, Id, KubeObject},
    summary::Summary,
};

fn release() -> Desired {
    Desired {
        id: Id::new("helm-release", Some("n"), "arc"),
        phase: Phase::Controller,
        after: Vec::new(),
        resource: Resource::Release(HelmRelease {
            name: "arc".into(),
            namespace: "n".into(),
            chart: Chart {
                name: "arc".into(),
                version: "1".into(),
                location: String::new(),
            },
            values: json!({}),
            profile: "p".into(),
        }),
        goal: Goal::Present,
    }
}

fn of(desired: &Desired, paths: &[&str]) -> Vec<Consequence> {
    let differences: Vec<Difference> = paths
        .iter()
        .map(|path| Difference {
            path: (*path).into(),
            from: Value::Null,
            to: json!(1),
        })
        .collect();
    consequences(desired, &differences)
}

#[test]
fn values_beside_the_pods_restart_nothing() {
    let pods = |what: &str| Consequence::Pods { what: what.into() };
    for path in [
        "values.replicaCount",
        "values.authSecret.github_token",
        "values.metrics.serviceMonitor.enable",
        "live.Service/a.spec.ports",
        "live.Deployment/a.spec.replicas",
        "status",
    ] {
        assert_eq!(of(&release(), &[path]), [], "{path}");
    }
    for path in [
        "values.syncPeriod",
        "values.podAnnotations.arcctl.dev/secret-version",
        "chart.version",
        "values.unknown",
    ] {
        assert_eq!(
            of(&release(), &[path]),
            [pods("of release `arc`")],
            "{path}"
        );
    }
    assert_eq!(
        of(
            &release(),
            &["live.Deployment/a.spec.template.spec.containers[x].image"]
        ),
        [pods("of Deployment `a`")]
    );
}

#[test]
fn another_minor_version_of_scale_sets_is_said_and_what_it_means_for_each() {
    let version = |from: &str, to: &str| {
        let mut controller = release();
        if let Resource::Release(release) = &mut controller.resource {
            release.chart.name = names::SCALE_SET_CONTROLLER_CHART.into();
        }
        let difference = Difference {
            path: "chart.version".into(),
            from: json!(from),
            to: json!(to),
        };
        consequences(&controller, &[difference])
    };
    let pods = Consequence::Pods {
        what: "of release `arc`".into(),
    };
    assert_eq!(version("0.14.1", "0.14.2"), std::slice::from_ref(&pods));
    let minor = Consequence::Minor {
        from: "0.14.2".into(),
        to: "0.15.1".into(),
    };
    assert_eq!(version("0.14.2", "0.15.1"), [minor, pods]);

    let mut drain = ScaleSetDrain {
        namespace: "n".into(),
        name: "fast".into(),
        controller_namespace: "arc-systems".into(),
        controller: "arc-gha-rs-controller".into(),
        successor: Some("0.15.1".into()),
    };
    let quiet = Consequence::Quiet {
        namespace: "n".into(),
        pool: "fast".into(),
    };
    let until = Id::new("helm-release", Some("n"), "fast");
    assert_eq!(gap(&drain), [quiet, Consequence::Gap { until }]);
    drain.successor = None;
    assert_eq!(gap(&drain), []);
}

/// A step of pool `basic`, which is ready.
fn step(kind: &str, action: Action, differences: Vec<Difference>) -> Step {
    Step {
        id: format!("{kind}/n/basic"),
        kind: kind.into(),
        name: "basic".into(),
        phase: Phase::Runners,
        action,
        differences,
        adopts: false,
        ready: true,
        proof: false,
        note: None,
        consequences: Vec::new(),
        summary: Summary::default(),
    }
}

#[test]
fn a_controller_with_other_hashes_replaces_every_runner() {
    let version = |from: &str, to: &str| Difference {
        path: "chart.version".into(),
        from: json!(from),
        to: json!(to),
    };
    let of_chart = |name: &str, from: &str, to: &str| {
        let mut release = release();
        if let Resource::Release(release) = &mut release.resource {
            release.chart.name = name.into();
        }
        consequences(&release, &[version(from, to)]).contains(&Consequence::EveryRunner)
    };
    assert!(of_chart(names::CONTROLLER, "0.23.3", "0.23.7"));
    assert!(of_chart(names::CONTROLLER, "0.23.7", "0.23.4"));
    assert!(!of_chart(names::CONTROLLER, "0.23.5", "0.23.7"));
    assert!(!of_chart(names::CONTROLLER, "0.23.3", "0.23.4"));
    assert!(!of_chart(names::CERT_MANAGER, "0.23.3", "0.23.7"));

    let plan = |from: &str| Plan {
        profile: "p".into(),
        steps: vec![
            Step {
                phase: Phase::Controller,
                ..step("release", Action::Update, vec![version(from, "0.23.7")])
            },
            step("runner-deployment", Action::Keep, Vec::new()),
        ],
    };
    assert!(makes_pods(&plan("0.23.3"), "n", "basic"));
    assert!(!makes_pods(&plan("0.23.6"), "n", "basic"));
}

#[test]
fn only_the_template_of_a_pool_replaces_its_runners() {
    let pool = Desired {
        id: Id::new("runner-deployment", Some("n"), "basic"),
        resource: Resource::Object(KubeObject::new(json!({"kind": "RunnerDeployment"}))),
        ..release()
    };
    assert_eq!(of(&pool, &["metadata.labels.a"]), []);
    let all = Consequence::Runners {
        namespace: "n".into(),
        pool: "basic".into(),
    };
    assert_eq!(of(&pool, &["spec.template.spec.labels[1]"]), [all]);
}

#[test]
fn pods_are_made_where_their_template_or_their_number_changes() {
    let step = |kind: &str, action: Action, path: &str, ready: bool| {
        let changed = Difference {
            path: path.into(),
            from: json!(1),
            to: json!(2),
        };
        Step {
            ready,
            ..step(kind, action, vec![changed])
        }
    };
    let makes = |steps: Vec<Step>| {
        let profile = "p".into();
        makes_pods(&Plan { profile, steps }, "n", "basic")
    };
    let (pool, scaler, pods) = (
        "runner-deployment",
        "horizontal-runner-autoscaler",
        "runner-pods",
    );
    let one = |kind, action, path| makes(vec![step(kind, action, path, true)]);
    assert!(one(pool, Action::Create, "") && one(scaler, Action::Create, ""));
    assert!(one(pool, Action::Update, "spec.template.spec.image"));
    assert!(one(scaler, Action::Update, "spec.minReplicas"));
    assert!(!one(pool, Action::Update, "metadata.labels.team"));
    assert!(!one(scaler, Action::Update, "spec.maxReplicas"));
    let maximum = |kind, path| {
        let steps = vec![step(kind, Action::Update, path, true)];
        let profile = "p".into();
        changes_maximum(&Plan { profile, steps }, "n", "basic")
    };
    assert!(maximum(scaler, "spec.maxReplicas"));
    assert!(maximum("helm-release", "values.maxRunners"));
    assert!(!maximum(scaler, "spec.minReplicas"));
    assert!(!one(pool, Action::Keep, "spec.template.spec.image"));
    // Pods are missing: a run with nothing else to do would only wait for them.
    let missing = || step(pods, Action::Keep, "", false);
    assert!(makes(vec![missing()]));
    let other = step("secret", Action::Update, "data.github_token", true);
    assert!(!makes(vec![missing(), other]));
}
