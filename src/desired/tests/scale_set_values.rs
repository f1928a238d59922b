//! Tests the values of the two charts of runner scale sets.

use serde_json::{Value, json};

use super::{
    scale_sets::{ids, made, values, with_set},
    variables,
};
use crate::{desired::charts::scale_sets, profile::Profile};

fn controller(profile: &Profile) -> Value {
    scale_sets::values(profile)
}

#[test]
fn each_scope_has_its_address() {
    let of = |github: Value| {
        let profile = with_set(&json!({}), &json!({"github": github}));
        values(&profile)["githubConfigUrl"].clone()
    };
    assert_eq!(of(json!({})), "https://github.com/o");
    let server = "https://ghe.example/";
    assert_eq!(
        of(json!({"organization": null, "enterprise": "e", "url": server})),
        "https://ghe.example/enterprises/e"
    );
    assert_eq!(
        of(json!({"organization": null, "repository": "o/r"})),
        "https://github.com/o/r"
    );
}

#[test]
fn what_the_profile_says_is_in_the_values() {
    let profile = with_set(
        &json!({"group": "Linux", "labels": ["docker"], "instanceType": "t3a.large",
            "tolerations": [{"key": "ci", "operator": "Exists"}], "metadata": {"labels": {"team": "a"}}}),
        &json!({"proxy": {"https": "http://p.example:1"}, "github": {"caBundle": {"file": "ca.pem"}}}),
    );
    let values = values(&profile);
    assert_eq!(values["runnerGroup"], "Linux");
    assert_eq!(values["scaleSetLabels"], json!(["t3a.large", "docker"]));
    assert_eq!(values["githubConfigSecret"], "arcctl-github");
    assert_eq!(
        values["controllerServiceAccount"],
        json!({"namespace": "arc-systems", "name": "arc-gha-rs-controller"})
    );
    assert_eq!(
        values["resourceMeta"]["autoscalingRunnerSet"]["labels"]["team"],
        "a"
    );
    let listener = &values["listenerTemplate"]["spec"];
    assert_eq!(listener["containers"][0]["name"], "listener");
    assert_eq!(
        listener["nodeSelector"]["node.kubernetes.io/instance-type"],
        "t3a.large"
    );
    assert_eq!(listener["tolerations"][0]["key"], "ci");
    let direct = values["proxy"]["noProxy"].to_string();
    assert!(
        direct.contains("kubernetes.default") && !direct.contains('$'),
        "{direct}"
    );
    assert_eq!(
        values["githubServerTLS"]["certificateFrom"]["configMapKeyRef"],
        json!({"name": "arcctl-github-ca", "key": "ca.pem"})
    );
}

#[test]
fn the_account_of_the_controller_gets_the_rights() {
    let of = |account: Value| {
        let sets = json!({"scaleSets": {"values": {"serviceAccount": account}}});
        values(&with_set(&json!({}), &sets))["controllerServiceAccount"]["name"].clone()
    };
    assert_eq!(
        of(json!({"annotations": {"a": "b"}})),
        "arc-gha-rs-controller"
    );
    assert_eq!(of(json!({"name": ""})), "arc-gha-rs-controller");
    assert_eq!(of(json!({"create": false, "name": "arc"})), "arc");
}

#[test]
fn a_pool_with_its_own_credential_has_its_own_secret() {
    let own = json!({"github": {"organization": "p", "token": {"env": "OTHER"}}});
    let profile = with_set(&own, &json!({}));
    assert_eq!(
        values(&profile)["githubConfigSecret"],
        "arcctl-github-linux"
    );
    assert_eq!(values(&profile)["githubConfigUrl"], "https://github.com/p");
    let steps = made(&profile);
    assert!(!ids(&steps).contains(&"secret/actions-runner/arcctl-github"));
}

#[test]
fn docker_is_pinned_and_has_what_the_profile_gives_it() {
    let profile = with_set(
        &json!({"sharedTmp": true, "gracefulStop": "5m",
            "resources": {"docker": {"limits": {"memory": "1024Mi"}}}}),
        &json!({"images": {"registry": "m.example"}}),
    );
    let spec = values(&profile)["template"]["spec"].clone();
    let docker = &spec["initContainers"][1];
    assert_eq!(docker["name"], "dind");
    assert_eq!(docker["image"], "m.example/library/docker:28-dind");
    assert_eq!(docker["restartPolicy"], "Always");
    assert_eq!(docker["resources"], json!({"limits": {"memory": "1Gi"}}));
    let runner = &spec["containers"][0];
    assert_eq!(runner["image"], "m.example/actions/actions-runner:2.334.0");
    assert!(
        variables(&runner["env"]).contains(&"DOCKER_HOST=unix:///var/run/docker.sock".to_owned())
    );
    for container in [runner, docker] {
        let mounts = container["volumeMounts"].to_string();
        assert!(
            mounts.contains("\"/tmp\"") && mounts.contains("\"/var/run\""),
            "{mounts}"
        );
    }
    assert_eq!(spec["terminationGracePeriodSeconds"], 320);
    assert!(runner["lifecycle"]["preStop"].is_object());
    assert_eq!(spec["securityContext"], json!({"fsGroup": 1001}));
}

#[test]
fn each_container_mode_has_its_pod() {
    let of = |mode: Value| values(&with_set(&json!({"containerMode": mode}), &json!({})));
    let none = of(json!("none"));
    assert!(!none.to_string().contains("privileged"), "{none}");
    assert!(none.get("containerMode").is_none());
    let volume = json!({"storageClass": "gp3", "size": "10240Mi", "accessMode": "ReadWriteOnce"});
    let kubernetes = of(json!({"kubernetes": {"workVolume": volume}}));
    assert_eq!(kubernetes["containerMode"]["type"], "kubernetes");
    let claim = &kubernetes["containerMode"]["kubernetesModeWorkVolumeClaim"];
    assert_eq!(claim["resources"]["requests"]["storage"], "10Gi");
    assert!(
        kubernetes["template"]["spec"]
            .get("initContainers")
            .is_none()
    );
}

#[test]
fn a_template_is_merged_into_the_containers_of_arcctl() {
    let profile = with_set(
        &json!({"template": {
            "priorityClassName": "ci",
            "volumes": [{"name": "cache", "emptyDir": {}}],
            "containers": [
                {"name": "runner", "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]},
                {"name": "logs", "image": "fluent-bit:3"},
            ],
            "initContainers": [{"name": "dind", "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}],
        }}),
        &json!({}),
    );
    let spec = values(&profile)["template"]["spec"].clone();
    assert_eq!(spec["priorityClassName"], "ci");
    assert_eq!(spec["containers"].as_array().unwrap().len(), 2);
    for container in [&spec["containers"][0], &spec["initContainers"][1]] {
        assert!(container["volumeMounts"].to_string().contains("/cache"));
    }
    assert_eq!(
        spec["containers"][0]["command"],
        json!(["/home/runner/run.sh"])
    );
}

#[test]
fn the_controllers_values_follow_the_chart() {
    let of = |version: &str| {
        let sets = json!({"scaleSets": {"chartVersion": version, "metrics": true}});
        controller(&with_set(&json!({}), &sets))
    };
    let tested = of("0.14.2");
    assert_eq!(tested["flags"]["updateStrategy"], "immediate");
    assert_eq!(tested["flags"]["healthProbeBindAddress"], ":8081");
    assert_eq!(tested["metrics"].as_object().unwrap().len(), 3);
    assert_eq!(of("0.14.1")["flags"].get("healthProbeBindAddress"), None);
    assert_eq!(of("0.15.1")["flags"].get("updateStrategy"), None);
    let plain = controller(&with_set(&json!({}), &json!({})));
    assert_eq!(plain.get("metrics"), None);
}

#[test]
fn a_path_is_that_of_a_folder_with_both_charts() {
    let profile = with_set(&json!({}), &json!({"charts": {"scaleSets": "./charts/"}}));
    let chart = scale_sets::set_chart(&profile);
    assert_eq!(chart.location, "./charts/gha-runner-scale-set");
}
