//! Whether the runners of a scale set run: at least the minimum in force, each registered and ready.
//!
//! Only runners of the newest `EphemeralRunnerSet` count. Until 0.15 a changed template makes another one, before the listener
//! that an earlier step proves, and the controller deletes the former one at once; its runners with a job stay until that ends,
//! and prove nothing about the template that is wanted now (`cleanUpEphemeralRunners` in `ephemeralrunnerset_controller.go`
//! of Actions Runner Controller). From 0.15 the one set is changed in place: then runners of the former template count too.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    events,
    objects::{Objects, is_ready, job, name},
};
use crate::{
    desired::resource::scale_set::ScaleSet,
    error::Result,
    resource::{
        context::Context,
        observed::Readiness,
        owners::is_made_by,
        pods::{role, status},
    },
};

impl ScaleSet {
    /// Whether enough runners are ready, and the reason if not.
    pub(crate) async fn runners_readiness(&self, context: &Context) -> Result<Readiness> {
        let (place, wanted) = (self.place(), usize::try_from(self.minimum_now()));
        let wanted = wanted.unwrap_or(usize::MAX);
        let objects = Objects::read(&context.kube, place).await?;
        let Some(set) = newest(&objects.runner_sets) else {
            return Ok(Readiness::progressing(format!(
                "the controller has not made the EphemeralRunnerSet of scale set `{}` yet",
                self.name
            )));
        };
        let replicas = set["spec"]["replicas"].as_u64().unwrap_or(0);
        let replicas = usize::try_from(replicas).unwrap_or(usize::MAX);
        let (ready, lacking): (Vec<&Value>, Vec<&Value>) =
            made_by(set, &objects.runners).partition(|it| is_ready(it));
        if replicas >= wanted && ready.len() >= wanted {
            return Box::pin(self.with_role(context, &ready)).await;
        }
        let before = working_before(set, &objects.runners);
        let count = self.count((ready.len(), wanted), before);
        let pods = context.kube.list(&place.pods()).await?;
        let events = context.events_about(&self.namespace, &pods).await?;
        if let Some(failed) = lacking.iter().find_map(|it| failure(it, &count)) {
            return Ok(failed);
        }
        let mine = pods
            .iter()
            .filter(|pod| lacking.iter().any(|it| name(it) == name(pod)));
        let waiting = mine.filter(|it| !status::is_ready(it));
        let worst = status::worst(waiting.map(|it| status::readiness(it, &events)));
        if worst != Readiness::Ready {
            // They may hold the room of the new ones.
            return Ok(worst.with_reason(|reason| beside(reason, before)));
        }
        let refused = lacking
            .iter()
            .copied()
            .chain([set])
            .find_map(|it| events::newest(&events, &it["metadata"]["uid"]));
        if let Some(said) = refused {
            return Ok(Readiness::stuck(
                format!("{count}; the controller reports: {said}"),
                format!(
                    "its log has more: `{}`",
                    context.profile.scale_sets.log_command()
                ),
            ));
        }
        if replicas < wanted {
            return Ok(Readiness::progressing(format!(
                "{count}; the listener of the scale set has requested {replicas} so far"
            )));
        }
        Ok(Readiness::progressing(count))
    }

    /// How many runners of how many are ready, in words; `before` still work with a former template.
    fn count(&self, (ready, wanted): (usize, usize), before: usize) -> String {
        let name = &self.name;
        let count = format!("{ready} of {wanted} runners of scale set `{name}` are ready");
        beside(count, before)
    }

    /// Ready, unless the pods of `runners` lack the role of their service account.
    async fn with_role(&self, context: &Context, runners: &[&Value]) -> Result<Readiness> {
        let profile = &context.profile;
        let Some((via, _)) = profile
            .pool(&self.namespace, &self.name)
            .and_then(|pool| profile.role_of(pool))
        else {
            return Ok(Readiness::Ready);
        };
        let names: HashSet<&str> = runners.iter().map(|it| name(it)).collect();
        let mut pods = context.kube.list(&self.place().pods()).await?;
        pods.retain(|it| status::is_ready(it) && names.contains(name(it)));
        // For a pod that is gone the controller makes another with the same registration, which is good for one runner only
        // (actions-runner-controller#4588).
        let lacking = role::without_role(&pods, via, "ephemeralrunner");
        Ok(lacking.unwrap_or(Readiness::Ready))
    }
}

/// The runners of an `EphemeralRunnerSet`.
pub(super) fn made_by<'a>(set: &'a Value, runners: &'a [Value]) -> impl Iterator<Item = &'a Value> {
    runners.iter().filter(move |it| is_made_by(it, set))
}

/// How many runners of other `EphemeralRunnerSets` than `set` have a job.
fn working_before(set: &Value, runners: &[Value]) -> usize {
    let former = runners.iter().filter(|it| !is_made_by(it, set));
    former.filter(|it| job(it).is_some()).count()
}

/// A reason, and the runners with a former template that are there beside it.
fn beside(reason: String, before: usize) -> String {
    match before {
        0 => reason,
        before => {
            format!("{reason}; runners with a former template that end their jobs first: {before}")
        }
    }
}

/// The newest `EphemeralRunnerSet` that is not being deleted: while a template changes there are two.
pub(super) fn newest(sets: &[Value]) -> Option<&Value> {
    sets.iter()
        .filter(|it| it["metadata"]["deletionTimestamp"].is_null())
        .max_by_key(|it| {
            let made = it["metadata"]["creationTimestamp"].as_str();
            made.unwrap_or_default()
        })
}

/// So many ends of its pod are no accident. The controller writes no reason for a container that ended by itself.
const ENDED_OFTEN: usize = 3;

/// Why an `EphemeralRunner` will not run: its own status says so.
pub(crate) fn failure(runner: &Value, count: &str) -> Option<Readiness> {
    let status = &runner["status"];
    let text = |key: &str| status[key].as_str().filter(|it| !it.is_empty());
    let (reason, message) = (text("reason"), text("message"));
    let name = name(runner);
    let is_final = ["Failed", "Outdated"]
        .iter()
        .any(|it| status["phase"] == *it);
    let failures = status["failures"]
        .as_object()
        .map_or(0, serde_json::Map::len);
    let said = match (reason, message) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        (None, None) if failures >= ENDED_OFTEN => {
            format!("its pod has ended {failures} times without a job")
        }
        (one, other) => one.or(other)?.to_owned(),
    };
    let quota = said.contains("exceeded quota");
    if !is_final && !quota && failures == 0 {
        return None;
    }
    let hint = if quota {
        "lower `min` or the resources of the pool in the profile, or raise the quota of the namespace"
            .to_owned()
    } else if status["phase"] == "Outdated" {
        "GitHub refuses the version of the runner: set a newer `image` of the pool in the profile, and run `arcctl up`"
            .to_owned()
    } else {
        let namespace = &runner["metadata"]["namespace"];
        let namespace = namespace.as_str().unwrap_or_default();
        format!(
            "fix the cause, then `kubectl -n {namespace} delete ephemeralrunner {name}`: the controller makes another"
        )
    };
    Some(Readiness::stuck(
        format!("{count}; runner `{name}` failed: {said}"),
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::tests::scale_set, *};

    fn runner(status: &Value) -> Value {
        json!({"metadata": {"name": "r", "namespace": "n"}, "status": status})
    }

    #[test]
    fn a_runner_that_failed_says_why_and_one_that_starts_does_not() {
        let told = |status: Value| failure(&runner(&status), "0 of 1");
        assert_eq!(told(json!({"phase": "Pending"})), None);
        assert_eq!(
            told(json!({"phase": "Pending", "reason": "ContainerCreating"})),
            None
        );
        let failed =
            told(json!({"phase": "Failed", "reason": "TooManyPodFailures", "message": "x"}));
        assert!(
            failed
                .unwrap()
                .reason()
                .unwrap()
                .contains("TooManyPodFailures: x")
        );
        let quota = told(json!({"phase": "Pending", "message": "exceeded quota: q"})).unwrap();
        assert!(matches!(quota, Readiness::Stuck { hint, .. } if hint.contains("quota")));
        let outdated = told(json!({"phase": "Outdated", "reason": "Deprecated"})).unwrap();
        assert!(matches!(outdated, Readiness::Stuck { hint, .. } if hint.contains("image")));
    }

    #[test]
    fn the_newest_set_that_stays_counts() {
        let set = |name: &str, made: &str, ends: Value| json!({"metadata": {"name": name, "creationTimestamp": made, "deletionTimestamp": ends}});
        let sets = [
            set("a", "2026-01-01", Value::Null),
            set("b", "2026-01-02", Value::Null),
            set("c", "2026-01-03", json!("2026-01-04")),
        ];
        assert_eq!(name(newest(&sets).unwrap()), "b");
    }

    #[test]
    fn a_runner_with_a_former_template_proves_nothing() {
        let set = json!({"metadata": {"name": "fast-new", "uid": "new"}});
        let runner = |name: &str, of: &str, job: &str| {
            json!({"metadata": {"name": name, "ownerReferences": [{"uid": of}]},
                "status": {"phase": "Running", "jobId": job, "runnerId": 7, "ready": true}})
        };
        let all = [
            runner("busy", "old", "7"),
            runner("idle", "old", ""),
            runner("own", "new", "8"),
            json!({"metadata": {"name": "nobodys"}}),
        ];
        let own: Vec<&str> = made_by(&set, &all).map(name).collect();
        assert_eq!(own, ["own"]);
        assert_eq!(working_before(&set, &all), 1);
        let told = scale_set().count((1, 2), working_before(&set, &all));
        assert_eq!(
            told,
            "1 of 2 runners of scale set `fast` are ready; runners with a former template that end their jobs first: 1"
        );
        let told = scale_set().count((0, 2), 0);
        assert_eq!(told, "0 of 2 runners of scale set `fast` are ready");
        let stuck = Readiness::stuck("no room", "wait").with_reason(|it| beside(it, 2));
        let reason = "no room; runners with a former template that end their jobs first: 2";
        assert_eq!(stuck, Readiness::stuck(reason, "wait"));
    }
}
