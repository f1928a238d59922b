//! The GitHub credential of arcctl and the controller: read from the profile's source, never printed.

use std::path::{Path, PathBuf};

use super::{
    aws::{Aws, secret_store::Stored},
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

/// The sources that a profile can name.
pub struct Sources<'a> {
    /// An environment variable's value.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The directory of the profile; file names are relative to it.
    pub directory: &'a Path,
    /// The cluster, for `kubernetesSecret`.
    pub kube: Option<&'a Kube>,
    /// AWS, for `secretsManager` and `ssm`.
    pub aws: Option<&'a Aws>,
}

/// A credential, and advice on its source.
pub struct Loaded {
    /// The credential.
    pub credential: Credential,
    /// Advice, one sentence each.
    pub advice: Vec<String>,
}

/// The variables that `gh` reads a token from, in this order: for github.com, and for GitHub Enterprise Server. A token for
/// one is never sent to the other.
const FOR_CLOUD: [&str; 2] = ["GH_TOKEN", "GITHUB_TOKEN"];
const FOR_ENTERPRISE_SERVER: [&str; 2] = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];

/// The environment variables that hold a credential; child processes do not need them.
pub fn variables(sources: &[&TokenSource]) -> Vec<String> {
    // The last is the one in our own examples.
    let known = FOR_CLOUD
        .into_iter()
        .chain(FOR_ENTERPRISE_SERVER)
        .chain(["ARCCTL_GITHUB_TOKEN"]);
    sources
        .iter()
        .filter_map(|it| it.env.clone())
        .chain(known.map(str::to_owned))
        .collect()
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
        (None, None) => Credential::Token(unnamed(github, sources, &mut advice)?),
    };
    Ok(Loaded { credential, advice })
}

/// The token from the environment, where the profile names no source.
fn unnamed(github: &GitHub, sources: &Sources<'_>, advice: &mut Vec<String>) -> Result<Secret> {
    let ((names, others), elsewhere) = if github.is_enterprise_server() {
        ((FOR_ENTERPRISE_SERVER, FOR_CLOUD), "github.com")
    } else {
        (
            (FOR_CLOUD, FOR_ENTERPRISE_SERVER),
            "a GitHub Enterprise Server",
        )
    };
    let first = |names: [&'static str; 2]| {
        names
            .into_iter()
            .find_map(|name| Some((name, (sources.variable)(name)?)))
    };
    if let Some((name, text)) = first(names) {
        advice.push(format!(
            "the profile names no credential, so arcctl uses the environment variable `{name}`: write `github.token: {{env: {name}}}`, so that every run uses the same one"
        ));
        let from = format!("environment variable `{name}`");
        return checked(Secret::trimmed(&text), "token", &from, advice);
    }
    let mut error = missing(
        "token",
        &format!(
            "the profile names no credential, and neither `{}` nor `{}` is set",
            names[0], names[1]
        ),
    );
    if let Some((other, _)) = first(others) {
        error = error.cause(format!(
            "`{other}` is set, but arcctl sends it only to {elsewhere}"
        ));
    }
    Err(error.hint(format!(
        "write `token: {{env: ARCCTL_GITHUB_TOKEN}}` under `github` in the profile and set that variable, or set `{}`",
        names[0]
    )))
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

/// A value from AWS, and its name.
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
        return Err(missing(key, &format!("{from} is empty"))
            .hint("store the token there, and nothing else"));
    }
    crate::log::hide(&secret);
    tracing::info!("the value of github.{key} is read from {from}");
    if cut {
        advice.push(format!(
            "{from} has white space around the value of github.{key}: arcctl removed it"
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Loads the credential with these variables set.
    async fn loaded(github: &GitHub, set: &[(&str, &str)]) -> Result<(String, Vec<String>)> {
        let variable = |name: &str| {
            let found = set.iter().find(|(it, _)| *it == name)?;
            Some(found.1.to_owned())
        };
        let sources = Sources {
            variable: &variable,
            directory: Path::new("/"),
            kube: None,
            aws: None,
        };
        let loaded = load(github, &sources).await?;
        let Credential::Token(token) = loaded.credential else {
            panic!("not a token");
        };
        Ok((token.expose().to_owned(), loaded.advice))
    }

    fn server() -> GitHub {
        GitHub {
            url: Some("https://ghe.example".into()),
            ..GitHub::default()
        }
    }

    #[tokio::test]
    async fn where_the_profile_names_none_the_variables_of_gh_are_read_in_its_order() {
        let all = [
            ("GITHUB_ENTERPRISE_TOKEN", "e2"),
            ("GITHUB_TOKEN", "c2"),
            ("GH_ENTERPRISE_TOKEN", "e1"),
            ("GH_TOKEN", "c1"),
        ];
        let cloud = GitHub::default();
        for (github, set, expected) in [
            (&cloud, &all[..], "c1"),
            (&cloud, &all[..2], "c2"),
            (&server(), &all[..], "e1"),
            (&server(), &all[..2], "e2"),
        ] {
            let (token, advice) = loaded(github, set).await.unwrap();
            assert_eq!(token, expected);
            assert!(
                advice[0].contains("arcctl uses the environment variable"),
                "{advice:?}"
            );
        }
        let named = GitHub {
            token: Some(TokenSource {
                env: Some("MINE".into()),
                ..TokenSource::default()
            }),
            ..server()
        };
        let error = loaded(&named, &all).await.unwrap_err();
        assert!(error.to_string().contains("`MINE` is not set"), "{error}");
    }

    #[tokio::test]
    async fn a_token_for_one_server_is_not_taken_for_another() {
        for (github, set, words) in [
            (server(), "GH_TOKEN", "arcctl sends it only to github.com"),
            (
                server(),
                "GITHUB_TOKEN",
                "arcctl sends it only to github.com",
            ),
            (
                GitHub::default(),
                "GH_ENTERPRISE_TOKEN",
                "arcctl sends it only to a GitHub Enterprise Server",
            ),
        ] {
            let error = loaded(&github, &[(set, "ghp_canary")]).await.unwrap_err();
            let text = format!("{error:?}{error}");
            assert!(text.contains(words), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_spoken_of_and_what_is_cut_off_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let github = GitHub {
            token: Some(TokenSource {
                file: Some(path.display().to_string()),
                ..TokenSource::default()
            }),
            ..server()
        };
        for (mode, text, expected) in [
            (0o600, "ghp_a", &[][..]),
            (0o640, "ghp_a", &["chmod 600"]),
            (0o604, " ghp_a\r\n", &["chmod 600", "arcctl removed it"]),
        ] {
            std::fs::write(&path, text).unwrap();
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            let (token, advice) = loaded(&github, &[]).await.unwrap();
            assert_eq!(token, "ghp_a");
            assert_eq!(advice.len(), expected.len(), "{mode:o}: {advice:?}");
            for words in expected {
                assert!(advice.iter().any(|it| it.contains(words)), "{advice:?}");
            }
        }
        std::fs::write(&path, " \n").unwrap();
        let error = loaded(&github, &[]).await.unwrap_err();
        assert!(error.to_string().contains("is empty"), "{error}");
    }
}
