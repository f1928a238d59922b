//! The state of deletions in a run, and the rules that all kinds of objects share.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    context::Context,
    helm::uninstall,
    kubernetes::{namespace, ownership},
    observed::{Observed, Ownership, Present, Readiness},
    services,
};
use crate::{
    clients::kube::Target,
    desired::{
        names,
        resource::{ControllerSecret, KubeObject, OwnSecret, Webhooks},
    },
    error::{Error, Result, System},
};

/// How long GitHub's refusal to remove a runner overrides a list of runners, which may be older.
const BUSY_FOR: Duration = Duration::from_secs(5);

/// The state of deletions in a run.
#[derive(Debug, Default)]
pub struct Removal {
    /// Does not wait for jobs, and goes on without GitHub if it is unreachable or rejects the credential (`--force`).
    pub force: bool,
    /// Why the controller cannot remove its runners, so that arcctl removes them.
    pub by_hand: Option<String>,
    /// Why GitHub cannot be called.
    pub without_github: Option<String>,
    /// The ids in the inventory.
    pub recorded: BTreeSet<String>,
    /// Namespaces in which a release is kept, with all that it needs; and ids of kept resources that others need.
    staying: Mutex<BTreeSet<String>>,
    /// Ids that this run has identified as this profile's.
    seen: Mutex<BTreeSet<String>>,
    /// The Leases of the pods of releases, as namespace and name, by the releases' ids.
    leases: Mutex<HashMap<String, Vec<(String, String)>>>,
    /// The runners that GitHub refused to remove because they run a job, and when.
    busy: Mutex<HashMap<String, Instant>>,
}

impl Removal {
    /// A new state with the ids in the inventory.
    pub fn new(force: bool, recorded: BTreeSet<String>) -> Self {
        Self {
            force,
            recorded,
            ..Self::default()
        }
    }

    /// Records whether `what` is kept: the release in a namespace, or the id of another resource.
    pub(super) fn learn(&self, what: &str, stays: bool) {
        let mut staying = self.staying.lock().unwrap_or_else(PoisonError::into_inner);
        if stays {
            staying.insert(what.to_owned());
        } else {
            staying.remove(what);
        }
    }

    /// Records that the resource `id` is this profile's, for when its own labels are gone.
    pub(super) fn saw(&self, id: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(id.to_owned());
    }

    /// Records the Leases of the pods of the release `id`, for when its record is gone.
    pub(super) fn saw_leases(&self, id: &str, leases: Vec<(String, String)>) {
        let mut known = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id.to_owned(), leases);
    }

    /// The Leases of the pods of the release `id`, where its record was read.
    pub(super) fn leases(&self, id: &str) -> Option<Vec<(String, String)>> {
        let known = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).cloned()
    }

    /// Whether a Lease belongs to the pods of a recorded release.
    pub(super) fn knows_lease(&self, namespace: &str, name: &str) -> bool {
        let known = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = known.values().flatten();
        all.any(|it| it.0 == namespace && it.1 == name)
    }

    /// Records that GitHub refused to remove the runner `name`, because it runs a job.
    pub(super) fn saw_busy(&self, name: &str) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(name.to_owned(), Instant::now());
    }

    /// Whether GitHub just refused to remove the runner `name`.
    pub(super) fn is_busy(&self, name: &str) -> bool {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.get(name).is_some_and(|it| it.elapsed() < BUSY_FOR)
    }

    /// Whether the resource `id` was this profile's: by the inventory, or as recorded in this run.
    pub(super) fn was_ours(&self, id: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.recorded.contains(id) || seen.contains(id)
    }

    /// Whether `what` is kept.
    pub(super) fn stays(&self, what: &str) -> bool {
        self.staying
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(what)
    }

    /// Whether the resource `id` is in the inventory and is not kept.
    pub(super) fn goes(&self, id: &str) -> bool {
        self.recorded.contains(id) && !self.stays(id)
    }
}

/// A resource of this profile; `readiness` shows whether it can be deleted now.
pub(super) fn ours(readiness: Readiness) -> Observed {
    Observed::Present(Present::same(readiness))
}

/// A resource that is kept, and why.
pub(super) fn stays(evidence: impl Into<String>) -> Observed {
    Observed::Present(Present {
        ownership: Ownership::Foreign {
            evidence: evidence.into(),
        },
        ..Present::same(Readiness::Ready)
    })
}

/// What remains of one object, by its own labels.
pub(super) fn of_object(live: Option<&Value>, profile: &str) -> Observed {
    let Some(live) = live else {
        return Observed::Absent;
    };
    let ownership = ownership::of_object(live, profile);
    let readiness = match ending(live) {
        Some(reason) => Readiness::progressing(reason),
        None => Readiness::Ready,
    };
    Observed::Present(Present {
        ownership,
        ..Present::same(readiness)
    })
}

/// What the deletion of an object waits for.
pub(super) fn ending(live: &Value) -> Option<String> {
    live["metadata"]["deletionTimestamp"].as_str()?;
    let finalizers: Vec<&str> = live["metadata"]["finalizers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    Some(match finalizers.as_slice() {
        [] => "it is being deleted".to_owned(),
        some => format!("it is being deleted; {} holds it", some.join(", ")),
    })
}

/// Deletes `live` if it still is this profile's.
pub(super) async fn delete_own(context: &Context, target: &Target) -> Result<()> {
    let Some(live) = context.kube.get(target).await? else {
        return Ok(());
    };
    let ours = ownership::of_object(&live, &context.profile.name) == Ownership::Ours;
    if !ours || ending(&live).is_some() {
        return Ok(());
    }
    context.kube.delete_exactly(target, &live).await
}

impl KubeObject {
    fn address(&self) -> Result<Target> {
        Target::of(&self.manifest).ok_or_else(|| {
            Error::failed(System::Local, "a record has no kind or no name").hint(
                "look at the inventory: the ConfigMap `arcctl-PROFILE` in the controller's namespace",
            )
        })
    }

    /// What remains of it.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let target = self.address()?;
        let live = context.kube.get(&target).await?;
        let found = of_object(live.as_ref(), &context.profile.name);
        match (&live, &found) {
            (Some(live), Observed::Present(present))
                if target.kind.name() == "Namespace" && present.ownership == Ownership::Ours =>
            {
                namespace::remains(context, live).await
            }
            _ => Ok(found),
        }
    }

    /// Deletes the object that the plan showed, whoever created it; a new object with its name is kept.
    pub(super) async fn delete_foreign(&self, context: &Context) -> Result<()> {
        let target = self.address()?;
        let Some(live) = context.kube.get(&target).await? else {
            return Ok(());
        };
        let same = live["metadata"]["uid"] == self.manifest["metadata"]["uid"];
        if !same || ending(&live).is_some() {
            return Ok(());
        }
        context.kube.delete_exactly(&target, &live).await
    }

    /// Deletes it if it is this profile's.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        let target = self.address()?;
        if target.kind.name() == "Namespace" {
            return namespace::delete(context, &target).await;
        }
        delete_own(context, &target).await
    }
}

impl OwnSecret {
    fn address(&self) -> Target {
        Target::namespaced("v1", "Secret", &self.namespace, &self.name)
    }

    /// What remains of it.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let live = context.kube.get(&self.address()).await?;
        Ok(of_object(live.as_ref(), &self.profile))
    }

    /// Deletes it if it is this profile's.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        delete_own(context, &self.address()).await
    }
}

impl ControllerSecret {
    fn address(&self) -> Target {
        Target::namespaced("v1", "Secret", &self.namespace, &self.name)
    }

    /// What remains of it: it is kept as long as the controller that reads it.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let live = context.kube.get(&self.address()).await?;
        if live.is_some() && context.removal.stays(&self.namespace) {
            return Ok(stays("the controller stays, and reads it"));
        }
        Ok(of_object(live.as_ref(), &self.profile))
    }

    /// Deletes it if it is this profile's.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        delete_own(context, &self.address()).await
    }
}

impl Webhooks {
    /// The webhook configurations of a controller that no longer runs. If neither helm nor the inventory shows the owner
    /// (both are deleted with the namespace), they are deleted if the Service that they call does not exist either.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let configurations = self.configurations(context).await?;
        if configurations.is_empty() {
            return Ok(Observed::Absent);
        }
        let profile = &context.profile.name;
        let owner = uninstall::owner(context, &self.namespace, &self.release, profile).await?;
        let ownership = match owner {
            Some(ownership) => ownership,
            None => match service_called(context, &configurations).await? {
                None => Ownership::Ours,
                Some(service) => Ownership::Foreign {
                    evidence: format!(
                        "release `{}` is not in the inventory, and service `{service}` is there",
                        self.release
                    ),
                },
            },
        };
        Ok(Observed::Present(Present {
            ownership,
            ..Present::same(Readiness::Ready)
        }))
    }

    /// Deletes them, so that no request waits for their webhooks. Checked again before: another controller may
    /// have been installed meanwhile.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        match self.remains(context).await? {
            Observed::Present(present) if present.ownership == Ownership::Ours => {}
            _ => return Ok(()),
        }
        for (target, live) in self.configurations(context).await? {
            context.kube.delete_exactly(&target, &live).await?;
        }
        Ok(())
    }
}

/// The first existing Service that one of the webhook `configurations` calls.
async fn service_called(
    context: &Context,
    configurations: &[(Target, Value)],
) -> Result<Option<String>> {
    let called: BTreeSet<(&str, &str)> = configurations
        .iter()
        .flat_map(|(_, live)| services(live))
        .collect();
    for (namespace, name) in called {
        let service = Target::namespaced("v1", "Service", namespace, name);
        if context.kube.exists(&service).await? {
            return Ok(Some(format!("{namespace}/{name}")));
        }
    }
    Ok(None)
}

/// The id of a release's record.
pub(super) fn release_id(namespace: &str, name: &str) -> String {
    format!("helm-release/{namespace}/{name}")
}

/// The target of a `RunnerDeployment`.
pub(super) fn runner_deployment(namespace: &str, pool: &str) -> Target {
    Target::namespaced(names::ARC_API_VERSION, "RunnerDeployment", namespace, pool)
}
