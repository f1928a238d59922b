//! Finds whether the controller holds back new runners of a pool, because a webhook has scaled it.
//!
//! For some minutes it replaces no runner that ended then, because it expects a word of GitHub that fewer are needed
//! (`syncRunnerPodsOwners`, `runner_pod_owner.go`, v0.27.6). The time of the last webhook stays in the `RunnerDeployment`, also where
//! no webhook scales the pool any more.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::running::RUNNERS;
use crate::{
    clients::kube::Target,
    desired::resource::Registration,
    error::Result,
    resource::{context::Context, observed::Readiness},
};

/// How long after the last Runner was made (`DefaultRunnerPodRecreationDelayAfterWebhookScale`, constants.go).
const HELD: SignedDuration = SignedDuration::from_mins(10);

impl Registration {
    /// Until when the pool stays as it is, where the controller holds back new runners of the template with this `hash`; `count`
    /// is what is there.
    pub(super) async fn held_back(
        &self,
        context: &Context,
        hash: &str,
        count: &str,
    ) -> Result<Option<Readiness>> {
        let (namespace, pool) = (&self.namespace, &self.pool);
        let deployment = Target::namespaced(RUNNERS, "RunnerDeployment", namespace, pool);
        let mut runners = self.of_the_pool(RUNNERS, "Runner");
        runners.labels = Some(self.labels_of(hash));
        let (deployment, runners) =
            tokio::try_join!(context.kube.get(&deployment), context.kube.list(&runners))?;
        let until = deployment.and_then(|it| held_until(&it, &runners, context.kube.now()));
        Ok(until.map(|until| {
            Readiness::stuck(
                format!(
                    "{count}; until {until} the controller replaces no runner that has ended, because a webhook has scaled the pool"
                ),
                format!(
                    "wait until then, or end it with `kubectl -n {namespace} patch runnerdeployment {pool} --type merge -p '{{\"spec\":{{\"effectiveTime\":null}}}}'`"
                ),
            )
        }))
    }
}

/// Until when the controller makes no runner of `deployment`, which has these Runners.
fn held_until(deployment: &Value, runners: &[Value], now: Timestamp) -> Option<Timestamp> {
    let spec = &deployment["spec"];
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let scaled = time(&spec["effectiveTime"])?;
    // Those that are being deleted do not count, and without any nothing is held back.
    let live = runners
        .iter()
        .filter(|it| it["metadata"]["deletionTimestamp"].is_null());
    // The controller does nothing at all for a set with a Runner that has no phase yet.
    if live
        .clone()
        .any(|it| it["status"]["phase"].as_str().is_none_or(str::is_empty))
    {
        return None;
    }
    let made = live
        .filter_map(|it| time(&it["metadata"]["annotations"]["sync-time"]))
        .max()?;
    let until = made.checked_add(HELD).ok()?;
    let is_ephemeral = spec["template"]["spec"]["ephemeral"] != false;
    (is_ephemeral && made > scaled && now < until).then_some(until)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn after_a_webhook_runners_that_ended_are_replaced_late() {
        let pool = |scaled: Value| json!({"spec": {"effectiveTime": scaled}});
        let runner = |made: &str, deleted: Value| json!({"metadata": {"annotations": {"sync-time": made}, "deletionTimestamp": deleted}, "status": {"phase": "Running"}});
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let (soon, scaled) = (at("2026-11-28T00:05:00Z"), json!("2026-11-28T00:00:00Z"));
        let since = runner("2026-11-28T00:01:00Z", Value::Null);
        let before = runner("2026-11-27T23:59:00Z", Value::Null);
        let ended = runner("2026-11-28T00:04:00Z", scaled.clone());
        let all = [before.clone(), since.clone(), ended.clone()];
        let until = at("2026-11-28T00:11:00Z");
        assert_eq!(held_until(&pool(scaled.clone()), &all, soon), Some(until));
        assert_eq!(held_until(&pool(scaled.clone()), &all, until), None);
        assert_eq!(held_until(&pool(Value::Null), &all, soon), None);
        let mut without_phase = since.clone();
        without_phase["status"] = Value::Null;
        let all = [since.clone(), without_phase];
        assert_eq!(held_until(&pool(scaled.clone()), &all, soon), None);
        let webhooks_own = [before, ended];
        assert_eq!(held_until(&pool(scaled.clone()), &webhooks_own, soon), None);
        assert_eq!(held_until(&pool(scaled.clone()), &[], soon), None);
        let mut kept = pool(scaled);
        kept["spec"]["template"]["spec"]["ephemeral"] = false.into();
        assert_eq!(held_until(&kept, &[since], soon), None);
    }
}
