//! Simulated worker nodes, scheduler and kubelets: pods are bound, wait for their dependencies, become Running, and are
//! deleted. No container ever runs; the shell command of a Job runs on this machine instead.

mod claims;
mod command;
mod delays;
mod events;
mod fault;
mod lifecycle;
mod lookup;
mod memory;
mod needs;
mod node;
mod quantity;
mod schedule;
mod scheduler;
mod shown;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::task::JoinSet;

pub use delays::Delays;
pub use fault::KubeletFault;
pub use node::{Allocatable, NodeSpec};

/// A node that renews its lease this often stays alive.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What the nodes are and how they behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The nodes.
    pub nodes: Vec<NodeSpec>,
    /// How long things take.
    pub delays: Delays,
    /// What goes wrong.
    pub faults: Vec<KubeletFault>,
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
        for node in &settings.nodes {
            register(client, node)
                .await
                .with_context(|| format!("cannot register node `{}`", node.name))?;
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(heartbeat(client.clone(), settings.nodes.clone()));
        let nodes = nodes(client.clone(), &mut tasks);
        let recorder = Arc::new(events::Recorder::new(client.clone()));
        let cut_off = Arc::clone(&settings.cut_off);
        let controller = lifecycle::controller(client.clone());
        let bound: Store<Pod> = controller.store();
        tasks.spawn(lifecycle::run(
            controller,
            client.clone(),
            settings,
            recorder.clone(),
        ));
        tasks.spawn(scheduler::run(client.clone(), nodes, bound, recorder));
        Ok(Self {
            _tasks: tasks,
            cut_off,
        })
    }

    /// Has the nodes reach none of the sandbox's servers, or all of them again.
    pub fn cut_off(&self, cut_off: bool) {
        self.cut_off.store(cut_off, Ordering::Relaxed);
    }
}

fn nodes(client: Client, tasks: &mut JoinSet<()>) -> Store<Node> {
    let (store, writer) = reflector::store();
    let stream = watcher(Api::<Node>::all(client), watcher::Config::default())
        .default_backoff()
        .reflect(writer);
    tasks.spawn(stream.for_each(async |_| {}));
    store
}

async fn register(client: &Client, spec: &NodeSpec) -> Result<()> {
    let nodes: Api<Node> = Api::all(client.clone());
    nodes
        .create(&PostParams::default(), &spec.object()?)
        .await?;
    let status = Patch::Strategic(spec.status(Timestamp::now()));
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
