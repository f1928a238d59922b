//! The objects of a scale set, and what is read from them. Pure, but for the reads.

use serde_json::Value;

use super::API_VERSION;
use crate::{
    clients::kube::{Kube, Selection, Target},
    desired::names::SCALE_SET_LABEL as NAME,
    error::Result,
};

/// The annotation with the id at GitHub; the controller writes it once the set is registered.
pub const ID: &str = "runner-scale-set-id";

/// The label of everything that the controller makes of a set: the set's namespace.
const NAMESPACE: &str = "actions.github.com/scale-set-namespace";

/// The container of a listener's pod.
pub const LISTENER: &str = "listener";

/// The names by which a scale set and its listener are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The namespace of its `AutoscalingRunnerSet`.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
    /// The namespace of the controller and the listener.
    pub(crate) controller_namespace: &'a str,
}

/// The objects of a scale set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    /// Its `AutoscalingRunnerSet`.
    pub(crate) set: Option<Value>,
    /// Its `AutoscalingListener`: one, but for those of earlier versions.
    pub(crate) listeners: Vec<Value>,
    /// Its `EphemeralRunnerSets`: one, but while a template changes.
    pub(crate) runner_sets: Vec<Value>,
    /// Its `EphemeralRunners`.
    pub(crate) runners: Vec<Value>,
}

impl Objects {
    /// Reads them.
    pub(crate) async fn read(kube: &Kube, place: Place<'_>) -> Result<Self> {
        let target = set(place.namespace, place.name);
        let (runner_sets, runners) = (place.of("EphemeralRunnerSet"), place.of("EphemeralRunner"));
        let (set, listeners, runner_sets, runners) = tokio::try_join!(
            kube.get(&target),
            listeners(kube, place),
            kube.list(&runner_sets),
            kube.list(&runners),
        )?;
        Ok(Self {
            set,
            listeners,
            runner_sets,
            runners,
        })
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.set.is_none()
            && self.listeners.is_empty()
            && self.runner_sets.is_empty()
            && self.runners.is_empty()
    }

    /// What is left, in words.
    pub(crate) fn in_words(&self) -> String {
        let count = |number: usize, kind: &str| match number {
            0 => None,
            1 => Some(format!("1 {kind}")),
            many => Some(format!("{many} {kind}s")),
        };
        let parts = [
            count(usize::from(self.set.is_some()), "AutoscalingRunnerSet"),
            count(self.listeners.len(), "AutoscalingListener"),
            count(self.runner_sets.len(), "EphemeralRunnerSet"),
            count(self.runners.len(), "EphemeralRunner"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The listeners of a set. They are found by what they refer to: a name has a hash that other versions made otherwise.
pub(crate) async fn listeners(kube: &Kube, place: Place<'_>) -> Result<Vec<Value>> {
    let kind = "AutoscalingListener";
    let all = Selection::namespaced(API_VERSION, kind, place.controller_namespace);
    let mut found = kube.list(&all).await?;
    found.retain(|it| place.has_listener(it));
    Ok(found)
}

impl Place<'_> {
    /// The objects of a kind that the controller makes of the set, in its namespace.
    pub(crate) fn of(self, kind: &str) -> Selection {
        Selection::namespaced(API_VERSION, kind, self.namespace).labelled(self.labels())
    }

    /// The pods of its runners.
    pub(crate) fn pods(self) -> Selection {
        Selection::namespaced("v1", "Pod", self.namespace).labelled(self.labels())
    }

    /// The watches for a wait: the set, its listener and its runners.
    pub(crate) fn selections(self) -> Vec<Selection> {
        let set = Selection::namespaced(API_VERSION, "AutoscalingRunnerSet", self.namespace)
            .with_fields(format!("metadata.name={}", self.name));
        let listeners = Selection::namespaced(
            API_VERSION,
            "AutoscalingListener",
            self.controller_namespace,
        );
        vec![
            set,
            listeners,
            self.of("EphemeralRunnerSet"),
            self.of("EphemeralRunner"),
        ]
    }

    /// The labels of everything that its controller makes of the set; the chart's own objects have them too.
    pub(super) fn labels(self) -> String {
        format!("{NAME}={},{NAMESPACE}={}", self.name, self.namespace)
    }

    /// Whether an object with the set's labels is of a listener, by its name `SET-HASH-listener` (reference: scale-sets.md 3).
    pub(super) fn is_of_a_listener(self, object: &Value) -> bool {
        let rest = name(object).strip_prefix(self.name);
        let hash = rest
            .and_then(|it| it.strip_prefix('-'))
            .and_then(|it| it.strip_suffix("-listener"));
        hash.is_some_and(|it| !it.is_empty() && !it.contains('-'))
    }

    /// Whether `listener` is one of the set's.
    pub(crate) fn has_listener(self, listener: &Value) -> bool {
        let spec = &listener["spec"];
        spec["autoscalingRunnerSetName"] == self.name
            && spec["autoscalingRunnerSetNamespace"] == self.namespace
    }
}

/// The target of an `AutoscalingRunnerSet`.
pub fn set(namespace: &str, name: &str) -> Target {
    Target::namespaced(API_VERSION, "AutoscalingRunnerSet", namespace, name)
}

/// The id at GitHub of an `AutoscalingRunnerSet`; `None` while it is not registered.
pub fn id(set: &Value) -> Option<u64> {
    let id = set["metadata"]["annotations"][ID].as_str()?;
    id.parse().ok().filter(|it| *it > 0)
}

/// The name of the scale set that made an object, by its labels.
pub fn set_of(object: &Value) -> Option<&str> {
    object["metadata"]["labels"][NAME].as_str()
}

/// The version of the chart or controller that made an object.
pub fn version(object: &Value) -> Option<&str> {
    object["metadata"]["labels"]["app.kubernetes.io/version"].as_str()
}

/// Major and minor of a version: the controller deletes a set of another one (reference: scale-sets.md 9).
pub fn minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The job of an `EphemeralRunner`, in words; `None` without one. A runner that has ended has none any more.
pub fn job(runner: &Value) -> Option<String> {
    if has_ended(runner) {
        return None;
    }
    let status = &runner["status"];
    let text = |key: &str| status[key].as_str().filter(|it| !it.is_empty());
    // Before 0.12 the id of the request was the only one.
    let has_job = text("jobId").is_some() || status["jobRequestId"].as_i64().unwrap_or(0) > 0;
    has_job.then(|| {
        let name = text("jobDisplayName").unwrap_or("a job");
        match text("jobRepositoryName") {
            Some(repository) => format!("{name} of {repository}"),
            None => name.to_owned(),
        }
    })
}

/// Whether an `EphemeralRunner` is in a phase that it does not leave.
pub(crate) fn has_ended(runner: &Value) -> bool {
    let phases = ["Succeeded", "Failed", "Outdated"];
    phases.iter().any(|it| runner["status"]["phase"] == *it)
}

/// Whether an `EphemeralRunner` is registered at GitHub and its pod is ready.
pub fn is_ready(runner: &Value) -> bool {
    let status = &runner["status"];
    runner["metadata"]["deletionTimestamp"].is_null()
        && status["runnerId"].as_u64().unwrap_or(0) > 0
        && status["ready"] == true
}

/// The name of an object.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_is_a_number_above_zero() {
        let of = |id: &Value| super::id(&json!({"metadata": {"annotations": {ID: id}}}));
        assert_eq!(of(&json!("7")), Some(7));
        for none in [json!("0"), json!("x"), json!(null), json!("")] {
            assert_eq!(of(&none), None, "{none}");
        }
    }

    #[test]
    fn a_runner_has_a_job_until_it_has_ended() {
        let of = |status: &Value| job(&json!({"status": status}));
        let working = json!({"phase": "Running", "jobId": "1", "jobDisplayName": "build", "jobRepositoryName": "a/b"});
        assert_eq!(of(&working).as_deref(), Some("build of a/b"));
        assert_eq!(
            of(&json!({"phase": "Running", "jobRequestId": 4})).as_deref(),
            Some("a job")
        );
        assert_eq!(of(&json!({"phase": "Running", "jobId": ""})), None);
        assert_eq!(of(&json!({"phase": "Succeeded", "jobId": "1"})), None);
    }

    #[test]
    fn what_is_left_is_counted() {
        let objects = Objects {
            listeners: vec![json!({})],
            runners: vec![json!({}), json!({})],
            ..Objects::default()
        };
        assert_eq!(
            objects.in_words(),
            "1 AutoscalingListener, 2 EphemeralRunners"
        );
        assert!(!objects.is_empty() && Objects::default().is_empty());
    }

    #[test]
    fn the_rights_of_a_listener_are_found_by_its_name() {
        let place = Place {
            namespace: "actions-runner",
            name: "fast",
            controller_namespace: "arc-systems",
        };
        let is = |name: &str| place.is_of_a_listener(&json!({"metadata": {"name": name}}));
        assert!(is("fast-754b578d-listener"));
        // What the chart made, and what another set has.
        for other in [
            "fast-gha-rs-manager",
            "fast-listener",
            "fast-arm-754b578d-listener",
            "x-754b578d-listener",
        ] {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn a_minor_version_is_two_numbers() {
        assert_eq!(minor("0.14.2"), Some((0, 14)));
        assert_eq!(minor("v0.15.0-rc1"), Some((0, 15)));
        assert_eq!(minor("dev"), None);
    }
}
