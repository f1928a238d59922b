//! Differences between healthy installations.

use serde_json::json;

use super::{
    faults::{Fault, not_yet, token_event},
    worlds::{NOW, ready_pod},
};
use crate::{
    desired::pool::probe::State,
    doctor::snapshot::{Registered, Shape, Snapshot},
};

/// A job has just ended: its runner's pod is replaced by one that is not online yet.
pub(super) fn turnover(snapshot: &mut Snapshot) {
    let pods = snapshot.runner_pods.as_mut().unwrap();
    let labels = json!({"runner-deployment-name": "basic"});
    pods[0]["metadata"]["labels"] = labels.clone();
    let mut new = ready_pod("basic-b", &labels);
    new["metadata"]["creationTimestamp"] = json!("2026-11-24T11:59:10Z");
    pods.push(new);
    not_yet(snapshot, "registration");
}

/// Differences between healthy installations, each alone and every two together.
pub(super) const VARIANTS: &[Fault] = &[
    |it| it.profile.pools[0].schedule = None,
    |it| it.cert_manager_pods = Ok(Vec::new()),
    |it| {
        let mut finished = ready_pod("startupapicheck", &json!({}));
        finished["status"] = json!({"phase": "Succeeded"});
        it.cert_manager_pods.as_mut().unwrap().push(finished);
    },
    |it| {
        let labels = json!({"app.kubernetes.io/name": "actions-runner-controller"});
        let mut evicted = ready_pod("evicted", &labels);
        evicted["status"] = json!({"phase": "Failed", "reason": "Evicted"});
        it.controller_pods.as_mut().unwrap().push(evicted);
    },
    |it| {
        it.registered.as_mut().unwrap().push(Registered {
            name: "basic-elsewhere".into(),
            online: false,
            busy: false,
            labels: vec!["of-another-cluster".into()],
            version: None,
        });
    },
    |it| {
        let old = json!({"reason": "RunnerAutoscalingFailure",
            "lastTimestamp": "2026-11-24T11:00:00Z", "involvedObject": {"name": "basic"}});
        it.runner_events.as_mut().unwrap().push(old);
    },
    |it| it.runners.as_mut().unwrap()[0]["metadata"]["deletionTimestamp"] = json!(NOW),
    turnover,
    |it| it.profile.monitoring = None,
    |it| {
        if let Some(monitoring) = &mut it.profile.monitoring {
            monitoring.labels.insert("release".into(), "prom".into());
        }
        for prometheus in it.prometheuses.iter_mut().flatten() {
            prometheus["spec"]["ruleSelector"] = json!({"matchLabels": {"release": "prom"}});
        }
    },
    |it| it.prometheuses = Ok(Vec::new()),
    |it| {
        // No Prometheus operator, and the profile requires none.
        it.profile.monitoring = Some(crate::profile::Monitoring::default());
        (it.service_monitors, it.prometheus_rules) = (Ok(false), Ok(false));
        (it.monitors, it.prometheuses) = (Ok(Vec::new()), Ok(Vec::new()));
    },
    |it| {
        let key = ("github_app_private_key".to_owned(), Shape::Spaced);
        let ids =
            ["github_app_id", "github_app_installation_id"].map(|it| (it.to_owned(), Shape::Whole));
        it.secret.as_mut().unwrap().as_mut().unwrap().keys = ids.into_iter().chain([key]).collect();
    },
    // A cluster that is not EKS, or whose profile leaves AWS alone.
    |it| {
        it.profile.aws = None;
        it.at_aws.caller = Ok(None);
        it.at_aws.cluster = Ok(None);
        it.at_aws.wiring = Ok(None);
        let kept = |id: &str| !crate::desired::teardown::is_at_aws(id);
        it.resources
            .as_mut()
            .unwrap()
            .retain(|it| kept(it.id.as_str()));
    },
    // Only security groups, no role.
    |it| {
        if let Some(aws) = it.profile.aws.as_mut() {
            aws.irsa = None;
        }
        if let Some(wiring) = it.at_aws.wiring.as_mut().unwrap() {
            wiring.trust_policy = None;
        }
    },
    // A GitHub Enterprise Server on the internet.
    |it| {
        if let Some(aws) = it.profile.aws.as_mut() {
            aws.github_server = None;
        }
    },
    // A quota that AWS has raised.
    |it| {
        if let Some(wiring) = it.at_aws.wiring.as_mut().unwrap()
            && let Some(policy) = wiring.trust_policy.as_mut()
        {
            (policy.size, policy.quota) = (3000, Some(4096));
        }
    },
    // A token that was issued at the second try.
    |it| {
        let events = it.runner_events.as_mut().unwrap();
        events.push(token_event(
            "FailedUpdateRegistrationToken",
            "2026-11-24T11:59:00Z",
        ));
        events.push(token_event(
            "RegistrationTokenUpdated",
            "2026-11-24T11:59:30Z",
        ));
    },
    // A runner that got no token, and is gone.
    |it| {
        let mut gone = token_event("FailedUpdateRegistrationToken", NOW);
        gone["involvedObject"]["name"] = json!("basic-gone");
        it.runner_events.as_mut().unwrap().push(gone);
    },
    // A node that is cordoned beside one that is not, and one that is not ready.
    |it| {
        let nodes = it.nodes.as_mut().unwrap();
        let mut cordoned = nodes[0].clone();
        cordoned["spec"] = json!({"unschedulable": true});
        nodes.push(cordoned);
        nodes.push(json!({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}));
    },
    // A webhook called by URL, as EKS's own is.
    |it| {
        let other = json!({"kind": "MutatingWebhookConfiguration", "metadata": {"name": "pod-identity-webhook"},
            "webhooks": [{"name": "iam-for-pods.amazonaws.com", "clientConfig": {"url": "https://127.0.0.1"}}]});
        it.webhooks.as_mut().unwrap().push(other);
    },
    // Another version of the controller that runs on this Kubernetes, from a mirror.
    |it| {
        let deployment = it.controller.as_mut().unwrap().as_mut().unwrap();
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] =
            json!("mirror.dogecompany.com:5000/summerwind/actions-runner-controller:v0.28.0");
    },
    // Jobs hold reservations that are over.
    |it| {
        it.autoscalers.as_mut().unwrap()[0]["spec"]["capacityReservations"] =
            json!([{"replicas": 99, "expirationTime": "2026-11-24T11:00:00Z"}]);
    },
    // A namespace of another owner: used unchanged, not marked.
    |it| {
        let resources = it.resources.as_mut().unwrap();
        resources.retain(|it| it.id.kind() != "namespace");
    },
    // Nobody asked for a probe.
    |it| it.probe = None,
    // Through a proxy, which resolves and connects.
    |it| {
        if let Some(Ok(probed)) = it.probe.as_mut() {
            for answer in probed[0].said.as_mut().unwrap() {
                if answer.step == "dns" || answer.step == "tcp" {
                    answer.state = State::Skipped;
                }
            }
        }
    },
    // Nodes of two kinds, each with a rule of its own.
    |it| {
        let resources = it.resources.as_mut().unwrap();
        if let Some(more) = resources.iter().find(|it| it.purpose.is_some()).cloned() {
            resources.push(more);
        }
    },
];
