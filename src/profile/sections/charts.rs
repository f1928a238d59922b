//! The Helm charts of cert-manager and the community's controller, the sources of charts and images, and the proxy. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::profile::{CONTROLLER, KubeDuration, SYSTEM_NAMESPACE, is_default};

/// Whether and which cert-manager is installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CertManager {
    /// `auto` uses a working one and installs otherwise.
    pub install: Auto,
    /// The chart's version, for example `v1.21.1`.
    #[schemars(
        regex(pattern = r"^v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$"),
        extend("patternErrorMessage" = "an exact version, for example `v1.21.1`")
    )]
    pub chart_version: String,
    /// The namespace of its release; where it is somebody else's, it is found wherever it is.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`, with a letter or digit at both ends")
    )]
    pub namespace: String,
    /// Passed through to the chart; what arcctl sets itself is an error here.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
}

impl Default for CertManager {
    fn default() -> Self {
        Self {
            install: Auto::Auto,
            chart_version: "v1.21.1".into(),
            namespace: "cert-manager".into(),
            values: Map::new(),
        }
    }
}

/// Whether something is done: by what is found, in any case, or in no case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Auto {
    /// Decided by what the cluster has.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// The controller's release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Controller {
    /// The version of the chart `actions-runner-controller`.
    #[schemars(
        regex(pattern = r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$"),
        extend("patternErrorMessage" = "an exact version, for example `0.23.7`")
    )]
    pub chart_version: String,
    /// How many controller pods; one of them leads.
    #[schemars(range(min = 1, max = 9))]
    pub replicas: u32,
    /// The port the admission webhooks listen on in the pod; 10250 passes the default rules of EKS.
    #[schemars(range(min = 1, max = 65535))]
    pub webhook_port: u16,
    /// How often the controller looks at GitHub.
    pub sync_period: KubeDuration,
    /// The image of the docker sidecar; the chart's default floats.
    #[schemars(length(min = 1))]
    pub docker_image: String,
    /// The namespace of the controller, and of arcctl's own inventory and lease.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`")
    )]
    pub namespace: String,
    /// The name of the controller's release.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a release: 1 to 53 characters of a-z, 0-9 and `-`")
    )]
    pub release: String,
    /// The only namespace that the controller looks at, where others have controllers of their own beside it; every
    /// namespace where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
        extend("patternErrorMessage" = "the name of a namespace: 1 to 63 characters of a-z, 0-9 and `-`")
    )]
    pub watch_namespace: Option<String>,
    /// Passed through to the chart; what arcctl sets itself is an error here.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            chart_version: "0.23.7".into(),
            replicas: 2,
            webhook_port: 9443,
            sync_period: KubeDuration::from_secs(60),
            docker_image: "docker:28-dind".into(),
            namespace: SYSTEM_NAMESPACE.into(),
            release: CONTROLLER.into(),
            watch_namespace: None,
            values: Map::new(),
        }
    }
}

/// Mirrors of the charts: an https or oci repository, or a path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Charts {
    /// Where the chart `cert-manager` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<String>,
    /// Where the chart `actions-runner-controller` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
    /// Where the charts `gha-runner-scale-set-controller` and `gha-runner-scale-set` are; a path is that of a folder with
    /// both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_sets: Option<String>,
}

/// Which charts must be signed, and by whom. `arcctl lock` verifies it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Provenance {
    /// A file with the public keys of the charts' publishers, relative to the profile: a keyring of `GnuPG` in its binary
    /// form, as `helm verify --keyring` reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub keyring: Option<String>,
    /// The charts that are refused without a valid provenance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<ChartName>,
}

/// A chart that arcctl installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChartName {
    /// The issuer of the controller's certificate.
    CertManager,
    /// The community's controller.
    ActionsRunnerController,
    /// GitHub's own controller.
    GhaRunnerScaleSetController,
    /// A runner scale set.
    GhaRunnerScaleSet,
}

impl ChartName {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CertManager => "cert-manager",
            Self::ActionsRunnerController => "actions-runner-controller",
            Self::GhaRunnerScaleSetController => "gha-runner-scale-set-controller",
            Self::GhaRunnerScaleSet => "gha-runner-scale-set",
        }
    }
}

/// Where the images come from, and when they are pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Images {
    /// The registry (and path) that takes the place of the images' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// The registry (and path) that takes the place of one of them, by its host: for caches that have a path for each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registries: BTreeMap<String, String>,
    /// Secrets of type `kubernetes.io/dockerconfigjson` in the namespaces of the pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
    /// Whether the pools' images are pulled before their pods need them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub prepull: Prepull,
}

impl Images {
    /// What takes the place of the registry `host`, without a slash at its end.
    pub fn instead_of(&self, host: &str) -> Option<&str> {
        let found = self.registries.get(host).or(self.registry.as_ref())?;
        Some(found.trim_end_matches('/'))
    }

    /// All that take the place of another registry, without a slash at their end.
    pub fn mirrors(&self) -> impl Iterator<Item = &str> {
        let all = self.registry.iter().chain(self.registries.values());
        all.map(|it| it.trim_end_matches('/'))
    }
}

/// Whether the pools' images are pulled before their pods need them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Prepull {
    /// On the nodes that will take the pods and lack an image.
    #[default]
    Auto,
    /// The pods pull their images themselves.
    Never,
}

/// The proxy of the controller and the runners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Proxy {
    /// For http URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// For https URLs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// Hosts, domains and CIDRs that are reached directly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_proxy: Vec<String>,
}
