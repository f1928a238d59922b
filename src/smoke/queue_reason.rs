//! Why a job is still queued: finds the likeliest cause from the pool's runners and their group. Pure: no I/O.

use super::job_report::Pods;
use crate::{
    clients::github::{GroupAccess, Runner},
    desired::render::workflow,
    error::Error,
};

/// The labels of a scale set at GitHub, its name among them; `None`: there is no such scale set.
pub(super) type SetLabels = Option<Vec<String>>;

/// The facts while a job is queued.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue<'a> {
    /// The pool.
    pub pool: &'a str,
    /// The labels of the pool's scale set at GitHub, or why they are not known; `None`: the pool is no scale set.
    pub set: Option<&'a Result<SetLabels, Error>>,
    /// The labels of the job.
    pub labels: &'a [String],
    /// The runners of the profile's scope.
    pub runners: &'a [Runner],
    /// The existing pods.
    pub pods: &'a Pods,
    /// The pool's runner group; `None` for the default group.
    pub group: Option<&'a str>,
    /// Whether the group allows the repository, or why that is unknown.
    pub access: Result<&'a GroupAccess, &'a Error>,
    /// The page where groups are changed.
    pub groups_page: &'a str,
    /// `OWNER/NAME`.
    pub repository: &'a str,
    /// The most runners the pool may have.
    pub max: u32,
}

/// Why it is queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// The observation.
    pub reason: String,
    /// The fix.
    pub hint: String,
    /// Whether waiting cannot help.
    pub hopeless: bool,
}

/// The likeliest cause.
pub(super) fn why_queued(queue: &Queue<'_>) -> Cause {
    if let Ok(access) = queue.access
        && let Some(cause) = shut_out(queue, access)
    {
        return cause;
    }
    if let Some(Ok(set)) = queue.set
        && let Some(cause) = not_of_the_set(queue, set.as_deref())
    {
        return cause;
    }
    let (pool, labels) = (queue.pool, queue.labels);
    let is_mine = |it: &&Runner| queue.pods.get(&it.name).is_some_and(|of| of == pool);
    let mine: Vec<&Runner> = queue.runners.iter().filter(is_mine).collect();
    let online: Vec<&Runner> = mine
        .iter()
        .copied()
        .filter(|it| it.status == "online")
        .collect();
    if online.is_empty() {
        return absent(queue, mine.len());
    }
    // GitHub lists no labels of the runners of a scale set (reference: scale-sets.md 4): the set's own are compared above.
    let lacking = |runner: &Runner| {
        let mut labels = labels.iter().filter(|_| queue.set.is_none());
        labels.find(|it| !has(runner, it))
    };
    let matching: Vec<&Runner> = online
        .iter()
        .copied()
        .filter(|it| lacking(it).is_none())
        .collect();
    if matching.is_empty() {
        let label = online.iter().find_map(|it| lacking(it));
        let label = label.map_or("", String::as_str);
        return wait(
            format!("no runner of pool `{pool}` has the label `{label}` that the job asks for"),
            "`arcctl up` gives the runners the labels of the profile; `arcctl render` writes the workflow that asks for them".into(),
        );
    }
    let idle = matching.iter().filter(|it| !it.busy).count();
    if idle > 0 {
        return untaken(queue, idle);
    }
    let (count, max) = (matching.len(), queue.max);
    wait(
        format!("all {count} runners of pool `{pool}` that are online are busy"),
        format!(
            "wait until a job ends, or raise the pool's `min` (its `max` is {max}); `arcctl status` shows how many are busy"
        ),
    )
}

/// No runner is online.
fn absent(queue: &Queue<'_>, registered: usize) -> Cause {
    let pool = queue.pool;
    if registered > 0 {
        return wait(
            format!("none of the {registered} runners of pool `{pool}` is online at GitHub"),
            "`arcctl doctor` shows why".into(),
        );
    }
    let pods = queue.pods.values().filter(|of| *of == pool).count();
    if let Some(set) = queue.set {
        let unknown = set.as_ref().err().map_or_else(String::new, |error| {
            format!(
                "; what GitHub has of its scale set could not be found out: {}",
                error.message
            )
        });
        return wait(
            format!(
                "no runner of scale set `{pool}` is registered at GitHub yet; its pods: {pods}{unknown}"
            ),
            "`arcctl doctor` shows why: its listener, its session, or its runners".into(),
        );
    }
    wait(
        format!("no runner of pool `{pool}` is registered at GitHub; its pods: {pods}"),
        "`arcctl doctor` shows why; a pool that is at 0 needs a metric that sees queued jobs, or a minimum".into(),
    )
}

/// The scale set at GitHub is not one for the job, which waiting does not change.
fn not_of_the_set(queue: &Queue<'_>, set: Option<&[String]>) -> Option<Cause> {
    let pool = queue.pool;
    let Some(own) = set else {
        return Some(wait(
            format!("there is no scale set `{pool}` at GitHub"),
            "`arcctl doctor` shows why its controller has not registered it".into(),
        ));
    };
    let has = |label: &String| own.iter().any(|it| it.eq_ignore_ascii_case(label));
    let label = queue.labels.iter().find(|it| !has(it))?;
    Some(Cause {
        reason: format!(
            "scale set `{pool}` has no label `{label}` at GitHub, only `{}`",
            own.join("`, `")
        ),
        hint: format!(
            "labels are written when a scale set is made, and a GitHub Enterprise Server before 3.21 may drop them: `arcctl doctor --only scale-set-labels` says what to do; `runs-on: {pool}` works without"
        ),
        hopeless: true,
    })
}

/// Idle runners match, and GitHub assigns the job to none.
fn untaken(queue: &Queue<'_>, idle: usize) -> Cause {
    let (unknown, hint) = match queue.access {
        Err(error) => (
            format!(
                "; whether their group admits `{}` could not be found out: {}",
                queue.repository, error.message
            ),
            format!(
                "look at the runner group `{}` at {}",
                group(queue),
                queue.groups_page
            ),
        ),
        Ok(_) => (
            String::new(),
            "look at the health of Actions at GitHub; with an enterprise, at the organization's settings for the group too".into(),
        ),
    };
    let pool = queue.pool;
    wait(
        format!(
            "GitHub has given the job to none of the {idle} idle runners of pool `{pool}` yet{unknown}"
        ),
        hint,
    )
}

fn group<'a>(queue: &Queue<'a>) -> &'a str {
    queue.group.unwrap_or("Default")
}

/// A group that does not allow the repository, which waiting does not change.
fn shut_out(queue: &Queue<'_>, access: &GroupAccess) -> Option<Cause> {
    let (group, repository, pool) = (group(queue), queue.repository, queue.pool);
    let page = queue.groups_page;
    let (reason, hint) = match access {
        GroupAccess::Admitted => return None,
        GroupAccess::NoGroup => (
            format!("there is no runner group `{group}`, which pool `{pool}` names"),
            format!("make it at {page}, or change the `group` of pool `{pool}` in the profile"),
        ),
        GroupAccess::NotSelected(whom) => (
            format!("the runner group `{group}` of pool `{pool}` does not admit {whom}"),
            format!("admit it at {page}, or smoke in a repository that the group admits"),
        ),
        GroupAccess::Public => (
            format!(
                "the runner group `{group}` of pool `{pool}` takes no jobs of public repositories, and `{repository}` is one"
            ),
            format!(
                "smoke in a private or internal repository; letting public ones in, at {page}, lets their forks run code on the runners"
            ),
        ),
        GroupAccess::OtherWorkflows(names) => (
            format!(
                "the runner group `{group}` of pool `{pool}` takes jobs of other workflows only: {}",
                if names.is_empty() {
                    "it names none".to_owned()
                } else {
                    names.join(", ")
                }
            ),
            format!(
                "add `{repository}/{}@BRANCH` to them at {page}",
                workflow::PATH
            ),
        ),
    };
    Some(Cause {
        reason,
        hint,
        hopeless: true,
    })
}

fn has(runner: &Runner, label: &str) -> bool {
    runner
        .labels
        .iter()
        .any(|it| it.name.eq_ignore_ascii_case(label))
}

fn wait(reason: String, hint: String) -> Cause {
    Cause {
        reason,
        hint,
        hopeless: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::System;

    fn runner(name: &str, status: &str, busy: bool, label: &str) -> Runner {
        serde_json::from_value(json!({
            "id": 1, "name": name, "status": status, "busy": busy,
            "labels": [{"name": "self-hosted"}, {"name": label}],
        }))
        .unwrap()
    }

    fn cause(runners: &[Runner], access: Result<&GroupAccess, &Error>) -> Cause {
        cause_of(None, runners, access)
    }

    /// The same of a scale set with these labels.
    fn cause_of(
        set: Option<&Result<SetLabels, Error>>,
        runners: &[Runner],
        access: Result<&GroupAccess, &Error>,
    ) -> Cause {
        let pods = [("a-1", "a"), ("a-2", "a"), ("b-1", "b")];
        why_queued(&Queue {
            pool: "a",
            set,
            labels: &["self-hosted".into(), "x".into()],
            runners,
            pods: &pods.map(|(pod, pool)| (pod.into(), pool.into())).into(),
            group: None,
            access,
            groups_page: "https://g/groups",
            repository: "o/r",
            max: 3,
        })
    }

    #[test]
    fn the_cause_is_the_first_thing_that_is_missing() {
        let other = runner("b-1", "online", false, "X");
        for (runners, part) in [
            (vec![other.clone()], "no runner of pool `a` is registered"),
            (
                vec![other.clone(), runner("a-1", "offline", false, "x")],
                "none of the 1 runners",
            ),
            (
                vec![runner("a-1", "online", false, "y")],
                "has the label `x`",
            ),
            (
                vec![
                    runner("a-1", "online", true, "x"),
                    runner("a-2", "online", true, "x"),
                ],
                "all 2 runners of pool `a` that are online are busy",
            ),
            (
                vec![runner("a-1", "online", false, "X")],
                "none of the 1 idle",
            ),
        ] {
            let cause = cause(&runners, Ok(&GroupAccess::Admitted));
            assert!(cause.reason.contains(part), "{cause:?}");
            assert!(!cause.hopeless);
        }
    }

    #[test]
    fn a_group_that_does_not_admit_the_repository_is_not_waited_for() {
        let idle = [runner("a-1", "online", false, "x")];
        for (access, part) in [
            (
                GroupAccess::NotSelected("repository `o/r`".into()),
                "`Default` of pool `a` does not admit repository `o/r`",
            ),
            (GroupAccess::Public, "no jobs of public repositories"),
            (GroupAccess::NoGroup, "no runner group `Default`"),
            (
                GroupAccess::OtherWorkflows(vec!["o/r/.github/workflows/ci.yaml@main".into()]),
                "other workflows only: o/r/.github/workflows/ci.yaml@main",
            ),
        ] {
            let cause = cause(&idle, Ok(&access));
            assert!(cause.reason.contains(part), "{cause:?}");
            assert!(cause.hint.contains("https://g/groups"), "{cause:?}");
            assert!(cause.hopeless);
        }
    }

    #[test]
    fn what_could_not_be_found_out_is_said() {
        let idle = [runner("a-1", "online", false, "x")];
        let error = Error::failed(System::GitHub, "no answer");
        let cause = cause(&idle, Err(&error));
        assert!(
            cause.reason.contains("could not be found out: no answer"),
            "{cause:?}"
        );
        assert!(!cause.hopeless);
    }

    #[test]
    fn a_scale_set_without_the_label_of_the_job_is_not_waited_for() {
        let own = |labels: &[&str]| Ok(Some(labels.iter().map(ToString::to_string).collect()));
        let admitted = &GroupAccess::Admitted;
        let dropped = cause_of(Some(&own(&["a", "self-hosted"])), &[], Ok(admitted));
        assert!(dropped.hopeless, "{dropped:?}");
        assert!(
            dropped.reason.contains("has no label `x` at GitHub"),
            "{dropped:?}"
        );
        let absent = cause_of(Some(&Ok(None)), &[], Ok(admitted));
        assert!(!absent.hopeless && absent.reason.contains("no scale set `a`"));
        let whole = own(&["a", "self-hosted", "X"]);
        let starting = cause_of(Some(&whole), &[], Ok(admitted));
        assert!(!starting.hopeless && starting.reason.contains("registered at GitHub yet"));
        // Its runners have no labels in GitHub's list.
        let idle = [runner("a-1", "online", false, "other")];
        let untaken = cause_of(Some(&whole), &idle, Ok(admitted));
        assert!(untaken.reason.contains("none of the 1 idle"), "{untaken:?}");
        let unknown = Err(Error::failed(System::GitHub, "no answer"));
        let unknown = cause_of(Some(&unknown), &[], Ok(admitted));
        assert!(unknown.reason.contains("could not be found out: no answer"));
    }
}
