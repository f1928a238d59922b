//! The scheduler's loop: binds the pods that have no node yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Binding, Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::Failed;
use super::claims::{self, Obstacle};
use super::events::{Note, Recorder};
use super::schedule::{self, Demand};
use super::{shown, status};

/// A pod that fits nowhere is looked at again after this time.
const RETRY: Duration = Duration::from_millis(500);

/// After this time a bound pod is either in the store or gone.
const ASSUMED_FOR: Duration = Duration::from_secs(10);

struct Context {
    client: Client,
    nodes: Store<Node>,
    bound: Store<Pod>,
    recorder: Arc<Recorder>,
    /// Pods that are bound, while the store may not show it yet.
    assumed: Mutex<HashMap<String, (Instant, String, Demand)>>,
}

/// Binds pods until it is dropped.
pub(super) async fn run(
    client: Client,
    nodes: Store<Node>,
    bound: Store<Pod>,
    recorder: Arc<Recorder>,
) {
    let pods: Api<Pod> = Api::all(client.clone());
    let assumed = Mutex::default();
    let context = Arc::new(Context {
        client,
        nodes,
        bound,
        recorder,
        assumed,
    });
    Controller::new(pods, watcher::Config::default().fields("spec.nodeName="))
        // One at a time, as kube-scheduler does: each decision counts for the next one.
        .with_config(Config::default().concurrency(1))
        .run(reconcile, |_, _, _| Action::requeue(RETRY), context)
        .for_each(async |_| {})
        .await;
}

async fn reconcile(pod: Arc<Pod>, context: Arc<Context>) -> Result<Action, Failed> {
    let is_gated = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.scheduling_gates.is_some());
    if pod.metadata.deletion_timestamp.is_some() || is_gated {
        return Ok(Action::await_change());
    }
    if let Some(obstacle) = claims::obstacle(&context.client, &pod).await? {
        if let Obstacle::Said(reason) = obstacle {
            let nodes = context.nodes.state().len();
            context
                .refuse(&pod, &claims::on_no_node(nodes, &reason))
                .await?;
        }
        return Ok(Action::requeue(RETRY));
    }
    let chosen = {
        let nodes = context.nodes.state();
        let used = context.used();
        let nodes: Vec<(&Node, Demand)> = nodes
            .iter()
            .map(|node| {
                (
                    node.as_ref(),
                    used.get(&node.name_any()).copied().unwrap_or_default(),
                )
            })
            .collect();
        schedule::choose(&pod, &nodes)
    };
    match chosen {
        Ok(node) => {
            context.bind(&pod, &node).await?;
            Ok(Action::await_change())
        }
        Err(message) => {
            context.refuse(&pod, &message).await?;
            Ok(Action::requeue(RETRY))
        }
    }
}

impl Context {
    /// What the pods of each node ask for.
    fn used(&self) -> HashMap<String, Demand> {
        let mut used: HashMap<String, Demand> = HashMap::new();
        let mut add = |node: &str, demand| {
            let sum = used.entry(node.to_owned()).or_default();
            *sum = *sum + demand;
        };
        let bound = self.bound.state();
        for pod in &bound {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            if let Some(node) = node.filter(|_| !shown::is_done(pod)) {
                add(node, Demand::of(pod));
            }
        }
        if let Ok(mut assumed) = self.assumed.lock() {
            assumed.retain(|uid, (since, _, _)| {
                let is_shown = bound
                    .iter()
                    .any(|pod| pod.metadata.uid.as_ref() == Some(uid));
                !is_shown && since.elapsed() < ASSUMED_FOR
            });
            for (_, node, demand) in assumed.values() {
                add(node, *demand);
            }
        }
        used
    }

    async fn bind(&self, pod: &Pod, node: &str) -> Result<()> {
        let (name, namespace) = (pod.name_any(), pod.namespace().unwrap_or_default());
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let binding: Binding = serde_json::from_value(json!({
            "metadata": {"name": name, "uid": pod.uid()},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }))?;
        let parameters = PostParams::default();
        match pods
            .create_subresource("binding", &name, &parameters, &binding)
            .await
        {
            Ok(Status { .. }) => {}
            // Gone, or bound already: the watch tells what is true now.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if let Ok(mut assumed) = self.assumed.lock() {
            let entry = (Instant::now(), node.to_owned(), Demand::of(pod));
            assumed.insert(pod.uid().unwrap_or_default(), entry);
        }
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        self.note(pod, false, "Scheduled", &message).await
    }

    async fn refuse(&self, pod: &Pod, message: &str) -> Result<()> {
        let known = pod
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        if known
            .into_iter()
            .flatten()
            .any(|one| one.message.as_deref() == Some(message))
        {
            return Ok(());
        }
        let namespace = pod.namespace().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &namespace);
        let patch = Patch::Strategic(status::unschedulable(Timestamp::now(), message));
        pods.patch_status(&pod.name_any(), &PatchParams::default(), &patch)
            .await?;
        self.note(pod, true, "FailedScheduling", message).await
    }

    async fn note(&self, pod: &Pod, warning: bool, reason: &str, message: &str) -> Result<()> {
        let note = Note {
            component: "default-scheduler",
            warning,
            reason,
            message,
        };
        self.recorder.write(pod, &note).await
    }
}
