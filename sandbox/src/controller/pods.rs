//! The runners' pods: records that a runner is registered, and removes it at GitHub before its pod is deleted.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::github::{Removal, Scope};
use super::manager::variable;
use super::reconciler::Reconciler;
use super::runner_pod::FINALIZER;
use crate::objects::{
    self, POD, at, condition, has_finalizer, is_deleted, text, uid, without_finalizer,
};

/// Selects the runners' pods.
pub(super) const LABEL: &str = "actions-runner";

const ID: &str = "actions-runner/id";
/// On a pod, or the Runner that owns it: it is to leave GitHub.
pub(super) const REQUESTED: &str = "actions-runner/unregistration-request-timestamp";

/// On a pod: it has left GitHub.
pub(super) const COMPLETED: &str = "actions-runner/unregistration-complete-timestamp";

const WAITS: &str = "actions-runner/runner-completion-wait-start-timestamp";

impl Reconciler {
    /// Brings a pod one step on.
    pub(super) async fn reconcile_pod(&mut self, pod: &Value) -> Result<()> {
        if !is_deleted(pod) {
            self.note_registration(pod).await?;
            return self.leave_github(pod).await;
        }
        if !has_finalizer(pod, FINALIZER) || self.waits(uid(pod)) {
            return Ok(());
        }
        match self.unregister(pod).await {
            Ok(true) => self.release(pod).await?,
            Ok(false) | Err(_) => self.wait(uid(pod), self.delays.unregistration_retry),
        }
        Ok(())
    }

    /// Writes the id of the runner to its pod, once GitHub lists it.
    async fn note_registration(&mut self, pod: &Value) -> Result<()> {
        // A turn of its own: waiting for GitHub's list must not hold up a deletion.
        let turn = format!("registration of {}", uid(pod));
        if annotation(pod, ID).is_some() || !objects::is_ready(pod) || self.waits(&turn) {
            return Ok(());
        }
        if let Ok(Some(id)) = self.id(pod).await {
            self.annotate(pod, ID, &id.to_string()).await?;
        } else {
            self.wait(&turn, self.delays.registration_check);
        }
        Ok(())
    }

    /// A pod that was asked to leaves GitHub, once it is known to be there; it is deleted by its owner.
    async fn leave_github(&mut self, pod: &Value) -> Result<()> {
        let is_asked = annotation(pod, REQUESTED).is_some() && annotation(pod, COMPLETED).is_none();
        let turn = format!("leaving of {}", uid(pod));
        if !is_asked || annotation(pod, ID).is_none() || self.waits(&turn) {
            return Ok(());
        }
        if matches!(self.unregister(pod).await, Ok(true)) {
            let now = objects::seconds(Timestamp::now());
            return self.annotate(pod, COMPLETED, &now).await;
        }
        self.wait(&turn, self.delays.unregistration_retry);
        Ok(())
    }

    /// Removes the runner of a pod at GitHub; false when it has to be tried again.
    async fn unregister(&mut self, pod: &Value) -> Result<bool, String> {
        let now = objects::seconds(Timestamp::now());
        let noted = annotation(pod, ID).and_then(|id| id.parse::<i64>().ok());
        let phase = text(pod, "/status/phase");
        if noted.is_none() && phase == "Pending" || has_done_its_job(pod) {
            return Ok(true);
        }
        let lost = |error: anyhow::Error| error.to_string();
        if annotation(pod, REQUESTED).is_none() {
            self.annotate(pod, REQUESTED, &now).await.map_err(lost)?;
        }
        let found = match noted {
            Some(id) => Some(id),
            None => self.id(pod).await?,
        };
        let Some(id) = found else {
            return Ok(self.is_given_up(pod));
        };
        if noted.is_none() {
            // Once it is removed nothing else tells that there was one.
            self.annotate(pod, ID, &id.to_string())
                .await
                .map_err(lost)?;
        }
        match self
            .github
            .remove(&scope(pod).ok_or("the pod has no scope")?, id)
            .await
        {
            Removal::Done | Removal::Forbidden => Ok(true),
            Removal::Failed(error) => Err(error),
            Removal::Busy => {
                if annotation(pod, WAITS).is_none() {
                    self.annotate(pod, WAITS, &now).await.map_err(lost)?;
                }
                Ok(false)
            }
        }
    }

    /// Lets a pod go; the annotations just written have changed it.
    async fn release(&self, pod: &Value) -> Result<()> {
        if let Some(pod) = self.objects.get(&POD, at(pod)).await? {
            self.objects
                .merge(&POD, at(&pod), &without_finalizer(&pod, FINALIZER))
                .await?;
        }
        Ok(())
    }

    /// Whether a runner that never registered is waited for no longer.
    fn is_given_up(&self, pod: &Value) -> bool {
        let since = condition(pod, "Ready").map(|ready| text(ready, "/lastTransitionTime"));
        let since = since.and_then(|time| time.parse::<Timestamp>().ok());
        let limit = SignedDuration::try_from(self.delays.registration_timeout);
        match (since, limit) {
            (Some(since), Ok(limit)) => Timestamp::now().duration_since(since) >= limit,
            _ => true,
        }
    }

    async fn id(&self, pod: &Value) -> Result<Option<i64>, String> {
        let scope = scope(pod).ok_or("the pod has no scope")?;
        let listed = self.github.runners(&scope).await?;
        Ok(listed
            .iter()
            .find(|runner| runner.name == at(pod).1)
            .map(|runner| runner.id))
    }

    async fn annotate(&self, pod: &Value, name: &str, value: &str) -> Result<()> {
        let patch = json!({ "metadata": { "annotations": { name: value } } });
        self.objects.merge(&POD, at(pod), &patch).await?;
        Ok(())
    }
}

pub(super) fn annotation<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    pod["metadata"]["annotations"][name].as_str()
}

fn scope(pod: &Value) -> Option<Scope> {
    Scope::of(&json!({
        "enterprise": variable(pod, "RUNNER_ENTERPRISE"),
        "organization": variable(pod, "RUNNER_ORG"),
        "repository": variable(pod, "RUNNER_REPO"),
    }))
}

/// Whether the runner's container ended well: an ephemeral runner did its job, and is gone at GitHub. One that the
/// kubelet ends for a deletion dies of its signal.
fn has_done_its_job(pod: &Value) -> bool {
    let statuses = pod
        .pointer("/status/containerStatuses")
        .and_then(Value::as_array);
    let runner = statuses.and_then(|all| all.iter().find(|status| status["name"] == "runner"));
    runner.is_some_and(|runner| runner["state"]["terminated"]["exitCode"] == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_container_that_ended_well_has_done_its_job() {
        let pod = |state: Value| {
            json!({ "status": { "containerStatuses": [{ "name": "docker", "state":
            { "terminated": { "exitCode": 0 } } }, { "name": "runner", "state": state }] } })
        };
        let ended = |code: i32| pod(json!({ "terminated": { "exitCode": code } }));
        assert!(has_done_its_job(&ended(0)));
        assert!(!has_done_its_job(&ended(143)));
        assert!(!has_done_its_job(&pod(json!({ "running": {} }))));
        assert!(!has_done_its_job(&json!({})));
    }
}
