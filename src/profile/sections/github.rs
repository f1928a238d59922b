//! The GitHub server, the scope of the runners and the credential. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The GitHub server, the scope of the runners and the credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GitHub {
    /// The GitHub Enterprise Server, as `https://HOST`; left out for github.com.
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

impl GitHub {
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
