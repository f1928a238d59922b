//! Reconciles an `EphemeralRunnerSet`: as many runners as its listener asks for.

use anyhow::Result;
use http::Method;
use serde_json::{Value, json};

use super::names::{self, OF_REGISTRATION, OF_RUNNER, PATCH, annotation, has_job};
use super::reconciler::{Reconciler, Snapshot};
use super::scale_set::add_metadata;
use super::{RUNNER, RUNNERS};
use crate::objects::{
    at, has_finalizer, is_deleted, is_owned_by, owner_reference, suffix, text, uid,
    without_finalizer,
};

/// The runners of a set by their phase; those that are being deleted are in none.
#[derive(Default)]
pub(super) struct ByPhase<'a> {
    pub(super) pending: Vec<&'a Value>,
    pub(super) running: Vec<&'a Value>,
    pub(super) failed: Vec<&'a Value>,
    pub(super) succeeded: Vec<&'a Value>,
    pub(super) outdated: Vec<&'a Value>,
}

impl<'a> ByPhase<'a> {
    pub(super) fn of(runners: impl Iterator<Item = &'a Value>) -> Self {
        let mut found = Self::default();
        for runner in runners.filter(|it| !is_deleted(it)) {
            let list = match text(runner, "/status/phase") {
                "Running" => &mut found.running,
                "Failed" => &mut found.failed,
                "Succeeded" => &mut found.succeeded,
                "Outdated" => &mut found.outdated,
                _ => &mut found.pending,
            };
            list.push(runner);
        }
        found
    }

    /// How many there are for the listener; failed ones count too.
    pub(super) fn total(&self) -> u64 {
        let total = self.pending.len() + self.running.len() + self.failed.len();
        u64::try_from(total).unwrap_or(u64::MAX)
    }

    fn latest_patch(&self) -> u64 {
        let all = [&self.pending, &self.running, &self.failed, &self.succeeded];
        let patches = all.into_iter().flatten();
        let number = |runner: &&Value| annotation(runner, PATCH).parse().unwrap_or(0);
        patches.map(number).max().unwrap_or(0)
    }
}

/// What a set does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many more.
    Grow(u64),
    /// So many fewer, of those that are idle.
    Shrink(u64),
    Stay,
}

/// A patch of the listener is followed once, so that a runner that has ended is not made again before the listener knows;
/// patch 0 is followed always, and only it makes a set smaller.
pub(super) fn step(patch: u64, latest: u64, replicas: u64, total: u64) -> Step {
    if patch != 0 && patch == latest {
        return Step::Stay;
    }
    if total < replicas {
        Step::Grow(replicas - total)
    } else if patch == 0 && total > replicas {
        Step::Shrink(total - replicas)
    } else {
        Step::Stay
    }
}

impl Reconciler {
    /// Brings a set of runners one step on.
    pub(super) async fn reconcile_runner_set(
        &mut self,
        set: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let own = || {
            let all = snapshot.runners.iter();
            all.filter(|it| is_owned_by(it, uid(set)))
        };
        if is_deleted(set) {
            return self.end_runner_set(set, own().collect()).await;
        }
        let phases = ByPhase::of(own());
        for runner in &phases.succeeded {
            self.end(&RUNNER, runner).await?;
        }
        let number = |field: &str| set["spec"][field].as_u64().unwrap_or_default();
        let (patch, replicas) = (number("patchID"), number("replicas"));
        if phases.outdated.is_empty() {
            match step(patch, phases.latest_patch(), replicas, phases.total()) {
                Step::Grow(count) => {
                    for _ in 0..count {
                        self.make_runner(set, patch).await?;
                    }
                }
                Step::Shrink(count) => self.shrink(&phases, count).await?,
                Step::Stay => {}
            }
        }
        let phase = if phases.outdated.is_empty() {
            "Running"
        } else {
            "Outdated"
        };
        let mut status = json!({ "currentReplicas": phases.total(), "phase": phase });
        if !self.configuration.since((0, 15, 0)) {
            status["pendingEphemeralRunners"] = phases.pending.len().into();
            status["runningEphemeralRunners"] = phases.running.len().into();
            status["failedEphemeralRunners"] = phases.failed.len().into();
        }
        self.status(&RUNNERS, set, &status).await
    }

    async fn make_runner(&self, set: &Value, patch: u64) -> Result<()> {
        let (namespace, name) = at(set);
        let mut labels = set["metadata"]["labels"].clone();
        labels["app.kubernetes.io/component"] = "runner".into();
        let mut metadata = json!({
            "name": format!("{name}-runner-{}", suffix()), "namespace": namespace, "labels": labels,
            "annotations": {
                PATCH: patch.to_string(),
                names::GROUP_NAME: annotation(set, names::GROUP_NAME),
                names::SET_NAME: annotation(set, names::SET_NAME),
            },
            "finalizers": [OF_RUNNER, OF_REGISTRATION], "ownerReferences": owner_reference(set),
        });
        add_metadata(&mut metadata, &set["spec"]["ephemeralRunnerMetadata"]);
        let object = json!({ "metadata": metadata, "spec": set["spec"]["ephemeralRunnerSpec"] });
        self.objects.create(&RUNNER, namespace, &object).await?;
        Ok(())
    }

    /// Removes idle runners, the oldest first.
    async fn shrink(&mut self, phases: &ByPhase<'_>, count: u64) -> Result<()> {
        let mut idle: Vec<&Value> = [&phases.pending, &phases.running, &phases.failed]
            .into_iter()
            .flatten()
            .copied()
            .filter(|runner| !has_job(runner))
            .collect();
        idle.sort_by_key(|runner| names::age(runner));
        let mut left = count;
        for runner in idle {
            if left == 0 {
                break;
            }
            if self.is_removed(runner).await? {
                self.end(&RUNNER, runner).await?;
                left -= 1;
            }
        }
        Ok(())
    }

    /// Removes a runner at GitHub; false while it has a job there, or GitHub cannot be asked.
    pub(super) async fn is_removed(&mut self, runner: &Value) -> Result<bool> {
        let Some(id) = runner["status"]["runnerId"].as_u64().filter(|id| *id > 0) else {
            return Ok(true);
        };
        if self.waits("removal", runner) {
            return Ok(false);
        }
        let Some(credential) = self.credential(runner).await? else {
            self.wait("removal", runner, self.delays.retry);
            return Ok(false);
        };
        let url = text(runner, "/spec/githubConfigUrl");
        let path = format!("distributedtask/pools/0/agents/{id}");
        let removed = self
            .service
            .call((url, &credential), Method::DELETE, &path, None)
            .await;
        match removed {
            Ok(_) => Ok(true),
            Err(failure) if failure.exception == "AgentNotFoundException" => Ok(true),
            Err(failure) if failure.exception == "JobStillRunningException" => {
                self.wait("removal", runner, self.delays.busy_retry);
                Ok(false)
            }
            Err(_) => {
                self.wait("removal", runner, self.delays.retry);
                Ok(false)
            }
        }
    }

    /// A set goes when its runners are gone; busy ones are waited for.
    async fn end_runner_set(&mut self, set: &Value, runners: Vec<&Value>) -> Result<()> {
        if !has_finalizer(set, OF_RUNNER) {
            return Ok(());
        }
        for runner in runners.iter().filter(|it| !is_deleted(it)) {
            let is_over = matches!(
                text(runner, "/status/phase"),
                "Succeeded" | "Failed" | "Outdated"
            );
            if is_over || self.is_removed(runner).await? {
                self.end(&RUNNER, runner).await?;
            }
        }
        if runners.is_empty() {
            let patch = without_finalizer(set, OF_RUNNER);
            self.objects.merge(&RUNNERS, at(set), &patch).await?;
        }
        Ok(())
    }
}
