//! `HorizontalRunnerAutoscaler`s: write the replicas of `RunnerDeployment`s.

use std::time::Instant;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::autoscaler::{self, Observed};
use super::overrides::Schedule;
use super::reconciler::{Reconciler, Snapshot};
use super::{AUTOSCALER, DEPLOYMENT};
use crate::objects::{self, at, text, uid};

impl Reconciler {
    /// Gives an autoscaler its turn: when it is new or changed, and then once in a sync period, whatever came of it.
    pub(super) async fn reconcile_autoscaler(
        &mut self,
        autoscaler: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let generation = autoscaler
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        let id = uid(autoscaler).to_owned();
        let now = Instant::now();
        let is_due = self
            .turns
            .get(&id)
            .is_none_or(|(seen, next)| *seen != generation || now >= *next);
        if objects::is_deleted(autoscaler) || !is_due {
            return Ok(());
        }
        self.turns.insert(
            id.clone(),
            (generation, now + self.configuration.sync_period),
        );
        let target = text(autoscaler, "/spec/scaleTargetRef/name");
        let namespace = at(autoscaler).0;
        let target = snapshot
            .deployments
            .iter()
            .find(|one| at(one) == (namespace, target));
        let Some(target) = target else { return Ok(()) };
        let outcome = self.scale(autoscaler, target, snapshot).await;
        if outcome.is_err() {
            // What failed at the API server is tried again soon.
            self.turns.remove(&id);
        }
        outcome
    }

    async fn scale(
        &mut self,
        autoscaler: &Value,
        target: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let now = Timestamp::now();
        // A schedule that cannot be read is logged only.
        let Ok(schedule) = Schedule::of(autoscaler, now) else {
            return Ok(());
        };
        let desired = match self.observe(autoscaler, target, snapshot, now).await {
            Ok(observed) => autoscaler::desired(autoscaler, &schedule, &observed),
            Err(error) => Err(error),
        };
        let desired = match desired {
            Ok(desired) => desired,
            Err(error) => {
                self.event(autoscaler, "Normal", "RunnerAutoscalingFailure", &error)
                    .await;
                return Ok(());
            }
        };
        if target["spec"]["replicas"].as_i64() != Some(desired) {
            let patch = json!({ "spec": { "replicas": desired } });
            self.objects.merge(&DEPLOYMENT, at(target), &patch).await?;
        }
        let before = autoscaler
            .pointer("/status/desiredReplicas")
            .and_then(Value::as_i64);
        let minimum = autoscaler["spec"]["minReplicas"].as_i64().unwrap_or(0);
        let mut status = json!({
            "desiredReplicas": desired,
            "scheduledOverridesSummary": schedule.summary(minimum),
        });
        if before.is_none_or(|before| before < desired) {
            status["lastSuccessfulScaleOutTime"] = objects::seconds(now).into();
        }
        self.status(&AUTOSCALER, autoscaler, &status).await
    }

    async fn observe(
        &self,
        autoscaler: &Value,
        target: &Value,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Observed, String> {
        let mut busy = 0;
        if autoscaler::needs_runners(autoscaler) {
            let listed = self.listed(&target["spec"]["template"]["spec"]).await;
            let listed = listed.map_err(|error| format!("failed to list runners: {error}"))?;
            let of_target = |name: &str| {
                snapshot.runners.iter().any(|runner| {
                    at(runner) == (at(target).0, name)
                        && runner["metadata"]["labels"]["runner-deployment-name"] == at(target).1
                })
            };
            let count = listed
                .iter()
                .filter(|one| one.busy && of_target(&one.name))
                .count();
            busy = i64::try_from(count).unwrap_or(i64::MAX);
        }
        let delay = SignedDuration::try_from(self.configuration.scale_down_delay);
        Ok(Observed {
            replicas: target["spec"]["replicas"].as_i64(),
            busy,
            scale_down_delay: delay.unwrap_or(SignedDuration::from_mins(10)),
            now,
        })
    }
}
