//! Cluster access from a kubeconfig: cluster, user and context, for the client and for helm.

use std::{ffi::OsString, path::PathBuf, sync::Arc};

use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use crate::{
    clients::{aws::auth::Login, cause::innermost},
    error::{Error, Result, System},
};

/// The kubeconfig and context of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// A kubeconfig file; the default rules apply without one.
    pub kubeconfig: Option<PathBuf>,
    /// The files in the variable `KUBECONFIG`, in order of precedence.
    pub listed: Vec<PathBuf>,
    /// A context of it.
    pub context: Option<String>,
    /// The EKS authentication, where the profile names an EKS cluster.
    pub login: Option<Arc<Login>>,
    /// Variables to hide from programs that the kubeconfig names (`exec`).
    pub hidden: Vec<String>,
}

impl Access {
    /// The same with the current context fixed, so that another program cannot change it during the run.
    #[must_use]
    pub fn pinned(mut self) -> Self {
        if self.context.is_none() {
            // An unreadable kubeconfig is reported by `connect`, in more detail.
            self.context = self.read().ok().and_then(|it| it.current_context);
        }
        self
    }

    /// The names of the contexts, and the current one; none without a kubeconfig.
    pub fn contexts(&self) -> Result<(Vec<String>, Option<String>)> {
        match self.read() {
            Ok(file) => {
                let names = file.contexts.into_iter().map(|it| it.name).collect();
                let current = file.current_context.filter(|it| !it.is_empty());
                Ok((names, current))
            }
            Err(error) if is_absent(&error) => Ok((Vec::new(), None)),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// The flags for helm to use the same cluster, with credentials that are valid for longer than it runs.
    pub(in crate::clients) async fn helm_flags(&self) -> Result<Vec<OsString>> {
        if let Some(login) = &self.login {
            login.renew().await?;
        }
        let mut flags = Vec::new();
        if let Some(context) = &self.context {
            flags.extend(["--kube-context".into(), context.into()]);
        }
        if let Some(kubeconfig) = &self.kubeconfig {
            flags.extend(["--kubeconfig".into(), kubeconfig.into()]);
        }
        Ok(flags)
    }

    /// The kubeconfig: one file, or the existing files of a list, as in kubectl and helm.
    fn read(&self) -> Result<Kubeconfig, KubeconfigError> {
        if let Some(path) = &self.kubeconfig {
            return Kubeconfig::read_from(path);
        }
        if self.listed.is_empty() {
            return Kubeconfig::read();
        }
        let (mut merged, mut missing) = (None, KubeconfigError::FindPath);
        for path in &self.listed {
            let file = match Kubeconfig::read_from(path) {
                Err(error) if is_absent(&error) => {
                    missing = error;
                    continue;
                }
                file => file?,
            };
            merged = Some(match merged.take() {
                None => file,
                Some(first) => Kubeconfig::merge(first, file)?,
            });
        }
        merged.ok_or(missing)
    }

    /// The client configuration; without a kubeconfig, the in-cluster configuration.
    pub(in crate::clients) async fn config(&self) -> Result<Config> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..Default::default()
        };
        let read = match self.read() {
            Ok(file) => Config::from_custom_kubeconfig(file, &options).await,
            Err(error) => Err(error),
        };
        match read {
            Ok(mut config) => {
                self.hide(&mut config);
                Ok(config)
            }
            // A pod has no kubeconfig; an existing kubeconfig that cannot be read is an error.
            Err(error) if self.context.is_none() && is_absent(&error) => {
                Config::incluster().map_err(|_| unreadable(&error))
            }
            Err(error) => Err(unreadable(&error)),
        }
    }
}

impl Access {
    /// Hides the variables from `exec` programs: kube passes them the whole environment otherwise. Variables of the same
    /// name that the kubeconfig sets are kept.
    fn hide(&self, config: &mut Config) {
        if let Some(exec) = &mut config.auth_info.exec {
            let gives = |name: &String| {
                let mut entries = exec.env.iter().flatten();
                entries.any(|it| it.get("name") == Some(name) && it.contains_key("value"))
            };
            let hidden = self.hidden.iter().filter(|it| !gives(it)).cloned();
            exec.drop_env = Some(hidden.collect());
        }
        if let Some(provider) = &mut config.auth_info.auth_provider {
            let names = self.hidden.join(" ");
            provider.config.insert("cmd-drop-env".into(), names);
        }
    }
}

/// Whether there is no kubeconfig at all.
fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// The error for a kubeconfig that cannot be used.
fn unreadable(error: &KubeconfigError) -> Error {
    let (message, hint) = match error {
        KubeconfigError::LoadContext(name) => (
            format!("the kubeconfig has no context `{name}`"),
            "`kubectl config get-contexts` lists them; name one with --context or as cluster.context in the profile",
        ),
        KubeconfigError::CurrentContextNotSet => (
            "the kubeconfig has no current context".into(),
            "name one with --context or as cluster.context in the profile",
        ),
        _ => (
            "cannot read the kubeconfig".into(),
            "name a file with --kubeconfig or KUBECONFIG, and a context of it with --context",
        ),
    };
    Error::failed(System::Kubernetes, message)
        .cause(innermost(error))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(directory: &std::path::Path, names: &[&str]) -> Access {
        Access {
            listed: names.iter().map(|it| directory.join(it)).collect(),
            ..Access::default()
        }
    }

    #[test]
    fn a_file_of_the_list_that_is_not_there_is_passed_over_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write(
            "good",
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: 'https://k'}}]\n",
        );
        write(
            "more",
            "apiVersion: v1\nkind: Config\ncurrent-context: d\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {}}]\n",
        );
        write("broken", "contexts: 7\n");
        let context = |names: &[&str]| access(directory.path(), names).pinned().context;
        assert_eq!(context(&["broken", "good"]), None);
        assert_eq!(context(&["gone"]), None);
        assert_eq!(context(&["gone", "good", "more"]).as_deref(), Some("c"));
        assert_eq!(context(&["more", "gone"]).as_deref(), Some("d"));
        let missing = access(directory.path(), &["gone", "lost"]).read();
        assert!(is_absent(&missing.unwrap_err()));
        let merged = access(directory.path(), &["gone", "good", "more"])
            .read()
            .unwrap();
        assert_eq!((merged.clusters.len(), merged.contexts.len()), (1, 1));
    }
}
