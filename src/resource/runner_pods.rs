//! That the pods of a pool run: at least as many as the minimum in force now.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    Registration, context::Context, difference::missing, observed::Readiness, pod_reason, pod_role,
};
use crate::{
    clients::kube::{Selection, Target},
    desired::names::ROLE_ANNOTATION,
    error::{ErrorKind, Result},
};

const RUNNERS: &str = "actions.summerwind.dev/v1alpha1";

/// Events of the controller that say why a runner does not come (reference: arc.md 2.3, recordings/events.tsv).
const FAILURES: [&str; 3] = [
    "FailedUpdateRegistrationToken",
    "RunnerAutoscalingFailure",
    "FailedCreate",
];

impl Registration {
    /// The pool's pods.
    pub fn pods(&self) -> Selection {
        Selection::namespaced("v1", "Pod", &self.namespace)
            .labelled(format!("runner-deployment-name={}", self.pool))
    }

    /// The pods of the newest template: those of an older one prove nothing of what the profile says now. `Err` is why
    /// there are none to look at yet.
    pub(super) async fn newest_pods(
        &self,
        context: &Context,
    ) -> Result<Result<Vec<Value>, Readiness>> {
        let deployment =
            Target::namespaced(RUNNERS, "RunnerDeployment", &self.namespace, &self.pool);
        let sets = Selection::namespaced(RUNNERS, "RunnerReplicaSet", &self.namespace)
            .labelled(format!("runner-deployment-name={}", self.pool));
        let (deployment, sets) =
            tokio::try_join!(context.kube.get(&deployment), context.kube.list(&sets))?;
        let Some(deployment) = deployment else {
            return Ok(Err(Readiness::progressing(format!(
                "RunnerDeployment `{}` is not there yet",
                self.pool
            ))));
        };
        let wanted = &deployment["spec"]["template"];
        let newest = sets
            .iter()
            .filter(|it| {
                let made = &it["spec"]["template"];
                let role =
                    |template: &Value| template["metadata"]["annotations"][ROLE_ANNOTATION].clone();
                role(made) == role(wanted)
                    && missing(&made["spec"], &wanted["spec"]).is_empty()
                    && missing(&wanted["spec"], &made["spec"]).is_empty()
            })
            .max_by_key(|it| {
                it["metadata"]["creationTimestamp"]
                    .as_str()
                    .unwrap_or_default()
            });
        let Some(hash) =
            newest.and_then(|it| it["metadata"]["labels"]["runner-template-hash"].as_str())
        else {
            return Ok(Err(Readiness::progressing(format!(
                "the controller has not yet made runners of what pool `{}` says now",
                self.pool
            ))));
        };
        let mut pods = self.pods();
        pods.labels = Some(format!(
            "runner-deployment-name={},runner-template-hash={hash}",
            self.pool
        ));
        context.kube.list(&pods).await.map(Ok)
    }

    /// What a watch must look at to see the runners come.
    pub fn selections(&self) -> Vec<Selection> {
        vec![
            self.pods(),
            Selection::namespaced(RUNNERS, "Runner", &self.namespace)
                .labelled(format!("runner-deployment-name={}", self.pool)),
        ]
    }

    /// Whether enough pods run, and else why not.
    pub(crate) async fn pods_readiness(&self, context: &Context) -> Result<Readiness> {
        let wanted = usize::try_from(self.min).unwrap_or(usize::MAX);
        let pods = match self.newest_pods(context).await? {
            Ok(pods) => pods,
            Err(_) if wanted == 0 => return Ok(Readiness::Ready),
            Err(reason) => return self.explain(context, &[], reason).await,
        };
        let running = pods.iter().filter(|it| pod_reason::is_ready(it)).count();
        if running >= wanted {
            let role = context.profile.runner_role();
            let lacking = role.and_then(|(via, _)| pod_role::without_role(&pods, via));
            return Ok(lacking.unwrap_or(Readiness::Ready));
        }
        let count = format!("{running} of {wanted} runner pods run");
        self.explain(context, &pods, Readiness::progressing(count))
            .await
    }

    /// The best cause that can be seen: a pod's own, or what the controller says; `otherwise` where there is none.
    async fn explain(
        &self,
        context: &Context,
        pods: &[Value],
        otherwise: Readiness,
    ) -> Result<Readiness> {
        let events = context
            .kube
            .list(&Selection::namespaced("v1", "Event", &self.namespace))
            .await?;
        let waiting = pods.iter().filter(|it| !pod_reason::is_ready(it));
        let worst = pod_reason::worst(waiting.map(|it| pod_reason::readiness(it, &events)));
        if matches!(worst, Readiness::Stuck { .. }) {
            return Ok(worst);
        }
        let Some(said) = self.failure(&events, context.started) else {
            return Ok(if worst == Readiness::Ready {
                otherwise
            } else {
                worst
            });
        };
        // The controller's events quote GitHub as text; what the refusal is, is asked of GitHub itself.
        if let Some(scope) = context.profile.github.scope()
            && let Err(error) = context.github.registration(scope).await
            && error.kind == ErrorKind::Unauthorized
        {
            let pool = format!("runner-deployment/{}/{}", self.namespace, self.pool);
            return Err(error.object(pool));
        }
        Ok(Readiness::stuck(
            format!(
                "{}; the controller says: {said}",
                otherwise.reason().unwrap_or_default()
            ),
            "check that the cluster reaches GitHub, and the controller's log: `kubectl -n actions-runner-system logs deploy/actions-runner-controller -c manager`",
        ))
    }

    /// The newest failure that the controller reports for this pool since `started`: what it said before is of
    /// yesterday's token.
    fn failure(&self, events: &[Value], started: Timestamp) -> Option<String> {
        events
            .iter()
            .filter(|it| FAILURES.iter().any(|reason| it["reason"] == *reason))
            .filter(|it| self.is_of_the_pool(it["involvedObject"]["name"].as_str()))
            .filter_map(|it| Some((last_seen(it)?, it)))
            .filter(|(seen, _)| seen.duration_since(started) >= -SKEW)
            .max_by_key(|(seen, _)| *seen)
            .and_then(|(_, it)| it["message"].as_str())
            .map(str::to_owned)
    }

    /// Whether an object's name is the pool's or begins with it and goes on as names of its `RunnerReplicaSets`, runners
    /// and pods do: with one or two parts that were generated (reference: arc.md 2.1).
    fn is_of_the_pool(&self, name: Option<&str>) -> bool {
        let Some(rest) = name.and_then(|it| it.strip_prefix(&self.pool)) else {
            return false;
        };
        let parts: Vec<&str> = rest.split('-').skip(1).collect();
        let generated = |part: &&str| part.len() == GENERATED;
        rest.is_empty() || rest.starts_with('-') && parts.len() <= 2 && parts.iter().all(generated)
    }
}

/// How long the parts of a name are that the API server generates.
const GENERATED: usize = 5;

/// By how much this machine's clock may be ahead of the cluster's.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// When an event happened last.
fn last_seen(event: &Value) -> Option<Timestamp> {
    let time = event["lastTimestamp"]
        .as_str()
        .or(event["eventTime"].as_str())?;
    time.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool() -> Registration {
        Registration {
            namespace: "actions-runner".into(),
            pool: "basic".into(),
            min: 1,
            labels: Vec::new(),
        }
    }

    #[test]
    fn names_of_another_pool_are_not_this_one_s() {
        let of = |name: &str| pool().is_of_the_pool(Some(name));
        assert!(of("basic") && of("basic-lrmq2") && of("basic-lrmq2-mkkt6"));
        assert!(
            !of("basics")
                && !of("basic-huge")
                && !of("basic-large-runners")
                && !of("basic-lrmq2-mkkt6-x")
        );
        assert!(!pool().is_of_the_pool(None));
    }

    #[test]
    fn what_the_controller_said_before_the_run_is_not_its_cause() {
        let event = |time: &str| {
            json!({
                "reason": FAILURES[0],
                "involvedObject": {"name": "basic-lrmq2"},
                "lastTimestamp": time,
                "message": time,
            })
        };
        let events = [event("2026-01-01T00:00:00Z"), event("2026-01-01T01:00:00Z")];
        let since = |time: &str| pool().failure(&events, time.parse().unwrap());
        assert_eq!(
            since("2026-01-01T00:30:00Z").as_deref(),
            Some("2026-01-01T01:00:00Z")
        );
        assert_eq!(since("2026-01-01T02:00:00Z"), None);
    }
}
