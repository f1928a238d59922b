//! A stand-in for GitHub's own controller, of runner scale sets: its objects, the listeners and the runners in its pods, as
//! far as users can see them. Reference: scale-sets.md 3, 4 and 10.
//!
//! It works while a pod of its Deployment is ready, with that pod's arguments and version, and stops if there is none;
//! listeners and runners live as long as their pods.

mod agent;
mod configuration;
mod deletion;
mod ephemeral_runner;
mod listener;
mod listener_object;
mod names;
mod pods;
mod reconciler;
mod registration;
mod runner_set;
mod scale_set;
mod service;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::Notify;

use crate::controller::GitHubSettings;
use crate::objects::{Kind, Objects, POD};

const GROUP: &str = "actions.github.com";
const SET: Kind = Kind::new(
    GROUP,
    "v1alpha1",
    "autoscalingrunnersets",
    "AutoscalingRunnerSet",
);
const LISTENER: Kind = Kind::new(
    GROUP,
    "v1alpha1",
    "autoscalinglisteners",
    "AutoscalingListener",
);
const RUNNERS: Kind = Kind::new(
    GROUP,
    "v1alpha1",
    "ephemeralrunnersets",
    "EphemeralRunnerSet",
);
const RUNNER: Kind = Kind::new(GROUP, "v1alpha1", "ephemeralrunners", "EphemeralRunner");
const ACCOUNT: Kind = Kind::new("", "v1", "serviceaccounts", "ServiceAccount");
const ROLE: Kind = Kind::new("rbac.authorization.k8s.io", "v1", "roles", "Role");
const BINDING: Kind = Kind::new(
    "rbac.authorization.k8s.io",
    "v1",
    "rolebindings",
    "RoleBinding",
);

/// Selects the controller's pods.
const CONTROLLER_PODS: &str =
    "app.kubernetes.io/part-of=gha-rs-controller,app.kubernetes.io/component=controller-manager";
/// Selects the listeners' pods.
const LISTENER_PODS: &str = "app.kubernetes.io/component=runner-scale-set-listener";
/// Selects the runners' pods.
const RUNNER_PODS: &str = "actions-ephemeral-runner=True";

/// How long the parts take.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Between a change and the pass that sees it.
    pub reconcile: Duration,
    /// How long a leader that died keeps its Lease.
    pub lease: Duration,
    /// From the start of a listener's container until it speaks to GitHub.
    pub listener: Duration,
    /// How long a listener takes to end when another one has the session.
    pub session_refused: Duration,
    /// From the start of a runner's container until it is online at GitHub.
    pub registration: Duration,
    /// How long a job runs.
    pub job: Duration,
    /// From a runner's removal at GitHub until its program ends.
    pub poll: Duration,
    /// After something failed that is tried again without a change: GitHub, a Secret that is not there.
    pub retry: Duration,
    /// After a busy runner could not be removed, or a pod exceeded a quota.
    pub busy_retry: Duration,
    /// The first wait before a runner that ended without a job is started again; it doubles.
    pub backoff: Duration,
    /// How long GitHub is waited for, beside polls for messages.
    pub github_timeout: Duration,
    /// How long a poll for messages is waited for.
    pub message_timeout: Duration,
}

impl Delays {
    /// As the code of 0.14.2 has them.
    pub fn realistic() -> Self {
        Self {
            reconcile: Duration::from_millis(200),
            lease: Duration::from_secs(15),
            listener: Duration::from_secs(1),
            session_refused: Duration::from_secs(2),
            registration: Duration::from_secs(2),
            job: Duration::from_secs(2),
            poll: Duration::from_secs(50),
            retry: Duration::from_secs(5),
            busy_retry: Duration::from_secs(30),
            backoff: Duration::from_secs(5),
            github_timeout: Duration::from_secs(30),
            message_timeout: Duration::from_mins(1),
        }
    }

    /// For tests that do not look at time.
    pub fn fast() -> Self {
        Self {
            reconcile: Duration::from_millis(50),
            lease: Duration::from_secs(4),
            listener: Duration::from_millis(100),
            session_refused: Duration::from_millis(700),
            registration: Duration::from_millis(100),
            job: Duration::from_millis(1200),
            poll: Duration::from_secs(2),
            retry: Duration::from_millis(500),
            busy_retry: Duration::from_secs(1),
            backoff: Duration::from_millis(200),
            github_timeout: Duration::from_secs(3),
            message_timeout: Duration::from_secs(20),
        }
    }
}

/// What goes wrong, on request.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The controller dies this long after its start.
    pub crash_after: Option<Duration>,
    /// Each listener dies this long after its start, and leaves its session behind.
    pub listener_dies: Option<Duration>,
    /// The controller finds no Secret with a credential, whatever there is.
    pub secret_gone: bool,
    /// A scale set is registered at GitHub this much later.
    pub late: Duration,
    /// Runners come online this much later.
    pub register_late: Duration,
    /// Runners run and never come online.
    pub never_register: bool,
    /// GitHub refuses the version of the runners: each ends with exit code 7.
    pub deprecated: bool,
}

/// Runs the stand-in until it is dropped.
pub async fn run(client: Client, github: GitHubSettings, delays: Delays, faults: Faults) {
    let settings = Arc::new(github);
    let (controller, listeners, runners) = (
        Objects::new(client.clone(), "gha-controller"),
        Objects::new(client.clone(), "ghalistener"),
        Objects::new(client, "gha-controller"),
    );
    let changed = Arc::new(Notify::new());
    let of_listeners = Arc::new(Notify::new());
    let of_runners = Arc::new(Notify::new());
    let watch = |kind, labels, notified: &Arc<Notify>| {
        controller.clone().watch(kind, labels, Arc::clone(notified))
    };
    let watches = async {
        tokio::join!(
            watch(POD, Some(CONTROLLER_PODS), &changed),
            watch(POD, Some(LISTENER_PODS), &changed),
            watch(POD, Some(RUNNER_PODS), &changed),
            watch(POD, Some(LISTENER_PODS), &of_listeners),
            watch(POD, Some(RUNNER_PODS), &of_runners),
            watch(SET, None, &changed),
            watch(LISTENER, None, &changed),
            watch(RUNNERS, None, &changed),
            watch(RUNNER, None, &changed),
        )
    };
    tokio::join!(
        watches,
        reconciler::run(controller.clone(), &settings, delays, &faults, &changed),
        listener::run(listeners, &settings, delays, &faults, &of_listeners),
        agent::run(runners, &settings, delays, &faults, &of_runners),
    );
}
