//! What the verbs of a resource work with: the clients, the credential, and what this run has learnt.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    aws::consistency::Writes,
    runners::{account::Account, rotation::Rotation},
};
use crate::{
    clients::{
        aws::Aws,
        credential::Credential,
        github::{GitHub, Runner},
        helm::Helm,
        kube::{Kube, Selection},
    },
    error::{Error, ErrorKind, Result, System},
    profile::{Profile, Scope},
};

/// How long one listing of GitHub's runners serves all pools, at least.
const LISTING_AGE: Duration = Duration::from_millis(400);

/// How long it serves for each page that it took: ten requests a second are what GitHub lets one login ask for in the
/// long run (docs.github.com: 900 points a minute).
const LISTING_AGE_PER_PAGE: Duration = Duration::from_millis(100);

/// All runners of the scope, and when they were listed.
pub type Listing = tokio::sync::Mutex<Option<(Instant, Arc<Vec<Runner>>)>>;

/// How long one listing of a namespace's events serves all that ask for it.
const EVENTS_AGE: Duration = Duration::from_millis(900);

/// What of a namespace's events is read: warnings, and the one failure that the controller calls `Normal` (reference:
/// arc.md 2.3). A busy namespace has thousands of others.
const TELLING: [&str; 2] = ["type!=Normal", "reason=RunnerAutoscalingFailure"];

/// The newest listing of each namespace's events, and when it was made.
pub type Events = tokio::sync::Mutex<HashMap<String, (Instant, Arc<Vec<Value>>)>>;

/// The clients and facts of one run.
pub struct Context {
    /// The profile of this run.
    pub profile: Profile,
    /// The API server.
    pub kube: Kube,
    /// AWS, where the profile names something of it.
    pub aws: Option<Aws>,
    /// What this run has written at AWS.
    pub aws_writes: Writes,
    /// The helm binary.
    pub helm: Helm,
    /// GitHub.
    pub github: GitHub,
    /// The credential that goes into the controller's Secret.
    pub credential: Credential,
    /// The GitHub of pools that have one of their own.
    pub accounts: Vec<Account>,
    /// Whether what was made by hand is taken over (`--adopt`).
    pub adopt: bool,
    /// When this run began, by this machine's clock: what was said before is not its cause.
    pub started: jiff::Timestamp,
    /// The API server's version.
    pub kubernetes: (u32, u32),
    /// The resourceVersion of the controller's Secret, once it is known.
    pub secret_version: Mutex<Option<String>>,
    /// The credential that this run has replaced.
    pub rotation: Mutex<Rotation>,
    /// The newest listing of GitHub's runners.
    pub listing: Listing,
    /// The newest listings of events.
    pub events: Events,
    /// What a run knows that takes things away.
    pub removal: super::deletion::Removal,
    /// What this run remembers of the resources it has looked at.
    pub remarks: super::remarks::Remarks,
}

impl Context {
    /// The resourceVersion of the controller's Secret.
    pub fn secret_version(&self) -> Option<String> {
        // A poisoned lock only means that another task panicked; the value is still whole.
        self.secret_version
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Remembers the resourceVersion of the controller's Secret.
    pub fn learn_secret_version(&self, version: Option<&str>) {
        let mut known = self
            .secret_version
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *known = version.map(str::to_owned);
    }

    /// What is known of a replaced credential.
    pub fn rotation(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the next question for GitHub's runners asked anew.
    pub async fn forget_runners(&self) {
        *self.listing.lock().await = None;
    }

    /// The events of a namespace that can tell why something does not come: one listing serves all that ask at the same
    /// time, the pools of a namespace above all.
    pub async fn events(&self, namespace: &str) -> Result<Arc<Vec<Value>>> {
        let mut listings = self.events.lock().await;
        if let Some((taken, events)) = listings.get(namespace)
            && taken.elapsed() < EVENTS_AGE
        {
            return Ok(Arc::clone(events));
        }
        let mut events = Vec::new();
        for fields in TELLING {
            let selection = Selection::namespaced("v1", "Event", namespace).with_fields(fields);
            self.kube
                .each(&selection, |it| events.push(it.clone()))
                .await?;
        }
        let events = Arc::new(events);
        listings.insert(namespace.into(), (Instant::now(), Arc::clone(&events)));
        Ok(events)
    }

    /// All runners of the profile's scope, and of the accounts of its pools: one listing serves the pools that ask at the same time.
    pub async fn runners(&self) -> Result<Arc<Vec<Runner>>> {
        let mut listing = self.listing.lock().await;
        if let Some((taken, runners)) = listing.as_ref()
            && taken.elapsed() < age(runners.len())
        {
            return Ok(Arc::clone(runners));
        }
        let runners = self.list_runners().await?;
        *listing = Some((Instant::now(), Arc::clone(&runners)));
        Ok(runners)
    }
}

/// How long a listing of so many runners serves.
fn age(runners: usize) -> Duration {
    let pages = u32::try_from(runners / 100 + 1).unwrap_or(u32::MAX);
    LISTING_AGE.max(LISTING_AGE_PER_PAGE.saturating_mul(pages))
}

/// The scope of a profile. Loading refuses one that has none, so the error is only for those who build one themselves.
pub fn scope(profile: &Profile) -> Result<Scope<'_>> {
    profile.github.scope().ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            "the profile names no GitHub scope",
        )
        .hint("set github.enterprise, github.organization or github.repository")
    })
}
