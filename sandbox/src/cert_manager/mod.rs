//! A stand-in for cert-manager, with the behavior visible to users: the webhook, the CA injector, and the controller of
//! self-signed certificates.
//!
//! Each part works while a pod of its Deployment is ready, and stops if there is none.

mod certificate;
mod controller;
mod injector;
mod webhook;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::Value;
use tokio::sync::Notify;

use crate::egress::Egress;
use crate::leases::Leader;
use crate::objects::{self, Kind, Objects, POD};

pub(crate) const CERTIFICATE: Kind =
    Kind::new("cert-manager.io", "v1", "certificates", "Certificate");
pub(crate) const REQUEST: Kind = Kind::new(
    "cert-manager.io",
    "v1",
    "certificaterequests",
    "CertificateRequest",
);
pub(crate) const ISSUER: Kind = Kind::new("cert-manager.io", "v1", "issuers", "Issuer");
pub(crate) const CLUSTER_ISSUER: Kind =
    Kind::new("cert-manager.io", "v1", "clusterissuers", "ClusterIssuer");

/// How long the parts take; measured figures are in `realistic`. The webhook has no time of its own: it answers once its
/// pod is ready, which the probe of the chart's values decides.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// From the start of the injector's container until it injects.
    pub injector: Duration,
    /// From the creation of a Certificate until it is issued.
    pub issue: Duration,
    /// How long a leader that is gone keeps its Lease.
    pub lease: Duration,
}

impl Delays {
    /// What was observed with cert-manager v1.12.0.
    pub fn realistic() -> Self {
        Self {
            injector: Duration::from_millis(1500),
            issue: Duration::from_millis(200),
            lease: Duration::from_mins(1),
        }
    }

    /// For tests that do not look at time.
    pub fn fast() -> Self {
        Self {
            injector: Duration::from_millis(50),
            issue: Duration::ZERO,
            lease: Duration::from_secs(2),
        }
    }
}

/// What goes wrong, on request.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The webhook answers this much later.
    pub webhook_late: Duration,
    /// The webhook never answers.
    pub webhook_never: bool,
    /// No certificate is ever issued.
    pub never_issue: bool,
    /// Certificate authorities are injected this much later.
    pub inject_late: Duration,
    /// Certificate authorities are never injected.
    pub never_inject: bool,
}

/// Runs the stand-in until it is dropped.
pub async fn run(client: Client, egress: Egress, delays: Delays, faults: Faults) {
    let objects = Objects::new(client, "cert-manager");
    let changed = Arc::new(Notify::new());
    let watches = watched().map(|(kind, labels)| {
        tokio::spawn(objects.clone().watch(kind, labels, Arc::clone(&changed)))
    });
    let _stopped_with_this = AbortOnDrop(watches.into());
    let mut stand_in = CertManager {
        webhooks: webhook::Webhooks::new(objects.clone(), egress),
        leaders: HashMap::new(),
        started: HashMap::new(),
        objects,
        delays,
        faults,
    };
    loop {
        // A pass that fails is repeated: the API server may be restarting.
        let _again = stand_in.pass().await;
        tokio::select! {
            () = changed.notified() => tokio::time::sleep(Duration::from_millis(20)).await,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
    }
}

fn watched() -> [(Kind, Option<&'static str>); 6] {
    [
        (POD, Some(PODS)),
        (CERTIFICATE, None),
        (ISSUER, None),
        (REQUEST, None),
        (objects::MUTATING, None),
        (objects::VALIDATING, None),
    ]
}

const PODS: &str = "app.kubernetes.io/component in (controller,webhook,cainjector)";

struct CertManager {
    objects: Objects,
    webhooks: webhook::Webhooks,
    leaders: HashMap<&'static str, Leader>,
    started: HashMap<String, Timestamp>,
    delays: Delays,
    faults: Faults,
}

impl CertManager {
    async fn pass(&mut self) -> Result<()> {
        let pods = self.objects.list(&POD, Some(PODS)).await?;
        let now = Timestamp::now();
        let late = self.faults.webhook_late;
        let serving: Vec<&Value> = parts(&pods, "cert-manager-webhook")
            .filter(|pod| !self.faults.webhook_never && runs_for(pod, now, late))
            .collect();
        self.webhooks.serve(&serving).await?;
        let late = self.delays.injector + self.faults.inject_late;
        let mut injectors = parts(&pods, "cert-manager-cainjector")
            .filter(|pod| runs_for(pod, now, late) && !is_deaf(pod));
        if let Some(pod) = injectors.next()
            && self
                .leads("cert-manager-cainjector-leader-election", pod)
                .await?
            && !self.faults.never_inject
        {
            injector::inject(&self.objects).await?;
        }
        let mut controllers =
            parts(&pods, "cert-manager").filter(|pod| runs_for(pod, now, Duration::ZERO));
        if let Some(pod) = controllers.next()
            && self.leads("cert-manager-controller", pod).await?
        {
            let settings = controller::Settings {
                issue_after: self.delays.issue,
                never_issue: self.faults.never_issue,
            };
            controller::reconcile(&self.objects, &settings, &mut self.started).await?;
        }
        Ok(())
    }

    async fn leads(&mut self, lease: &'static str, pod: &Value) -> Result<bool> {
        let identity = match lease {
            "cert-manager-controller" => format!("{}-external-{lease}", objects::at(pod).1),
            _ => format!("{}_{}", objects::at(pod).1, objects::uid(pod)),
        };
        let place = election_namespace(pod);
        let leader = self.leaders.entry(lease).or_default();
        leader
            .hold(&self.objects, (&place, lease), &identity, self.delays.lease)
            .await
    }
}

/// Where the Lease of a pod's leader is, by the arguments that the chart gives it.
fn election_namespace(pod: &Value) -> String {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let arguments = containers.filter_map(|it| it["args"].as_array()).flatten();
    let given = arguments
        .filter_map(Value::as_str)
        .find_map(|it| it.strip_prefix("--leader-election-namespace="));
    given
        .filter(|it| !it.is_empty())
        .unwrap_or("kube-system")
        .to_owned()
}

/// The ready pods of a Deployment.
fn parts<'a>(pods: &'a [Value], name: &'a str) -> impl Iterator<Item = &'a Value> {
    pods.iter().filter(move |pod| {
        objects::text(pod, "/metadata/labels/app.kubernetes.io~1name") == name
            && objects::is_ready(pod)
    })
}

/// Whether a test has made it deaf: it runs, and does nothing until it is started anew.
fn is_deaf(pod: &Value) -> bool {
    objects::text(pod, "/metadata/annotations/arcctl-sandbox~1deaf") == "true"
}

fn runs_for(pod: &Value, now: Timestamp, at_least: Duration) -> bool {
    let started: Option<Timestamp> = objects::text(pod, "/status/startTime").parse().ok();
    let least = SignedDuration::try_from(at_least).unwrap_or(SignedDuration::MAX);
    started.is_some_and(|started| now.duration_since(started) >= least)
}

struct AbortOnDrop(Vec<tokio::task::JoinHandle<()>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}
