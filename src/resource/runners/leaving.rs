//! The states of runners in a pool that is removed, and the next step for each. Pure: no I/O.
//!
//! A runner is deleted in the cluster only once it can get no job: it was removed at GitHub, or never registered. Only
//! GitHub knows whether a runner is idle; it refuses to remove one with a job (422,
//! docs.github.com: "Delete a self-hosted runner"). A list may be outdated.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{resource::observed::Readiness, units::listed::first_of};

/// The annotation with GitHub's id of a runner, which the controller adds once GitHub lists it (reference: arc.md 2.1).
pub(super) const ID: &str = "actions-runner/id";

/// The annotation that the controller adds once it has removed the runner at GitHub (reference: arc.md 2.1).
pub(super) const LEFT_GITHUB: &str = "actions-runner/unregistration-complete-timestamp";

/// How long after its start a runner can still register: the image's start script tries ten times, with pauses
/// (reference: arc.md 2.1, the entry point), and then ends.
const REGISTERS_WITHIN: SignedDuration = SignedDuration::from_mins(2);

/// The state of a runner that is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It runs a job.
    Busy,
    /// GitHub lists it without a job: it must be removed there first.
    Listed,
    /// GitHub lists it, but the controller has not added its id yet. If it were removed now, the controller would find no
    /// registration, and keep the pod until ten minutes after it was ready (reference: arc.md 2.1).
    Unnoted,
    /// It runs and GitHub does not list it yet: it can register, and get a job, at any moment.
    Starting,
    /// It can get no job.
    Unreachable,
}

/// A runner of the pool.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    /// The name of the Runner, the pod and the runner at GitHub.
    pub(super) name: String,
    /// Its state.
    pub(super) state: State,
    /// Whether its objects are terminating already, so that only finalizers are waited for.
    pub(super) ending: bool,
}

/// The next step for the remaining runners.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Remove these: at GitHub first, then in the cluster.
    Remove(Vec<String>),
    /// Wait for this.
    Wait(Readiness),
}

/// How the runners are removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'a> {
    /// Jobs are ended (`--force`).
    pub(super) force: bool,
    /// Why the controller cannot do its part, so that arcctl does it.
    pub(super) by_hand: Option<&'a str>,
}

/// The state of the runner in `pod`; `listed`: whether GitHub lists it, and whether it runs a job.
pub(super) fn state(pod: Option<&Value>, listed: Option<bool>, now: Timestamp) -> State {
    match (listed, pod) {
        (Some(true), _) => State::Busy,
        (Some(false), Some(pod)) if may_register(pod, now) => State::Unnoted,
        (Some(false), _) => State::Listed,
        (None, Some(pod)) if may_register(pod, now) => State::Starting,
        // Nothing runs without a pod.
        (None, _) => State::Unreachable,
    }
}

/// Whether the runner in a pod can still register, by the controller's annotations. A runner that was registered or removed
/// does not return: a registration token is used only at the start.
fn may_register(pod: &Value, now: Timestamp) -> bool {
    let annotation = |key: &str| pod["metadata"]["annotations"][key].as_str();
    if annotation(ID).is_some() || annotation(LEFT_GITHUB).is_some() {
        return false;
    }
    let Some(started) = runs_since(pod) else {
        return false;
    };
    // A time that cannot be parsed counts as now.
    let started = started.parse::<Timestamp>();
    started.map_or(true, |it| now.duration_since(it) < REGISTERS_WITHIN)
}

/// Since when the runner container runs; `None` where it has not started, or has ended.
fn runs_since(pod: &Value) -> Option<&str> {
    let statuses = pod["status"]["containerStatuses"].as_array()?;
    let runner = statuses.iter().find(|it| it["name"] == "runner")?;
    let running = &runner["state"]["running"];
    running
        .is_object()
        .then(|| running["startedAt"].as_str().unwrap_or_default())
}

/// Whether the runner container runs.
pub(super) fn runs(pod: &Value) -> bool {
    runs_since(pod).is_some()
}

/// The next step for the runners in `left`; `known` is an error with the reason if GitHub could not be called.
pub(super) fn decide(left: &[Leaving], known: Result<(), &str>, way: Way<'_>) -> Next {
    let names = |of: &dyn Fn(&Leaving) -> bool| -> Vec<String> {
        let left = left.iter().filter(|it| of(it));
        left.map(|it| it.name.clone()).collect()
    };
    if way.force {
        return Next::Remove(names(&|_| true));
    }
    if let Err(why) = known {
        let reason = format!("cannot determine whether its runners have a job: {why}");
        let hint = "fix that, or delete the runners anyway with `arcctl teardown --force`";
        return Next::Wait(Readiness::stuck(reason, hint));
    }
    let go = names(&|it| match it.state {
        State::Listed => true,
        State::Unnoted => way.by_hand.is_some(),
        State::Unreachable => way.by_hand.is_some() || !it.ending,
        State::Busy | State::Starting => false,
    });
    if !go.is_empty() {
        return Next::Remove(go);
    }
    let busy = names(&|it| it.state == State::Busy);
    if !busy.is_empty() {
        let hint = "wait for the jobs to end with a longer `--timeout` or `timeouts.drain`, or end them with `arcctl teardown --force`";
        let have = if busy.len() == 1 { "has" } else { "have" };
        let reason = format!(
            "{} still {have} a job: {}",
            count(busy.len()),
            listed(&busy)
        );
        return Next::Wait(Readiness::stuck(reason, hint));
    }
    let unnoted = names(&|it| it.state == State::Unnoted);
    if !unnoted.is_empty() {
        return Next::Wait(Readiness::progressing(format!(
            "the controller has not recorded the registration of {} yet: {}",
            count(unnoted.len()),
            listed(&unnoted)
        )));
    }
    let starting = names(&|it| it.state == State::Starting);
    Next::Wait(Readiness::progressing(if starting.is_empty() {
        format!(
            "the controller removes {}: {}",
            count(left.len()),
            listed(&names(&|_| true))
        )
    } else {
        let have = if starting.len() == 1 { "has" } else { "have" };
        format!(
            "{} {have} just started and may still register and take a job: {}",
            count(starting.len()),
            listed(&starting)
        )
    }))
}

/// The first few names; a pool can have hundreds.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let names = names.iter().map(|it| format!("`{it}`"));
    first_of(names, SHOWN, [", ", " "])
}

pub(super) fn count(runners: usize) -> String {
    match runners {
        1 => "1 runner".to_owned(),
        more => format!("{more} runners"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-11-26T00:10:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn pod(container: &Value, annotations: &Value) -> Value {
        json!({
            "metadata": {"name": "a", "annotations": annotations},
            "status": {"containerStatuses": [
                {"name": "docker", "state": {"running": {"startedAt": NOW}}},
                {"name": "runner", "state": container},
            ]},
        })
    }

    fn running(since: &str) -> Value {
        json!({"running": {"startedAt": since}})
    }

    #[test]
    fn what_github_lists_is_busy_or_to_be_removed_there_whatever_its_pod_does() {
        let ended = pod(&json!({"terminated": {"exitCode": 0}}), &json!({}));
        for pod in [None, Some(&ended)] {
            assert_eq!(state(pod, Some(true), now()), State::Busy);
            assert_eq!(state(pod, Some(false), now()), State::Listed);
        }
    }

    #[test]
    fn a_runner_that_is_not_listed_is_only_unreachable_when_it_cannot_register_any_more() {
        let of = |container: &Value, annotations: Value| {
            state(Some(&pod(container, &annotations)), None, now())
        };
        let young = running("2026-11-26T00:09:30Z");
        assert_eq!(of(&young, json!({})), State::Starting);
        // The local clock is behind the node's.
        assert_eq!(
            of(&running("2026-11-26T00:11:00Z"), json!({})),
            State::Starting
        );
        assert_eq!(of(&running("not a time"), json!({})), State::Starting);
        let long_ago = running("2026-11-26T00:07:59Z");
        assert_eq!(of(&long_ago, json!({})), State::Unreachable);
        // It was registered, so its job is done or it was removed.
        assert_eq!(of(&young, json!({ID: "7"})), State::Unreachable);
        assert_eq!(of(&young, json!({LEFT_GITHUB: NOW})), State::Unreachable);
        let ended = json!({"terminated": {"exitCode": 0}});
        assert_eq!(of(&ended, json!({})), State::Unreachable);
        let pulling = json!({"waiting": {"reason": "ContainerCreating"}});
        assert_eq!(of(&pulling, json!({})), State::Unreachable);
        assert_eq!(state(None, None, now()), State::Unreachable);
    }

    #[test]
    fn what_the_controller_has_not_noted_is_left_registered_until_it_has() {
        let young = now() - SignedDuration::from_secs(20);
        let container = running(&young.to_string());
        let of =
            |annotations: Value| state(Some(&pod(&container, &annotations)), Some(false), now());
        assert_eq!(of(json!({})), State::Unnoted);
        assert_eq!(of(json!({ID: "7"})), State::Listed);
        let left = [leaving("a", State::Unnoted, false)];
        let way = |by_hand| Way {
            force: false,
            by_hand,
        };
        assert!(matches!(decide(&left, Ok(()), way(None)), Next::Wait(_)));
        assert_eq!(
            decide(&left, Ok(()), way(Some("it is gone"))),
            Next::Remove(vec!["a".into()])
        );
    }

    fn leaving(name: &str, state: State, ending: bool) -> Leaving {
        Leaving {
            name: name.into(),
            state,
            ending,
        }
    }

    const GENTLY: Way<'_> = Way {
        force: false,
        by_hand: None,
    };

    const BY_HAND: Way<'_> = Way {
        force: false,
        by_hand: Some("the controller does not run"),
    };

    const BY_FORCE: Way<'_> = Way {
        force: true,
        by_hand: None,
    };

    fn reason(next: &Next) -> &str {
        match next {
            Next::Wait(readiness) => readiness.reason().unwrap(),
            Next::Remove(names) => panic!("{names:?} would go"),
        }
    }

    #[test]
    fn only_force_removes_a_runner_with_a_job() {
        let left = [
            leaving("a", State::Listed, false),
            leaving("b", State::Busy, false),
            leaving("c", State::Starting, false),
            leaving("d", State::Unreachable, false),
        ];
        let go = |way| decide(&left, Ok(()), way);
        let names = |names: &[&str]| Next::Remove(names.iter().map(ToString::to_string).collect());
        assert_eq!(go(GENTLY), names(&["a", "d"]));
        assert_eq!(go(BY_HAND), names(&["a", "d"]));
        assert_eq!(go(BY_FORCE), names(&["a", "b", "c", "d"]));
        assert_eq!(
            reason(&decide(&left[1..3], Ok(()), BY_HAND)),
            "1 runner still has a job: `b`"
        );
        assert_eq!(
            reason(&decide(&left[2..3], Ok(()), GENTLY)),
            "1 runner has just started and may still register and take a job: `c`"
        );
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_idle() {
        let left = [leaving("a", State::Unreachable, false)];
        for way in [GENTLY, BY_HAND] {
            let next = decide(&left, Err("no answer"), way);
            assert!(reason(&next).ends_with("have a job: no answer"));
        }
        assert_eq!(
            decide(&left, Err("no answer"), BY_FORCE),
            Next::Remove(vec!["a".into()])
        );
    }

    #[test]
    fn what_ends_already_is_left_to_the_controller_where_there_is_one() {
        let left: Vec<Leaving> = (0..7)
            .map(|it| leaving(&format!("r{it}"), State::Unreachable, true))
            .collect();
        assert_eq!(
            reason(&decide(&left, Ok(()), GENTLY)),
            "the controller removes 7 runners: `r0`, `r1`, `r2`, `r3`, `r4` and 2 more"
        );
        assert!(matches!(decide(&left, Ok(()), BY_HAND), Next::Remove(it) if it.len() == 7));
        // GitHub still lists it: it is removed there, whatever the controller does.
        let listed = [leaving("a", State::Listed, true)];
        assert!(matches!(decide(&listed, Ok(()), GENTLY), Next::Remove(_)));
    }
}
