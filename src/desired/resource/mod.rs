//! The types of resources: plain data, created from a profile. Pure: no I/O.

pub mod aws;
pub mod scale_set;

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::profile::Schedule;
use scale_set::{ScaleSet, ScaleSetDrain};

/// The id of a resource in plans, reports and errors: `kind/namespace/name`; cluster-scoped resources have `-` in place
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

    /// Parses an id.
    pub fn parse(text: &str) -> Option<Self> {
        (text.splitn(3, '/').filter(|it| !it.is_empty()).count() == 3).then(|| Self(text.into()))
    }

    /// Whether it is an AWS resource's.
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

    /// The middle part; `None` for cluster-scoped resources.
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

/// A resource that arcctl manages.
#[derive(Clone, Debug)]
pub enum Resource {
    /// A Kubernetes object, applied server-side.
    Object(KubeObject),
    /// The Secret the controller reads its GitHub credential from.
    ControllerSecret(ControllerSecret),
    /// Another Secret that arcctl owns.
    Secret(OwnSecret),
    /// The `CustomResourceDefinitions` of a chart.
    Crds(CrdSet),
    /// A Helm release.
    Release(HelmRelease),
    /// An AWS resource.
    Aws(aws::AwsResource),
    /// Admission webhooks respond: observed only.
    Webhook(WebhookProof),
    /// A pool's pods run: observed only.
    RunnerPods(Registration),
    /// A pool's runners are online at GitHub: observed only.
    Registration(Registration),
    /// A Job that tests a runner's requirements: done when its pod has ended.
    Probe(Probe),
    /// A `DaemonSet` that pulls a pool's images ahead: beside the run, and gone at its end.
    ImagePull(ImagePull),
    /// A restart of a Deployment's pods.
    Restart(Restart),
    /// The deletion of a pool.
    Drain(Drain),
    /// A scale set is registered at GitHub as wanted, and its listener works: observed only. Another owner's set of the
    /// same name and group is foreign.
    ScaleSet(ScaleSet),
    /// The minimum in force of a scale set with windows.
    ScaleSetMinimum(ScaleSet),
    /// A scale set's runners run: observed only.
    ScaleSetRunners(ScaleSet),
    /// A scale set's runners are online at GitHub: observed only.
    ScaleSetOnline(ScaleSet),
    /// The deletion of a scale set.
    ScaleSetDrain(ScaleSetDrain),
    /// The deletion of the controller's webhook configurations.
    Webhooks(Webhooks),
    /// The deletion of the runners that a profile's pools left at GitHub.
    Ghosts {
        /// The profile.
        profile: String,
        /// Only these runners; `None`: the names in the inventory.
        only: Option<BTreeSet<String>>,
    },
}

/// A Job that tests a runner's requirements, in the runners' environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Its manifest.
    pub job: Value,
}

/// A `DaemonSet` that pulls images on nodes before runners need them.
#[derive(Clone, Debug, PartialEq)]
pub struct ImagePull {
    /// Its manifest.
    pub daemon_set: Value,
    /// The pool; others may have the same images and the same placement.
    pub pool: String,
    /// The nodes that lacked an image when the plan was made.
    pub nodes: BTreeSet<String>,
}

impl ImagePull {
    /// The kind in its id.
    pub const KIND: &str = "daemon-set";

    /// The images.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        crate::desired::pool::prepull::images(&self.daemon_set["spec"]["template"]["spec"])
    }
}

/// A restart of a Deployment's pods: all must be newer than `since`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub deployment: String,
    /// When the restart was requested.
    pub since: jiff::Timestamp,
}

/// The deletion of a pool: scaled to zero, waits for its jobs, then deletes its `RunnerDeployment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The namespace of its `RunnerDeployment`.
    pub namespace: String,
    /// The pool.
    pub pool: String,
}

/// The webhook configurations of a release.
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
    /// The pool of a `RunnerDeployment`: a new one begins with its minimum in force. No other object has one.
    pub pool: Option<Registration>,
}

impl KubeObject {
    /// The object of a manifest.
    pub const fn new(manifest: Value) -> Self {
        Self {
            manifest,
            pool: None,
        }
    }
}

/// The Secret `controller-manager`. Its values are read from the profile's source when it is applied; this type does
/// not contain them, so that no plan or report can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The profile that owns it.
    pub profile: String,
    /// Whether arcctl writes it; otherwise another user does, and arcctl only prevents its deletion by a chart upgrade.
    pub managed: bool,
    /// Where its value comes from, for people: `from env GH_TOKEN`; empty if that is not known.
    pub credential: String,
    /// The namespaces of the runners that test a changed credential.
    pub runner_namespaces: Vec<String>,
}

/// Another Secret that arcctl owns. This type does not contain its values either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The profile that owns it.
    pub profile: String,
    /// Its content.
    pub content: SecretContent,
}

/// The content of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretContent {
    /// The signing secret of GitHub's webhook events; generated once.
    WebhookToken,
    /// The profile's credential, for the runner scale sets of a namespace.
    ProfileCredential,
    /// The credential of a pool, by the pool's name.
    Credential {
        /// The pool.
        pool: String,
    },
}

impl SecretContent {
    /// What it is, for people.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::WebhookToken => "a random value",
            Self::Credential { .. } => "the pool's credential",
            Self::ProfileCredential => "the credential of the scale sets",
        }
    }
}

/// A chart's location and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// The chart's name, for example `cert-manager`.
    pub name: String,
    /// An exact version.
    pub version: String,
    /// An https or oci repository, or a path.
    pub location: String,
}

impl Chart {
    /// Whether it is downloaded, and not at a path of this machine.
    pub fn is_remote(&self) -> bool {
        ["http://", "https://", "oci://"]
            .iter()
            .any(|it| self.location.starts_with(it))
    }

    /// The whole reference of a chart in an OCI registry, `oci://REGISTRY/PATH/NAME`, whether or not the location ends with
    /// the chart's name; `None` for a chart elsewhere.
    pub fn oci_reference(&self) -> Option<String> {
        let location = self.location.strip_prefix("oci://")?;
        let location = location.trim_end_matches('/');
        let name = &self.name;
        let named = location.ends_with(&format!("/{name}"));
        Some(if named {
            format!("oci://{location}")
        } else {
            format!("oci://{location}/{name}")
        })
    }
}

/// The `CustomResourceDefinitions` of a chart: they never belong to a release (DESIGN 5).
#[derive(Clone, Debug, PartialEq)]
pub struct CrdSet {
    /// The chart that contains them.
    pub chart: Chart,
    /// The values to render them with `helm template`, if they are templates; `None` if the chart has them in `crds/`.
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
    /// The values that arcctl sets.
    pub values: Value,
    /// The profile that owns it.
    pub profile: String,
}

/// The admission webhooks of one component respond: verified by dry runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookProof {
    /// cert-manager's: a dry-run `CertificateRequest` is accepted, an invalid one rejected.
    CertManager,
    /// The controller's: certificate, CA bundles, endpoints, and dry runs of a `RunnerDeployment`.
    Controller {
        /// The release's namespace.
        namespace: String,
        /// The release's name, from which the chart's names follow (reference: arc.md 1.4).
        release: String,
        /// The namespace of the `RunnerDeployment` dry run.
        runner_namespace: String,
    },
}

/// The runners of a pool are online at GitHub, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The namespace of its `RunnerDeployment`.
    pub namespace: String,
    /// The pool.
    pub pool: String,
    /// The minimum that must be online outside every window.
    pub min: u32,
    /// The windows with another minimum. Each check determines the one in force: the prompt of `up` and a wait may last
    /// past the edge of a window.
    pub schedule: Option<Schedule>,
    /// The labels that each must have.
    pub labels: Vec<String>,
}

impl Resource {
    /// Whether it only saves time: the run does not wait for it at its end, and does not fail because of it.
    pub const fn is_optional(&self) -> bool {
        matches!(self, Self::ImagePull(_))
    }
}
