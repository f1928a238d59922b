//! What arcctl and the controller authenticate to GitHub with: read from the profile's source, never printed.

use std::path::{Path, PathBuf};

use super::{
    aws::{Aws, stored::Stored},
    kube::{Kube, Target},
};
use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::{GitHub, TokenSource},
    secret::Secret,
};

/// A credential for GitHub.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A personal access token.
    Token(Secret),
    /// A GitHub App's installation.
    App {
        /// The App's id.
        id: String,
        /// The id of its installation.
        installation_id: String,
        /// Its private key, PEM.
        private_key: Secret,
    },
}

impl Credential {
    /// The keys and values of the Secret that the controller reads (reference: arc.md 1.3).
    pub fn secret_data(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Token(token) => vec![("github_token", token.expose().to_owned())],
            Self::App {
                id,
                installation_id,
                private_key,
            } => vec![
                ("github_app_id", id.clone()),
                ("github_app_installation_id", installation_id.clone()),
                (
                    "github_app_private_key",
                    format!("{}\n", private_key.expose()),
                ),
            ],
        }
    }
}

/// Where a profile's sources are read from.
pub struct Sources<'a> {
    /// An environment variable's value.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The directory of the profile, which file names are relative to.
    pub directory: &'a Path,
    /// The cluster, for `kubernetesSecret`.
    pub kube: Option<&'a Kube>,
    /// AWS, for `secretsManager` and `ssm`.
    pub aws: Option<&'a Aws>,
}

/// A credential, and what is unwise about where it came from.
pub struct Loaded {
    /// The credential.
    pub credential: Credential,
    /// Advice, one sentence each.
    pub advice: Vec<String>,
}

/// The variables of the environment that hold the credential: nothing that arcctl starts needs to see them.
pub fn variables(github: &GitHub) -> Vec<String> {
    let app = github.app.as_ref().map(|app| &app.private_key);
    let sources = github.token.iter().chain(app);
    sources.filter_map(|it| it.env.clone()).collect()
}

/// Reads the credential that `github` names.
pub async fn load(github: &GitHub, sources: &Sources<'_>) -> Result<Loaded> {
    let mut advice = Vec::new();
    let credential = match (&github.token, &github.app) {
        (Some(source), _) => Credential::Token(read(source, "token", sources, &mut advice).await?),
        (None, Some(app)) => Credential::App {
            id: app.id.clone(),
            installation_id: app.installation_id.clone(),
            private_key: read(&app.private_key, "app.privateKey", sources, &mut advice).await?,
        },
        (None, None) => {
            return Err(Error::new(
                ErrorKind::InvalidProfile,
                System::Profile,
                "the profile names no GitHub credential",
            )
            .hint("set github.token or github.app in the profile"));
        }
    };
    Ok(Loaded { credential, advice })
}

async fn read(
    source: &TokenSource,
    key: &str,
    sources: &Sources<'_>,
    advice: &mut Vec<String>,
) -> Result<Secret> {
    let (text, from) = if let Some(name) = &source.env {
        let text = (sources.variable)(name).ok_or_else(|| {
            missing(
                key,
                &format!("the environment variable `{name}` is not set"),
            )
            .hint(format!(
                "set it: export {name}=… (github.{key}.env in the profile names it)"
            ))
        })?;
        (text, format!("environment variable `{name}`"))
    } else if let Some(name) = &source.file {
        (
            read_file(&sources.directory.join(name), key, advice)?,
            format!("file `{name}`"),
        )
    } else if let Some(reference) = &source.kubernetes_secret {
        let target = Target::namespaced("v1", "Secret", &reference.namespace, &reference.name);
        let kube = sources
            .kube
            .ok_or_else(|| missing(key, "no cluster to read the Secret from"))?;
        let object = kube.get(&target).await?;
        let text = object
            .as_ref()
            .and_then(|it| it.get("data")?.get(&reference.key)?.as_str())
            .and_then(decode)
            .ok_or_else(|| {
                missing(key, &format!("{target} has no key `{}`", reference.key))
                    .hint("create it, or name another source under github.token in the profile")
            })?;
        (text, target.to_string())
    } else {
        let (stored, from) = stored(source, key, sources.aws).await?;
        advice.extend(stored.advice);
        return checked(stored.value, key, &from, advice);
    };
    checked(Secret::trimmed(&text), key, &from, advice)
}

/// A value that AWS keeps, and its name.
async fn stored(source: &TokenSource, key: &str, aws: Option<&Aws>) -> Result<(Stored, String)> {
    let aws = aws.ok_or_else(|| {
        missing(key, "it does not say where the value is")
            .hint(format!("name one source under github.{key} in the profile"))
    })?;
    match (&source.secrets_manager, &source.ssm) {
        (Some(name), _) => {
            let from = format!("secret `{name}` of Secrets Manager");
            Ok((aws.secret(name).await?, from))
        }
        (None, name) => {
            let name = name.as_deref().unwrap_or_default();
            let from = format!("parameter `{name}` of SSM");
            Ok((aws.parameter(name).await?, from))
        }
    }
}

/// The value, if there is one.
fn checked(
    (secret, cut): (Secret, bool),
    key: &str,
    from: &str,
    advice: &mut Vec<String>,
) -> Result<Secret> {
    if secret.is_empty() {
        return Err(
            missing(key, &format!("{from} is empty")).hint("put the token there, and nothing else")
        );
    }
    if cut {
        advice.push(format!(
            "{from} has white space around the value of github.{key}: it was cut off"
        ));
    }
    Ok(secret)
}

fn missing(key: &str, cause: &str) -> Error {
    Error::new(
        ErrorKind::Failed,
        System::Local,
        format!("cannot read github.{key}"),
    )
    .cause(cause)
}

fn decode(data: &str) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    String::from_utf8(STANDARD.decode(data).ok()?).ok()
}

fn read_file(path: &PathBuf, key: &str, advice: &mut Vec<String>) -> Result<String> {
    use std::os::unix::fs::PermissionsExt;
    let text = std::fs::read_to_string(path).map_err(|error| {
        missing(key, &format!("`{}`: {error}", path.display()))
            .hint("paths in the profile are relative to the profile's own directory")
    })?;
    if let Ok(metadata) = std::fs::metadata(path)
        && metadata.permissions().mode() & 0o077 != 0
    {
        advice.push(format!(
            "`{}` can be read by others: run `chmod 600 {}`",
            path.display(),
            path.display()
        ));
    }
    Ok(text)
}
