//! The leader's loop: lists everything, moves each object one step on, and waits for the next change.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::configuration::Configuration;
use super::github::{GitHub, Listed, Scope, Token};
use super::manager::Leading;
use super::{
    AUTOSCALER, Credentials, DEPLOYMENT, Delays, GitHubSettings, REPLICA_SET, RUNNER, pods,
};
use crate::objects::{self, Event, Objects, POD};

/// What the leader knows from pass to pass.
pub(super) struct Reconciler {
    pub(super) objects: Objects,
    pub(super) configuration: Arc<Configuration>,
    pub(super) github: GitHub,
    credentials: Credentials,
    pub(super) delays: Delays,
    /// Registration tokens, by scope.
    pub(super) tokens: HashMap<Scope, Token>,
    /// When an object may be tried again, by its unique id.
    pub(super) not_before: HashMap<String, Instant>,
    /// The generation and the next turn of each autoscaler, by its unique id.
    pub(super) turns: HashMap<String, (i64, Instant)>,
}

/// All objects, as of the start of a pass.
pub(super) struct Snapshot {
    pub(super) autoscalers: Vec<Value>,
    pub(super) deployments: Vec<Value>,
    pub(super) replica_sets: Vec<Value>,
    pub(super) runners: Vec<Value>,
    pub(super) pods: Vec<Value>,
}

/// Reconciles while somebody leads.
pub(super) async fn run(
    objects: Objects,
    mut leader: watch::Receiver<Leading>,
    settings: Arc<GitHubSettings>,
    delays: Delays,
    changed: &Notify,
) {
    loop {
        let leading = leader.borrow_and_update().clone();
        let lead = async {
            if leading.is_empty() {
                return std::future::pending().await;
            }
            let each = leading.iter().map(|(_, configuration)| {
                lead(&objects, configuration, &settings, delays, changed)
            });
            futures::future::join_all(each).await;
        };
        tokio::select! {
            () = lead => {}
            ended = leader.changed() => if ended.is_err() { return },
        }
    }
}

async fn lead(
    objects: &Objects,
    configuration: &Arc<Configuration>,
    settings: &Arc<GitHubSettings>,
    delays: Delays,
    changed: &Notify,
) {
    // Without a usable client the real one ends at once; here it leads and does nothing.
    let Ok(github) = GitHub::new(configuration, settings, &delays) else {
        return std::future::pending().await;
    };
    let mut reconciler = Reconciler {
        objects: objects.clone(),
        configuration: Arc::clone(configuration),
        github,
        credentials: settings.credentials.clone(),
        delays,
        tokens: HashMap::new(),
        not_before: HashMap::new(),
        turns: HashMap::new(),
    };
    loop {
        tokio::time::sleep(delays.reconcile).await;
        if !settings.paused.load(Ordering::Relaxed) {
            // A pass that fails is repeated: a conflict, or the API server is restarting.
            let _again = reconciler.pass().await;
        }
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

impl Reconciler {
    async fn pass(&mut self) -> Result<()> {
        let snapshot = self.snapshot().await?;
        self.read_credentials(&snapshot.deployments).await?;
        // One object's trouble is no other's: the first error is reported after all had their turn.
        let mut outcome = Ok(());
        for pod in &snapshot.pods {
            keep_first(&mut outcome, self.reconcile_pod(pod).await);
        }
        for deployment in &snapshot.deployments {
            keep_first(
                &mut outcome,
                self.reconcile_deployment(deployment, &snapshot).await,
            );
        }
        for set in &snapshot.replica_sets {
            keep_first(
                &mut outcome,
                self.reconcile_replica_set(set, &snapshot).await,
            );
        }
        for runner in &snapshot.runners {
            keep_first(&mut outcome, self.reconcile_runner(runner, &snapshot).await);
        }
        for autoscaler in &snapshot.autoscalers {
            keep_first(
                &mut outcome,
                self.reconcile_autoscaler(autoscaler, &snapshot).await,
            );
        }
        outcome
    }

    /// Reads the Secrets of `githubAPICredentialsFrom`, anew in each pass as the real one does (reference: arc.md 1.3). One
    /// that is not there is no credential.
    async fn read_credentials(&self, deployments: &[Value]) -> Result<()> {
        for deployment in deployments {
            let spec = &deployment["spec"]["template"]["spec"];
            let name = objects::text(spec, "/githubAPICredentialsFrom/secretRef/name");
            let Some(scope) = Scope::of(spec).filter(|_| !name.is_empty()) else {
                continue;
            };
            let namespace = objects::at(deployment).0;
            let secret = self
                .objects
                .get(&objects::SECRET, (namespace, name))
                .await?;
            let data = secret.unwrap_or_default();
            let token = STANDARD.decode(objects::text(&data, "/data/github_token"));
            let token = String::from_utf8(token.unwrap_or_default()).unwrap_or_default();
            self.credentials.learn(scope.path().to_owned(), token);
        }
        Ok(())
    }

    async fn snapshot(&self) -> Result<Snapshot> {
        let watched = self.configuration.watch_namespace.as_deref();
        let mut lists = Vec::new();
        for (kind, labels) in [
            (AUTOSCALER, None),
            (DEPLOYMENT, None),
            (REPLICA_SET, None),
            (RUNNER, None),
            (POD, Some(pods::LABEL)),
        ] {
            let mut list = self.objects.list(&kind, labels).await?;
            list.retain(|object| watched.is_none_or(|watched| objects::at(object).0 == watched));
            lists.push(list);
        }
        let mut lists = lists.into_iter();
        let mut next = || lists.next().context("a list is missing");
        Ok(Snapshot {
            autoscalers: next()?,
            deployments: next()?,
            replica_sets: next()?,
            runners: next()?,
            pods: next()?,
        })
    }

    /// Whether an object has to wait.
    pub(super) fn waits(&self, id: &str) -> bool {
        self.not_before
            .get(id)
            .is_some_and(|time| Instant::now() < *time)
    }

    /// Has an object wait.
    pub(super) fn wait(&mut self, id: &str, delay: Duration) {
        self.not_before
            .insert(id.to_owned(), Instant::now() + delay);
    }

    /// GitHub's runners of the scope in a runner's spec.
    pub(super) async fn listed(&self, spec: &Value) -> Result<Vec<Listed>, String> {
        let scope = Scope::of(spec).ok_or("the runner has no scope")?;
        self.github.runners(&scope).await
    }

    pub(super) async fn event(&self, about: &Value, kind: &str, reason: &str, message: &str) {
        let component = match objects::text(about, "/kind") {
            "HorizontalRunnerAutoscaler" => "horizontalrunnerautoscaler-controller",
            _ => "runner-controller",
        };
        let event = Event {
            kind,
            reason,
            message,
            component,
        };
        self.objects.event(about, &event).await;
    }

    /// Writes a status, unless it is there already.
    pub(super) async fn status(
        &self,
        kind: &objects::Kind,
        object: &Value,
        status: &Value,
    ) -> Result<()> {
        let is_there = status.as_object().is_some_and(|fields| {
            fields
                .iter()
                .all(|(field, value)| object["status"][field] == *value)
        });
        if !is_there {
            self.objects
                .merge_status(kind, objects::at(object), status)
                .await?;
        }
        Ok(())
    }
}

fn keep_first(outcome: &mut Result<()>, next: Result<()>) {
    if outcome.is_ok() {
        *outcome = next;
    }
}
