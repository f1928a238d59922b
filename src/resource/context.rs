//! The context of a run: the clients, the credential, and facts that the run has found.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    aws::consistency::Writes,
    kubernetes::crds::known::Known,
    pods::{made::RunnerPods, status::claims},
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
    desired::lock::Pins,
    error::{Error, ErrorKind, Result, System},
    profile::{Profile, Scope},
};

/// How long a list of GitHub's runners is cached for all pools, at least.
const LISTING_AGE: Duration = Duration::from_millis(400);

/// How long it is cached per page: GitHub's long-term limit for a login is ten requests per
/// second (docs.github.com: 900 points a minute).
const LISTING_AGE_PER_PAGE: Duration = Duration::from_millis(100);

/// All runners of the scope, and when they were listed.
pub type Listing = tokio::sync::Mutex<Option<(Instant, Arc<Vec<Runner>>)>>;

/// How long a list of a namespace's events is cached.
const EVENTS_AGE: Duration = Duration::from_millis(900);

/// The field selectors of events: warnings, and the one failure that the controller reports as `Normal` (reference:
/// arc.md 2.3). A busy namespace has thousands of other events.
const TELLING: [&str; 2] = ["type!=Normal", "reason=RunnerAutoscalingFailure"];

/// The latest list of each namespace's events, with those of its claims or without, and when it was read.
type Lists = HashMap<(String, bool), (Instant, Arc<Vec<Value>>)>;

/// The latest lists of events, which only one caller at a time reads.
pub type Events = tokio::sync::Mutex<Lists>;

/// The clients of a run.
pub struct Clients {
    /// The API server.
    pub kube: Kube,
    /// AWS, where the profile uses it.
    pub aws: Option<Aws>,
    /// The helm binary.
    pub helm: Helm,
    /// GitHub.
    pub github: GitHub,
    /// The credential for the controller's Secret.
    pub credential: Credential,
    /// The GitHub accounts of pools that have their own.
    pub accounts: Vec<Account>,
}

/// The clients and facts of one run.
pub struct Context {
    /// The profile of this run.
    pub profile: Profile,
    /// The API server.
    pub kube: Kube,
    /// AWS, where the profile uses it.
    pub aws: Option<Aws>,
    /// This run's writes at AWS.
    pub aws_writes: Writes,
    /// The helm binary.
    pub helm: Helm,
    /// GitHub.
    pub github: GitHub,
    /// The credential for the controller's Secret.
    pub credential: Credential,
    /// The GitHub accounts of pools that have their own.
    pub accounts: Vec<Account>,
    /// Whether manually created resources are adopted (`--adopt`).
    pub adopt: bool,
    /// When this run began, by the local clock: earlier events are ignored.
    pub started: jiff::Timestamp,
    /// The API server's version.
    pub kubernetes: (u32, u32),
    /// The free IPv4 addresses of each subnet of the nodes, if EC2 says how many; none where they limit nothing.
    pub free_addresses: BTreeMap<String, Option<u32>>,
    /// The resourceVersion of the controller's Secret, once it is known.
    pub secret_version: Mutex<Option<String>>,
    /// The state of a credential rotation in this run.
    pub rotation: Mutex<Rotation>,
    /// The digests of the lock: every pod is made with them. None without a lock.
    pub pins: Pins,
    /// The pods of the runners, as far as they were computed.
    pub pods: RunnerPods,
    /// The latest list of GitHub's runners.
    pub listing: Listing,
    /// The latest lists of events.
    pub events: Events,
    /// The CRDs that need not be read whole.
    pub crds: Known,
    /// The state of deletions in this run.
    pub removal: super::deletion::Removal,
    /// Remarks on the resources of this run.
    pub remarks: super::remarks::Remarks,
}

impl Context {
    /// The context of a run that begins now, adopts nothing and has found nothing yet. The only place that makes one.
    pub fn new(profile: Profile, clients: Clients, kubernetes: (u32, u32)) -> Self {
        let Clients {
            kube,
            aws,
            helm,
            github,
            credential,
            accounts,
        } = clients;
        // It is compared with the times of events.
        let started = kube.now();
        Self {
            profile,
            kube,
            aws,
            aws_writes: Writes::default(),
            helm,
            github,
            credential,
            accounts,
            adopt: false,
            started,
            kubernetes,
            free_addresses: BTreeMap::new(),
            secret_version: Mutex::default(),
            rotation: Mutex::default(),
            pins: Pins::default(),
            pods: RunnerPods::default(),
            listing: Listing::default(),
            events: Events::default(),
            crds: Known::default(),
            removal: super::deletion::Removal::default(),
            remarks: super::remarks::Remarks::default(),
        }
    }

    /// The resourceVersion of the controller's Secret.
    pub fn secret_version(&self) -> Option<String> {
        // A poisoned lock only means that another task panicked; the value is still whole.
        self.secret_version
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Records the resourceVersion of the controller's Secret.
    pub fn learn_secret_version(&self, version: Option<&str>) {
        let mut known = self
            .secret_version
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *known = version.map(str::to_owned);
    }

    /// The state of the credential rotation.
    pub fn rotation(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clears the cached list of runners.
    pub async fn forget_runners(&self) {
        *self.listing.lock().await = None;
    }

    /// The events of a namespace that can explain a failure, cached for concurrent callers,
    /// such as the pools of one namespace.
    pub async fn events(&self, namespace: &str) -> Result<Arc<Vec<Value>>> {
        self.telling(namespace, false).await
    }

    /// The same for `pods` of a namespace: also what is told of their claims, where one of them may wait for it.
    pub async fn events_about(&self, namespace: &str, pods: &[Value]) -> Result<Arc<Vec<Value>>> {
        let of_claims = pods.iter().any(claims::may_wait);
        self.telling(namespace, of_claims).await
    }

    async fn telling(&self, namespace: &str, of_claims: bool) -> Result<Arc<Vec<Value>>> {
        let mut listings = self.events.lock().await;
        if let Some(events) = cached(&listings, namespace, of_claims) {
            return Ok(events);
        }
        let mut events = Vec::new();
        for fields in selectors(of_claims) {
            let selection = Selection::namespaced("v1", "Event", namespace).with_fields(fields);
            self.kube
                .each(&selection, |it| events.push(it.clone()))
                .await?;
        }
        let events = Arc::new(events);
        let key = (namespace.to_owned(), of_claims);
        listings.insert(key, (Instant::now(), Arc::clone(&events)));
        Ok(events)
    }

    /// All runners of the profile's scope and of its pools' accounts, cached for concurrent callers.
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

/// The field selectors of events that can explain a failure, and of those of claims: some of these are `Normal` too.
fn selectors(of_claims: bool) -> Vec<String> {
    let mut all = Vec::from(TELLING.map(str::to_owned));
    if of_claims {
        all.extend(claims::NORMAL.iter().map(|it| format!("reason={it}")));
    }
    all
}

/// The list of a namespace's events, if it is new enough. One with the events of claims answers either request.
fn cached(lists: &Lists, namespace: &str, of_claims: bool) -> Option<Arc<Vec<Value>>> {
    [true, of_claims]
        .iter()
        .filter_map(|it| lists.get(&(namespace.to_owned(), *it)))
        .find(|(taken, _)| taken.elapsed() < EVENTS_AGE)
        .map(|(_, events)| Arc::clone(events))
}

/// How long a list of this many runners is cached.
fn age(runners: usize) -> Duration {
    let pages = u32::try_from(runners / 100 + 1).unwrap_or(u32::MAX);
    LISTING_AGE.max(LISTING_AGE_PER_PAGE.saturating_mul(pages))
}

/// The scope of a profile. Loading rejects a profile without one, so the error is only for code that builds one itself.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the success, an earlier failure of a claim that is bound since would count.
    #[test]
    fn what_ends_the_failure_of_a_claim_is_read_with_it() {
        let success = "reason=ProvisioningSucceeded".to_owned();
        assert!(selectors(true).contains(&success));
        assert!(!selectors(false).contains(&success));
    }

    #[test]
    fn events_with_those_of_claims_answer_a_request_without_them() {
        let list = |of_claims: bool, taken: Instant| -> Lists {
            let events = (taken, Arc::new(Vec::new()));
            HashMap::from([(("ci".to_owned(), of_claims), events)])
        };
        let new = Instant::now();
        assert!(cached(&list(true, new), "ci", false).is_some());
        assert!(cached(&list(true, new), "ci", true).is_some());
        assert!(cached(&list(false, new), "ci", true).is_none());
        assert!(cached(&list(true, new), "other", false).is_none());
        let old = new.checked_sub(EVENTS_AGE * 2).unwrap();
        assert!(cached(&list(true, old), "ci", false).is_none());
    }
}
