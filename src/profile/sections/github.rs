//! The GitHub server, the scope of the runners and the credential. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The GitHub server, the scope of the runners and the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GitHub {
    /// The GitHub Enterprise Server, as `https://HOST`, or a host with data residency; left out for github.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The slug of the enterprise; exactly one of enterprise, organization and repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub enterprise: Option<String>,
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub organization: Option<String>,
    /// The repository, as OWNER/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+/[^/\s]+$"),
        extend("patternErrorMessage" = "OWNER/NAME")
    )]
    pub repository: Option<String>,
    /// Where the personal access token is; never the token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSource>,
    /// A GitHub App instead of a token; not for enterprise scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// The login the token must belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_owner: Option<String>,
    /// The private certificate authority of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<FileSource>,
}

/// The scope and the credential of a pool, where they are not the profile's. What is left out is the profile's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PoolGitHub {
    /// The slug of the enterprise; at most one of enterprise, organization and repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub enterprise: Option<String>,
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+$"),
        extend("patternErrorMessage" = "a name without `/` and spaces")
    )]
    pub organization: Option<String>,
    /// The repository, as OWNER/NAME.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[^/\s]+/[^/\s]+$"),
        extend("patternErrorMessage" = "OWNER/NAME")
    )]
    pub repository: Option<String>,
    /// Where the personal access token is; never the token itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSource>,
    /// A GitHub App instead of a token; not for enterprise scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<App>,
    /// The login the token must belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_owner: Option<String>,
}

impl PoolGitHub {
    /// Whether it names a credential.
    pub const fn has_credential(&self) -> bool {
        self.token.is_some() || self.app.is_some()
    }

    /// Whether it names a scope.
    pub const fn has_scope(&self) -> bool {
        self.enterprise.is_some() || self.organization.is_some() || self.repository.is_some()
    }
}

/// Where a secret value is; exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenSource {
    /// The name of an environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"),
        extend("patternErrorMessage" = "the name of an environment variable: letters, digits and `_`")
    )]
    pub env: Option<String>,
    /// A file, relative to the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The name or ARN of a secret in AWS Secrets Manager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_manager: Option<String>,
    /// The name or ARN of a parameter in SSM Parameter Store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssm: Option<String>,
    /// A key of a Kubernetes Secret that someone else manages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_secret: Option<KubernetesSecretKey>,
}

/// For people: `from env GH_TOKEN`.
impl std::fmt::Display for TokenSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(it) = &self.env {
            write!(formatter, "from env {it}")
        } else if let Some(it) = &self.file {
            write!(formatter, "from file {it}")
        } else if let Some(it) = &self.secrets_manager {
            write!(formatter, "from Secrets Manager {it}")
        } else if let Some(it) = &self.ssm {
            write!(formatter, "from SSM parameter {it}")
        } else if let Some(it) = &self.kubernetes_secret {
            let KubernetesSecretKey {
                namespace,
                name,
                key,
            } = it;
            write!(formatter, "from Secret {namespace}/{name}, key {key}")
        } else {
            formatter.write_str("from nowhere")
        }
    }
}

/// One key of a Kubernetes Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KubernetesSecretKey {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// A GitHub App that the controller authenticates as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct App {
    /// The App's id, quoted.
    #[schemars(
        regex(pattern = r"^[0-9]+$"),
        extend("patternErrorMessage" = "digits only, in quotes")
    )]
    pub id: String,
    /// The id of the App's installation in the organization or repository, quoted.
    #[schemars(
        regex(pattern = r"^[0-9]+$"),
        extend("patternErrorMessage" = "digits only, in quotes")
    )]
    pub installation_id: String,
    /// Where the App's private key (PEM) is.
    pub private_key: TokenSource,
}

/// A file beside the profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FileSource {
    /// The path, relative to the profile (from stdin: to the working directory).
    pub file: String,
}

/// The GitHub object whose runners these are; a loaded profile has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The slug of an enterprise.
    Enterprise(&'a str),
    /// An organization.
    Organization(&'a str),
    /// A repository, as OWNER/NAME.
    Repository(&'a str),
}

/// Whether `url` is of GitHub Enterprise Cloud with data residency, `https://NAME.ghe.com`: the same service as github.com, and
/// no GitHub Enterprise Server (reference: scale-sets.md 5).
pub fn has_data_residency(url: &str) -> bool {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let host = place.split(['/', ':']).next().unwrap_or_default();
    host.to_ascii_lowercase().ends_with(".ghe.com")
}

/// The URL of the API of the server at `url`, the value of `github.url`; of github.com without one.
pub fn api_of(url: Option<&str>) -> String {
    let Some(url) = url else {
        return "https://api.github.com".into();
    };
    let web = url.trim_end_matches('/');
    match web.split_once("://") {
        // Its API is a host of its own (reference: scale-sets.md 5).
        Some((scheme, host)) if has_data_residency(web) => format!("{scheme}://api.{host}"),
        _ => format!("{web}/api/v3"),
    }
}

impl GitHub {
    /// Whether the server is a GitHub Enterprise Server, and not github.com or a host of it with data residency.
    pub fn is_enterprise_server(&self) -> bool {
        self.url
            .as_deref()
            .is_some_and(|url| !has_data_residency(url))
    }

    /// The scope; `None` only in a profile that [`lint`](crate::profile::lint) has refused.
    pub fn scope(&self) -> Option<Scope<'_>> {
        match (&self.enterprise, &self.organization, &self.repository) {
            (Some(name), None, None) => Some(Scope::Enterprise(name)),
            (None, Some(name), None) => Some(Scope::Organization(name)),
            (None, None, Some(name)) => Some(Scope::Repository(name)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_data_residency_is_no_enterprise_server() {
        let is_server = |url: Option<&str>| {
            let github = GitHub {
                url: url.map(str::to_owned),
                ..GitHub::default()
            };
            github.is_enterprise_server()
        };
        assert!(!is_server(None) && !is_server(Some("https://doge.ghe.com/")));
        assert!(!is_server(Some("https://Doge.GHE.com")));
        for server in [
            "https://ghe.example",
            "https://ghe.com.evil",
            "https://x/a.ghe.com",
        ] {
            assert!(is_server(Some(server)), "{server}");
        }
    }

    #[test]
    fn each_product_has_its_api_elsewhere() {
        assert_eq!(api_of(None), "https://api.github.com");
        let of = |url: &str| api_of(Some(url));
        assert_eq!(of("https://doge.ghe.com/"), "https://api.doge.ghe.com");
        assert_eq!(of("https://ghe.example/"), "https://ghe.example/api/v3");
    }
}
