//! A stand-in for Actions Runner Controller, with the behavior visible to users: its webhooks, its reconciliation of
//! runners and autoscalers, and the runners inside its pods.
//!
//! It works while a pod of its Deployment is ready, with that pod's arguments, environment and Secret, and stops if there
//! is none.

pub(crate) mod agent;
mod autoscaler;
mod configuration;
mod deployments;
pub(crate) mod github;
mod manager;
mod overrides;
mod pods;
mod reconciler;
mod runner_pod;
#[cfg(test)]
mod runner_pod_tests;
mod runners;
mod scale_down;
mod scaling;
mod webhook;
mod webhook_server;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::egress::Egress;
use crate::objects::{Kind, Objects, POD};

pub(crate) const GROUP: &str = "actions.summerwind.dev";
pub(crate) const DEPLOYMENT: Kind =
    Kind::new(GROUP, "v1alpha1", "runnerdeployments", "RunnerDeployment");
pub(crate) const REPLICA_SET: Kind =
    Kind::new(GROUP, "v1alpha1", "runnerreplicasets", "RunnerReplicaSet");
pub(crate) const RUNNER: Kind = Kind::new(GROUP, "v1alpha1", "runners", "Runner");
pub(crate) const AUTOSCALER: Kind = Kind::new(
    GROUP,
    "v1alpha1",
    "horizontalrunnerautoscalers",
    "HorizontalRunnerAutoscaler",
);

/// How long the parts take; measured figures are in `realistic`.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// From the start of the manager's container until its webhook answers.
    pub webhook: Duration,
    /// How long a leader that died keeps its Lease.
    pub lease: Duration,
    /// After how long the kubelet brings a changed Secret into the volumes of pods that run.
    pub volume_refresh: Duration,
    /// Between a change and the pass that sees it.
    pub reconcile: Duration,
    /// From the start of a runner's container until it is online at GitHub.
    pub registration: Duration,
    /// How long a job runs.
    pub job: Duration,
    /// From a runner's removal at GitHub until its program ends: it asks GitHub for jobs in long polls.
    pub poll: Duration,
    /// Between two looks whether a runner is registered.
    pub registration_check: Duration,
    /// After a registration token could not be had.
    pub token_retry: Duration,
    /// After GitHub refused to remove a runner.
    pub unregistration_retry: Duration,
    /// How long GitHub is waited for.
    pub github_timeout: Duration,
    /// How long the controller goes without looking again at what nothing tells it to look at: its sync period.
    pub resync: Duration,
    /// How long a runner that never registered is held after its pod became ready.
    pub registration_timeout: Duration,
    /// Once a webhook has scaled a set: how long after its last Runner was made none takes the place of one that ended.
    pub recreation: Duration,
}

impl Delays {
    /// What was observed with ARC v0.27.4, and what its code says.
    pub fn realistic() -> Self {
        Self {
            webhook: Duration::from_millis(1500),
            lease: Duration::from_secs(15),
            volume_refresh: Duration::from_mins(1),
            reconcile: Duration::from_millis(200),
            registration: Duration::from_secs(1),
            job: Duration::from_secs(2),
            poll: Duration::from_secs(50),
            registration_check: Duration::from_secs(10),
            token_retry: Duration::from_mins(3),
            unregistration_retry: Duration::from_secs(10),
            github_timeout: Duration::from_secs(30),
            resync: Duration::from_mins(1),
            registration_timeout: Duration::from_mins(10),
            recreation: Duration::from_mins(10),
        }
    }

    /// For tests that do not look at time.
    pub fn fast() -> Self {
        Self {
            webhook: Duration::from_millis(100),
            lease: Duration::from_secs(4),
            volume_refresh: Duration::from_secs(3),
            reconcile: Duration::from_millis(50),
            registration: Duration::from_millis(100),
            job: Duration::from_millis(1200),
            poll: Duration::from_secs(15),
            registration_check: Duration::from_millis(500),
            token_retry: Duration::from_secs(2),
            unregistration_retry: Duration::from_secs(1),
            github_timeout: Duration::from_secs(3),
            resync: Duration::from_secs(10),
            registration_timeout: Duration::from_secs(5),
            recreation: Duration::from_secs(20),
        }
    }
}

/// What goes wrong, on request.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The webhook answers this much later.
    pub webhook_late: Duration,
    /// The webhook never answers, although its pods are ready.
    pub webhook_never: bool,
    /// The webhook denies everything.
    pub webhook_refuses: bool,
    /// The manager dies this long after its start: no webhook and no reconciliation from then on.
    pub crash_after: Option<Duration>,
    /// Runners run and never appear at GitHub.
    pub never_register: bool,
    /// Its sync period, and its runners' polls, take so long, whatever the pace.
    pub sync: Option<Duration>,
}

/// Which GitHub the stand-in may speak to: always one on loopback.
#[derive(Clone, Debug, Default)]
pub struct GitHubSettings {
    /// Certificates to trust besides those of the system, as PEM.
    pub trusted: Vec<String>,
    /// What answers for `https://api.github.com` when no enterprise server is configured.
    pub public: Option<String>,
    /// Where the runners' jobs come from; without it they get none.
    pub(crate) broker: Option<crate::github::Broker>,
    /// Whether the nodes, and so the controller and the runners on them, reach no server: as behind a closed security
    /// group, packets are dropped, and a call ends with its timeout.
    pub(crate) cut_off: Arc<AtomicBool>,
    /// Whether objects and runners are left as they are.
    pub(crate) paused: Arc<AtomicBool>,
    /// The tokens of `githubAPICredentialsFrom`, by the scope they are for.
    pub(crate) credentials: Credentials,
}

/// Tokens by scope, as in the API's paths (`orgs/ORG`).
#[derive(Clone, Default)]
pub(crate) struct Credentials(Arc<Mutex<HashMap<String, String>>>);

impl Credentials {
    /// Keeps a token.
    fn learn(&self, scope: String, token: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(scope, token);
    }

    /// The token for a call.
    fn for_call(&self, url: &str) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = known.iter();
        known
            .find(|(scope, _)| url.contains(&format!("/{scope}/actions/")))
            .map(|(_, token)| token.clone())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credentials")
    }
}

/// The pod that the stand-in makes for a Runner of `template`, which is that of a `RunnerDeployment`, where its manager
/// was started with `arguments`, or why its manager cannot make one.
pub fn pod_of(
    template: &Value,
    (namespace, name): (&str, &str),
    arguments: &[String],
    web: &str,
) -> Result<Value, String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let configuration = configuration::from(&arguments, &BTreeMap::new());
    let mut metadata = template["metadata"].clone();
    metadata["name"] = name.into();
    metadata["namespace"] = namespace.into();
    let runner = json!({
        "apiVersion": RUNNER.api_version(), "kind": "Runner",
        "metadata": metadata, "spec": template["spec"],
    });
    let mut pod = runner_pod::build(&runner, &configuration, web)?;
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    Ok(pod)
}

/// Runs the stand-in until it is dropped.
pub async fn run(
    client: Client,
    egress: Egress,
    github: GitHubSettings,
    delays: Delays,
    faults: Faults,
) {
    let objects = Objects::new(client, "manager");
    let (leading, leader) = watch::channel(Vec::new());
    let changed = Arc::new(Notify::new());
    let controllers = Arc::new(Notify::new());
    let runner_pods = Arc::new(Notify::new());
    let watches = async {
        tokio::join!(
            objects
                .clone()
                .watch(POD, Some(manager::PODS), Arc::clone(&controllers)),
            objects
                .clone()
                .watch(POD, Some(pods::LABEL), Arc::clone(&runner_pods)),
            objects
                .clone()
                .watch(POD, Some(pods::LABEL), Arc::clone(&changed)),
            objects
                .clone()
                .watch(DEPLOYMENT, None, Arc::clone(&changed)),
            objects
                .clone()
                .watch(REPLICA_SET, None, Arc::clone(&changed)),
            objects.clone().watch(RUNNER, None, Arc::clone(&changed)),
            objects
                .clone()
                .watch(AUTOSCALER, None, Arc::clone(&changed)),
        )
    };
    let settings = Arc::new(github);
    let manager = manager::Manager::new(
        objects.clone(),
        egress,
        Arc::clone(&settings),
        delays,
        faults.clone(),
    );
    tokio::join!(
        watches,
        manager.run(&controllers, leading),
        reconciler::run(
            objects.clone(),
            leader,
            Arc::clone(&settings),
            delays,
            &changed
        ),
        webhook_server::run(objects.clone(), Arc::clone(&settings)),
        agent::run(objects.clone(), settings, delays, faults, &runner_pods),
    );
}
