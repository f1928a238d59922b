//! The `helm` binary (v3 and v4): argv, stdin and JSON. The only file that starts a process.
//!
//! Helm gets directories of its own, values on stdin, and a process group of its own, so that a Ctrl-C at the
//! terminal does not end it in the middle of a write. No secret is ever in its argv or values.

use std::{
    collections::HashMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    sync::{Mutex, OnceCell},
};

use super::{
    helm_answers::{described, last_words, supported},
    helm_arguments::{pull_arguments, upgrade_arguments},
    kube::Access,
};
use crate::{
    error::{Error, Result, System},
    resource::{Chart, HelmRelease},
};

/// How long one helm process may run: an upgrade of either chart takes seconds, a chart comes over the network.
const PROCESS_TIMEOUT: Duration = Duration::from_mins(3);

/// Variables that would name helm another cluster, user or namespace than arcctl's.
const ELSEWHERE: [&str; 9] = [
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

/// The helm binary and how it reaches the cluster.
pub struct Helm {
    binary: Option<PathBuf>,
    access: Access,
    hidden: Vec<String>,
    home: tempfile::TempDir,
    charts: Mutex<HashMap<String, Arc<OnceCell<PathBuf>>>>,
    major: OnceCell<u32>,
    processes: AtomicU64,
}

impl Helm {
    /// Looks for `helm` in `search_path` (the value of PATH). Nothing is started.
    /// `hidden` are variables that helm does not need to see: the one that holds the token.
    pub fn new(search_path: Option<&str>, access: Access, hidden: Vec<String>) -> Result<Self> {
        let binary = search_path.and_then(find_helm);
        let home = tempfile::Builder::new()
            .prefix("arcctl-helm-")
            .tempdir()
            .map_err(|error| {
                Error::failed(System::Local, "cannot make a directory for helm")
                    .cause(error)
                    .hint("check that the directory for temporary files (TMPDIR) can be written")
            })?;
        Ok(Self {
            binary,
            access,
            hidden,
            home,
            charts: Mutex::default(),
            major: OnceCell::new(),
            processes: AtomicU64::new(0),
        })
    }

    /// How many helm processes were started.
    pub fn processes(&self) -> u64 {
        self.processes.load(Ordering::Relaxed)
    }

    /// Where helm is, or an error that says how to get it.
    pub fn binary(&self) -> Result<&Path> {
        self.binary.as_deref().ok_or_else(|| {
            Error::failed(System::Helm, "there is no `helm` in PATH")
                .hint("install helm 3.13 or newer, or helm 4, and make sure that it is in PATH")
        })
    }

    /// Installs or upgrades `release`.
    pub async fn upgrade(&self, release: &HelmRelease) -> Result<()> {
        let chart = self.pull(&release.chart).await?;
        let arguments = upgrade_arguments(release, &chart, self.major().await?);
        let what = format!(
            "install chart `{}` as release `{}`",
            release.chart.name, release.name
        );
        // A webhook that is just coming up refuses an upgrade; the same command again heals it (reference: observed.md 3).
        self.run(&what, arguments, true, Some(&release.values))
            .await
            .map(|_| ())
            .map_err(|error| error.passing(true))
    }

    /// Uninstalls `release`; what it does not find is gone.
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

    /// The templates of `chart`, rendered with `values` for Kubernetes `version`.
    pub async fn template(
        &self,
        chart: &Chart,
        values: &Value,
        version: (u32, u32),
    ) -> Result<String> {
        let path = self.pull(chart).await?;
        let arguments = vec![
            "template".into(),
            chart.name.clone().into(),
            path.into(),
            "--kube-version".into(),
            format!("{}.{}.0", version.0, version.1).into(),
            "--values".into(),
            "-".into(),
        ];
        self.run(
            &format!("render chart `{}`", chart.name),
            arguments,
            false,
            Some(values),
        )
        .await
    }

    /// Asks helm for its version and fetches `chart`: what a first write would otherwise find missing. One after the
    /// other: what an old helm says of a chart is not the news.
    pub async fn fetch(&self, chart: &Chart) -> Result<()> {
        self.major().await?;
        self.pull(chart).await.map(|_| ())
    }

    /// The chart as a file: downloaded once a run, or the path that the profile names.
    async fn pull(&self, chart: &Chart) -> Result<PathBuf> {
        let remote = ["http://", "https://", "oci://"]
            .iter()
            .any(|it| chart.location.starts_with(it));
        let key = format!("{}-{}", chart.name, chart.version);
        if !remote {
            let path = PathBuf::from(&chart.location);
            let package = path.join(format!("{key}.tgz"));
            let path = if package.is_file() { package } else { path };
            return self.checked(chart, path).await;
        }
        let cell = Arc::clone(self.charts.lock().await.entry(key.clone()).or_default());
        cell.get_or_try_init(|| self.download(chart, &key))
            .await
            .cloned()
    }

    /// A chart that is given as a path, once helm has said that it is the one that the profile names.
    async fn checked(&self, chart: &Chart, path: PathBuf) -> Result<PathBuf> {
        let arguments = vec!["show".into(), "chart".into(), path.clone().into()];
        let what = format!("read chart `{}` from `{}`", chart.name, path.display());
        let hint = "name a chart's directory, its package, or a directory with `NAME-VERSION.tgz` under `charts` in the profile";
        let text = self
            .run(&what, arguments, false, None)
            .await
            .map_err(|error| error.object(path.display()).hint(hint))?;
        let (name, version) = (described(&text, "name"), described(&text, "version"));
        if name == chart.name && version == chart.version.trim_start_matches('v') {
            return Ok(path);
        }
        Err(Error::failed(
            System::Helm,
            format!("`{}` is another chart than the profile names", path.display()),
        )
        .object(path.display())
        .cause(format!("it is {name} {version}; the profile names {} {}", chart.name, chart.version))
        .hint("set chartVersion in the profile to that of the chart, or name another path under `charts`"))
    }

    async fn download(&self, chart: &Chart, key: &str) -> Result<PathBuf> {
        let directory = self.home.path().join(key);
        let what = format!("fetch chart `{key}` from `{}`", chart.location);
        std::fs::create_dir_all(&directory).map_err(|error| {
            Error::failed(System::Local, format!("cannot {what}"))
                .cause(error)
                .hint("check that the directory for temporary files (TMPDIR) can be written")
        })?;
        self.run(&what, pull_arguments(chart, &directory), false, None)
            .await
            .map_err(|error| {
                error.object(&chart.location).hint(
                    "check that the chart repository is reachable and has this version, or name a mirror under `charts` in the profile",
                )
            })?;
        let mut entries = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten();
        entries.next().map(|entry| entry.path()).ok_or_else(|| {
            Error::failed(
                System::Helm,
                format!("helm fetched nothing for chart `{key}`"),
            )
            .hint("run `helm pull` with this chart and version by hand to see why")
        })
    }

    /// The major version, asked once.
    async fn major(&self) -> Result<u32> {
        self.major
            .get_or_try_init(|| async {
                let arguments = vec!["version".into(), "--short".into()];
                let text = self
                    .run("ask helm for its version", arguments, false, None)
                    .await?;
                supported(text.trim()).map_err(|cause| {
                    Error::failed(System::Helm, "this helm cannot be used")
                        .cause(cause)
                        .hint("install helm 3.13 or newer, or helm 4, and make sure that it comes first in PATH")
                })
            })
            .await
            .copied()
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
            Error::failed(System::Helm, format!("cannot {what}"))
                .cause(cause)
                .hint("check that helm works here, with the same context: `helm list -A`")
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that starts a process"
        )]
        let mut command = tokio::process::Command::new(binary);
        command
            .args(&arguments)
            .env("HELM_CACHE_HOME", self.home.path().join("cache"))
            .env("HELM_CONFIG_HOME", self.home.path().join("config"))
            .env("HELM_DATA_HOME", self.home.path().join("data"))
            .env("HELM_DRIVER", "secret")
            .stdin(if values.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        // What could lead helm elsewhere than arcctl goes.
        for name in ELSEWHERE
            .into_iter()
            .chain(self.hidden.iter().map(String::as_str))
        {
            command.env_remove(name);
        }
        self.processes.fetch_add(1, Ordering::Relaxed);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let stdin = child.stdin.take();
        let given = async {
            if let (Some(values), Some(mut stdin)) = (values, stdin) {
                // A helm that refuses its arguments closes stdin early; its exit code tells more than this error.
                let _ignored = stdin.write_all(values.to_string().as_bytes()).await;
            }
        };
        // Both at once: a helm that first writes much, or reads nothing, is not waited for beyond its time.
        let both = async { tokio::join!(given, child.wait_with_output()).1 };
        let output = tokio::time::timeout(PROCESS_TIMEOUT, both)
            .await
            .map_err(|_| failed(format!("no end after {} s", PROCESS_TIMEOUT.as_secs())))?
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(failed(last_words(&output.stderr)))
    }
}

/// Where `helm` is in `search_path`.
fn find_helm(search_path: &str) -> Option<PathBuf> {
    std::env::split_paths(search_path)
        .map(|directory| directory.join("helm"))
        .find(|it| it.is_file())
}
