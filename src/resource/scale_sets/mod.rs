//! Runner scale sets of GitHub's own controller: whether one is registered and works, its minimum, its runners, its removal.
//!
//! The controller and the listener write almost everything: arcctl reads it, writes `spec.minRunners` alone (reference:
//! scale-sets.md 4, "who owns what"), and deletes a listener whose place another one has taken, which nobody else does.

pub(crate) mod access;
pub(crate) mod by_hand;
pub(crate) mod compared;
pub(crate) mod drain;
pub(crate) mod events;
mod going;
pub(crate) mod listener;
mod minimum;
pub(crate) mod minor;
pub mod objects;
pub(crate) mod online;
pub(crate) mod recorded;
pub(crate) mod registered;
pub(crate) mod runners;
pub(crate) mod superseded;

use jiff::Timestamp;

use crate::{clients::kube::Target, desired::resource::scale_set::ScaleSet};

pub use crate::desired::names::SCALE_SET_API_VERSION as API_VERSION;

impl ScaleSet {
    /// The minimum in force at a given time. The maximum bounds it: the listener refuses to start with a larger one.
    pub fn minimum_at(&self, at: Timestamp) -> u32 {
        let schedule = self.schedule.as_ref();
        let min = schedule.map_or(self.min, |it| it.min_at(self.min, at));
        min.min(self.max)
    }

    /// The minimum in force now.
    pub(crate) fn minimum_now(&self) -> u32 {
        self.minimum_at(Timestamp::now())
    }

    /// What a successful run has proven about it, for a given time.
    pub fn promise(&self, at: Timestamp) -> String {
        let min = self.minimum_at(at);
        format!("scale set {} online (at least {min} runners)", self.name)
    }

    /// Its `AutoscalingRunnerSet`.
    fn target(&self) -> Target {
        objects::set(&self.namespace, &self.name)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A scale set with a minimum of 2, and of 8 at the weekend, of which the maximum allows 5.
    pub(crate) fn scale_set() -> ScaleSet {
        let schedule = serde_json::json!({"timeZone": "Asia/Seoul", "windows": [
            {"name": "weekend", "from": "Sat 00:00", "to": "Mon 00:00", "min": 8}]});
        ScaleSet {
            namespace: "actions-runner".into(),
            name: "fast".into(),
            group: None,
            labels: vec!["gpu".into()],
            controller_namespace: "arc-systems".into(),
            controller: "arc-gha-rs-controller".into(),
            secret: "arcctl-github-fast".into(),
            chart_version: "0.14.2".into(),
            min: 2,
            max: 5,
            schedule: Some(serde_json::from_value(schedule).unwrap()),
            profile: "p".into(),
        }
    }

    #[test]
    fn the_minimum_in_force_is_never_above_the_maximum() {
        let at = |time: &str| scale_set().minimum_at(time.parse().unwrap());
        // A Sunday and a Tuesday.
        assert_eq!(at("2026-11-22T03:00:00Z"), 5);
        assert_eq!(at("2026-11-24T03:00:00Z"), 2);
    }
}
