//! What tests and the sandbox's own routes do with scale sets, and read of them.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::GitHub;
use super::super::call::Answer;
use super::super::owner::Owner;
use super::super::refusal::Refusal;
use super::super::state::State;
use super::super::token::random;
use super::{ScaleSet, ScaleSetFaults, Session};

/// How many jobs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JobCounts {
    /// They wait for a runner.
    pub queued: usize,
    /// They run.
    pub running: usize,
    /// They have ended as they should.
    pub done: usize,
    /// Their runner went away while they ran.
    pub lost: usize,
    /// They have ended in another way.
    pub failed: usize,
}

impl State {
    pub(in crate::github) fn job_counts(&self) -> JobCounts {
        let mut counts = JobCounts::default();
        for job in self.runs.values().flat_map(|run| &run.jobs) {
            let count = match (job.status(), job.conclusion.as_deref()) {
                _ if job.lost => &mut counts.lost,
                ("queued", _) => &mut counts.queued,
                ("in_progress", _) => &mut counts.running,
                (_, Some("success")) => &mut counts.done,
                _ => &mut counts.failed,
            };
            *count += 1;
        }
        counts
    }

    /// The scale sets for the sandbox's page.
    pub(in crate::github) fn shown_scale_sets(&self) -> Vec<Value> {
        let sets = self.scale_sets.sets.values();
        sets.map(|set| {
            json!({
                "id": set.id, "name": set.name, "owner": set.owner.to_string(), "group": set.group,
                "labels": set.labels, "listener": set.listener, "statistics": self.statistics(set.id),
            })
        })
        .collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Queued {
    repository: String,
    labels: Vec<String>,
    #[serde(default = "one")]
    count: u32,
}

const fn one() -> u32 {
    1
}

/// Answers `/_sandbox/jobs`: queues jobs with these labels, or counts those that there are.
pub(in crate::github) fn jobs(
    state: &mut State,
    method: &Method,
    body: &[u8],
) -> Result<Answer, Refusal> {
    match *method {
        Method::GET => Ok(Answer::ok(json!(state.job_counts()))),
        Method::POST => {
            let asked: Queued = serde_json::from_slice(body)
                .map_err(|error| Refusal::Unprocessable(error.to_string()))?;
            let labels: Vec<&str> = asked.labels.iter().map(String::as_str).collect();
            let runs: Vec<u64> = (0..asked.count)
                .map(|_| state.queue(&asked.repository, &labels))
                .collect();
            Ok(Answer::created(json!({ "runs": runs })))
        }
        _ => Err(Refusal::NotFound),
    }
}

impl GitHub {
    /// All scale sets, by id.
    pub fn scale_sets(&self) -> Vec<ScaleSet> {
        self.shared
            .state()
            .scale_sets
            .sets
            .values()
            .cloned()
            .collect()
    }

    /// Makes a scale set in the default group, as another cluster does; fails with the id of the one that is there.
    pub fn add_scale_set(&self, owner: &Owner, name: &str, labels: &[&str]) -> Result<u64, u64> {
        let labels: Vec<String> = labels.iter().map(ToString::to_string).collect();
        self.shared.state().add_scale_set(owner, 1, name, &labels)
    }

    /// Removes a scale set, as somebody else does; false if there is none of this id.
    pub fn remove_scale_set(&self, id: u64) -> bool {
        self.shared.state().remove_scale_set(id)
    }

    /// Opens a session of a scale set for somebody else, which lasts as long as a dead listener's; false if there is no such
    /// scale set, or it has a listener.
    pub fn listen_to(&self, id: u64, owner: &str) -> bool {
        let mut state = self.shared.state();
        let set = state.scale_sets.sets.get_mut(&id);
        let Some(set) = set.filter(|set| set.session.is_none()) else {
            return false;
        };
        set.listener = Some(owner.to_owned());
        set.session = Some(Session {
            id: random(32).to_lowercase(),
            token: random(32),
            polled: std::time::Instant::now(),
            capacity: None,
        });
        true
    }

    /// Ends the session of a scale set; its listener finds none at its next poll.
    pub fn evict_listener(&self, id: u64) {
        if let Some(set) = self.shared.state().scale_sets.sets.get_mut(&id) {
            set.close();
        }
    }

    /// Says what goes wrong with scale sets from now on.
    pub fn set_scale_set_faults(&self, faults: ScaleSetFaults) {
        self.shared.state().scale_sets.faults = faults;
    }

    /// Says whether scale sets keep their labels: a flag on a GitHub Enterprise Server from 3.18 on.
    pub fn keep_scale_set_labels(&self, keep: bool) {
        self.shared.state().scale_sets.rules.keeps_labels = keep;
    }

    /// Ends all connections to the Actions service, as an hour does.
    pub fn expire_connections(&self) {
        self.shared.state().disconnect();
    }

    /// How many requests the Actions service has had, polls for messages apart.
    pub fn service_requests(&self) -> u64 {
        self.shared.state().scale_sets.requests
    }

    /// How many jobs there are.
    pub fn job_counts(&self) -> JobCounts {
        self.shared.state().job_counts()
    }
}
