//! What `arcctl init` has found out before a question is asked. Pure: no I/O.
//!
//! Each part is a value, or the reason why it is not known: a question never rests on a guess.

mod lines;
mod nodes;

pub(crate) use lines::Line;

/// What was read, or why it could not be.
pub(crate) type Read<T> = Result<T, String>;

/// Everything that is known so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The clusters to choose from.
    pub places: Places,
    /// The chosen cluster.
    pub cluster: Option<Read<ClusterFacts>>,
    /// The GitHub server and the credential.
    pub identity: Option<Read<Account>>,
    /// The runner groups of the chosen scope.
    pub groups: Option<Read<Vec<Group>>>,
    /// Whether the server's certificate is from an authority that this machine does not know.
    pub unknown_authority: bool,
    /// The time zone of this machine.
    pub time_zone: Option<String>,
    /// The names of the environment variables that hold a GitHub token, those of arcctl first.
    pub token_variables: Vec<String>,
}

/// The clusters that this user can name.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The AWS region of the environment.
    pub region: Option<String>,
    /// The EKS clusters there.
    pub eks: Read<Vec<String>>,
    /// The contexts of the kubeconfig.
    pub contexts: Read<Vec<String>>,
    /// The current one.
    pub current: Option<String>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            region: None,
            eks: Ok(Vec::new()),
            contexts: Ok(Vec::new()),
            current: None,
        }
    }
}

/// A cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterFacts {
    /// The version of Kubernetes, as (1, 36).
    pub version: Read<(u32, u32)>,
    /// Its nodes.
    pub nodes: Read<Nodes>,
    /// The names of the Karpenter `NodePools`.
    pub node_pools: Read<Vec<String>>,
    /// How cert-manager is installed; `None` where it is not.
    pub cert_manager: Read<Option<CertManager>>,
    /// The Actions Runner Controllers.
    pub controllers: Read<Vec<Controller>>,
    /// The runners of each kind: `RunnerDeployment`, `RunnerSet`, `AutoscalingRunnerSet`, as `namespace/name`.
    pub runners: Read<Vec<(&'static str, String)>>,
    /// The profiles that arcctl has installed here.
    pub profiles: Read<Vec<String>>,
}

/// The nodes of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes {
    /// Nodes of one instance type with the same taints, most nodes first.
    pub groups: Vec<NodeGroup>,
    /// The number of Fargate nodes: each runs one pod, none that is privileged.
    pub fargate: usize,
    /// The number of nodes with Windows, on which no runner of a profile runs.
    pub windows: usize,
}

/// Nodes of one instance type with the same taints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeGroup {
    /// The EC2 instance type.
    pub instance_type: String,
    /// Their number.
    pub count: usize,
    /// Their zones.
    pub zones: Vec<String>,
    /// The taints that keep pods away.
    pub taints: Vec<Taint>,
    /// The processor architecture: `amd64`, `arm64`.
    pub architecture: String,
}

/// A taint of nodes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taint {
    /// Its key.
    pub key: String,
    /// Its value; empty where it has none.
    pub value: String,
    /// `NoSchedule`, `NoExecute`.
    pub effect: String,
}

/// How cert-manager was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertManager {
    /// Its namespace.
    pub namespace: String,
    /// The tool that installed it.
    pub by: Installer,
    /// Its version, where its Deployment says it.
    pub version: Option<String>,
}

/// The tool that installed something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Installer {
    /// helm, with this release.
    Helm(String),
    /// An EKS add-on.
    Addon,
    /// kubectl, or a tool that applies manifests.
    Kubectl,
}

/// An Actions Runner Controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Controller {
    /// Its namespace.
    pub namespace: String,
    /// Its helm release.
    pub release: Option<String>,
    /// The only namespace that it watches.
    pub watches: Option<String>,
    /// Its GitHub Enterprise Server.
    pub github_url: Option<String>,
}

/// The GitHub server and a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The version of the GitHub Enterprise Server.
    pub version: Option<String>,
    /// The kind of the credential, in words.
    pub kind: String,
    /// The login the token belongs to.
    pub login: Option<String>,
    /// The scopes of the token.
    pub scopes: Option<Vec<String>>,
    /// The organizations it sees.
    pub organizations: Read<Vec<String>>,
    /// How many more there are, which it does not see without an authorization for their single sign-on.
    pub left_out: usize,
}

/// Whether a credential may register runners in a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// It may.
    Allowed,
    /// It may not, and why.
    Refused(String),
}

/// A runner group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its name.
    pub name: String,
    /// Whether it is the default group.
    pub default: bool,
    /// Whether it is for selected organizations, repositories or workflows only.
    pub restricted: bool,
}
