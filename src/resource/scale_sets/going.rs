//! The steps of the removal of a scale set. Pure: no I/O.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    objects::{Objects, job, name},
    registered::is_available,
    superseded::superseded,
};
use crate::{
    desired::resource::scale_set::SetRecord,
    resource::{deletion::Removal, observed::Readiness},
};

/// How long the controller takes at most for a set that is being deleted; after that arcctl removes it with `--force`.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// What is known of a scale set that goes.
pub(super) struct Going {
    /// The objects that are left.
    pub(super) objects: Objects,
    /// The controller's Deployment.
    pub(super) controller: Option<Value>,
    /// Whether the Secret that the controller reads exists.
    pub(super) has_secret: bool,
    /// Its record in the inventory.
    pub(super) recorded: Option<SetRecord>,
}

/// The next step.
pub(super) enum Next {
    /// Nothing is left.
    Gone,
    /// Take no new jobs, and have no former listener.
    Quiet,
    /// Create the Secret again, without which the controller cannot deregister anything.
    PutBack,
    /// Delete its `AutoscalingRunnerSet`.
    Delete,
    /// Keep what GitHub has of it, with the jobs that wait: it comes back.
    Keep,
    /// Remove its objects without the controller.
    Free,
    /// Delete it at GitHub.
    Deregister(u64),
    /// Remove its record: GitHub does not have it any more.
    Forget,
    /// Wait for this.
    Wait(Readiness),
}

/// Who removes the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The controller.
    Controller,
    /// Nobody now: it may come back.
    Waiting,
    /// arcctl.
    ByHand,
}

impl Way {
    /// Who removes the objects of a set that `hangs`, or does not.
    pub(super) fn of(removal: &Removal, going: &Going, hangs: bool) -> Self {
        let has_no_replicas = |it: &Value| it["spec"]["replicas"] == 0;
        let is_gone = going.controller.as_ref().is_none_or(has_no_replicas);
        // Without the credential the controller cannot deregister anything, and waits for ever.
        if is_gone || removal.without_github.is_some() {
            return Self::ByHand;
        }
        let available = is_available(going.controller.as_ref());
        match (removal.force, available) {
            (true, false) => Self::ByHand,
            (true, true) if hangs => Self::ByHand,
            (_, true) => Self::Controller,
            (false, false) => Self::Waiting,
        }
    }
}

impl Going {
    /// Whether something of the set has been going for long, or is left without the set, so that nobody removes it.
    pub(super) fn hangs(&self, now: Timestamp) -> bool {
        let it = &self.objects;
        let rest = it
            .listeners
            .iter()
            .chain(&it.runner_sets)
            .chain(&it.runners);
        let deleted = it.set.iter().chain(rest).filter_map(|it| {
            let time = it["metadata"]["deletionTimestamp"].as_str()?;
            time.parse::<Timestamp>().ok()
        });
        match deleted.min() {
            Some(oldest) => now.duration_since(oldest) > PATIENCE,
            None => it.set.is_none(),
        }
    }
}

/// The next step for a set that nobody has deleted yet.
pub(super) fn next_of_live(live: &Value, going: &Going, way: Way, force: bool) -> Next {
    let spec = &live["spec"];
    if way == Way::Controller && !going.has_secret {
        return Next::PutBack;
    }
    // Without a maximum it is unlimited. A former listener is told nothing, and takes jobs until it is deleted.
    let has_former =
        way == Way::Controller && !superseded(&going.objects.listeners, live).is_empty();
    if spec["maxRunners"] != 0 || spec["minRunners"].as_u64().unwrap_or(0) > 0 || has_former {
        return Next::Quiet;
    }
    // Of a listener the field is left out where it is 0.
    let takes_jobs = |it: &&Value| it["spec"]["maxRunners"].as_u64().unwrap_or(0) > 0;
    if way == Way::Controller
        && let Some(listener) = going.objects.listeners.iter().find(takes_jobs)
    {
        return Next::Wait(Readiness::progressing(format!(
            "listener `{}` does not have the maximum of 0 yet",
            name(listener)
        )));
    }
    if let Some(waits) = busy(going).filter(|_| !force) {
        return Next::Wait(waits);
    }
    match way {
        Way::ByHand => Next::Free,
        Way::Controller | Way::Waiting => Next::Delete,
    }
}

/// The next step where arcctl removes the objects.
pub(super) fn free(going: &Going, force: bool) -> Next {
    match busy(going).filter(|_| !force) {
        Some(waits) => Next::Wait(waits),
        None => Next::Free,
    }
}

/// The first runner that runs a job.
pub(super) fn busy(going: &Going) -> Option<Readiness> {
    let runners = &going.objects.runners;
    let all: Vec<(&str, String)> = runners
        .iter()
        .filter_map(|it| Some((name(it), job(it)?)))
        .collect();
    let (first, job) = all.first()?;
    let more = match all.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more have a job"),
    };
    Some(Readiness::progressing(format!(
        "runner `{first}` runs {job}{more}"
    )))
}

/// The Secret that the controller reads for a set.
pub(super) fn secret_of(set: &Value) -> Option<&str> {
    set["spec"]["githubConfigSecret"].as_str()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn going(listener_max: u64, job: &str) -> Going {
        Going {
            objects: Objects {
                listeners: vec![
                    json!({"metadata": {"name": "l"}, "spec": {"maxRunners": listener_max}}),
                ],
                runners: vec![json!({"metadata": {"name": "r"}, "status": {"jobId": job}})],
                ..Objects::default()
            },
            controller: None,
            has_secret: true,
            recorded: None,
        }
    }

    fn set(max: u64) -> Value {
        json!({"spec": {"maxRunners": max, "minRunners": 0}})
    }

    #[test]
    fn a_set_is_quiet_and_idle_before_it_is_deleted() {
        let next = |set: &Value, going: &Going, way, force| next_of_live(set, going, way, force);
        let idle = going(0, "");
        assert!(matches!(
            next(&set(3), &idle, Way::Controller, false),
            Next::Quiet
        ));
        assert!(matches!(
            next(&json!({}), &idle, Way::Controller, true),
            Next::Quiet
        ));
        let late = going(3, "");
        assert!(matches!(
            next(&set(0), &late, Way::Controller, false),
            Next::Wait(_)
        ));
        // Without a controller the listener is never told.
        assert!(matches!(
            next(&set(0), &late, Way::ByHand, false),
            Next::Free
        ));
        let busy = going(0, "7");
        assert!(matches!(
            next(&set(0), &busy, Way::Controller, false),
            Next::Wait(_)
        ));
        assert!(matches!(
            next(&set(0), &busy, Way::Controller, true),
            Next::Delete
        ));
        assert!(matches!(
            next(&set(0), &idle, Way::Controller, false),
            Next::Delete
        ));
    }

    #[test]
    fn a_former_listener_goes_before_the_set() {
        let listener = |time: &str, max: u64| json!({"metadata": {"name": time, "creationTimestamp": time}, "spec": {"maxRunners": max}});
        let mut two = going(0, "");
        two.objects.listeners = vec![listener("2026-01-01", 3), listener("2026-01-02", 0)];
        let next = |way| next_of_live(&set(0), &two, way, false);
        assert!(matches!(next(Way::Controller), Next::Quiet));
        assert!(matches!(next(Way::ByHand), Next::Free));
    }

    #[test]
    fn a_secret_that_is_gone_is_put_back_first() {
        let without = Going {
            has_secret: false,
            ..going(0, "")
        };
        let next = next_of_live(&set(0), &without, Way::Controller, false);
        assert!(matches!(next, Next::PutBack));
    }

    #[test]
    fn arcctl_removes_it_only_where_the_controller_cannot() {
        let way = |controller: Option<Value>, removal: Removal, hangs| {
            let going = Going {
                controller,
                ..going(0, "")
            };
            Way::of(&removal, &going, hangs)
        };
        let works = || Some(json!({"spec": {"replicas": 1}, "status": {"availableReplicas": 1}}));
        let broken = || Some(json!({"spec": {"replicas": 1}}));
        let force = || Removal::new(true, BTreeSet::new());
        assert_eq!(way(None, Removal::default(), false), Way::ByHand);
        let none = Some(json!({"spec": {"replicas": 0}}));
        assert_eq!(way(none, Removal::default(), false), Way::ByHand);
        assert_eq!(way(works(), Removal::default(), true), Way::Controller);
        assert_eq!(way(works(), force(), false), Way::Controller);
        assert_eq!(way(works(), force(), true), Way::ByHand);
        assert_eq!(way(broken(), Removal::default(), false), Way::Waiting);
        assert_eq!(way(broken(), force(), false), Way::ByHand);
        let mut without = force();
        without.without_github = Some("401".into());
        assert_eq!(way(works(), without, false), Way::ByHand);
    }

    #[test]
    fn who_still_works_is_told() {
        let waits = busy(&going(0, "7")).unwrap();
        assert_eq!(waits.reason(), Some("runner `r` runs a job"));
        assert!(busy(&going(0, "")).is_none());
    }
}
