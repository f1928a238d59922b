//! Compares pods with the recorded one, and tests how a template changes them.

use serde_json::{Value, json};

use super::configuration::Configuration;
use super::runner_pod::build;
use crate::objects::text;

fn configuration() -> Configuration {
    Configuration {
        runner_image: "summerwind/actions-runner:latest".to_owned(),
        docker_image: "docker:dind".to_owned(),
        docker_gid: "1001".to_owned(),
        docker_registry_mirror: String::new(),
        pull_secrets: vec![],
        sync_period: std::time::Duration::from_mins(1),
        scale_down_delay: std::time::Duration::from_mins(10),
        watch_namespace: None,
        lease: "actions-runner-controller".to_owned(),
        status_update_hook: false,
        enterprise_url: String::new(),
        runner_url: String::new(),
        token: String::new(),
        app: crate::app::App::default(),
        has_var_run_limit: true,
    }
}

fn recorded() -> (Value, Value) {
    let both: Value = serde_json::from_str(include_str!("recorded_runner_pod.json")).unwrap();
    (both["runner"].clone(), both["pod"].clone())
}

fn built(spec: &Value) -> Value {
    build(
        &json!({ "metadata": { "name": "r" }, "spec": spec }),
        &configuration(),
        "http://g/",
    )
    .unwrap()
}

#[test]
fn the_pod_of_the_recorded_runner_is_the_recorded_pod() {
    let (runner, mut expected) = recorded();
    let mut pod = build(&runner, &configuration(), "https://ghes.dogecompany.com/").unwrap();
    for hashed in [&mut pod, &mut expected] {
        hashed["metadata"]["labels"]["pod-template-hash"] = "of the spec".into();
    }
    assert_eq!(pod, expected);
}

#[test]
fn an_image_of_another_name_gets_the_wrong_docker_group() {
    let group = |image: &str| {
        let pod = built(&json!({ "enterprise": "e", "image": image }));
        text(&pod, "/spec/containers/1/env/0/value").to_owned()
    };
    assert_eq!(group("runner:ubuntu-22.04"), "121");
    assert_eq!(group("runner:ubuntu-20.04"), "1001");
    assert_eq!(group("runner:ubuntu-24.04"), "1001");
}

#[test]
fn without_docker_there_is_one_container() {
    let pod = built(&json!({ "enterprise": "e", "dockerEnabled": false }));
    assert_eq!(
        pod.pointer("/spec/containers")
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert!(!pod.to_string().contains("DOCKER_HOST"));
}

#[test]
fn the_template_reaches_the_pod() {
    let pod = built(&json!({
        "enterprise": "e", "nodeSelector": { "a": "b" }, "terminationGracePeriodSeconds": 110,
        "env": [{ "name": "X", "value": "1" }], "dockerEnv": [{ "name": "Y", "value": "2" }],
        "volumes": [{ "name": "tmp", "emptyDir": {} }], "dockerVarRunVolumeSizeLimit": "50M",
        "volumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
    }));
    assert_eq!(pod["spec"]["nodeSelector"], json!({ "a": "b" }));
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], 110);
    assert_eq!(
        pod["spec"]["containers"][0]["env"][0],
        json!({ "name": "X", "value": "1" })
    );
    assert_eq!(
        pod["spec"]["containers"][0]["volumeMounts"][3]["mountPath"],
        "/tmp"
    );
    assert_eq!(pod["spec"]["containers"][1]["env"][0]["name"], "Y");
    assert_eq!(pod["spec"]["volumes"][2]["emptyDir"]["sizeLimit"], "50M");
}

/// The names of a list's entries.
fn names(list: &Value) -> Vec<&str> {
    let entries = list.as_array().unwrap().iter();
    entries.map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn a_side_container_under_containers_costs_what_the_runner_had() {
    let pod = built(&json!({
        "enterprise": "e", "containers": [{ "name": "side", "image": "s" }],
        "env": [{ "name": "X", "value": "1" }], "envFrom": [{ "secretRef": { "name": "s" } }],
        "resources": { "limits": { "cpu": "1" } },
        "dockerEnv": [{ "name": "Y", "value": "2" }],
        "dockerdContainerResources": { "limits": { "cpu": "1" } },
        "dockerVolumeMounts": [{ "name": "tmp", "mountPath": "/tmp" }],
    }));
    let containers = &pod["spec"]["containers"];
    assert_eq!(names(containers), ["runner", "side", "docker"]);
    let text = format!("{} {}", containers[0], containers[2]);
    for lost in ["\"X\"", "secretRef", "cpu", "\"Y\"", "/tmp"] {
        assert!(!text.contains(lost), "{lost}: {text}");
    }
}

#[test]
fn named_containers_are_filled_and_mounts_go_to_the_first() {
    let pod = built(&json!({
        "enterprise": "e",
        "containers": [{ "name": "side", "image": "s" }, { "name": "runner", "resources": { "limits": { "cpu": "2" } } },
            { "name": "docker", "image": "d", "args": ["--debug"] }],
        "env": [{ "name": "X", "value": "1" }],
        "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1" } },
        "volumes": [{ "name": "cache", "emptyDir": {} }],
        "volumeMounts": [{ "name": "cache", "mountPath": "/cache" }],
    }));
    let containers = &pod["spec"]["containers"];
    assert_eq!(names(containers), ["side", "runner", "docker"]);
    assert_eq!(names(&containers[0]["volumeMounts"]), ["cache"]);
    assert_eq!(
        names(&containers[1]["volumeMounts"]),
        ["runner", "work", "var-run"]
    );
    assert_eq!(
        containers[1]["resources"],
        json!({ "limits": { "cpu": "2" }, "requests": { "cpu": "1" } })
    );
    assert_eq!(containers[1]["env"][0]["name"], "X");
    assert_eq!(containers[2]["image"], "d");
    assert_eq!(containers[2]["args"][2], "--debug");
}

#[test]
fn a_volume_work_of_the_users_takes_the_place_of_the_controllers() {
    let pod = built(&json!({
        "enterprise": "e", "volumes": [{ "name": "work", "hostPath": { "path": "/nvme" } }],
    }));
    assert_eq!(
        names(&pod["spec"]["volumes"]),
        ["runner", "var-run", "work"]
    );
    let mounted = built(&json!({
        "enterprise": "e", "volumes": [{ "name": "work", "emptyDir": { "medium": "Memory" } }],
        "volumeMounts": [{ "name": "work", "mountPath": "/fast" }],
    }));
    let mounts = &mounted["spec"]["containers"][0]["volumeMounts"];
    assert_eq!(names(mounts), ["runner", "var-run", "work"]);
    assert_eq!(mounts[2]["mountPath"], "/fast");
    // A volume `runner` of the user's is a second one.
    let twice =
        built(&json!({ "enterprise": "e", "volumes": [{ "name": "runner", "emptyDir": {} }] }));
    assert_eq!(
        names(&twice["spec"]["volumes"]),
        ["runner", "work", "var-run", "runner"]
    );
}

#[test]
fn without_docker_there_is_no_work_volume() {
    for spec in [
        json!({ "enterprise": "e", "dockerEnabled": false }),
        json!({ "enterprise": "e", "dockerdWithinRunnerContainer": true }),
    ] {
        let pod = built(&spec);
        assert_eq!(names(&pod["spec"]["volumes"]), ["runner"]);
    }
}

#[test]
fn docker_inside_the_runner_is_told_by_variables() {
    let pod = built(&json!({
        "enterprise": "e", "dockerdWithinRunnerContainer": true, "dockerMTU": 1400,
        "dockerRegistryMirror": "https://m.example",
    }));
    let runner = &pod["spec"]["containers"][0];
    assert_eq!(runner["securityContext"]["privileged"], true);
    let value = |name: &str| {
        let all = runner["env"].as_array().unwrap().iter();
        let found: Vec<&str> = all
            .filter(|one| one["name"] == name)
            .filter_map(|one| one["value"].as_str())
            .collect();
        found.join(",")
    };
    assert_eq!(value("MTU"), "1400");
    assert_eq!(value("DOCKER_REGISTRY_MIRROR"), "https://m.example");
    assert_eq!(value("DOCKERD_IN_RUNNER"), "true");
    assert_eq!(value("DOCKER_HOST"), "");
    let beside = built(&json!({ "enterprise": "e", "dockerMTU": 1400 }));
    let args = &beside["spec"]["containers"][1]["args"];
    assert_eq!((&args[3], &args[4]), (&json!("--mtu"), &json!("1400")));
}

#[test]
fn what_the_controller_cannot_make_is_an_error() {
    let claim =
        json!({ "storageClassName": "c", "accessModes": ["ReadWriteOnce"], "resources": {} });
    let volume = json!([{ "name": "work", "emptyDir": {} }]);
    let mount = json!([{ "name": "work", "mountPath": "/w" }]);
    let kubernetes = |more: Value| {
        let mut spec = json!({ "enterprise": "e", "containerMode": "kubernetes", "workVolumeClaimTemplate": claim });
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    for spec in [
        kubernetes(json!({ "volumes": volume })),
        kubernetes(json!({ "volumeMounts": mount })),
        kubernetes(json!({ "workVolumeClaimTemplate": null })),
        kubernetes(json!({ "containers": [{ "name": "side", "image": "s" }] })),
        json!({ "enterprise": "e", "volumeSizeLimit": "0" }),
    ] {
        let runner = json!({ "metadata": { "name": "r" }, "spec": spec });
        assert!(
            build(&runner, &configuration(), "http://g/").is_err(),
            "{spec}"
        );
    }
    assert_eq!(
        names(&built(&kubernetes(json!({})))["spec"]["containers"]),
        ["runner"]
    );
}
