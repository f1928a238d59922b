//! The controller's pods: one webhook server for each running pod, and one leader.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::configuration::{self, Configuration};
use super::github::{GitHub, Scope};
use super::{Delays, Faults, GitHubSettings, webhook};
use crate::admission::{AdmissionServer, Judge, Verdict};
use crate::certificates::Leaf;
use crate::egress::Egress;
use crate::leases::Leader;
use crate::objects::{self, Kind, Objects, POD, SECRET, text, uid};

/// Selects the controller's pods.
pub(super) const PODS: &str = "app.kubernetes.io/name=actions-runner-controller";

const SERVICE: Kind = Kind::new("", "v1", "services", "Service");

/// The pods that lead, one for each controller of the cluster: their unique ids, and what they were started with.
pub(super) type Leading = Vec<(String, Arc<Configuration>)>;

/// Follows the controller's pods.
pub(super) struct Manager {
    objects: Objects,
    egress: Egress,
    settings: Arc<GitHubSettings>,
    delays: Delays,
    faults: Faults,
    instances: HashMap<String, Instance>,
    leaders: HashMap<(String, String), (String, Leader)>,
}

/// One running pod.
struct Instance {
    namespace: String,
    pod: String,
    started: Timestamp,
    configuration: Arc<Configuration>,
    certificate: String,
    served: Option<(String, String, AdmissionServer)>,
    /// The certificate that the Secret has by now and the pod's volume not yet, and since when.
    coming: Option<(String, Instant)>,
}

impl Manager {
    pub(super) fn new(
        objects: Objects,
        egress: Egress,
        settings: Arc<GitHubSettings>,
        delays: Delays,
        faults: Faults,
    ) -> Self {
        let (instances, leaders) = (HashMap::new(), HashMap::new());
        Self {
            objects,
            egress,
            settings,
            delays,
            faults,
            instances,
            leaders,
        }
    }

    /// Follows the pods, and tells who leads.
    pub(super) async fn run(mut self, changed: &Notify, leading: watch::Sender<Leading>) {
        loop {
            // A pass that fails is repeated: the API server may be restarting.
            if let Ok(now) = self.pass().await {
                leading.send_if_modified(|before| {
                    let is_new = *before != now;
                    *before = now;
                    is_new
                });
            }
            tokio::select! {
                () = changed.notified() => tokio::time::sleep(Duration::from_millis(20)).await,
                () = tokio::time::sleep(Duration::from_millis(300)) => {}
            }
        }
    }

    async fn pass(&mut self) -> Result<Leading> {
        let now = Timestamp::now();
        let pods = self.objects.list(&POD, Some(PODS)).await?;
        let running: Vec<&Value> = pods
            .iter()
            .filter(|pod| objects::is_ready(pod) && !self.has_crashed(pod, now))
            .collect();
        let gone = |id: &String| !running.iter().any(|pod| uid(pod) == id);
        let stopped: Vec<String> = self
            .instances
            .keys()
            .filter(|id| gone(id))
            .cloned()
            .collect();
        for id in stopped {
            self.stop(&id);
        }
        for pod in running {
            self.start(pod).await?;
        }
        self.serve(now).await?;
        self.elect().await
    }

    fn has_crashed(&self, pod: &Value, now: Timestamp) -> bool {
        let Some(after) = self.faults.crash_after else {
            return false;
        };
        let started = objects::started_at(pod, "manager");
        started.is_some_and(|started| is_past(started, after, now))
    }

    /// Reads what a pod was started with, once.
    async fn start(&mut self, pod: &Value) -> Result<()> {
        let Some(started) = objects::started_at(pod, "manager") else {
            return Ok(());
        };
        if self.instances.contains_key(uid(pod)) {
            return Ok(());
        }
        let configuration = configuration::of_pod(&self.objects, pod).await?;
        let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
        let volume = volumes.and_then(|all| all.iter().find(|volume| volume["name"] == "cert"));
        let certificate = volume.map_or("", |volume| text(volume, "/secret/secretName"));
        let (namespace, name) = objects::at(pod);
        let instance = Instance {
            namespace: namespace.to_owned(),
            pod: name.to_owned(),
            started,
            configuration: Arc::new(configuration),
            certificate: certificate.to_owned(),
            served: None,
            coming: None,
        };
        self.instances.insert(uid(pod).to_owned(), instance);
        Ok(())
    }

    fn stop(&mut self, id: &str) {
        let Some(instance) = self.instances.remove(id) else {
            return;
        };
        let Some((service, _, _)) = instance.served else {
            return;
        };
        self.egress.unregister(&instance.namespace, &service);
        let mut others = self
            .instances
            .values()
            .filter(|one| one.namespace == instance.namespace);
        let other = others.find_map(|one| one.served.as_ref().filter(|served| served.0 == service));
        if let Some((_, _, server)) = other {
            self.egress
                .register(&instance.namespace, &service, server.address());
        }
    }

    /// Starts the webhook of each pod that is old enough, with what its certificate's Secret has now.
    async fn serve(&mut self, now: Timestamp) -> Result<()> {
        let late = self.delays.webhook + self.faults.webhook_late;
        for instance in self.instances.values_mut() {
            if self.faults.webhook_never || !is_past(instance.started, late, now) {
                continue;
            }
            let at = (instance.namespace.as_str(), instance.certificate.as_str());
            let Some(secret) = self.objects.get(&SECRET, at).await? else {
                continue;
            };
            let Ok(leaf) = leaf(&secret) else { continue };
            if let Some((_, served, server)) = &mut instance.served {
                if *served == leaf.certificate {
                    instance.coming = None;
                    continue;
                }
                // The real one reads a file of its volume, which the kubelet writes anew at its own pace.
                let new = || (leaf.certificate.clone(), Instant::now());
                let (coming, since) = instance.coming.get_or_insert_with(new);
                if *coming != leaf.certificate {
                    (*coming, *since) = new();
                }
                if since.elapsed() >= self.delays.volume_refresh {
                    server.replace_certificate(&leaf)?;
                    *served = leaf.certificate;
                    instance.coming = None;
                }
                continue;
            }
            let services = self.objects.list(&SERVICE, Some(PODS)).await?;
            let webhook = services.iter().find(|service| {
                objects::at(service).0 == instance.namespace
                    && text(service, "/spec/ports/0/name") == "https"
            });
            let Some(service) = webhook else { continue };
            let github = GitHub::new(&instance.configuration, &self.settings, &self.delays)?;
            let judge = judge(github, self.faults.webhook_refuses);
            let server = AdmissionServer::start(&leaf, judge).await?;
            let service = objects::at(service).1.to_owned();
            self.egress
                .register(&instance.namespace, &service, server.address());
            instance.served = Some((service, leaf.certificate, server));
        }
        Ok(())
    }

    /// Has the longest-running pod of each controller lead, unless another one does; the Lease of a dead leader has to
    /// expire first.
    async fn elect(&mut self) -> Result<Leading> {
        let mut leading = Leading::new();
        let mut led = HashSet::new();
        let mut by_age: Vec<_> = self.instances.iter().collect();
        by_age.sort_by_key(|(id, instance)| (instance.started, (*id).clone()));
        for (id, instance) in by_age {
            let lease = (
                instance.namespace.clone(),
                instance.configuration.lease.clone(),
            );
            if led.contains(&lease) {
                continue;
            }
            let (holder, leader) = self.leaders.entry(lease.clone()).or_default();
            if holder != id && self.instances.contains_key(holder) {
                continue;
            }
            let identity = format!("{}_{id}", instance.pod);
            let at = (lease.0.as_str(), lease.1.as_str());
            if leader
                .hold(&self.objects, at, &identity, self.delays.lease)
                .await?
            {
                holder.clone_from(id);
                leading.push((id.clone(), Arc::clone(&instance.configuration)));
                led.insert(lease);
            }
        }
        Ok(leading)
    }
}

fn is_past(since: Timestamp, least: Duration, now: Timestamp) -> bool {
    let least = SignedDuration::try_from(least).unwrap_or(SignedDuration::MAX);
    now.duration_since(since) >= least
}

fn leaf(secret: &Value) -> Result<Leaf> {
    let part = |pointer| -> Result<String> {
        let bytes = STANDARD.decode(text(secret, pointer))?;
        String::from_utf8(bytes).context("the serving certificate is not PEM")
    };
    Ok(Leaf {
        certificate: part("/data/tls.crt")?,
        key: part("/data/tls.key")?,
    })
}

fn judge(github: GitHub, refuses: bool) -> Judge {
    Arc::new(move |path, request| {
        let github = github.clone();
        async move {
            if refuses {
                return webhook::failed("the sandbox refuses this on request");
            }
            match path.split('-').next() {
                Some("/validate") => webhook::validate(&request),
                _ if path == "/mutate-runner-set-pod" => inject(&github, &request).await,
                _ => webhook::defaults(&request),
            }
        }
        .boxed()
    })
}

/// Gives a pod the registration token it lacks.
async fn inject(github: &GitHub, request: &Value) -> Verdict {
    let pod = &request["object"];
    let name = text(pod, "/metadata/name");
    let expires = "/metadata/annotations/actions-runner-controller~1token-expires-at";
    if variable(pod, "RUNNER_TOKEN").is_some() && !text(pod, expires).is_empty() {
        return Verdict::Allowed;
    }
    let given = |variable_name| variable(pod, variable_name).unwrap_or_default().to_owned();
    let scope = Scope::of(&serde_json::json!({
        "enterprise": given("RUNNER_ENTERPRISE"), "organization": given("RUNNER_ORG"),
        "repository": given("RUNNER_REPO"),
    }));
    let Some(scope) = scope else {
        return Verdict::Allowed;
    };
    match github.registration_token(&scope).await {
        Ok(token) => {
            webhook::inject_token(pod, name, &token.value, &objects::seconds(token.expires))
        }
        Err(error) => webhook::failed(&error),
    }
}

/// The value of a variable of the runner's container.
pub(super) fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let containers = pod.pointer("/spec/containers")?.as_array()?;
    let runner = containers
        .iter()
        .find(|container| container["name"] == "runner")?;
    let variable = runner["env"]
        .as_array()?
        .iter()
        .find(|variable| variable["name"] == name)?;
    variable["value"].as_str().filter(|value| !value.is_empty())
}
