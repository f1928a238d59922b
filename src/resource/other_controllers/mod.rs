//! Finds other Actions Runner Controllers in the cluster by their webhook configurations: the
//! only objects that every controller has and that are found without knowing its namespace. Pure: no I/O.
//!
//! Webhook configurations are cluster-wide and named by the release; a controller with `scope.singleNamespace` has a
//! `namespaceSelector` in each of its webhooks (reference: arc.md 1.1, 1.2).

mod meeting;
mod of_scale_sets;
#[cfg(test)]
mod tests;

pub use meeting::Meeting;
pub use of_scale_sets::{SetController, deployments, set_controllers};

use serde_json::Value;

use super::services;
use crate::profile::Profile;

/// The suffix of the names of the controller's webhooks.
pub const WEBHOOKS: &str = ".actions.summerwind.dev";

/// The labels by which charts select one namespace: the second is from charts before 0.23.5.
const NAMESPACE_LABELS: [&str; 2] = ["kubernetes.io/metadata.name", "name"];

/// How a controller with a helm release, by namespace and name, was installed.
fn installed_by(release: Option<&(String, String)>) -> String {
    release.map_or_else(
        || "not installed by helm".to_owned(),
        |(_, release)| format!("release `{release}` of helm"),
    )
}

/// The flag by which kubectl finds what a controller watches.
fn flag(watches: Option<&str>) -> String {
    watches.map_or_else(|| "-A".to_owned(), |it| format!("-n {it}"))
}

/// How to uninstall a controller of `namespace`; `first` is to be done before.
fn uninstall(release: Option<&(String, String)>, namespace: &str, first: &str) -> String {
    match release {
        Some((namespace, release)) => {
            format!("uninstall it: {first}, then `helm -n {namespace} uninstall {release}`")
        }
        None => {
            format!("uninstall it with the tool that installed it (namespace {namespace}): {first}")
        }
    }
}

/// A controller that is not the profile's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherController {
    /// Its webhook configuration.
    pub configuration: String,
    /// Its helm release, by namespace and name; `None` if helm did not install it.
    pub release: Option<(String, String)>,
    /// The Services that the configuration calls, by namespace and name.
    pub services: Vec<(String, String)>,
    /// The only namespace that it watches; `None` if it watches all.
    pub watches: Option<String>,
}

/// Whether a configuration belongs to an Actions Runner Controller.
pub fn is_controllers(configuration: &Value) -> bool {
    let mut webhooks = configuration["webhooks"].as_array().into_iter().flatten();
    webhooks.any(|it| {
        let name = it["name"].as_str();
        name.is_some_and(|name| name.ends_with(WEBHOOKS))
    })
}

/// The controllers that are not the profile's, by their validating webhook configurations.
pub fn others(configurations: &[Value], profile: &Profile) -> Vec<OtherController> {
    let controller = &profile.controller;
    let own = format!(
        "{}-validating-webhook-configuration",
        controller.full_name()
    );
    all(configurations)
        .into_iter()
        .filter(|it| {
            it.configuration != own
                || it
                    .services
                    .iter()
                    .any(|(namespace, _)| *namespace != controller.namespace)
        })
        .collect()
}

/// All controllers, by their validating webhook configurations.
pub fn all(configurations: &[Value]) -> Vec<OtherController> {
    let named = configurations.iter().filter(|it| is_controllers(it));
    let validating = named.filter(|it| {
        let name = it["metadata"]["name"].as_str().unwrap_or_default();
        it["kind"] != "MutatingWebhookConfiguration" && !name.contains("-mutating-webhook-")
    });
    let found = validating.map(|it| OtherController {
        configuration: it["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        release: release(it),
        services: {
            let mut all: Vec<(String, String)> = services(it)
                .map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
                .collect();
            all.dedup();
            all
        },
        watches: watched(it),
    });
    found.collect()
}

/// The release in helm's annotations.
fn release(object: &Value) -> Option<(String, String)> {
    let noted = |key: &str| {
        let annotations = &object["metadata"]["annotations"];
        annotations[format!("meta.helm.sh/release-{key}")]
            .as_str()
            .map(str::to_owned)
    };
    noted("namespace").zip(noted("name"))
}

/// The one namespace that all its webhooks select.
fn watched(configuration: &Value) -> Option<String> {
    let webhooks = configuration["webhooks"].as_array()?;
    let mut selected = webhooks.iter().map(|it| {
        let labels = it["namespaceSelector"]["matchLabels"].as_object()?;
        let name = NAMESPACE_LABELS.iter().find_map(|key| labels.get(*key))?;
        Some(name.as_str()?.to_owned())
    });
    let first = selected.next()??;
    selected
        .all(|it| it.as_ref() == Some(&first))
        .then_some(first)
}

impl OtherController {
    /// The first namespace of the profile's pools that it watches too; the first of all namespaces where the profile's
    /// controller watches all.
    pub fn shares(&self, profile: &Profile) -> Option<String> {
        match (&self.watches, &profile.controller.watch_namespace) {
            (None, None) => Some("every namespace".into()),
            (None, Some(ours)) => Some(format!("namespace `{ours}`")),
            (Some(theirs), None) => Some(format!("namespace `{theirs}`")),
            (Some(theirs), Some(ours)) => (theirs == ours).then(|| format!("namespace `{ours}`")),
        }
    }

    /// Its location, for messages.
    pub fn place(&self) -> String {
        let mut namespaces: Vec<&str> = self.services.iter().map(|(it, _)| it.as_str()).collect();
        namespaces.dedup();
        namespaces.join(", ")
    }
}
