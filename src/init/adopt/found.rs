//! An installation made by hand, as it was read. Pure: no I/O.

use serde_json::Value;

use crate::desired::pool::autoscaler::scales_a_set;

/// What there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installation {
    /// The controller.
    pub controller: Controller,
    /// The `RunnerDeployments`.
    pub deployments: Vec<Value>,
    /// The `HorizontalRunnerAutoscalers`.
    pub autoscalers: Vec<Value>,
    /// The `RunnerSets`, which a profile does not have.
    pub(crate) sets: Vec<Value>,
    /// The `ServiceAccounts` of the runners.
    pub accounts: Vec<Value>,
    /// The names of the keys in the controller's Secret; their values are not read into this program's memory any further.
    pub secret_keys: Vec<String>,
}

/// The controller of the installation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Controller {
    /// Its namespace.
    pub namespace: String,
    /// Its helm release.
    pub release: String,
    /// The version of its chart.
    pub chart_version: String,
    /// The values it was installed with.
    pub values: Value,
    /// Its Deployment.
    pub deployment: Value,
}

impl Controller {
    /// The only namespace that it watches; the chart takes the release's where its values name none.
    pub(crate) fn watched(&self) -> Option<&str> {
        let scope = &self.values["scope"];
        if scope["singleNamespace"] != true {
            return None;
        }
        let named = scope["watchNamespace"].as_str();
        Some(named.filter(|it| !it.is_empty()).unwrap_or(&self.namespace))
    }

    /// The value of an argument of the manager: `--sync-period=1m`.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        let containers = self.deployment["spec"]["template"]["spec"]["containers"].as_array()?;
        let arguments = containers
            .iter()
            .flat_map(|it| it["args"].as_array().into_iter().flatten());
        let mut values =
            arguments.filter_map(|it| it.as_str()?.strip_prefix(name)?.strip_prefix('='));
        values.next().filter(|it| !it.is_empty())
    }
}

/// The name and the namespace of an object.
pub(crate) fn place(object: &Value) -> (&str, &str) {
    let part = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    (part("namespace"), part("name"))
}

/// Whether an autoscaler scales the `RunnerDeployment`, and not a `RunnerSet` of the same name.
pub(crate) fn scales(autoscaler: &Value, deployment: &Value) -> bool {
    let (namespace, name) = place(deployment);
    let target = &autoscaler["spec"]["scaleTargetRef"];
    place(autoscaler).0 == namespace && target["name"] == name && !scales_a_set(autoscaler)
}

/// What the profile does not say of the installation, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The object, as `kind/namespace/name`.
    pub object: String,
    /// The field.
    pub path: String,
    /// Why it is not in the profile, and what follows.
    pub why: String,
}
