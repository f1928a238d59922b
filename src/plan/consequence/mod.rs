//! Side effects of a change: which pods are restarted, which runners are replaced.

use std::collections::BTreeSet;

use super::{Action, Plan, Step};
use crate::{
    desired::{
        Desired, Phase,
        charts::controller,
        names,
        resource::{HelmRelease, Id, Resource, scale_set::ScaleSetDrain},
    },
    diff::Difference,
    resource::scale_sets::objects::minor,
};

/// One consequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// All runners of a pool are replaced.
    Runners {
        /// The namespace of its `RunnerDeployment`.
        namespace: String,
        /// The pool.
        pool: String,
    },
    /// All runners of every pool of the release's controller are replaced, though no pool changes.
    EveryRunner,
    /// One idle runner is replaced, to verify a new credential by a fresh registration.
    OneRunner,
    /// The pods of a Deployment are restarted, one after the other.
    Pods {
        /// The Deployment, or the release it is of.
        what: String,
    },
    /// The controller of scale sets gets another minor version, for which they end and are made again.
    Minor {
        /// The version that is there.
        from: String,
        /// The version of the profile.
        to: String,
    },
    /// A scale set takes no new job, and its runners end.
    Quiet {
        /// Its namespace.
        namespace: String,
        /// Its name.
        pool: String,
    },
    /// A scale set has no runner until it is made again.
    Gap {
        /// The step that makes it again.
        until: Id,
    },
}

/// The values of the two charts that do not affect the pods (source: where their templates use them,
/// actions-runner-controller 0.23.7 and cert-manager v1.21.1). Any other key is assumed to affect the pods.
const BESIDE_PODS: [&str; 20] = [
    "admissionWebHooks",
    "authSecret.annotations",
    "authSecret.create",
    "authSecret.github_",
    "cainjector.replicaCount",
    "certManagerEnabled",
    "crds",
    "githubWebhookServer",
    "installCRDs",
    "labels",
    "metrics.serviceAnnotations",
    "metrics.serviceMonitor",
    "podDisruptionBudget",
    "rbac",
    "replicaCount",
    "service.",
    "serviceAccount.annotations",
    "startupapicheck",
    "webhook.replicaCount",
    "webhook.timeoutSeconds",
];

/// The side effects of changing `desired` by `differences`.
pub fn consequences(desired: &Desired, differences: &[Difference]) -> Vec<Consequence> {
    let paths = || differences.iter().map(|it| it.path.as_str());
    match &desired.resource {
        Resource::Object(object) if object.manifest["kind"] == "RunnerDeployment" => paths()
            .any(is_of_template)
            .then(|| Consequence::Runners {
                namespace: desired.id.namespace().unwrap_or_default().to_owned(),
                pool: desired.id.name().to_owned(),
            })
            .into_iter()
            .collect(),
        Resource::ControllerSecret(_) => paths()
            .any(|it| it.starts_with("data."))
            .then_some(Consequence::OneRunner)
            .into_iter()
            .collect(),
        // A runner of a scale set takes one job: those that wait are replaced, those that work go on.
        Resource::Release(release) if release.chart.name == names::SCALE_SET_CHART => paths()
            .any(is_of_set_template)
            .then(|| Consequence::Runners {
                namespace: release.namespace.clone(),
                pool: release.name.clone(),
            })
            .into_iter()
            .collect(),
        Resource::Release(release) => {
            let mut what: BTreeSet<String> = paths().filter_map(deployment).collect();
            if paths().any(is_of_pods) {
                what.insert(format!("of release `{}`", release.name));
            }
            let pods = what.into_iter().map(|what| Consequence::Pods { what });
            let is_controller = release.chart.name == names::CONTROLLER;
            let anew = is_controller && differences.iter().any(makes_runners_anew);
            another_minor(release, differences)
                .into_iter()
                .chain(pods)
                .chain(anew.then_some(Consequence::EveryRunner))
                .collect()
        }
        Resource::ScaleSetDrain(drain) => gap(drain),
        _ => Vec::new(),
    }
}

/// Whether the release of the controller of scale sets changes its minor version.
fn another_minor(release: &HelmRelease, differences: &[Difference]) -> Option<Consequence> {
    if release.chart.name != names::SCALE_SET_CONTROLLER_CHART {
        return None;
    }
    let version = differences.iter().find(|it| it.path == "chart.version")?;
    let (from, to) = (version.from.as_str()?, version.to.as_str()?);
    (minor(from) != minor(to)).then(|| Consequence::Minor {
        from: from.to_owned(),
        to: to.to_owned(),
    })
}

/// Whether `plan` brings a controller that makes all runners anew.
fn makes_all_anew(plan: &Plan) -> bool {
    let mut steps = plan.steps.iter();
    steps.any(|it| it.phase == Phase::Controller && it.differences.iter().any(makes_runners_anew))
}

/// Whether the release gets a controller that makes new runners for pools that are as before.
fn makes_runners_anew(difference: &Difference) -> bool {
    let (from, to) = (difference.from.as_str(), difference.to.as_str());
    difference.path == "chart.version"
        && from
            .zip(to)
            .is_some_and(|(from, to)| controller::makes_runners_anew(from, to))
}

/// What the end of a scale set means that is made again.
fn gap(drain: &ScaleSetDrain) -> Vec<Consequence> {
    if drain.successor.is_none() {
        return Vec::new();
    }
    let (namespace, pool) = (drain.namespace.clone(), drain.name.clone());
    let until = Id::new("helm-release", Some(&namespace), &pool);
    vec![
        Consequence::Quiet { namespace, pool },
        Consequence::Gap { until },
    ]
}

/// Whether `plan` makes the controller create pods of a pool: replace all, add some, or create those that are missing.
pub fn makes_pods(plan: &Plan, namespace: &str, pool: &str) -> bool {
    let of = |kind: &str| {
        let id = Id::new(kind, Some(namespace), pool);
        plan.steps.iter().find(move |it| it.id == id.as_str())
    };
    let changes = |step: &Step, counts: fn(&Difference) -> bool| match step.action {
        Action::Create | Action::Later => true,
        Action::Update => step.differences.iter().any(counts),
        Action::Keep | Action::Delete => false,
    };
    of("runner-deployment").is_some_and(|it| changes(it, |it| is_of_template(&it.path)))
        || of("helm-release").is_some_and(|it| changes(it, |it| makes_pods_of_a_set(&it.path)))
        || of("scale-set-minimum").is_some_and(|it| it.action != Action::Keep)
        || of("horizontal-runner-autoscaler").is_some_and(|it| changes(it, raises_minimum))
        || of("runner-deployment").is_some() && makes_all_anew(plan)
        || plan.is_unchanged() && of("runner-pods").is_some_and(|it| !it.ready)
}

/// Whether `plan` changes how many runners a pool has at most.
pub fn changes_maximum(plan: &Plan, namespace: &str, pool: &str) -> bool {
    let changes = |kind: &str, path: &str| {
        let id = Id::new(kind, Some(namespace), pool);
        let step = plan.steps.iter().find(|it| it.id == id.as_str());
        step.is_some_and(|it| it.differences.iter().any(|it| it.path == path))
    };
    changes("horizontal-runner-autoscaler", "spec.maxReplicas")
        || changes("helm-release", "values.maxRunners")
}

/// Whether a change of a scale set's release brings other pods, or more of them.
fn makes_pods_of_a_set(path: &str) -> bool {
    is_of_set_template(path) || path == "values.minRunners"
}

fn is_of_set_template(path: &str) -> bool {
    path.starts_with("values.template")
}

/// What `plan` does to a pool that gets new pods with it: the pool is created, or all its pods are replaced by an update of
/// itself, or one after the other because the controller gets other images.
pub fn new_pods(plan: &Plan, namespace: &str, pool: &str) -> Option<Action> {
    let found = |kind: &str| {
        let id = Id::new(kind, Some(namespace), pool);
        plan.steps.iter().find(|it| it.id == id.as_str())
    };
    let Some(own) = found("runner-deployment") else {
        let set = found("helm-release").filter(|_| found("scale-set").is_some())?;
        let replaced = set
            .differences
            .iter()
            .any(|it| is_of_set_template(&it.path));
        return Some(set.action).filter(|it| *it == Action::Create || replaced);
    };
    match own.action {
        Action::Create => return Some(Action::Create),
        Action::Update if own.differences.iter().any(|it| is_of_template(&it.path)) => {
            return Some(Action::Update);
        }
        _ => {}
    }
    let of_controller =
        |step: &&Step| step.phase == Phase::Controller && step.kind == "helm-release";
    let images = |it: &Difference| it.path.starts_with("values.image");
    let controller = plan.steps.iter().find(of_controller)?;
    controller
        .differences
        .iter()
        .any(images)
        .then_some(Action::Keep)
}

/// The controller makes a new set of runners for every change of the template (reference: arc.md 2.1).
fn is_of_template(path: &str) -> bool {
    path == "spec" || path.starts_with("spec.template")
}

fn raises_minimum(difference: &Difference) -> bool {
    let number = |it: &serde_json::Value| it.as_u64().unwrap_or(0);
    difference.path == "spec.minReplicas" && number(&difference.to) > number(&difference.from)
}

/// The Deployment whose pod template has drifted: reverting it restarts its pods.
fn deployment(path: &str) -> Option<String> {
    let rest = path.strip_prefix("live.Deployment/")?;
    let (name, _) = rest.split_once(".spec.template")?;
    Some(format!("of Deployment `{name}`"))
}

/// Whether the pods depend on a field of the release.
fn is_of_pods(path: &str) -> bool {
    match path.strip_prefix("values.") {
        Some(key) => !BESIDE_PODS.iter().any(|it| key.starts_with(it)),
        None => path == "chart.version",
    }
}

#[cfg(test)]
mod tests;
