//! The facts of a healthy installation.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use serde_json::{Value, json};

use crate::{
    desired::{
        Facts,
        aws::{TO_SERVER, TO_WEBHOOKS},
        capacity::{Lack, PoolRoom},
        pool::{
            autoscaler,
            both_modes::runner_labels,
            probe::{Answer, State},
        },
        resource::{Id, aws::PodIdentityAssociation, scale_set::SetRecord},
        scale_set::values::config_url,
    },
    doctor::{
        redact::digest,
        snapshot::{
            AtAws, Groups, NamedSecret, PodTrial, Probed, Registered, Resource, ScaleSetFacts,
            SecretShape, SetAtGithub, Shape, Snapshot, TrustPolicy, Wiring,
        },
    },
    profile::{Auto, Mode, Monitoring, Pool, load},
    resource::{
        observed::{Observed, Present, Readiness},
        other_controllers::SetController,
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

/// The Deployment of one of cert-manager's parts.
pub(super) fn cert_manager_part(part: &str) -> Value {
    json!({
        "metadata": {"name": format!("cert-manager-{part}"), "namespace": "cert-manager", "generation": 1,
            "labels": {"app.kubernetes.io/component": part, "app.kubernetes.io/instance": "cert-manager"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app.kubernetes.io/component": part}}},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
    })
}

pub(super) fn resource(kind: &str, namespace: &str, name: &str) -> Resource {
    Resource {
        purpose: None,
        id: Id::new(kind, Some(namespace), name),
        proof: ["webhook", "runner-pods", "registration"].contains(&kind),
        observed: Ok(Observed::Present(Present::same(Readiness::Ready))),
    }
}

fn rule(name: &str, purpose: &str) -> Resource {
    Resource {
        purpose: Some(purpose.into()),
        ..resource("security-group-rule", "sg-1", name)
    }
}

/// The results of a probe whose steps all have the same state.
pub(super) fn probed(state: State) -> Probed {
    let answer = |step: &str| Answer {
        step: step.into(),
        state,
        said: "seen".into(),
    };
    Probed {
        pool: "basic".into(),
        said: Ok(["dns", "tcp", "tls", "api", "aws"].map(answer).into()),
    }
}

/// The facts of AWS.
fn at_aws() -> AtAws {
    AtAws {
        caller: Ok(Some("arn:aws:iam::111122223333:role/ops".into())),
        cluster: Ok(Some("runners".into())),
        wiring: Ok(Some(Wiring {
            networks: 1,
            auto_mode: false,
            advice: Vec::new(),
            trust_policy: Some(TrustPolicy {
                role: "actions-runner-role".into(),
                size: 400,
                quota: Some(2048),
            }),
        })),
    }
}

/// A Prometheus that selects arcctl's objects, in any namespace.
fn prometheus() -> Value {
    let ours = json!({"matchLabels": {"app.kubernetes.io/managed-by": "arcctl"}});
    json!({"metadata": {"namespace": "monitoring", "name": "k8s"},
        "spec": {"serviceMonitorSelector": ours, "serviceMonitorNamespaceSelector": {},
            "podMonitorSelector": ours, "podMonitorNamespaceSelector": {},
            "ruleSelector": {}, "ruleNamespaceSelector": {"matchLabels": {"team": "ci"}}}})
}

/// A world in which all is well, and every check applies.
pub(super) fn healthy() -> Snapshot {
    // Reading the profile takes longer than judging it.
    static HEALTHY: LazyLock<Snapshot> = LazyLock::new(make);
    HEALTHY.clone()
}

/// The same with the role by Pod Identity, to which other checks apply.
pub(super) fn by_association() -> Snapshot {
    let mut snapshot = healthy();
    let aws = snapshot.profile.aws.as_mut().unwrap();
    aws.pod_identity = aws.irsa.take();
    let agent = json!({"status": {"numberReady": 2, "desiredNumberScheduled": 2}});
    snapshot.role_agent = Ok(Some(agent));
    let resources = snapshot.resources.as_mut().unwrap();
    resources.retain(|it| it.id.kind() != "oidc-provider");
    resources.push(resource(
        PodIdentityAssociation::KIND,
        "actions-runner",
        "runner",
    ));
    snapshot
}

/// The same with a second pool that is a runner scale set, to which other checks apply.
pub(super) fn with_scale_set() -> Snapshot {
    let mut snapshot = healthy();
    let mut pool = Pool {
        name: "fast".into(),
        mode: Mode::ScaleSet,
        namespace: "actions-runner".into(),
        labels: vec!["gpu".into()],
        min: 1,
        max: 3,
        ..snapshot.profile.pools[0].clone()
    };
    pool.schedule = None;
    pool.scaling = None;
    let labels = runner_labels(&pool);
    snapshot.profile.pools.push(pool);
    snapshot.profile.scale_sets.metrics = true;
    let resources = snapshot.resources.as_mut().unwrap();
    resources.extend([
        resource(
            "pod-monitor",
            "actions-runner-system",
            "scale-set-listeners",
        ),
        resource("scale-set", "actions-runner", "fast"),
        resource("runner-pods", "actions-runner", "fast"),
        resource("registration", "github", "fast"),
    ]);
    let scope = config_url(&snapshot.profile.github).unwrap();
    snapshot.scale_sets = Some(scale_set_facts(labels, scope));
    let runner = json!({"actions.github.com/scale-set-name": "fast"});
    let mut pod = ready_pod("fast-a-runner-b", &runner);
    pod["metadata"]["namespace"] = json!("actions-runner");
    pod["status"]["containerStatuses"] = json!([
        {"name": "runner", "state": {"running": {"startedAt": "2026-11-20T12:00:05Z"}}}]);
    snapshot.runner_pods.as_mut().unwrap().push(pod);
    snapshot.registered.as_mut().unwrap().push(Registered {
        name: "fast-a-runner-b".into(),
        online: true,
        busy: false,
        labels: Vec::new(),
        version: None,
    });
    let offered = snapshot.offered.as_mut().unwrap();
    offered.insert("fast".into(), Some("2.306.0".to_owned()));
    snapshot
}

/// A controller of scale sets in `namespace`.
pub(super) fn set_controller(namespace: &str) -> SetController {
    SetController {
        namespace: namespace.to_owned(),
        name: "arc-gha-rs-controller".into(),
        release: Some((namespace.to_owned(), "arc".into())),
        watches: None,
        version: Some("0.14.2".into()),
        eventual: false,
    }
}

fn scale_set_facts(labels: Vec<String>, scope: String) -> ScaleSetFacts {
    let metadata = |name: &str| {
        json!({"name": name, "namespace": "actions-runner", "creationTimestamp": "2026-11-20T12:00:00Z",
            "labels": {"app.kubernetes.io/version": "0.14.2", "actions.github.com/scale-set-name": "fast"},
            "annotations": {"runner-scale-set-id": "7"}})
    };
    let mut listener = json!({"kind": "AutoscalingListener", "metadata": metadata("fast-1-listener"),
        "spec": {"autoscalingRunnerSetName": "fast", "autoscalingRunnerSetNamespace": "actions-runner",
            "ephemeralRunnerSetName": "fast-a", "runnerScaleSetId": 7}});
    listener["metadata"]["namespace"] = json!("arc-systems");
    let mut pod = ready_pod("fast-1-listener", &json!({}));
    pod["status"]["containerStatuses"] = json!([
        {"name": "listener", "state": {"running": {"startedAt": "2026-11-20T12:00:05Z"}}}]);
    ScaleSetFacts {
        controller: Ok(Some(json!({
            "metadata": {"labels": {"app.kubernetes.io/version": "0.14.2"}},
            "spec": {"replicas": 1}, "status": {"availableReplicas": 1}}))),
        controllers: Ok(vec![set_controller("arc-systems")]),
        sets: Ok(vec![
            json!({"kind": "AutoscalingRunnerSet", "metadata": metadata("fast"),
            "spec": {"minRunners": 1, "maxRunners": 3}, "status": {"phase": "Running"}}),
        ]),
        listeners: Ok(vec![listener]),
        listener_pods: Ok(vec![pod]),
        listener_events: Ok(Vec::new()),
        runner_sets: Ok(vec![
            json!({"kind": "EphemeralRunnerSet", "metadata": metadata("fast-a"),
            "spec": {"ephemeralRunnerSpec": {"runnerScaleSetId": 7}}}),
        ]),
        runners: Ok(vec![
            json!({"kind": "EphemeralRunner", "metadata": metadata("fast-a-runner-b"),
            "status": {"phase": "Running", "ready": true, "runnerId": 3}}),
        ]),
        secret_name: Ok(BTreeMap::from([(
            "actions-runner/fast".to_owned(),
            NamedSecret {
                name: "arcctl-github".into(),
                exists: true,
            },
        )])),
        missing_rights: Ok(BTreeMap::new()),
        at_github: Ok(vec![SetAtGithub {
            id: 7,
            scope: scope.clone(),
            name: "fast".into(),
            group: Some("Default".into()),
            labels,
            words: "id 7".into(),
        }]),
        recorded: Ok(BTreeMap::from([(
            "actions-runner/fast".to_owned(),
            SetRecord {
                id: 7,
                scope: Some(scope),
            },
        )])),
        pod_monitors: Ok(true),
    }
}

#[expect(clippy::too_many_lines, reason = "one entry per fact of a world")]
fn make() -> Snapshot {
    let text = include_str!("../../../profiles/reference.yaml");
    let mut profile = load(text, "reference").unwrap().profile;
    profile.monitoring = Some(Monitoring {
        service_monitor: Auto::Always,
        pod_monitor: Auto::Always,
        alerts: Auto::Always,
        ..Monitoring::default()
    });
    let irsa = profile.aws.as_mut().and_then(|it| it.irsa.as_mut());
    irsa.unwrap().buckets[0].apply = true;
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let facts = Facts {
        now,
        ..Facts::default()
    };
    let autoscaler = autoscaler::autoscaler(&profile, &profile.pools[0], &facts).unwrap();
    let webhook = |kind: &str, name: &str| {
        json!({"kind": kind, "metadata": {"name": format!("actions-runner-controller-{name}")},
            "webhooks": [{"name": "mutate.runner.actions.summerwind.dev", "clientConfig": {"caBundle": digest("Q0E="),
                "service": {"namespace": "actions-runner-system", "name": "actions-runner-controller-webhook"}}}]})
    };
    let manager =
        json!({"name": "manager", "image": "summerwind/actions-runner-controller:v0.27.6"});
    Snapshot {
        scale_sets: None,
        now,
        advice: Vec::new(),
        helm: Ok(()),
        at_aws: at_aws(),
        kubernetes: Ok((1, 36)),
        role_agent: Ok(None),
        nodes: Ok(vec![
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}),
        ]),
        cert_manager_namespace: Ok("cert-manager".into()),
        cert_manager: Ok(["controller", "cainjector", "webhook"]
            .map(cert_manager_part)
            .into()),
        cert_manager_pods: Ok(vec![ready_pod(
            "cert-manager-webhook",
            &json!({"app.kubernetes.io/component": "webhook"}),
        )]),
        cert_manager_events: Ok(Vec::new()),
        controller: Ok(Some(json!({"spec": {"replicas": 2,
            "template": {"spec": {"containers": [manager]}}}}))),
        controller_pods: Ok(["controller-a", "controller-b"]
            .map(|name| {
                let labels = json!({"app.kubernetes.io/name": "actions-runner-controller"});
                ready_pod(name, &labels)
            })
            .into()),
        controller_events: Ok(Vec::new()),
        certificate: Ok(Some(json!({"status": {"notAfter": "2027-02-01T00:00:00Z",
            "conditions": [{"type": "Ready", "status": "True"}]}}))),
        serving_ca: Ok(Some(digest("Q0E="))),
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
        runner_sets: Ok(BTreeSet::from(["basic-set".to_owned()])),
        pod_trials: Ok(vec![PodTrial {
            namespace: "actions-runner".into(),
            pool: "basic".into(),
            refused: Ok(None),
        }]),
        rooms: Ok(vec![PoolRoom {
            pool: "basic".into(),
            placed: 1,
            fits: 15,
            minimum: Lack::default(),
            maximum: Lack::default(),
            losses: Vec::new(),
            not_known: None,
        }]),
        node_groups: Ok(vec!["sg-nodes".into()]),
        autoscalers: Ok(vec![autoscaler]),
        service_monitors: Ok(true),
        probe: Some(Ok(vec![probed(State::Good)])),
        prometheus_rules: Ok(true),
        monitors: Ok(vec![
            json!({"metadata": {"name": "actions-runner-controller-service-monitor",
                "labels": {"app.kubernetes.io/managed-by": "arcctl"}}}),
        ]),
        prometheuses: Ok(vec![prometheus()]),
        system_namespace: Ok(Some(json!({"metadata": {"labels": {"team": "ci"}}}))),
        audit: Ok(Vec::new()),
        groups: Ok(Groups::default()),
        registered: Ok(vec![Registered {
            name: "basic-a".into(),
            online: true,
            busy: false,
            labels: runner_labels(&profile.pools[0]),
            version: Some("2.306.0".into()),
        }]),
        offered: Ok(BTreeMap::from([("basic".into(), Some("2.306.0".into()))])),
        recorded: Ok(BTreeSet::new()),
        resources: Ok(vec![
            resource("namespace", "-", "actions-runner"),
            resource("oidc-provider", "-", "issuer"),
            resource("iam-role", "-", "actions-runner-role"),
            resource("iam-role-policy", "actions-runner-role", "Arcctl1"),
            resource("bucket-policy", "-", "bucket.dogecompany.com"),
            rule("ingress-443-from-sg-2", TO_SERVER),
            rule("ingress-9443-from-sg-3", TO_WEBHOOKS),
            resource(
                "prometheus-rule",
                "actions-runner-system",
                "actions-runner-controller",
            ),
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
