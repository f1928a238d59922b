//! What a run knows that takes things away, and what all kinds of objects have in common when they go.

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

/// For how long GitHub's refusal to remove a runner counts more than a listing, which may be older than it arrives.
const BUSY_FOR: Duration = Duration::from_secs(5);

/// What a run knows that takes things away.
#[derive(Debug, Default)]
pub struct Removal {
    /// Jobs are not waited for, and what GitHub cannot be asked is passed over (`--force`).
    pub force: bool,
    /// Why the controller cannot take its runners away, so that arcctl does it.
    pub by_hand: Option<String>,
    /// Why GitHub cannot be asked.
    pub without_github: Option<String>,
    /// The ids in the inventory.
    pub recorded: BTreeSet<String>,
    /// Namespaces in which a release stays, and with it all it needs; and ids of what stays and is needed by others.
    staying: Mutex<BTreeSet<String>>,
    /// Ids that this run has seen to be this profile's.
    seen: Mutex<BTreeSet<String>>,
    /// The Leases, as namespace and name, of the programs of releases, by the releases' ids.
    leases: Mutex<HashMap<String, Vec<(String, String)>>>,
    /// The runners that GitHub refused to remove since they have a job, and when.
    busy: Mutex<HashMap<String, Instant>>,
}

impl Removal {
    /// Nothing known yet but what is on record.
    pub fn new(force: bool, recorded: BTreeSet<String>) -> Self {
        Self {
            force,
            recorded,
            ..Self::default()
        }
    }

    /// Remembers whether `what` stays: the release in a namespace, or the id of something else.
    pub(super) fn learn(&self, what: &str, stays: bool) {
        let mut staying = self.staying.lock().unwrap_or_else(PoisonError::into_inner);
        if stays {
            staying.insert(what.to_owned());
        } else {
            staying.remove(what);
        }
    }

    /// Remembers that what has the id `id` is this profile's, for when its own mark is gone.
    pub(super) fn saw(&self, id: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(id.to_owned());
    }

    /// Remembers which Leases the programs of the release `id` have, for when its record is gone.
    pub(super) fn saw_leases(&self, id: &str, leases: Vec<(String, String)>) {
        let mut known = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id.to_owned(), leases);
    }

    /// The Leases of the programs of the release `id`, where its record was seen.
    pub(super) fn leases(&self, id: &str) -> Option<Vec<(String, String)>> {
        let known = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).cloned()
    }

    /// Whether a Lease is of the programs of a release that was seen.
    pub(super) fn knows_lease(&self, namespace: &str, name: &str) -> bool {
        let known = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = known.values().flatten();
        all.any(|it| it.0 == namespace && it.1 == name)
    }

    /// Remembers that GitHub refused to remove the runner `name`, since it has a job.
    pub(super) fn saw_busy(&self, name: &str) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.insert(name.to_owned(), Instant::now());
    }

    /// Whether GitHub refused a moment ago to remove the runner `name`.
    pub(super) fn is_busy(&self, name: &str) -> bool {
        let busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.get(name).is_some_and(|it| it.elapsed() < BUSY_FOR)
    }

    /// Whether what has the id `id` was this profile's: by the inventory, or as this run has seen.
    pub(super) fn was_ours(&self, id: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.recorded.contains(id) || seen.contains(id)
    }

    /// Whether `what` stays.
    pub(super) fn stays(&self, what: &str) -> bool {
        self.staying
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(what)
    }

    /// Whether what has the id `id` is on record, and nothing keeps it.
    pub(super) fn goes(&self, id: &str) -> bool {
        self.recorded.contains(id) && !self.stays(id)
    }
}

/// A thing that is this profile's, and may go now or not yet.
pub(super) fn ours(readiness: Readiness) -> Observed {
    Observed::Present(Present::same(readiness))
}

/// A thing that stays, and why.
pub(super) fn stays(evidence: impl Into<String>) -> Observed {
    Observed::Present(Present {
        ownership: Ownership::Foreign {
            evidence: evidence.into(),
        },
        ..Present::same(Readiness::Ready)
    })
}

/// What is left of one object, by its own marks.
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

/// What an object that is being deleted waits for.
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

/// Deletes `live` where it still is this profile's.
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

    /// What is left of it.
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

    /// Deletes the very object that the plan has shown, whoever made it; one that has come in its place stays.
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

    /// Deletes it where it is this profile's.
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

    /// What is left of it.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let live = context.kube.get(&self.address()).await?;
        Ok(of_object(live.as_ref(), &self.profile))
    }

    /// Deletes it where it is this profile's.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        delete_own(context, &self.address()).await
    }
}

impl ControllerSecret {
    fn address(&self) -> Target {
        Target::namespaced("v1", "Secret", &self.namespace, &self.name)
    }

    /// What is left of it: it stays as long as the controller that reads it.
    pub(super) async fn remains(&self, context: &Context) -> Result<Observed> {
        let live = context.kube.get(&self.address()).await?;
        if live.is_some() && context.removal.stays(&self.namespace) {
            return Ok(stays("the controller stays, and reads it"));
        }
        Ok(of_object(live.as_ref(), &self.profile))
    }

    /// Deletes it where it is this profile's.
    pub(super) async fn delete(&self, context: &Context) -> Result<()> {
        delete_own(context, &self.address()).await
    }
}

impl Webhooks {
    /// The configurations of a controller that does not run any more. Where neither helm nor the inventory says whose they
    /// are (both are gone with the namespace), they go if nobody can answer them: the Service they call is gone too.
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

    /// Deletes them, so that nothing waits for an answer that cannot come. Looked at once more: another controller may
    /// have come in its place.
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

/// The first Service that one of the webhook `configurations` calls and that exists.
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
        if context.kube.get(&service).await?.is_some() {
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
