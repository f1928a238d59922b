//! The profile of an installation like the blog's, and of richer ones.

use serde_json::{Value, json};

use super::*;
use crate::{
    desired::{
        Facts,
        pool::{autoscaler::autoscaler, runner_deployment::runner_deployment},
    },
    diff::differences,
    init::text::Extras,
};

fn extras() -> Extras {
    Extras {
        name: None,
        pool: "basic".into(),
        image: String::new(),
        charts: None,
    }
}

fn answers() -> Answers {
    let mut answers = Answers::default();
    answers.set(Key::Cluster, Some("context:c".into()));
    answers.set(Key::Credential, Some("env:TOKEN".into()));
    answers
}

fn deployment(spec: &Value) -> Value {
    let mut all = json!({
        "image": "summerwind/actions-runner:v2.336.0-ubuntu-22.04",
        "organization": "doge",
    });
    for (key, value) in spec.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({
        "metadata": {"name": "basic", "namespace": "actions-runner"},
        "spec": {"replicas": 2, "template": {"spec": all}},
    })
}

fn installation(deployment: Value, autoscaler: Value) -> Installation {
    Installation {
        controller: found::Controller {
            namespace: "actions-runner-system".into(),
            release: "actions-runner-controller".into(),
            chart_version: "0.23.3".into(),
            values: json!({
                "authSecret": {"create": true, "github_token": "ghp_0123456789abcdefghij0123456789abcdef"},
                "resources": {"limits": {"cpu": "1"}},
            }),
            deployment: json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [
                {"args": ["--sync-period=2m", "--docker-image=docker:24-dind", "--port=9443"]},
            ]}}}}),
        },
        deployments: vec![deployment],
        autoscalers: match autoscaler {
            Value::Null => Vec::new(),
            one => vec![one],
        },
        secret_keys: vec!["github_token".into()],
        ..Installation::default()
    }
}

fn scaled(spec: Value) -> Value {
    let mut spec = spec;
    spec["scaleTargetRef"] = json!({"kind": "RunnerDeployment", "name": "basic"});
    json!({"metadata": {"name": "basic", "namespace": "actions-runner"}, "spec": spec})
}

/// The profile as the program reads it, and its gaps.
#[track_caller]
fn profile(found: &Installation) -> (crate::profile::Profile, Vec<found::Gap>, String) {
    let adopted = adopted(found, &answers(), &extras(), Some("Asia/Seoul"));
    let text = yaml::text(&adopted.value).unwrap();
    assert!(!text.contains("ghp_"), "{text}");
    let loaded = load_with(&text, "adopted", &desired::lint::lint)
        .unwrap_or_else(|it| panic!("{it}\n{text}"));
    (loaded.profile, adopted.gaps, text)
}

/// The fields that the profile would change of the `RunnerDeployment` and the autoscaler.
#[track_caller]
fn left(found: &Installation) -> Vec<String> {
    let (profile, _, _) = profile(found);
    let pool = &profile.pools[0];
    let now = "2026-11-27T00:00:00Z".parse().unwrap();
    let mut facts = Facts {
        now,
        ..Facts::default()
    };
    let wanted = runner_deployment(&profile, pool).unwrap();
    let live = &found.deployments[0];
    let of = |it: &Value| json!({"spec": it["spec"]["template"]["spec"]});
    let mut paths = differences(&of(live), &of(&wanted));
    if let Some(live) = found.autoscalers.first() {
        let overrides = live["spec"]["scheduledOverrides"].clone();
        facts.live_overrides.insert("basic".into(), overrides);
        let wanted = autoscaler(&profile, pool, &facts).unwrap();
        let of = |it: &Value| json!({"hra": it["spec"]});
        paths.extend(differences(&of(live), &of(&wanted)));
    }
    paths.into_iter().map(|it| it.path).collect()
}

#[test]
fn an_installation_like_the_blog_s_has_nothing_left_but_the_group_of_volumes() {
    let autoscaler = scaled(json!({
        "minReplicas": 2, "maxReplicas": 16, "scaleDownDelaySecondsAfterScaleOut": 300,
        "metrics": [{"type": "PercentageRunnersBusy", "scaleUpThreshold": "0.75", "scaleDownThreshold": "0.25",
            "scaleUpFactor": "2", "scaleDownFactor": "0.5"}],
        "scheduledOverrides": [{"startTime": "2023-07-15T00:00:00+09:00", "endTime": "2023-07-17T00:00:00+09:00",
            "minReplicas": 1, "recurrenceRule": {"frequency": "Weekly"}}],
    }));
    let found = installation(
        deployment(&json!({
            "labels": ["t3a.large", "ubuntu-20.04"], "group": "Default",
            "nodeSelector": {"node.kubernetes.io/instance-type": "t3a.large"},
            "resources": {"limits": {"cpu": "1500m", "memory": "6Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
            "serviceAccountName": "actions-runner-role",
            "env": [{"name": "RUNNER_GRACEFUL_STOP_TIMEOUT", "value": "90"}],
            "dockerEnv": [{"name": "RUNNER_GRACEFUL_STOP_TIMEOUT", "value": "90"}],
            "terminationGracePeriodSeconds": 110,
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            "dockerVolumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        })),
        autoscaler,
    );
    let (profile, gaps, text) = profile(&found);
    assert_eq!(profile.name, "doge");
    assert_eq!(profile.controller.docker_image, "docker:24-dind");
    assert_eq!(profile.controller.replicas, 1);
    assert_eq!(profile.controller.values["resources"]["limits"]["cpu"], "1");
    let pool = &profile.pools[0];
    assert!(pool.shared_tmp && pool.template.is_empty(), "{text}");
    assert!(
        text.contains("gracefulStop: 90s") && text.contains("timeZone: Asia/Seoul"),
        "{text}"
    );
    // The image is Ubuntu 22.04: a profile with the other label is an error.
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].why.contains("ubuntu-20.04"), "{gaps:?}");
    assert_eq!(left(&found), ["spec.labels", "spec.securityContext"]);
}

#[test]
fn what_has_no_key_is_passed_through() {
    let found = installation(
        deployment(&json!({
            "dockerEnabled": false,
            "labels": ["linux"],
            "priorityClassName": "low",
            "securityContext": {"fsGroup": 1234},
            "tolerations": [{"key": "runners", "operator": "Exists"}],
            "imagePullSecrets": [{"name": "registry"}],
            "ephemeral": false,
            "env": [{"name": "A", "value": "1"}],
        })),
        Value::Null,
    );
    let (profile, gaps, text) = profile(&found);
    let pool = &profile.pools[0];
    assert_eq!((pool.min, pool.max), (2, 2));
    assert_eq!(pool.template["priorityClassName"], "low", "{text}");
    assert_eq!(pool.image_pull_secrets, ["registry"]);
    assert_eq!(gaps, []);
    assert_eq!(left(&found), [""; 0]);
}

#[test]
fn a_credential_that_the_cluster_does_not_tell_is_asked_for() {
    let mut found = installation(deployment(&json!({})), Value::Null);
    let mut answers = Answers::default();
    credential(&mut answers, &found).unwrap();
    assert_eq!(
        answers.get(Key::Credential),
        Some("env:ARCCTL_GITHUB_TOKEN")
    );
    found.secret_keys = vec!["github_app_id".into(), "github_app_private_key".into()];
    let error = credential(&mut Answers::default(), &found).unwrap_err();
    assert_eq!(error.kind.exit_code(), 64);
    assert!(error.hint.unwrap().contains("--app"));
}

#[test]
fn no_secret_is_written() {
    let secret = "ghp_0123456789abcdefghij0123456789abcdef";
    let mut found = installation(
        deployment(&json!({
            "env": [{"name": "A", "value": "1"}, {"name": "NPM_TOKEN", "value": secret}],
            "dockerEnv": [{"name": "PASSWORD", "value": secret}],
        })),
        Value::Null,
    );
    found.controller.values["githubWebhookServer"] =
        json!({"secret": {"github_webhook_secret_token": "0123456789abcdef"}});
    let live = &mut found.deployments[0];
    live["metadata"]["annotations"] = json!({"team": "a", "deploy-token": secret});
    live["spec"]["template"]["metadata"] =
        json!({"annotations": {"note": format!("use {secret}")}});
    let (profile, gaps, text) = profile(&found);
    assert!(
        !text.contains(secret) && !text.contains("0123456789abcdef"),
        "{text}"
    );
    assert_eq!(profile.pools[0].env.len(), 1);
    assert_eq!(profile.pools[0].metadata.annotations.len(), 1);
    let paths: Vec<&str> = gaps.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "values.githubWebhookServer",
            "spec.template.spec.dockerEnv",
            "spec.template.spec.env",
            "metadata.annotations.deploy-token",
            "spec.template.metadata.annotations.note",
        ]
    );
}

#[test]
fn the_name_of_a_context_stays_in_its_comment() {
    let said = words(&Place::Context("a\ngithub: {url: x}\u{2028}b".into()));
    assert_eq!(said, "the cluster of context a github: {url: x} b");
}

#[test]
fn a_controller_of_one_namespace_watches_that_of_its_release_unless_another_is_named() {
    let mut controller = installation(deployment(&json!({})), Value::Null).controller;
    assert_eq!(controller.watched(), None);
    controller.values["scope"] = json!({"singleNamespace": true, "watchNamespace": ""});
    assert_eq!(controller.watched(), Some("actions-runner-system"));
    controller.values["scope"]["watchNamespace"] = json!("actions-runner");
    assert_eq!(controller.watched(), Some("actions-runner"));
    controller.values["scope"]["singleNamespace"] = json!(false);
    assert_eq!(controller.watched(), None);
}

#[test]
fn a_runner_set_is_left_out_with_its_autoscaler() {
    let mut autoscaler = scaled(json!({"minReplicas": 5, "maxReplicas": 9}));
    autoscaler["spec"]["scaleTargetRef"]["kind"] = json!("RunnerSet");
    let own = deployment(&json!({"dockerEnabled": false, "labels": ["linux"]}));
    let mut found = installation(own, autoscaler);
    found.sets = vec![json!({"metadata": {"name": "basic", "namespace": "actions-runner"}})];
    let (profile, gaps, text) = profile(&found);
    let pool = &profile.pools[0];
    assert_eq!((pool.min, pool.max), (2, 2), "{text}");
    let objects: Vec<&str> = gaps.iter().map(|it| it.object.as_str()).collect();
    assert_eq!(objects, ["runner-set/actions-runner/basic"]);
}

#[test]
fn a_trigger_that_works_no_more_is_told() {
    let autoscaler = scaled(json!({
        "minReplicas": 1, "maxReplicas": 4,
        "scaleUpTriggers": [
            {"githubEvent": {"push": {}}, "amount": 1, "duration": "5m"},
            {"githubEvent": {"workflowJob": {}}, "amount": 1, "duration": "30m"},
        ],
    }));
    let own = deployment(&json!({"dockerEnabled": false, "labels": ["linux"]}));
    let pool = pool::pool(&own, &[&autoscaler], None);
    assert_eq!(
        pool.value["scaling"]["triggers"],
        json!([{"workflowJob": {}, "amount": 1, "duration": "30m"}])
    );
    let paths: Vec<&str> = pool.gaps.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["spec.scaleUpTriggers[0]"]);
}

/// The quickstart in the documents of actions/actions-runner-controller: no image, no labels, in the namespace of the current
/// context. The API server returns an empty image.
#[test]
fn the_quickstart_of_the_controller_is_a_profile() {
    let quickstart = json!({
        "metadata": {"name": "example-runnerdeploy", "namespace": "default"},
        "spec": {"replicas": 1, "template": {"spec": {"repository": "o/ci", "image": ""}}},
    });
    let mut found = installation(quickstart, Value::Null);
    let image = |found: &Installation| profile(found).0.pools[0].image.clone();
    assert_eq!(image(&found), "summerwind/actions-runner:latest");
    found.controller.values["image"] = json!({"actionsRunnerRepositoryAndTag": "mirror/runner:v2"});
    assert_eq!(image(&found), "mirror/runner:v2");
    let containers = &mut found.controller.deployment["spec"]["template"]["spec"]["containers"];
    containers[0]["args"] = json!(["--runner-image=mirror/runner:v3"]);
    assert_eq!(image(&found), "mirror/runner:v3");
    let paths: Vec<String> = profile(&found).1.into_iter().map(|it| it.path).collect();
    assert_eq!(
        paths,
        [
            "values.image.actionsRunnerRepositoryAndTag",
            "spec.template.spec.image"
        ]
    );
}

/// An error of a profile otherwise: arcctl sets these values itself.
#[test]
fn values_with_a_key_of_their_own_are_not_passed_through() {
    let own = deployment(&json!({"dockerEnabled": false, "labels": ["linux"]}));
    let mut found = installation(own, Value::Null);
    found.controller.values = json!({
        "image": {"actionsRunnerImagePullSecrets": ["runners"], "tag": "v0.27.6"},
        "imagePullSecrets": [{"name": "registry"}],
        "metrics": {"serviceMonitor": true},
        "githubUploadURL": "",
    });
    let (profile, gaps, text) = profile(&found);
    assert_eq!(
        json!(profile.controller.values),
        json!({"image": {"tag": "v0.27.6"}}),
        "{text}"
    );
    assert_eq!(profile.pools[0].image_pull_secrets, ["runners"]);
    assert_eq!(profile.images.unwrap().pull_secrets, ["registry"]);
    let paths: Vec<&str> = gaps.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "values.image.actionsRunnerImagePullSecrets",
            "values.imagePullSecrets",
            "values.metrics.serviceMonitor"
        ]
    );
}
