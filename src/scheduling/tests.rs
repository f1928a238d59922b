//! Tests of the filters; `tests/cluster/pools/capacity.rs` compares them with kube-scheduler itself.

use serde_json::{Value, json};

use super::*;

fn node(name: &str, cpu: &str, memory: &str, pods: u32) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "disk": "fast", "size": "8"}},
        "spec": {},
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods.to_string()}},
    })
}

fn pod(cpu: &str, memory: &str) -> Value {
    json!({
        "metadata": {"namespace": "n", "name": "p", "labels": {"app": "runner"}},
        "spec": {"containers": [{"resources": {"requests": {"cpu": cpu, "memory": memory}}}]},
    })
}

fn on(node: &str, mut pod: Value) -> Value {
    pod["spec"]["nodeName"] = json!(node);
    pod
}

/// How many fit, and what the next one is told.
fn room(cluster: &Cluster, pod: &Value) -> (u64, String) {
    let room = cluster.room(&Pod::of(pod));
    (room.fits, room.pending)
}

fn with(pod: &Value, key: &str, value: Value) -> Value {
    let mut pod = pod.clone();
    pod["spec"][key] = value;
    pod
}

#[test]
fn without_nodes_nothing_fits() {
    let said = "no nodes available to schedule pods";
    assert_eq!(
        room(&Cluster::default(), &pod("1", "1Gi")),
        (0, said.into())
    );
}

#[test]
fn the_scarcest_resource_of_each_node_decides() {
    let nodes = [
        node("a", "3920m", "16Gi", 110),
        node("b", "8", "3Gi", 110),
        node("c", "64", "64Gi", 2),
    ];
    let mut cluster = Cluster::of(&nodes);
    assert_eq!(
        room(&cluster, &pod("1", "1Gi")),
        (
            8,
            "0/3 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Too many pods"
                .into()
        )
    );
    cluster.add(&on("a", pod("2", "1Gi")));
    assert_eq!(room(&cluster, &pod("1", "1Gi")).0, 6);
    let mut ended = on("b", pod("1", "1Gi"));
    ended["status"] = json!({"phase": "Succeeded"});
    cluster.add(&ended);
    cluster.add(&pod("8", "8Gi"));
    assert_eq!(room(&cluster, &pod("1", "1Gi")).0, 6);
    // One that asks for nothing is only counted.
    let nothing = json!({"spec": {"containers": [{}]}});
    assert_eq!(room(&cluster, &nothing).0, 109 + 110 + 2);
}

#[test]
fn a_node_with_more_on_it_than_it_has_takes_none() {
    let mut cluster = Cluster::of(&[node("a", "1", "1Gi", 10)]);
    cluster.add(&on("a", pod("2", "1Mi")));
    let (fits, said) = room(&cluster, &pod("1m", "1Mi"));
    assert_eq!(fits, 0);
    assert_eq!(said, "0/1 nodes are available: 1 Insufficient cpu");
    assert_eq!(room(&cluster, &pod("0", "1Mi")).0, 9);
}

#[test]
fn what_a_pod_asks_for_has_all_its_parts() {
    let cpu = |amount: &str| json!({"resources": {"requests": {"cpu": amount}}});
    let mut proxy = cpu("500m");
    proxy["restartPolicy"] = json!("Always");
    for (spec, expected) in [
        (json!({"containers": [cpu("1"), cpu("250m")]}), 1250),
        (
            json!({"initContainers": [cpu("2")], "containers": [cpu("1")]}),
            2000,
        ),
        (
            json!({"initContainers": [proxy, cpu("2")], "containers": [cpu("1")]}),
            2500,
        ),
        (
            json!({"initContainers": [cpu("2"), proxy], "containers": [cpu("1")]}),
            2000,
        ),
        (
            json!({"overhead": {"cpu": "250m"}, "containers": [cpu("1")]}),
            1250,
        ),
        (
            json!({"resources": {"requests": {"cpu": "3"}}, "overhead": {"cpu": "1"}, "containers": [cpu("1")]}),
            4000,
        ),
        (json!({"containers": [cpu("100u")]}), 1),
    ] {
        let asked = Amounts::of_pod(&json!({"spec": spec}));
        assert_eq!(asked.get("cpu"), expected, "{spec}");
    }
}

#[test]
fn taints_need_a_toleration() {
    let mut tainted = node("a", "4", "8Gi", 10);
    let taint = |effect: &str| json!([{"key": "runners", "value": "yes", "effect": effect}]);
    tainted["spec"]["taints"] = taint("NoSchedule");
    let plain = pod("1", "1Gi");
    let fits = |node: &Value, pod: &Value| room(&Cluster::of(std::slice::from_ref(node)), pod);
    assert_eq!(
        fits(&tainted, &plain),
        (
            0,
            "0/1 nodes are available: 1 node(s) had untolerated taint(s)".into()
        )
    );
    for (toleration, expected) in [
        (
            json!({"key": "runners", "operator": "Equal", "value": "yes"}),
            4,
        ),
        (json!({"key": "runners", "value": "no"}), 0),
        (
            json!({"key": "runners", "operator": "Exists", "effect": "NoSchedule"}),
            4,
        ),
        (
            json!({"key": "runners", "operator": "Exists", "effect": "NoExecute"}),
            0,
        ),
        (json!({"operator": "Exists"}), 4),
        (json!({"key": "runners", "operator": "Lt", "value": "1"}), 0),
    ] {
        let pod = with(&plain, "tolerations", json!([toleration]));
        assert_eq!(fits(&tainted, &pod).0, expected, "{toleration}");
    }
    tainted["spec"]["taints"] = taint("PreferNoSchedule");
    assert_eq!(fits(&tainted, &plain).0, 4);
}

#[test]
fn a_cordoned_node_is_told_before_its_taint() {
    let mut cordoned = node("a", "4", "8Gi", 10);
    cordoned["spec"] = json!({"unschedulable": true,
        "taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]});
    let cluster = Cluster::of(&[cordoned]);
    let plain = pod("1", "1Gi");
    assert_eq!(
        room(&cluster, &plain).1,
        "0/1 nodes are available: 1 node(s) were unschedulable"
    );
    let all = with(&plain, "tolerations", json!([{"operator": "Exists"}]));
    assert_eq!(room(&cluster, &all).0, 4);
}

#[test]
fn selectors_and_affinities_select_nodes() {
    let cluster = Cluster::of(&[node("a", "4", "8Gi", 10)]);
    let plain = pod("1", "1Gi");
    let (fits, said) = room(
        &cluster,
        &with(&plain, "nodeSelector", json!({"disk": "slow"})),
    );
    assert_eq!(fits, 0);
    assert_eq!(
        said,
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector"
    );
    for (expression, expected) in [
        (
            json!({"key": "disk", "operator": "In", "values": ["fast"]}),
            4,
        ),
        (
            json!({"key": "disk", "operator": "NotIn", "values": ["fast"]}),
            0,
        ),
        (
            json!({"key": "gpu", "operator": "NotIn", "values": ["x"]}),
            4,
        ),
        (json!({"key": "gpu", "operator": "Exists"}), 0),
        (json!({"key": "gpu", "operator": "DoesNotExist"}), 4),
        (json!({"key": "size", "operator": "Gt", "values": ["7"]}), 4),
        (json!({"key": "size", "operator": "Lt", "values": ["8"]}), 0),
    ] {
        let term = json!({"matchExpressions": [expression]});
        let affinity = json!({"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}});
        let pod = with(&plain, "affinity", affinity);
        assert_eq!(room(&cluster, &pod).0, expected, "{term}");
    }
}

#[test]
fn one_pod_of_a_node_has_a_port() {
    let mut cluster = Cluster::of(&[node("a", "4", "8Gi", 10), node("b", "4", "8Gi", 10)]);
    let with_port = |port: Value| {
        let mut pod = pod("1", "1Gi");
        pod["spec"]["containers"][0]["ports"] = json!([port]);
        pod
    };
    let asked = with_port(json!({"hostPort": 8080}));
    assert_eq!(room(&cluster, &asked).0, 2);
    cluster.add(&on(
        "a",
        with_port(json!({"hostPort": 8080, "hostIP": "10.0.0.1"})),
    ));
    let (fits, said) = room(&cluster, &asked);
    assert_eq!(fits, 1);
    assert_eq!(
        said,
        "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports"
    );
    for (other, expected) in [
        (json!({"hostPort": 8080, "hostIP": "10.0.0.2"}), 2),
        (json!({"hostPort": 8080, "hostIP": "10.0.0.1"}), 1),
        (json!({"hostPort": 8080, "protocol": "UDP"}), 2),
        (json!({"hostPort": 8081}), 2),
    ] {
        assert_eq!(
            room(&cluster, &with_port(other.clone())).0,
            expected,
            "{other}"
        );
    }
    assert_eq!(
        room(&cluster, &with_port(json!({"containerPort": 8080}))).0,
        7
    );
}

#[test]
fn what_is_not_computed_is_not_known() {
    let plain = pod("1", "1Gi");
    let mut cluster = Cluster::of(&[node("a", "4", "8Gi", 10)]);
    assert_eq!(cluster.not_known(&plain), None);
    let term = |labels: Value| json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}}]);
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let spread = |when: &str| json!([{"maxSkew": 1, "whenUnsatisfiable": when}]);
    let is_known = |key: &str, value: Value| cluster.not_known(&with(&plain, key, value)).is_none();
    assert!(!is_known(
        "affinity",
        json!({"podAntiAffinity": {required: term(json!({}))}})
    ));
    assert!(is_known(
        "affinity",
        json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{}]}})
    ));
    assert!(!is_known(
        "topologySpreadConstraints",
        spread("DoNotSchedule")
    ));
    assert!(is_known(
        "topologySpreadConstraints",
        spread("ScheduleAnyway")
    ));
    assert!(!is_known(
        "volumes",
        json!([{"name": "w", "ephemeral": {}}])
    ));
    assert!(is_known("volumes", json!([{"name": "w", "emptyDir": {}}])));
    assert!(!is_known("schedulerName", json!("volcano")));
    let avoiding = |labels: Value| {
        let affinity = json!({"podAntiAffinity": {required: term(labels)}});
        on("a", with(&plain, "affinity", affinity))
    };
    cluster.add(&avoiding(json!({"app": "other"})));
    assert_eq!(cluster.not_known(&plain), None);
    cluster.add(&avoiding(json!({"app": "runner"})));
    assert!(cluster.not_known(&plain).unwrap().contains("`n/p`"));
}

#[test]
fn pools_share_the_nodes() {
    let mut cluster = Cluster::of(&[node("a", "4", "8Gi", 10)]);
    let pod = Pod::of(&pod("1", "1Gi"));
    assert_eq!(cluster.fill(&pod, 3), 3);
    assert_eq!(cluster.room(&pod).fits, 1);
    assert_eq!(cluster.fill(&pod, 3), 1);
    let node = cluster.nodes().next().unwrap();
    assert_eq!((node.name(), node.label("disk")), ("a", Some("fast")));
}
