//! The objects that a run writes, itself or through a chart, and whether the API server would take them: a policy about
//! Deployments says nothing of their pods, and would be met in the middle of a run.

use serde_json::{Map, Value};

use super::{
    context::Context,
    pods::{parts::Part, refusal::Refusal},
};
use crate::{
    clients::kube::{KubeFailure, Mode, Target},
    desired::resource::{Id, Resource},
    error::Error,
};

/// The kinds of a chart's objects that are tried, all of them in a namespace. A `RoleBinding` is not among them: whether it may
/// be made depends on its `Role`, which the same chart makes. Nor are kinds whose webhook the same run installs.
const OF_CHARTS: [&str; 12] = [
    "AutoscalingRunnerSet",
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Role",
    "Service",
    "ServiceAccount",
    "StatefulSet",
];

/// An object that a run writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// What it is of, which decides where the profile has its fields.
    pub part: Part,
    /// The resource of the plan that it is of.
    pub id: Id,
    /// Its manifest; a Secret has other values.
    pub manifest: Value,
}

/// What a dry run of an object has shown.
#[derive(Debug)]
pub enum Answer {
    /// The API server would take it.
    Taken,
    /// A policy, a quota or a webhook would refuse it.
    Refused(Refusal),
    /// It cannot be tried yet.
    Early(Missing),
    /// This user may not try it; the same right is needed to write it.
    NotAllowed,
    /// The dry run failed for another reason.
    Unknown(Error),
}

/// What must exist before an object can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// Its namespace.
    Namespace,
    /// Its kind, or an object that it names.
    Other,
}

impl Written {
    /// The object that `resource` is, where arcctl applies a single one by itself and fails without it.
    pub fn of_resource(id: &Id, resource: &Resource, context: &Context) -> Option<Self> {
        let manifest = match resource {
            Resource::Object(object) => object.manifest.clone(),
            Resource::ControllerSecret(secret) if secret.managed => {
                secret.manifest(&without_values(context.credential.secret_data()))
            }
            Resource::Secret(secret) => secret.manifest(&Map::new()),
            _ => return None,
        };
        Some(Self {
            part: Part::Own,
            id: id.clone(),
            manifest,
        })
    }

    /// Those of `objects` of a chart that can be tried, in `namespace` where they name none.
    pub fn of_chart(part: Part, id: &Id, objects: &[Value], namespace: &str) -> Vec<Self> {
        let tried = objects.iter().filter(|it| {
            let kind = it["kind"].as_str();
            kind.is_some_and(|kind| OF_CHARTS.contains(&kind))
        });
        let written = tried.map(|object| {
            let mut manifest = object.clone();
            let own = &mut manifest["metadata"]["namespace"];
            if own.as_str().is_none_or(str::is_empty) {
                *own = namespace.into();
            }
            Self {
                part,
                id: id.clone(),
                manifest,
            }
        });
        written.collect()
    }

    /// Its API group; empty for the core group.
    pub fn group(&self) -> &str {
        let version = self.manifest["apiVersion"].as_str().unwrap_or_default();
        version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        self.manifest["kind"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let name = &self.manifest["metadata"]["name"];
        name.as_str().unwrap_or_default()
    }

    /// Its namespace; `None` for one of the whole cluster.
    pub fn namespace(&self) -> Option<&str> {
        self.manifest["metadata"]["namespace"].as_str()
    }

    /// What it is called for people, with backticks: `` `Deployment/cert-manager` ``.
    pub fn label(&self) -> String {
        format!("`{}/{}`", self.kind(), self.name())
    }

    /// Applies it as a dry run. A dry run needs the rights of the write, and no others.
    pub async fn try_apply(&self, context: &Context) -> Answer {
        let kube = &context.kube;
        let applied = match self.kind() {
            // As it is written: a new one is created.
            "Namespace" => match kube.create(&self.manifest, Mode::DryRun).await {
                Err(failure) if failure.code() == Some(409) => {
                    kube.apply(&self.manifest, Mode::DryRun).await
                }
                created => created,
            },
            _ => kube.apply(&self.manifest, Mode::DryRun).await,
        };
        match applied {
            Ok(_) => Answer::Taken,
            Err(failure) => self.answer(&failure),
        }
    }

    /// What a failed dry run means.
    fn answer(&self, failure: &KubeFailure) -> Answer {
        if failure.is_by_policy() {
            return Answer::Refused(self.refusal(&failure.said()));
        }
        if failure.is_unauthorized() {
            return Answer::NotAllowed;
        }
        if failure.code() == Some(404) {
            let missing = if failure.said().starts_with("namespaces \"") {
                Missing::Namespace
            } else {
                Missing::Other
            };
            return Answer::Early(missing);
        }
        match Target::of(&self.manifest) {
            Some(target) => Answer::Unknown(failure.about(&target)),
            // Nothing without a name is written.
            None => Answer::Early(Missing::Other),
        }
    }
}

/// The keys of a Secret's `data` with empty values: what is only tried shows no secret to a webhook.
fn without_values<K: Into<String>, V>(
    data: impl IntoIterator<Item = (K, V)>,
) -> Map<String, Value> {
    let keys = data.into_iter();
    keys.map(|(key, _)| (key.into(), Value::from(""))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_objects_of_a_chart_are_tried_in_their_namespace() {
        let objects = [
            json!({"kind": "ClusterRole", "metadata": {"name": "a"}}),
            json!({"kind": "Deployment", "metadata": {"name": "a"}}),
            json!({"kind": "Role", "metadata": {"name": "a", "namespace": "kube-system"}}),
            json!({"kind": "RoleBinding", "metadata": {"name": "a"}}),
            json!({"kind": "ServiceAccount", "metadata": {"name": "a", "namespace": ""}}),
        ];
        let id = Id::new("helm-release", Some("arc"), "a");
        let written = Written::of_chart(Part::Controller, &id, &objects, "arc");
        let told: Vec<_> = written
            .iter()
            .map(|it| (it.label(), it.namespace().unwrap().to_owned()))
            .collect();
        let expected = [
            ("`Deployment/a`", "arc"),
            ("`Role/a`", "kube-system"),
            ("`ServiceAccount/a`", "arc"),
        ];
        let expected = expected.map(|(label, namespace)| (label.to_owned(), namespace.to_owned()));
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_tried_of_a_secret_has_no_values() {
        let data = without_values([("github_token", "ghp_secret")]);
        assert_eq!(Value::from(data), json!({"github_token": ""}));
    }
}
