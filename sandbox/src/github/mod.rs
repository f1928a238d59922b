//! A stand-in for GitHub: the part of its REST API that arcctl and the controllers use, with every request and response
//! checked against GitHub's own `OpenAPI` description. The behavior is simulated; the format is GitHub's.

mod access;
mod apps;
mod call;
mod examples;
mod groups;
mod jobs;
mod owner;
mod refusal;
mod routes;
mod runners;
mod sandbox_routes;
mod scale_sets;
mod server;
mod state;
mod token;
mod workflow_file;
mod workflows;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;

pub use self::jobs::{ActionsFaults, Job};
pub(crate) use self::jobs::{Broker, JobEvent, Taken};
pub use self::owner::Owner;
pub use self::refusal::{Refusing, Told};
pub use self::scale_sets::{JobCounts, ScaleSet, ScaleSetFaults};
use self::server::Shared;
use self::state::State;
pub use self::state::{Group, NewRunner, RateLimit, Runner};
pub use self::token::{Administers, App, Installation, Token, TokenKind};
pub use self::workflows::Run;
use crate::listen::Server;
use crate::openapi::OpenApi;

/// Begins the bodies of the Actions service, which is written in .NET. The real one need not send it; GitHub's own clients cut it
/// off every body (actions/scaleset, `session_client.go`; github/actions/client.go of Actions Runner Controller:
/// `trimByteOrderMark`), so here every body has it.
pub(crate) const BYTE_ORDER_MARK: &[u8; 3] = b"\xef\xbb\xbf";

/// Which GitHub is played.
#[derive(Clone, Debug)]
pub enum Mode {
    /// GitHub Enterprise Server of this version, with its API below `/api/v3`.
    EnterpriseServer(String),
    /// github.com, with its API at the root.
    Cloud,
}

impl Mode {
    fn prefix(&self) -> &'static str {
        match self {
            Self::EnterpriseServer(_) => "/api/v3",
            Self::Cloud => "",
        }
    }

    fn version(&self) -> Option<&str> {
        match self {
            Self::EnterpriseServer(version) => Some(version),
            Self::Cloud => None,
        }
    }

    /// The runner that its downloads offer.
    fn shipped_runner(&self) -> &'static str {
        match self {
            Self::EnterpriseServer(_) => "2.323.0",
            Self::Cloud => "2.336.0",
        }
    }
}

/// What a stand-in starts with.
pub struct Options {
    /// Which GitHub is played.
    pub mode: Mode,
    /// The enterprises, organizations and repositories there are.
    pub owners: Vec<Owner>,
    /// The token there is from the start.
    pub token: Token,
    /// The primary rate limit; none is what a GitHub Enterprise Server has by default.
    pub rate_limit: Option<RateLimit>,
    /// How long every answer takes.
    pub latency: Duration,
    /// How long a job is queued before a runner that fits may have it.
    pub assignment: Duration,
    /// How long a listener's poll for messages is open, and how long a session outlives its listener.
    pub listening: (Duration, Duration),
    /// With which certificate it speaks HTTPS; plain HTTP without.
    pub tls: Option<Arc<ServerConfig>>,
}

impl Default for Options {
    /// The reference profile's GitHub: an Enterprise Server 3.19 with the enterprise `dogecompany`.
    fn default() -> Self {
        Self {
            mode: Mode::EnterpriseServer("3.19.0".to_owned()),
            owners: vec![
                Owner::enterprise("dogecompany"),
                Owner::organization("dogecompany"),
                Owner::repository("dogecompany", "app"),
            ],
            token: Token::administrator(),
            rate_limit: None,
            latency: Duration::from_millis(3),
            assignment: jobs::ASSIGNMENT,
            listening: (Duration::from_secs(50), Duration::from_mins(2)),
            tls: None,
        }
    }
}

/// A running stand-in; it ends when this is dropped.
pub struct GitHub {
    shared: Arc<Shared>,
    server: Server,
    token: String,
}

impl GitHub {
    /// Starts a stand-in on a free port of loopback.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let mut state = State::default();
        state.rate_limit = options.rate_limit;
        state.assignment = options.assignment;
        state.stateless_tokens = matches!(options.mode, Mode::Cloud);
        state.scale_sets.rules = scale_sets::Rules::of(&options.mode);
        (state.scale_sets.rules.poll, state.scale_sets.rules.session) = options.listening;
        options.mode.shipped_runner().clone_into(&mut state.shipped);
        for owner in options.owners {
            state.add_owner(owner);
        }
        let token = options.token.value.clone();
        state.tokens.push(options.token);
        let shared = Arc::new(Shared {
            mode: options.mode,
            latency: options.latency,
            scheme: if options.tls.is_some() {
                "https"
            } else {
                "http"
            },
            api: OpenApi::github()?,
            state: Mutex::new(state),
        });
        let for_connections = Arc::clone(&shared);
        let server = Server::start(0, options.tls, move |_| {
            let shared = Arc::clone(&for_connections);
            move |request| server::handle(Arc::clone(&shared), request)
        })
        .await?;
        Ok(Self {
            shared,
            server,
            token,
        })
    }

    /// Its address, as a profile's `github.url` names it: without `/api/v3`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.shared.scheme, self.server.address())
    }

    /// Where its REST API is.
    pub fn api_url(&self) -> String {
        format!("{}{}", self.url(), self.shared.mode.prefix())
    }

    /// The token it was started with.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Adds a token and returns its value.
    pub fn add_token(&self, token: Token) -> String {
        let value = token.value.clone();
        self.shared.state().tokens.push(token);
        value
    }

    /// Revokes a token; its next use is 401.
    pub fn revoke(&self, token: &str) {
        self.shared
            .state()
            .tokens
            .retain(|known| known.value != token);
    }

    /// The permissions of the installation tokens that were made, in order.
    pub fn installation_tokens(&self) -> Vec<BTreeMap<String, String>> {
        let state = self.shared.state();
        let tokens = state.tokens.iter();
        let permissions = tokens.filter_map(|token| match &token.kind {
            TokenKind::Installation(permissions) => Some(permissions.clone()),
            TokenKind::Classic(_) | TokenKind::FineGrained(_) => None,
        });
        permissions.collect()
    }

    /// Adds an App.
    pub fn add_app(&self, app: App) {
        self.shared.state().apps.push(app);
    }

    /// Adds an enterprise, organization or repository.
    pub fn add_owner(&self, owner: Owner) {
        self.shared.state().add_owner(owner);
    }

    /// Adds a runner group and returns its id; `selected` are the organizations or repositories that may use it.
    pub fn add_group(&self, owner: &Owner, name: &str, selected: Option<&[&str]>) -> u64 {
        let mut state = self.shared.state();
        let id = state.new_id();
        let selected = selected.map(|list| list.iter().map(ToString::to_string).collect());
        let (name, owner) = (name.to_owned(), owner.clone());
        state.groups.push(Group {
            id,
            name,
            owner,
            selected,
            default: false,
            public: false,
            private: false,
            workflows: None,
        });
        id
    }

    /// The id of a runner group of an owner.
    pub fn runner_group(&self, owner: &Owner, name: &str) -> Option<u64> {
        let state = self.shared.state();
        let mut groups = state.groups.iter();
        let found = groups.find(|it| it.owner == *owner && it.name == name);
        found.map(|it| it.id)
    }

    /// Changes a runner group; false if there is no such group.
    pub fn update_group(&self, id: u64, change: impl FnOnce(&mut Group)) -> bool {
        let mut state = self.shared.state();
        let group = state.groups.iter_mut().find(|group| group.id == id);
        group.map(change).is_some()
    }

    /// Removes a runner group; false if there is no such group. Its runners are in the default one then.
    pub fn remove_group(&self, id: u64) -> bool {
        let mut state = self.shared.state();
        let Some(at) = state.groups.iter().position(|group| group.id == id) else {
            return false;
        };
        let owner = state.groups.remove(at).owner;
        let mut groups = state.groups.iter();
        let default = groups.find(|group| group.default && group.owner == owner);
        let default = default.map_or(1, |group| group.id);
        for runner in state.runners.values_mut().filter(|it| it.group == id) {
            runner.group = default;
        }
        true
    }

    /// All runners, by id.
    pub fn runners(&self) -> Vec<Runner> {
        self.shared.state().runners.values().cloned().collect()
    }

    /// Registers a runner without a registration token, for a test's beginning; it is offline.
    pub fn add_runner(&self, owner: &Owner, runner: NewRunner) -> anyhow::Result<u64> {
        self.shared
            .state()
            .register(owner, runner)
            .map_err(|group| anyhow::anyhow!("`{owner}` has no runner group `{group}`"))
    }

    /// Says whether a runner is connected and has a job; false if there is no such runner.
    pub fn set_runner(&self, id: u64, online: bool, busy: bool) -> bool {
        let mut state = self.shared.state();
        let Some(runner) = state.runners.get_mut(&id) else {
            return false;
        };
        (runner.online, runner.busy) = (online, busy);
        true
    }

    /// Removes a runner, as GitHub does with one long offline; false if there is no such runner.
    pub fn remove_runner(&self, id: u64) -> bool {
        self.shared.state().runners.remove(&id).is_some()
    }

    /// Lists all runners from now on, whatever name is asked for, as an old server does.
    pub fn ignore_runner_names(&self) {
        self.shared.state().ignores_names = true;
    }

    /// Offers another version of the runner from now on.
    pub fn ship(&self, version: &str) {
        version.clone_into(&mut self.shared.state().shipped);
    }

    /// Ends all registration tokens, as an hour does.
    pub fn expire_registration_tokens(&self) {
        for registration in &mut self.shared.state().registrations {
            registration.expires_at = Timestamp::now();
        }
    }

    /// Sets the primary rate limit, or turns it off.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.shared.state().rate_limit = limit;
    }

    /// Refuses everything for the secondary rate limit, with this `Retry-After`, until told otherwise.
    pub fn set_secondary_limit(&self, retry_after: Option<Duration>) {
        self.shared.state().secondary_limit = retry_after;
    }

    /// Refuses from now on as `refusing` says, or no longer.
    pub fn set_refusing(&self, refusing: Option<Refusing>) {
        self.shared.state().refusing = refusing;
    }

    /// Commits a workflow to the default branch of a repository, in the place of one of the same name.
    pub fn commit(&self, repository: &str, file: &str, text: &str) -> anyhow::Result<()> {
        self.shared.state().commit(repository, file, text)
    }

    /// Removes a workflow from a repository.
    pub fn uncommit(&self, repository: &str, file: &str) {
        let mut state = self.shared.state();
        state
            .workflows
            .retain(|it| it.repository != repository || it.file != file);
    }

    /// Says what goes wrong with jobs from now on.
    pub fn set_actions_faults(&self, faults: ActionsFaults) {
        self.shared.state().actions = faults;
    }

    /// Says who may use a runner group: `None` is all; false if there is no such group.
    pub fn select(&self, owner: &Owner, group: &str, selected: Option<&[&str]>) -> bool {
        let mut state = self.shared.state();
        let is_it = |it: &&mut Group| it.owner == *owner && it.name == group;
        let Some(group) = state.groups.iter_mut().find(is_it) else {
            return false;
        };
        group.selected = selected.map(|list| list.iter().map(ToString::to_string).collect());
        true
    }

    /// The runners' side of jobs.
    pub(crate) fn broker(&self) -> Broker {
        Broker::new(&self.shared)
    }

    /// All workflow runs, by id.
    pub fn runs(&self) -> Vec<Run> {
        self.shared.state().runs.values().cloned().collect()
    }

    /// Queues a run of one job that asks for `labels`, as a push does, and returns the run's id.
    pub fn queue(&self, repository: &str, labels: &[&str]) -> u64 {
        self.shared.state().queue(repository, labels)
    }

    /// Cancels all workflow runs that have not ended, as somebody does on their pages.
    pub fn cancel_runs(&self) {
        let mut state = self.shared.state();
        let jobs = state.runs.values_mut().flat_map(|run| &mut run.jobs);
        jobs.for_each(Job::cancel);
    }

    /// How many requests the API has had.
    pub fn requests(&self) -> u64 {
        self.shared.state().requests
    }

    /// What was wrong, by GitHub's description, with the requests it had and the answers it gave.
    pub fn violations(&self) -> Vec<String> {
        self.shared.state().violations.clone()
    }
}

#[cfg(test)]
mod tests;
