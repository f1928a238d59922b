//! The pods of a run's runners: the dry runs and the pulls of images need them, and each takes a whole manifest to compute.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::{
    desired::{DesiredError, lock::Pins, pool::dry_run_pod::runner_pod},
    profile::{Pool, Profile},
    resource::context::Context,
};

/// The pods that were computed, by the namespace and name of their pool.
#[derive(Debug, Default)]
pub struct RunnerPods(Mutex<HashMap<(String, String), Arc<Value>>>);

impl RunnerPods {
    /// The pod of a runner of `pool` with its images pinned, computed once; `profile` and `pins` are the same in every call.
    fn of(&self, profile: &Profile, pool: &Pool, pins: &Pins) -> Result<Arc<Value>, DesiredError> {
        let key = (pool.namespace.clone(), pool.name.clone());
        // A poisoned lock only means that another task panicked; the value is still whole.
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = made.get(&key) {
            return Ok(Arc::clone(known));
        }
        let mut pod = runner_pod(profile, pool)?;
        pins.pin(&mut pod);
        let pod = Arc::new(pod);
        made.insert(key, Arc::clone(&pod));
        Ok(pod)
    }
}

impl Context {
    /// The pod of a runner of a pool of this run's profile.
    pub fn runner_pod(&self, pool: &Pool) -> Result<Arc<Value>, DesiredError> {
        self.pods.of(&self.profile, pool, &self.pins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_computed_once_for_each_pool() {
        let text = include_str!("../../../profiles/reference.yaml");
        let profile = crate::profile::load(text, "reference").unwrap().profile;
        let pool = &profile.pools[0];
        let pods = RunnerPods::default();
        let pins = Pins::default();
        let first = pods.of(&profile, pool, &pins).unwrap();
        assert_eq!(*first, runner_pod(&profile, pool).unwrap());
        assert!(Arc::ptr_eq(
            &first,
            &pods.of(&profile, pool, &pins).unwrap()
        ));
        // Pools of one name in two namespaces have two pods.
        let elsewhere = Pool {
            namespace: "elsewhere".into(),
            ..pool.clone()
        };
        let other = pods.of(&profile, &elsewhere, &pins).unwrap();
        assert_eq!(other["metadata"]["namespace"], "elsewhere");
    }

    #[test]
    fn the_images_of_a_pod_are_pinned() {
        let text = include_str!("../../../profiles/reference.yaml");
        let profile = crate::profile::load(text, "reference").unwrap().profile;
        let pool = &profile.pools[0];
        let image = runner_pod(&profile, pool).unwrap()["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap()
            .to_owned();
        let lock = serde_json::json!({"version": 1, "profile": "x", "charts": [], "images": [
            {"image": image, "digest": "sha256:1", "from": [], "locked": "2026-11-27T00:00:00Z"}]});
        let lock = crate::desired::lock::Lock::parse(&lock.to_string()).unwrap();
        let pod = RunnerPods::default()
            .of(&profile, pool, &Pins::of(&lock))
            .unwrap();
        let pinned = &pod["spec"]["containers"][0]["image"];
        assert_eq!(*pinned, format!("{image}@sha256:1"));
    }
}
