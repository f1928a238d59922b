//! A simulated exporter: the metrics of the controller's two pods and of cert-manager, and of GitHub's own controller and of a
//! listener, with the names and labels of the real ones, and with values set by a test. Nothing is measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use hyper::body::Incoming;
use jiff::Timestamp;

use crate::listen::{Server, whole};

const LEADER: &str = "leader";
const STANDBY: &str = "standby";
const CERT_MANAGER: &str = "cert-manager";
const SET_CONTROLLER: &str = "scale-set-controller";
const LISTENER: &str = "listener";

/// The pods, each at `/POD/metrics`, with their namespaces, by which a Prometheus of the operator labels what they say.
pub const PODS: [(&str, &str); 5] = [
    (LEADER, "actions-runner-system"),
    (STANDBY, "actions-runner-system"),
    (CERT_MANAGER, "cert-manager"),
    (SET_CONTROLLER, "arc-systems"),
    (LISTENER, "arc-systems"),
];

/// Of metrics about the autoscaler itself, and about the runners that it counts. `@` is the pool.
const SCALER: &str = r#"horizontalrunnerautoscaler="@",namespace="actions-runner""#;
const RUNNERS: &str = r#"horizontalrunnerautoscaler="@",namespace="actions-runner",enterprise="e",organization="",repository="",kind="RunnerDeployment",name="@""#;
const CONTROLLER: &str = r#"controller="horizontalrunnerautoscaler-controller""#;
const QUEUE: &str = r#"name="horizontalrunnerautoscaler-controller""#;
const LEASE: &str = r#"name="actions-runner-controller""#;
/// Of the controller's metrics about a scale set, `%`.
const SET: &str =
    r#"name="%",namespace="actions-runner",repository="",organization="o",enterprise="""#;
/// Of its metric about a listener, which has the listener's own name and namespace (`publishRunningListener` in
/// `controllers/actions.github.com/autoscalinglistener_controller.go` of Actions Runner Controller).
const OF_LISTENER: &str = r#"name="%-754b578d-listener",namespace="arc-systems",repository="",organization="o",enterprise="""#;
/// Of a listener's own metrics, which have the name of the `EphemeralRunnerSet`; until 0.15 that has a random end
/// (`cmd/ghalistener/main.go`: `ScaleSetName: config.EphemeralRunnerSetName`).
const OF_RUNNER_SET: &str =
    r#"name="%-x2k4z",namespace="actions-runner",repository="",organization="o",enterprise="""#;
/// The ends of both names.
const ENDS: [&str; 2] = ["-754b578d-listener", "-x2k4z"];
/// Of metrics about its jobs.
const JOBS: &str = r#"repository="r",organization="o",enterprise="",job_name="build",event_name="push",job_result="succeeded",job_workflow_ref="o/r/.github/workflows/w.yaml@refs/heads/main",job_workflow_name="w",job_workflow_target="refs/heads/main""#;
const SET_RECONCILER: &str = r#"controller="autoscalinglistener""#;
const SET_QUEUE: &str = r#"name="autoscalinglistener""#;
const SET_LEASE: &str = r#"name="arc-gha-rs-controller""#;
const SERVING: &str = r#"issuer_group="cert-manager.io",issuer_kind="Issuer",issuer_name="actions-runner-controller-selfsigned-issuer",name="actions-runner-controller-serving-cert",namespace="actions-runner-system""#;

/// A certificate's end is told as an instant; here it is the time from now on.
const END: &str = "certmanager_certificate_expiration_timestamp_seconds";

/// Where a series is, what it is called, its labels, and its value while all is well. The pod that waits for its turn
/// has the gauges without a pool, which are 0 until they are set, and no others.
const SERIES: &[(&str, &str, &str, f64)] = &[
    (
        LEADER,
        "horizontalrunnerautoscaler_spec_min_replicas",
        SCALER,
        2.0,
    ),
    (
        LEADER,
        "horizontalrunnerautoscaler_spec_max_replicas",
        SCALER,
        16.0,
    ),
    (
        LEADER,
        "horizontalrunnerautoscaler_status_desired_replicas",
        SCALER,
        3.0,
    ),
    (LEADER, "horizontalrunnerautoscaler_runners", RUNNERS, 3.0),
    (
        LEADER,
        "horizontalrunnerautoscaler_runners_registered",
        RUNNERS,
        3.0,
    ),
    (
        LEADER,
        "horizontalrunnerautoscaler_runners_busy",
        RUNNERS,
        1.0,
    ),
    (
        LEADER,
        "horizontalrunnerautoscaler_terminating_busy",
        RUNNERS,
        0.0,
    ),
    (LEADER, "github_rate_limit", "", 15000.0),
    (LEADER, "github_rate_limit_remaining", "", 12000.0),
    (
        LEADER,
        "controller_runtime_reconcile_errors_total",
        CONTROLLER,
        0.0,
    ),
    (LEADER, "workqueue_depth", QUEUE, 0.0),
    (LEADER, "leader_election_master_status", LEASE, 1.0),
    (STANDBY, "github_rate_limit", "", 0.0),
    (STANDBY, "github_rate_limit_remaining", "", 0.0),
    (STANDBY, "leader_election_master_status", LEASE, 0.0),
    (CERT_MANAGER, END, SERVING, 60.0 * 86400.0),
    (
        SET_CONTROLLER,
        "gha_controller_pending_ephemeral_runners",
        SET,
        0.0,
    ),
    (
        SET_CONTROLLER,
        "gha_controller_running_ephemeral_runners",
        SET,
        3.0,
    ),
    (
        SET_CONTROLLER,
        "gha_controller_failed_ephemeral_runners",
        SET,
        0.0,
    ),
    (
        SET_CONTROLLER,
        "gha_controller_running_listeners",
        OF_LISTENER,
        1.0,
    ),
    (
        SET_CONTROLLER,
        "controller_runtime_reconcile_errors_total",
        SET_RECONCILER,
        0.0,
    ),
    (SET_CONTROLLER, "workqueue_depth", SET_QUEUE, 0.0),
    (
        SET_CONTROLLER,
        "leader_election_master_status",
        SET_LEASE,
        1.0,
    ),
    (LISTENER, "gha_assigned_jobs", OF_RUNNER_SET, 1.0),
    (LISTENER, "gha_running_jobs", OF_RUNNER_SET, 1.0),
    // What GitHub counted when it sent the last message, that a job has begun: the runner that replaces the busy one came after
    // that, and while nothing happens no message follows (actions-runner-controller#3546, #3787, #4013).
    (LISTENER, "gha_registered_runners", OF_RUNNER_SET, 2.0),
    (LISTENER, "gha_busy_runners", OF_RUNNER_SET, 1.0),
    (LISTENER, "gha_idle_runners", OF_RUNNER_SET, 1.0),
    (LISTENER, "gha_desired_runners", OF_RUNNER_SET, 3.0),
    (LISTENER, "gha_min_runners", OF_RUNNER_SET, 2.0),
    (LISTENER, "gha_max_runners", OF_RUNNER_SET, 20.0),
    (LISTENER, "gha_completed_jobs_total", JOBS, 0.0),
];

/// A series: its name, its labels, its value.
pub type Series = (&'static str, String, f64);

/// The pool and the scale set that the pods tell of.
#[derive(Clone, Copy, Debug)]
pub struct Pools {
    /// The pool that is a `RunnerDeployment`.
    pub deployment: &'static str,
    /// The pool that is a runner scale set.
    pub set: &'static str,
}

impl Pools {
    fn fill_in(self, labels: &str) -> String {
        labels.replace('@', self.deployment).replace('%', self.set)
    }
}

/// What is said of `pools` while all is well, by the pods that lead, by cert-manager and by the listener; with the name of the
/// scale set, as arcctl's `PodMonitors` write it.
pub fn healthy(pools: Pools) -> Vec<Series> {
    let leading = SERIES.iter().filter(|it| it.0 != STANDBY);
    leading
        .map(|(_, name, labels, value)| {
            let labels = ENDS.iter().fold(pools.fill_in(labels), |labels, end| {
                labels.replace(&format!("{end}\""), "\"")
            });
            (*name, labels, *value)
        })
        .collect()
}

/// What a test has set, and how often it was looked at.
#[derive(Default)]
struct Said {
    values: BTreeMap<String, f64>,
    scrapes: u32,
}

/// A running exporter of [`PODS`].
pub struct Exporter {
    server: Server,
    said: Arc<Mutex<Said>>,
}

impl Exporter {
    /// Starts one by which all is well, for pools of these names.
    pub async fn start(pools: Pools) -> Result<Self> {
        let said: Arc<Mutex<Said>> = Arc::default();
        let shared = Arc::clone(&said);
        let server = Server::start(0, None, move |_| {
            let said = Arc::clone(&shared);
            move |request: http::Request<Incoming>| {
                let pod = request.uri().path().trim_start_matches('/');
                let pod = pod.trim_end_matches("/metrics");
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.scrapes += 1;
                let text = exposition(pod, pools, &said);
                let mut response = Response::new(whole(text));
                let plain = HeaderValue::from_static("text/plain; version=0.0.4");
                response.headers_mut().insert(CONTENT_TYPE, plain);
                async move { Ok(response) }
            }
        })
        .await?;
        Ok(Self { server, said })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Has a metric of all pods but the one that waits say something else from now on. A counter grows by its value with each
    /// scrape.
    pub fn set(&self, metric: &str, value: f64) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.values.insert(metric.to_owned(), value);
    }
}

fn exposition(pod: &str, pools: Pools, said: &Said) -> String {
    let mut text = String::new();
    for (_, name, labels, value) in SERIES.iter().filter(|it| it.0 == pod) {
        let set = said.values.get(*name).filter(|_| pod != STANDBY);
        let mut value = set.copied().unwrap_or(*value);
        let is_counter = name.ends_with("_total");
        if is_counter {
            value *= f64::from(said.scrapes);
        }
        if *name == END {
            value += Timestamp::now().as_duration().as_secs_f64().floor();
        }
        let kind = if is_counter { "counter" } else { "gauge" };
        let labels = pools.fill_in(labels);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# TYPE {name} {kind}\n{name}{{{labels}}} {value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in the text of a series' labels.
    fn names(labels: &str) -> Vec<&str> {
        let mut names: Vec<&str> = labels
            .split("\",")
            .filter_map(|it| it.split_once('='))
            .map(|it| it.0)
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_is_said_of_scale_sets_has_the_names_and_labels_of_the_real_ones() {
        let known = arcctl_facts::metrics::gha_0_14_2();
        let said = SERIES.iter().filter(|it| it.1.starts_with("gha_"));
        let mut compared = 0;
        for (pod, name, labels, _) in said {
            let metric = known.iter().find(|it| it.name == *name);
            let metric = metric.unwrap_or_else(|| panic!("there is no {name}"));
            let mut wanted = metric.labels.clone();
            wanted.sort_unstable();
            assert_eq!(names(labels), wanted, "{name}");
            let serves = if *pod == LISTENER {
                "listener"
            } else {
                "controller"
            };
            assert_eq!(metric.program, serves, "{name}");
            compared += 1;
        }
        assert!(compared > 10);
    }
}
