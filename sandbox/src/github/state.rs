//! The state of this GitHub: users, tokens, runners, groups, workflow runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::jobs::ActionsFaults;
use super::owner::Owner;
use super::refusal::Refusing;
use super::scale_sets::ScaleSets;
use super::token::{App, HOUR, Token, after, random};
use super::workflow_file::Workflow;
use super::workflows::Run;

/// The state of the stand-in, behind one lock.
#[derive(Default)]
pub(super) struct State {
    pub(super) owners: BTreeSet<Owner>,
    pub(super) tokens: Vec<Token>,
    pub(super) apps: Vec<App>,
    pub(super) registrations: Vec<Registration>,
    pub(super) runners: BTreeMap<u64, Runner>,
    pub(super) groups: Vec<Group>,
    pub(super) workflows: Vec<Workflow>,
    pub(super) runs: BTreeMap<u64, Run>,
    /// The version of the runner that the downloads offer.
    pub(super) shipped: String,
    /// How long a job is queued at least.
    pub(super) assignment: Duration,
    pub(super) actions: ActionsFaults,
    pub(super) scale_sets: ScaleSets,
    /// Whether an App's installation tokens have github.com's form since 2026.
    pub(super) stateless_tokens: bool,
    /// Whether lists of runners know no query `name`, as on an old server.
    pub(super) ignores_names: bool,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) secondary_limit: Option<Duration>,
    pub(super) refusing: Option<Refusing>,
    pub(super) violations: Vec<String>,
    pub(super) requests: u64,
    last_id: u64,
    /// The ids of the runners that have or had a name: thousands register in a test.
    by_name: HashMap<String, BTreeSet<u64>>,
}

/// A registration token: one hour, for one owner.
pub(super) struct Registration {
    pub(super) value: String,
    pub(super) owner: Owner,
    pub(super) expires_at: Timestamp,
}

/// A self-hosted runner.
#[derive(Clone, Debug, Serialize)]
pub struct Runner {
    /// Its id at GitHub.
    pub id: u64,
    /// Its name, unique within its owner.
    pub name: String,
    /// Where it is registered, as in the API's paths (`enterprises/ENT`).
    #[serde(serialize_with = "as_text")]
    pub owner: Owner,
    /// The labels it was registered with, without those every runner has.
    pub labels: Vec<String>,
    /// The id of its group.
    pub group: u64,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it has a job.
    pub busy: bool,
    /// Whether it takes one job only.
    pub ephemeral: bool,
    /// The scale set that it is of.
    pub scale_set: Option<u64>,
    /// The version of its program; `None` is the one that GitHub ships.
    pub version: Option<String>,
}

/// What a new runner says of itself.
#[derive(Clone, Debug, Default)]
pub struct NewRunner {
    /// Its name; an existing runner of this name and owner is replaced.
    pub name: String,
    /// Its own labels.
    pub labels: Vec<String>,
    /// The name of its group; none is the default group.
    pub group: Option<String>,
    /// Whether it takes one job only.
    pub ephemeral: bool,
    /// The version of its program; `None` is the one that GitHub ships, to which it has updated itself.
    pub version: Option<String>,
}

/// A runner group of an enterprise or an organization.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Its id, assigned when it is added.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// The enterprise or organization it belongs to.
    #[serde(serialize_with = "as_text")]
    pub owner: Owner,
    /// Who may use it: organizations of an enterprise, repositories (`OWNER/NAME`) of an organization; `None` is all.
    pub selected: Option<Vec<String>>,
    /// Whether it is the group of runners that ask for none.
    pub default: bool,
    /// Whether jobs of public repositories may use it.
    pub public: bool,
    /// Whether it is for private repositories only, where none are selected.
    pub private: bool,
    /// The only workflows that may use it; `None` is all.
    pub workflows: Option<Vec<String>>,
}

/// The primary rate limit.
#[derive(Clone, Debug, Serialize)]
pub struct RateLimit {
    /// Requests per hour.
    pub limit: u64,
    /// What is left of them.
    pub remaining: u64,
    /// When they are full again, in seconds since 1970.
    pub reset: i64,
}

impl RateLimit {
    /// A full limit that resets in an hour.
    pub fn of(limit: u64) -> Self {
        Self {
            limit,
            remaining: limit,
            reset: after(HOUR).as_second(),
        }
    }
}

impl State {
    pub(super) fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Adds an owner, with the default group it has from the start.
    pub(super) fn add_owner(&mut self, owner: Owner) {
        if !self.owners.insert(owner.clone()) || matches!(owner, Owner::Repository(..)) {
            return;
        }
        let id = self.new_id();
        self.groups.push(Group {
            id,
            name: "Default".to_owned(),
            owner,
            selected: None,
            default: true,
            public: false,
            private: false,
            workflows: None,
        });
    }

    pub(super) fn workflow(&self, repository: &str, file: &str) -> Option<&Workflow> {
        self.workflows
            .iter()
            .find(|it| it.repository.eq_ignore_ascii_case(repository) && it.file == file)
    }

    /// Commits a workflow, in the place of one of the same name.
    pub(super) fn commit(
        &mut self,
        repository: &str,
        file: &str,
        text: &str,
    ) -> anyhow::Result<()> {
        let workflow = Workflow::parse(repository, file, text)?;
        self.workflows
            .retain(|it| it.repository != repository || it.file != file);
        self.workflows.push(workflow);
        Ok(())
    }

    pub(super) fn token(&self, value: &str) -> Option<&Token> {
        self.tokens.iter().find(|token| token.value == value)
    }

    pub(super) fn new_registration(&mut self, owner: Owner) -> (String, Timestamp) {
        let (value, expires_at) = (format!("A{}", random(28).to_uppercase()), after(HOUR));
        self.registrations.push(Registration {
            value: value.clone(),
            owner,
            expires_at,
        });
        (value, expires_at)
    }

    /// The owner a registration token is for, while it lives.
    pub(super) fn registration_owner(&self, token: &str) -> Option<Owner> {
        self.registrations
            .iter()
            .find(|known| known.value == token && known.expires_at > Timestamp::now())
            .map(|known| known.owner.clone())
    }

    /// Registers a runner; it is offline until it says otherwise. Fails with the group's name if there is none such.
    pub(super) fn register(&mut self, owner: &Owner, new: NewRunner) -> Result<u64, String> {
        let groups = || self.groups.iter().filter(|group| group.owner == *owner);
        let group = match &new.group {
            Some(name) => groups().find(|group| group.name.eq_ignore_ascii_case(name)),
            None => groups().find(|group| group.default),
        };
        let group = match (group, &new.group, owner) {
            (Some(group), _, _) => group.id,
            // A repository has no groups and ignores what a runner asks for.
            (None, _, Owner::Repository(..)) => 1,
            (None, name, _) => return Err(name.clone().unwrap_or_else(|| "Default".to_owned())),
        };
        let same = |runner: &&Runner| runner.name == new.name && runner.owner == *owner;
        let named = self.by_name.get(&new.name).into_iter().flatten();
        let mut named = named.filter_map(|id| self.runners.get(id));
        let replaced = named.find(same).map(|runner| runner.id);
        let id = replaced.unwrap_or_else(|| self.new_id());
        self.by_name.entry(new.name.clone()).or_default().insert(id);
        let NewRunner {
            name,
            labels,
            ephemeral,
            version,
            ..
        } = new;
        let owner = owner.clone();
        let (online, busy) = (false, false);
        let runner = Runner {
            id,
            name,
            owner,
            labels,
            group,
            online,
            busy,
            ephemeral,
            scale_set: None,
            version,
        };
        self.runners.insert(id, runner);
        Ok(id)
    }

    /// Registers a runner of a scale set before it starts; its only label is the scale set's name.
    pub(super) fn add_just_in_time(
        &mut self,
        owner: &Owner,
        group: u64,
        name: String,
        label: String,
        scale_set: u64,
    ) -> Runner {
        let id = self.new_id();
        self.by_name.entry(name.clone()).or_default().insert(id);
        let runner = Runner {
            id,
            name,
            owner: owner.clone(),
            labels: vec![label],
            group,
            online: false,
            busy: false,
            ephemeral: true,
            version: None,
            scale_set: Some(scale_set),
        };
        self.runners.insert(id, runner.clone());
        runner
    }
}

fn as_text<S: serde::Serializer>(owner: &Owner, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(owner)
}
