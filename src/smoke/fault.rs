//! What is wrong with a pool's job: it is not the one that the profile's workflow has, another's runner took it, or it failed.
//! Pure: no I/O.

use super::job_report::{Pods, runner};
use crate::{
    clients::github::Job,
    desired::render::workflow::{self, PoolJob},
    error::{Error, System},
};

/// The location of the run, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// `OWNER/NAME`.
    pub repository: &'a str,
    /// The run's page.
    pub run: &'a str,
    /// Where the pool's runners are.
    pub namespace: &'a str,
    /// The container in which docker runs.
    pub docker: &'a str,
}

/// What a job is to prove.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The pool whose runner is to run it.
    pub pool: &'a str,
    /// The label that it proves; `None`: it is the pool's own job.
    pub label: Option<&'a str>,
    /// Its `runs-on` in the workflow of this profile.
    pub labels: &'a [String],
    /// The names of its steps there.
    pub steps: &'a [&'static str],
}

impl<'a> Asked<'a> {
    /// Of a job of the workflow.
    pub(super) fn of(pool: &'a str, job: &'a PoolJob) -> Self {
        Self {
            pool,
            label: job.label.as_deref(),
            labels: &job.labels,
            steps: &job.steps,
        }
    }
}

impl std::fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.label {
            None => write!(f, "pool `{}`", self.pool),
            Some(label) => write!(f, "label `{label}` of pool `{}`", self.pool),
        }
    }
}

/// The error of a job; `None`: it is right so far, or was successful.
pub(super) fn wrong(
    asked: Asked<'_>,
    job: Option<&Job>,
    pods: &Pods,
    place: &Place<'_>,
) -> Option<Error> {
    let Some(job) = job else {
        return Some(stale(
            format!(
                "the workflow of repository `{}` has no job for {asked}",
                place.repository
            ),
            place,
        ));
    };
    if is_skipped(job) {
        return Some(stale(format!("the job of {asked} was skipped"), place));
    }
    if differs(&job.labels, asked.labels) {
        return Some(
            stale(
                format!(
                    "the job of {asked} asks for other labels than the profile gives its runners"
                ),
                place,
            )
            .cause(format!(
                "it asks for `{}`, the pool has `{}`",
                job.labels.join("`, `"),
                asked.labels.join("`, `")
            )),
        );
    }
    if let Some(runner) = runner(job)
        && pods.get(runner).map(String::as_str) != Some(asked.pool)
    {
        return Some(foreign(asked, runner, pods, job));
    }
    match job.conclusion.as_deref() {
        None => None,
        Some("success") => unproven(asked, job, place),
        Some("cancelled") => Some(
            failed(format!("the job of {asked} was cancelled"), job)
                .hint(format!("somebody, or its limit of 10 minutes, ended it: look at {}, and run `arcctl smoke` again", page(job, place))),
        ),
        Some(other) => Some(failed_job(asked, other, job, place)),
    }
}

/// What a job that succeeded does not show: its runner, or a step of the workflow of this profile.
fn unproven(asked: Asked<'_>, job: &Job, place: &Place<'_>) -> Option<Error> {
    if runner(job).is_none() {
        return Some(
            failed(
                format!("the job of {asked} succeeded, and GitHub names no runner of it"),
                job,
            )
            .hint(format!(
                "look at {}, and run `arcctl smoke` again",
                page(job, place)
            )),
        );
    }
    let succeeded = |name: &str| {
        let mut found = job.steps.iter().filter(|it| it.name == name);
        found.any(|it| it.conclusion.as_deref() == Some("success"))
    };
    let missing = asked.steps.iter().find(|it| !succeeded(it))?;
    let found = job.steps.iter().find(|it| it.name == **missing);
    Some(
        match found.map(|it| it.conclusion.as_deref().unwrap_or("none")) {
            None => stale(
                format!("the job of {asked} lacks the step `{missing}`"),
                place,
            ),
            Some(conclusion) => stale(
                format!("the job of {asked} succeeded, and its step `{missing}` did not"),
                place,
            )
            .cause(format!("the conclusion of the step is `{conclusion}`")),
        },
    )
}

fn differs(a: &[String], b: &[String]) -> bool {
    let has = |it: &String| a.iter().any(|other| other.eq_ignore_ascii_case(it));
    a.len() != b.len() || !b.iter().all(has)
}

fn is_skipped(job: &Job) -> bool {
    job.conclusion.as_deref() == Some("skipped")
}

fn failed_job(asked: Asked<'_>, conclusion: &str, job: &Job, place: &Place<'_>) -> Error {
    let step = job
        .steps
        .iter()
        .find(|it| it.conclusion.as_deref() == Some("failure"))
        .map(|it| it.name.as_str());
    let log = page(job, place);
    let hint = match step {
        Some(workflow::DOCKER) => format!(
            "read the log at {log}; `kubectl -n {} logs POD -c {}` of another runner of the pool shows what its dockerd says",
            place.namespace, place.docker
        ),
        Some(workflow::ROLE) => format!(
            "read the log at {log}; `arcctl plan` shows whether role, trust policy and OIDC provider are as they must be, and a runner that was started before them has to be deleted"
        ),
        Some(workflow::ROLE_IN_DOCKER) => format!(
            "read the log at {log}: the image may not be pulled, or the token of the role is not at the same path in the docker container"
        ),
        Some(_) => format!("read the log at {log}"),
        None => format!(
            "no step of it failed: its runner was lost, or could not begin; look at {log} and at `arcctl doctor`"
        ),
    };
    match step {
        Some(step) => failed(format!("the job of {asked} failed at `{step}`"), job).hint(hint),
        None => failed(format!("the job of {asked} ended as `{conclusion}`"), job).hint(hint),
    }
}

fn foreign(asked: Asked<'_>, runner: &str, pods: &Pods, job: &Job) -> Error {
    let Asked { pool, labels, .. } = asked;
    let error = match pods.get(runner) {
        Some(other) => failed(
            format!("the job of {asked} was taken by `{runner}`, a runner of pool `{other}`"),
            job,
        ),
        None => failed(
            format!(
                "the job of {asked} was taken by `{runner}`, which is no runner of this profile"
            ),
            job,
        ),
    };
    error
        .cause(format!("it has the labels too: `{}`", labels.join("`, `")))
        .hint(format!(
            "give pool `{pool}` a label in the profile that only its runners have; then `arcctl up`, and `arcctl render` for the workflow"
        ))
}

fn failed(message: String, job: &Job) -> Error {
    Error::failed(System::GitHub, message).object(format!("job/{}", job.name))
}

/// The error of a job that the workflow of this profile does not have, and that nobody takes.
pub(super) fn of_no_pool(job: &Job, place: &Place<'_>) -> Error {
    stale(
        format!(
            "the workflow of repository `{}` has a job `{}`, which is of no pool and no label of the profile, and no runner takes it",
            place.repository, job.name
        ),
        place,
    )
}

/// The workflow in the repository differs from the one that `render` writes for this profile.
fn stale(message: String, place: &Place<'_>) -> Error {
    Error::failed(System::GitHub, message)
        .object(format!("repository/{}", place.repository))
        .hint(format!(
            "the workflow there is of another profile, or older: `arcctl render DIR` writes it, commit `DIR/{}`",
            workflow::PATH
        ))
}

fn page<'a>(job: &'a Job, place: &Place<'a>) -> &'a str {
    job.html_url.as_deref().unwrap_or(place.run)
}
