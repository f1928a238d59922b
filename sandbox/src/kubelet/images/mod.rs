//! The images on each node, and the pulls of those that are not there yet.
//!
//! As on nodes of EKS: the kubelet asks for each image as soon as a container needs it (`serializeImagePulls` is `false`
//! in the configuration that nodeadm writes, awslabs/amazon-eks-ami `nodeadm/internal/kubelet/config.go`, and in
//! Bottlerocket, bottlerocket-os/bottlerocket#4058; the kubelet's own default is one at a time), a layer that two images
//! share is downloaded once, and all downloads share the bandwidth of the node.

mod downloads;
mod name;
mod sizes;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::downloads::Downloads;
pub(super) use self::name::Name;
use self::sizes::Layer;

/// Whether the images are on the nodes when the sandbox starts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Images {
    /// Every image is on every node, and no time passes for any.
    #[default]
    Present,
    /// No image is on any node but the pause image, which each has; the others are pulled in the time that their sizes take.
    Absent,
}

/// What the registry takes to answer for an image, before the first byte of a layer: the kubelet's event for a pull of
/// ghcr.io/actions/actions-runner:latest whose layers were there already says 796 ms.
const REGISTRY: Duration = Duration::from_millis(800);

/// What every node has before its first pod: the container that holds a pod's network (EKS's AMIs bring one along).
const PAUSE: &str = "registry.k8s.io/pause:3.10";

/// A node's status lists this many images, the largest first (`nodeStatusMaxImages` of the kubelet's configuration).
const LISTED: usize = 50;

/// The images of all nodes.
pub(super) struct Stores {
    images: Images,
    nodes: Mutex<HashMap<String, Store>>,
}

/// The container that an image is for: the UID of its pod, and its name.
pub(super) type Container<'a> = (&'a str, &'a str);

/// What there is to say of a container's image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pull {
    /// It is on the node; nothing was pulled.
    Present,
    /// It is being pulled; `is_new` at the first look. To be looked at again after this time.
    Pulling { is_new: bool, left: Duration },
    /// It has been pulled in this time, and has this many bytes.
    Pulled { took: Duration, bytes: u64 },
}

/// The images of a node.
struct Store {
    images: BTreeMap<Name, u64>,
    layers: HashSet<String>,
    pulls: HashMap<(String, String), Pulling>,
    downloads: Downloads,
    /// How many of them its status has been told.
    listed: usize,
}

struct Pulling {
    image: Name,
    layers: Vec<Layer>,
    since: Instant,
    /// Whether the registry has answered.
    is_begun: bool,
}

impl Stores {
    pub(super) fn new(images: Images) -> Self {
        Self {
            images,
            nodes: Mutex::default(),
        }
    }

    /// Whether images are pulled at all.
    pub(super) fn are_pulled(&self) -> bool {
        self.images == Images::Absent
    }

    /// Looks at the image of a container on a node. `always` is the pull policy `Always`: the registry is asked even where
    /// the image is there.
    pub(super) fn look(
        &self,
        node: &str,
        container: Container<'_>,
        image: &str,
        always: bool,
        now: Instant,
    ) -> Pull {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let store = nodes
            .entry(node.to_owned())
            .or_insert_with(|| Store::new(now, self.at_start()));
        let image = Name::of(image);
        if self.images == Images::Present {
            let bytes = sizes::layers(&image).iter().map(|it| it.bytes).sum();
            store.images.insert(image, bytes);
            return Pull::Present;
        }
        store.look(container, image, always, now)
    }

    /// Gives up the pulls for a pod that is gone.
    pub(super) fn forget(&self, pod: &str) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        for store in nodes.values_mut() {
            store.forget(pod);
        }
    }

    /// What a node's status is to list; `None` where it lists that already.
    pub(super) fn changed(&self, node: &str) -> Option<Value> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let store = nodes.get_mut(node)?;
        if store.listed == store.images.len() {
            return None;
        }
        store.listed = store.images.len();
        Some(list(&store.images))
    }

    /// What a new node's status lists.
    pub(super) fn listed_at_start(&self) -> Value {
        list(&self.at_start())
    }

    fn at_start(&self) -> BTreeMap<Name, u64> {
        match self.images {
            Images::Absent => sized([Name::of(PAUSE)]),
            Images::Present => sized(sizes::listed()),
        }
    }
}

/// Images with their sizes in bytes.
fn sized(images: impl IntoIterator<Item = Name>) -> BTreeMap<Name, u64> {
    let size = |image: &Name| sizes::layers(image).iter().map(|it| it.bytes).sum();
    let images = images.into_iter();
    images.map(|image| (image.clone(), size(&image))).collect()
}

/// Images as a node's status has them.
fn list(images: &BTreeMap<Name, u64>) -> Value {
    let mut images: Vec<_> = images.iter().collect();
    images.sort_by_key(|(_, bytes)| std::cmp::Reverse(**bytes));
    images
        .into_iter()
        .take(LISTED)
        .map(|(image, bytes)| json!({"names": image.on_node(), "sizeBytes": bytes}))
        .collect()
}

impl Store {
    fn new(now: Instant, images: BTreeMap<Name, u64>) -> Self {
        Self {
            listed: images.len(),
            images,
            layers: HashSet::new(),
            pulls: HashMap::new(),
            downloads: Downloads::new(now),
        }
    }

    fn look(
        &mut self,
        (pod, container): Container<'_>,
        image: Name,
        always: bool,
        now: Instant,
    ) -> Pull {
        self.layers.extend(self.downloads.advance(now));
        let key = (pod.to_owned(), container.to_owned());
        let Some(pull) = self.pulls.get_mut(&key) else {
            if !always && self.images.contains_key(&image) {
                return Pull::Present;
            }
            let pull = Pulling {
                layers: sizes::layers(&image),
                image,
                since: now,
                is_begun: false,
            };
            self.pulls.insert(key, pull);
            return Pull::Pulling {
                is_new: true,
                left: REGISTRY,
            };
        };
        let waits = |left| Pull::Pulling {
            is_new: false,
            left,
        };
        let left = (pull.since + REGISTRY).saturating_duration_since(now);
        if !left.is_zero() {
            return waits(left);
        }
        let missing = pull
            .layers
            .iter()
            .filter(|it| !self.layers.contains(&it.id));
        let missing: Vec<&str> = missing
            .map(|layer| {
                if !pull.is_begun {
                    self.downloads.begin(layer);
                }
                layer.id.as_str()
            })
            .collect();
        pull.is_begun = true;
        if !missing.is_empty() {
            return waits(self.downloads.time_for(&missing));
        }
        let bytes = pull.layers.iter().map(|it| it.bytes).sum();
        let took = now.saturating_duration_since(pull.since);
        self.images.insert(pull.image.clone(), bytes);
        self.pulls.remove(&key);
        Pull::Pulled { took, bytes }
    }

    fn forget(&mut self, pod: &str) {
        let (gone, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pulls)
            .into_iter()
            .partition(|((of, _), _)| of == pod);
        self.pulls = rest.into_iter().collect();
        let wanted: HashSet<&str> = self
            .pulls
            .values()
            .flat_map(|pull| pull.layers.iter().map(|it| it.id.as_str()))
            .collect();
        for layer in gone.iter().flat_map(|(_, pull)| &pull.layers) {
            if !wanted.contains(layer.id.as_str()) {
                self.downloads.stop(&layer.id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
