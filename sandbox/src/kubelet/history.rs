//! The kubelets' state of pods between two polls.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use super::command::Ended;

/// What is remembered of one pod.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// When the pod was first seen on its node.
    pub(super) accepted: Instant,
    /// How often mounting its volumes has failed.
    pub(super) mounts: u32,
    /// Its address, once it has one.
    pub(super) address: Option<String>,
    /// The containers whose images are on the node.
    pub(super) pulled: HashSet<String>,
    /// The init containers that have been started, in their order.
    pub(super) inits: Vec<Init>,
    /// Since when its containers run.
    pub(super) running: Option<Instant>,
    /// How the command of its container has ended.
    pub(super) ended: Option<Ended>,
    /// Since when it is ending.
    pub(super) ending: Option<Instant>,
    /// Before this, nothing is tried again; the kubelet's own writes wake it up early.
    pub(super) retry: Option<Instant>,
}

/// An init container that runs, or has ended well.
#[derive(Clone, Debug)]
pub(super) struct Init {
    pub(super) started: Instant,
    pub(super) since: Timestamp,
    pub(super) ended: Option<Timestamp>,
}

impl Init {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            started: Instant::now(),
            since: now,
            ended: None,
        }
    }
}

impl History {
    fn new() -> Self {
        Self {
            accepted: Instant::now(),
            mounts: 0,
            address: None,
            pulled: HashSet::new(),
            inits: Vec::new(),
            running: None,
            ended: None,
            ending: None,
            retry: None,
        }
    }

    /// How long nothing is to be tried; `None` is not at all.
    pub(super) fn rest(&self) -> Option<Duration> {
        let left = self.retry?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}

/// What is remembered of all pods, by UID.
#[derive(Default)]
pub(super) struct Histories {
    pods: Mutex<HashMap<String, History>>,
}

impl Histories {
    /// What is remembered of a pod; a new one is remembered from now on.
    pub(super) fn of(&self, uid: &str) -> History {
        match self.pods.lock() {
            Ok(mut pods) => pods
                .entry(uid.to_owned())
                .or_insert_with(History::new)
                .clone(),
            Err(_) => History::new(),
        }
    }

    pub(super) fn change(&self, uid: &str, change: impl FnOnce(&mut History)) {
        if let Ok(mut pods) = self.pods.lock() {
            change(pods.entry(uid.to_owned()).or_insert_with(History::new));
        }
    }

    pub(super) fn forget(&self, uid: &str) {
        if let Ok(mut pods) = self.pods.lock() {
            pods.remove(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_rests_until_its_retry() {
        let histories = Histories::default();
        assert_eq!(histories.of("u").rest(), None);
        let later = Instant::now() + Duration::from_mins(1);
        histories.change("u", |history| history.retry = Some(later));
        assert!(
            histories
                .of("u")
                .rest()
                .is_some_and(|left| left > Duration::from_secs(50))
        );
        histories.forget("u");
        assert_eq!(histories.of("u").rest(), None);
    }
}
