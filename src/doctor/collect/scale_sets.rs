//! Reads the facts of runner scale sets: their objects, their Secrets, and what GitHub has.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{Parts, exists, github::authenticated, got, listed, within};
use crate::{
    clients::{
        github::{GitHub, RegisteredSet},
        kube::{Kube, Selection, Target},
    },
    desired::{resource::scale_set::SetRecord, scale_set::values::config_url},
    doctor::{
        redact::slim,
        snapshot::{Fact, NamedSecret, ScaleSetFacts, SetAtGithub},
    },
    error::Result,
    inventory,
    observe::CONCURRENT,
    profile::Profile,
    resource::{
        context::scope,
        kubernetes::rollout::place,
        other_controllers::{SetController, deployments, set_controllers},
        scale_sets::API_VERSION,
    },
};

/// What a set names in its annotations: the controller's right to its Secrets, pods and Roles (reference: scale-sets.md 3).
const RIGHTS: [(&str, &str); 2] = [
    ("Role", "actions.github.com/cleanup-manager-role-name"),
    (
        "RoleBinding",
        "actions.github.com/cleanup-manager-role-binding",
    ),
];

/// Reads them; `None` if no pool is a scale set. The runners are read after their pods: the controller writes that a runner has
/// ended before it deletes its pod, so a runner that has not ended and has no pod had none when the pods were read.
pub(super) async fn scale_sets(
    parts: &Parts,
    pods_are_read: oneshot::Receiver<()>,
) -> Option<ScaleSetFacts> {
    let profile = &parts.profile;
    if !profile.has_scale_sets() {
        return None;
    }
    let (kube, home) = (&parts.kube, profile.scale_sets.namespace.as_str());
    let list = |selection| async move { within("list objects", listed(kube, &selection)).await };
    let listeners = Selection::namespaced(API_VERSION, "AutoscalingListener", home);
    let namespaces = &profile.scale_set_namespaces();
    let runners = async {
        // An error means that the pods are no longer read.
        let _read = pods_are_read.await;
        in_each(kube, namespaces, "EphemeralRunner").await
    };
    let name = profile.scale_sets.full_name();
    let controller = Target::namespaced("apps/v1", "Deployment", home, &name);
    let (
        controller,
        controllers,
        whole,
        listeners,
        listener_pods,
        listener_events,
        runner_sets,
        runners,
        at_github,
        recorded,
    ) = tokio::join!(
        within("read an object", got(kube, &controller)),
        within("list objects", controllers(kube)),
        within("list objects", whole_sets(kube, namespaces)),
        list(listeners),
        list(Selection::namespaced("v1", "Pod", home)),
        list(Selection::namespaced("v1", "Event", home)),
        in_each(kube, namespaces, "EphemeralRunnerSet"),
        runners,
        within("list the scale sets at GitHub", at_github(parts)),
        within("read the inventory", recorded(parts)),
    );
    let (secret_name, missing_rights) = tokio::join!(
        within("read the Secrets of scale sets", secrets(kube, &whole)),
        within("read the Roles of scale sets", missing_rights(kube, &whole)),
    );
    Some(ScaleSetFacts {
        controller: controller.map(|it| it.as_ref().map(slim)),
        controllers,
        sets: whole.map(|it| it.iter().map(slim).collect()),
        listeners,
        listener_pods,
        listener_events,
        runner_sets,
        runners,
        secret_name,
        missing_rights,
        at_github,
        recorded,
        pod_monitors: pod_monitors(kube).await,
    })
}

/// The objects of a kind in the namespaces of scale sets.
async fn in_each(kube: &Fact<Kube>, namespaces: &[&str], kind: &'static str) -> Fact<Vec<Value>> {
    let of = |it: &&str| Selection::namespaced(API_VERSION, kind, it);
    let each = namespaces
        .iter()
        .map(of)
        .map(|selection| async move { within("list objects", listed(kube, &selection)).await });
    let found: Result<Vec<_>> = futures::future::join_all(each).await.into_iter().collect();
    found.map(|it| it.into_iter().flatten().collect())
}

/// The controllers of scale sets in the cluster, by all fields of their Deployments: arguments are not among those that are
/// kept.
async fn controllers(kube: &Fact<Kube>) -> Result<Vec<SetController>> {
    let kube = kube.as_ref().map_err(Clone::clone)?;
    Ok(set_controllers(&kube.list(&deployments()).await?))
}

/// The records of what this cluster has made at GitHub.
async fn recorded(parts: &Parts) -> Result<BTreeMap<String, SetRecord>> {
    let kube = parts.kube.as_ref().map_err(Clone::clone)?;
    inventory::scale_sets(kube, inventory::Home::of(&parts.profile)).await
}

/// Whether the cluster has the CRD of `PodMonitor`.
async fn pod_monitors(kube: &Fact<Kube>) -> Fact<bool> {
    let crd = Target::cluster(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "podmonitors.monitoring.coreos.com",
    );
    within("read an object", exists(kube, &crd)).await
}

/// The sets with all of their fields: the name of a Secret is not among those that are kept.
async fn whole_sets(kube: &Fact<Kube>, namespaces: &[&str]) -> Result<Vec<Value>> {
    let kube = kube.as_ref().map_err(Clone::clone)?;
    let of = |it: &&str| Selection::namespaced(API_VERSION, "AutoscalingRunnerSet", it);
    let all: Vec<Selection> = namespaces.iter().map(of).collect();
    kube.list_each(&all).await
}

/// The Secrets that the sets name, some at a time. Their content is not kept.
async fn secrets(
    kube: &Fact<Kube>,
    sets: &Fact<Vec<Value>>,
) -> Result<BTreeMap<String, NamedSecret>> {
    let sets = sets.as_ref().map_err(Clone::clone)?;
    let found: Vec<Option<(String, NamedSecret)>> = stream::iter(sets)
        .map(|set| secret(kube, set))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn secret(kube: &Fact<Kube>, set: &Value) -> Result<Option<(String, NamedSecret)>> {
    let name = set["spec"]["githubConfigSecret"].as_str();
    let namespace = set["metadata"]["namespace"].as_str();
    let Some((namespace, name)) = namespace.zip(name) else {
        return Ok(None);
    };
    let target = Target::namespaced("v1", "Secret", namespace, name);
    let secret = NamedSecret {
        name: name.to_owned(),
        exists: exists(kube, &target).await?,
    };
    Ok(Some((place(set), secret)))
}

/// The `Role` and `RoleBinding` that each set names for its controller, where they do not exist; some sets at a time.
async fn missing_rights(
    kube: &Fact<Kube>,
    sets: &Fact<Vec<Value>>,
) -> Result<BTreeMap<String, Vec<String>>> {
    let sets = sets.as_ref().map_err(Clone::clone)?;
    let mut found: BTreeMap<String, Vec<String>> = stream::iter(sets)
        .map(|set| missing_rights_of(kube, set))
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    found.retain(|_, missing| !missing.is_empty());
    Ok(found)
}

async fn missing_rights_of(kube: &Fact<Kube>, set: &Value) -> Result<(String, Vec<String>)> {
    let namespace = set["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut missing = Vec::new();
    for (kind, annotation) in RIGHTS {
        let Some(name) = set["metadata"]["annotations"][annotation].as_str() else {
            continue;
        };
        let target = Target::namespaced("rbac.authorization.k8s.io/v1", kind, namespace, name);
        if got(kube, &target).await?.is_none() {
            missing.push(format!("{kind} `{namespace}/{name}`"));
        }
    }
    Ok((place(set), missing))
}

/// All scale sets of the profile's scope, and of the pools' own ones.
async fn at_github(parts: &Parts) -> Result<Vec<SetAtGithub>> {
    let context = authenticated(parts)?;
    let mut all = in_scope_of(&context.github, &parts.profile).await?;
    for account in &context.accounts {
        if account.part.has_scale_sets() {
            all.extend(in_scope_of(&account.github, &account.part).await?);
        }
    }
    Ok(all)
}

/// All scale sets of the scope of `profile`.
async fn in_scope_of(github: &GitHub, profile: &Profile) -> Result<Vec<SetAtGithub>> {
    let found = github.scale_sets(scope(profile)?).await?;
    let address = config_url(&profile.github).unwrap_or_default();
    let of = |it: RegisteredSet| SetAtGithub {
        words: it.in_words(),
        labels: it.labels().map(str::to_owned).collect(),
        id: it.id,
        scope: address.clone(),
        name: it.name,
        group: it.runner_group_name,
    };
    Ok(found.into_iter().map(of).collect())
}
