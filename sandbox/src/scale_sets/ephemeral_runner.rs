//! Reconciles an `EphemeralRunner`: its just-in-time registration, its Secret, its pod, and what becomes of it.

use anyhow::Result;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::names::{OF_REGISTRATION, OF_RUNNER, has_job};
use super::reconciler::{Reconciler, Snapshot};
use super::scale_set::add_metadata;
use super::service::Credential;
use super::{RUNNER, pods};
use crate::objects::{
    self, POD, SECRET, at, has_finalizer, is_deleted, owner_reference, text, without_finalizer,
};
use crate::query::percent_encode;

/// After so many pods that ended without a job a runner is made anew.
const ATTEMPTS: usize = 5;

/// The exit code of a runner whose version GitHub takes no more.
pub(super) const DEPRECATED: i64 = 7;

impl Reconciler {
    /// Brings a runner one step on.
    pub(super) async fn reconcile_runner(
        &mut self,
        runner: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let pod = snapshot
            .runner_pods
            .iter()
            .find(|pod| at(pod) == at(runner));
        if is_deleted(runner) {
            return self.end_runner(runner, pod).await;
        }
        if matches!(
            text(runner, "/status/phase"),
            "Succeeded" | "Failed" | "Outdated"
        ) {
            return Ok(());
        }
        if runner["status"]["runnerId"].as_u64().unwrap_or(0) == 0 {
            return self.register_runner(runner).await;
        }
        let Some(pod) = pod else {
            return self.start_runner(runner).await;
        };
        match pods::exit_code(pod) {
            Some(0) => {
                let status = json!({ "phase": "Succeeded", "ready": false });
                self.status(&RUNNER, runner, &status).await
            }
            Some(DEPRECATED) => {
                let status = json!({
                    "phase": "Outdated", "ready": false, "reason": "RunnerDeprecated",
                    "message": "The runner is deprecated: GitHub takes its version no more",
                });
                self.status(&RUNNER, runner, &status).await
            }
            Some(_) if has_job(runner) => self.end(&RUNNER, runner).await,
            Some(_) => self.note_failure(runner, pod).await,
            None if is_deleted(pod) => Ok(()),
            None => {
                // Since 0.15 only a runner with a job is running.
                let phase = match text(pod, "/status/phase") {
                    "Running" if self.configuration.since((0, 15, 0)) && !has_job(runner) => {
                        "Pending"
                    }
                    phase => phase,
                };
                let status = json!({ "phase": phase, "ready": objects::is_ready(pod) });
                self.status(&RUNNER, runner, &status).await
            }
        }
    }

    /// Registers a runner before it starts; its configuration is in a Secret of its name.
    async fn register_runner(&mut self, runner: &Value) -> Result<()> {
        if self.waits("registration", runner) {
            return Ok(());
        }
        let Some(credential) = self.credential(runner).await? else {
            self.wait("registration", runner, self.delays.retry);
            return Ok(());
        };
        let (namespace, name) = at(runner);
        let url = text(runner, "/spec/githubConfigUrl");
        let set = runner["spec"]["runnerScaleSetId"].as_u64().unwrap_or(0);
        let path = format!("runtime/runnerscalesets/{set}/generatejitconfig");
        let body = json!({ "name": name, "workFolder": pods::work_folder(runner) });
        let made = self
            .service
            .call((url, &credential), Method::POST, &path, Some(&body))
            .await;
        let made = match made {
            Ok(made) => made,
            Err(failure) if failure.exception == "AgentExistsException" => {
                return self.give_way(runner, set, &credential).await;
            }
            Err(_) => {
                self.wait("registration", runner, self.delays.retry);
                return Ok(());
            }
        };
        let id = made["runner"]["id"].as_u64().unwrap_or(0);
        let encoded = |text: &str| STANDARD.encode(text);
        let mut metadata = json!({
            "name": name, "namespace": namespace, "ownerReferences": owner_reference(runner),
        });
        add_metadata(
            &mut metadata,
            &runner["spec"]["ephemeralRunnerConfigSecretMetadata"],
        );
        let secret = json!({ "metadata": metadata, "type": "Opaque", "data": {
            "jitToken": encoded(text(&made, "/encodedJITConfig")),
            "runnerName": encoded(name),
            "runnerId": encoded(&id.to_string()),
            "scaleSetId": encoded(&set.to_string()),
        } });
        if self.objects.get(&SECRET, at(runner)).await?.is_none() {
            self.objects.create(&SECRET, namespace, &secret).await?;
        } else {
            self.objects.merge(&SECRET, at(runner), &secret).await?;
        }
        let status = json!({ "runnerId": id, "runnerName": name });
        self.objects
            .merge_status(&RUNNER, at(runner), &status)
            .await?;
        Ok(())
    }

    /// GitHub has a runner of that name: one of this scale set is removed, for one of another this runner goes.
    async fn give_way(&mut self, runner: &Value, set: u64, credential: &Credential) -> Result<()> {
        let url = text(runner, "/spec/githubConfigUrl");
        let agents = "distributedtask/pools/0/agents";
        let path = format!("{agents}?agentName={}", percent_encode(at(runner).1));
        let found = self
            .service
            .call((url, credential), Method::GET, &path, None)
            .await;
        let found = found.unwrap_or_default();
        let known = &found["value"][0];
        match known["id"].as_u64() {
            Some(id) if known["runnerScaleSetId"].as_u64() == Some(set) => {
                let path = format!("{agents}/{id}");
                let _tried_again = self
                    .service
                    .call((url, credential), Method::DELETE, &path, None)
                    .await;
                Ok(())
            }
            Some(_) => self.end(&RUNNER, runner).await,
            None => {
                self.wait("registration", runner, self.delays.retry);
                Ok(())
            }
        }
    }

    /// Makes the pod, the later the more of them have ended without a job.
    async fn start_runner(&mut self, runner: &Value) -> Result<()> {
        let failures = failures(runner);
        if failures > ATTEMPTS {
            return self.end(&RUNNER, runner).await;
        }
        if self.waits("pod", runner) {
            return Ok(());
        }
        let pod = pods::of_runner(runner);
        let Err(error) = self.objects.create(&POD, at(runner).0, &pod).await else {
            return Ok(());
        };
        let refused = match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => status,
            _ => return Err(error),
        };
        if refused.message.contains("exceeded quota") {
            // A claim that could not be met is tried again, and the whole runner is made anew after ten minutes.
            self.wait("pod", runner, self.delays.busy_retry);
            if self.has_waited("quota", runner, self.delays.busy_retry * 20) {
                return self.end(&RUNNER, runner).await;
            }
            return Ok(());
        }
        let reason = if refused.code == 403 {
            "PodForbidden"
        } else {
            "InvalidPod"
        };
        let message = format!("Failed to create the pod: {}", refused.message);
        let status = json!({
            "phase": "Failed", "ready": false, "reason": reason, "message": message,
        });
        self.status(&RUNNER, runner, &status).await
    }

    /// A pod that ended without a job is made again, after a while.
    async fn note_failure(&mut self, runner: &Value, pod: &Value) -> Result<()> {
        let known = runner["status"]["failures"][objects::uid(pod)].is_null();
        if known {
            let now = objects::seconds(Timestamp::now());
            let status = json!({
                "failures": { objects::uid(pod): now }, "phase": "Pending", "ready": false,
                "reason": text(pod, "/status/reason"), "message": text(pod, "/status/message"),
            });
            self.objects
                .merge_status(&RUNNER, at(runner), &status)
                .await?;
            // The first new pod comes at once, the next ones after 5, 10, 20 … seconds.
            let count = u32::try_from(failures(runner)).unwrap_or(u32::MAX);
            let delay = match count.checked_sub(1) {
                None => std::time::Duration::ZERO,
                Some(doublings) => self.delays.backoff * 2_u32.saturating_pow(doublings.min(8)),
            };
            self.wait("pod", runner, delay);
        }
        self.end(&POD, pod).await
    }

    /// A runner leaves GitHub, then its pod and its Secret go.
    async fn end_runner(&mut self, runner: &Value, pod: Option<&Value>) -> Result<()> {
        if has_finalizer(runner, OF_REGISTRATION) {
            let is_over = text(runner, "/status/phase") == "Succeeded";
            if !is_over && !self.is_removed(runner).await? {
                return Ok(());
            }
            let patch = without_finalizer(runner, OF_REGISTRATION);
            self.objects.merge(&RUNNER, at(runner), &patch).await?;
            return Ok(());
        }
        if !has_finalizer(runner, OF_RUNNER) {
            return Ok(());
        }
        if let Some(pod) = pod {
            return self.end(&POD, pod).await;
        }
        self.objects.delete(&SECRET, at(runner)).await?;
        let patch = without_finalizer(runner, OF_RUNNER);
        self.objects.merge(&RUNNER, at(runner), &patch).await?;
        Ok(())
    }
}

fn failures(runner: &Value) -> usize {
    let failures = runner.pointer("/status/failures");
    failures
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}
