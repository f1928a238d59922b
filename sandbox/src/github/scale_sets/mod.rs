//! GitHub's Actions service, as far as runner scale sets use it: it is not part of the REST API and described nowhere.
//! Reference: scale-sets.md 4 and 8 (paths, answers and names of errors are those that the clients of actions/scaleset
//! and actions/actions-runner-controller rely on).

mod control;
mod jobs;
mod refusal;
mod registration;
mod routes;
mod server;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::jobs::Stage;
use super::owner::Owner;
use super::state::State;
use super::token::{HOUR, after};
use super::{Group, Mode};

pub use control::JobCounts;
pub(super) use control::jobs;
pub(super) use registration::register;
pub(super) use server::{SERVICES, handle};

/// The scale sets of this GitHub, with who is connected to its Actions service.
#[derive(Default)]
pub(super) struct ScaleSets {
    pub(super) sets: BTreeMap<u64, ScaleSet>,
    connections: Vec<Connection>,
    pub(super) faults: ScaleSetFaults,
    pub(super) rules: Rules,
    /// How many requests the service has had, polls apart.
    requests: u64,
}

/// What goes wrong at the Actions service, on request.
#[derive(Clone, Debug, Default)]
pub struct ScaleSetFaults {
    /// So many sessions are refused, since another one is open.
    pub session_conflicts: u64,
    /// No scale set is known by its id any more; by its name each is found.
    pub unknown_id: bool,
    /// No runner group is found by its name.
    pub no_group: bool,
    /// The service answers no registration for so long after its start.
    pub late: Duration,
}

/// What depends on the GitHub that is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether there are scale sets at all (GHES 3.9).
    pub(super) has_scale_sets: bool,
    /// Whether a new scale set keeps its labels; others drop them without a word.
    pub(super) keeps_labels: bool,
    /// Whether a job is only assigned to a scale set whose listener acquires it.
    pub(super) needs_acquire: bool,
    /// How long a poll for messages is open.
    pub(super) poll: Duration,
    /// How long a session outlives its listener.
    pub(super) session: Duration,
    pub(super) started: Instant,
}

impl Default for Rules {
    fn default() -> Self {
        Self::of(&Mode::Cloud)
    }
}

impl Rules {
    pub(super) fn of(mode: &Mode) -> Self {
        let since = |least: u64| mode.version().is_none_or(|version| minor(version) >= least);
        Self {
            has_scale_sets: since(9),
            keeps_labels: since(21),
            needs_acquire: mode.version().is_some(),
            poll: Duration::from_secs(50),
            session: Duration::from_mins(2),
            started: Instant::now(),
        }
    }
}

/// The second number of a version of GitHub Enterprise Server; all there are begin with 3.
fn minor(version: &str) -> u64 {
    let second = version.split('.').nth(1);
    second.and_then(|it| it.parse().ok()).unwrap_or_default()
}

/// An administrator's connection to the service: for one owner, for an hour.
struct Connection {
    token: String,
    owner: Owner,
    expires_at: Timestamp,
}

/// A scale set.
#[derive(Clone, Debug)]
pub struct ScaleSet {
    /// Its id.
    pub id: u64,
    /// Its name, which is a label of it too.
    pub name: String,
    /// Where it is registered.
    pub owner: Owner,
    /// Its runner group, by the id that the service has for it: 1 is the default group.
    pub group: u64,
    /// Its labels beside its name.
    pub labels: Vec<String>,
    /// Whether its runners do not update themselves.
    pub disable_update: bool,
    /// Who listens: the owner of the session that is open.
    pub listener: Option<String>,
    created_at: Timestamp,
    session: Option<Session>,
    /// What the next message will tell.
    pending: Vec<Value>,
    messages: Vec<(u64, Vec<Value>)>,
    last_message: u64,
}

#[derive(Clone, Debug)]
struct Session {
    id: String,
    token: String,
    polled: Instant,
    /// How many jobs its listener takes; `None`: it has not said so.
    capacity: Option<u64>,
}

impl ScaleSet {
    fn new(id: u64, name: &str, owner: &Owner, group: u64, labels: Vec<String>) -> Self {
        Self {
            id,
            name: name.to_owned(),
            owner: owner.clone(),
            group,
            labels,
            disable_update: false,
            listener: None,
            created_at: Timestamp::now(),
            session: None,
            pending: Vec::new(),
            messages: Vec::new(),
            last_message: 0,
        }
    }

    /// Whether a job with these labels is for it.
    fn fits(&self, labels: &[String]) -> bool {
        let own = || std::iter::once(&self.name).chain(&self.labels);
        !labels.is_empty()
            && labels
                .iter()
                .all(|wanted| own().any(|label| label.eq_ignore_ascii_case(wanted)))
    }
}

/// The id that the service has for a group: REST has another one for the default group.
fn service_id(group: &Group) -> u64 {
    if group.default { 1 } else { group.id }
}

impl State {
    /// The name of a group of the service.
    fn group_name(&self, owner: &Owner, id: u64) -> Option<&str> {
        let mut groups = self.groups.iter();
        let found = groups.find(|group| group.owner == *owner && service_id(group) == id);
        let found = found.map(|group| group.name.as_str());
        // A repository has no groups, and the service still says that its runners are in the default one.
        found.or((id == 1).then_some("Default"))
    }

    /// The id that REST has for a group of the service.
    fn group_of_runners(&self, owner: &Owner, id: u64) -> u64 {
        let mut groups = self.groups.iter();
        let found = groups.find(|group| group.owner == *owner && service_id(group) == id);
        found.map_or(1, |group| group.id)
    }

    /// Makes a scale set, or says which one has its name and group already.
    pub(super) fn add_scale_set(
        &mut self,
        owner: &Owner,
        group: u64,
        name: &str,
        labels: &[String],
    ) -> Result<u64, u64> {
        let mut sets = self.scale_sets.sets.values();
        let same = |it: &&ScaleSet| {
            it.owner == *owner && it.group == group && it.name.eq_ignore_ascii_case(name)
        };
        if let Some(known) = sets.find(same) {
            return Err(known.id);
        }
        let kept = self.scale_sets.rules.keeps_labels;
        let labels = labels.iter().filter(|it| kept && *it != name).cloned();
        let id = self.new_id();
        let set = ScaleSet::new(id, name, owner, group, labels.collect());
        self.scale_sets.sets.insert(id, set);
        Ok(id)
    }

    /// Removes a scale set with its runners; its jobs that have not begun wait for another one.
    pub(super) fn remove_scale_set(&mut self, id: u64) -> bool {
        if self.scale_sets.sets.remove(&id).is_none() {
            return false;
        }
        self.runners
            .retain(|_, runner| runner.scale_set != Some(id) || runner.busy);
        let jobs = self.runs.values_mut().flat_map(|run| &mut run.jobs);
        for job in jobs.filter(|job| job.scale_set == Some(id) && job.runner.is_none()) {
            (job.scale_set, job.told) = (None, Stage::default());
            job.offered.clear();
        }
        true
    }

    fn connect(&mut self, token: String, owner: Owner) -> Timestamp {
        let expires_at = after(HOUR);
        self.scale_sets.connections.push(Connection {
            token,
            owner,
            expires_at,
        });
        expires_at
    }

    /// Whose connection a token is, while it lives.
    fn connection(&self, token: &str) -> Option<&Owner> {
        let mut connections = self.scale_sets.connections.iter();
        connections
            .find(|it| it.token == token && it.expires_at > Timestamp::now())
            .map(|it| &it.owner)
    }

    /// Ends all connections to the service, as an hour does.
    pub(super) fn disconnect(&mut self) {
        self.scale_sets.connections.clear();
    }
}
