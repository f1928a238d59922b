//! Reconciles a Runner: gets a registration token, and creates its pod.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::github::{Scope, Token};
use super::reconciler::{Reconciler, Snapshot};
use super::{RUNNER, runner_pod};
use crate::objects::{self, POD, at, has_finalizer, is_deleted, text, uid, without_finalizer};

/// Holds a Runner until the controller has seen that it is being deleted.
pub(super) const FINALIZER: &str = "runner.actions.summerwind.dev";

/// A token that expires sooner is replaced.
const FRESH: SignedDuration = SignedDuration::from_mins(30);

impl Reconciler {
    /// Brings a Runner one step on.
    pub(super) async fn reconcile_runner(
        &mut self,
        runner: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let pod = snapshot.pods.iter().find(|pod| at(pod) == at(runner));
        if is_deleted(runner) {
            return self.end_runner(runner).await;
        }
        let Some(pod) = pod else {
            return self.start_runner(runner).await;
        };
        let phase = text(pod, "/status/phase");
        // A runner ends with its pod: an ephemeral one has done its job, and any other is gone.
        if is_deleted(pod) || matches!(phase, "Succeeded" | "Failed") {
            return self.objects.delete(&RUNNER, at(runner)).await;
        }
        let status = json!({ "phase": phase, "ready": objects::is_ready(pod) });
        self.status(&RUNNER, runner, &status).await
    }

    async fn start_runner(&mut self, runner: &Value) -> Result<()> {
        if self.waits(uid(runner)) {
            return Ok(());
        }
        if !has_finalizer(runner, FINALIZER) {
            let patch = json!({ "metadata": { "finalizers": [FINALIZER] } });
            self.objects.merge(&RUNNER, at(runner), &patch).await?;
        }
        let Some(scope) = Scope::of(&runner["spec"]) else {
            return Ok(());
        };
        let Ok(token) = self.token(&scope).await else {
            let words = "Updating registration token failed";
            self.event(runner, "Warning", "FailedUpdateRegistrationToken", words)
                .await;
            self.wait(uid(runner), self.delays.token_retry);
            return Ok(());
        };
        let mut runner = runner.clone();
        if text(&runner, "/status/registration/token") != token.value {
            let registration = json!({
                "token": token.value, "expiresAt": objects::seconds(token.expires),
                "labels": runner["spec"]["labels"],
            });
            let status = json!({ "registration": registration });
            let updated = self
                .objects
                .merge_status(&RUNNER, at(&runner), &status)
                .await?;
            let Some(updated) = updated else {
                return Ok(());
            };
            runner = updated;
            let words = "Successfully update registration token";
            self.event(&runner, "Normal", "RegistrationTokenUpdated", words)
                .await;
        }
        // What cannot be made is only logged by the controller, and tried again.
        let built = runner_pod::build(&runner, &self.configuration, &self.github.web);
        let Ok(mut pod) = built else {
            self.wait(uid(&runner), self.delays.token_retry);
            return Ok(());
        };
        pod["metadata"]["annotations"]["actions-runner-controller/token-expires-at"] =
            objects::seconds(token.expires).into();
        self.objects.create(&POD, at(&runner).0, &pod).await?;
        let words = format!("Created pod '{}'", at(&runner).1);
        self.event(&runner, "Normal", "PodCreated", &words).await;
        Ok(())
    }

    /// Its pod goes by its owner reference; the pod's own finalizer holds it until the runner has left GitHub.
    async fn end_runner(&self, runner: &Value) -> Result<()> {
        if has_finalizer(runner, FINALIZER) {
            let patch = without_finalizer(runner, FINALIZER);
            self.objects.merge(&RUNNER, at(runner), &patch).await?;
        }
        Ok(())
    }

    /// The cached token of a scope, or a new one.
    async fn token(&mut self, scope: &Scope) -> Result<Token, String> {
        let now = Timestamp::now();
        if let Some(token) = self.tokens.get(scope)
            && token.expires.duration_since(now) > FRESH
        {
            return Ok(token.clone());
        }
        let token = self.github.registration_token(scope).await?;
        self.tokens.insert(scope.clone(), token.clone());
        Ok(token)
    }
}
