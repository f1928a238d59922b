//! Authentication to an EKS cluster for arcctl and helm: a temporary kubeconfig that reads its token from a file.
//!
//! Only this user can read the two files, and they are deleted when the run ends. kube and helm reread the token at least
//! every minute, so a run of several hours uses the renewed token.

use std::{
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use serde_json::json;
use tokio::sync::Mutex;

use super::{
    cluster::{Caller, EksCluster, Reach},
    error::Asked,
    token,
};
use crate::{
    clients::scratch::Scratch,
    error::{Error, ErrorKind, Result, System},
};

/// A token of this age is renewed. Its remaining lifetime is enough for the longest helm process.
const RENEWED: Duration = Duration::from_mins(9);

/// How long before its expiry a token is treated as expired: clients cache it for a minute.
const MARGIN: Duration = Duration::from_mins(1);

/// Timeout for loading credentials: single sign-on, the metadata endpoint of an instance or a container.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(30);

/// The kubeconfig and token files for an EKS cluster.
pub struct Login {
    cluster: EksCluster,
    caller: Caller,
    credentials: Option<SharedCredentialsProvider>,
    directory: Scratch,
    term: Mutex<Option<Term>>,
    /// Whether the API server has accepted this identity in this run.
    accepted: AtomicBool,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

/// The lifetime of a token.
#[derive(Clone, Copy)]
struct Term {
    renewal: SystemTime,
    end: SystemTime,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Login")
            .field("cluster", &self.cluster.name)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// Creates the files; `clock` returns the current time.
    pub async fn new(
        cluster: EksCluster,
        caller: Caller,
        credentials: Option<SharedCredentialsProvider>,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Result<Self> {
        let directory = Scratch::new("arcctl-eks-")
            .map_err(|error| local("make a directory for the cluster's kubeconfig", error))?;
        let login = Self {
            cluster,
            caller,
            credentials,
            directory,
            term: Mutex::default(),
            accepted: AtomicBool::new(false),
            clock: Box::new(clock),
        };
        write(&login.kubeconfig(), &login.kubeconfig_text())?;
        login.renew().await?;
        Ok(login)
    }

    /// The kubeconfig for this cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// The name of its only context.
    pub fn context(&self) -> &str {
        &self.cluster.name
    }

    /// Renews an old token. If the renewal fails, a token that is still valid is used.
    pub async fn renew(&self) -> Result<()> {
        let mut term = self.term.lock().await;
        let now = (self.clock)();
        if term.is_some_and(|it| now < it.renewal) {
            return Ok(());
        }
        match self.make(now).await {
            Ok(made) => *term = Some(made),
            Err(_) if term.is_some_and(|it| now + MARGIN < it.end) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn make(&self, now: SystemTime) -> Result<Term> {
        let what = format!("sign in to EKS cluster `{}`", self.cluster.name);
        let resource = format!("cluster/{}", self.cluster.name);
        let asked = Asked {
            what: &what,
            action: "sts:GetCallerIdentity",
            resource: &resource,
        };
        let provider = self
            .credentials
            .as_ref()
            .ok_or_else(|| asked.no_credentials())?;
        let found = tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials());
        let credentials = found
            .await
            .map_err(|_| asked.no_credentials())?
            .map_err(|error| asked.without_credentials(&error))?;
        let (cluster, region) = (&self.cluster.name, &self.cluster.region);
        let token = token::token(cluster, region, &credentials, now).map_err(|error| {
            Error::failed(System::Local, format!("cannot {what}"))
                .object(&resource)
                .cause(error)
                .hint("check the AWS credentials with `aws sts get-caller-identity`")
        })?;
        write(&self.token_file(), token.expose())?;
        let end = credentials
            .expiry()
            .map_or(now + token::VALID, |it| it.min(now + token::VALID));
        Ok(Term {
            renewal: (now + RENEWED).min(end - MARGIN),
            end,
        })
    }

    /// The API server has accepted this identity.
    pub fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    /// The hint for an API server that does not accept this identity.
    pub fn unknown(&self) -> String {
        let (name, region) = (&self.cluster.name, &self.cluster.region);
        let principal = self.caller.principal();
        // The variables of the environment do not tell when their credentials expire, and a token is worth no more than these.
        if self.accepted.load(Ordering::Relaxed) {
            return format!(
                "EKS cluster `{name}` accepted `{principal}` earlier in this run, so its AWS credentials have probably expired: get new ones (those in AWS_SESSION_TOKEN are not renewed; `aws sts get-caller-identity` shows whether they work), then run the same command again to continue"
            );
        }
        if !self.cluster.access_entries {
            // Source: EKS user guide, "Grant IAM users access to Kubernetes with a ConfigMap": the ARN of a role has no path there.
            let kind = if self.caller.role().is_some() {
                "mapRoles"
            } else {
                "mapUsers"
            };
            return format!(
                "EKS cluster `{name}` has no access entries (authentication mode CONFIG_MAP), and `{principal}` is not in its ConfigMap `aws-auth`: have its administrator add it under `{kind}` with `kubectl -n kube-system edit configmap aws-auth` (a role's ARN without its path), or allow access entries too (this cannot be undone) with `aws eks update-cluster-config --region {region} --name {name} --access-config authenticationMode=API_AND_CONFIG_MAP`, or use another AWS_PROFILE"
            );
        }
        // The ARN of a session lacks the path of its role, and roles of IAM Identity Center always have a path.
        let path = self.caller.role().map_or_else(String::new, |role| {
            format!(" (its whole ARN, with a path if it has one, is in `aws iam get-role --role-name {role} --query Role.Arn`)")
        });
        format!(
            "`{principal}` has no access entry in EKS cluster `{name}`: have its administrator run `aws eks create-access-entry --region {region} --cluster-name {name} --principal-arn {principal}`{path} and associate an access policy with it, or use another AWS_PROFILE"
        )
    }

    /// The hint for an API server that cannot be reached.
    pub fn unreachable(&self) -> String {
        let (name, region) = (&self.cluster.name, &self.cluster.region);
        match &self.cluster.reach {
            Reach::Private => format!(
                "the endpoint of EKS cluster `{name}` is private: run arcctl inside its VPC or through a VPN to it, or open it with `aws eks update-cluster-config --region {region} --name {name} --resources-vpc-config endpointPublicAccess=true`"
            ),
            Reach::From(ranges) => format!(
                "the endpoint of EKS cluster `{name}` is open to {} only: run arcctl from there, or add this address to the cluster's public access CIDRs",
                ranges.join(", ")
            ),
            Reach::Public => format!(
                "check that the endpoint of EKS cluster `{name}` is reachable from here, through the proxy if there is one"
            ),
        }
    }

    fn token_file(&self) -> PathBuf {
        self.directory.path().join("token")
    }

    /// JSON, which is valid YAML. It references the token file and does not contain the token.
    fn kubeconfig_text(&self) -> String {
        let name = &self.cluster.name;
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {
                "server": self.cluster.endpoint,
                "certificate-authority-data": self.cluster.authority,
            }}],
            "users": [{"name": name, "user": {"tokenFile": self.token_file()}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        })
        .to_string()
    }
}

/// Replaces the file atomically, with permissions for this user only.
fn write(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&new, path));
    written.map_err(|error| local("write the kubeconfig of this run", error))
}

fn local(what: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Failed, System::Local, format!("cannot {what}"))
        .cause(error)
        .hint("check that the directory for temporary files (TMPDIR) can be written")
}

#[cfg(test)]
mod tests;
