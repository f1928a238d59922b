//! A real control plane on loopback: etcd, kube-apiserver, kube-controller-manager and kube-scheduler.

mod flags;
mod kubeconfig;

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::certificates::{Authority, TokenKeys};
use crate::processes::{ProcessGroup, free_port};
use crate::tools;

pub use kubeconfig::CONTEXT;

/// How long each part may take to answer; a loaded machine of two cores stays far below it.
const DEADLINE: Duration = Duration::from_mins(1);

/// A running control plane; it ends with the process group it was started in.
pub struct ControlPlane {
    directory: PathBuf,
    url: String,
    authority: Authority,
    token: String,
    client: kube::Client,
}

/// The files of a control plane, below the sandbox's directory.
pub(crate) struct Layout<'a> {
    directory: &'a Path,
    egress: &'a Path,
    authenticator: Option<&'a str>,
    etcd_port: u16,
    api_port: u16,
}

impl Layout<'_> {
    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }
}

impl ControlPlane {
    /// Starts the control plane with its files in `directory`; calls to webhooks leave the API
    /// server through the proxy that listens on the Unix socket `egress`.
    /// `authenticator` is the URL that tokens it does not know are sent to.
    pub async fn start(
        processes: &ProcessGroup,
        directory: &Path,
        egress: &Path,
        authenticator: Option<&str>,
    ) -> Result<Self> {
        let directory = &directory.join("control-plane");
        // A sandbox is always a new cluster; what a killed one left behind would not be.
        match std::fs::remove_dir_all(directory.join("etcd")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).context("cannot remove an old sandbox's data");
            }
            _ => {}
        }
        std::fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
        let layout = Layout {
            directory,
            egress,
            authenticator,
            etcd_port: free_port()?,
            api_port: free_port()?,
        };
        let authority = Authority::new("arcctl-sandbox")?;
        let token: String = format!("{:032x}", rand::random::<u128>());
        write_files(&layout, &authority, &token)?;

        let mut etcd = Command::new(tools::find("etcd")?);
        processes.spawn("etcd", etcd.args(flags::etcd(&layout, free_port()?)))?;
        let etcd = (Ipv4Addr::LOCALHOST, layout.etcd_port);
        wait("etcd", processes, async || {
            tokio::net::TcpStream::connect(etcd).await.is_ok()
        })
        .await?;

        let mut server = Command::new(tools::find("kube-apiserver")?);
        // It lives for minutes on a machine with memory to spare: a fifth of its time is not spent on collecting garbage.
        server.env("GOGC", "400");
        processes.spawn("kube-apiserver", server.args(flags::api_server(&layout)))?;
        let kubeconfig = directory.join("admin.kubeconfig");
        let client = client(&kubeconfig).await?;
        wait("kube-apiserver", processes, async || {
            is_ready(&client).await
        })
        .await?;

        let mut manager = Command::new(tools::find("kube-controller-manager")?);
        let manager = manager.args(flags::controller_manager(&layout));
        processes.spawn("kube-controller-manager", manager)?;
        let mut scheduler = Command::new(tools::find("kube-scheduler")?);
        let scheduler = scheduler.args(flags::scheduler(&layout));
        processes.spawn("kube-scheduler", scheduler)?;
        let url = layout.url();
        Ok(Self {
            directory: directory.clone(),
            url,
            authority,
            token,
            client,
        })
    }

    /// Where the API server is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who has issued the API server's certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Writes an administrator's kubeconfig for the API server at `url`; its only context is
    /// [`CONTEXT`]. It holds a token and no client certificate, so that a proxy can stand between.
    pub fn write_kubeconfig(&self, name: &str, url: &str) -> Result<PathBuf> {
        let path = self.directory.join(name);
        let user = kubeconfig::User::Token(&self.token);
        std::fs::write(&path, kubeconfig::text(url, &self.authority, &user))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path)
    }

    /// A client with the administrator's rights.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }
}

fn write_files(layout: &Layout<'_>, authority: &Authority, token: &str) -> Result<()> {
    let server = authority.server(&[
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        flags::API_SERVICE_IP,
    ])?;
    if let Some(url) = layout.authenticator {
        let path = layout.file(flags::AUTHENTICATOR);
        std::fs::write(&path, flags::authenticator(url))
            .with_context(|| format!("cannot write `{path}`"))?;
    }
    let tokens = TokenKeys::new()?;
    let admin = authority.client("sandbox-admin", Some("system:masters"))?;
    let manager = authority.client("system:kube-controller-manager", None)?;
    let scheduler = authority.client("system:kube-scheduler", None)?;
    let url = layout.url();
    let config = |user| kubeconfig::text(&url, authority, &kubeconfig::User::Certificate(user));
    for (name, text) in [
        ("ca.crt", authority.certificate()),
        ("server.crt", &server.certificate),
        ("server.key", &server.key),
        ("tokens.key", &tokens.private),
        ("tokens.pub", &tokens.public),
        ("tokens.csv", &flags::tokens(token)),
        ("admin.kubeconfig", &config(&admin)),
        ("manager.kubeconfig", &config(&manager)),
        ("scheduler.kubeconfig", &config(&scheduler)),
        (flags::SCHEDULER, &flags::scheduler_configuration(layout)),
        (flags::AUDIT_POLICY, &flags::audit_policy()),
        ("egress.json", &flags::egress_selector(layout.egress)),
    ] {
        let path = layout.directory.join(name);
        std::fs::write(&path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}

async fn client(kubeconfig: &Path) -> Result<kube::Client> {
    let config = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(config, &options).await?;
    Ok(kube::Client::try_from(config)?)
}

async fn is_ready(client: &kube::Client) -> bool {
    match http::Request::get("/readyz").body(Vec::new()) {
        Ok(request) => client
            .request_text(request)
            .await
            .is_ok_and(|text| text == "ok"),
        Err(_) => false,
    }
}

/// Waits until a program answers, and no longer than it lives.
async fn wait(name: &str, processes: &ProcessGroup, ready: impl AsyncFn() -> bool) -> Result<()> {
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(40));
    loop {
        tick.tick().await;
        if ready().await {
            return Ok(());
        }
        processes.check()?;
        if started.elapsed() > DEADLINE {
            let (seconds, log) = (DEADLINE.as_secs(), processes.log(name));
            bail!(
                "`{name}` does not answer after {seconds} s: read `{}`",
                log.display()
            );
        }
    }
}
