//! Checks that the pods of a pool run: at least the minimum in force now.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    clients::kube::{Selection, Target},
    desired::{names::ROLE_ANNOTATION, resource::Registration},
    diff::missing,
    error::Result,
    resource::{
        context::Context,
        events::{newest, seen},
        observed::Readiness,
        owners::is_made_through,
        pods::{dry_run::Trial, role, status},
    },
};

pub(super) const RUNNERS: &str = "actions.summerwind.dev/v1alpha1";

/// Events of the controller with the reason of a missing runner (reference: arc.md 2.3, recordings/events.tsv).
const FAILURES: [&str; 3] = [
    "FailedUpdateRegistrationToken",
    "RunnerAutoscalingFailure",
    "FailedCreate",
];

/// The objects of the newest template, and all sets.
pub(super) struct Newest {
    /// The controller's hash label of its objects.
    pub(super) hash: String,
    /// All sets of the pool, of earlier templates too.
    pub(super) sets: Vec<Value>,
    /// The pods of the newest set.
    pub(super) pods: Vec<Value>,
}

impl Registration {
    /// The pool's pods.
    pub fn pods(&self) -> Selection {
        self.of_the_pool("v1", "Pod")
    }

    pub(super) fn of_the_pool(&self, version: &str, kind: &str) -> Selection {
        Selection::namespaced(version, kind, &self.namespace)
            .labelled(format!("runner-deployment-name={}", self.pool))
    }

    /// The controller's objects of the pool, of all templates: sets, Runners and pods.
    pub(super) async fn objects(
        &self,
        context: &Context,
    ) -> Result<(Vec<Value>, Vec<Value>, Vec<Value>)> {
        let (sets, runners, pods) = (
            self.of_the_pool(RUNNERS, "RunnerReplicaSet"),
            self.of_the_pool(RUNNERS, "Runner"),
            self.pods(),
        );
        tokio::try_join!(
            context.kube.list(&sets),
            context.kube.list(&runners),
            context.kube.list(&pods)
        )
    }

    /// The pods of the newest template: older pods prove nothing about the current profile. `Err` is why
    /// there are none to read yet.
    pub(super) async fn newest_pods(
        &self,
        context: &Context,
    ) -> Result<Result<Vec<Value>, Readiness>> {
        Ok(self.newest(context).await?.map(|it| it.pods))
    }

    /// The same, with all sets.
    pub(super) async fn newest(&self, context: &Context) -> Result<Result<Newest, Readiness>> {
        let deployment =
            Target::namespaced(RUNNERS, "RunnerDeployment", &self.namespace, &self.pool);
        let sets = self.of_the_pool(RUNNERS, "RunnerReplicaSet");
        let (deployment, sets) =
            tokio::try_join!(context.kube.get(&deployment), context.kube.list(&sets))?;
        let Some(deployment) = deployment else {
            return Ok(Err(Readiness::progressing(format!(
                "RunnerDeployment `{}` does not exist yet",
                self.pool
            ))));
        };
        let wanted = &deployment["spec"]["template"];
        let hash_of = |it: &Value| it["metadata"]["labels"]["runner-template-hash"].clone();
        let newest = current(&sets, wanted);
        let newest = newest.and_then(|it| Some((it, hash_of(it).as_str()?.to_owned())));
        let Some((newest, hash)) = newest else {
            return Ok(Err(Readiness::progressing(format!(
                "the controller has not yet created runners with the current template of pool `{}`",
                self.pool
            ))));
        };
        let mut pods = self.pods();
        pods.labels = Some(self.labels_of(&hash));
        let mut pods = context.kube.list(&pods).await?;
        // Where a former template has come back, a set from before has the same hash.
        if sets.iter().filter(|it| hash_of(it) == hash).count() > 1 {
            let mut runners = self.of_the_pool(RUNNERS, "Runner");
            runners.labels = Some(self.labels_of(&hash));
            let runners = context.kube.list(&runners).await?;
            pods.retain(|it| is_made_through(it, &runners, newest));
        }
        Ok(Ok(Newest { hash, sets, pods }))
    }

    /// Whether this run adopts the pool unchanged: its runners need not match the profile.
    pub fn is_left(&self, context: &Context) -> bool {
        let id = format!("runner-deployment/{}/{}", self.namespace, self.pool);
        context.remarks.deferred(&id).is_some()
    }

    /// The labels of what the controller makes of the template with this `hash`.
    pub(super) fn labels_of(&self, hash: &str) -> String {
        format!(
            "runner-deployment-name={},runner-template-hash={hash}",
            self.pool
        )
    }

    /// The watches for new runners.
    pub fn selections(&self) -> Vec<Selection> {
        vec![self.pods(), self.of_the_pool(RUNNERS, "Runner")]
    }

    /// Whether enough pods run, and the reason if not.
    pub(super) async fn pods_readiness(
        &self,
        context: &Context,
        newest: std::result::Result<&Newest, &Readiness>,
    ) -> Result<Readiness> {
        let wanted = usize::try_from(self.min_now()).unwrap_or(usize::MAX);
        let newest = match newest {
            Ok(newest) => newest,
            Err(_) if wanted == 0 => return self.sized(context).await,
            Err(reason) => return self.explain(context, None, reason.clone()).await,
        };
        let pods = &newest.pods;
        let running = pods.iter().filter(|it| status::is_ready(it)).count();
        if running >= wanted {
            let pools = &context.profile.pools;
            let pool = pools.iter().find(|it| it.name == self.pool);
            let role = pool
                .filter(|_| !self.is_left(context))
                .and_then(|pool| context.profile.role_of(pool));
            return match role.and_then(|(via, _)| role::without_role(pods, via, "pod")) {
                Some(lacking) => Ok(lacking),
                None if wanted == 0 => self.sized(context).await,
                None => Ok(Readiness::Ready),
            };
        }
        let count = format!("{running} of {wanted} runner pods are running");
        self.explain(context, Some(newest), Readiness::progressing(count))
            .await
    }

    /// Whether the autoscaler has set the size of a pool whose minimum is zero: until then the controller keeps one runner,
    /// as for every new `RunnerDeployment` (reference: observed.md 12).
    async fn sized(&self, context: &Context) -> Result<Readiness> {
        let (kind, name) = ("HorizontalRunnerAutoscaler", &self.pool);
        let autoscaler = Target::namespaced(RUNNERS, kind, &self.namespace, name);
        let live = context.kube.get(&autoscaler).await?.unwrap_or_default();
        if self.is_left(context) || live["status"]["desiredReplicas"].is_number() {
            return Ok(Readiness::Ready);
        }
        let waits = format!("the autoscaler of pool `{name}` has not set its replicas yet");
        self.explain(context, None, Readiness::progressing(waits))
            .await
    }

    /// The best visible cause: from a pod, or from the controller's events; `otherwise` where there is none.
    async fn explain(
        &self,
        context: &Context,
        newest: Option<&Newest>,
        otherwise: Readiness,
    ) -> Result<Readiness> {
        let pods = newest.map(|it| it.pods.as_slice()).unwrap_or_default();
        let (events, made) = tokio::try_join!(
            context.events_about(&self.namespace, pods),
            Box::pin(self.made(context))
        )?;
        let waiting = pods.iter().filter(|it| !status::is_ready(it));
        let worst = status::worst(waiting.map(|it| status::readiness(it, &events)));
        if matches!(worst, Readiness::Stuck { .. }) {
            return Ok(worst);
        }
        let count = otherwise.reason().unwrap_or_default();
        let wanted = usize::try_from(self.min_now()).unwrap_or(usize::MAX);
        // A pool that is adopted unchanged has pods of its own template, but the dry run tests the profile's.
        if pods.len() < wanted
            && !self.is_left(context)
            && let Trial::Refused(refusal) = self.try_now(context).await
        {
            return Ok(Readiness::stuck(
                format!("{count}; the API server refuses more: {}", refusal.said),
                refusal.hint,
            ));
        }
        let said = self.failure(&events, &made, context.started);
        if let Some(reason) = self.without_token(context, count, said.as_deref()).await? {
            return Ok(reason);
        }
        if said.is_none()
            && pods.len() < wanted
            && let Some(newest) = newest
            && let Some(held) = Box::pin(self.held_back(context, &newest.hash, count)).await?
        {
            return Ok(held);
        }
        let Some(said) = said else {
            return Ok(match worst {
                Readiness::Ready => otherwise,
                worst => worst,
            });
        };
        Ok(Readiness::stuck(
            format!("{count}; the controller reports: {said}"),
            format!(
                "see why in the controller's log: `{}`",
                context.profile.controller.log_command()
            ),
        ))
    }

    /// The uids of the controller's objects of the pool: names are ambiguous, because generated names of a pool `basic` can
    /// begin like a pool `basic-large`.
    async fn made(&self, context: &Context) -> Result<Vec<String>> {
        let (sets, runners, pods) = self.objects(context).await?;
        let all = sets.iter().chain(&runners).chain(&pods);
        Ok(all
            .filter_map(|it| it["metadata"]["uid"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// The newest failure event of the controller since `started` for this pool, or for its objects in `made`:
    /// earlier events may concern an old token.
    fn failure(&self, events: &[Value], made: &[String], started: Timestamp) -> Option<String> {
        let is_new = |it: &&Value| seen(it).is_some_and(|it| it.duration_since(started) >= -SKEW);
        let failures = events
            .iter()
            .filter(|it| FAILURES.iter().any(|reason| it["reason"] == *reason))
            .filter(|it| self.is_of_the_pool(&it["involvedObject"], made))
            .filter(is_new);
        newest(failures)?["message"].as_str().map(str::to_owned)
    }

    /// Whether an object is one of the two with the pool's name, or one that was created for it.
    fn is_of_the_pool(&self, object: &Value, made: &[String]) -> bool {
        let kind = object["kind"].as_str().unwrap_or_default();
        let own = ["RunnerDeployment", "HorizontalRunnerAutoscaler"].contains(&kind);
        let uid = object["uid"].as_str().unwrap_or_default();
        own && object["name"] == self.pool.as_str() || made.iter().any(|it| it == uid)
    }
}

/// The set that the controller works with for a template: the newest of its sets, once that one has the template. An older one that
/// has it proves nothing, because the controller makes a new set then (`runnerdeployment_controller.go` of ARC v0.27.6). Of sets
/// made in the same second it may be any.
fn current<'a>(sets: &'a [Value], wanted: &Value) -> Option<&'a Value> {
    let newest = sets.iter().map(made_at).max()?;
    sets.iter()
        .find(|it| made_at(it) == newest && has_template(&it["spec"]["template"], wanted))
}

fn made_at(set: &Value) -> &str {
    let metadata = &set["metadata"];
    metadata["creationTimestamp"].as_str().unwrap_or_default()
}

fn has_template(made: &Value, wanted: &Value) -> bool {
    let role = |template: &Value| template["metadata"]["annotations"][ROLE_ANNOTATION].clone();
    role(made) == role(wanted)
        && same_metadata(&made["metadata"], &wanted["metadata"])
        && missing(&made["spec"], &wanted["spec"]).is_empty()
        && missing(&wanted["spec"], &made["spec"]).is_empty()
}

/// Whether a set has the template's labels and annotations, and no others of the user: the
/// controller adds its own.
fn same_metadata(made: &Value, wanted: &Value) -> bool {
    let own = |key: &str| {
        matches!(
            key,
            "runner-deployment-name" | "runner-template-hash" | "sync-time"
        )
    };
    let entries = |metadata: &Value, of: &str| -> BTreeMap<String, Value> {
        let map = metadata[of].as_object().cloned().unwrap_or_default();
        map.into_iter().filter(|(key, _)| !own(key)).collect()
    };
    ["labels", "annotations"]
        .iter()
        .all(|of| entries(made, of) == entries(wanted, of))
}

/// The assumed maximum by which the local clock is ahead of the cluster's.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool() -> Registration {
        Registration {
            namespace: "actions-runner".into(),
            schedule: None,
            pool: "basic".into(),
            min: 1,
            labels: Vec::new(),
        }
    }

    #[test]
    fn only_what_was_made_for_the_pool_speaks_for_it() {
        let made = ["u1".to_owned()];
        let of = |kind: &str, name: &str, uid: &str| {
            let object = json!({"kind": kind, "name": name, "uid": uid});
            pool().is_of_the_pool(&object, &made)
        };
        assert!(of("HorizontalRunnerAutoscaler", "basic", "u0"));
        assert!(of("RunnerDeployment", "basic", "u0"));
        assert!(of("Runner", "basic-lrmq2-mkkt6", "u1"));
        for name in ["basic", "basic-large", "basic-large-mkkt6", "basics"] {
            assert!(!of("Runner", name, "u2"), "{name}");
        }
        assert!(!of("HorizontalRunnerAutoscaler", "basic-large", "u2"));
    }

    #[test]
    fn a_set_of_the_template_that_is_not_the_newest_proves_nothing() {
        let set = |made: &str, image: &str| {
            json!({
                "metadata": {"creationTimestamp": made},
                "spec": {"template": {"spec": {"image": image}}},
            })
        };
        let wanted = json!({"spec": {"image": "a"}});
        let first = set("2026-01-01T00:00:00Z", "a");
        let other = set("2026-01-01T00:01:00Z", "b");
        let again = set("2026-01-01T00:02:00Z", "a");
        assert_eq!(current(&[], &wanted), None);
        assert_eq!(current(std::slice::from_ref(&first), &wanted), Some(&first));
        // Back to the first template: the controller makes a third set.
        let mut sets = vec![first, other];
        assert_eq!(current(&sets, &wanted), None);
        sets.insert(0, again.clone());
        assert_eq!(current(&sets, &wanted), Some(&again));
        sets.insert(0, set("2026-01-01T00:02:00Z", "b"));
        assert_eq!(current(&sets, &wanted), Some(&again));
    }

    #[test]
    fn a_set_of_other_labels_is_of_another_template() {
        let set = json!({"labels": {"a": "b", "runner-deployment-name": "basic", "runner-template-hash": "x"}});
        assert!(same_metadata(&set, &json!({"labels": {"a": "b"}})));
        assert!(!same_metadata(&set, &json!({"labels": {"a": "c"}})));
        assert!(!same_metadata(&set, &json!({})));
        assert!(same_metadata(
            &json!({"labels": {"runner-template-hash": "x"}}),
            &Value::Null
        ));
    }

    #[test]
    fn what_the_controller_said_before_the_run_is_not_its_cause() {
        let event = |time: &str| {
            json!({
                "reason": FAILURES[0],
                "involvedObject": {"kind": "Runner", "name": "basic-lrmq2", "uid": "u1"},
                "lastTimestamp": time,
                "message": time,
            })
        };
        let events = [event("2026-01-01T00:00:00Z"), event("2026-01-01T01:00:00Z")];
        let since = |time: &str| pool().failure(&events, &["u1".to_owned()], time.parse().unwrap());
        assert_eq!(
            since("2026-01-01T00:30:00Z").as_deref(),
            Some("2026-01-01T01:00:00Z")
        );
        assert_eq!(since("2026-01-01T02:00:00Z"), None);
    }
}
