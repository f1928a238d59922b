//! Simulated worker nodes and kubelets: pods that the scheduler has bound wait for their dependencies, become Running, and
//! are deleted. No container ever runs; the shell command of a Job runs on this machine instead.

mod command;
mod delays;
mod dependencies;
mod events;
mod fault;
mod history;
mod images;
mod lifecycle;
mod lookup;
mod node;
mod pod_state;
mod probes;
mod provisioner;
mod starting;
mod status;
mod volumes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use images::Stores;

pub use delays::Delays;
pub use fault::KubeletFault;
pub use images::Images;
pub use node::{Allocatable, NodeSpec};

/// A node that renews its lease this often stays alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long the controller manager may take to see the nodes; a loaded machine of two cores stays far below it.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the nodes are and how they behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// How long things take.
    pub delays: Delays,
    /// Whether the images are there already.
    pub images: Images,
    /// What goes wrong.
    pub faults: Vec<KubeletFault>,
    /// Where the API server is: what runs in pods knows it by its name in the cluster.
    pub api: String,
    /// Whether the nodes reach none of the sandbox's servers.
    pub cut_off: Arc<AtomicBool>,
    /// Whether pods are left as they are.
    pub paused: Arc<AtomicBool>,
}

/// The running simulation; it ends when it is dropped.
pub struct Kubelet {
    _tasks: JoinSet<()>,
    cut_off: Arc<AtomicBool>,
}

/// Why a pod is looked at again.
#[derive(Debug)]
pub(crate) struct Failed(anyhow::Error);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self(error)
    }
}

impl Kubelet {
    /// Registers the nodes and begins to care for pods.
    pub async fn start(client: &Client, settings: Settings) -> Result<Self> {
        let images = Arc::new(Stores::new(settings.images));
        for node in &settings.nodes {
            register(client, node, &images.listed_at_start())
                .await
                .with_context(|| format!("cannot register node `{}`", node.name))?;
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(heartbeat(client.clone(), settings.nodes.clone()));
        let cut_off = Arc::clone(&settings.cut_off);
        tasks.spawn(list_images(
            client.clone(),
            settings.clone(),
            Arc::clone(&images),
        ));
        tasks.spawn(lifecycle::run(client.clone(), settings, images));
        tasks.spawn(provisioner::run(client.clone()));
        Ok(Self {
            _tasks: tasks,
            cut_off,
        })
    }

    /// Waits until the scheduler takes the nodes: the API server taints each new one, and the controller manager takes the
    /// taint off once it has seen it ready.
    pub async fn wait(client: &Client) -> Result<()> {
        let nodes: Api<Node> = Api::all(client.clone());
        let started = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tick.tick().await;
            let all = nodes.list(&ListParams::default()).await?;
            let Some(node) = all.items.iter().find(|node| is_new(node)) else {
                return Ok(());
            };
            if started.elapsed() > PATIENCE {
                let (name, seconds) = (node.name_any(), PATIENCE.as_secs());
                bail!(
                    "node `{name}` is not ready after {seconds} s: read kube-controller-manager.log"
                );
            }
        }
    }

    /// Has the nodes reach none of the sandbox's servers, or all of them again.
    pub fn cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::Relaxed);
    }
}

/// Whether the controller manager has not yet seen that a node is ready.
fn is_new(node: &Node) -> bool {
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    taints
        .into_iter()
        .any(|taint| taint.key == "node.kubernetes.io/not-ready")
}

async fn register(client: &Client, spec: &NodeSpec, images: &Value) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    nodes
        .create(&PostParams::default(), &spec.object()?)
        .await?;
    let status = Patch::Strategic(spec.status(Timestamp::now(), images));
    nodes
        .patch_status(&spec.name, &PatchParams::default(), &status)
        .await?;
    renew(client, spec).await
}

async fn renew(client: &Client, spec: &NodeSpec) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let parameters = PatchParams::apply("kubelet").force();
    let lease = spec.lease(Timestamp::now())?;
    leases
        .patch(&spec.name, &parameters, &Patch::Apply(lease))
        .await?;
    Ok(())
}

async fn heartbeat(client: Client, nodes: Vec<NodeSpec>) {
    let mut tick = tokio::time::interval(HEARTBEAT);
    loop {
        tick.tick().await;
        for node in &nodes {
            // A missed renewal is made good by the next one.
            let _renewed = renew(&client, node).await;
        }
    }
}

/// Brings the images of each node into its status.
async fn list_images(client: Client, settings: Settings, images: Arc<Stores>) {
    let nodes: Api<Node> = Api::all(client);
    let mut tick = tokio::time::interval(settings.delays.images);
    loop {
        tick.tick().await;
        for node in &settings.nodes {
            if let Some(list) = images.changed(&node.name) {
                let status = Patch::Merge(json!({"status": {"images": list}}));
                // A list that could not be written comes with the next image.
                let _written = nodes
                    .patch_status(&node.name, &PatchParams::default(), &status)
                    .await;
            }
        }
    }
}
