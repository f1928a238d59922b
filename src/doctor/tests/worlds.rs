//! A world in which all is well.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    desired::{Facts, autoscaler, runners::runner_labels},
    doctor::world::{Groups, Registered, Resource, SecretShape, Shape, World},
    profile::{Auto, Monitoring, load},
    resource::{
        Id,
        observed::{Observed, Present, Readiness},
    },
};

pub(super) const NOW: &str = "2026-11-24T12:00:00Z";

pub(super) fn ready_pod(name: &str, labels: &Value) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "n", "uid": name, "labels": labels,
            "annotations": {"arcctl.dev/secret-version": "7"}},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

pub(super) fn resource(kind: &str, namespace: &str, name: &str) -> Resource {
    Resource {
        id: Id::new(kind, Some(namespace), name),
        proof: ["webhook", "runner-pods", "registration"].contains(&kind),
        observed: Ok(Observed::Present(Present::same(Readiness::Ready))),
    }
}

/// A world in which all is well, and every check applies.
#[expect(clippy::too_many_lines, reason = "one entry per fact of a world")]
pub(super) fn healthy() -> World {
    let text = include_str!("../../../profiles/reference.yaml");
    let mut profile = load(text, "reference").unwrap().profile;
    profile.monitoring = Some(Monitoring {
        service_monitor: Auto::Always,
        ..Monitoring::default()
    });
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let facts = Facts {
        now,
        ..Facts::default()
    };
    let autoscaler = autoscaler::autoscaler(&profile, &profile.pools[0], &facts).unwrap();
    let webhook = |kind: &str, name: &str| {
        json!({"kind": kind, "metadata": {"name": format!("actions-runner-controller-{name}")},
            "webhooks": [{"name": "mutate.runner.actions.summerwind.dev", "clientConfig": {"caBundle": "Q0E=",
                "service": {"namespace": "actions-runner-system", "name": "actions-runner-controller-webhook"}}}]})
    };
    let manager =
        json!({"name": "manager", "image": "summerwind/actions-runner-controller:v0.27.6"});
    World {
        now,
        advice: Vec::new(),
        unsupported: Vec::new(),
        helm: Ok(()),
        kubernetes: Ok((1, 36)),
        nodes: Ok(vec![
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        ]),
        cert_manager_pods: Ok(vec![ready_pod("cert-manager", &json!({}))]),
        cert_manager_events: Ok(Vec::new()),
        controller: Ok(Some(json!({"spec": {"replicas": 2,
            "template": {"spec": {"containers": [manager]}}}}))),
        controller_pods: Ok(vec![ready_pod(
            "controller",
            &json!({"app.kubernetes.io/name": "actions-runner-controller"}),
        )]),
        controller_events: Ok(Vec::new()),
        certificate: Ok(Some(json!({"status": {"notAfter": "2027-02-01T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "True"}]}}))),
        serving_ca: Ok(Some("Q0E=".into())),
        secret: Ok(Some(SecretShape {
            version: "7".into(),
            keys: BTreeMap::from([("github_token".into(), Shape::Whole)]),
        })),
        webhooks: Ok(vec![
            webhook(
                "MutatingWebhookConfiguration",
                "mutating-webhook-configuration",
            ),
            webhook(
                "ValidatingWebhookConfiguration",
                "validating-webhook-configuration",
            ),
        ]),
        missing_services: Ok(BTreeSet::new()),
        slices: Ok(vec![json!({
            "metadata": {"labels": {"kubernetes.io/service-name": "actions-runner-controller-webhook"}},
            "endpoints": [{"conditions": {"ready": true}}]})]),
        runner_pods: Ok(vec![ready_pod("basic-a", &json!({}))]),
        runner_events: Ok(Vec::new()),
        runners: Ok(vec![
            json!({"kind": "Runner", "metadata": {"name": "basic-a"}}),
        ]),
        autoscalers: Ok(vec![autoscaler]),
        service_monitors: Ok(true),
        audit: Ok(Vec::new()),
        groups: Ok(Groups::default()),
        registered: Ok(vec![Registered {
            name: "basic-a".into(),
            online: true,
            labels: runner_labels(&profile.pools[0]),
        }]),
        resources: Ok(vec![
            resource("namespace", "-", "actions-runner"),
            resource("webhook", "cert-manager", "cert-manager-webhook"),
            resource(
                "webhook",
                "actions-runner-system",
                "actions-runner-controller-webhook",
            ),
            resource("runner-pods", "actions-runner", "basic"),
            resource("registration", "github", "basic"),
        ]),
        profile,
    }
}
