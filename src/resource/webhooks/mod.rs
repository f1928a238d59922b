//! The webhook configurations of a release, found by helm's labels and annotations.

pub(crate) mod cert_manager;
pub(crate) mod controller;
pub(crate) mod error;
pub(crate) mod github_events;
pub(crate) mod leader;
pub(crate) mod readiness;

use serde_json::Value;

use super::context::Context;
use crate::{
    clients::kube::{Selection, Target},
    desired::resource::Webhooks,
    error::Result,
};

const GROUP: &str = "admissionregistration.k8s.io/v1";
const KINDS: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

impl Webhooks {
    /// The existing ones.
    pub(super) async fn configurations(&self, context: &Context) -> Result<Vec<(Target, Value)>> {
        let mut found = Vec::new();
        for kind in KINDS {
            let live = context.kube.list(&Selection::all(GROUP, kind)).await?;
            found.extend(live.into_iter().filter_map(|live| {
                let name = live["metadata"]["name"].as_str()?;
                let target = Target::cluster(GROUP, kind, name);
                is_of_release(&live, &self.namespace, &self.release).then_some((target, live))
            }));
        }
        Ok(found)
    }
}

/// Whether helm's metadata on `live` name the release.
pub(super) fn is_of_release(live: &Value, namespace: &str, release: &str) -> bool {
    let annotations = &live["metadata"]["annotations"];
    annotations["meta.helm.sh/release-name"] == release
        && annotations["meta.helm.sh/release-namespace"] == namespace
}
