//! What the verbs of a resource work with: the clients, the credential, and what this run has learnt.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::rotation::Rotation;
use crate::{
    clients::{
        aws::Aws,
        credential::Credential,
        github::{GitHub, Runner},
        helm::Helm,
        kube::Kube,
    },
    error::{Error, ErrorKind, Result, System},
    profile::{Profile, Scope},
    resource::aws::writes::Writes,
};

/// How long one listing of GitHub's runners serves all pools, at least.
const LISTING_AGE: Duration = Duration::from_millis(400);

/// How long it serves for each page that it took: ten requests a second are what GitHub lets one login ask for in the
/// long run (docs.github.com: 900 points a minute).
const LISTING_AGE_PER_PAGE: Duration = Duration::from_millis(100);

/// All runners of the scope, and when they were listed.
pub type Listing = tokio::sync::Mutex<Option<(Instant, Arc<Vec<Runner>>)>>;

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
    /// What a run knows that takes things away.
    pub removal: super::removal::Removal,
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

    /// All runners of the profile's scope: one listing serves the pools that ask at the same time.
    pub async fn runners(&self) -> Result<Arc<Vec<Runner>>> {
        let scope = scope(&self.profile)?;
        let mut listing = self.listing.lock().await;
        if let Some((taken, runners)) = listing.as_ref()
            && taken.elapsed() < age(runners.len())
        {
            return Ok(Arc::clone(runners));
        }
        let runners = Arc::new(self.github.runners(scope).await?);
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
