//! Pods against the recorded one, and what a template changes of them.

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
        app: false,
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
}

#[test]
fn the_pod_of_the_recorded_runner_is_the_recorded_pod() {
    let (runner, mut expected) = recorded();
    let mut pod = build(&runner, &configuration(), "https://ghes.dogecompany.com/");
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
        pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"],
        "/tmp"
    );
    assert_eq!(pod["spec"]["containers"][1]["env"][1]["name"], "Y");
    assert_eq!(pod["spec"]["volumes"][3]["emptyDir"]["sizeLimit"], "50M");
}
