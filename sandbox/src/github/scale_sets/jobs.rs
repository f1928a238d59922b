//! Jobs on their way to a scale set: available, acquired by its listener, assigned, begun by one of its runners, over.
//! Each step is told to the listener in the next message.
//!
//! Pure: no I/O.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::jobs::{Job, Stage};
use super::super::owner::Owner;
use super::super::state::{Runner, State};
use super::super::workflows::Run;

impl State {
    /// Moves all jobs on: whatever has happened since becomes a message.
    pub(super) fn advance(&mut self) {
        let lasts = self.scale_sets.rules.session;
        for set in self.scale_sets.sets.values_mut() {
            let dead = |it: &super::Session| Instant::now().duration_since(it.polled) > lasts;
            if set.session.as_ref().is_some_and(dead) {
                set.close();
            }
        }
        self.assign();
        self.tell();
    }

    /// Gives queued jobs to the scale sets that they fit, as far as their listeners take them.
    fn assign(&mut self) {
        if self.actions.never_assign {
            return;
        }
        let needs_acquire = self.scale_sets.rules.needs_acquire;
        let listening: Vec<(u64, u64)> = self
            .scale_sets
            .sets
            .values()
            .filter_map(|set| Some((set.id, set.session.as_ref()?.capacity?)))
            .collect();
        for (id, capacity) in listening {
            let taken = self.jobs().filter(|job| job.is_of(id)).count();
            let room = usize::try_from(capacity).unwrap_or(usize::MAX);
            let room = room.saturating_sub(taken);
            let offered: Vec<(u64, u64)> = self.waiting_for(id).into_iter().take(room).collect();
            for (run, number) in offered {
                let Some(job) = self.job_mut(run, number) else {
                    continue;
                };
                if !needs_acquire {
                    (job.scale_set, job.assigned_at) = (Some(id), Some(Timestamp::now()));
                } else if !job.offered.contains(&id) {
                    job.offered.push(id);
                    self.offer(id, run, number);
                }
            }
        }
    }

    /// The queued jobs, by their run, that a scale set may have.
    fn waiting_for(&self, id: u64) -> Vec<(u64, u64)> {
        let Some(set) = self.scale_sets.sets.get(&id) else {
            return Vec::new();
        };
        let due = SignedDuration::try_from(self.assignment).unwrap_or_default();
        let now = Timestamp::now();
        let group = self.group_of_runners(&set.owner, set.group);
        let waits = |job: &&Job| {
            job.status() == "queued"
                && job.scale_set.is_none()
                && now.duration_since(job.created_at) >= due
                && set.fits(&job.labels)
        };
        self.runs
            .values()
            .filter(|run| self.may_take(&set.owner, group, run))
            .flat_map(|run| run.jobs.iter().filter(waits).map(|job| (run.id, job.id)))
            .collect()
    }

    fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.runs.values().flat_map(|run| &run.jobs)
    }

    fn job_mut(&mut self, run: u64, job: u64) -> Option<&mut Job> {
        let run = self.runs.get_mut(&run)?;
        run.jobs.iter_mut().find(|it| it.id == job)
    }

    /// Tells a listener of a job that it may acquire.
    fn offer(&mut self, set: u64, run: u64, job: u64) {
        let Some(run) = self.runs.get(&run) else {
            return;
        };
        let job = run.jobs.iter().find(|it| it.id == job);
        if let Some((job, set)) = job.zip(self.scale_sets.sets.get_mut(&set)) {
            set.pending.push(event("JobAvailable", run, job));
        }
    }

    /// Tells the listeners what has become of the jobs that are theirs.
    fn tell(&mut self) {
        let sets = &mut self.scale_sets.sets;
        for run in self.runs.values_mut() {
            let mut events = Vec::new();
            let told: Vec<Stage> = run
                .jobs
                .iter()
                .map(|job| {
                    let (mut told, now) = (job.told, job.stage());
                    let Some(set) = job.scale_set else {
                        return told;
                    };
                    while told < now {
                        told = told.next();
                        // A job that was cancelled in the queue has never begun.
                        if told != Stage::Begun || job.runner.is_some() {
                            events.push((set, event(told.event(), run, job)));
                        }
                    }
                    told
                })
                .collect();
            for (job, told) in run.jobs.iter_mut().zip(told) {
                job.told = told;
            }
            for (set, event) in events {
                if let Some(set) = sets.get_mut(&set) {
                    set.pending.push(event);
                }
            }
        }
    }

    /// The listener takes offered jobs; those that are still free are its scale set's.
    pub(super) fn acquire(&mut self, set: u64, asked: &[u64]) -> Vec<u64> {
        let free = |job: &&mut Job| {
            asked.contains(&job.id)
                && job.status() == "queued"
                && job.scale_set.is_none()
                && job.offered.contains(&set)
        };
        let jobs = self.runs.values_mut().flat_map(|run| &mut run.jobs);
        let mut acquired = Vec::new();
        for job in jobs.filter(free) {
            (job.scale_set, job.assigned_at) = (Some(set), Some(Timestamp::now()));
            acquired.push(job.id);
        }
        acquired
    }

    /// What a scale set was offered and has not acquired is offered anew.
    pub(super) fn offer_again(&mut self, set: u64) {
        let jobs = self.runs.values_mut().flat_map(|run| &mut run.jobs);
        for job in jobs {
            job.offered.retain(|it| *it != set);
        }
    }

    /// A scale set's figures.
    pub(super) fn statistics(&self, set: u64) -> Value {
        let mine = |job: &&Job| job.is_of(set);
        let runners = || {
            let all = self.runners.values();
            all.filter(|runner| runner.scale_set == Some(set))
        };
        let busy = runners().filter(|it| it.busy).count();
        let running = |job: &&Job| job.runner.is_some();
        json!({
            "totalAvailableJobs": self.waiting_for(set).len(),
            "totalAcquiredJobs": 0,
            "totalAssignedJobs": self.jobs().filter(mine).count(),
            "totalRunningJobs": self.jobs().filter(mine).filter(running).count(),
            "totalRegisteredRunners": runners().count(),
            "totalBusyRunners": busy,
            "totalIdleRunners": runners().filter(|it| it.online && !it.busy).count(),
        })
    }

    /// The runner of an owner by its name.
    pub(super) fn runner_named(&self, owner: &Owner, name: &str) -> Option<&Runner> {
        let mut runners = self.runners.values();
        runners.find(|it| it.owner == *owner && it.name == name)
    }
}

/// What a message tells of a job.
fn event(kind: &str, run: &Run, job: &Job) -> Value {
    let (owner, name) = run.repository.split_once('/').unwrap_or_default();
    let time = |time: Option<Timestamp>| time.map(|it| it.to_string());
    let mut event = json!({
        "messageType": kind,
        "runnerRequestId": job.id,
        "jobId": format!("00000000-0000-0000-0000-{:012x}", job.id),
        "ownerName": owner,
        "repositoryName": name,
        "jobWorkflowRef": format!("{}/.github/workflows/{}@refs/heads/{}", run.repository, run.workflow, run.reference),
        "jobDisplayName": job.name,
        "workflowRunId": run.id,
        "eventName": if run.workflow == "push.yaml" { "push" } else { "workflow_dispatch" },
        "requestLabels": job.labels,
        "queueTime": job.created_at.to_string(),
        "scaleSetAssignTime": time(job.assigned_at),
        "runnerAssignTime": time(job.started_at),
        "finishTime": time(job.completed_at),
    });
    if let Some((id, name, _)) = &job.runner {
        (event["runnerId"], event["runnerName"]) = (json!(id), json!(name));
    }
    if kind == "JobCompleted" {
        let result = match job.conclusion.as_deref() {
            Some("success") => "succeeded",
            Some("cancelled") => "canceled",
            _ => "failed",
        };
        event["result"] = json!(result);
    }
    event
}
