//! What is known of the world when the checks judge it: each fact, or why it is not known. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    desired::{pool::probe::Answer, resource::Id},
    error::{Error, Result},
    profile::Profile,
    resource::observed::Observed,
};

/// A fact, or why it is not known.
pub type Known<T> = Result<T, Error>;

/// Everything that the checks judge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    /// The time of this report.
    pub now: Timestamp,
    /// The profile.
    pub profile: Profile,
    /// What is unwise in it.
    pub advice: Vec<String>,
    /// That helm is there and of a version that works.
    pub helm: Known<()>,
    /// What is known of AWS.
    pub at_aws: AtAws,
    /// The API server's version.
    pub kubernetes: Known<(u32, u32)>,
    /// The agent of EKS Pod Identity.
    pub role_agent: Known<Option<Value>>,
    /// The nodes.
    pub nodes: Known<Vec<Value>>,
    /// The namespace in which cert-manager's webhook is called; where it has none, arcctl's own.
    pub cert_manager_namespace: Known<String>,
    /// The Deployments of cert-manager's parts.
    pub cert_manager: Known<Vec<Value>>,
    /// The pods of cert-manager's namespace.
    pub cert_manager_pods: Known<Vec<Value>>,
    /// Its events.
    pub cert_manager_events: Known<Vec<Value>>,
    /// The controller's Deployment.
    pub controller: Known<Option<Value>>,
    /// The pods of its namespace.
    pub controller_pods: Known<Vec<Value>>,
    /// Its events.
    pub controller_events: Known<Vec<Value>>,
    /// The controller's serving certificate.
    pub certificate: Known<Option<Value>>,
    /// The digest of the CA in the certificate's Secret.
    pub serving_ca: Known<Option<String>>,
    /// The shape of the Secret that the controller reads.
    pub secret: Known<Option<SecretShape>>,
    /// Webhook configurations that have to do with the controller or cert-manager, each CA as its digest.
    pub webhooks: Known<Vec<Value>>,
    /// The Services, as `namespace/name`, that these name and that are not there.
    pub missing_services: Known<BTreeSet<String>>,
    /// The endpoint slices of the controller's namespace.
    pub slices: Known<Vec<Value>>,
    /// The runners' pods.
    pub runner_pods: Known<Vec<Value>>,
    /// The events of their namespace.
    pub runner_events: Known<Vec<Value>>,
    /// The `Runner` objects.
    pub runners: Known<Vec<Value>>,
    /// The names of the `RunnerReplicaSets`: the first part of each of their runners' names.
    pub runner_sets: Known<BTreeSet<String>>,
    /// What the API server says to a pod of each pool, which is only tried.
    pub pod_trials: Known<Vec<PodTrial>>,
    /// The security groups of the cluster's nodes, where the profile leads to AWS.
    pub node_groups: Known<Vec<String>>,
    /// The autoscalers.
    pub autoscalers: Known<Vec<Value>>,
    /// Whether the cluster has the CRD of `ServiceMonitor`.
    pub service_monitors: Known<bool>,
    /// What pods like the runners' could do; `None`: nobody asked for it.
    pub probe: Option<Known<Vec<Probed>>>,
    /// Whether it has the CRD of `PrometheusRule`.
    pub prometheus_rules: Known<bool>,
    /// The `ServiceMonitors` of the controller's namespace.
    pub monitors: Known<Vec<Value>>,
    /// Every `Prometheus` of the operator.
    pub prometheuses: Known<Vec<Value>>,
    /// The controller's namespace.
    pub system_namespace: Known<Option<Value>>,
    /// What the audit of the credential advises.
    pub audit: Known<Vec<String>>,
    /// What the runner groups at GitHub let these runners do.
    pub groups: Known<Groups>,
    /// The runners at GitHub.
    pub registered: Known<Vec<Registered>>,
    /// The ids in the inventory: what arcctl made.
    pub recorded: Known<BTreeSet<String>>,
    /// What is wanted, as it was observed; why there is no list, where there is none.
    pub resources: Known<Vec<Resource>>,
}

/// What is known of AWS. `None` is what the profile does not need of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AtAws {
    /// Who arcctl is there.
    pub caller: Known<Option<String>>,
    /// The cluster, as EKS names it.
    pub cluster: Known<Option<String>>,
    /// The cluster's networks and the runners' role.
    pub wiring: Known<Option<Wiring>>,
}

/// What was read before the resources at AWS could be named.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Wiring {
    /// How many kinds of nodes there are, by their security groups.
    pub networks: usize,
    /// Whether EKS itself runs what the nodes need, the agent of Pod Identity included.
    pub auto_mode: bool,
    /// What is unwise in what others wrote.
    pub advice: Vec<String>,
    /// The role's trust policy, where there is a role.
    pub trust_policy: Option<TrustPolicy>,
}

/// How long a trust policy is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrustPolicy {
    /// Its role.
    pub role: String,
    /// Its characters.
    pub size: usize,
}

/// What a pod like those of a pool said.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probed {
    /// The pool.
    pub pool: String,
    /// Its answers.
    pub said: Known<Vec<Answer>>,
}

/// What the API server says to a pod like those of a pool, which is only tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PodTrial {
    /// The pool.
    pub pool: String,
    /// Why it refuses it, and what mends that; `None`: it does not, or there is no namespace to ask for.
    pub refused: Known<Option<Refused>>,
}

/// A refusal of a pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// The API server's words.
    pub said: String,
    /// What mends it.
    pub fix: String,
    /// Whether it only says that other pods take all the room.
    pub lacks_room: bool,
}

/// A Secret without its values.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SecretShape {
    /// Its resourceVersion.
    pub version: String,
    /// Each key, and whether its value is `Whole`.
    pub keys: BTreeMap<String, Shape>,
}

/// What can be said of a secret value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// There, and nothing else.
    Whole,
    /// Empty.
    Empty,
    /// With white space around it, which no header may have.
    Spaced,
}

/// What was found of the runner groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Groups {
    /// What keeps runners or jobs away, one sentence each.
    pub broken: Vec<String>,
    /// What is unwise, one sentence each.
    pub advice: Vec<String>,
    /// Where groups are changed.
    pub fix: String,
}

/// A runner at GitHub.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// Whether it is online.
    pub online: bool,
    /// Whether it has a job.
    pub busy: bool,
    /// Its labels.
    pub labels: Vec<String>,
}

/// A desired resource and what is there of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub id: Id,
    /// Whether it is only observed.
    pub proof: bool,
    /// What a security group rule is for.
    pub purpose: Option<String>,
    /// What was seen.
    pub observed: Known<Observed>,
}
