//! The report of a pool's jobs: the runner, the queue time, the results of the steps. Pure: no I/O.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::fault::{Asked, Place, wrong};
use crate::{clients::github::Job, desired::render::workflow, error::Error};

/// Pods by name, with the pool of each.
pub(super) type Pods = BTreeMap<String, String>;

/// The job of a pool, as far as known.
#[derive(Clone, Debug, Default)]
pub struct PoolStory {
    /// The pool.
    pub pool: String,
    /// The job's page.
    pub url: Option<String>,
    /// GitHub's status of the job; its conclusion once it is completed.
    pub state: Option<String>,
    /// How long it was queued.
    pub queued: Option<Duration>,
    /// How long it ran.
    pub ran: Option<Duration>,
    /// The runner that ran it.
    pub runner: Option<String>,
    /// The steps of the workflow, without those GitHub adds.
    pub steps: Vec<Step>,
    /// How long after the job's end the pool was at its minimum again.
    pub replaced: Option<Duration>,
    /// A runner that is there now and was not when the job was dispatched.
    pub replacement: Option<String>,
    /// The jobs for its labels, if it is a scale set.
    pub labels: Vec<LabelStory>,
    /// Whether everything is verified.
    pub proven: bool,
    /// The error of its own job.
    pub error: Option<Error>,
}

/// The job of a label of a scale set, as far as known.
#[derive(Clone, Debug, Default)]
pub struct LabelStory {
    /// The label.
    pub label: String,
    /// The name of the job.
    pub job: String,
    /// The job's page.
    pub url: Option<String>,
    /// GitHub's status of the job; its conclusion once it is completed.
    pub state: Option<String>,
    /// How long it was queued.
    pub queued: Option<Duration>,
    /// The runner that ran it.
    pub runner: Option<String>,
    /// The error.
    pub error: Option<Error>,
}

impl PoolStory {
    /// The first error of its jobs.
    pub fn first_error(&self) -> Option<&Error> {
        self.errors().next().map(|it| it.1)
    }

    /// The errors of its jobs, by the name of the job.
    pub(super) fn errors(&self) -> impl Iterator<Item = (&str, &Error)> {
        let own = self.error.iter().map(|it| (self.pool.as_str(), it));
        let of_labels = self.labels.iter();
        own.chain(of_labels.filter_map(|it| Some((it.job.as_str(), it.error.as_ref()?))))
    }

    /// The runners that ran its jobs.
    pub(super) fn runners(&self) -> impl Iterator<Item = &str> {
        let of_labels = self.labels.iter().map(|it| &it.runner);
        let all = std::iter::once(&self.runner).chain(of_labels);
        all.filter_map(|it| it.as_deref())
    }
}

/// A step of the workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its conclusion; `None` until it is completed.
    pub conclusion: Option<String>,
}

/// Whether the job is completed.
pub(super) fn is_over(job: &Job) -> bool {
    job.status == "completed"
}

/// The runner of a job.
pub(super) fn runner(job: &Job) -> Option<&str> {
    job.runner_name.as_deref().filter(|it| !it.is_empty())
}

/// The report of the own job of a pool.
pub(super) fn story(
    asked: Asked<'_>,
    job: Option<&Job>,
    pods: &Pods,
    place: &Place<'_>,
) -> PoolStory {
    let mut story = PoolStory {
        pool: asked.pool.to_owned(),
        error: wrong(asked, job, pods, place),
        ..PoolStory::default()
    };
    let Some(job) = job else {
        return story;
    };
    story.url.clone_from(&job.html_url);
    story.state = Some(state(job));
    story.runner = runner(job).map(str::to_owned);
    story.queued = queued(job);
    if story.runner.is_some() {
        story.ran = between(job.started_at, job.completed_at);
    }
    story.steps = own_steps(job);
    story
}

/// The report of the job of a label.
pub(super) fn label_story(
    asked: Asked<'_>,
    name: &str,
    job: Option<&Job>,
    pods: &Pods,
    place: &Place<'_>,
) -> LabelStory {
    LabelStory {
        label: asked.label.unwrap_or_default().to_owned(),
        job: name.to_owned(),
        url: job.and_then(|it| it.html_url.clone()),
        state: job.map(state),
        queued: job.and_then(queued),
        runner: job.and_then(runner).map(str::to_owned),
        error: wrong(asked, job, pods, place),
    }
}

/// GitHub's status of a job; its conclusion once it is completed.
fn state(job: &Job) -> String {
    job.conclusion.as_ref().unwrap_or(&job.status).clone()
}

/// How long a job was queued, once a runner has it.
pub(super) fn queued(job: &Job) -> Option<Duration> {
    runner(job)?;
    between(job.created_at, job.started_at)
}

fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Duration> {
    // GitHub's times are whole seconds, and may be a second apart in the wrong order.
    Some(Duration::try_from(to?.duration_since(from?)).unwrap_or_default())
}

fn own_steps(job: &Job) -> Vec<Step> {
    const OWN: [&str; 4] = [
        workflow::COMMAND,
        workflow::DOCKER,
        workflow::ROLE,
        workflow::ROLE_IN_DOCKER,
    ];
    let own = |name: &str, failed: bool| OWN.contains(&name) || failed;
    job.steps
        .iter()
        .filter(|it| own(&it.name, it.conclusion.as_deref() == Some("failure")))
        .map(|it| Step {
            name: it.name.clone(),
            conclusion: it.conclusion.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLACE: Place<'_> = Place {
        repository: "o/r",
        run: "https://x/run",
        namespace: "ci",
        docker: "dind",
    };

    fn job(changes: &Value) -> Job {
        let mut job = json!({
            "name": "basic", "status": "completed", "conclusion": "success",
            "labels": ["self-hosted", "x"], "runner_name": "basic-a-b",
            "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:07Z",
            "completed_at": "2026-01-01T00:00:09Z", "html_url": "https://x/job",
            "steps": [
                {"name": "Set up job", "conclusion": "success"},
                {"name": workflow::COMMAND, "conclusion": "success"},
                {"name": workflow::ROLE, "conclusion": "success"},
            ],
        });
        for (key, value) in changes.as_object().unwrap() {
            job[key] = value.clone();
        }
        serde_json::from_value(job).unwrap()
    }

    fn told(job: Option<&Job>) -> PoolStory {
        let labels = ["self-hosted".to_owned(), "X".to_owned()];
        let pods = [("basic-a-b", "basic"), ("large-a-b", "large")];
        let pods = pods.map(|(pod, pool)| (pod.to_owned(), pool.to_owned()));
        let asked = Asked {
            pool: "basic",
            label: None,
            labels: &labels,
            steps: &[workflow::COMMAND, workflow::ROLE],
        };
        story(asked, job, &pods.into(), &PLACE)
    }

    #[test]
    fn a_job_of_a_label_says_which() {
        let labels = ["basic".to_owned(), "gpu".to_owned()];
        let asked = Asked {
            pool: "basic",
            label: Some("gpu"),
            labels: &labels,
            steps: &[workflow::COMMAND],
        };
        let pods = Pods::from([("basic-a-b".to_owned(), "basic".to_owned())]);
        let told = |changes: &Value| {
            let job = job(changes);
            label_story(asked, "basic with gpu", Some(&job), &pods, &PLACE)
        };
        let good = told(&json!({"labels": ["basic", "GPU"]}));
        assert!(good.error.is_none(), "{good:?}");
        assert_eq!(good.runner.as_deref(), Some("basic-a-b"));
        let other = told(&json!({"labels": ["basic"]})).error.unwrap();
        assert!(other.message.contains("label `gpu` of pool `basic`"));
        let taken = json!({"labels": ["basic", "gpu"], "runner_name": "x"});
        let taken = told(&taken).error.unwrap();
        assert!(
            taken.message.contains("no runner of this profile"),
            "{taken}"
        );
        let none = label_story(asked, "basic with gpu", None, &pods, &PLACE);
        let pool = PoolStory {
            labels: vec![good, none],
            ..PoolStory::default()
        };
        assert_eq!(
            pool.errors().map(|it| it.0).collect::<Vec<_>>(),
            ["basic with gpu"]
        );
        assert_eq!(pool.runners().collect::<Vec<_>>(), ["basic-a-b"]);
    }

    fn error(changes: &Value) -> Error {
        told(Some(&job(changes))).error.unwrap()
    }

    #[test]
    fn a_job_on_a_runner_of_the_pool_is_good() {
        let story = told(Some(&job(&json!({}))));
        assert!(story.error.is_none(), "{:?}", story.error);
        assert_eq!(story.queued, Some(Duration::from_secs(7)));
        assert_eq!(story.ran, Some(Duration::from_secs(2)));
        let names: Vec<_> = story.steps.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, [workflow::COMMAND, workflow::ROLE]);
    }

    #[test]
    fn a_job_that_is_queued_has_no_time_and_no_fault() {
        let queued = json!({"status": "queued", "conclusion": null, "runner_name": "", "steps": [],
            "started_at": "2026-01-01T00:00:00Z", "completed_at": null});
        let story = told(Some(&job(&queued)));
        assert_eq!((story.queued, story.runner), (None, None));
        assert!(story.error.is_none());
    }

    #[test]
    fn the_step_that_failed_is_named_with_its_log() {
        let steps = json!({"conclusion": "failure", "steps": [
            {"name": workflow::COMMAND, "conclusion": "success"},
            {"name": workflow::ROLE, "conclusion": "failure"},
            {"name": workflow::ROLE_IN_DOCKER, "conclusion": "skipped"},
        ]});
        let of_role = error(&steps);
        assert!(
            of_role
                .message
                .ends_with("failed at `the role in the runner`"),
            "{of_role}"
        );
        assert!(
            of_role
                .hint
                .unwrap()
                .contains("https://x/job; `arcctl plan`")
        );
        let steps = [json!({"name": workflow::DOCKER, "conclusion": "failure"})];
        let of_docker = error(&json!({"conclusion": "failure", "steps": steps}));
        let logs = "`kubectl -n ci logs POD -c dind`";
        assert!(of_docker.hint.unwrap().contains(logs));
    }

    #[test]
    fn a_failure_of_no_step_is_a_lost_runner() {
        let error = error(&json!({"conclusion": "failure", "steps": []}));
        assert!(error.message.ends_with("ended as `failure`"), "{error}");
        assert!(error.hint.unwrap().contains("was lost"));
    }

    #[test]
    fn a_runner_of_another_pool_or_of_nobody_proves_nothing() {
        let other = error(&json!({"runner_name": "large-a-b"}));
        assert!(
            other.message.contains("a runner of pool `large`"),
            "{other}"
        );
        let foreign = error(&json!({"runner_name": "build-7"}));
        assert!(
            foreign.message.contains("no runner of this profile"),
            "{foreign}"
        );
    }

    #[test]
    fn a_workflow_of_another_profile_is_told_as_that() {
        for error in [
            told(None).error.unwrap(),
            error(&json!({"conclusion": "skipped"})),
            error(&json!({"labels": ["self-hosted", "y"]})),
            error(&json!({"labels": ["self-hosted"]})),
        ] {
            assert!(error.hint.unwrap().contains("arcctl render"));
        }
    }

    #[test]
    fn a_job_with_fewer_steps_than_the_workflow_proves_nothing() {
        let command = json!({"name": workflow::COMMAND, "conclusion": "success"});
        let lacking = error(&json!({"steps": [command]}));
        assert!(
            lacking
                .message
                .ends_with("lacks the step `the role in the runner`"),
            "{lacking}"
        );
        assert!(lacking.hint.unwrap().contains("arcctl render"));
        let skipped = json!({"name": workflow::ROLE, "conclusion": "skipped"});
        let skipped = error(&json!({"steps": [command, skipped]}));
        assert!(skipped.causes[0].contains("`skipped`"), "{skipped}");
    }

    #[test]
    fn a_job_without_a_runner_proves_nothing() {
        let error = error(&json!({"runner_name": ""}));
        assert!(error.message.contains("names no runner"), "{error}");
    }

    #[test]
    fn a_cancelled_job_is_no_failed_one() {
        let error = error(&json!({"conclusion": "cancelled"}));
        assert!(error.message.ends_with("was cancelled"), "{error}");
    }
}
