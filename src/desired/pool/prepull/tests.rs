//! Tests which pools' images are pulled ahead, and how.

use serde_json::{Value, json};

use super::*;
use crate::desired::{
    pool::dry_run_pod::runner_pod,
    tests::{profile, with_pool},
};

const RUNNER: &str = "docker.io/library/r:v1-ubuntu-22.04";
const DOCKER: &str = "docker.io/library/docker:28-dind";

/// A ready node with `images`.
fn node(name: &str, images: &[&str]) -> Value {
    let images: Vec<Value> = images.iter().map(|it| json!({"names": [it]})).collect();
    json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": "t3a.large",
        }},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "images": images},
    })
}

fn bare(name: &str) -> Value {
    node(name, &["registry.k8s.io/pause:3.10"])
}

fn changed(mut node: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    node.pointer_mut(parent).unwrap()[key] = value;
    node
}

/// The images of the only pool, or why they are not pulled.
fn of(profile: &Profile) -> Result<Candidate, WhyNot> {
    let pool = &profile.pools[0];
    Candidate::of(profile, pool, &runner_pod(profile, pool).unwrap())
}

fn candidate(profile: &Profile) -> Candidate {
    of(profile).unwrap()
}

/// The nodes on which the images of the only pool are pulled.
fn pulled(profile: &Profile, nodes: &[Value]) -> Result<Vec<String>, WhyNot> {
    let mut candidate = candidate(profile);
    for it in nodes {
        candidate.see(it);
    }
    let Resource::ImagePull(pull) = candidate.decide(profile)?.resource else {
        panic!("it is no pull");
    };
    Ok(pull.nodes.into_iter().collect())
}

#[test]
fn images_are_pulled_on_the_nodes_that_lack_one() {
    let nodes = [
        node("all", &[RUNNER, DOCKER]),
        node("runner", &[RUNNER]),
        bare("bare"),
    ];
    let found = pulled(&profile(&json!({})), &nodes);
    assert_eq!(found.unwrap(), ["bare", "runner"]);
}

#[test]
fn without_a_node_or_with_all_images_nothing_is_pulled() {
    let profile = profile(&json!({}));
    assert_eq!(pulled(&profile, &[]), Err(WhyNot::NoNode));
    let all = [node("a", &[RUNNER, DOCKER]), node("b", &[DOCKER, RUNNER])];
    assert_eq!(pulled(&profile, &all), Err(WhyNot::Present(2)));
    // A kubelet that lists no images says nothing about them.
    assert_eq!(pulled(&profile, &[node("a", &[])]), Err(WhyNot::Present(1)));
}

#[test]
fn a_large_cluster_is_not_filled() {
    let profile = profile(&json!({}));
    let nodes =
        |count: usize| -> Vec<Value> { (0..count).map(|it| bare(&format!("n{it}"))).collect() };
    assert_eq!(pulled(&profile, &nodes(20)).unwrap().len(), 20);
    assert_eq!(pulled(&profile, &nodes(21)), Err(WhyNot::Many(21)));
}

#[test]
fn the_key_turns_it_off() {
    let never = profile(&json!({"images": {"prepull": "never"}}));
    assert_eq!(of(&never).unwrap_err(), WhyNot::Never);
    for auto in [
        profile(&json!({"images": {"prepull": "auto"}})),
        profile(&json!({"images": {"pullSecrets": ["s"]}})),
    ] {
        assert_eq!(pulled(&auto, &[bare("a")]).unwrap(), ["a"]);
    }
}

#[test]
fn a_node_that_takes_no_pods_is_no_node() {
    let profile = profile(&json!({}));
    let not_ready = json!([{"type": "Ready", "status": "Unknown"}]);
    for (pointer, value) in [
        ("/status/conditions", not_ready),
        ("/spec/unschedulable", json!(true)),
        ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
        ("/metadata/labels/kubernetes.io~1os", json!("windows")),
        (
            "/metadata/labels/eks.amazonaws.com~1compute-type",
            json!("fargate"),
        ),
    ] {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let mut node = bare("a");
        node.pointer_mut(parent).unwrap()[key.replace("~1", "/")] = value;
        assert_eq!(pulled(&profile, &[node]), Err(WhyNot::NoNode), "{pointer}");
    }
}

#[test]
fn the_selector_and_the_instance_type_choose_nodes() {
    let profile = with_pool(&json!({
        "instanceType": "t3a.large", "nodeSelector": {"disk": "fast"},
    }));
    let fast = changed(bare("fast"), "/metadata/labels/disk", json!("fast"));
    let other = changed(
        fast.clone(),
        "/metadata/labels",
        json!({"disk": "fast", "node.kubernetes.io/instance-type": "m5.large"}),
    );
    assert_eq!(
        pulled(&profile, &[bare("a"), other, fast]).unwrap(),
        ["fast"]
    );
}

#[test]
fn a_taint_needs_a_toleration() {
    let taint = |key: &str, value: &str, effect: &str| {
        let taints = json!([{"key": key, "value": value, "effect": effect}]);
        changed(bare("a"), "/spec/taints", taints)
    };
    let tolerates = |toleration: &Value, node: Value| {
        let profile = with_pool(&json!({"tolerations": [toleration]}));
        pulled(&profile, &[node]).is_ok()
    };
    let equal = json!({"key": "ci", "value": "yes", "effect": "NoSchedule"});
    assert!(tolerates(&equal, taint("ci", "yes", "NoSchedule")));
    assert!(!tolerates(&equal, taint("ci", "no", "NoSchedule")));
    assert!(!tolerates(&equal, taint("ci", "yes", "NoExecute")));
    assert!(!tolerates(&equal, taint("other", "yes", "NoSchedule")));
    assert!(tolerates(&equal, taint("other", "yes", "PreferNoSchedule")));
    let key = json!({"key": "ci", "operator": "Exists"});
    assert!(tolerates(&key, taint("ci", "no", "NoExecute")));
    let every = json!({"operator": "Exists"});
    assert!(tolerates(&every, taint("other", "x", "NoExecute")));
}

/// A profile whose pool has this affinity.
fn with_affinity(affinity: &Value) -> Profile {
    with_pool(&json!({"template": {"affinity": affinity}}))
}

#[test]
fn a_required_node_affinity_is_evaluated() {
    let of = |expressions: &Value| {
        let terms = json!([{"matchExpressions": expressions}]);
        with_affinity(&json!({"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}))
    };
    let node = changed(bare("a"), "/metadata/labels/size", json!("8"));
    let chosen =
        |expressions: Value| pulled(&of(&expressions), std::slice::from_ref(&node)).is_ok();
    for (operator, values, expected) in [
        ("In", json!(["4", "8"]), true),
        ("In", json!(["4"]), false),
        ("NotIn", json!(["4"]), true),
        ("NotIn", json!(["8"]), false),
        ("Exists", json!([]), true),
        ("DoesNotExist", json!([]), false),
        ("Gt", json!(["7"]), true),
        ("Gt", json!(["8"]), false),
        ("Lt", json!(["9"]), true),
        ("Lt", json!(["8"]), false),
    ] {
        let expression = json!([{"key": "size", "operator": operator, "values": values}]);
        assert_eq!(chosen(expression), expected, "{operator} {values}");
    }
    assert!(!chosen(json!([
        {"key": "size", "operator": "Exists"}, {"key": "disk", "operator": "Exists"}
    ])));
    // A preference chooses nothing.
    let preferred = with_affinity(&json!({"nodeAffinity":
        {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference":
            {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}]}}));
    assert!(pulled(&preferred, &[bare("a")]).is_ok());
}

#[test]
fn the_pods_hold_no_runner_off_a_node() {
    let anti = |selector: &Value| {
        let profile = with_affinity(&json!({"podAntiAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution":
                [{"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}]}}));
        of(&profile).map(|it| it.pod)
    };
    for any in [
        json!({}),
        json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}),
    ] {
        assert_eq!(anti(&any), Err(WhyNot::AntiAffinity), "{any}");
    }
    let runners = json!({"matchLabels": {"runner-deployment-name": "basic"}});
    // Rules about runners are not for the pods that pull.
    assert_eq!(anti(&runners).unwrap().get("affinity"), None);
}

#[test]
fn the_pod_is_placed_as_a_runner_is_and_has_no_rights() {
    let mut profile = with_pool(&json!({
        "instanceType": "t3a.large",
        "imagePullSecrets": ["s"],
        "tolerations": [{"key": "ci", "operator": "Exists"}],
        "template": {"priorityClassName": "high", "runtimeClassName": "kata", "hostNetwork": true},
    }));
    let pod = candidate(&profile).pod;
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "s"}]));
    assert_eq!(
        pod["nodeSelector"],
        json!({"node.kubernetes.io/instance-type": "t3a.large"})
    );
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["runtimeClassName"], "kata");
    assert_eq!(pod["tolerations"].as_array().unwrap().len(), 1);
    assert_eq!(pod["automountServiceAccountToken"], false);
    for key in [
        "hostNetwork",
        "volumes",
        "serviceAccountName",
        "initContainers",
    ] {
        assert_eq!(pod.get(key), None, "{key}");
    }
    for container in pod["containers"].as_array().unwrap() {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}));
        assert_eq!(context.get("privileged"), None);
        for key in ["env", "volumeMounts", "args"] {
            assert_eq!(container.get(key), None, "{key}");
        }
    }
    // An account of the user's may have pull secrets.
    profile.pools[0].service_account = Some("theirs".into());
    assert_eq!(candidate(&profile).pod["serviceAccountName"], "theirs");
}

#[test]
fn each_image_is_in_the_pod_once_and_pulled_as_the_runner_s_pod_does() {
    let containers = |profile: &Profile| -> Vec<(String, Value)> {
        let pod = candidate(profile).pod;
        let all = pod["containers"].as_array().unwrap().iter();
        let text = |it: &Value| it["image"].as_str().unwrap().to_owned();
        all.map(|it| (text(it), it["imagePullPolicy"].clone()))
            .collect()
    };
    let image = |name: &str, policy: &str| (name.to_owned(), json!(policy));
    // The controller's default for the runner; docker's is left to the API server.
    let docker = ("docker:28-dind".to_owned(), Value::Null);
    assert_eq!(
        containers(&profile(&json!({}))),
        [image("r:v1-ubuntu-22.04", "Always"), docker.clone()]
    );
    let mirror = profile(&json!({"images": {"registry": "m.example"}}));
    let names: Vec<String> = containers(&mirror).into_iter().map(|it| it.0).collect();
    assert_eq!(
        names,
        [
            "m.example/library/r:v1-ubuntu-22.04",
            "m.example/library/docker:28-dind"
        ]
    );
    let none = with_pool(&json!({"containerMode": "none",
        "template": {"imagePullPolicy": "IfNotPresent",
            "initContainers": [{"name": "i", "image": "r:v1-ubuntu-22.04"}, {"name": "j", "image": "i:1"}]}}));
    assert_eq!(
        containers(&none),
        [
            image("r:v1-ubuntu-22.04", "IfNotPresent"),
            ("i:1".to_owned(), Value::Null)
        ]
    );
    let never =
        with_pool(&json!({"containerMode": "none", "template": {"imagePullPolicy": "Never"}}));
    assert_eq!(of(&never).unwrap_err(), WhyNot::Policy);
}

#[test]
fn an_image_is_found_under_the_name_that_a_node_lists() {
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (reference, expected) in [
        ("docker:28-dind", "docker.io/library/docker:28-dind"),
        (
            "docker.io/docker:28-dind",
            "docker.io/library/docker:28-dind",
        ),
        ("index.docker.io/a/b:1", "docker.io/a/b:1"),
        (
            "summerwind/actions-runner:v2",
            "docker.io/summerwind/actions-runner:v2",
        ),
        ("quay.io/a/b", "quay.io/a/b:latest"),
        ("m:5000/a:1", "m:5000/a:1"),
    ] {
        assert_eq!(full(reference), expected);
    }
    let both = format!("quay.io/a/b:1@{digest}");
    assert_eq!(full(&both), format!("quay.io/a/b@{digest}"));
}

#[test]
fn the_daemon_set_is_arcctls_and_is_found_again_by_its_record() {
    let profile = profile(&json!({}));
    let mut candidate = candidate(&profile);
    candidate.see(&bare("a"));
    let step = candidate.decide(&profile).unwrap();
    assert_eq!(
        step.id.as_str(),
        "daemon-set/actions-runner/arcctl-images-basic"
    );
    let Resource::ImagePull(pull) = &step.resource else {
        panic!("it is no pull");
    };
    assert_eq!(step.id, names::object_id(&pull.daemon_set));
    assert_eq!(pull.daemon_set["metadata"]["labels"], names::labels("test"));
    let spec = &pull.daemon_set["spec"];
    let selector = spec["selector"]["matchLabels"].as_object().unwrap();
    for (key, value) in selector {
        assert_eq!(spec["template"]["metadata"]["labels"][key], *value);
    }
    // No label of a runner: nothing takes these pods for one.
    assert_eq!(
        spec["template"]["metadata"]["labels"].get("runner-deployment-name"),
        None
    );
    let records = crate::desired::teardown::records(std::slice::from_ref(&step));
    let left = crate::desired::teardown::left_behind(&records, &[], &profile);
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0].id, left[0].goal), (&step.id, Goal::Absent));
}
