//! The controller's loop: who leads, and one step for each object in each pass.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Notify;

use super::configuration::{Configuration, of_pod};
use super::names::annotation;
use super::service::{Credential, Service};
use super::{
    BINDING, CONTROLLER_PODS, Delays, Faults, LISTENER, LISTENER_PODS, ROLE, RUNNER, RUNNER_PODS,
    RUNNERS, SET,
};
use crate::controller::GitHubSettings;
use crate::leases::Leader;
use crate::objects::{self, Objects, POD, SECRET, at, text, uid};

/// What the controllers know from pass to pass.
pub(super) struct Reconciler {
    pub(super) objects: Objects,
    pub(super) configuration: Configuration,
    pub(super) service: Service,
    pub(super) delays: Delays,
    pub(super) faults: Faults,
    /// When something may be tried again, by what it is and the unique id of whom it is about.
    not_before: HashMap<String, Instant>,
}

/// All objects, as of the start of a pass.
pub(super) struct Snapshot {
    pub(super) sets: Vec<Value>,
    pub(super) listeners: Vec<Value>,
    pub(super) runner_sets: Vec<Value>,
    pub(super) runners: Vec<Value>,
    pub(super) listener_pods: Vec<Value>,
    pub(super) runner_pods: Vec<Value>,
}

/// Runs the controllers while they have pods.
pub(super) async fn run(
    objects: Objects,
    settings: &Arc<GitHubSettings>,
    delays: Delays,
    faults: &Faults,
    changed: &Notify,
) {
    let Ok(service) = Service::new(settings, delays.github_timeout) else {
        return;
    };
    let mut leaders: HashMap<(String, String), Leader> = HashMap::new();
    let mut working: HashMap<String, Reconciler> = HashMap::new();
    loop {
        tokio::time::sleep(delays.reconcile).await;
        // Whoever cannot be read leads no more; the API server may be restarting.
        let leading = lead(&objects, &mut leaders, delays, faults).await;
        let leading = leading.unwrap_or_default();
        working.retain(|id, _| leading.iter().any(|(known, _)| known == id));
        for (id, configuration) in leading {
            let reconciler = working.entry(id).or_insert_with(|| Reconciler {
                objects: objects.clone(),
                configuration,
                service: service.clone(),
                delays,
                faults: faults.clone(),
                not_before: HashMap::new(),
            });
            if !settings.paused.load(Ordering::Relaxed) {
                // A pass that fails is repeated: a conflict, or an object that has gone.
                let _again = reconciler.pass().await;
            }
        }
        tokio::select! {
            () = changed.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

/// The pods that work, with what they were started with: of each controller the oldest that is ready, and holds the Lease
/// where there is one.
async fn lead(
    objects: &Objects,
    leaders: &mut HashMap<(String, String), Leader>,
    delays: Delays,
    faults: &Faults,
) -> Result<Vec<(String, Configuration)>> {
    let mut pods = objects.list(&POD, Some(CONTROLLER_PODS)).await?;
    pods.retain(|pod| objects::is_ready(pod) && !has_crashed(pod, faults));
    pods.sort_by_key(|pod| objects::started_at(pod, "manager"));
    let mut led = HashSet::new();
    let mut leading = Vec::new();
    for pod in &pods {
        let configuration = of_pod(pod);
        let (namespace, name) = at(pod);
        let instance = text(pod, "/metadata/labels/app.kubernetes.io~1instance");
        if led.contains(&(namespace.to_owned(), instance.to_owned())) {
            continue;
        }
        if let Some(lease) = &configuration.lease {
            let leader = leaders
                .entry((namespace.to_owned(), lease.clone()))
                .or_default();
            let identity = format!("{name}_{}", uid(pod));
            let place = (namespace, lease.as_str());
            if !leader.hold(objects, place, &identity, delays.lease).await? {
                continue;
            }
        }
        led.insert((namespace.to_owned(), instance.to_owned()));
        leading.push((uid(pod).to_owned(), configuration));
    }
    Ok(leading)
}

fn has_crashed(pod: &Value, faults: &Faults) -> bool {
    let after = faults.crash_after.map(SignedDuration::try_from);
    let started = objects::started_at(pod, "manager");
    match (after, started) {
        (Some(Ok(after)), Some(started)) => Timestamp::now().duration_since(started) >= after,
        _ => false,
    }
}

impl Reconciler {
    async fn pass(&mut self) -> Result<()> {
        let snapshot = self.snapshot().await?;
        // One object's trouble is no other's: the first error is reported after all had their turn.
        let mut outcome = Ok(());
        for runner in &snapshot.runners {
            keep_first(&mut outcome, self.reconcile_runner(runner, &snapshot).await);
        }
        for set in &snapshot.runner_sets {
            keep_first(
                &mut outcome,
                self.reconcile_runner_set(set, &snapshot).await,
            );
        }
        for listener in &snapshot.listeners {
            keep_first(
                &mut outcome,
                self.reconcile_listener(listener, &snapshot).await,
            );
        }
        for set in &snapshot.sets {
            keep_first(&mut outcome, self.reconcile_set(set, &snapshot).await);
        }
        outcome
    }

    async fn snapshot(&self) -> Result<Snapshot> {
        let watched = self.configuration.watch_namespace.as_deref();
        let list = async |kind, labels: Option<&str>| -> Result<Vec<Value>> {
            self.objects.list(&kind, labels).await
        };
        let mine = |mut list: Vec<Value>| {
            list.retain(|object| watched.is_none_or(|watched| at(object).0 == watched));
            list
        };
        let mut listeners = list(LISTENER, None).await?;
        listeners.retain(|object| at(object).0 == self.configuration.namespace);
        Ok(Snapshot {
            sets: mine(list(SET, None).await?),
            listeners,
            runner_sets: mine(list(RUNNERS, None).await?),
            runners: mine(list(RUNNER, None).await?),
            listener_pods: list(POD, Some(LISTENER_PODS)).await?,
            runner_pods: mine(list(POD, Some(RUNNER_PODS)).await?),
        })
    }

    /// Whether something has to wait.
    pub(super) fn waits(&self, what: &str, object: &Value) -> bool {
        self.not_before
            .get(&format!("{what} of {}", uid(object)))
            .is_some_and(|time| Instant::now() < *time)
    }

    /// Has something wait.
    pub(super) fn wait(&mut self, what: &str, object: &Value, delay: Duration) {
        let what = format!("{what} of {}", uid(object));
        self.not_before.insert(what, Instant::now() + delay);
    }

    /// Whether something that is asked for the first time now has waited for so long.
    pub(super) fn has_waited(&mut self, what: &str, object: &Value, delay: Duration) -> bool {
        let due = *self
            .not_before
            .entry(format!("{what} of {}", uid(object)))
            .or_insert_with(|| Instant::now() + delay);
        Instant::now() >= due
    }

    /// The credential of a set: its Secret, which the controller may read by the Role that the chart made for it, if the chart
    /// was told its account (`controllerServiceAccount`).
    pub(super) async fn credential(&self, set: &Value) -> Result<Option<Credential>> {
        let namespace = at(set).0;
        let role = annotation(set, "actions.github.com/cleanup-manager-role-name");
        if !role.is_empty() && self.objects.get(&ROLE, (namespace, role)).await?.is_none() {
            return Ok(None);
        }
        let binding = annotation(set, "actions.github.com/cleanup-manager-role-binding");
        if !binding.is_empty() {
            let found = self.objects.get(&BINDING, (namespace, binding)).await?;
            if found.is_none_or(|it| !self.configuration.is_bound_by(&it)) {
                return Ok(None);
            }
        }
        let name = text(set, "/spec/githubConfigSecret");
        let secret = self.objects.get(&SECRET, (namespace, name)).await?;
        let found = secret.filter(|_| !self.faults.secret_gone);
        Ok(found.and_then(|secret| Credential::of(&secret)))
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
            self.objects.merge_status(kind, at(object), status).await?;
        }
        Ok(())
    }

    /// Deletes an object, unless that has been asked for.
    pub(super) async fn end(&self, kind: &objects::Kind, object: &Value) -> Result<()> {
        if objects::is_deleted(object) {
            return Ok(());
        }
        self.objects.delete(kind, at(object)).await
    }
}

fn keep_first(outcome: &mut Result<()>, next: Result<()>) {
    if outcome.is_ok() {
        *outcome = next;
    }
}
