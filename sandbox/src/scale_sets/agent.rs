//! The runners inside the pods: registered before they start, each takes one job and ends with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::Notify;

use super::ephemeral_runner::DEPRECATED;
use super::{Delays, Faults, RUNNER_PODS};
use crate::controller::GitHubSettings;
use crate::controller::agent::ended;
use crate::github::{Broker, Taken};
use crate::objects::{self, Objects, POD, SECRET, at, text, uid};

/// Where a runner is.
enum State {
    /// It connects at that time.
    Starting(Instant),
    /// GitHub knows it, and it may have a job that ends at that time.
    Online {
        id: u64,
        job: Option<(Taken, Instant)>,
        /// When it sees that GitHub has removed it.
        removed: Option<Instant>,
    },
    /// Its program has ended.
    Over,
}

struct Agents {
    objects: Objects,
    broker: Broker,
    cut_off: Arc<AtomicBool>,
    delays: Delays,
    faults: Faults,
    states: HashMap<String, State>,
}

/// Runs the runners of all pods until it is dropped.
pub(super) async fn run(
    objects: Objects,
    settings: &Arc<GitHubSettings>,
    delays: Delays,
    faults: &Faults,
    changed: &Notify,
) {
    let Some(broker) = settings.broker.clone() else {
        return;
    };
    let mut agents = Agents {
        objects,
        broker,
        cut_off: Arc::clone(&settings.cut_off),
        delays,
        faults: faults.clone(),
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

impl Agents {
    async fn pass(&mut self) -> Result<()> {
        let pods = self.objects.list(&POD, Some(RUNNER_PODS)).await?;
        let running: Vec<&Value> = pods
            .iter()
            .filter(|pod| objects::started_at(pod, "runner").is_some())
            .collect();
        let alive: HashSet<&str> = running.iter().map(|pod| uid(pod)).collect();
        let gone = self.states.extract_if(|id, _| !alive.contains(id.as_str()));
        for (_, state) in gone {
            if let State::Online { id, job, .. } = state {
                if let Some((taken, _)) = job {
                    self.broker.lose(taken);
                }
                self.broker.connect(id, false);
            }
        }
        for pod in running {
            self.step(pod).await?;
        }
        Ok(())
    }

    async fn step(&mut self, pod: &Value) -> Result<()> {
        let due = Instant::now() + self.delays.registration + self.faults.register_late;
        let state = self
            .states
            .entry(uid(pod).to_owned())
            .or_insert(State::Starting(due));
        match *state {
            State::Starting(due) if Instant::now() < due => Ok(()),
            State::Starting(_) => self.connect(pod).await,
            State::Online { .. } => self.work(pod).await,
            State::Over => Ok(()),
        }
    }

    async fn connect(&mut self, pod: &Value) -> Result<()> {
        if self.faults.never_register || self.cut_off.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.faults.deprecated {
            return self.end(pod, i32::try_from(DEPRECATED)?).await;
        }
        let secret = self.objects.get(&SECRET, at(pod)).await?;
        let id = secret.as_ref().and_then(registered);
        let Some(id) = id.filter(|id| self.broker.connect(*id, true)) else {
            // Its configuration has been used, or its registration was removed.
            return self.end(pod, 1).await;
        };
        let (job, removed) = (None, None);
        self.states
            .insert(uid(pod).to_owned(), State::Online { id, job, removed });
        Ok(())
    }

    /// Takes a job, or ends the one it has, and with it itself.
    async fn work(&mut self, pod: &Value) -> Result<()> {
        let Some(State::Online { id, job, removed }) = self.states.get_mut(uid(pod)) else {
            return Ok(());
        };
        match *job {
            None if !self.broker.knows(*id) => {
                let due = *removed.get_or_insert(Instant::now() + self.delays.poll);
                if Instant::now() >= due {
                    return self.end(pod, 1).await;
                }
            }
            None => {
                let length = self.broker.length().unwrap_or(self.delays.job);
                let taken = self.broker.take(*id);
                *job = taken.map(|taken| (taken, Instant::now() + length));
            }
            Some((taken, due)) if Instant::now() >= due => {
                *job = None;
                self.broker.finish(taken);
                return self.end(pod, 0).await;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The runner's program ends, and with it its pod.
    async fn end(&mut self, pod: &Value, code: i32) -> Result<()> {
        self.states.insert(uid(pod).to_owned(), State::Over);
        self.objects
            .merge_status(&POD, at(pod), &ended(pod, code))
            .await?;
        Ok(())
    }
}

/// The id that a runner is registered with, in its configuration.
fn registered(secret: &Value) -> Option<u64> {
    let token = STANDARD.decode(text(secret, "/data/jitToken")).ok()?;
    let configuration = STANDARD.decode(token).ok()?;
    let configuration: Value = serde_json::from_slice(&configuration).ok()?;
    configuration["agentId"].as_u64()
}
