//! Compares pods with recorded ones, and tests the effect of profile settings.

use super::*;
use crate::desired::tests::profile;

fn pod(pool: &Value) -> Value {
    let mut whole = json!({"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4});
    for (key, value) in pool.as_object().into_iter().flatten() {
        whole[key] = value.clone();
    }
    let profile = profile(&json!({"pools": [whole]}));
    runner_pod(&profile, &profile.pools[0]).unwrap()
}

fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let mut all = pod["spec"]["containers"].as_array().unwrap().iter();
    all.find(|it| it["name"] == name).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let all = list.as_array().unwrap().iter();
    all.map(|it| it["name"].as_str().unwrap()).collect()
}

/// The structure of the pods in recordings/runner-pods.yaml, without the values of one runner or cluster.
#[test]
fn a_pod_with_docker_beside_the_runner_is_as_recorded() {
    let pod = pod(&json!({}));
    let (runner, docker) = (container(&pod, "runner"), container(&pod, "docker"));
    assert_eq!(names(&pod["spec"]["containers"]), ["runner", "docker"]);
    assert_eq!(
        names(&runner["volumeMounts"]),
        ["runner", "work", "var-run"]
    );
    let mut mounts = names(&docker["volumeMounts"]);
    mounts.sort_unstable();
    assert_eq!(mounts, ["runner", "var-run", "work"]);
    assert_eq!(
        names(&pod["spec"]["volumes"]),
        ["runner", "work", "var-run"]
    );
    assert_eq!(runner["securityContext"], json!({}));
    assert_eq!(docker["securityContext"], json!({"privileged": true}));
    assert_eq!(
        docker["env"][0],
        json!({"name": "DOCKER_GROUP_GID", "value": "121"})
    );
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
    assert_eq!(pod["spec"]["securityContext"], json!({"fsGroup": 1001}));
    assert_eq!(pod["metadata"]["labels"]["runner-deployment-name"], "basic");
}

#[test]
fn only_the_modes_with_docker_are_privileged() {
    let privileged = |mode: Value| {
        pod(&json!({"containerMode": mode}))
            .to_string()
            .contains("privileged")
    };
    assert!(privileged(json!("dind")));
    assert!(!privileged(json!("none")) && !privileged(json!("dood")));
    let volume = json!({"storageClass": "gp3", "size": "1Gi", "accessMode": "ReadWriteOnce"});
    let kubernetes = json!({"kubernetes": {"workVolume": volume}});
    assert!(!privileged(kubernetes.clone()));
    let pod = pod(&json!({"containerMode": kubernetes}));
    assert_eq!(names(&pod["spec"]["containers"]), ["runner"]);
    assert_eq!(names(&pod["spec"]["volumes"]), ["work", "runner"]);
}

#[test]
fn a_volume_of_the_users_takes_the_place_of_the_controllers() {
    let pod = pod(&json!({"template": {
        "volumes": [{"name": "work", "hostPath": {"path": "/mnt/disks"}}],
        "volumeMounts": [{"name": "work", "mountPath": "/runner/_work"}],
    }}));
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let work: Vec<&Value> = volumes.iter().filter(|it| it["name"] == "work").collect();
    assert_eq!(work.len(), 1);
    assert!(work[0]["hostPath"].is_object());
    let mounts = names(&container(&pod, "runner")["volumeMounts"]);
    assert_eq!(mounts.iter().filter(|it| **it == "work").count(), 1);
}

#[test]
fn what_is_passed_through_reaches_the_pod() {
    let pod = pod(&json!({
        "env": [{"name": "A", "value": "1"}],
        "resources": {"runner": {"limits": {"cpu": "1"}}, "docker": {"limits": {"cpu": "2"}}},
        "tolerations": [{"operator": "Exists"}],
        "imagePullSecrets": ["s"],
        "template": {"priorityClassName": "p", "runtimeClassName": "r",
            "sidecarContainers": [{"name": "logs", "image": "i"}],
            "initContainers": [{"name": "init", "image": "i"}]},
    }));
    let spec = &pod["spec"];
    assert_eq!(spec["priorityClassName"], "p");
    assert_eq!(spec["runtimeClassName"], "r");
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "s"}]));
    assert_eq!(names(&spec["containers"]), ["runner", "docker", "logs"]);
    assert_eq!(names(&spec["initContainers"]), ["init"]);
    assert_eq!(container(&pod, "runner")["resources"]["limits"]["cpu"], "1");
    assert_eq!(container(&pod, "docker")["resources"]["limits"]["cpu"], "2");
    assert!(names(&container(&pod, "runner")["env"]).contains(&"A"));
}

#[test]
fn an_account_that_comes_later_is_not_asked_for() {
    let mut pod = pod(&json!({}));
    pod["spec"]["serviceAccountName"] = "later".into();
    assert_eq!(
        with_default_account(&pod)["spec"]["serviceAccountName"],
        Value::Null
    );
}
