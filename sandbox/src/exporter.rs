//! A simulated exporter: the metrics of the controller's two pods and of cert-manager, with the names and labels of the
//! real ones, and with values set by a test. Nothing is measured.

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

/// Of metrics about the autoscaler itself, and about the runners that it counts. `@` is the pool.
const SCALER: &str = r#"horizontalrunnerautoscaler="@",namespace="actions-runner""#;
const RUNNERS: &str = r#"horizontalrunnerautoscaler="@",namespace="actions-runner",enterprise="e",organization="",repository="",kind="RunnerDeployment",name="@""#;
const CONTROLLER: &str = r#"controller="horizontalrunnerautoscaler-controller""#;
const QUEUE: &str = r#"name="horizontalrunnerautoscaler-controller""#;
const LEASE: &str = r#"name="actions-runner-controller""#;
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
];

/// A series: its name, its labels, its value.
pub type Series = (&'static str, String, f64);

/// What is said of `pool` while all is well, by the pod that leads and by cert-manager.
pub fn healthy(pool: &str) -> Vec<Series> {
    let leading = SERIES.iter().filter(|it| it.0 != STANDBY);
    leading
        .map(|(_, name, labels, value)| (*name, labels.replace('@', pool), *value))
        .collect()
}

/// What a test has set, and how often it was looked at.
#[derive(Default)]
struct Said {
    values: BTreeMap<String, f64>,
    scrapes: u32,
}

/// A running exporter. The pod that leads is at `/leader/metrics`, the other at `/standby/metrics`, cert-manager at
/// `/cert-manager/metrics`.
pub struct Exporter {
    server: Server,
    said: Arc<Mutex<Said>>,
}

impl Exporter {
    /// Starts one by which all is well, for the pool of this name.
    pub async fn start(pool: &str) -> Result<Self> {
        let said: Arc<Mutex<Said>> = Arc::default();
        let (shared, pool) = (Arc::clone(&said), pool.to_owned());
        let server = Server::start(0, None, move |_| {
            let (said, pool) = (Arc::clone(&shared), pool.clone());
            move |request: http::Request<Incoming>| {
                let pod = request.uri().path().trim_start_matches('/');
                let pod = pod.trim_end_matches("/metrics");
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.scrapes += 1;
                let text = exposition(pod, &pool, &said);
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

    /// Has a metric of the pod that leads, or of cert-manager, say something else from now on. A counter grows by its
    /// value with each scrape.
    pub fn set(&self, metric: &str, value: f64) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.values.insert(metric.to_owned(), value);
    }
}

fn exposition(pod: &str, pool: &str, said: &Said) -> String {
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
        let labels = labels.replace('@', pool);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# TYPE {name} {kind}\n{name}{{{labels}}} {value}");
    }
    text
}
