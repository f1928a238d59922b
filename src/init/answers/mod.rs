//! The answers to the questions of `arcctl init`: a text each, as in its flag, and what the text means. Pure: no I/O.

mod check;

use std::collections::BTreeMap;

use crate::profile::{KubernetesSecretKey, Scope, TokenSource};
pub(crate) use check::checked;

/// A question. They are asked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The cluster: `eks:NAME@REGION` or `context:NAME`.
    Cluster,
    /// The GitHub server: `github.com` or `https://HOST`.
    Server,
    /// Where the token is (`env:NAME`, …), or `app`.
    Credential,
    /// The App and its installation: `ID/INSTALLATION`.
    App,
    /// Where the App's private key is.
    AppPem,
    /// The file with the server's certificate authority.
    CaBundle,
    /// Whose the runners are: `enterprise:NAME`, `organization:NAME`, `repository:OWNER/NAME`.
    Scope,
    /// The runner group.
    Group,
    /// The instance type of the nodes, or `any`.
    Nodes,
    /// How jobs run containers: `dind` or `none`.
    Containers,
    /// The number of runners: `MIN-MAX`.
    Runners,
    /// When fewer runners are enough: `none`, `weekends`, `nights-and-weekends`.
    Schedule,
    /// The time zone of the schedule.
    TimeZone,
    /// The IAM role of the jobs, or `none`.
    Role,
}

impl Key {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 14] = [
        Self::Cluster,
        Self::Server,
        Self::Credential,
        Self::App,
        Self::AppPem,
        Self::CaBundle,
        Self::Scope,
        Self::Group,
        Self::Nodes,
        Self::Containers,
        Self::Runners,
        Self::Schedule,
        Self::TimeZone,
        Self::Role,
    ];

    /// Its flag, as in a hint.
    pub(crate) const fn flag(self) -> &'static str {
        match self {
            Self::Cluster => "--eks NAME --region REGION, or --context NAME",
            Self::Server => "--github-url",
            Self::Credential => "--token-from",
            Self::App => "--app",
            Self::AppPem => "--app-key-from",
            Self::CaBundle => "--ca-bundle",
            Self::Scope => "--organization, --enterprise or --repository",
            Self::Group => "--group",
            Self::Nodes => "--instance-type",
            Self::Containers => "--containers",
            Self::Runners => "--runners",
            Self::Schedule => "--schedule",
            Self::TimeZone => "--time-zone",
            Self::Role => "--role",
        }
    }

    /// Its name in the JSON document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Server => "githubUrl",
            Self::Credential => "credential",
            Self::App => "app",
            Self::AppPem => "appKey",
            Self::CaBundle => "caBundle",
            Self::Scope => "scope",
            Self::Group => "group",
            Self::Nodes => "instanceType",
            Self::Containers => "containers",
            Self::Runners => "runners",
            Self::Schedule => "schedule",
            Self::TimeZone => "timeZone",
            Self::Role => "role",
        }
    }
}

/// The answers so far. One that ends with `:` is half of one: its kind is chosen, the name is not given yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answers(BTreeMap<Key, String>);

/// The cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An EKS cluster.
    Eks {
        /// Its name.
        name: String,
        /// Its region.
        region: String,
    },
    /// A context of the kubeconfig.
    Context(String),
}

impl Answers {
    /// The answer to `key`, whole or half.
    pub(crate) fn get(&self, key: Key) -> Option<&str> {
        self.0.get(&key).map(String::as_str)
    }

    /// The whole answer to `key`.
    pub(crate) fn whole(&self, key: Key) -> Option<&str> {
        self.get(key).filter(|it| !it.ends_with(':'))
    }

    /// Sets an answer, or takes it back; returns the one before.
    pub(crate) fn set(&mut self, key: Key, value: Option<String>) -> Option<String> {
        match value {
            Some(value) => self.0.insert(key, value),
            None => self.0.remove(&key),
        }
    }

    /// All of them, by question.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Key, &str)> {
        self.0.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// The cluster.
    pub(crate) fn place(&self) -> Option<Place> {
        let text = self.whole(Key::Cluster)?;
        if let Some(name) = text.strip_prefix("context:") {
            return Some(Place::Context(name.to_owned()));
        }
        let (name, region) = text.strip_prefix("eks:")?.split_once('@')?;
        Some(Place::Eks {
            name: name.to_owned(),
            region: region.to_owned(),
        })
    }

    /// Whether the server is known.
    pub(crate) fn has_server(&self) -> bool {
        self.whole(Key::Server).is_some()
    }

    /// The URL of a GitHub Enterprise Server.
    pub(crate) fn server(&self) -> Option<&str> {
        self.whole(Key::Server).filter(|it| *it != CLOUD)
    }

    /// Whether the credential is an App.
    pub(crate) fn is_app(&self) -> bool {
        self.get(Key::Credential) == Some(APP)
    }

    /// The source of the token, or of the App's key.
    pub(crate) fn source(&self) -> Option<TokenSource> {
        let key = if self.is_app() {
            Key::AppPem
        } else {
            Key::Credential
        };
        source(self.whole(key)?)
    }

    /// The App: its id and that of its installation.
    pub(crate) fn app(&self) -> Option<(&str, &str)> {
        self.whole(Key::App)?.split_once('/')
    }

    /// The scope.
    pub(crate) fn scope(&self) -> Option<Scope<'_>> {
        let (kind, name) = self.whole(Key::Scope)?.split_once(':')?;
        match kind {
            "enterprise" => Some(Scope::Enterprise(name)),
            "organization" => Some(Scope::Organization(name)),
            "repository" => Some(Scope::Repository(name)),
            _ => None,
        }
    }

    /// The fewest and the most runners.
    pub(crate) fn runners(&self) -> Option<(u32, u32)> {
        numbers(self.whole(Key::Runners)?)
    }
}

/// The answer for github.com.
pub(crate) const CLOUD: &str = "github.com";

/// The answer for a GitHub App.
pub(crate) const APP: &str = "app";

/// The answer for none, of the questions that have it.
pub(crate) const NONE: &str = "none";

/// The answer for nodes of any type.
pub(crate) const ANY: &str = "any";

/// The kinds of sources of a secret.
pub(crate) const SOURCES: [&str; 5] = ["env", "file", "secretsManager", "ssm", "kubernetesSecret"];

fn source(text: &str) -> Option<TokenSource> {
    let (kind, name) = text.split_once(':')?;
    let named = Some(name.to_owned()).filter(|it| !it.is_empty());
    named.as_ref()?;
    let mut source = TokenSource::default();
    match kind {
        "env" => source.env = named,
        "file" => source.file = named,
        "secretsManager" => source.secrets_manager = named,
        "ssm" => source.ssm = named,
        "kubernetesSecret" => {
            let mut parts = name.splitn(3, '/').map(str::to_owned);
            source.kubernetes_secret = Some(KubernetesSecretKey {
                namespace: parts.next()?,
                name: parts.next()?,
                key: parts.next()?,
            });
        }
        _ => return None,
    }
    Some(source)
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    Some((min.trim().parse().ok()?, max.trim().parse().ok()?))
}

/// The schedules.
pub(crate) const SCHEDULES: [&str; 3] = [NONE, "weekends", "nights-and-weekends"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_an_answer_is_not_an_answer() {
        let mut answers = Answers::default();
        answers.set(Key::Scope, Some("organization:".into()));
        assert_eq!(answers.whole(Key::Scope), None);
        assert_eq!(answers.scope(), None);
        answers.set(Key::Scope, Some("organization:doge".into()));
        assert_eq!(answers.scope(), Some(Scope::Organization("doge")));
    }
}
