//! The facts that the checks evaluate: each is a value, or the error why it is unknown. Pure: no I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    desired::{
        capacity::PoolRoom,
        pool::probe::Answer,
        resource::{Id, scale_set::SetRecord},
    },
    error::{Error, Result},
    profile::Profile,
    resource::{observed::Observed, other_controllers::SetController},
};

/// A fact, or why it is unknown.
pub type Fact<T> = Result<T, Error>;

/// All facts that the checks evaluate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The time of this report: just before its first fact was read.
    pub now: Timestamp,
    /// The profile.
    pub profile: Profile,
    /// The warnings about it.
    pub advice: Vec<String>,
    /// Whether helm is installed in a supported version.
    pub helm: Fact<()>,
    /// The facts of AWS.
    pub at_aws: AtAws,
    /// The API server's version.
    pub kubernetes: Fact<(u32, u32)>,
    /// The agent of EKS Pod Identity.
    pub role_agent: Fact<Option<Value>>,
    /// The nodes.
    pub nodes: Fact<Vec<Value>>,
    /// The namespace of cert-manager's webhook Service; without one, arcctl's own.
    pub cert_manager_namespace: Fact<String>,
    /// The Deployments of cert-manager's parts.
    pub cert_manager: Fact<Vec<Value>>,
    /// The pods of cert-manager's namespace.
    pub cert_manager_pods: Fact<Vec<Value>>,
    /// Its events.
    pub cert_manager_events: Fact<Vec<Value>>,
    /// The controller's Deployment.
    pub controller: Fact<Option<Value>>,
    /// The pods of its namespace.
    pub controller_pods: Fact<Vec<Value>>,
    /// Its events.
    pub controller_events: Fact<Vec<Value>>,
    /// The controller's serving certificate.
    pub certificate: Fact<Option<Value>>,
    /// The digest of the CA in the certificate's Secret.
    pub serving_ca: Fact<Option<String>>,
    /// The shape of the Secret that the controller reads.
    pub secret: Fact<Option<SecretShape>>,
    /// Webhook configurations of the controller or cert-manager, each CA as its digest.
    pub webhooks: Fact<Vec<Value>>,
    /// The missing Services of these webhooks, as `namespace/name`.
    pub missing_services: Fact<BTreeSet<String>>,
    /// The endpoint slices of the controller's namespace.
    pub slices: Fact<Vec<Value>>,
    /// The runners' pods.
    pub runner_pods: Fact<Vec<Value>>,
    /// The events of their namespace.
    pub runner_events: Fact<Vec<Value>>,
    /// The `Runner` objects.
    pub runners: Fact<Vec<Value>>,
    /// The names of the `RunnerReplicaSets`: their runners' names start with them.
    pub runner_sets: Fact<BTreeSet<String>>,
    /// The API server's responses to dry runs of each pool's pod.
    pub pod_trials: Fact<Vec<PodTrial>>,
    /// What the nodes hold of each pool.
    pub rooms: Fact<Vec<PoolRoom>>,
    /// The security groups of the cluster's nodes, if the profile uses AWS.
    pub node_groups: Fact<Vec<String>>,
    /// The autoscalers.
    pub autoscalers: Fact<Vec<Value>>,
    /// Whether the cluster has the CRD of `ServiceMonitor`.
    pub service_monitors: Fact<bool>,
    /// The results of the probe pods; `None` without `--probe`.
    pub probe: Option<Fact<Vec<Probed>>>,
    /// Whether it has the CRD of `PrometheusRule`.
    pub prometheus_rules: Fact<bool>,
    /// The `ServiceMonitors` of the controller's namespace.
    pub monitors: Fact<Vec<Value>>,
    /// Every `Prometheus` of the operator.
    pub prometheuses: Fact<Vec<Value>>,
    /// The controller's namespace.
    pub system_namespace: Fact<Option<Value>>,
    /// The warnings of the credential's audit.
    pub audit: Fact<Vec<String>>,
    /// The permissions of these runners by their runner groups at GitHub.
    pub groups: Fact<Groups>,
    /// The runners at GitHub.
    pub registered: Fact<Vec<Registered>>,
    /// The facts of runner scale sets; `None` if no pool is one.
    #[serde(default)]
    pub scale_sets: Option<ScaleSetFacts>,
    /// The version of the runner that GitHub offers, by pool; `None`: it names none.
    pub offered: Fact<BTreeMap<String, Option<String>>>,
    /// The ids in the inventory: what arcctl created.
    pub recorded: Fact<BTreeSet<String>>,
    /// The desired resources, as observed; or why there is no list.
    pub resources: Fact<Vec<Resource>>,
}

/// The facts of runner scale sets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScaleSetFacts {
    /// The Deployment of their controller.
    pub controller: Fact<Option<Value>>,
    /// All controllers of scale sets in the cluster.
    pub controllers: Fact<Vec<SetController>>,
    /// The `AutoscalingRunnerSets` of the pools' namespaces.
    pub sets: Fact<Vec<Value>>,
    /// The `AutoscalingListeners` of the controller's namespace.
    pub listeners: Fact<Vec<Value>>,
    /// The pods of that namespace.
    pub listener_pods: Fact<Vec<Value>>,
    /// Its events.
    pub listener_events: Fact<Vec<Value>>,
    /// The `EphemeralRunnerSets` of the pools' namespaces.
    pub runner_sets: Fact<Vec<Value>>,
    /// The `EphemeralRunners` there.
    pub runners: Fact<Vec<Value>>,
    /// The Secret that each set names, by the set's `namespace/name`.
    pub secret_name: Fact<BTreeMap<String, NamedSecret>>,
    /// What is missing of the `Role` and `RoleBinding` by which the controller works for each set, by the set's `namespace/name`.
    pub missing_rights: Fact<BTreeMap<String, Vec<String>>>,
    /// The scale sets at GitHub, of all clusters.
    pub at_github: Fact<Vec<SetAtGithub>>,
    /// The records of scale sets in the inventory, by `namespace/name`.
    pub recorded: Fact<BTreeMap<String, SetRecord>>,
    /// Whether the cluster has the CRD of `PodMonitor`.
    pub pod_monitors: Fact<bool>,
}

/// A Secret that a scale set names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedSecret {
    /// Its name.
    pub name: String,
    /// Whether it exists.
    pub exists: bool,
}

/// A scale set at GitHub.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SetAtGithub {
    /// Its id, unique in its scope.
    pub id: u64,
    /// The address of the scope that lists it.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// Its runner group, if GitHub names it.
    pub group: Option<String>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its id, group and use, in words.
    pub words: String,
}

/// The facts of AWS. `None` is a fact that the profile does not need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AtAws {
    /// The AWS identity that arcctl uses.
    pub caller: Fact<Option<String>>,
    /// The cluster, as EKS names it.
    pub cluster: Fact<Option<String>>,
    /// The cluster's networks and the runners' role.
    pub wiring: Fact<Option<Wiring>>,
}

/// The facts that were read before the names of the resources at AWS were known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Wiring {
    /// The number of node types, by their security groups.
    pub networks: usize,
    /// Whether the cluster has EKS Auto Mode, whose nodes include the Pod Identity agent.
    pub auto_mode: bool,
    /// The warnings about settings of other owners.
    pub advice: Vec<String>,
    /// The role's trust policy, where there is a role.
    pub trust_policy: Option<TrustPolicy>,
}

/// The length of a trust policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrustPolicy {
    /// Its role.
    pub role: String,
    /// Its characters.
    pub size: usize,
    /// How many the account allows; `None` if this could not be found out.
    pub quota: Option<usize>,
}

/// The results of a probe pod of one pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probed {
    /// The pool.
    pub pool: String,
    /// Its results.
    pub said: Fact<Vec<Answer>>,
}

/// The API server's response to a dry run of a pool's pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PodTrial {
    /// The namespace of its runners: two of them may have a pool of the same name.
    pub namespace: String,
    /// The pool.
    pub pool: String,
    /// Why it rejects the pod, and the fix; `None`: it does not, or the namespace does not exist yet.
    pub refused: Fact<Option<Refused>>,
}

/// A rejection of a pod.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// The API server's message.
    pub said: String,
    /// The fix.
    pub fix: String,
    /// Whether the only reason is that other pods use all capacity.
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

/// The state of a secret value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Present, without other defects.
    Whole,
    /// Empty.
    Empty,
    /// With white space around it, which is invalid in a header.
    Spaced,
}

/// The facts about the runner groups.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Groups {
    /// What blocks runners or jobs, one sentence each.
    pub broken: Vec<String>,
    /// The warnings, one sentence each.
    pub advice: Vec<String>,
    /// The page where groups are changed.
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
    /// The version of its program, where GitHub says it.
    pub version: Option<String>,
}

/// A desired resource and its observed state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resource {
    /// Its name.
    pub id: Id,
    /// Whether it is only observed.
    pub proof: bool,
    /// What a security group rule is for.
    pub purpose: Option<String>,
    /// What was seen.
    pub observed: Fact<Observed>,
}
