//! Images that are on no node: pods wait for them, and say so.

use arcctl_sandbox::{
    kubelet::Images,
    world::{Options, Pace},
};
use serde_json::{Value, json};

use crate::harness::{cluster::Cluster, waiting::until};

const SMALL: &str = "quay.io/jetstack/cert-manager-webhook:v1.21.1";
const LARGE: &str = "docker:28-dind";

#[test]
#[ignore = "slow: `make test-slow`"]
fn absent_images_are_pulled_before_containers_run() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        images: Images::Absent,
        ..Options::default()
    });
    assert_eq!(listed(&cluster), Vec::<String>::new());
    cluster.kubectl(&["create", "-f", "-"], Some(&puller().to_string()));
    until("the init containers have ended well", || {
        let pods = pods(&cluster);
        let states = states(&pods, "initContainerStatuses");
        states.len() == 4 && states.iter().all(|it| it["terminated"]["exitCode"] == 0)
    });
    until("the containers run", || {
        let pods = pods(&cluster);
        let states = states(&pods, "containerStatuses");
        states.len() == 2 && states.iter().all(|it| it["running"].is_object())
    });
    let events = cluster.kubectl(&["get", "events"], None);
    for said in [
        format!("Pulling image \"{LARGE}\""),
        format!("Successfully pulled image \"{LARGE}\" in "),
        " including waiting). Image size: 140239128 bytes.".to_owned(),
        format!("Container image \"{SMALL}\" already present on machine"),
    ] {
        assert!(events.contains(&said), "{said}: {events}");
    }
    until("the nodes list both images", || listed(&cluster).len() == 4);
    assert!(listed(&cluster).contains(&"docker.io/library/docker:28-dind".to_owned()));
    cluster.finish();
}

/// Two images, each for an init container that ends at once; the container has one of them.
fn puller() -> Value {
    let container =
        |name: &str, image: &str| json!({"name": name, "image": image, "command": ["true"]});
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet",
    "metadata": {"name": "pull", "namespace": "default"},
    "spec": {"selector": {"matchLabels": {"app": "pull"}}, "template": {
        "metadata": {"labels": {"app": "pull"}},
        "spec": {
            "initContainers": [container("large", LARGE), container("small", SMALL)],
            "containers": [{"name": "rest", "image": SMALL}],
        }}}})
}

fn pods(cluster: &Cluster) -> Vec<Value> {
    let list = ["get", "pods", "-l", "app=pull", "-o", "json"];
    let list: Value = serde_json::from_str(&cluster.kubectl(&list, None)).unwrap();
    list["items"].as_array().unwrap().clone()
}

fn states(pods: &[Value], key: &str) -> Vec<Value> {
    let statuses = pods.iter().filter_map(|pod| pod["status"][key].as_array());
    statuses.flatten().map(|it| it["state"].clone()).collect()
}

/// The tagged names of the images in the status of all nodes.
fn listed(cluster: &Cluster) -> Vec<String> {
    let list = cluster.kubectl(&["get", "nodes", "-o", "json"], None);
    let list: Value = serde_json::from_str(&list).unwrap();
    let nodes = list["items"].as_array().unwrap().iter();
    let images = nodes.filter_map(|node| node["status"]["images"].as_array());
    let names = images.flatten().map(|it| it["names"][1].as_str().unwrap());
    names.map(str::to_owned).collect()
}
