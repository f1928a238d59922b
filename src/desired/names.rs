//! The fixed names (DESIGN 5) and the labels of arcctl's objects. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::resource::Id;
use crate::profile::Profile;

pub use crate::profile::{
    CONTROLLER, RUNNER_NAMESPACE, SCALE_SET_NAMESPACE, SCALE_SET_RELEASE, SYSTEM_NAMESPACE,
};

/// The namespace of cert-manager.
pub const CERT_MANAGER_NAMESPACE: &str = "cert-manager";
/// The release and the chart of cert-manager.
pub const CERT_MANAGER: &str = "cert-manager";
/// The Secret with the controller's GitHub credential.
pub const CONTROLLER_SECRET: &str = "controller-manager";
/// The Secret that signs GitHub's webhook events, named by the chart.
pub const WEBHOOK_SECRET: &str = "github-webhook-server";
/// The `ConfigMap` with the certificate authority of the GitHub server.
pub const CA_BUNDLE: &str = "arcctl-github-ca";
/// The key in it.
pub const CA_BUNDLE_KEY: &str = "ca.pem";
/// The annotation of a pool's pods with their role: a changed role needs new pods.
pub const ROLE_ANNOTATION: &str = "arcctl.dev/role";
/// The group and version of the controller's kinds.
pub const ARC_API_VERSION: &str = "actions.summerwind.dev/v1alpha1";

/// The chart of GitHub's own controller.
pub const SCALE_SET_CONTROLLER_CHART: &str = "gha-runner-scale-set-controller";
/// The chart of a runner scale set.
pub const SCALE_SET_CHART: &str = "gha-runner-scale-set";
/// The Secret with the profile's credential, in each namespace of runner scale sets.
pub const SCALE_SET_SECRET: &str = "arcctl-github";
/// The field manager of the minimum that a schedule gives a runner scale set.
pub const SCHEDULE_MANAGER: &str = "arcctl-schedule";
/// The label of everything that GitHub's own controller makes of a scale set: the set's name.
pub const SCALE_SET_LABEL: &str = "actions.github.com/scale-set-name";
/// The label of a runner's pod of a scale set, with the value `True`: the pod of its listener has the set's name too, and may
/// be in the same namespace.
pub const RUNNER_LABEL: &str = "actions-ephemeral-runner";
/// The group and version of the kinds of GitHub's own controller.
pub const SCALE_SET_API_VERSION: &str = "actions.github.com/v1alpha1";

/// The label that every owned object has.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The label that names the profile.
pub const PROFILE_LABEL: &str = "arcctl.dev/profile";

/// The labels of everything arcctl owns.
pub fn labels(profile: &str) -> Value {
    json!({MANAGED_BY: "arcctl", PROFILE_LABEL: profile})
}

/// `metadata` of an owned object; `namespace` is `None` for a cluster-wide one.
pub fn metadata(profile: &Profile, namespace: Option<&str>, name: &str) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("name".into(), name.into());
    if let Some(namespace) = namespace {
        metadata.insert("namespace".into(), namespace.into());
    }
    metadata.insert("labels".into(), labels(&profile.name));
    metadata
}

/// The id of the manifest's object: its kind in kebab case, its namespace, its name.
pub fn object_id(manifest: &Value) -> Id {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
    Id::new(
        &kebab(text("/kind").unwrap_or_default()),
        text("/metadata/namespace"),
        text("/metadata/name").unwrap_or_default(),
    )
}

/// The id of the runner scale set of `pool`.
pub fn scale_set_id(namespace: &str, pool: &str) -> Id {
    Id::new("scale-set", Some(namespace), pool)
}

/// The name of what keeps the minimums of a profile's schedules in a namespace of runner scale sets.
pub fn schedule_name(profile: &str) -> String {
    format!("{SCHEDULE_MANAGER}-{profile}")
}

/// The id of the `RunnerDeployment` of `pool`.
pub fn pool_id(namespace: &str, pool: &str) -> Id {
    Id::new("runner-deployment", Some(namespace), pool)
}

fn kebab(kind: &str) -> String {
    let mut result = String::with_capacity(kind.len() + 4);
    for (index, character) in kind.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            result.push('-');
        }
        result.push(character.to_ascii_lowercase());
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_kind_namespace_and_name() {
        let autoscaler = json!({"kind": "HorizontalRunnerAutoscaler",
            "metadata": {"name": "basic", "namespace": "actions-runner"}});
        assert_eq!(
            object_id(&autoscaler).as_str(),
            "horizontal-runner-autoscaler/actions-runner/basic"
        );
        let namespace = json!({"kind": "Namespace", "metadata": {"name": "actions-runner"}});
        assert_eq!(object_id(&namespace).as_str(), "namespace/-/actions-runner");
    }
}
