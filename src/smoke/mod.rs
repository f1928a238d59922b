//! `arcctl smoke`: dispatches a workflow, follows its jobs to the runners of the pools, and waits for new runners.
//!
//! If the command stops early (Ctrl-C, deadline, error), it cancels the workflow run at GitHub.

mod cleanup;
mod dispatch;
mod fault;
mod follow;
mod job_report;
mod queue_reason;
mod replacement;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    clients::{
        github::{GitHub, Job, Repository, Run},
        kube::Kube,
    },
    error::{Error, Result},
    execute::Stop,
    profile::{KubeDuration, Pool, Profile},
};
use job_report::Pods;
pub use job_report::{LabelStory, PoolStory, Step};
use queue_reason::Cause;

/// How long a dispatched run may take to appear.
const APPEARS: Duration = Duration::from_mins(1);

/// How long the run is searched for if the dispatch got no response.
const DOUBT: Duration = Duration::from_secs(15);

/// The timeout of cancelling.
const CANCELLING: Duration = Duration::from_secs(15);

/// How often the current wait condition is reported again (DESIGN 2: at least every 15 s).
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The clients.
#[derive(Clone, Copy)]
pub struct Clients<'a> {
    /// The cluster.
    pub kube: &'a Kube,
    /// GitHub, with the profile's credential: runners and their groups.
    pub runners: &'a GitHub,
    /// GitHub, with the credential for the dispatch.
    pub actions: &'a GitHub,
}

/// The request.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// One pool; `None` for all.
    pub pool: Option<&'a str>,
    /// Where the workflow is.
    pub repository: &'a Repository,
    /// The branch; `None` for the default branch.
    pub reference: Option<&'a str>,
    /// The unique id by which the run is found.
    pub nonce: &'a str,
}

impl<'a> Request<'a> {
    fn reference(&self) -> &'a str {
        self.reference.unwrap_or(&self.repository.default_branch)
    }
}

/// The time limit.
pub struct Limits {
    /// The deadline.
    pub deadline: Instant,
    /// The limit as the user gave it.
    pub limit: KubeDuration,
    /// A signal.
    pub stop: watch::Receiver<Option<Stop>>,
}

/// Progress messages.
#[derive(Clone, Debug)]
pub enum SmokeEvent {
    /// An event.
    Event(String),
    /// A new wait condition.
    Waiting(String),
    /// The same wait condition as before.
    Still(String),
}

/// The result.
#[derive(Debug)]
pub struct Smoke {
    /// The profile's name.
    pub profile: String,
    /// `OWNER/NAME`.
    pub repository: String,
    /// The branch.
    pub reference: String,
    /// The unique id by which the run was found.
    pub nonce: String,
    /// The run: its id, its page, and its conclusion.
    pub run: Option<SmokeRun>,
    /// The pools.
    pub pools: Vec<PoolStory>,
    /// How long it took.
    pub elapsed: Duration,
    /// The error.
    pub error: Option<Error>,
}

/// The run at GitHub.
#[derive(Clone, Debug)]
pub struct SmokeRun {
    /// Its id.
    pub id: u64,
    /// Its page.
    pub url: String,
    /// GitHub's status of the run; its conclusion once it is completed.
    pub state: String,
    /// Whether arcctl requested its cancellation.
    pub cancelled: bool,
}

/// The current stage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Finding,
    Following,
    Replacing,
    Done,
}

/// Why it stops.
enum End {
    Failed(Error),
    Stopped(Stop),
    Over,
}

struct Smoking<'a> {
    clients: Clients<'a>,
    request: Request<'a>,
    tell: &'a (dyn Fn(SmokeEvent) + Sync),
    pools: Vec<&'a Pool>,
    stage: Stage,
    began: Instant,
    dispatched: Option<Instant>,
    /// The error of a dispatch that got no response.
    doubt: Option<Error>,
    run: Option<Run>,
    cancelled: bool,
    jobs: Vec<Job>,
    /// All pods that were seen, with their pools.
    pods: Pods,
    /// Those that existed before the dispatch.
    before: BTreeSet<String>,
    /// Jobs whose runner was already reported.
    told: BTreeSet<String>,
    cause: Option<Cause>,
    looked: Option<Instant>,
    over: Option<Instant>,
    replaced: BTreeMap<String, (Duration, Option<String>)>,
    reason: String,
    reason_since: Instant,
    said: Instant,
}

/// Runs the command.
pub async fn smoke(
    clients: Clients<'_>,
    request: Request<'_>,
    limits: &mut Limits,
    tell: &(dyn Fn(SmokeEvent) + Sync),
) -> Smoke {
    let began = Instant::now();
    let is_meant = |it: &&Pool| request.pool.is_none_or(|pool| it.name == pool);
    let mut smoking = Smoking {
        clients,
        request,
        tell,
        pools: request.profile.pools.iter().filter(is_meant).collect(),
        stage: Stage::Finding,
        began,
        dispatched: None,
        doubt: None,
        run: None,
        cancelled: false,
        jobs: Vec::new(),
        pods: Pods::new(),
        before: BTreeSet::new(),
        told: BTreeSet::new(),
        cause: None,
        looked: None,
        over: None,
        replaced: BTreeMap::new(),
        reason: "looking at the pools".into(),
        reason_since: began,
        said: began,
    };
    let error = match smoking.drive(limits).await {
        Ok(()) => None,
        Err(End::Failed(error)) => Some(error),
        Err(End::Stopped(stop)) => Some(smoking.stopped(stop)),
        Err(End::Over) => Some(smoking.timed_out(limits.limit)),
    };
    if error.is_some() {
        smoking.cancel().await;
    }
    smoking.finish(error)
}

/// The result of `work`, unless the deadline or a signal comes first.
async fn within<T>(
    limits: &mut Limits,
    work: impl Future<Output = Result<T>>,
) -> Result<Result<T>, End> {
    tokio::select! {
        biased;
        stop = limits.stop.wait_for(Option::is_some) => {
            let stop = stop.ok().and_then(|it| *it).unwrap_or(Stop::Interrupted);
            Err(End::Stopped(stop))
        }
        done = work => Ok(done),
        () = sleep_until(limits.deadline) => Err(End::Over),
    }
}

impl Smoking<'_> {
    async fn drive(&mut self, limits: &mut Limits) -> Result<(), End> {
        within(limits, self.look()).await?.map_err(End::Failed)?;
        within(limits, self.dispatch())
            .await?
            .map_err(End::Failed)?;
        while self.stage != Stage::Done {
            let polled = within(limits, self.poll()).await?;
            match polled {
                Ok(reason) => self.wait_for(reason),
                Err(error) if error.passing => self.wait_for(error.message),
                Err(error) => return Err(End::Failed(error)),
            }
            if self.stage != Stage::Done {
                let next = self.next_look();
                within(limits, async {
                    sleep_until(next).await;
                    Ok(())
                })
                .await?
                .map_err(End::Failed)?;
            }
        }
        Ok(())
    }

    /// One poll of the current stage; returns the wait condition.
    async fn poll(&mut self) -> Result<String> {
        match self.stage {
            Stage::Finding => self.find().await,
            Stage::Following => self.follow().await,
            Stage::Replacing => self.replace().await,
            Stage::Done => Ok(String::new()),
        }
    }

    /// When to poll again: often at first, and never before GitHub allows it.
    fn next_look(&self) -> Instant {
        let pause = match self.began.elapsed().as_secs() {
            0..30 => 1,
            30..120 => 3,
            _ => 10,
        };
        let mut pause = Duration::from_secs(pause);
        for client in [self.clients.actions, self.clients.runners] {
            let rest = client.rests_until();
            let rest = rest.map(|until| until.duration_since(jiff::Timestamp::now()));
            pause = pause.max(rest.and_then(|it| it.try_into().ok()).unwrap_or_default());
        }
        Instant::now() + pause
    }

    fn event(&mut self, text: String) {
        self.said = Instant::now();
        (self.tell)(SmokeEvent::Event(text));
    }

    fn wait_for(&mut self, reason: String) {
        if self.stage == Stage::Done {
            return;
        }
        let now = Instant::now();
        if reason != self.reason {
            self.reason.clone_from(&reason);
            (self.reason_since, self.said) = (now, now);
            (self.tell)(SmokeEvent::Waiting(reason));
        } else if now - self.said >= HEARTBEAT {
            self.said = now;
            let seconds = (now - self.reason_since).as_secs();
            (self.tell)(SmokeEvent::Still(format!("{reason} ({seconds} s)")));
        }
    }
}
