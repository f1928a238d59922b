//! Default names for those that a profile can set, and the names derived from them. Pure.

use super::{Controller, GitHub, Mode, Pool, Profile, ScaleSets, TokenSource};

/// The default namespace of the controller, its Secret, the lease and the inventory.
pub const SYSTEM_NAMESPACE: &str = "actions-runner-system";
/// The default namespace of a pool's runners.
pub const RUNNER_NAMESPACE: &str = "actions-runner";
/// The default namespace of GitHub's own controller and its listeners.
pub const SCALE_SET_NAMESPACE: &str = "arc-systems";
/// The release of GitHub's own controller.
pub const SCALE_SET_RELEASE: &str = "arc";
/// What the chart of GitHub's own controller appends to the name of its release (reference: scale-sets.md 3).
const SCALE_SET_SUFFIX: &str = "gha-rs-controller";
/// What the controller's chart appends to names of the server that GitHub sends its events to.
pub(super) const WEBHOOK_SERVER: &str = "-github-webhook-server";
/// The chart of the controller, and the default name of its release.
pub const CONTROLLER: &str = "actions-runner-controller";

pub(super) fn runner_namespace() -> String {
    RUNNER_NAMESPACE.into()
}

pub(super) fn is_runner_namespace(name: &str) -> bool {
    name == RUNNER_NAMESPACE
}

/// The chart's full name for a release: the prefix of its objects' names (reference: arc.md 1.4).
pub fn full_name(release: &str) -> String {
    let name = if release.contains(CONTROLLER) {
        release.to_owned()
    } else {
        format!("{release}-{CONTROLLER}")
    };
    shortened(&name)
}

/// As charts shorten a name, by `trunc 63 | trimSuffix "-"`.
fn shortened(name: &str) -> String {
    let name: String = name.chars().take(63).collect();
    name.strip_suffix('-').unwrap_or(&name).to_owned()
}

/// The name of the controller's webhook Service, from its full name (reference: arc.md 1.4).
pub fn webhook_service(full_name: &str) -> String {
    format!("{}-webhook", full_name.chars().take(55).collect::<String>())
}

impl Controller {
    /// The name of the Deployment, and the prefix of its other objects' names.
    pub fn full_name(&self) -> String {
        full_name(&self.release)
    }

    /// The name of the webhooks' serving certificate, and of its Secret.
    pub fn serving_certificate(&self) -> String {
        format!("{}-serving-cert", self.full_name())
    }

    /// The name of the Service that the API server calls.
    pub fn webhook_service(&self) -> String {
        webhook_service(&self.full_name())
    }

    /// The name of the webhook server's Deployment and Service, which is shortened as a whole (source:
    /// actions-runner-controller, `templates/_github_webhook_server_helpers.tpl`).
    pub fn webhook_server(&self) -> String {
        let instance = format!("{}{WEBHOOK_SERVER}", self.release);
        if instance.contains(CONTROLLER) {
            return shortened(&instance);
        }
        shortened(&format!("{}-{CONTROLLER}{WEBHOOK_SERVER}", self.release))
    }

    /// The command that shows its log.
    pub fn log_command(&self) -> String {
        format!(
            "kubectl -n {} logs deploy/{} -c manager",
            self.namespace,
            self.full_name()
        )
    }
}

impl ScaleSets {
    /// The name of the controller's Deployment, and of its `ServiceAccount` unless `values` names another one.
    pub fn full_name(&self) -> String {
        format!("{SCALE_SET_RELEASE}-{SCALE_SET_SUFFIX}")
    }

    /// The command that shows its log.
    pub fn log_command(&self) -> String {
        let Self { namespace, .. } = self;
        format!("kubectl -n {namespace} logs deploy/{}", self.full_name())
    }
}

impl Pool {
    /// Whether it is a runner scale set.
    pub fn is_scale_set(&self) -> bool {
        self.mode == Mode::ScaleSet
    }

    /// The Secret with the pool's own credential, if it has one.
    pub fn credential_secret(&self) -> Option<String> {
        let own = self.github.as_ref().filter(|it| it.has_credential());
        own.map(|_| format!("arcctl-github-{}", self.name))
    }
}

fn namespaces_of<'a>(pools: impl Iterator<Item = &'a Pool>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for pool in pools {
        if !found.contains(&pool.namespace.as_str()) {
            found.push(&pool.namespace);
        }
    }
    found
}

impl Profile {
    /// The namespaces of the pools, without duplicates, in the order of the profile.
    pub fn runner_namespaces(&self) -> Vec<&str> {
        namespaces_of(self.pools.iter())
    }

    /// The namespaces of the pools that are runner scale sets, in the same way.
    pub fn scale_set_namespaces(&self) -> Vec<&str> {
        namespaces_of(self.scale_set_pools())
    }

    /// The namespaces of the controllers and of the pools, without duplicates. arcctl's inventory and lease are in the
    /// first, whatever the mode of the pools.
    pub fn namespaces(&self) -> Vec<&str> {
        let mut found = vec![self.controller.namespace.as_str()];
        let of_sets = self.scale_sets.namespace.as_str();
        let of_sets = self.has_scale_sets().then_some(of_sets);
        for name in of_sets.into_iter().chain(self.runner_namespaces()) {
            if !found.contains(&name) {
                found.push(name);
            }
        }
        found
    }

    /// The pools that are runner scale sets.
    pub fn scale_set_pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|it| it.is_scale_set())
    }

    /// The pools that are `RunnerDeployments`.
    pub fn deployment_pools(&self) -> impl Iterator<Item = &Pool> {
        self.pools.iter().filter(|it| !it.is_scale_set())
    }

    /// Whether a pool is a runner scale set: then GitHub's own controller is installed.
    pub fn has_scale_sets(&self) -> bool {
        self.scale_set_pools().next().is_some()
    }

    /// Whether a pool is a `RunnerDeployment`: then the community's controller is installed, with cert-manager.
    pub fn has_deployments(&self) -> bool {
        self.deployment_pools().next().is_some()
    }

    /// The GitHub settings of a pool: its own scope and credential on the profile's server, else the profile's.
    pub fn github_of(&self, pool: &Pool) -> GitHub {
        let mut github = self.github.clone();
        let Some(own) = &pool.github else {
            return github;
        };
        if own.has_scope() {
            github.enterprise.clone_from(&own.enterprise);
            github.organization.clone_from(&own.organization);
            github.repository.clone_from(&own.repository);
        }
        if own.has_credential() {
            github.token.clone_from(&own.token);
            github.app.clone_from(&own.app);
            github.token_owner = None;
        }
        if own.token_owner.is_some() {
            github.token_owner.clone_from(&own.token_owner);
        }
        github
    }

    /// One profile per GitHub scope that pools have of their own, with only its pools.
    pub fn parts(&self) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for pool in self.pools.iter().filter(|it| it.github.is_some()) {
            let github = self.github_of(pool);
            if let Some(known) = parts.iter_mut().find(|it| it.github == github) {
                known.pools.push(pool.clone());
            } else {
                parts.push(Self {
                    github,
                    pools: vec![pool.clone()],
                    ..self.clone()
                });
            }
        }
        parts
    }

    /// The sources of the credentials of the profile and of its pools.
    pub fn token_sources(&self) -> Vec<&TokenSource> {
        let own = (&self.github.token, &self.github.app);
        let pools = self.pools.iter().filter_map(|it| it.github.as_ref());
        std::iter::once(own)
            .chain(pools.map(|it| (&it.token, &it.app)))
            .flat_map(|(token, app)| token.iter().chain(app.iter().map(|it| &it.private_key)))
            .collect()
    }

    /// The pools that use the profile's GitHub settings.
    #[must_use]
    pub fn own_part(&self) -> Self {
        let mut part = self.clone();
        part.pools.retain(|it| it.github.is_none());
        part
    }

    /// Whether a pool scales on GitHub webhook events: then the controller's webhook server is installed.
    pub fn has_triggers(&self) -> bool {
        let scaling = self.pools.iter().filter_map(|it| it.scaling.as_ref());
        scaling.into_iter().any(|it| !it.triggers.is_empty())
    }

    /// The pool with this name and namespace.
    pub fn pool(&self, namespace: &str, name: &str) -> Option<&Pool> {
        self.pools
            .iter()
            .find(|it| it.namespace == namespace && it.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_adds_its_own_name_where_the_release_lacks_it() {
        assert_eq!(full_name("actions-runner-controller"), CONTROLLER);
        assert_eq!(
            full_name("team-actions-runner-controller"),
            "team-actions-runner-controller"
        );
        assert_eq!(full_name("arc"), "arc-actions-runner-controller");
        let long = "a".repeat(53);
        let name = full_name(&long);
        assert_eq!(name.len(), 63);
        assert_eq!(
            webhook_service(&name),
            format!("{long}-a-webhook"),
            "at most 63 characters"
        );
    }

    #[test]
    fn the_name_of_the_webhook_server_is_shortened_as_a_whole() {
        let of = |release: &str| {
            let release = release.into();
            Controller {
                release,
                ..Controller::default()
            }
            .webhook_server()
        };
        assert_eq!(
            of(CONTROLLER),
            "actions-runner-controller-github-webhook-server"
        );
        assert_eq!(
            of("arc"),
            "arc-actions-runner-controller-github-webhook-server"
        );
        assert_eq!(
            of("platform-runners"),
            "platform-runners-actions-runner-controller-github-webhook-serve"
        );
        // The cut leaves a hyphen at the end.
        assert_eq!(
            of("platform-team-runners-of-eu-1"),
            "platform-team-runners-of-eu-1-actions-runner-controller-github"
        );
    }
}
