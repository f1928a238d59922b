//! A cluster in which `up` has made some pools, with as many runners as wanted. Thousands of pods are too many for the
//! stand-ins of controller and kubelets: after the installation these pause, and further runners are written as they
//! would have become, a Runner, a pod and a registration each.

use std::{collections::BTreeMap, fmt::Write as _, ops::Range, path::PathBuf, time::Duration};

use arcctl_sandbox::github::{NewRunner, Owner};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::growth::Cell;
use crate::harness::{cluster::Cluster, waiting::until};

const NAMESPACE: &str = "actions-runner";

/// The pool that always has a runner, which is the model of all others.
const MODEL: &str = "pool-000";

/// How many objects are written at once.
const CONCURRENT: usize = 32;

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_mins(15);

/// What is not of a pool's size in the profile of the sandbox.
const SCALING: &str = "    scaling:
      metrics:
        - type: PercentageRunnersBusy
          scaleUp: {threshold: 0.75, factor: 2}
          scaleDown: {threshold: 0.25, factor: 0.5}
      scaleDownDelay: 5m
";
const RESOURCES: &str = "        requests: {cpu: 500m, memory: 1Gi}
        limits: {cpu: 1500m, memory: 6Gi}
      docker:
        requests: {cpu: 250m, memory: 512Mi}
";
const SMALL: &str = "        requests: {cpu: 10m, memory: 16Mi}
        limits: {cpu: 1500m, memory: 6Gi}
      docker:
        requests: {cpu: 10m, memory: 16Mi}
";

/// A set of a pool, as the controller has made it.
struct Set {
    name: String,
    uid: String,
    hash: String,
}

/// A runner that the stand-ins have made, which others are like.
struct Model {
    name: String,
    hash: String,
    runner: Value,
    pod: Value,
}

pub(super) struct World {
    pub(super) cluster: Cluster,
    pub(super) profile: PathBuf,
    pub(super) pools: usize,
    pub(super) runners: usize,
    sets: Vec<Set>,
    model: Model,
}

/// The name of a pool.
fn pool(index: usize) -> String {
    format!("pool-{index:03}")
}

/// How many of the runners are of a pool: the first ones have what is left over.
const fn share(runners: usize, pools: usize, index: usize) -> usize {
    runners / pools + if index < runners % pools { 1 } else { 0 }
}

/// The sandbox's profile with so many pools like its own, whose minimums are `runners` together.
fn profile(cluster: &Cluster, pools: usize, runners: usize) -> PathBuf {
    let edits = [
        (SCALING, ""),
        (RESOURCES, SMALL),
        ("max: 16\n", "max: 10000\n"),
        (
            "timeouts: {certManager: 5m, controller: 5m, runners: 5m, registration: 5m",
            "timeouts: {certManager: 15m, controller: 15m, runners: 15m, registration: 15m",
        ),
    ];
    let one = std::fs::read_to_string(cluster.profile("one", &edits)).unwrap();
    let (head, rest) = one.split_once("pools:\n").unwrap();
    let (model, tail) = rest.split_once("\ntimeouts:").unwrap();
    let mut text = format!("{head}pools:\n");
    for index in 0..pools {
        let minimum = share(runners, pools, index);
        let of_it = model
            .replace("name: basic", &format!("name: {}", pool(index)))
            .replace("    min: 2\n", &format!("    min: {minimum}\n"));
        writeln!(text, "{of_it}").unwrap();
    }
    write!(text, "\ntimeouts:{tail}").unwrap();
    cluster.file("scale.yaml", &text)
}

impl World {
    /// Installs so many pools with so many runners, and pauses the stand-ins once all of them are online.
    pub(super) fn install(pools: usize, runners: usize) -> Self {
        let cluster = Cluster::fast();
        let profile = profile(&cluster, pools, runners);
        let up = cluster.up(&profile, &["--timeout", "20m"]);
        assert_eq!(up.expect(0)["outcome"], "ok");
        let list = |kind: &str| list(&cluster, kind);
        until("all runners are online, and no others are there", || {
            let autoscalers = list("horizontalrunnerautoscalers");
            let sized = |it: &Value| it["status"]["desiredReplicas"].is_number();
            let marked =
                |it: &Value| it["metadata"]["annotations"]["actions-runner/id"].is_string();
            let pods = list("pods");
            list("runners").len() == runners
                && pods.len() == runners
                && pods.iter().all(marked)
                && autoscalers.len() == pools
                && autoscalers.iter().all(sized)
                && cluster.world().github().runners().len() == runners
        });
        cluster.world().pause();
        let sets = sets(&list("runnerreplicasets"), pools);
        let model = model(&list("pods"), &list("runners"));
        Self {
            cluster,
            profile,
            pools,
            runners,
            sets,
            model,
        }
    }

    /// Adds runners, the same number to each pool.
    pub(super) fn grow_to(&mut self, runners: usize) {
        let client = self.cluster.world().kube();
        let added = self.runners..runners;
        let work = tokio::time::timeout(PATIENCE, self.add(&client, added));
        self.cluster.block_on(work).unwrap().unwrap();
        self.runners = runners;
    }

    async fn add(&self, client: &Client, added: Range<usize>) -> anyhow::Result<()> {
        let end = added.end;
        stream::iter(added)
            .map(|index| self.add_runner(client, index))
            .buffer_unordered(CONCURRENT)
            .try_collect::<()>()
            .await?;
        stream::iter(0..self.pools)
            .map(|index| self.resize(client, index, share(end, self.pools, index)))
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await
    }

    async fn add_runner(&self, client: &Client, index: usize) -> anyhow::Result<()> {
        let place = index % self.pools;
        let set = &self.sets[place];
        let name = format!("{}-{index:05}", set.name);
        let labels = ["t3a.large", "ubuntu-22.04", "v2.306.0"];
        let new = NewRunner {
            name: name.clone(),
            labels: labels.map(str::to_owned).into(),
            group: None,
            ephemeral: true,
            version: None,
        };
        let github = self.cluster.world().github();
        let id = github
            .add_runner(&Owner::enterprise("dogecompany"), new)
            .unwrap();
        github.set_runner(id, true, false);

        let mut runner = self.like(&self.model.runner, &name, place);
        runner["metadata"]["ownerReferences"] = owner("RunnerReplicaSet", &set.name, &set.uid);
        let runners: Api<DynamicObject> = custom(client, "Runner", "runners");
        let made = runners
            .create(&PostParams::default(), &typed(runner))
            .await?;
        let status = Patch::Merge(json!({"status": self.model.runner["status"]}));
        runners
            .patch_status(&name, &PatchParams::default(), &status)
            .await?;

        let mut pod = self.like(&self.model.pod, &name, place);
        let uid = made.metadata.uid.unwrap();
        pod["metadata"]["ownerReferences"] = owner("Runner", &name, &uid);
        pod["metadata"]["annotations"]["actions-runner/id"] = id.to_string().into();
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        pods.create(&PostParams::default(), &typed(pod)).await?;
        let status = Patch::Merge(json!({"status": self.model.pod["status"]}));
        pods.patch_status(&name, &PatchParams::default(), &status)
            .await?;
        Ok(())
    }

    /// An object like the model's, of the runner `name` of a pool.
    fn like(&self, object: &Value, name: &str, place: usize) -> Value {
        let mut object = object.clone();
        let metadata = object["metadata"].as_object_mut().unwrap();
        for key in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "managedFields",
            "generateName",
        ] {
            metadata.remove(key);
        }
        let text = object
            .to_string()
            .replace(&self.model.name, name)
            .replace(MODEL, &pool(place))
            .replace(&self.model.hash, &self.sets[place].hash);
        serde_json::from_str(&text).unwrap()
    }

    /// The numbers that autoscaler and controller would have written.
    async fn resize(&self, client: &Client, index: usize, count: usize) -> anyhow::Result<()> {
        let parameters = PatchParams::default();
        let (pool, set) = (pool(index), &self.sets[index].name);
        let sized = Patch::Merge(json!({"spec": {"replicas": count}}));
        let full = json!({"status": {"replicas": count, "readyReplicas": count, "availableReplicas": count}});
        let autoscalers = custom(
            client,
            "HorizontalRunnerAutoscaler",
            "horizontalrunnerautoscalers",
        );
        let wanted = Patch::Merge(json!({"status": {"desiredReplicas": count}}));
        autoscalers
            .patch_status(&pool, &parameters, &wanted)
            .await?;
        let deployments = custom(client, "RunnerDeployment", "runnerdeployments");
        deployments.patch(&pool, &parameters, &sized).await?;
        let sets = custom(client, "RunnerReplicaSet", "runnerreplicasets");
        sets.patch(set, &parameters, &sized).await?;
        sets.patch_status(set, &parameters, &Patch::Merge(full))
            .await?;
        Ok(())
    }

    /// What a command must say of this world, so that it has read all of it.
    pub(super) fn assert_result(&self, command: &str, document: &Value) {
        match command {
            "status" => {
                let pools = document["pools"].as_array().unwrap();
                assert_eq!(pools.len(), self.pools);
                for key in ["running", "registered"] {
                    let counted = pools
                        .iter()
                        .map(|it| it[key].as_u64().unwrap())
                        .sum::<u64>();
                    assert_eq!(usize::try_from(counted).unwrap(), self.runners, "{key}");
                }
            }
            "doctor" => {
                let checks = document["checks"].as_array().unwrap();
                assert_eq!(checks.len(), arcctl::doctor::checks().len());
                let bad = |it: &&Value| {
                    it["verdict"] == "unknown"
                        || it["verdict"] == "broken" && it["severity"] == "required"
                };
                let bad: Vec<&Value> = checks.iter().filter(bad).collect();
                assert!(bad.is_empty(), "{bad:#?}");
            }
            "plan" => {
                let changes = &document["changes"];
                for key in ["create", "update", "delete", "later"] {
                    assert_eq!(changes[key], 0, "{changes}");
                }
                assert!(
                    changes["keep"].as_u64().unwrap() >= self.pools as u64,
                    "{changes}"
                );
            }
            _ => {
                assert_eq!(document["outcome"], "ok", "{}", document["error"]);
                assert_eq!(document["changed"], 0, "{document}");
            }
        }
    }

    /// GitHub's runners are read once, by pages of a hundred, and the memory is that of the budget.
    pub(super) fn assert_within_budget(&self, cell: &Cell) {
        if !["status", "doctor"].contains(&cell.command) {
            return;
        }
        let pages = self.runners.div_ceil(100) as u64;
        assert!(cell.github >= pages, "{cell:?}: all runners are read");
        assert!(cell.github <= pages + 10, "{cell:?}");
        assert!(cell.memory < 150 * 1024, "{cell:?}");
    }

    /// The world is not taken down by a run: it ends with its sandbox.
    pub(super) fn finish(self) {
        self.cluster.finish();
    }
}

fn list(cluster: &Cluster, kind: &str) -> Vec<Value> {
    let text = cluster.kubectl(&["-n", NAMESPACE, "get", kind, "-o", "json"], None);
    let found: Value = serde_json::from_str(&text).unwrap();
    found["items"].as_array().unwrap().clone()
}

fn text(object: &Value, pointer: &str) -> String {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap()
        .to_owned()
}

const HASH: &str = "/metadata/labels/runner-template-hash";

/// The set of each pool.
fn sets(found: &[Value], pools: usize) -> Vec<Set> {
    let mut by_pool: BTreeMap<String, Set> = BTreeMap::new();
    for it in found {
        let set = Set {
            name: text(it, "/metadata/name"),
            uid: text(it, "/metadata/uid"),
            hash: text(it, HASH),
        };
        let pool = text(it, "/metadata/labels/runner-deployment-name");
        assert!(by_pool.insert(pool, set).is_none(), "one set per pool");
    }
    assert_eq!(by_pool.len(), pools);
    // In the order of their names, which is that of the pools.
    by_pool.into_values().collect()
}

fn model(pods: &[Value], runners: &[Value]) -> Model {
    let is_of_the_pool = |it: &&Value| it["metadata"]["labels"]["runner-deployment-name"] == MODEL;
    let pod = pods.iter().find(is_of_the_pool).unwrap().clone();
    let name = text(&pod, "/metadata/name");
    let runner = runners
        .iter()
        .find(|it| it["metadata"]["name"] == name.as_str());
    Model {
        hash: text(&pod, HASH),
        runner: runner.unwrap().clone(),
        pod,
        name,
    }
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!([{"apiVersion": "actions.summerwind.dev/v1alpha1", "kind": kind, "name": name, "uid": uid,
        "controller": true, "blockOwnerDeletion": true}])
}

fn custom(client: &Client, kind: &str, plural: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("actions.summerwind.dev", "v1alpha1", kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, plural);
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

fn typed<T: serde::de::DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_pools_are_all_runners() {
        for (runners, pools) in [(10, 1), (10, 10), (10, 200), (1_000, 200), (101, 10)] {
            let shares = (0..pools).map(|it| share(runners, pools, it));
            assert_eq!(shares.sum::<usize>(), runners);
        }
        assert_eq!(share(10, 200, 9), 1);
        assert_eq!(share(10, 200, 10), 0);
    }
}
