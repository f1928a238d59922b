//! Runs the `helm` binary (v3 and v4): arguments, stdin and JSON. The only module that starts a process.
//!
//! Helm gets its own directories, values on stdin, and its own process group, so that Ctrl-C in the
//! terminal does not interrupt a write. Its arguments and values never contain secrets.

pub mod archive;
mod arguments;
mod charts;
pub(crate) mod find;
mod hint;
mod output;
mod render;
mod start;

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    sync::{Mutex, OnceCell},
};

use super::{kube::Access, scratch::Scratch};
use crate::{
    desired::resource::{Chart, HelmRelease},
    error::{Error, Result, System},
    log,
};
use arguments::upgrade_arguments;
pub use find::Places;
use hint::hint;
use output::{last_words, supported};

/// The label with the number of a revision that arcctl created.
pub const REVISION: &str = "arcctl.dev/revision";

/// The timeout of a helm process: an upgrade of either chart takes seconds, a chart download needs the network.
const PROCESS_TIMEOUT: Duration = Duration::from_mins(3);

/// Variables that would select another cluster, user or namespace for helm; and the one with which it writes what it does, and
/// where in its source, after the error that is quoted.
const REMOVED: [&str; 10] = [
    "HELM_DEBUG",
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
    "HELM_NAMESPACE",
];

/// The helm binary and its access to the cluster.
pub struct Helm {
    binary: Result<PathBuf>,
    access: Access,
    hidden: Vec<String>,
    registries: Option<PathBuf>,
    /// The public keys that provenance is verified with.
    keyring: Option<PathBuf>,
    /// The digests that archives must have, by the names of their files without `.tgz`; `None` without a lock.
    locked: Option<HashMap<String, String>>,
    home: Scratch,
    charts: Mutex<HashMap<String, Arc<OnceCell<PathBuf>>>>,
    /// The rendered releases: what is in the way, and what their pods are like, is asked of the same text.
    rendered: Mutex<HashMap<String, Arc<OnceCell<String>>>>,
    /// Why a chart could not be downloaded ahead, until somebody needs it.
    failed: Mutex<HashMap<String, Error>>,
    major: OnceCell<u32>,
    processes: AtomicU64,
}

impl Helm {
    /// Searches helm in `places`. Starts no process. Of the user's configuration helm gets the logins for registries, and no
    /// other file.
    /// `hidden` are variables to remove from helm's environment, such as the one with the token.
    pub fn new(places: &Places, access: Access, hidden: Vec<String>) -> Result<Self> {
        let binary = places.find();
        let home = Scratch::new("arcctl-helm-").map_err(|error| {
            Error::failed(System::Local, "cannot make a directory for helm")
                .cause(error)
                .hint("check that the directory for temporary files (TMPDIR) can be written")
        })?;
        Ok(Self {
            binary,
            access,
            hidden,
            registries: places.registries.clone().filter(|it| it.is_file()),
            keyring: None,
            locked: None,
            home,
            charts: Mutex::default(),
            rendered: Mutex::default(),
            failed: Mutex::default(),
            major: OnceCell::new(),
            processes: AtomicU64::new(0),
        })
    }

    /// How many helm processes were started.
    pub fn processes(&self) -> u64 {
        self.processes.load(Ordering::Relaxed)
    }

    /// The path of helm, or an error with installation instructions.
    pub fn binary(&self) -> Result<&Path> {
        self.binary.as_deref().map_err(Clone::clone)
    }

    /// Installs or upgrades `release` as `revision`.
    pub async fn upgrade(&self, release: &HelmRelease, revision: u64) -> Result<()> {
        let chart = self.pull(&release.chart).await?;
        let arguments = upgrade_arguments(release, revision, &chart, self.major().await?);
        let what = format!(
            "install chart `{}` as release `{}`",
            release.chart.name, release.name
        );
        // An upgrade fails while a webhook is still starting; the same command succeeds later (reference: observed.md 3).
        self.run(&what, arguments, true, Some(&release.values))
            .await
            .map(|_| ())
            .map_err(|error| error.passing(true))
    }

    /// Uninstalls `release`; succeeds if it does not exist.
    pub async fn uninstall(&self, release: &HelmRelease) -> Result<()> {
        let arguments = [
            "uninstall",
            &release.name,
            "--namespace",
            &release.namespace,
        ]
        .into_iter()
        .chain(["--ignore-not-found", "--no-hooks", "--timeout", "150s"])
        .map(OsString::from)
        .collect();
        self.run(
            &format!("uninstall release `{}`", release.name),
            arguments,
            true,
            None,
        )
        .await
        .map(|_| ())
        .map_err(|error| error.passing(true))
    }

    /// The `CustomResourceDefinitions` that `chart` has in `crds/`, as YAML documents.
    pub async fn show_crds(&self, chart: &Chart) -> Result<String> {
        let path = self.pull(chart).await?;
        let arguments = vec!["show".into(), "crds".into(), path.into()];
        self.run(
            &format!("read the CRDs of chart `{}`", chart.name),
            arguments,
            false,
            None,
        )
        .await
    }

    /// Checks helm's version and downloads `chart`, so that problems show before the first write. Sequentially: chart
    /// errors of an unsupported helm would be misleading.
    pub async fn fetch(&self, chart: &Chart) -> Result<()> {
        self.major().await?;
        self.pull(chart).await.map(|_| ())
    }

    /// The major version, read once.
    async fn major(&self) -> Result<u32> {
        self.major
            .get_or_try_init(|| async {
                let arguments = vec!["version".into(), "--short".into()];
                let text = self
                    .run("read helm's version", arguments, false, None)
                    .await?;
                tracing::info!("helm {} at {}", text.trim(), self.binary()?.display());
                supported(text.trim()).map_err(|cause| {
                    Error::failed(System::Helm, "this version of helm is not supported")
                        .cause(cause)
                        .hint("install helm 3.13 or newer, or helm 4, and make sure that it comes first in PATH, or set `ARCCTL_HELM` to its path")
                })
            })
            .await
            .copied()
    }

    /// The process, not yet started.
    fn command(
        &self,
        binary: &Path,
        arguments: &[OsString],
        has_values: bool,
    ) -> tokio::process::Command {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that starts a process"
        )]
        let mut command = tokio::process::Command::new(binary);
        command
            .args(arguments)
            .env("HELM_CACHE_HOME", self.home.path().join("cache"))
            .env("HELM_CONFIG_HOME", self.home.path().join("config"))
            .env("HELM_DATA_HOME", self.home.path().join("data"))
            .env("HELM_DRIVER", "secret")
            .stdin(if has_values {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(file) = &self.registries {
            command.env("HELM_REGISTRY_CONFIG", file);
        }
        for name in REMOVED
            .into_iter()
            .chain(self.hidden.iter().map(String::as_str))
        {
            command.env_remove(name);
        }
        command
    }

    async fn run(
        &self,
        what: &str,
        mut arguments: Vec<OsString>,
        cluster: bool,
        values: Option<&Value>,
    ) -> Result<String> {
        let binary = self.binary()?;
        if cluster {
            arguments.extend(self.access.helm_flags().await?);
        }
        let failed = |cause: String| {
            let hint = hint(&cause);
            Error::failed(System::Helm, format!("cannot {what}"))
                .cause(cause)
                .hint(hint)
        };
        let mut command = self.command(binary, &arguments, values.is_some());
        self.processes.fetch_add(1, Ordering::Relaxed);
        let argv: Vec<_> = arguments.iter().map(|it| it.to_string_lossy()).collect();
        let action = argv.join(" ");
        tracing::trace!("helm {action}: starts");
        let began = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| start::not_started(what, binary, &error))?;
        let stdin = child.stdin.take();
        let given = async {
            if let (Some(values), Some(mut stdin)) = (values, stdin) {
                // A helm that rejects its arguments closes stdin early; its exit code is more useful than this error.
                let _ignored = stdin.write_all(values.to_string().as_bytes()).await;
            }
        };
        // Concurrently: the timeout also applies to a helm that writes much output first, or does not read stdin.
        let both = async { tokio::join!(given, child.wait_with_output()).1 };
        let output = tokio::time::timeout(PROCESS_TIMEOUT, both)
            .await
            .map_err(|_| {
                failed(format!(
                    "helm did not finish within {} s",
                    PROCESS_TIMEOUT.as_secs()
                ))
            })?
            .map_err(|error| failed(error.to_string()))?;
        log::request("helm", action, output.status, began, 1);
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failed(last_words(&output.stderr)))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Prints the path of its registry configuration, and describes every chart as `a` 1.0.0.
    const PROGRAM: &str = "#!/bin/sh\ncase \"$*\" in 'show chart'*) printf 'name: a\\nversion: 1.0.0\\n' ;; *) echo \"$HELM_REGISTRY_CONFIG in $HELM_CONFIG_HOME\" ;; esac\n";

    #[tokio::test]
    async fn helm_sees_the_registries_that_the_user_has_signed_in_to_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let (program, registries) = (
            directory.path().join("helm"),
            directory.path().join("config.json"),
        );
        std::fs::write(&program, PROGRAM).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(&registries, "{}").unwrap();
        let chart = Chart {
            name: "a".into(),
            version: "1.0.0".into(),
            location: directory.path().display().to_string(),
        };
        let places = Places {
            path: directory.path().to_str().map(str::to_owned),
            registries: Some(registries.clone()),
            ..Places::default()
        };
        let helm = Helm::new(&places, Access::default(), Vec::new()).unwrap();
        let said = helm.show_crds(&chart).await.unwrap();
        assert!(said.starts_with(registries.to_str().unwrap()), "{said}");
        assert!(said.contains("arcctl-helm-"), "{said}");
        let command = helm.command(Path::new("helm"), &[], false);
        let mut variables = command.as_std().get_envs();
        assert!(variables.any(|it| it == (std::ffi::OsStr::new("HELM_DEBUG"), None)));
        // If the file does not exist, helm's own default is kept.
        let places = Places {
            registries: Some(directory.path().join("none")),
            ..places
        };
        let helm = Helm::new(&places, Access::default(), Vec::new()).unwrap();
        assert!(helm.registries.is_none());
    }

    #[tokio::test]
    async fn a_helm_that_the_system_does_not_start_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("helm");
        std::fs::write(&program, "#!/nowhere/interpreter\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let places = Places {
            path: directory.path().to_str().map(str::to_owned),
            ..Places::default()
        };
        let helm = Helm::new(&places, Access::default(), Vec::new()).unwrap();
        let error = helm.major().await.unwrap_err();
        let named = format!("`{}`, which is a file with mode 0755", program.display());
        assert!(error.to_string().contains(&named), "{error}");
        assert!(
            error
                .hint
                .unwrap()
                .contains("the interpreter in its first line")
        );
    }

    /// Writes a line for each start into `log` beside it, and downloads nothing.
    const NO_DOWNLOAD: &str = "#!/bin/sh\necho \"$1\" >> \"${0%/*}/log\"\ncase \"$1\" in version) echo v3.22.0 ;; *) echo 'no such host' >&2; exit 1 ;; esac\n";

    #[tokio::test]
    async fn a_download_that_failed_ahead_is_told_once_and_then_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("helm");
        std::fs::write(&program, NO_DOWNLOAD).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let chart = |location: &str| Chart {
            name: "a".into(),
            version: "1.0.0".into(),
            location: location.to_owned(),
        };
        let places = Places {
            path: directory.path().to_str().map(str::to_owned),
            ..Places::default()
        };
        let helm = Helm::new(&places, Access::default(), Vec::new()).unwrap();
        let starts = |what: &str| {
            let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            log.lines().filter(|it| *it == what).count()
        };
        helm.fetch_ahead(&[]).await;
        assert_eq!(helm.processes(), 0);
        let remote = chart("https://charts.example.com");
        // One at a path is there already.
        helm.fetch_ahead(&[remote.clone(), chart("/charts")]).await;
        assert_eq!((starts("version"), starts("pull")), (1, 1));
        let error = helm.show_crds(&remote).await.unwrap_err();
        assert!(error.to_string().contains("no such host"), "{error}");
        assert_eq!(starts("pull"), 1);
        drop(helm.show_crds(&remote).await.unwrap_err());
        assert_eq!(starts("pull"), 2);
    }
}
