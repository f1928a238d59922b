//! Connects to the cluster, through EKS or a kubeconfig context, and describes it in messages.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    clients::{
        aws::{
            Aws,
            auth::Login,
            cluster::{Caller, EksCluster},
        },
        cause::innermost,
        kube::{Access, Kube},
        verify_cluster,
    },
    desired::teardown::is_at_aws,
    error::{Error, ErrorKind, Result, System},
    inventory::Inventory,
    profile::{Cluster, Profile, TokenSource},
    terminal::{
        args::GlobalArgs,
        environment::{hidden_variables, shared_files, variable},
    },
};

/// The cluster, and AWS if the profile needs it.
pub(crate) struct Connection {
    /// How to connect to the cluster, also for helm.
    pub access: Access,
    /// The API server.
    pub kube: Kube,
    /// AWS.
    pub aws: Option<Aws>,
    /// The cluster as EKS describes it.
    pub eks: Option<EksCluster>,
}

impl Connection {
    /// Finds the cluster of `profile`, without a call to its API server.
    pub(crate) async fn open(global: &GlobalArgs, profile: &Profile) -> Result<Self> {
        Self::hiding(global, profile, hidden_variables(&profile.token_sources())).await
    }

    /// The same; sign-in programs do not get the variables `hidden`.
    pub(crate) async fn hiding(
        global: &GlobalArgs,
        profile: &Profile,
        hidden: Vec<String>,
    ) -> Result<Self> {
        let aws = aws(profile, hidden.clone()).await?;
        Self::to(global, &profile.cluster, hidden, aws).await
    }

    /// Finds `cluster`, through EKS if it names an EKS cluster; sign-in programs do not get the variables `hidden`.
    pub(super) async fn to(
        global: &GlobalArgs,
        cluster: &Cluster,
        hidden: Vec<String>,
        aws: Option<Aws>,
    ) -> Result<Self> {
        let mut access = named_access(global, cluster, hidden);
        let is_named = access.kubeconfig.is_some() || access.context.is_some();
        let mut eks = None;
        if let (Some(name), Some(aws)) = (&cluster.eks, &aws) {
            // Joined, not raced: the same fault gives the same error in every run.
            let (found, caller) = tokio::join!(aws.cluster(name), aws.caller());
            let (caller, found) = (caller?, found?);
            if is_named {
                access = access.pinned();
                verify_cluster::check(&access, &found).await?;
            } else {
                access = sign_in(aws, &found, caller).await?;
            }
            eks = Some(found);
        } else {
            access = access.pinned();
        }
        let kube = Kube::connect(&access).await?;
        match &eks {
            Some(eks) if !is_named => tracing::info!(
                "EKS cluster {} in {}: the API server is {}",
                eks.name,
                eks.region,
                kube.server
            ),
            _ => tracing::info!(
                "context {} of the kubeconfig: the API server is {}",
                access.context.as_deref().unwrap_or("(the current one)"),
                kube.server
            ),
        }
        Ok(Self {
            access,
            kube,
            aws,
            eks,
        })
    }

    /// The same, with the AWS client that `cluster` needs.
    pub(crate) async fn to_cluster(
        global: &GlobalArgs,
        cluster: &Cluster,
        hidden: Vec<String>,
    ) -> Result<Self> {
        let aws = if cluster.eks.is_some() {
            let files = shared_files(hidden.clone());
            Some(Aws::new(cluster.region.as_deref(), &files, authorities()?).await)
        } else {
            None
        };
        Self::to(global, cluster, hidden, aws).await
    }

    /// Connects to the AWS account of the inventory's resources if the profile does not name it (any more): through the
    /// recorded cluster, which must be this one.
    pub(super) async fn reach(&mut self, inventory: &Inventory) -> Result<()> {
        let mut recorded = inventory.records.keys();
        let Some(id) = recorded.find(|it| is_at_aws(it)) else {
            return Ok(());
        };
        if self.eks.is_some() {
            return Ok(());
        }
        let cluster = inventory.profile.as_ref().map(|it| &it.cluster);
        let Some((name, region)) = cluster.and_then(|it| Some((it.eks.as_ref()?, &it.region)))
        else {
            return Err(Error::failed(
                System::Aws,
                format!("`{id}` is in the inventory without its AWS account"),
            )
            .object(id)
            .hint("name the cluster: cluster.eks and cluster.region in the profile, or --eks and --region"));
        };
        let files = shared_files(self.access.hidden.clone());
        let aws = Aws::new(region.as_deref(), &files, authorities()?).await;
        let found = aws.cluster(name).await?;
        verify_cluster::check(&self.access, &found).await?;
        (self.aws, self.eks) = (Some(aws), Some(found));
        Ok(())
    }
}

/// The connection to `cluster` by command line and profile, without EKS.
pub(crate) fn named_access(global: &GlobalArgs, cluster: &Cluster, hidden: Vec<String>) -> Access {
    Access {
        kubeconfig: global.kubeconfig.clone(),
        listed: listed(variable("KUBECONFIG").as_deref()),
        context: global.context.clone().or_else(|| cluster.context.clone()),
        login: None,
        hidden,
    }
}

/// The files in KUBECONFIG; an empty name is ignored.
fn listed(variable: Option<&str>) -> Vec<PathBuf> {
    std::env::split_paths(variable.unwrap_or_default())
        .filter(|it| !it.as_os_str().is_empty())
        .collect()
}

async fn sign_in(aws: &Aws, cluster: &EksCluster, caller: Caller) -> Result<Access> {
    let login = Login::new(cluster.clone(), caller, aws.credentials(), SystemTime::now).await?;
    Ok(Access {
        kubeconfig: Some(login.kubeconfig()),
        listed: Vec::new(),
        context: Some(login.context().to_owned()),
        login: Some(Arc::new(login)),
        hidden: Vec::new(),
    })
}

/// The AWS client, if the profile needs one; its sign-in programs do not get the variables `hidden`.
pub(super) async fn aws(profile: &Profile, hidden: Vec<String>) -> Result<Option<Aws>> {
    let sources = profile.token_sources();
    let stored = |it: &TokenSource| it.secrets_manager.is_some() || it.ssm.is_some();
    let needed = profile.cluster.eks.is_some() || sources.iter().any(|it| stored(it));
    if !needed {
        return Ok(None);
    }
    let region = profile.cluster.region.as_deref();
    let files = shared_files(hidden);
    Ok(Some(Aws::new(region, &files, authorities()?).await))
}

/// The cluster's name for messages.
pub(crate) fn cluster_words(kube: &Kube, eks: Option<&EksCluster>, version: (u32, u32)) -> String {
    let version = format!("Kubernetes {}.{}", version.0, version.1);
    match eks {
        Some(eks) => format!(
            "EKS cluster {} in {} of AWS account {} ({version})",
            eks.name, eks.region, eks.account
        ),
        None => format!("cluster {} ({version})", kube.server.trim_end_matches('/')),
    }
}

/// The variable with the file of CA certificates for AWS.
const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The CA certificates for AWS, if the environment names a file: as in the AWS CLI, `AWS_CA_BUNDLE` replaces the ones of
/// this machine. The SDK does not read it (aws-sdk-rust#1362).
pub(crate) fn authorities() -> Result<Option<Vec<u8>>> {
    let Some(path) = variable(AWS_CA_BUNDLE) else {
        return has_root_certificates().map(|()| None);
    };
    let wrong = |cause: String| {
        Error::new(
            ErrorKind::Usage,
            System::Aws,
            format!("cannot use the certificates of `{path}`"),
        )
        .object(AWS_CA_BUNDLE)
        .cause(cause)
        .hint(format!(
            "name a file with certificates in PEM form in {AWS_CA_BUNDLE}, or unset it"
        ))
    };
    let text = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    // Such a file may have a private key too.
    let certificates = certificates.map_err(|error| wrong(innermost(&error)))?;
    if certificates.is_empty() {
        return Err(wrong("no certificate is in it".into()));
    }
    // The SDK takes them without a look and ends the program at one that cannot be read.
    for (index, certificate) in certificates.into_iter().enumerate() {
        RootCertStore::empty().add(certificate).map_err(|error| {
            let number = index + 1;
            wrong(format!(
                "certificate {number} in it cannot be read: {error}"
            ))
        })?;
    }
    Ok(Some(text))
}

/// An error where this machine has no root certificates, as in a container image `scratch`: no server of AWS could be
/// trusted, and the SDK would tell only of an unknown issuer.
fn has_root_certificates() -> Result<()> {
    // A simulated AWS, without TLS.
    if variable("AWS_ENDPOINT_URL").is_some_and(|it| it.starts_with("http://")) {
        return Ok(());
    }
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(());
    }
    let error = Error::new(
        ErrorKind::Failed,
        System::Aws,
        "this machine has no root certificates",
    );
    let error = match found.errors.first() {
        Some(cause) => error.cause(cause),
        None => error,
    };
    Err(error.hint(format!(
        "install the package `ca-certificates`, or name a file with certificates in PEM form in SSL_CERT_FILE, or in \
         {AWS_CA_BUNDLE} for AWS alone"
    )))
}
