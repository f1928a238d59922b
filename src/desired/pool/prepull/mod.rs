//! Which pools' images are pulled ahead, and by which `DaemonSet`. Pure: no I/O.
//!
//! Its pods have a container for each image, which sleeps: a container that ends would be started again and again. They
//! are placed as the pool's pods are, and have no rights, no token and no capabilities (docs/decisions/0014-images-ahead.md).

mod nodes;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    desired::{
        Desired, Goal, Phase, names,
        resource::{Id, ImagePull, Resource},
    },
    profile::{Pool, Prepull, Profile},
    units::image::Image,
};

/// The label of the `DaemonSet`'s pods, with the pool as its value.
pub const LABEL: &str = "arcctl.dev/images";

/// On how many nodes images are pulled at most: Docker Hub serves 100 pulls in six hours to all nodes behind one address
/// without a login (docs.docker.com, "Docker Hub usage and limits"), and each node pulls two images.
const MOST_NODES: usize = 20;

/// A user and a group of no image: `nobody`.
const NOBODY: u32 = 65534;

/// The fields that a pod of the `DaemonSet` has in common with a runner's: where it runs, and who pulls its images.
const LIKE_A_RUNNER: [&str; 5] = [
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "runtimeClassName",
    "tolerations",
];

/// Why the images of a pool are not pulled ahead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// `images.prepull`.
    #[error("`images.prepull` is `never`")]
    Never,
    /// Each container has `imagePullPolicy: Never`.
    #[error("its pods pull no image (`imagePullPolicy: Never`)")]
    Policy,
    /// The pods that pull could keep the runners off a node.
    #[error("its pods have an anti-affinity that may count any pod")]
    AntiAffinity,
    /// An autoscaler may add nodes.
    #[error("no ready node matches its pods")]
    NoNode,
    /// No node is seen to lack an image.
    #[error("each of the {0} nodes that match its pods has its images, or lists none at all")]
    Present(usize),
    /// More than [`MOST_NODES`].
    #[error(
        "{0} nodes lack an image, more than {MOST_NODES}: registries limit the number of pulls"
    )]
    Many(usize),
}

/// A pool whose images could be pulled ahead: [`Candidate::see`] each node, then [`Candidate::decide`].
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The first of the pools with the same images and the same placement.
    pub pool: String,
    /// Their namespace.
    pub namespace: String,
    /// The spec of the pods that pull.
    pub pod: Value,
    matching: usize,
    lacking: BTreeSet<String>,
}

impl Candidate {
    /// The images of `pool`, and the pods that would pull them; `runner` is the pod of one of its runners.
    pub fn of(profile: &Profile, pool: &Pool, runner: &Value) -> Result<Self, WhyNot> {
        let prepull = profile.images.as_ref().map(|it| it.prepull);
        if prepull.unwrap_or_default() == Prepull::Never {
            return Err(WhyNot::Never);
        }
        let containers = containers(&runner["spec"]);
        if containers.is_empty() {
            return Err(WhyNot::Policy);
        }
        if nodes::may_avoid_any_pod(&runner["spec"]) {
            return Err(WhyNot::AntiAffinity);
        }
        Ok(Self {
            pool: pool.name.clone(),
            namespace: pool.namespace.clone(),
            pod: pod_spec(pool, &runner["spec"], containers),
            matching: 0,
            lacking: BTreeSet::new(),
        })
    }

    /// Looks at a node of the cluster.
    pub fn see(&mut self, node: &Value) {
        if !nodes::takes(node, &self.pod) {
            return;
        }
        self.matching += 1;
        let mut images = images(&self.pod);
        if images.any(|it| nodes::lacks(node, &full(it)))
            && let Some(name) = node["metadata"]["name"].as_str()
        {
            self.lacking.insert(name.to_owned());
        }
    }

    /// The step that pulls the images, once all nodes have been seen.
    pub fn decide(&self, profile: &Profile) -> Result<Desired, WhyNot> {
        match (self.matching, self.lacking.len()) {
            (0, _) => return Err(WhyNot::NoNode),
            (all, 0) => return Err(WhyNot::Present(all)),
            (_, lacking) if lacking > MOST_NODES => return Err(WhyNot::Many(lacking)),
            _ => {}
        }
        let daemon_set = self.daemon_set(profile);
        Ok(Desired {
            id: self.id(),
            phase: Phase::Runners,
            after: Vec::new(),
            resource: Resource::ImagePull(ImagePull {
                daemon_set,
                pool: self.pool.clone(),
                nodes: self.lacking.clone(),
            }),
            goal: Goal::Present,
        })
    }

    /// The id of its `DaemonSet`.
    pub fn id(&self) -> Id {
        Id::new(ImagePull::KIND, Some(&self.namespace), &self.name())
    }

    fn name(&self) -> String {
        format!("arcctl-images-{}", self.pool)
    }

    fn daemon_set(&self, profile: &Profile) -> Value {
        let mut labels = names::labels(&profile.name);
        labels[LABEL] = json!(self.pool);
        json!({
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": names::metadata(profile, Some(&self.namespace), &self.name()),
            "spec": {
                "selector": {"matchLabels": {LABEL: self.pool}},
                "revisionHistoryLimit": 0,
                // What a run that was killed has left is replaced at once.
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
                "template": {"metadata": {"labels": labels}, "spec": self.pod},
            },
        })
    }
}

/// The images of a pod.
pub fn images(pod: &Value) -> impl Iterator<Item = &str> {
    let containers = pod["containers"].as_array().into_iter().flatten();
    containers.filter_map(|it| it["image"].as_str())
}

/// The container at `index` that only has its image pulled, as the Pod Security Standard `restricted` admits it.
pub(super) fn sleeper(index: usize, image: &Value) -> Value {
    json!({
        "name": format!("image-{}", index + 1),
        "image": image,
        // An image without this program is pulled as well, and cannot be started.
        "command": ["sleep", "3600"],
        // For nodes that are full. A policy may ask for limits.
        "resources": {
            "requests": {"cpu": "1m", "memory": "4Mi"},
            "limits": {"cpu": "100m", "memory": "32Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        },
    })
}

/// A container for each image of a runner's pod, with the pull policy of the first container that has it.
fn containers(runner: &Value) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    let all = ["containers", "initContainers"].map(|key| runner[key].as_array());
    for container in all.into_iter().flatten().flatten() {
        let image = &container["image"];
        let known = found.iter().any(|it| it["image"] == *image);
        if known || !image.is_string() || container["imagePullPolicy"] == "Never" {
            continue;
        }
        let mut own = sleeper(found.len(), image);
        if let Some(policy) = container["imagePullPolicy"].as_str() {
            own["imagePullPolicy"] = policy.into();
        }
        found.push(own);
    }
    found
}

/// The pod, as the Pod Security Standard `restricted` admits it.
fn pod_spec(pool: &Pool, runner: &Value, containers: Vec<Value>) -> Value {
    let mut spec = Map::new();
    for key in LIKE_A_RUNNER {
        if let Some(value) = runner.get(key) {
            spec.insert(key.into(), value.clone());
        }
    }
    // Rules about other pods are left out: they are about runners.
    if let Some(affinity) = runner["affinity"].get("nodeAffinity") {
        spec.insert("affinity".into(), json!({"nodeAffinity": affinity}));
    }
    // An existing account may have pull secrets; the one that this run makes has none.
    if let Some(account) = &pool.service_account {
        spec.insert("serviceAccountName".into(), account.as_str().into());
    }
    spec.insert("automountServiceAccountToken".into(), false.into());
    spec.insert("enableServiceLinks".into(), false.into());
    spec.insert("terminationGracePeriodSeconds".into(), 0.into());
    spec.insert(
        "securityContext".into(),
        json!({
            "runAsNonRoot": true,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        }),
    );
    spec.insert("containers".into(), containers.into());
    spec.into()
}

/// The name under which a node lists an image (`status.images`): with registry, and with the digest or the tag.
fn full(reference: &str) -> String {
    let Some(image) = Image::parse(reference) else {
        return reference.to_owned();
    };
    let registry = image.registry.filter(|it| *it != "index.docker.io");
    let registry = registry.unwrap_or("docker.io");
    let library = if registry == "docker.io" && !image.repository.contains('/') {
        "library/"
    } else {
        ""
    };
    let version = match (image.digest, image.tag) {
        (Some(digest), _) => format!("@{digest}"),
        (None, Some(tag)) => format!(":{tag}"),
        (None, None) => ":latest".to_owned(),
    };
    format!("{registry}/{library}{}{version}", image.repository)
}

#[cfg(test)]
mod tests;
