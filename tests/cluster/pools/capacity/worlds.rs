//! Generated clusters: nodes of many kinds, pods that run on them, and the pods of pools that come.

use serde_json::{Map, Value, json};

/// The namespace of all pods.
pub(super) const NAMESPACE: &str = "worlds";

/// The label with the number of a world, by which its pods find its nodes.
const WORLD: &str = "arcctl.dev/world";

/// The runtime class of pods with an overhead.
pub(super) const HEAVY: &str = "heavy";

/// A resource of a device plugin.
const GPU: &str = "example.com/gpu";

/// A generator of numbers that are the same in every run.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A generated cluster.
pub(super) struct World {
    /// Its nodes, without the state that they report.
    pub(super) nodes: Vec<Value>,
    /// Pods that are bound to these already.
    pub(super) running: Vec<Value>,
    /// A pod of each of its pools.
    pub(super) pools: Vec<Value>,
}

impl World {
    pub(super) fn generated(number: usize) -> Self {
        let mut dice = Dice::new(u64::try_from(number).unwrap());
        let nodes: Vec<Value> = (0..=dice.below(4))
            .map(|index| node(&mut dice, number, index))
            .collect();
        let mut running = Vec::new();
        for node in &nodes {
            for index in 0..dice.below(3) {
                running.push(filler(&mut dice, node, index));
            }
        }
        let pools = (0..=dice.below(2))
            .map(|index| pool(&mut dice, number, index))
            .collect();
        Self {
            nodes,
            running,
            pools,
        }
    }
}

fn node(dice: &mut Dice, world: usize, index: usize) -> Value {
    let name = format!("w{world}-n{index}");
    let mut labels = json!({
        WORLD: world.to_string(),
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": dice.one_of(&["amd64", "arm64"]),
        "size": dice.below(10).to_string(),
    });
    if !dice.once_in(3) {
        labels["disk"] = json!(dice.one_of(&["fast", "slow"]));
    }
    let mut allocatable = json!({
        "cpu": dice.one_of(&["500m", "1", "1930m", "2", "3920m"]),
        "memory": dice.one_of(&["1Gi", "3Gi", "7220184Ki"]),
        "pods": (2 + dice.below(7)).to_string(),
        "ephemeral-storage": dice.one_of(&["5Gi", "20Gi"]),
    });
    if dice.once_in(3) {
        allocatable[GPU] = json!((1 + dice.below(2)).to_string());
    }
    let mut spec = json!({"taints": taints(dice)});
    if dice.once_in(8) {
        spec["unschedulable"] = json!(true);
    }
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"capacity": allocatable, "allocatable": allocatable},
    })
}

const TAINTS: [(&str, &str); 3] = [("team", "a"), ("team", "b"), ("spot", "")];
const EFFECTS: [&str; 3] = ["NoSchedule", "NoExecute", "PreferNoSchedule"];

fn taints(dice: &mut Dice) -> Vec<Value> {
    let mut taints: Vec<Value> = Vec::new();
    for _ in 0..[0, 0, 1, 2][dice.below(4)] {
        let (key, value) = dice.one_of(&TAINTS);
        let effect = dice.one_of(&EFFECTS);
        // A node has each key with an effect once.
        if !taints
            .iter()
            .any(|it| it["key"] == *key && it["effect"] == *effect)
        {
            taints.push(json!({"key": key, "value": value, "effect": effect}));
        }
    }
    taints
}

/// A pod on a node that no taint of this test drives away.
fn filler(dice: &mut Dice, node: &Value, index: usize) -> Value {
    let node = node["metadata"]["name"].as_str().unwrap();
    let mut container = json!({"name": "a", "image": "a", "resources": {"requests": {
        "cpu": dice.one_of(&["0", "100m", "333m", "1"]),
        "memory": dice.one_of(&["0", "100M", "1Gi"]),
    }}});
    if dice.once_in(5) {
        container["ports"] = json!([port(dice)]);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{node}-filler-{index}"), "namespace": NAMESPACE},
        "spec": {
            "nodeName": node, "containers": [container], "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": false,
        },
    })
}

fn port(dice: &mut Dice) -> Value {
    let mut port = json!({"containerPort": 80, "hostPort": 8080 + dice.below(2)});
    if dice.once_in(2) {
        port["hostIP"] = json!(dice.one_of(&["10.0.0.1", "10.0.0.2"]));
    }
    if dice.once_in(3) {
        port["protocol"] = json!("UDP");
    }
    port
}

/// A pod of a pool; its name is that of the pool.
fn pool(dice: &mut Dice, world: usize, index: usize) -> Value {
    let mut runner = container(dice, "runner");
    if dice.once_in(6) {
        runner["ports"] = json!([port(dice)]);
    }
    let mut spec = json!({
        "containers": [runner],
        "nodeSelector": {WORLD: world.to_string()},
        "tolerations": tolerations(dice),
        "automountServiceAccountToken": false,
        "restartPolicy": "Never",
    });
    if dice.once_in(2) {
        let docker = container(dice, "docker");
        spec["containers"].as_array_mut().unwrap().push(docker);
    }
    let mut first = Vec::new();
    if dice.once_in(3) {
        first.push(container(dice, "init"));
    }
    if dice.once_in(4) {
        let mut sidecar = container(dice, "sidecar");
        sidecar["restartPolicy"] = json!("Always");
        first.insert(dice.below(first.len() + 1), sidecar);
    }
    if !first.is_empty() {
        spec["initContainers"] = json!(first);
    }
    if dice.once_in(5) {
        spec["runtimeClassName"] = json!(HEAVY);
    }
    if dice.once_in(4) {
        spec["nodeSelector"]["disk"] = json!(dice.one_of(&["fast", "slow"]));
    }
    if dice.once_in(3) {
        spec["affinity"] = affinity(dice);
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("w{world}-p{index}"), "namespace": NAMESPACE},
        "spec": spec,
    })
}

fn container(dice: &mut Dice, name: &str) -> Value {
    let mut requests = Map::new();
    let mut limits = Map::new();
    for (resource, amounts) in [
        ("cpu", &["0", "100m", "250m", "333m", "1"][..]),
        ("memory", &["64Mi", "500M", "1Gi"][..]),
    ] {
        if !dice.once_in(6) {
            requests.insert(resource.into(), json!(dice.one_of(amounts)));
        }
    }
    if dice.once_in(6) {
        requests.insert("ephemeral-storage".into(), json!("2Gi"));
    }
    if dice.once_in(12) {
        // A device is asked for as a limit.
        requests.insert(GPU.into(), json!("1"));
        limits.insert(GPU.into(), json!("1"));
    }
    json!({"name": name, "image": "a", "resources": {"requests": requests, "limits": limits}})
}

fn tolerations(dice: &mut Dice) -> Vec<Value> {
    let mut all = Vec::new();
    for _ in 0..dice.below(3) {
        let (key, value) = dice.one_of(&TAINTS);
        let mut toleration = match dice.below(3) {
            0 => json!({"key": key, "operator": "Exists"}),
            1 => json!({"key": key, "operator": "Equal", "value": value}),
            _ => json!({"operator": "Exists"}),
        };
        if dice.once_in(2) {
            toleration["effect"] = json!(dice.one_of(&EFFECTS));
        }
        all.push(toleration);
    }
    all
}

fn affinity(dice: &mut Dice) -> Value {
    let terms: Vec<Value> = (0..=dice.below(2))
        .map(|_| {
            let expressions: Vec<Value> = (0..=dice.below(2)).map(|_| expression(dice)).collect();
            json!({"matchExpressions": expressions})
        })
        .collect();
    json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}})
}

fn expression(dice: &mut Dice) -> Value {
    match dice.below(6) {
        0 => json!({"key": "disk", "operator": "In", "values": [dice.one_of(&["fast", "slow"])]}),
        1 => json!({"key": "disk", "operator": "NotIn", "values": ["slow"]}),
        2 => json!({"key": "disk", "operator": "Exists"}),
        3 => json!({"key": "disk", "operator": "DoesNotExist"}),
        4 => json!({"key": "size", "operator": "Gt", "values": [dice.below(10).to_string()]}),
        _ => json!({"key": "size", "operator": "Lt", "values": [dice.below(10).to_string()]}),
    }
}
