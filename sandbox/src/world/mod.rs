//! The whole sandbox: the real programs, the stand-ins for the rest, and the environment for a program that uses it.

mod aws;
mod environment;
mod faults;
mod profile;
mod proxies;
mod stand_ins;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use tokio::task::JoinSet;

use self::environment::Environment;
use self::faults::Faults;
use self::proxies::Proxies;
use self::stand_ins::{authenticator, github, kubelet_settings, stand_ins};
use crate::authenticator::Authenticator;
use crate::chart_repository::ChartRepository;
use crate::cloud::{Cloud, rules::Rules};
use crate::control_plane::ControlPlane;
use crate::egress::Egress;
use crate::github::{self, GitHub};
use crate::github_com::GitHubCom;
use crate::kubelet::{Images, Kubelet, NodeSpec};
use crate::moto::{self, Moto};
use crate::processes::ProcessGroup;
use crate::proxy::{Proxy, System};

/// What a sandbox is asked to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where its files go; `None` is a directory that vanishes with it.
    pub directory: Option<PathBuf>,
    /// What goes wrong, as `AREA:FAULT`.
    pub faults: Vec<String>,
    /// Which major version of helm is `helm`.
    pub helm: Helm,
    /// How long things take.
    pub pace: Pace,
    /// The worker nodes.
    pub nodes: Vec<NodeSpec>,
    /// Whether the images are on the nodes already.
    pub images: Images,
    /// Which GitHub is simulated.
    pub github: github::Mode,
    /// Whether AWS (moto) is started too, where it is installed.
    pub aws: bool,
    /// Whether nobody else writes to the AWS account; otherwise the first write of each object meets another writer.
    pub alone: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            directory: None,
            faults: Vec::new(),
            helm: Helm::V3,
            pace: Pace::Realistic,
            nodes: (0..2).map(NodeSpec::numbered).collect(),
            images: Images::Present,
            github: github::Options::default().mode,
            aws: false,
            alone: false,
        }
    }
}

/// A major version of helm.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Helm {
    /// Version 3.
    #[default]
    V3,
    /// Version 4.
    V4,
}

/// How long things take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Pace {
    /// About as long as on a real cluster; images come beside this (`Options::images`).
    #[default]
    Realistic,
    /// As short as it goes, for tests.
    Fast,
}

/// A running sandbox. Its programs end when it is dropped.
pub struct Sandbox {
    control_plane: ControlPlane,
    egress: Egress,
    github: GitHub,
    charts: ChartRepository,
    aws: Option<aws::Aws>,
    proxies: Proxies,
    /// The way to it, where github.com is simulated.
    _github_com: Option<GitHubCom>,
    kubelet: Option<Kubelet>,
    stand_ins: JoinSet<()>,
    paused: Arc<AtomicBool>,
    environment: Environment,
    directory: PathBuf,
    processes: ProcessGroup,
    _lock: File,
    // Last, so that the files go after everything that uses them.
    _temporary: Vec<TempDir>,
}

impl Sandbox {
    /// Starts everything and returns once it can be used.
    pub async fn start(mut options: Options) -> Result<Self> {
        // Only the first call in a process installs it; later ones find it there.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let faults = Faults::parse(&options.faults)?;
        let mut temporary = Vec::new();
        let directory = match &options.directory {
            Some(directory) => std::path::absolute(directory)?,
            None => keep(&mut temporary)?,
        };
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
        let lock = lock(&directory)?;
        // The path of a Unix socket has at most 107 bytes, which DIR may exceed.
        let socket = keep(&mut temporary)?.join("egress.sock");

        let processes = ProcessGroup::new(&directory.join("logs"))?;
        let moto = if options.aws {
            Moto::launch(&processes)?
        } else {
            None
        };
        let egress = Egress::bind(&socket)?;
        let authenticator = authenticator(moto.as_ref()).await?;
        let whose = authenticator.as_ref().map(Authenticator::url);
        let control_plane =
            ControlPlane::start(&processes, &directory, &socket, whose.as_deref()).await?;
        let client = control_plane.client();
        let moto = moto.as_ref();
        let aws = aws::start(&processes, moto, authenticator, &client, &mut options).await?;
        egress.attach(client.clone());
        for (namespace, service, fault) in &faults.egress {
            egress.set_fault(namespace, service, Some(*fault));
        }
        let settings = kubelet_settings(&options, &faults, control_plane.url());
        let kubelet = Kubelet::start(&client, settings).await?;
        let github = github(&options, &faults).await?;
        let mut charts = ChartRepository::start().await?;
        let account = moto.zip(aws.as_ref()).map(|(moto, aws)| {
            let associations = Arc::clone(&aws.associations);
            (moto, &aws.cloud, associations, Arc::clone(&aws.rules))
        });
        let proxies = Proxies::start(&control_plane, &github, &charts, account).await?;
        if faults.charts_down {
            charts.down().await;
        }
        proxies.add(faults.proxies.clone());
        let paused = Arc::clone(&faults.paused);
        let stand_ins = stand_ins(&client, &egress, &proxies, &github, &options, faults);
        let mut environment = environment(&directory, &control_plane, &github, &proxies, &options)?;
        let (github_com, variables) =
            to_github_com(&options, &directory, &control_plane, &proxies).await?;
        environment.extend(variables);
        if let (Some(proxy), Some(aws)) = (&proxies.aws, &aws) {
            environment.extend(moto::environment(&proxy.url(), &aws.cloud.key));
            let text = profile::text(&proxies.github.url(), &proxies.charts.url());
            environment.extend(environment::profiles(&directory, &text, &aws.cloud)?);
        }
        Kubelet::wait(&client).await?;
        Ok(Self {
            control_plane,
            egress,
            github,
            charts,
            aws,
            proxies,
            _github_com: github_com,
            kubelet: Some(kubelet),
            stand_ins,
            paused,
            environment,
            directory,
            processes,
            _lock: lock,
            _temporary: temporary,
        })
    }

    /// What a program needs to find the sandbox.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// A client of the cluster with the administrator's rights.
    pub fn kube(&self) -> kube::Client {
        self.control_plane.client()
    }

    /// The way from the API server to webhooks.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// The simulated GitHub.
    pub fn github(&self) -> &GitHub {
        &self.github
    }

    /// The nodes; `None` once it has stopped.
    pub fn kubelet(&self) -> Option<&Kubelet> {
        self.kubelet.as_ref()
    }

    /// The account that the cluster is in; `None` without AWS.
    pub fn cloud(&self) -> Option<&Cloud> {
        self.aws.as_ref().map(|it| &it.cloud)
    }

    /// AWS's rules, which moto does not know; `None` without AWS.
    pub fn aws_rules(&self) -> Option<&Rules> {
        self.aws.as_ref().map(|it| &*it.rules)
    }

    /// Who authenticates AWS's users at the cluster; `None` without AWS.
    pub fn authenticator(&self) -> Option<&Authenticator> {
        self.aws.as_ref().map(|it| &it.authenticator)
    }

    /// The chart repository.
    pub fn chart_repository(&self) -> &ChartRepository {
        &self.charts
    }

    /// The chart repository, to take it down and up again.
    pub fn charts(&mut self) -> &mut ChartRepository {
        &mut self.charts
    }

    /// The proxy before a system, which counts requests and makes them fail; `None` when the
    /// system is not there.
    pub fn proxy(&self, system: System) -> Option<&Proxy> {
        self.proxies.of(system)
    }

    /// Says what the faults that kill the client do.
    pub fn on_kill(&self, kill: impl Fn() + Send + Sync + 'static) {
        self.proxies.on_kill(kill);
    }

    /// Where the sandbox's files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Stops what the controller, its runners and the kubelets do about objects, for good: thousands of pods can then be
    /// written as they would be, and stay so. Webhooks still answer, and leases and nodes stay alive.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// An error once one of the sandbox's programs has ended.
    pub fn check(&self) -> Result<()> {
        self.processes.check()
    }

    /// Ends everything.
    pub fn stop(mut self) {
        self.stand_ins.abort_all();
        drop(self.kubelet.take());
        self.egress.stop();
        self.processes.stop();
    }
}

fn environment(
    directory: &Path,
    control_plane: &ControlPlane,
    github: &GitHub,
    proxies: &Proxies,
    options: &Options,
) -> Result<Environment> {
    let profile = directory.join("profile.yaml");
    let charts = proxies.charts.url();
    let mut text = profile::text(&proxies.github.url(), &charts);
    if matches!(options.github, github::Mode::Cloud) {
        text = profile::at_github_com(&text);
    }
    std::fs::write(&profile, text)
        .with_context(|| format!("cannot write `{}`", profile.display()))?;
    let kubernetes = proxies.kubernetes.url();
    let kubeconfig = control_plane.write_kubeconfig("sandbox.kubeconfig", &kubernetes)?;
    let variables = [
        ("ARCCTL_GITHUB_TOKEN", github.token().to_owned()),
        ("ARCCTL_SANDBOX_GITHUB_URL", proxies.github.url()),
        ("ARCCTL_SANDBOX_PROFILE", profile.display().to_string()),
        ("KUBECONFIG", kubeconfig.display().to_string()),
        ("PATH", environment::path(directory, options.helm)?),
    ];
    Ok(variables
        .map(|(name, value)| (name.to_owned(), value))
        .into())
}

/// The way to github.com with the variables that name it, where github.com is simulated.
async fn to_github_com(
    options: &Options,
    directory: &Path,
    control_plane: &ControlPlane,
    proxies: &Proxies,
) -> Result<(Option<GitHubCom>, Environment)> {
    if matches!(options.github, github::Mode::EnterpriseServer(_)) {
        return Ok((None, Environment::new()));
    }
    let authority = control_plane.authority();
    let way = GitHubCom::start(authority, &proxies.github.url()).await?;
    let variables = environment::to_github_com(directory, &way, authority.certificate())?;
    Ok((Some(way), variables))
}

/// Two sandboxes in one directory would destroy each other's files.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
    file.try_lock().with_context(|| {
        let directory = directory.display();
        format!("another sandbox uses `{directory}`: stop it, or choose another `--dir`")
    })?;
    Ok(file)
}

fn keep(temporary: &mut Vec<TempDir>) -> Result<PathBuf> {
    let directory = tempfile::Builder::new()
        .prefix("arcctl-sandbox-")
        .tempdir()
        .context("cannot make a temporary directory")?;
    let path = directory.path().to_owned();
    temporary.push(directory);
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_sandbox() {
        let directory = tempfile::tempdir().unwrap();
        let first = lock(directory.path()).unwrap();
        let error = lock(directory.path()).unwrap_err().to_string();
        assert!(error.contains("choose another `--dir`"), "{error}");
        drop(first);
        assert!(lock(directory.path()).is_ok());
    }
}
