//! Checks that an ephemeral runner is removed after its job, and that the pool is at its minimum again.

use std::{collections::HashMap, time::Duration};

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    Smoking, Stage,
    dispatch::{POOL_LABELS, pool_of},
};
use crate::{
    clients::github::Runner,
    error::Result,
    profile::{Pool, schedule::moment},
    resource::is_ready,
};

/// A pool after its job.
struct After<'a> {
    /// The runners that ran its jobs; none: they are kept, since the pool's runners are not ephemeral.
    used: Vec<&'a str>,
    /// The pods of the pool.
    pods: &'a [Value],
    /// How many must be online.
    min: u32,
}

impl Smoking<'_> {
    /// Checks whether the runners that ran a job are replaced.
    pub(super) async fn replace(&mut self) -> Result<String> {
        let open = self.pools.iter().copied();
        let open: Vec<&Pool> = open
            .filter(|it| !self.replaced.contains_key(&it.name))
            .collect();
        let mut pods: Vec<Value> = Vec::new();
        let mut see = |pod: &Value| pods.push(outline(pod));
        for selection in self.pods_of(&open) {
            self.clients.kube.each(&selection, &mut see).await?;
        }
        let mut waits = None;
        let mut online = None;
        let stories = self.stories();
        for pool in self.pools.clone() {
            let story = stories.iter().find(|it| it.pool == pool.name);
            let Some(story) = story.filter(|it| it.first_error().is_none()) else {
                continue;
            };
            if self.replaced.contains_key(&pool.name) {
                continue;
            }
            let own: Vec<Value> = pods
                .iter()
                .filter(|it| pool_of(it) == Some(pool.name.as_str()))
                .cloned()
                .collect();
            let after = After {
                used: story.runners().filter(|_| is_ephemeral(pool)).collect(),
                pods: &own,
                min: moment(pool.schedule.as_ref(), pool.min, jiff::Timestamp::now()).min,
            };
            let reason = match after.in_the_cluster() {
                Some(reason) => Some(reason),
                None if after.min == 0 => None,
                None => {
                    if online.is_none() {
                        online = Some(self.online().await?);
                    }
                    after.at_github(online.as_ref())
                }
            };
            match reason {
                Some(reason) => waits = Some(format!("pool {}: {reason}", pool.name)),
                None => self.is_replaced(pool, &own, !after.used.is_empty()),
            }
        }
        if waits.is_none() {
            self.stage = Stage::Done;
        }
        Ok(waits.unwrap_or_default())
    }

    fn is_replaced(&mut self, pool: &Pool, pods: &[Value], ephemeral: bool) {
        let after = self.over.map_or(Duration::ZERO, |it: Instant| it.elapsed());
        let new = pods
            .iter()
            .filter_map(|it| name(it))
            .find(|it| !self.before.contains(*it))
            .map(str::to_owned);
        let words = match (&new, ephemeral) {
            (_, false) => "keeps its runner, as its template says".to_owned(),
            (Some(new), true) => format!("complete again, with {new}"),
            (None, true) => "complete again".to_owned(),
        };
        self.event(format!("pool {}: {words}", pool.name));
        self.replaced.insert(pool.name.clone(), (after, new));
    }

    /// The runners that are online, by name.
    async fn online(&self) -> Result<HashMap<String, Runner>> {
        let Some(scope) = self.request.profile.github.scope() else {
            return Ok(HashMap::new());
        };
        let runners = self.clients.runners.runners(scope).await?;
        let online = runners.into_iter().filter(|it| it.status == "online");
        Ok(online.map(|it| (it.name.clone(), it)).collect())
    }
}

impl After<'_> {
    /// What is missing in the cluster.
    fn in_the_cluster(&self) -> Option<String> {
        let is_there = |used: &&&str| self.pods.iter().any(|pod| name(pod) == Some(**used));
        if let Some(used) = self.used.iter().find(is_there) {
            return Some(format!("{used} had its job and is still there"));
        }
        let ready = self.pods.iter().filter(|it| is_ready(it)).count();
        (count(ready) < self.min)
            .then(|| format!("{ready} of {} runner pods are running", self.min))
    }

    /// What is missing at GitHub.
    fn at_github(&self, online: Option<&HashMap<String, Runner>>) -> Option<String> {
        let is_online = |pod: &&Value| {
            let name = name(pod);
            name.is_some_and(|name| online.is_some_and(|it| it.contains_key(name)))
        };
        let there = self.pods.iter().filter(is_online).count();
        (count(there) < self.min)
            .then(|| format!("{there} of {} runners are online at GitHub", self.min))
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The part of a pod that is needed here: with thousands of pods, no more is kept.
fn outline(pod: &Value) -> Value {
    let metadata = &pod["metadata"];
    let labels = POOL_LABELS.map(|it| (it.to_owned(), metadata["labels"][it].clone()));
    json!({
        "metadata": {
            "name": metadata["name"],
            "labels": Map::from_iter(labels),
            "deletionTimestamp": metadata["deletionTimestamp"],
        },
        "status": {"conditions": pod["status"]["conditions"]},
    })
}

fn name(pod: &Value) -> Option<&str> {
    pod["metadata"]["name"].as_str()
}

/// Whether the pool's runners run one job only: the controller's default.
fn is_ephemeral(pool: &Pool) -> bool {
    pool.template.get("ephemeral") != Some(&Value::Bool(false))
}

#[cfg(test)]
mod tests {

    use super::*;

    fn pod(name: &str, ready: bool) -> Value {
        let status = if ready { "True" } else { "False" };
        json!({"metadata": {"name": name}, "status": {"phase": "Running",
            "conditions": [{"type": "Ready", "status": status}]}})
    }

    fn after(pods: &[Value], min: u32) -> After<'_> {
        After {
            used: vec!["a-1"],
            pods,
            min,
        }
    }

    #[test]
    fn the_used_runner_must_go_and_the_minimum_be_back() {
        let still = [pod("a-1", true), pod("a-2", true)];
        let reason = after(&still, 1).in_the_cluster().unwrap();
        assert_eq!(reason, "a-1 had its job and is still there");
        let few = [pod("a-2", true), pod("a-3", false)];
        let reason = after(&few, 2).in_the_cluster().unwrap();
        assert_eq!(reason, "1 of 2 runner pods are running");
        assert_eq!(after(&[], 0).in_the_cluster(), None);
    }

    #[test]
    fn a_pod_that_runs_is_no_runner_that_is_online() {
        let pods = [pod("a-2", true)];
        let runner = json!({"id": 1, "name": "a-2", "status": "online", "busy": false});
        let online = HashMap::from([("a-2".to_owned(), serde_json::from_value(runner).unwrap())]);
        assert_eq!(after(&pods, 1).at_github(Some(&online)), None);
        let reason = after(&pods, 1).at_github(Some(&HashMap::new())).unwrap();
        assert_eq!(reason, "0 of 1 runners are online at GitHub");
    }
}
