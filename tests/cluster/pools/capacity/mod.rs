//! What arcctl predicts of the scheduler, compared with the real one: in each generated cluster the pods of each pool are
//! made, two more than fit by the prediction. As many as predicted must get a node, and kube-scheduler must refuse the
//! others with the reasons that were predicted, word by word.
//!
//! Several worlds are in one cluster at a time: a label keeps their pods apart.

mod told;
mod worlds;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use arcctl::scheduling::{self, Room};
use arcctl_sandbox::world::{Options, Pace};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{
    api::core::v1::{Node, Pod},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;
use worlds::{HEAVY, NAMESPACE, World};

/// How many clusters are generated.
const WORLDS: usize = 200;

/// How many of them are there at once. The scheduler looks at all nodes, of which there are at most 100.
const TOGETHER: usize = 20;

/// How many more pods are made than fit.
const MORE: u64 = 2;

/// How long the scheduler may take for the pods of one round.
const PATIENCE: Duration = Duration::from_mins(2);

/// The controller manager takes a node that is silent for 50 s for dead.
const HEARTBEAT: Duration = Duration::from_secs(10);

const CONCURRENT: usize = 16;
const PAUSE: Duration = Duration::from_millis(200);

/// What each filter says; the worlds must have led to all of them.
const REASONS: [&str; 9] = [
    "node(s) were unschedulable",
    "node(s) had untolerated taint(s)",
    "node(s) didn't match Pod's node affinity/selector",
    "node(s) didn't have free ports",
    "Insufficient cpu",
    "Insufficient memory",
    "Insufficient ephemeral-storage",
    "Insufficient example.com/gpu",
    "Too many pods",
];

#[test]
#[ignore = "slow: `make test-slow`"]
fn predictions_are_the_scheduler_s_verdict_in_200_worlds() {
    let cluster = Cluster::start(Options {
        pace: Pace::Fast,
        nodes: Vec::new(),
        ..Options::default()
    });
    cluster.world().pause();
    cluster.kubectl(&["create", "namespace", NAMESPACE], None);
    cluster.until_pods_can_be_made(NAMESPACE);
    let class = json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": HEAVY},
        "handler": HEAVY, "overhead": {"podFixed": {"cpu": "120m", "memory": "64Mi"}}});
    cluster.kubectl(&["create", "-f", "-"], Some(&class.to_string()));
    let mut judge = Judge {
        client: cluster.world().kube(),
        pools: 0,
        fitting: 0,
        pending: String::new(),
        differences: Vec::new(),
    };
    cluster.block_on(async {
        for first in (0..WORLDS).step_by(TOGETHER) {
            let worlds: Vec<World> = (first..first + TOGETHER).map(World::generated).collect();
            Box::pin(judge.batch(&worlds)).await.unwrap();
        }
    });
    assert!(
        judge.differences.is_empty(),
        "{} differences in {WORLDS} worlds with {} pools and {} runners that fit: {:#?}",
        judge.differences.len(),
        judge.pools,
        judge.fitting,
        judge.differences
    );
    assert!(judge.pools >= WORLDS && judge.fitting >= WORLDS as u64);
    for reason in REASONS {
        assert!(judge.pending.contains(reason), "no world has `{reason}`");
    }
    cluster.finish();
}

struct Judge {
    client: Client,
    pools: usize,
    fitting: u64,
    /// All reasons that were predicted.
    pending: String,
    differences: Vec<String>,
}

/// A pool whose pods were made, and what was predicted of them.
type Predicted = (String, Room);

impl Judge {
    /// Makes some worlds, and the pods of their first pools, then those of their second ones.
    async fn batch(&mut self, worlds: &[World]) -> anyhow::Result<()> {
        let nodes: Vec<&Value> = worlds.iter().flat_map(|it| &it.nodes).collect();
        assert!(nodes.len() <= 100);
        self.make_nodes(&nodes).await?;
        let running = worlds.iter().flat_map(|it| &it.running).cloned();
        self.make_pods(running.collect()).await?;
        let mut all = Vec::new();
        for round in 0..2 {
            let pools: Vec<&Value> = worlds.iter().filter_map(|it| it.pools.get(round)).collect();
            let predicted = Box::pin(self.predict(&pools)).await?;
            self.settle(&predicted).await?;
            all.extend(predicted);
        }
        self.see_whether_it_stays(&all).await?;
        self.pools += all.len();
        self.fitting += all.iter().map(|it| it.1.fits).sum::<u64>();
        self.pending
            .extend(all.iter().map(|it| it.1.pending.as_str()));
        self.remove().await
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn nodes(&self) -> Api<Node> {
        Api::all(self.client.clone())
    }

    /// Makes nodes, and waits until the controller manager has seen them ready: until then they have a taint.
    async fn make_nodes(&self, nodes: &[&Value]) -> anyhow::Result<()> {
        let api = &self.nodes();
        stream::iter(nodes)
            .map(|node| async move {
                let typed: Node = serde_json::from_value((*node).clone())?;
                api.create(&PostParams::default(), &typed).await?;
                let status = Patch::Merge(json!({"status": node["status"]}));
                let name = node["metadata"]["name"].as_str().unwrap();
                api.patch_status(name, &PatchParams::default(), &status)
                    .await?;
                anyhow::Ok(())
            })
            .buffer_unordered(CONCURRENT)
            .try_collect::<()>()
            .await?;
        self.beat().await?;
        let started = Instant::now();
        loop {
            let new = |it: &Value| {
                it["spec"]["taints"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|it| it["key"] == "node.kubernetes.io/not-ready")
            };
            // Cordoned ones get a taint at about the same time.
            let cordoned = |it: &Value| {
                it["spec"]["unschedulable"] == true
                    && !it["spec"]["taints"]
                        .to_string()
                        .contains("node.kubernetes.io/unschedulable")
            };
            let (nodes, _) = self.listed().await?;
            if !nodes.iter().any(|it| new(it) || cordoned(it)) {
                return Ok(());
            }
            assert!(started.elapsed() < PATIENCE, "nodes do not become ready");
            pause().await;
        }
    }

    /// All nodes are ready, and say so now.
    async fn beat(&self) -> anyhow::Result<()> {
        let api = &self.nodes();
        let now = Timestamp::now();
        let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "simulated", "lastHeartbeatTime": now, "lastTransitionTime": now});
        let patch = &Patch::Strategic(json!({"status": {"conditions": [ready]}}));
        let all = api.list(&ListParams::default()).await?.items;
        stream::iter(all.iter().filter_map(|it| it.metadata.name.as_deref()))
            .map(|name| async move {
                api.patch_status(name, &PatchParams::default(), patch)
                    .await
                    .map(drop)
            })
            .buffer_unordered(CONCURRENT)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    async fn make_pods(&self, pods: Vec<Value>) -> anyhow::Result<()> {
        let api = &self.pods();
        stream::iter(pods)
            .map(|pod| async move {
                let typed: Pod = serde_json::from_value(pod)?;
                api.create(&PostParams::default(), &typed).await?;
                anyhow::Ok(())
            })
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await
    }

    /// All nodes and pods, as arcctl would read them.
    async fn listed(&self) -> anyhow::Result<(Vec<Value>, Vec<Value>)> {
        let everything = ListParams::default();
        let nodes = self.nodes().list(&everything).await?.items;
        let pods = self.pods().list(&everything).await?.items;
        let nodes = nodes.iter().map(serde_json::to_value);
        let pods = pods.iter().map(serde_json::to_value);
        Ok((
            nodes.collect::<Result<_, _>>()?,
            pods.collect::<Result<_, _>>()?,
        ))
    }

    /// Predicts how many pods of each pool fit, and makes two more of each. The worlds do not know of each other.
    async fn predict(&self, pools: &[&Value]) -> anyhow::Result<Vec<Predicted>> {
        let (nodes, pods) = self.listed().await?;
        let mut cluster = scheduling::Cluster::of(&nodes);
        for pod in &pods {
            cluster.add(pod);
        }
        let mut predicted = Vec::new();
        let mut made = Vec::new();
        for pool in pools {
            let trial = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            let typed: Pod = serde_json::from_value((*pool).clone())?;
            let admitted = self.pods().create(&trial, &typed).await?;
            let admitted = serde_json::to_value(admitted)?;
            assert_eq!(cluster.not_known(&admitted), None);
            let room = cluster.room(&scheduling::Pod::of(&admitted));
            let name = pool["metadata"]["name"].as_str().unwrap();
            for index in 0..room.fits + MORE {
                let mut pod = (*pool).clone();
                pod["metadata"]["name"] = json!(format!("{name}-{index}"));
                pod["metadata"]["labels"] = json!({"pool": name});
                made.push(pod);
            }
            predicted.push((name.to_owned(), room));
        }
        self.make_pods(made).await?;
        Ok(predicted)
    }

    /// Waits until the scheduler has come to all pods of these pools, and its verdict is the predicted one; what still
    /// differs after a while is kept.
    async fn settle(&mut self, predicted: &[Predicted]) -> anyhow::Result<()> {
        let started = Instant::now();
        let mut beaten = Instant::now();
        loop {
            let differences = self.differences(predicted, difference).await?;
            if differences.is_empty() {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                self.differences.extend(differences);
                return Ok(());
            }
            if beaten.elapsed() > HEARTBEAT {
                self.beat().await?;
                beaten = Instant::now();
            }
            pause().await;
        }
    }

    /// No pod has got a node since its pool was judged. The reasons may be others: later pods have taken room.
    async fn see_whether_it_stays(&mut self, predicted: &[Predicted]) -> anyhow::Result<()> {
        let differences = self.differences(predicted, other_count).await?;
        self.differences.extend(differences);
        Ok(())
    }

    /// How the pods of these pools are not as predicted.
    async fn differences(
        &self,
        predicted: &[Predicted],
        compare: fn(&[&Value], &Room) -> Option<String>,
    ) -> anyhow::Result<Vec<String>> {
        let (_, pods) = self.listed().await?;
        let mut by_pool: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for pod in &pods {
            let pool = pod["metadata"]["labels"]["pool"].as_str();
            let of_it = by_pool.entry(pool.unwrap_or_default()).or_default();
            of_it.push(pod);
        }
        let differs = |(pool, room): &Predicted| {
            let pods = by_pool.get(pool.as_str()).map_or(&[][..], Vec::as_slice);
            compare(pods, room).map(|it| format!("{pool}: {it}"))
        };
        Ok(predicted.iter().filter_map(differs).collect())
    }

    /// Removes everything of this batch.
    async fn remove(&self) -> anyhow::Result<()> {
        let at_once = DeleteParams::default().grace_period(0);
        let all = ListParams::default();
        self.pods().delete_collection(&at_once, &all).await?;
        self.nodes().delete_collection(&at_once, &all).await?;
        let started = Instant::now();
        loop {
            let (nodes, pods) = self.listed().await?;
            if nodes.is_empty() && pods.is_empty() {
                return Ok(());
            }
            assert!(started.elapsed() < PATIENCE, "nodes or pods do not go");
            pause().await;
        }
    }
}

async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

fn is_bound(pod: &Value) -> bool {
    pod["spec"]["nodeName"].is_string()
}

/// Whether another number of a pool's pods has a node than was predicted, in words.
fn other_count(pods: &[&Value], room: &Room) -> Option<String> {
    let bound = pods.iter().filter(|it| is_bound(it)).count();
    let is_other = u64::try_from(bound).unwrap() != room.fits;
    is_other.then(|| format!("{bound} have a node, {} were predicted", room.fits))
}

/// How the scheduler's verdict on the pods of a pool differs from the prediction; `None` if it does not.
fn difference(pods: &[&Value], room: &Room) -> Option<String> {
    other_count(pods, room).or_else(|| {
        let pending = pods.iter().filter(|it| !is_bound(it));
        let said: BTreeSet<&str> = pending.map(|it| refusal(it)).collect();
        // What follows is about preemption.
        let predicted = format!("{}.", room.pending);
        let other = said.iter().find(|it| !it.starts_with(&predicted))?;
        Some(format!(
            "the scheduler says `{other}`, predicted: `{predicted}`"
        ))
    })
}

/// What the scheduler says of a pod that has no node.
fn refusal(pod: &Value) -> &str {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let scheduled = conditions.find(|it| it["type"] == "PodScheduled");
    scheduled
        .and_then(|it| it["message"].as_str())
        .unwrap_or("nothing yet")
}
