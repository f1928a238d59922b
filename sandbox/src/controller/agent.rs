//! The runners inside the pods: each registers at GitHub when its pod runs, and is lost when its pod ends. They live
//! with their pods, whether or not the controller does.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Client;
use serde_json::Value;
use tokio::sync::Notify;

use super::manager::variable;
use super::{Delays, Faults, GitHubSettings, github, pods};
use crate::objects::{self, Objects, POD, at, uid};

/// How often the runner's start script tries to register, and how long it waits in between.
const ATTEMPTS: u32 = 10;
const RETRY: Duration = Duration::from_secs(2);

/// Where a runner is.
enum State {
    /// It tries to register at that time, for the n-th time.
    Starting(Instant, u32),
    /// GitHub knows it.
    Online { web: String, id: i64 },
    /// It could not register, and gave up.
    Failed,
}

/// Runs the runners of all pods until it is dropped.
pub(super) async fn run(
    objects: Objects,
    settings: Arc<GitHubSettings>,
    delays: Delays,
    faults: Faults,
    changed: &Notify,
) {
    let Ok(http) = github::client(&settings, delays.github_timeout) else {
        return;
    };
    let mut agents = Agents {
        objects,
        public: settings.public.clone(),
        http,
        delays,
        faults,
        states: HashMap::new(),
    };
    loop {
        // A pass that fails is repeated: the API server may be restarting.
        let _again = agents.pass().await;
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

struct Agents {
    objects: Objects,
    /// What answers for github.com.
    public: Option<String>,
    http: Client,
    delays: Delays,
    faults: Faults,
    states: HashMap<String, State>,
}

impl Agents {
    async fn pass(&mut self) -> Result<()> {
        let pods = self.objects.list(&POD, Some(pods::LABEL)).await?;
        let running: Vec<&Value> = pods
            .iter()
            .filter(|pod| objects::started_at(pod, "runner").is_some())
            .collect();
        let alive: HashSet<&str> = running.iter().map(|pod| uid(pod)).collect();
        let ended: Vec<String> = self
            .states
            .keys()
            .filter(|id| !alive.contains(id.as_str()))
            .cloned()
            .collect();
        for id in ended {
            if let Some(State::Online { web, id }) = self.states.remove(&id) {
                // GitHub finds out by itself when it cannot be told.
                let _untold = github::tell(&self.http, &web, id, false, false).await;
            }
        }
        for pod in running {
            self.step(pod).await;
        }
        Ok(())
    }

    async fn step(&mut self, pod: &Value) {
        let due = Instant::now() + self.delays.registration;
        let state = self
            .states
            .entry(uid(pod).to_owned())
            .or_insert(State::Starting(due, 1));
        let State::Starting(due, attempt) = *state else {
            return;
        };
        if Instant::now() < due || self.faults.never_register {
            return;
        }
        let given = |name: &str| variable(pod, name).unwrap_or_default();
        let runner = github::registration(
            given("RUNNER_TOKEN"),
            at(pod).1,
            given("RUNNER_LABELS"),
            given("RUNNER_GROUP"),
            given("RUNNER_EPHEMERAL") == "true",
        );
        let web = match (given("GITHUB_URL"), &self.public) {
            ("https://github.com/", Some(public)) => format!("{}/", public.trim_end_matches('/')),
            (other, _) => other.to_owned(),
        };
        *state = match github::register(&self.http, &web, &runner).await {
            Ok(id) => {
                // A connection that cannot be reported is made again by nobody: the runner stays offline.
                let _offline = github::tell(&self.http, &web, id, true, false).await;
                State::Online { web, id }
            }
            Err(_) if attempt < ATTEMPTS => State::Starting(Instant::now() + RETRY, attempt + 1),
            Err(_) => State::Failed,
        };
    }
}
