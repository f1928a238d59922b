//! The pods that a run would have made besides the runners': of the charts, the schedules and the listeners. Pure: no I/O.

use serde_json::{Map, Value};

use super::owner::with_owner;
use crate::desired::{names, resource::Id};

/// What makes a pod, which decides where the profile has its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// cert-manager's chart.
    CertManager,
    /// The chart of the controller.
    Controller,
    /// The chart of GitHub's own controller.
    ScaleSets,
    /// GitHub's own controller, for the listener of a scale set.
    Listener,
    /// An object that arcctl writes, such as the `CronJob` of a schedule.
    Own,
}

impl Part {
    /// The part whose pods a chart makes; `None` for the chart of a scale set, which makes none by itself.
    pub fn of_chart(chart: &str) -> Option<Self> {
        match chart {
            names::CERT_MANAGER => Some(Self::CertManager),
            names::CONTROLLER => Some(Self::Controller),
            names::SCALE_SET_CONTROLLER_CHART => Some(Self::ScaleSets),
            _ => None,
        }
    }
}

/// A pod of a part, for a dry run.
#[derive(Clone, Debug, PartialEq)]
pub struct PartPod {
    /// What makes it.
    pub part: Part,
    /// The resource of the plan that it is of.
    pub id: Id,
    /// The object whose pod it is, as `Deployment/cert-manager`.
    pub maker: String,
    /// How many there will be.
    pub pods: u32,
    /// Its manifest.
    pub pod: Value,
}

impl PartPod {
    /// The namespace of the pod.
    pub fn namespace(&self) -> &str {
        let namespace = &self.pod["metadata"]["namespace"];
        namespace.as_str().unwrap_or_default()
    }

    /// The pod with the owner that will make it, for a dry run.
    pub(super) fn owned(&self) -> Value {
        let (kind, name) = self.maker.split_once('/').unwrap_or_default();
        with_owner(&self.pod, kind, name)
    }
}

/// The pods that `objects` make, in `namespace` where they name none. Objects without a template of pods make none.
pub fn of_objects(part: Part, id: &Id, objects: &[Value], namespace: &str) -> Vec<PartPod> {
    let made = objects.iter().filter_map(|object| {
        let (template, pods) = template(object)?;
        let name = object["metadata"]["name"].as_str()?;
        let kind = object["kind"].as_str()?;
        let own = object["metadata"]["namespace"].as_str();
        let own = own.filter(|it| !it.is_empty()).unwrap_or(namespace);
        Some(PartPod {
            part,
            id: id.clone(),
            maker: format!("{kind}/{name}"),
            pods,
            pod: pod(template, own, name),
        })
    });
    made.collect()
}

/// The template of the pods that `object` makes, and how many it makes at least; a `DaemonSet` makes one for each node.
fn template(object: &Value) -> Option<(&Value, u32)> {
    let replicas = || {
        let given = object["spec"]["replicas"].as_u64().unwrap_or(1);
        u32::try_from(given).unwrap_or(u32::MAX)
    };
    let (pointer, pods) = match object["kind"].as_str()? {
        "Deployment" | "StatefulSet" => ("/spec/template", replicas()),
        "DaemonSet" | "Job" => ("/spec/template", 1),
        "CronJob" => ("/spec/jobTemplate/spec/template", 1),
        _ => return None,
    };
    Some((object.pointer(pointer)?, pods)).filter(|(_, pods)| *pods > 0)
}

/// The pod of a template.
fn pod(template: &Value, namespace: &str, name: &str) -> Value {
    let mut metadata = Map::new();
    for key in ["labels", "annotations"] {
        if let Some(given) = template["metadata"].get(key) {
            metadata.insert(key.into(), given.clone());
        }
    }
    // Generated names have no vowels: no pod of it has this name.
    metadata.insert("name".into(), format!("{name}-arcct-probe").into());
    metadata.insert("namespace".into(), namespace.into());
    let mut pod = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template["spec"],
    });
    if let Some(spec) = pod["spec"].as_object_mut()
        && let Some(account) = spec.remove("serviceAccount")
    {
        // The old name of the same field.
        spec.entry("serviceAccountName").or_insert(account);
    }
    pod
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id() -> Id {
        Id::new("helm-release", Some("n"), "a")
    }

    #[test]
    fn what_makes_pods_is_found_with_their_number() {
        let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {
            "serviceAccountName": "a", "containers": [{"name": "a"}]}});
        let objects = [
            json!({"kind": "Service", "metadata": {"name": "a"}}),
            json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "own"},
                "spec": {"replicas": 2, "template": template}}),
            json!({"kind": "Deployment", "metadata": {"name": "off"},
                "spec": {"replicas": 0, "template": template}}),
            json!({"kind": "CronJob", "metadata": {"name": "clock"},
                "spec": {"jobTemplate": {"spec": {"template": template}}}}),
        ];
        let found = of_objects(Part::Own, &id(), &objects, "n");
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.maker.as_str(), it.namespace(), it.pods))
            .collect();
        assert_eq!(
            told,
            [("Deployment/web", "own", 2), ("CronJob/clock", "n", 1)]
        );
        let pod = &found[0].pod;
        assert_eq!(pod["metadata"]["labels"]["a"], "b");
        assert_eq!(pod["metadata"]["name"], "web-arcct-probe");
        assert_eq!(pod["spec"]["serviceAccountName"], "a");
        let dry = found[1].owned();
        let owner = &dry["metadata"]["ownerReferences"][0];
        assert_eq!(owner["kind"], "Job");
        assert_eq!(owner["name"], "clock");
    }

    #[test]
    fn the_chart_of_a_scale_set_makes_no_pods_itself() {
        assert_eq!(Part::of_chart("gha-runner-scale-set"), None);
        assert_eq!(Part::of_chart("cert-manager"), Some(Part::CertManager));
    }
}
