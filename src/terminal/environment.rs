//! Reads environment variables, and hides those with credentials from child processes: helm, the `exec` plugin of a
//! kubeconfig, and the `credential_process` of the AWS configuration.

use std::path::PathBuf;

use crate::{
    clients::{
        aws::shared_files::SharedFiles,
        credential,
        helm::{self, Places},
    },
    profile::TokenSource,
    secret::{Secret, name::is_for_github, shape::is_refused},
};

/// An environment variable.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is read in terminal/ and passed down"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|it| !it.is_empty())
}

/// Where helm is searched, and where its logins are.
pub(crate) fn helm_places() -> Places {
    Places {
        path: variable("PATH"),
        named: variable(helm::find::VARIABLE),
        registries: registries(),
    }
}

/// The file with the logins of `helm registry login` (helm.sh/docs, "helm env"; the directories are those of helm's
/// lazypath).
pub(crate) fn registries() -> Option<PathBuf> {
    if let Some(file) = variable("HELM_REGISTRY_CONFIG") {
        return Some(file.into());
    }
    let home = |directory: &str| variable("HOME").map(|it| PathBuf::from(it).join(directory));
    let helm = variable("HELM_CONFIG_HOME").map(PathBuf::from).or_else(|| {
        let all = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        let all = all.or_else(|| {
            home(if cfg!(target_os = "macos") {
                "Library/Preferences"
            } else {
                ".config"
            })
        });
        all.map(|it| it.join("helm"))
    });
    helm.map(|it| it.join("registry").join("config.json"))
}

/// The file with the logins of `docker login` (docs.docker.com, "docker login").
pub(crate) fn docker_config() -> Option<PathBuf> {
    let directory = variable("DOCKER_CONFIG").map(PathBuf::from);
    let directory = directory.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".docker")));
    directory.map(|it| it.join("config.json"))
}

/// The variables that are hidden from all child processes: those that `sources` name for a credential, those of `gh`,
/// and all others that contain a GitHub credential, are named like one, or repeat the value of one of these.
pub(crate) fn hidden_variables(sources: &[&TokenSource]) -> Vec<String> {
    hidden(credential::variables(sources), std::env::vars_os())
}

/// The same, with a variable from the command line.
pub(crate) fn hidden_variables_and(sources: &[&TokenSource], named: Option<&str>) -> Vec<String> {
    let mut all = credential::variables(sources);
    all.extend(named.map(str::to_owned));
    hidden(all, std::env::vars_os())
}

fn hidden(
    mut names: Vec<String>,
    all: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Vec<String> {
    let all: Vec<(String, String)> = all
        .into_iter()
        // A name that is not UTF-8 cannot match; of a value, the valid part counts.
        .filter_map(|(name, value)| {
            Some((
                name.into_string().ok()?,
                value.to_string_lossy().into_owned(),
            ))
        })
        .collect();
    names.extend(
        all.iter()
            .filter(|(name, value)| is_for_github(name) || is_refused(value))
            .map(|(name, _)| name.clone()),
    );
    let secrets: Vec<Secret> = all
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(_, value)| Secret::trimmed(value).0)
        .collect();
    let repeats = |value: &str| secrets.iter().any(|it| it.is_in(value));
    let repeating = all.iter().filter(|(_, value)| repeats(value));
    names.extend(repeating.map(|(name, _)| name.clone()));
    names.sort_unstable();
    names.dedup();
    names
}

/// The SDK's configuration files, whose programs do not get these variables.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment is read in terminal/ and passed down; one that is empty counts here, as it does for the SDK"
)]
pub(crate) fn shared_files(hidden: Vec<String>) -> SharedFiles {
    let named = |name: &str| std::env::var(name).ok();
    SharedFiles::named(
        named("AWS_CONFIG_FILE").as_deref(),
        named("AWS_SHARED_CREDENTIALS_FILE").as_deref(),
        named("HOME").as_deref(),
        hidden,
    )
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn what_holds_or_repeats_a_credential_is_hidden_and_nothing_else() {
        let old = "0123456789abcdef0123456789abcdef01234567";
        let encoded = STANDARD.encode(format!("user:{old}\n"));
        let all = [
            ("NAMED", old),
            ("REPEATS", &format!("https://x:{old}@github.example/")),
            ("ENCODED", &format!("Basic {encoded}")),
            ("ANYTHING", "is ghp_abcdefghij0123456789"),
            ("INPUT_GITHUB-TOKEN", "0000"),
            ("HOMEBREW_GITHUB_API_TOKEN", "1111"),
            ("GH_APP_PRIVATE_KEY", "2222"),
            ("GITHUB_REPOSITORY", "me/0000"),
            ("GITHUB_TOKEN_FILE", "/run/token"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "3333"),
            ("VAULT_TOKEN", "0123456789abcdef"),
            ("PATH", "/bin"),
        ];
        let all = all.map(|(name, value)| (name.into(), value.into()));
        assert_eq!(
            hidden(vec!["NAMED".into(), "UNSET".into()], all),
            [
                "ANYTHING",
                "ENCODED",
                "GH_APP_PRIVATE_KEY",
                "HOMEBREW_GITHUB_API_TOKEN",
                "INPUT_GITHUB-TOKEN",
                "NAMED",
                "REPEATS",
                "UNSET",
            ]
        );
    }
}
