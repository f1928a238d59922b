//! Jobs, and their runners, which use another protocol in reality: an idle runner with matching labels runs a job, is busy
//! with it, and an ephemeral one is removed after it. No command is run: the results of the steps are preset.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::owner::Owner;
use super::server::Shared;
use super::state::{Runner, State};
use super::workflow_file::Template;
use super::workflows::Run;

/// A job of a run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// How it ended.
    pub conclusion: Option<String>,
    /// What it asks for.
    pub labels: Vec<String>,
    /// Its steps, each with how it ended.
    pub steps: Vec<(String, Option<String>)>,
    /// The id and the name of the runner that took it, and its group.
    pub runner: Option<(u64, String, u64)>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When a runner took it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// The scale set whose job it is.
    pub scale_set: Option<u64>,
    /// Whether its runner went away while it ran.
    pub lost: bool,
    /// When a scale set got it.
    pub(super) assigned_at: Option<Timestamp>,
    /// The scale sets that may acquire it.
    pub(super) offered: Vec<u64>,
    /// What its scale set's listener knows of it.
    pub(super) told: Stage,
}

/// Where a job of a scale set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It is nobody's.
    #[default]
    Queued,
    /// It is a scale set's.
    Assigned,
    /// A runner has it.
    Begun,
    /// It has ended.
    Over,
}

impl Stage {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Queued => Self::Assigned,
            Self::Assigned => Self::Begun,
            Self::Begun | Self::Over => Self::Over,
        }
    }

    /// What a message calls the step to it.
    pub(super) fn event(self) -> &'static str {
        match self {
            Self::Queued => "JobAvailable",
            Self::Assigned => "JobAssigned",
            Self::Begun => "JobStarted",
            Self::Over => "JobCompleted",
        }
    }
}

/// What goes wrong with jobs, on request.
#[derive(Clone, Debug, Default)]
pub struct ActionsFaults {
    /// No job is given to a runner.
    pub never_assign: bool,
    /// The step of this name fails.
    pub failing_step: Option<String>,
    /// Each job ends as a failure, and none of its steps did.
    pub lost: bool,
    /// How long a job runs, where not as long as usual.
    pub length: Option<Duration>,
}

impl Job {
    pub(super) fn new(id: u64, template: &Template, runs: bool) -> Self {
        let steps = template.steps.iter().map(|name| (name.clone(), None));
        let queued = Self::queued(id, template.labels.clone());
        Self {
            name: template.name.clone(),
            conclusion: (!runs).then(|| "skipped".to_owned()),
            steps: steps.collect(),
            completed_at: (!runs).then_some(queued.created_at),
            ..queued
        }
    }

    /// A job that waits for a runner with these labels.
    pub(super) fn queued(id: u64, labels: Vec<String>) -> Self {
        Self {
            id,
            name: "build".to_owned(),
            conclusion: None,
            labels,
            steps: vec![("build".to_owned(), None)],
            runner: None,
            created_at: Timestamp::now(),
            started_at: None,
            completed_at: None,
            scale_set: None,
            lost: false,
            assigned_at: None,
            offered: Vec::new(),
            told: Stage::Queued,
        }
    }

    /// Where it is.
    pub(super) fn stage(&self) -> Stage {
        match (&self.conclusion, &self.runner, self.scale_set) {
            (Some(_), _, _) => Stage::Over,
            (None, Some(_), _) => Stage::Begun,
            (None, None, Some(_)) => Stage::Assigned,
            (None, None, None) => Stage::Queued,
        }
    }

    /// Whether a scale set has it, and it has not ended.
    pub(super) fn is_of(&self, set: u64) -> bool {
        self.scale_set == Some(set) && self.conclusion.is_none()
    }

    /// `queued`, `in_progress` or `completed`.
    pub fn status(&self) -> &'static str {
        match (&self.conclusion, &self.runner) {
            (Some(_), _) => "completed",
            (None, Some(_)) => "in_progress",
            (None, None) => "queued",
        }
    }

    pub(super) fn cancel(&mut self) {
        self.end("cancelled");
    }

    fn end(&mut self, conclusion: &str) {
        if self.conclusion.is_none() {
            self.conclusion = Some(conclusion.to_owned());
            self.completed_at = Some(Timestamp::now());
        }
    }

    /// Ends the steps, in their order; after one that failed the rest is skipped.
    fn run(&mut self, faults: &ActionsFaults) {
        if faults.lost {
            return self.end("failure");
        }
        let mut failed = false;
        for (name, conclusion) in &mut self.steps {
            let fails = faults.failing_step.as_ref() == Some(name);
            let word = match (failed, fails) {
                (true, _) => "skipped",
                (false, true) => "failure",
                (false, false) => "success",
            };
            *conclusion = Some(word.to_owned());
            failed |= fails;
        }
        self.end(if failed { "failure" } else { "success" });
    }
}

/// The runners' connection to GitHub.
#[derive(Clone)]
pub(crate) struct Broker(Arc<Shared>);

/// What GitHub tells of a job.
#[derive(Clone, Debug)]
pub(crate) struct JobEvent {
    /// The job's id.
    pub(crate) job: u64,
    /// OWNER/NAME.
    pub(crate) repository: String,
    /// What the job asks for.
    pub(crate) labels: Vec<String>,
    /// `queued`, `in_progress` or `completed`.
    pub(crate) status: &'static str,
}

/// A job that a runner has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    run: u64,
    job: u64,
    runner: u64,
}

impl Broker {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }

    /// A job for an idle runner, if one that fits has been queued for long enough.
    pub(crate) fn take(&self, runner: u64) -> Option<Taken> {
        self.0.state().take(runner)
    }

    /// Whether a runner is registered.
    pub(crate) fn knows(&self, runner: u64) -> bool {
        self.0.state().runners.contains_key(&runner)
    }

    /// How long a job runs, where not as long as usual.
    pub(crate) fn length(&self) -> Option<Duration> {
        self.0.state().actions.length
    }

    /// The jobs as GitHub's webhook tells of them.
    pub(crate) fn events(&self) -> Vec<JobEvent> {
        let state = self.0.state();
        let of = |run: &Run| {
            let repository = run.repository.clone();
            let event = move |job: &Job| JobEvent {
                job: job.id,
                repository: repository.clone(),
                labels: job.labels.clone(),
                status: job.status(),
            };
            run.jobs.iter().map(event).collect::<Vec<_>>()
        };
        state.runs.values().flat_map(of).collect()
    }

    /// The runner has done the job; whether it is gone with it.
    pub(crate) fn finish(&self, taken: Taken) -> bool {
        let mut state = self.0.state();
        let faults = state.actions.clone();
        if let Some(job) = state.job(taken) {
            job.run(&faults);
        }
        let ephemeral = state
            .runners
            .get(&taken.runner)
            .is_some_and(|it| it.ephemeral);
        if ephemeral {
            state.runners.remove(&taken.runner);
        } else if let Some(runner) = state.runners.get_mut(&taken.runner) {
            runner.busy = false;
        }
        ephemeral
    }

    /// The runner is gone, and its job with it.
    pub(crate) fn lose(&self, taken: Taken) {
        if let Some(job) = self.0.state().job(taken) {
            job.lost = true;
            job.end("failure");
        }
    }

    /// A runner that was registered before its start connects, or goes; false where it is not registered any more.
    pub(crate) fn connect(&self, runner: u64, online: bool) -> bool {
        let mut state = self.0.state();
        let Some(runner) = state.runners.get_mut(&runner) else {
            return false;
        };
        (runner.online, runner.busy) = (online, false);
        true
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Broker")
    }
}

impl State {
    fn job(&mut self, taken: Taken) -> Option<&mut Job> {
        let run = self.runs.get_mut(&taken.run)?;
        run.jobs.iter_mut().find(|it| it.id == taken.job)
    }

    /// Gives the oldest job that fits to a runner.
    fn take(&mut self, id: u64) -> Option<Taken> {
        if self.actions.never_assign {
            return None;
        }
        let runner = self.runners.get(&id).filter(|it| it.online && !it.busy)?;
        let due = SignedDuration::try_from(self.assignment).unwrap_or_default();
        let now = Timestamp::now();
        // A runner of a scale set has the scale set's jobs; any other has those that are no scale set's.
        let waits = |job: &&Job| {
            let is_due = || now.duration_since(job.created_at) >= due && fits(runner, job);
            let is_for_it = job.scale_set == runner.scale_set;
            job.status() == "queued" && is_for_it && (job.scale_set.is_some() || is_due())
        };
        let (run, job) = self.runs.values().find_map(|run| {
            let admitted = self.may_take(&runner.owner, runner.group, run);
            let job = run.jobs.iter().find(waits).filter(|_| admitted)?;
            Some((run.id, job.id))
        })?;
        let whose = (id, runner.name.clone(), runner.group);
        let taken = Taken {
            run,
            job,
            runner: id,
        };
        let job = self.job(taken)?;
        (job.runner, job.started_at) = (Some(whose), Some(now));
        self.runners.get_mut(&id)?.busy = true;
        Some(taken)
    }

    /// Queues a run of one job that asks for `labels`, as a push does.
    pub(super) fn queue(&mut self, repository: &str, labels: &[&str]) -> u64 {
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        let job = Job::queued(self.new_id(), labels);
        let id = self.new_id();
        let run = Run {
            id,
            repository: repository.to_owned(),
            workflow: "push.yaml".to_owned(),
            title: "a push".to_owned(),
            reference: "main".to_owned(),
            created_at: Timestamp::now(),
            jobs: vec![job],
        };
        self.runs.insert(id, run);
        id
    }

    /// Whether runners that are registered at `place`, in a group, may take the jobs of a run. A group for workflows names each as
    /// `OWNER/NAME/.github/workflows/FILE@REF` (docs.github.com: "Changing which workflows can access a runner group").
    pub(super) fn may_take(&self, place: &Owner, group: u64, run: &Run) -> bool {
        let repository = run.repository.as_str();
        let owner = repository.split('/').next().unwrap_or_default();
        let (covers, selectable) = match place {
            Owner::Enterprise(_) => (true, owner),
            Owner::Organization(login) => (login.eq_ignore_ascii_case(owner), repository),
            Owner::Repository(..) => {
                return place.to_string() == format!("repos/{repository}");
            }
        };
        let group = self.groups.iter().find(|it| it.id == group);
        let selected = group.and_then(|it| it.selected.as_ref());
        let workflows = group.and_then(|it| it.workflows.as_ref());
        let its = format!("{repository}/.github/workflows/{}", run.workflow);
        let is_its = |it: &String| {
            let (path, reference) = it.split_once('@').unwrap_or((it.as_str(), ""));
            let reference = reference.trim_start_matches("refs/heads/");
            path.eq_ignore_ascii_case(&its) && reference == run.reference
        };
        covers
            && workflows.is_none_or(|it| it.iter().any(is_its))
            && selected.is_none_or(|it| it.iter().any(|one| one.eq_ignore_ascii_case(selectable)))
    }
}

fn fits(runner: &Runner, job: &Job) -> bool {
    let fixed = ["self-hosted", "linux", "x64"];
    let own = runner.labels.iter().map(String::as_str);
    let has: Vec<&str> = fixed.into_iter().chain(own).collect();
    job.labels
        .iter()
        .all(|label| has.iter().any(|it| it.eq_ignore_ascii_case(label)))
}

/// How long a job is queued at least, when nothing else is said.
pub(super) const ASSIGNMENT: Duration = Duration::from_millis(1500);
