//! The runners inside the pods: each registers at GitHub when its pod runs, and goes offline when its pod ends. They live
//! as long as their pods, with or without the controller.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::manager::variable;
use super::{Delays, Faults, GitHubSettings, github, pods};
use crate::github::{Broker, Taken};
use crate::objects::{self, Objects, POD, at, uid};

/// How often the runner's start script tries to register, and how long it waits in between.
const ATTEMPTS: u32 = 10;
const RETRY: Duration = Duration::from_secs(2);

/// Where a runner is.
enum State {
    /// It tries to register at that time, for the n-th time.
    Starting(Instant, u32),
    /// GitHub knows it, and it may have a job that ends at that time.
    Online {
        web: String,
        id: i64,
        job: Option<(Taken, Instant)>,
        /// When it sees that GitHub has removed it: with the end of its long poll.
        removed: Option<Instant>,
    },
    /// It has done its one job, or GitHub has removed it.
    Done,
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
        broker: settings.broker.clone(),
        cut_off: Arc::clone(&settings.cut_off),
        http,
        delays,
        faults,
        states: HashMap::new(),
    };
    loop {
        if !settings.paused.load(Ordering::Relaxed) {
            // A pass that fails is repeated: the API server may be restarting.
            let _again = agents.pass().await;
        }
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// The version of the runner in the tag of a pod's image: 2.306.0 of `v2.306.0-ubuntu-22.04`.
fn version(pod: &Value) -> Option<&str> {
    let mut containers = pod["spec"]["containers"].as_array()?.iter();
    let image = containers.find(|it| it["name"] == "runner")?["image"].as_str()?;
    let (image, _digest) = image.split_once('@').unwrap_or((image, ""));
    let (_, tag) = image.rsplit_once(':')?;
    let words = tag.split(['-', '_']);
    let is_version = |word: &str| word.starts_with("2.") && word.matches('.').count() == 2;
    words
        .map(|word| word.strip_prefix('v').unwrap_or(word))
        .find(|word| is_version(word))
}

struct Agents {
    objects: Objects,
    /// What answers for github.com.
    public: Option<String>,
    http: Client,
    /// Where jobs come from.
    broker: Option<Broker>,
    /// Whether the nodes reach no server.
    cut_off: Arc<AtomicBool>,
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
        let ended = self.states.extract_if(|id, _| !alive.contains(id.as_str()));
        for (_, state) in ended {
            if let State::Online { web, id, job, .. } = state {
                if let (Some(broker), Some((taken, _))) = (&self.broker, job) {
                    broker.lose(taken);
                }
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
            return self.work(pod).await;
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
            version(pod).filter(|_| given("DISABLE_RUNNER_UPDATE") == "true"),
        );
        let web = match (given("GITHUB_URL"), &self.public) {
            ("https://github.com/", Some(public)) => format!("{}/", public.trim_end_matches('/')),
            (other, _) => other.to_owned(),
        };
        let registered = if self.cut_off.load(Ordering::Relaxed) {
            Err("the server is not reached".to_owned())
        } else {
            github::register(&self.http, &web, &runner).await
        };
        *state = match registered {
            Ok(id) => {
                // A connection that cannot be reported is made again by nobody: the runner stays offline.
                let _offline = github::tell(&self.http, &web, id, true, false).await;
                State::Online {
                    web,
                    id,
                    job: None,
                    removed: None,
                }
            }
            Err(_) if attempt < ATTEMPTS => State::Starting(Instant::now() + RETRY, attempt + 1),
            Err(_) => State::Failed,
        };
    }

    /// Takes a job, or ends the one it has; an ephemeral runner ends with it, and so does its pod.
    async fn work(&mut self, pod: &Value) {
        let Some(broker) = self.broker.clone() else {
            return;
        };
        let Some(State::Online {
            id, job, removed, ..
        }) = self.states.get_mut(uid(pod))
        else {
            return;
        };
        let is_known = u64::try_from(*id).is_ok_and(|id| broker.knows(id));
        match *job {
            None if !is_known => {
                let due = *removed.get_or_insert(Instant::now() + self.delays.poll);
                if Instant::now() >= due {
                    self.end(pod).await;
                }
            }
            None => {
                let taken = u64::try_from(*id).ok().and_then(|id| broker.take(id));
                let length = broker.length().unwrap_or(self.delays.job);
                *job = taken.map(|taken| (taken, Instant::now() + length));
            }
            Some((taken, due)) if Instant::now() >= due => {
                *job = None;
                if broker.finish(taken) {
                    self.end(pod).await;
                }
            }
            Some(_) => {}
        }
    }

    /// The runner's program ends well, and with it its pod.
    async fn end(&mut self, pod: &Value) {
        self.states.insert(uid(pod).to_owned(), State::Done);
        let ended = ended(pod, 0);
        // A pod that is gone already needs no status.
        let _gone = self.objects.merge_status(&POD, at(pod), &ended).await;
    }
}

/// The status of a pod whose containers have ended with this exit code.
pub(crate) fn ended(pod: &Value, code: i32) -> Value {
    let now = objects::seconds(jiff::Timestamp::now());
    let mut status = pod["status"].clone();
    let (phase, reason) = match code {
        0 => ("Succeeded", "Completed"),
        _ => ("Failed", "Error"),
    };
    status["phase"] = json!(phase);
    for container in status["containerStatuses"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        let since = container["state"]["running"]["startedAt"].clone();
        container["ready"] = json!(false);
        container["started"] = json!(false);
        container["state"] = json!({ "terminated": {
            "exitCode": code, "reason": reason, "startedAt": since, "finishedAt": now,
        } });
    }
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        if condition["type"] == "Ready" || condition["type"] == "ContainersReady" {
            condition["status"] = json!("False");
            condition["reason"] = json!("PodCompleted");
            condition["lastTransitionTime"] = json!(now);
        }
    }
    status
}
