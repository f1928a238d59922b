//! The rules of kube-scheduler that this module does not compute, so that it says "not known" and never a wrong number.
//! Pure: no I/O.

use serde_json::Value;

use super::{list, selection::selects};

/// The rules that must hold, of an affinity.
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// Why it is not known where a pod fits, by what is in the pod itself; `None` if it is.
pub(super) fn in_itself(pod: &Value) -> Option<String> {
    let spec = &pod["spec"];
    let scheduler = spec["schedulerName"].as_str().filter(|it| !it.is_empty());
    if let Some(other) = scheduler.filter(|it| *it != "default-scheduler") {
        return Some(format!("the scheduler `{other}` schedules it"));
    }
    let has = |value: &Value| !list(value).is_empty();
    let is_hard = |it: &Value| it["whenUnsatisfiable"] != "ScheduleAnyway";
    let is_claim =
        |it: &Value| it["persistentVolumeClaim"].is_object() || it["ephemeral"].is_object();
    let affinity = &spec["affinity"];
    let rules = [
        (
            has(&affinity["podAffinity"][REQUIRED]),
            "it has a pod affinity",
        ),
        (
            has(&affinity["podAntiAffinity"][REQUIRED]),
            "it has a pod anti-affinity",
        ),
        (
            list(&spec["topologySpreadConstraints"]).iter().any(is_hard),
            "it has topologySpreadConstraints",
        ),
        (
            list(&spec["volumes"]).iter().any(is_claim),
            "its volume may tie it to a zone, or to a number of volumes per node",
        ),
        (has(&spec["resourceClaims"]), "it has resourceClaims"),
        (has(&spec["schedulingGates"]), "it has schedulingGates"),
    ];
    let found = rules.into_iter().find(|(applies, _)| *applies);
    found.map(|(_, why)| why.to_owned())
}

/// A rule of a pod that is on a node: it keeps others away.
#[derive(Clone, Debug)]
pub(super) struct Avoids {
    pod: String,
    namespace: Value,
    term: Value,
}

impl Avoids {
    /// The anti-affinities of a pod.
    pub(super) fn of(pod: &Value) -> Vec<Self> {
        let metadata = &pod["metadata"];
        let terms = list(&pod["spec"]["affinity"]["podAntiAffinity"][REQUIRED]);
        let name = |key: &str| metadata[key].as_str().unwrap_or_default();
        let rule = |term: &Value| Self {
            pod: format!("{}/{}", name("namespace"), name("name")),
            namespace: metadata["namespace"].clone(),
            term: term.clone(),
        };
        terms.iter().map(rule).collect()
    }

    /// The pod that has it.
    pub(super) fn pod(&self) -> &str {
        &self.pod
    }

    /// Whether it may keep `pod` from some node. A selector of namespaces counts as one of all: their labels are not known
    /// here.
    pub(super) fn may_avoid(&self, pod: &Value) -> bool {
        let namespace = &pod["metadata"]["namespace"];
        let listed = list(&self.term["namespaces"]);
        let in_namespace = self.term["namespaceSelector"].is_object()
            || listed.contains(namespace)
            || listed.is_empty() && *namespace == self.namespace;
        in_namespace && selects(&self.term["labelSelector"], &pod["metadata"]["labels"])
    }
}
