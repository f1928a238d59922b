//! What a resource is: data, made from the profile, that everything below works with. Pure: no I/O.

pub mod aws;

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::profile::Schedule;

/// The name of a resource in plans, reports and errors: `kind/namespace/name`; cluster-wide things have `-` in place
/// of the namespace (DESIGN 2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(String);

impl Id {
    /// The id of `kind` called `name` in `namespace`.
    pub fn new(kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self(format!("{kind}/{}/{name}", namespace.unwrap_or("-")))
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first part, for example `helm-release`.
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The id that `text` is.
    pub fn parse(text: &str) -> Option<Self> {
        (text.splitn(3, '/').filter(|it| !it.is_empty()).count() == 3).then(|| Self(text.into()))
    }

    /// Whether it is of something at AWS.
    pub fn is_at_aws(&self) -> bool {
        const KINDS: [&str; 6] = [
            "oidc-provider",
            "iam-role",
            "iam-role-policy",
            "bucket-policy",
            aws::PodIdentityAssociation::KIND,
            "security-group-rule",
        ];
        KINDS.contains(&self.kind())
    }

    /// The middle part; `None` for what is cluster-wide.
    pub fn namespace(&self) -> Option<&str> {
        self.0.split('/').nth(1).filter(|it| *it != "-")
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.splitn(3, '/').nth(2).unwrap_or_default()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One thing arcctl manages.
#[derive(Clone, Debug)]
pub enum Resource {
    /// A Kubernetes object, applied server-side.
    Object(KubeObject),
    /// The Secret the controller reads its GitHub credential from.
    ControllerSecret(ControllerSecret),
    /// A Secret of arcctl's beside that one.
    Secret(OwnSecret),
    /// The `CustomResourceDefinitions` of a chart.
    Crds(CrdSet),
    /// A Helm release.
    Release(HelmRelease),
    /// Something at AWS.
    Aws(aws::AwsResource),
    /// That admission webhooks answer: observed only.
    Webhook(WebhookProof),
    /// That a pool's pods run: observed only.
    RunnerPods(Registration),
    /// That a pool's runners are online at GitHub: observed only.
    Registration(Registration),
    /// A Job that tries what a runner needs: done once its pod has ended.
    Probe(Probe),
    /// That a Deployment's pods were started anew.
    Restart(Restart),
    /// A pool that is to go.
    Drain(Drain),
    /// The controller's webhook configurations, which are to go.
    Webhooks(Webhooks),
    /// What the pools of a profile left at GitHub, which is to go.
    Ghosts {
        /// The profile.
        profile: String,
        /// Only these runners; none: those whose names are on record.
        only: Option<BTreeSet<String>>,
    },
}

/// A Job that tries what a runner needs, from where a runner is.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its manifest.
    pub job: Value,
}

/// That the pods of a Deployment were started after a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub deployment: String,
    /// When it was asked for.
    pub since: jiff::Timestamp,
}

/// A pool that is to go: scaled to nothing, its jobs waited for, then its `RunnerDeployment` deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The namespace of its `RunnerDeployment`.
    pub namespace: String,
    /// The pool.
    pub pool: String,
}

/// The webhook configurations that a release made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhooks {
    /// The release's namespace.
    pub namespace: String,
    /// The release's name.
    pub release: String,
}

/// A Kubernetes object, applied server-side with field manager `arcctl`.
#[derive(Clone, Debug, PartialEq)]
pub struct KubeObject {
    /// The whole manifest: apiVersion, kind, metadata (name, namespace, labels), spec.
    pub manifest: Value,
}

/// The Secret `controller-manager`. Its values are read from the profile's source when it is applied; they are not
/// part of this type, so that no plan or report can hold them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The profile that owns it.
    pub profile: String,
    /// Whether arcctl writes it; otherwise someone else does, and it is only kept from a chart's next upgrade.
    pub managed: bool,
    /// The namespaces of the runners that prove a changed credential.
    pub runner_namespaces: Vec<String>,
}

/// A Secret of arcctl's beside the controller's. Its values are not part of this type either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The profile that owns it.
    pub profile: String,
    /// What it holds.
    pub content: SecretContent,
}

/// What a Secret holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretContent {
    /// What GitHub signs its events with; made once, at random.
    WebhookToken,
    /// The credential of a pool, by the pool's name.
    Credential {
        /// The pool.
        pool: String,
    },
}

/// Where a chart is, and which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// The chart's name, for example `cert-manager`.
    pub name: String,
    /// An exact version.
    pub version: String,
    /// An https or oci repository, or a path.
    pub location: String,
}

/// The `CustomResourceDefinitions` of a chart: they never belong to a release (DESIGN 5).
#[derive(Clone, Debug, PartialEq)]
pub struct CrdSet {
    /// The chart that brings them.
    pub chart: Chart,
    /// The values with which `helm template` renders them, where they are templates; `None` where the chart has them
    /// in `crds/`.
    pub templated: Option<Value>,
    /// Their names, `plural.group`.
    pub names: Vec<String>,
}

/// A Helm release.
#[derive(Clone, Debug, PartialEq)]
pub struct HelmRelease {
    /// The release's name.
    pub name: String,
    /// The namespace it is in.
    pub namespace: String,
    /// Its chart.
    pub chart: Chart,
    /// The values arcctl gives it.
    pub values: Value,
    /// The profile that owns it.
    pub profile: String,
}

/// That the admission webhooks of one component answer: proven by dry runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookProof {
    /// cert-manager's: a dry-run `CertificateRequest` is admitted, an invalid one denied.
    CertManager,
    /// The controller's: certificate, CA bundles, endpoints, and dry runs of a `RunnerDeployment`.
    Controller {
        /// The release's namespace.
        namespace: String,
        /// The release's name, from which the chart's names follow (reference: arc.md 1.4).
        release: String,
        /// Where a `RunnerDeployment` is tried.
        runner_namespace: String,
    },
}

/// That the runners of a pool are online at GitHub, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The namespace of its `RunnerDeployment`.
    pub namespace: String,
    /// The pool.
    pub pool: String,
    /// The fewest that must be online outside every window.
    pub min: u32,
    /// The windows in which another minimum holds. Which one does is asked at each look: a question of `up` may be left
    /// unanswered over the edge of a window, and a wait may reach over one.
    pub schedule: Option<Schedule>,
    /// The labels each must have.
    pub labels: Vec<String>,
}
