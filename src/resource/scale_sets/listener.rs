//! Whether the listener of a scale set works: one, whose pod has run for a while. Pure but for the reads.
//!
//! A listener that crashes is deleted and made anew by the controller: its restarts are never seen as such, only its age
//! shows them (reference: scale-sets.md 7).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    objects::{LISTENER, Place, listeners, minor, name, version},
    superseded::{listener_name, superseded},
};
use crate::{
    clients::kube::Target,
    error::Result,
    resource::{context::Context, deletion::ending, observed::Readiness, pods::status},
};

/// How long its container must run: a refused session ends it after some seconds.
const PROVEN: Duration = Duration::from_secs(30);

/// The annotation of a set and its listener with the hash of the chart's values.
const VALUES_HASH: &str = "actions.github.com/values-hash";

/// What is known of a listener's pod.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The pod.
    pub(crate) pod: &'a Value,
    /// How long this run has seen the same container, by its own clock.
    pub(crate) unchanged: Duration,
}

impl Place<'_> {
    /// Whether the listener of the set `live` works, and why not.
    pub(crate) async fn listener(self, context: &Context, live: &Value) -> Result<Readiness> {
        let all = listeners(&context.kube, self).await?;
        let one = match one(self, &all, live) {
            Ok(one) => one,
            Err(readiness) => return Ok(readiness),
        };
        if let Some(reason) = outdated(one, live) {
            return Ok(Readiness::progressing(reason));
        }
        let target = Target::namespaced("v1", "Pod", self.controller_namespace, name(one));
        let Some(pod) = context.kube.get(&target).await? else {
            return Ok(Readiness::progressing(format!(
                "the pod of listener `{}` does not exist yet",
                name(one)
            )));
        };
        let seen = Seen {
            unchanged: context
                .remarks
                .unchanged_for(&format!("listener/{}", name(one)), &run_of(&pod)),
            pod: &pod,
        };
        let events = context.events(self.controller_namespace).await?;
        Ok(readiness(seen, &events, context.kube.now()))
    }
}

/// The one listener of a set.
fn one<'a>(place: Place<'_>, all: &'a [Value], set: &Value) -> Result<&'a Value, Readiness> {
    match all {
        [] => Err(Readiness::progressing(format!(
            "the listener of scale set `{}` does not exist yet",
            place.name
        ))),
        [one] if one["metadata"]["deletionTimestamp"].is_string() => Err(Readiness::progressing(
            format!("listener `{}` is being replaced", name(one)),
        )),
        [one] => Ok(one),
        many if many.iter().any(|it| ending(it).is_some()) => Err(Readiness::progressing(format!(
            "a former listener of scale set `{}` is being removed",
            place.name
        ))),
        many => {
            let (count, system) = (many.len(), place.controller_namespace);
            let hint = match superseded(many, set).first() {
                Some(former) => format!(
                    "delete the former one: `kubectl -n {system} delete autoscalinglistener {}`",
                    name(former)
                ),
                None => format!(
                    "`kubectl -n {system} get autoscalinglisteners` lists them; delete the former one"
                ),
            };
            Err(Readiness::stuck(
                format!(
                    "scale set `{}` has {count} listeners, and GitHub allows one session",
                    place.name
                ),
                hint,
            ))
        }
    }
}

/// Why the controller is about to replace the listener of the set `live`: it works on for a moment. Source: `Reconcile` in
/// `autoscalingrunnerset_controller.go` of Actions Runner Controller 0.14.
fn outdated(listener: &Value, live: &Value) -> Option<String> {
    let wanted = listener_name(live)?;
    if name(listener) != wanted {
        return Some(format!(
            "the controller has not replaced listener `{}` yet, which is of the former runner group",
            name(listener)
        ));
    }
    // Later minor versions compare the listener itself (reference: scale-sets.md 3).
    if version(live).and_then(minor) != Some((0, 14)) {
        return None;
    }
    (values_hash(listener) != values_hash(live))
        .then(|| format!("the controller has not replaced listener `{}` yet, which has the values from before the change", name(listener)))
}

/// Empty where there is none: the controller copies it so.
fn values_hash(object: &Value) -> &str {
    let hash = &object["metadata"]["annotations"][VALUES_HASH];
    hash.as_str().unwrap_or_default()
}

/// The container of a listener's pod that runs: another one is another version.
fn run_of(pod: &Value) -> String {
    format!("{} {}", pod["metadata"]["uid"], container(pod)["state"])
}

fn container(pod: &Value) -> &Value {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let mut statuses = statuses.into_iter().flatten();
    statuses
        .find(|it| it["name"] == LISTENER)
        .unwrap_or(&Value::Null)
}

/// Whether the listener's container has run long enough, and why not; `events` are those of its namespace.
pub(crate) fn readiness(seen: Seen<'_>, events: &[Value], now: Timestamp) -> Readiness {
    let Seen { pod, unchanged } = seen;
    let (pod_name, container) = (name(pod), container(pod));
    if pod["metadata"]["deletionTimestamp"].is_string() {
        return Readiness::progressing(format!("listener `{pod_name}` is being replaced"));
    }
    let state = &container["state"];
    let started = state["running"]["startedAt"].as_str();
    let ran = started
        .and_then(|it| it.parse::<Timestamp>().ok())
        .map_or(SignedDuration::ZERO, |it| now.duration_since(it));
    // Either clock is enough: a run that finds nothing to do must not wait, whatever this machine's clock says.
    let is_proven = ran >= SignedDuration::try_from(PROVEN).unwrap_or(SignedDuration::MAX)
        || unchanged >= PROVEN;
    let before = ended(&container["lastState"]).filter(|_| !is_proven);
    if let Some(ended) = ended(state).or(before) {
        return has_ended(pod, &ended);
    }
    match (status::readiness(pod, events), started) {
        (Readiness::Ready, None) => {
            Readiness::progressing(format!("listener `{pod_name}` does not run yet"))
        }
        (Readiness::Ready, Some(_)) if !is_proven => Readiness::Settling {
            reason: format!(
                "listener `{pod_name}` has just started; it must keep its session for {} s",
                PROVEN.as_secs()
            ),
        },
        (readiness, _) => readiness,
    }
}

fn has_ended(pod: &Value, ended: &str) -> Readiness {
    let (pod_name, namespace) = (name(pod), &pod["metadata"]["namespace"]);
    let namespace = namespace.as_str().unwrap_or_default();
    Readiness::stuck(
        format!("listener `{pod_name}` has ended: {ended}"),
        format!(
            "its log has the reason: `kubectl -n {namespace} logs {pod_name}`; with `409` another listener has the session: wait some minutes, or delete the other scale set of this name"
        ),
    )
}

/// How a container has ended.
fn ended(state: &Value) -> Option<String> {
    let ended = state["terminated"].as_object()?;
    let text = |key: &str| ended.get(key).and_then(Value::as_str).map(str::trim);
    let code = ended.get("exitCode").and_then(Value::as_i64).unwrap_or(0);
    let message = text("message").filter(|it| !it.is_empty());
    let reason = text("reason").unwrap_or("ended");
    Some(match message {
        Some(message) => format!("{reason}, exit code {code}: {message}"),
        None => format!("{reason}, exit code {code}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PLACE: Place<'_> = Place {
        namespace: "n",
        name: "fast",
        controller_namespace: "s",
    };

    fn pod(status: &Value) -> Value {
        json!({
            "metadata": {"name": "l", "namespace": "s", "uid": "u"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "sidecar"}, status]},
        })
    }

    fn at(pod: &Value, unchanged: u64, now: &str) -> Readiness {
        let unchanged = Duration::from_secs(unchanged);
        readiness(Seen { pod, unchanged }, &[], now.parse().unwrap())
    }

    #[test]
    fn a_listener_is_proven_by_its_age_on_either_clock() {
        let running = pod(
            &json!({"name": "listener", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}),
        );
        assert_eq!(at(&running, 0, "2026-01-01T00:00:30Z"), Readiness::Ready);
        assert_eq!(at(&running, 30, "2025-01-01T00:00:00Z"), Readiness::Ready);
        let young = at(&running, 29, "2026-01-01T00:00:29Z");
        assert!(matches!(young, Readiness::Settling { .. }), "{young:?}");
    }

    #[test]
    fn a_listener_that_will_be_replaced_proves_nothing() {
        let set = |version: &str, hash: &str| {
            json!({
                "metadata": {"namespace": "n", "name": "fast", "labels": {"app.kubernetes.io/version": version},
                    "annotations": {VALUES_HASH: hash}},
                "spec": {"githubConfigUrl": "https://github.com/o"},
            })
        };
        let (now, later) = (set("0.14.2", "b"), set("0.15.0", "b"));
        let listener = |name: &str, hash: &str| json!({"metadata": {"name": name, "annotations": {VALUES_HASH: hash}}});
        let wanted = listener_name(&now).unwrap();
        assert_eq!(outdated(&listener(&wanted, "b"), &now), None);
        let of_before = outdated(&listener(&wanted, "a"), &now).unwrap();
        assert!(of_before.contains("values from before"), "{of_before}");
        assert_eq!(outdated(&listener(&wanted, "a"), &later), None);
        let of_a_group = outdated(&listener("fast-x-listener", "b"), &now).unwrap();
        assert!(of_a_group.contains("former runner group"), "{of_a_group}");
        let unknown = set("0.99.0", "b");
        assert_eq!(outdated(&listener("fast-x-listener", "a"), &unknown), None);
    }

    #[test]
    fn one_that_ended_says_how() {
        let ended =
            json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "409 conflict"}});
        for status in [
            json!({"name": "listener", "state": ended}),
            json!({"name": "listener", "lastState": ended, "state": {"running": {"startedAt": "2025-12-31T23:59:50Z"}}}),
        ] {
            let found = at(&pod(&status), 1, "2026-01-01T00:00:00Z");
            let reason = found.reason().unwrap();
            assert!(reason.contains("exit code 1: 409 conflict"), "{reason}");
        }
    }

    #[test]
    fn the_oldest_of_two_listeners_goes() {
        let listener =
            |name: &str, time: &str| json!({"metadata": {"name": name, "creationTimestamp": time}});
        let set = json!({});
        let mut two = [listener("new", "2026-01-02"), listener("old", "2026-01-01")];
        let told = |all: &[Value]| match one(PLACE, all, &set) {
            Err(Readiness::Stuck { hint, .. }) => hint,
            other => panic!("{other:?}"),
        };
        let hint = told(&two);
        assert!(hint.contains("delete autoscalinglistener old"), "{hint}");
        assert!(one(PLACE, &two[..1], &set).is_ok() && one(PLACE, &[], &set).is_err());
        two[1]["metadata"]["creationTimestamp"] = "2026-01-02".into();
        let hint = told(&two);
        assert!(hint.contains("get autoscalinglisteners"), "{hint}");
        let mut leaving = two;
        leaving[1]["metadata"]["deletionTimestamp"] = "2026-01-03".into();
        let found = one(PLACE, &leaving, &set).unwrap_err();
        assert!(matches!(found, Readiness::Progressing { .. }), "{found:?}");
    }
}
