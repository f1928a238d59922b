//! Tests `RunnerDeployment` and `HorizontalRunnerAutoscaler`.

use serde_json::{Value, json};

use super::{autoscaler, profile, runner, variables, with_pool};
use crate::desired::{DesiredError, Facts, online, pool::runner_deployment};

#[test]
fn without_a_single_scope_there_is_no_runner() {
    for github in [json!({"organization": null}), json!({"enterprise": "e"})] {
        let profile = profile(&json!({"github": github}));
        let error = runner_deployment::runner_deployment(&profile, &profile.pools[0]).unwrap_err();
        assert_eq!(error, DesiredError::Scope);
    }
}

#[test]
fn each_scope_has_its_field() {
    assert_eq!(runner(&profile(&json!({})))["organization"], "o");
    let of = |scope: Value| runner(&profile(&json!({"github": scope})));
    assert_eq!(
        of(json!({"organization": null, "enterprise": "e"}))["enterprise"],
        "e"
    );
    assert_eq!(
        of(json!({"organization": null, "repository": "o/r"}))["repository"],
        "o/r"
    );
}

#[test]
fn an_unknown_instance_type_needs_resources() {
    let unknown = with_pool(&json!({"instanceType": "t9z.huge"}));
    let error = runner_deployment::runner_deployment(&unknown, &unknown.pools[0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pool `basic`: the instance type `t9z.huge` is not in arcctl's table; set `resources.runner` of the pool"
    );
    let given = with_pool(&json!({"instanceType": "t9z.huge",
        "resources": {"runner": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}}}));
    assert_eq!(
        runner(&given)["resources"],
        json!({"limits": {"cpu": "500m", "memory": "1Gi"}})
    );
}

#[test]
fn the_instance_type_selects_nodes_labels_runners_and_sizes_them() {
    let spec = runner(&with_pool(&json!({
        "instanceType": "t3a.large", "labels": ["a", "t3a.large", "a"], "group": "Default",
        "nodeSelector": {"disk": "ssd"},
    })));
    assert_eq!(spec["labels"], json!(["t3a.large", "a"]));
    assert_eq!(spec["group"], "Default");
    assert_eq!(
        spec["nodeSelector"],
        json!({"node.kubernetes.io/instance-type": "t3a.large", "disk": "ssd"})
    );
    assert_eq!(
        spec["resources"],
        json!({"limits": {"cpu": "1500m", "memory": "6Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}})
    );
}

#[test]
fn what_the_profile_leaves_out_is_left_out() {
    let spec = runner(&with_pool(
        &json!({"image": "r:v1", "containerMode": "none"}),
    ));
    assert_eq!(
        spec,
        json!({"organization": "o", "image": "r:v1", "dockerEnabled": false})
    );
}

#[test]
fn nobody_but_the_controller_sets_replicas_and_effective_time() {
    let profile = profile(&json!({}));
    let manifest = runner_deployment::runner_deployment(&profile, &profile.pools[0]).unwrap();
    let keys: Vec<_> = manifest["spec"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["template"]);
}

#[test]
fn each_container_mode_has_its_fields() {
    let of = |mode: Value| {
        runner(&with_pool(&json!({"containerMode": mode, "image": "r:v1",
        "resources": {"docker": {"requests": {"cpu": "0.25"}}}})))
    };
    assert_eq!(
        of(json!("dind")),
        json!({"organization": "o", "image": "r:v1", "dockerVarRunVolumeSizeLimit": "50M",
            "dockerdContainerResources": {"requests": {"cpu": "250m"}}})
    );
    assert_eq!(
        of(json!("dood")),
        json!({"organization": "o", "image": "r:v1", "dockerEnabled": false,
            "volumes": [{"name": "docker-socket",
                "hostPath": {"path": "/var/run/docker.sock", "type": "Socket"}}],
            "volumeMounts": [{"name": "docker-socket", "mountPath": "/var/run/docker.sock"}]})
    );
    assert_eq!(
        of(json!("none")),
        json!({"organization": "o", "image": "r:v1", "dockerEnabled": false})
    );
    let volume = json!({"storageClass": "gp3", "size": "10240Mi", "accessMode": "ReadWriteOnce"});
    assert_eq!(
        of(json!({"kubernetes": {"workVolume": volume}})),
        json!({"organization": "o", "image": "r:v1", "containerMode": "kubernetes",
            "workVolumeClaimTemplate": {"storageClassName": "gp3", "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}}}})
    );
}

#[test]
fn the_limit_of_var_run_is_set_where_the_chart_knows_it() {
    let of = |version: &str| runner(&profile(&json!({"controller": {"chartVersion": version}})));
    assert_eq!(of("0.23.3").get("dockerVarRunVolumeSizeLimit"), None);
    assert_eq!(of("0.23.5")["dockerVarRunVolumeSizeLimit"], "50M");
}

#[test]
fn a_graceful_stop_reaches_both_containers_and_the_pod() {
    let spec = runner(&with_pool(&json!({"gracefulStop": "90s"})));
    assert_eq!(variables(&spec["env"]), ["RUNNER_GRACEFUL_STOP_TIMEOUT=90"]);
    assert_eq!(
        variables(&spec["dockerEnv"]),
        ["RUNNER_GRACEFUL_STOP_TIMEOUT=90"]
    );
    assert_eq!(spec["terminationGracePeriodSeconds"], 110);
    let alone = runner(&with_pool(
        &json!({"gracefulStop": "90s", "containerMode": "dood"}),
    ));
    assert_eq!(alone.get("dockerEnv"), None);
}

#[test]
fn a_docker_group_the_controller_does_not_know_is_set() {
    let of = |image: &str| variables(&runner(&with_pool(&json!({"image": image})))["dockerEnv"]);
    assert_eq!(of("r:ubuntu-24.04"), ["DOCKER_GROUP_GID=121"]);
    assert!(of("r:ubuntu-22.04").is_empty());
    assert!(of("r:own").is_empty());
}

#[test]
fn a_shared_tmp_is_in_both_containers() {
    let spec = runner(&with_pool(&json!({"sharedTmp": true})));
    let mounts = json!([{"name": "tmp", "mountPath": "/tmp"}]);
    assert_eq!(spec["volumes"], json!([{"name": "tmp", "emptyDir": {}}]));
    assert_eq!(
        (&spec["volumeMounts"], &spec["dockerVolumeMounts"]),
        (&mounts, &mounts)
    );
}

#[test]
fn the_proxy_is_in_both_containers() {
    let mut profile = with_pool(&json!({"env": [{"name": "NO_PROXY", "value": "mine"}]}));
    profile.proxy =
        serde_json::from_value(json!({"https": "http://p:1", "noProxy": ["ghe.example"]})).unwrap();
    let spec = runner(&profile);
    let direct = "ghe.example,localhost,127.0.0.1,169.254.169.254,169.254.170.23,.svc,.cluster.local,\
        $(KUBERNETES_SERVICE_HOST)";
    let of_docker = [
        "HTTPS_PROXY=http://p:1".to_owned(),
        format!("NO_PROXY={direct}"),
        "https_proxy=http://p:1".to_owned(),
        format!("no_proxy={direct}"),
    ];
    assert_eq!(variables(&spec["dockerEnv"]), of_docker);
    let of_runner = [
        "HTTPS_PROXY=http://p:1",
        "https_proxy=http://p:1",
        of_docker[3].as_str(),
        "NO_PROXY=mine",
    ];
    assert_eq!(variables(&spec["env"]), of_runner);
}

#[test]
fn a_private_authority_is_trusted_beside_the_systems() {
    let spec = runner(&profile(
        &json!({"github": {"caBundle": {"file": "ca.pem"}}}),
    ));
    let file = "/etc/ssl/certs/arcctl-github-ca.pem";
    let mounts =
        json!([{"name": "github-ca", "mountPath": file, "subPath": "ca.pem", "readOnly": true}]);
    assert_eq!(
        spec["volumes"],
        json!([{"name": "github-ca", "configMap": {"name": "arcctl-github-ca"}}])
    );
    assert_eq!(
        (&spec["volumeMounts"], &spec["dockerVolumeMounts"]),
        (&mounts, &mounts)
    );
    assert_eq!(
        variables(&spec["env"]),
        [format!("NODE_EXTRA_CA_CERTS={file}")]
    );
}

#[test]
fn images_come_from_the_mirror_with_its_pull_secrets() {
    let mut profile =
        with_pool(&json!({"image": "summerwind/r:ubuntu-20.04", "imagePullSecrets": ["b", "a"]}));
    profile.images =
        serde_json::from_value(json!({"registry": "m.example", "pullSecrets": ["a"]})).unwrap();
    let spec = runner(&profile);
    assert_eq!(spec["image"], "m.example/summerwind/r:ubuntu-20.04");
    assert_eq!(
        spec["imagePullSecrets"],
        json!([{"name": "a"}, {"name": "b"}])
    );
    assert_eq!(spec["securityContext"], json!({"fsGroup": 1000}));
}

#[test]
fn a_given_fs_group_wins_over_the_images() {
    assert_eq!(
        runner(&with_pool(&json!({})))["securityContext"]["fsGroup"],
        1001
    );
    assert_eq!(
        runner(&with_pool(&json!({"fsGroup": 7})))["securityContext"]["fsGroup"],
        7
    );
}

#[test]
fn another_role_or_way_to_it_takes_new_pods() {
    let annotation = |key: &str, role: &str| {
        let profile = profile(&json!({"aws": {key: {"role": role, "serviceAccount": "sa"}}}));
        let manifest = runner_deployment::runner_deployment(&profile, &profile.pools[0]).unwrap();
        manifest["spec"]["template"]["metadata"]["annotations"]["arcctl.dev/role"].clone()
    };
    assert_eq!(annotation("irsa", "r"), "irsa r");
    assert_ne!(annotation("irsa", "r"), annotation("irsa", "s"));
    assert_ne!(annotation("irsa", "r"), annotation("podIdentity", "r"));
}

#[test]
fn the_service_account_is_that_of_irsa() {
    let irsa = json!({"aws": {"irsa": {"role": "r", "serviceAccount": "sa"}}});
    assert_eq!(runner(&profile(&irsa))["serviceAccountName"], "sa");
}

#[test]
fn a_template_is_merged_and_its_collisions_named() {
    let pool = |template: Value| with_pool(&json!({"sharedTmp": true, "template": template}));
    let good = pool(
        json!({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
        "securityContext": {"runAsUser": 1001},
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}),
    );
    assert_eq!(
        runner_deployment::template_collisions(&good, &good.pools[0]),
        Ok(vec![])
    );
    let spec = runner(&good);
    assert_eq!(
        spec["securityContext"],
        json!({"fsGroup": 1001, "runAsUser": 1001})
    );
    assert_eq!(spec["volumes"][1]["name"], "cache");
    assert_eq!(spec["hostAliases"][0]["ip"], "10.0.0.1");

    let bad = pool(
        json!({"image": "x", "securityContext": {"fsGroup": 5}, "enterprise": "e",
        "volumeMounts": [{"name": "mine", "mountPath": "/tmp"}]}),
    );
    assert_eq!(
        runner_deployment::template_collisions(&bad, &bad.pools[0]).unwrap(),
        [
            "image",
            "securityContext.fsGroup",
            "volumeMounts[0]",
            "enterprise"
        ]
    );
    let spec = runner(&bad);
    assert_eq!(spec["image"], "r:v1-ubuntu-22.04");
    assert_eq!(spec.get("enterprise"), None);
}

#[test]
fn without_scaling_the_autoscaler_has_no_metrics() {
    assert_eq!(
        autoscaler(&profile(&json!({})), &Facts::default()),
        json!({"scaleTargetRef": {"kind": "RunnerDeployment", "name": "basic"},
            "minReplicas": 1, "maxReplicas": 4})
    );
}

#[test]
fn thresholds_and_factors_are_texts_and_adjustments_numbers() {
    let metrics = json!([
        {"type": "PercentageRunnersBusy", "scaleUp": {"threshold": 0.75, "factor": 2.0},
            "scaleDown": {"threshold": 0.3, "adjustment": 1}},
        {"type": "TotalNumberOfQueuedAndInProgressWorkflowRuns", "repositories": ["o/a", "b", "x/c"]},
    ]);
    let spec = autoscaler(
        &with_pool(&json!({"scaling": {"metrics": metrics, "scaleDownDelay": "5m"}})),
        &Facts::default(),
    );
    assert_eq!(
        spec["metrics"],
        json!([
            {"type": "PercentageRunnersBusy", "scaleUpThreshold": "0.75", "scaleUpFactor": "2",
                "scaleDownThreshold": "0.3", "scaleDownAdjustment": 1},
            {"type": "TotalNumberOfQueuedAndInProgressWorkflowRuns", "repositoryNames": ["a", "b", "x/c"]},
        ])
    );
    assert_eq!(spec["scaleDownDelaySecondsAfterScaleOut"], 300);
}

fn weekend() -> Value {
    json!({"schedule": {"timeZone": "Asia/Seoul",
        "windows": [{"name": "weekend", "from": "Sat 00:00", "to": "Mon 00:00", "min": 0}]}})
}

#[test]
fn a_schedule_that_cannot_be_read_is_an_error() {
    let profile = with_pool(&json!({"schedule": {"timeZone": "Mars/Olympus",
        "windows": [{"name": "w", "from": "00:00", "to": "01:00", "min": 0}]}}));
    let error =
        super::super::pool::autoscaler::autoscaler(&profile, &profile.pools[0], &Facts::default());
    assert_eq!(
        error.unwrap_err().to_string(),
        "pool `basic`: `schedule` cannot be used: unknown time zone `Mars/Olympus`; correct the schedule"
    );
}

#[test]
fn windows_become_overrides_with_the_zones_offset() {
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    let spec = autoscaler(
        &with_pool(&weekend()),
        &Facts {
            now,
            ..Facts::default()
        },
    );
    assert_eq!(
        spec["scheduledOverrides"],
        json!([{"startTime": "2024-01-06T00:00:00+09:00", "endTime": "2024-01-08T00:00:00+09:00",
            "minReplicas": 0, "recurrenceRule": {"frequency": "Weekly"}}])
    );
}

#[test]
fn live_overrides_stay_while_they_say_the_same() {
    let now = "2026-11-23T00:00:00Z".parse().unwrap();
    // Another Saturday, in UTC: the same weekends.
    let same = json!([{"startTime": "2023-07-14T15:00:00Z", "endTime": "2023-07-16T15:00:00Z",
        "minReplicas": 0, "recurrenceRule": {"frequency": "Weekly"}}]);
    let facts = |live: &Value| Facts {
        now,
        live_overrides: [("basic".to_owned(), live.clone())].into(),
        ..Facts::default()
    };
    let profile = with_pool(&weekend());
    assert_eq!(
        autoscaler(&profile, &facts(&same))["scheduledOverrides"],
        same
    );
    let mut other = same.clone();
    other[0]["minReplicas"] = 1.into();
    assert_eq!(
        autoscaler(&profile, &facts(&other))["scheduledOverrides"][0]["startTime"],
        "2024-01-06T00:00:00+09:00"
    );
    let without = with_pool(&json!({}));
    assert_eq!(
        autoscaler(&without, &facts(&same)).get("scheduledOverrides"),
        None
    );
    assert_eq!(
        autoscaler(&without, &facts(&json!([]))).get("scheduledOverrides"),
        None
    );
}

#[test]
fn the_minimum_in_force_is_the_open_windows() {
    let profile = with_pool(&weekend());
    // A resource created before a window opens is evaluated while it is open.
    let wanted = online(&profile.pools[0]);
    let at = |now: &str| wanted.min_at(now.parse().unwrap());
    assert_eq!(at("2026-11-20T14:59:59Z"), 1);
    assert_eq!(at("2026-11-20T15:00:00Z"), 0);
    assert_eq!(at("2026-11-22T15:00:00Z"), 1);
}
