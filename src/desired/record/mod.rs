//! The inventory's record of a resource: what deleting it needs without the profile. Pure: no I/O.
//!
//! It never contains profile values that could be secret, only addresses.

pub(crate) mod aws;
pub mod crds;

use serde_json::{Value, json};

use super::{
    names,
    resource::{
        Chart, ControllerSecret, CrdSet, HelmRelease, Id, KubeObject, Resource,
        scale_set::{ScaleSet, ScaleSetDrain},
    },
};

/// What deleting `resource` needs in addition to its id; `None` for resources that are only observed. The proof of a scale
/// set has a record: what it is of is at GitHub too, and must leave it.
pub fn details(resource: &Resource) -> Option<Value> {
    match resource {
        Resource::Object(object) => Some(json!({
            "apiVersion": object.manifest["apiVersion"],
            "kind": object.manifest["kind"],
        })),
        Resource::Probe(_) => Some(json!({"apiVersion": "batch/v1", "kind": "Job"})),
        Resource::ImagePull(_) => Some(json!({"apiVersion": "apps/v1", "kind": "DaemonSet"})),
        Resource::ControllerSecret(secret) => Some(json!({"managed": secret.managed})),
        Resource::Secret(_) => Some(json!({"managed": true})),
        Resource::Crds(crds) => Some(json!({
            "chart": crds.chart.name,
            "version": crds.chart.version,
            "names": crds.names,
        })),
        Resource::Release(release) => Some(of_release(release)),
        Resource::ScaleSet(set) => Some(of_scale_set(set)),
        Resource::Aws(resource) => Some(crate::desired::record::aws::details(resource)),
        Resource::Webhook(_)
        | Resource::RunnerPods(_)
        | Resource::Registration(_)
        | Resource::Restart(_)
        | Resource::Drain(_)
        | Resource::ScaleSetMinimum(_)
        | Resource::ScaleSetRunners(_)
        | Resource::ScaleSetOnline(_)
        | Resource::ScaleSetDrain(_)
        | Resource::Webhooks(_)
        | Resource::Ghosts { .. } => None,
    }
}

/// Of a scale set: who deregisters it.
fn of_scale_set(set: &ScaleSet) -> Value {
    json!({
        "controllerNamespace": set.controller_namespace,
        "controller": set.controller,
    })
}

/// The releases of scale sets are not named after their chart, and a set's leaves with its pool.
fn of_release(release: &HelmRelease) -> Value {
    let chart = release.chart.name.as_str();
    let mut kept = leaders(&release.values);
    if [names::SCALE_SET_CHART, names::SCALE_SET_CONTROLLER_CHART].contains(&chart) {
        kept["chart"] = json!(chart);
    }
    kept
}

/// The release's values that locate its leader election Leases, which outlive it.
fn leaders(values: &Value) -> Value {
    let mut kept = json!({});
    if let Some(id) = values["leaderElectionId"].as_str() {
        kept["leaderElectionId"] = json!(id);
    }
    if let Some(namespace) = values["global"]["leaderElection"]["namespace"].as_str() {
        kept["global"] = json!({"leaderElection": {"namespace": namespace}});
    }
    kept
}

/// The resource of an `id` and its `details`: enough to delete it. `None` if they are incomplete.
pub fn resource(id: &Id, details: &Value, profile: &str) -> Option<Resource> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let chart = |name: String, version: String| Chart {
        name,
        version,
        location: String::new(),
    };
    match id.kind() {
        "helm-release" => Some(Resource::Release(HelmRelease {
            name: id.name().into(),
            namespace: id.namespace()?.into(),
            chart: chart(
                text(&details["chart"]).unwrap_or_else(|| id.name().into()),
                String::new(),
            ),
            values: details.clone(),
            profile: profile.into(),
        })),
        "scale-set" => Some(Resource::ScaleSetDrain(ScaleSetDrain {
            namespace: id.namespace()?.into(),
            name: id.name().into(),
            controller_namespace: text(&details["controllerNamespace"])?,
            controller: text(&details["controller"])?,
            successor: None,
        })),
        "secret" => Some(Resource::ControllerSecret(ControllerSecret {
            namespace: id.namespace()?.into(),
            name: id.name().into(),
            profile: profile.into(),
            managed: details["managed"] != false,
            credential: String::new(),
            runner_namespaces: Vec::new(),
        })),
        "crds" => Some(Resource::Crds(CrdSet {
            chart: chart(text(&details["chart"])?, text(&details["version"])?),
            templated: None,
            names: serde_json::from_value(details["names"].clone()).ok()?,
        })),
        _ if id.is_at_aws() => {
            crate::desired::record::aws::resource(id, details, profile).map(Resource::Aws)
        }
        _ => {
            let mut metadata = json!({"name": id.name()});
            if let Some(namespace) = id.namespace() {
                metadata["namespace"] = json!(namespace);
            }
            Some(Resource::Object(KubeObject::new(json!({
                "apiVersion": text(&details["apiVersion"])?,
                "kind": text(&details["kind"])?,
                "metadata": metadata,
            }))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_again_by_its_record() {
        let manifest = json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "a", "namespace": "n", "labels": {"x": "y"}},
        });
        let kept = details(&Resource::Object(KubeObject::new(manifest))).unwrap();
        let id = Id::parse("service-account/n/a").unwrap();
        let Some(Resource::Object(found)) = resource(&id, &kept, "p") else {
            panic!("it is no object");
        };
        assert_eq!(
            found.manifest["metadata"],
            json!({"name": "a", "namespace": "n"})
        );
        assert_eq!(found.manifest["kind"], "ServiceAccount");
    }

    #[test]
    fn a_record_that_says_too_little_is_nothing() {
        let id = Id::parse("service-account/n/a").unwrap();
        assert!(resource(&id, &json!({}), "p").is_none());
    }
}
