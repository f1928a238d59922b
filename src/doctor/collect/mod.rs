//! Reads all facts for all checks once, concurrently and each with a deadline. A failure does not end it: that fact is
//! then unknown.

mod capacity;
pub(crate) mod cluster;
pub(crate) mod github;
mod scale_sets;

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    redact::{digest, shape, slim},
    snapshot::{AtAws, Fact, Probed, Resource, Snapshot},
};
use crate::{
    clients::{
        aws::cluster::EksCluster,
        kube::{Kube, Selection, Target},
    },
    desired::{
        Desired,
        aws::pod_identity_agent,
        monitoring, names, placeholder,
        pool::{prepull, probe},
        resource::{Resource as Kind, aws::AwsResource},
    },
    error::{Error, ErrorKind, Result, System},
    inventory, observe,
    profile::Profile,
    resource::{context::Context, observed::Observed},
};
use cluster::{cert_manager, nodes_at_aws, pod_trials, tried_pods, webhooks};
use github::{audit, authenticated, groups, offered, registered};

/// The timeout of one fact.
const DEADLINE: Duration = Duration::from_secs(20);

/// The clients and settings of the command line, or why they are unknown.
pub struct Parts {
    /// The profile.
    pub profile: Profile,
    /// The warnings about it.
    pub advice: Vec<String>,
    /// Whether helm is installed.
    pub helm: Fact<()>,
    /// The API server.
    pub kube: Fact<Kube>,
    /// Whether the credential could be read.
    pub credential: Fact<()>,
    /// The clients.
    pub context: Fact<Context>,
    /// The desired resources.
    pub desired: Fact<Vec<Desired>>,
    /// The facts of AWS.
    pub at_aws: AtAws,
    /// The results of the probe, with `--probe`.
    pub probe: Option<Fact<Vec<Probed>>>,
    /// The cluster as EKS describes it.
    pub eks: Option<EksCluster>,
}

/// Reads everything.
#[expect(
    clippy::too_many_lines,
    reason = "one line per fact that is read, and one per fact that is kept"
)]
pub async fn gather(parts: &Parts) -> Snapshot {
    // Before the first read: what is made while facts are read has no age then, and is not late in any check.
    let kube = &parts.kube;
    let now = kube
        .as_ref()
        .map_or_else(|_| jiff::Timestamp::now(), Kube::now);
    let list = |selection| async move { within("list objects", listed(kube, &selection)).await };
    let get = |target| async move { within("read an object", got(kube, &target)).await };
    let has_crd = |name: &'static str| async move {
        let crd = Target::cluster("apiextensions.k8s.io/v1", "CustomResourceDefinition", name);
        within("read an object", exists(kube, &crd)).await
    };
    let controller = &parts.profile.controller;
    let system = controller.namespace.as_str();
    let namespaces = parts.profile.runner_namespaces();
    let of = |kind, namespace| Selection::namespaced("v1", kind, namespace);
    let of_runners = |api: &'static str, kind: &'static str| {
        let each: Vec<_> = namespaces
            .iter()
            .map(|namespace| list(Selection::namespaced(api, kind, namespace)))
            .collect();
        async move {
            let found: Result<Vec<_>> = futures::future::join_all(each).await.into_iter().collect();
            found.map(|it| it.into_iter().flatten().collect::<Vec<_>>())
        }
    };
    let arc = |kind| of_runners(names::ARC_API_VERSION, kind);
    let (read, pods_are_read) = oneshot::channel();
    let runner_pods = async {
        let pods = of_runners("v1", "Pod").await;
        // Nobody waits for it where no pool is a scale set.
        let _waited_for = read.send(());
        pods
    };
    let (full_name, serving) = (controller.full_name(), controller.serving_certificate());
    let cluster = async {
        tokio::join!(
            within("ask the API server's version", version(kube)),
            list(Selection::all("v1", "Node")),
            list(of("Pod", system)),
            list(of("Event", system)),
            runner_pods,
            of_runners("v1", "Event"),
        )
    };
    let objects = async {
        tokio::join!(
            get(Target::namespaced(
                "apps/v1",
                "Deployment",
                system,
                &full_name
            )),
            get(Target::namespaced(
                "cert-manager.io/v1",
                "Certificate",
                system,
                &serving
            )),
            get(Target::namespaced("v1", "Secret", system, &serving)),
            get(Target::namespaced(
                "v1",
                "Secret",
                system,
                names::CONTROLLER_SECRET
            )),
            has_crd("servicemonitors.monitoring.coreos.com"),
            list(Selection::namespaced(
                "discovery.k8s.io/v1",
                "EndpointSlice",
                system
            )),
            arc("Runner"),
            arc("HorizontalRunnerAutoscaler"),
            arc("RunnerReplicaSet"),
            get(Target::namespaced(
                "apps/v1",
                "DaemonSet",
                "kube-system",
                pod_identity_agent::NAME
            )),
        )
    };
    let monitoring = async {
        let of = monitoring::API_VERSION;
        tokio::join!(
            has_crd("prometheusrules.monitoring.coreos.com"),
            list(Selection::namespaced(of, "ServiceMonitor", system)),
            list(Selection::all(of, "Prometheus")),
            get(Target::cluster("v1", "Namespace", system)),
        )
    };
    let (
        cluster,
        objects,
        monitoring,
        (webhooks, missing_services),
        cert_manager,
        (tried, node_groups, on_nodes),
        audit,
        groups,
        (registered, offered),
        resources,
        recorded,
        scale_sets,
    ) = tokio::join!(
        cluster,
        objects,
        monitoring,
        webhooks(kube),
        cert_manager(kube),
        async {
            tokio::join!(
                tried_pods(parts),
                nodes_at_aws(parts),
                capacity::read(parts)
            )
        },
        within("audit the credential at GitHub", audit(parts)),
        within("read the runner groups at GitHub", groups(parts)),
        async {
            tokio::join!(
                within("list the runners at GitHub", registered(parts)),
                within("ask GitHub which runner it offers", offered(parts))
            )
        },
        resources(parts),
        within("read the inventory", recorded(parts)),
        scale_sets::scale_sets(parts, pods_are_read),
    );
    let rooms = capacity::rooms(parts, &cluster.1, (&cluster.4, &tried), on_nodes, now);
    let ca =
        |secret: Option<Value>| secret.and_then(|it| it["data"]["ca.crt"].as_str().map(digest));
    Snapshot {
        now,
        kubernetes: cluster.0,
        nodes: cluster.1,
        cert_manager_namespace: cert_manager.namespace,
        cert_manager: cert_manager.deployments,
        cert_manager_pods: cert_manager.pods,
        cert_manager_events: cert_manager.events,
        controller_pods: cluster.2,
        controller_events: cluster.3,
        // A running probe is not a runner, nor is what pulls images.
        runner_pods: cluster.4.map(|mut pods| {
            let not_runners = [probe::LABEL, prepull::LABEL];
            let is_other = |it: &Value| {
                let labels = &it["metadata"]["labels"];
                not_runners.iter().any(|label| !labels[*label].is_null())
            };
            pods.retain(|it| !is_other(it));
            pods
        }),
        runner_events: cluster.5,
        pod_trials: pod_trials(tried),
        rooms,
        node_groups,
        controller: objects.0.map(|it| it.as_ref().map(slim)),
        certificate: objects.1.map(|it| it.as_ref().map(slim)),
        serving_ca: objects.2.map(ca),
        secret: objects.3.map(|it| it.as_ref().map(shape)),
        service_monitors: objects.4,
        prometheus_rules: monitoring.0,
        monitors: monitoring.1,
        prometheuses: monitoring.2,
        system_namespace: monitoring.3,
        slices: objects.5,
        runners: objects.6,
        autoscalers: objects.7,
        runner_sets: objects.8.map(|it| it.iter().map(name).collect()),
        role_agent: objects.9.map(|it| it.as_ref().map(slim)),
        webhooks,
        missing_services,
        audit,
        groups,
        registered,
        offered,
        resources,
        recorded,
        scale_sets,
        profile: parts.profile.clone(),
        advice: parts.advice.clone(),
        helm: parts.helm.clone(),
        at_aws: parts.at_aws.clone(),
        probe: parts.probe.clone(),
    }
}

/// A fact that times out is unknown; the others are still reported.
pub(super) async fn within<T>(what: &str, fact: impl Future<Output = Result<T>>) -> Fact<T> {
    match tokio::time::timeout(DEADLINE, fact).await {
        Ok(fact) => fact,
        Err(_) => Err(Error::new(
            ErrorKind::TimedOut,
            System::Local,
            format!("no answer within {} s to: {what}", DEADLINE.as_secs()),
        )
        .hint("what was asked did not answer: `kubectl version` tries the API server, `arcctl doctor --only github` GitHub; a firewall or proxy between may drop the connection")),
    }
}

async fn version(kube: &Fact<Kube>) -> Result<(u32, u32)> {
    kube.as_ref().map_err(Clone::clone)?.version().await
}

/// Page by page: whole pods of thousands of runners would take hundreds of megabytes.
pub(super) async fn listed(kube: &Fact<Kube>, selection: &Selection) -> Result<Vec<Value>> {
    let kube = kube.as_ref().map_err(Clone::clone)?;
    let mut found = Vec::new();
    kube.each(selection, |it| found.push(slim(it))).await?;
    Ok(found)
}

fn name(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.unwrap_or_default().to_owned()
}

pub(super) async fn got(kube: &Fact<Kube>, target: &Target) -> Result<Option<Value>> {
    kube.as_ref().map_err(Clone::clone)?.get(target).await
}

pub(super) async fn exists(kube: &Fact<Kube>, target: &Target) -> Result<bool> {
    kube.as_ref().map_err(Clone::clone)?.exists(target).await
}

async fn recorded(parts: &Parts) -> Result<BTreeSet<String>> {
    let kube = parts.kube.as_ref().map_err(Clone::clone)?;
    let found = inventory::read(kube, inventory::Home::of(&parts.profile)).await?;
    Ok(found.records.into_keys().collect())
}

/// Observes all desired resources, stage by stage: the release needs the version of the Secret.
async fn resources(parts: &Parts) -> Fact<Vec<Resource>> {
    let desired = parts.desired.as_ref().map_err(Clone::clone)?;
    let resources = observe::by_stages(desired, |it| async move {
        let what = format!("observe {}", it.id);
        Resource {
            id: it.id.clone(),
            proof: it.resource.is_proof(),
            purpose: purpose(it),
            observed: within(&what, observed(parts, it)).await,
        }
    });
    Ok(resources.collect().await)
}

/// Whether it lacks facts of AWS; the Secret's version is read later.
fn lacks_facts(desired: &Desired) -> bool {
    placeholder::needed(std::slice::from_ref(desired))
        .iter()
        .any(|it| *it != placeholder::SECRET_VERSION)
}

/// What a security group rule is for.
pub(super) fn purpose(desired: &Desired) -> Option<String> {
    match &desired.resource {
        Kind::Aws(AwsResource::Rule(rule)) => Some(rule.purpose.clone()),
        _ => None,
    }
}

/// Without a credential, everything that needs one is unknown: the Secret, the release with its version, the runners.
async fn observed(parts: &Parts, desired: &Desired) -> Result<Observed> {
    // Facts that AWS did not return make the resources that use them unknown, in the cluster too.
    if let Err(error) = &parts.at_aws.wiring
        && lacks_facts(desired)
    {
        return Err(error.clone());
    }
    let context = match &desired.resource {
        Kind::Object(_) | Kind::Crds(_) | Kind::Webhook(_) | Kind::Aws(_) => {
            parts.context.as_ref().map_err(Clone::clone)?
        }
        _ => authenticated(parts)?,
    };
    observe::one(context, desired).await
}
