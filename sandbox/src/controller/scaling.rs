//! `HorizontalRunnerAutoscaler`s: write the replicas of `RunnerDeployment`s.

use std::time::Instant;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::autoscaler::{self, Observed};
use super::github::GitHub;
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
        if let Some(spec) = change(autoscaler, target, desired) {
            let patch = json!({ "spec": spec });
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
        let mut observed = Observed {
            replicas: target["spec"]["replicas"].as_i64(),
            busy,
            jobs: 0,
            scale_down_delay: delay.unwrap_or(SignedDuration::from_mins(10)),
            now,
        };
        if autoscaler::needs_jobs(autoscaler, &observed) {
            let template = &target["spec"]["template"]["spec"];
            for repository in autoscaler::counted(autoscaler, template)? {
                observed.jobs += jobs_of(&self.github, &repository, &template["labels"]).await?;
            }
        }
        Ok(observed)
    }
}

/// Counts the jobs of a repository that wait or run, and whose labels a runner with `labels` has. The controller reads one
/// page of the runs of each status.
async fn jobs_of(github: &GitHub, repository: &str, labels: &Value) -> Result<i64, String> {
    let takes = |job: &Value| {
        let asked = job["labels"].as_array().into_iter().flatten();
        let has = |it: &Value| {
            it == "self-hosted" || labels.as_array().is_some_and(|all| all.contains(it))
        };
        asked.clone().count() > 0 && asked.clone().all(has)
    };
    let mut count = 0;
    for status in ["queued", "in_progress"] {
        let path = format!("repos/{repository}/actions/runs");
        let runs = github.read(&format!("{path}?status={status}")).await?;
        for run in runs["workflow_runs"].as_array().into_iter().flatten() {
            let jobs = github.read(&format!("{path}/{}/jobs", run["id"])).await?;
            let jobs = jobs["jobs"].as_array().into_iter().flatten();
            let open = jobs.filter(|it| it["status"] != "completed" && takes(it));
            count += i64::try_from(open.count()).unwrap_or(i64::MAX);
        }
    }
    Ok(count)
}

/// What changes in the target's `spec`: its replicas, and the newest time of the autoscaler's reservations, expired ones too.
/// That time stays where no reservation is left (`horizontalrunnerautoscaler_controller.go`, v0.27.6).
fn change(autoscaler: &Value, target: &Value, desired: i64) -> Option<Value> {
    let mut spec = json!({});
    if target["spec"]["replicas"].as_i64() != Some(desired) {
        spec["replicas"] = desired.into();
    }
    let reservations = autoscaler
        .pointer("/spec/capacityReservations")
        .and_then(Value::as_array);
    let newest = reservations
        .into_iter()
        .flatten()
        .map(|one| &one["effectiveTime"])
        .max_by_key(|time| time.as_str()?.parse::<Timestamp>().ok());
    let is_ephemeral = target.pointer("/spec/template/spec/ephemeral") != Some(&Value::Bool(false));
    if let Some(time) = newest.filter(|time| is_ephemeral && time.is_string())
        && target["spec"]["effectiveTime"] != *time
    {
        spec["effectiveTime"] = time.clone();
    }
    (spec != json!({})).then_some(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_last_webhook_goes_to_the_target_and_stays() {
        let reserved = |times: &[&str]| {
            let held = times.iter().map(|time| json!({ "effectiveTime": time }));
            json!({ "spec": { "capacityReservations": held.collect::<Vec<_>>() } })
        };
        let (first, second) = ("2026-11-28T00:00:00Z", "2026-11-28T00:01:00Z");
        let both = reserved(&[second, first]);
        let mut target = json!({ "spec": { "replicas": 2 } });
        let expected = json!({ "replicas": 3, "effectiveTime": second });
        assert_eq!(change(&both, &target, 3), Some(expected));
        target["spec"]["effectiveTime"] = second.into();
        assert_eq!(change(&both, &target, 2), None);
        assert_eq!(change(&reserved(&[]), &target, 2), None, "it stays");
        let kept =
            json!({ "spec": { "replicas": 2, "template": { "spec": { "ephemeral": false } } } });
        assert_eq!(change(&both, &kept, 2), None);
    }
}
