//! How a command reaches the cluster: as EKS knows it, or by a context of the kubeconfig; and what it says of both.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use super::{GlobalArgs, session::variable};
use crate::{
    clients::{
        aws::{
            Aws,
            cluster::{Caller, EksCluster},
            login::Login,
        },
        kube::{Access, Kube},
        same_cluster,
    },
    desired::removal::is_at_aws,
    error::{Error, Result, System},
    execute::inventory::Inventory,
    profile::{Cluster, Profile},
};

/// The cluster, and AWS where the profile names something of it.
pub(super) struct Connection {
    /// The way to the cluster, for helm too.
    pub access: Access,
    /// The API server.
    pub kube: Kube,
    /// AWS.
    pub aws: Option<Aws>,
    /// The cluster as EKS describes it.
    pub eks: Option<EksCluster>,
}

impl Connection {
    /// Finds the cluster of `profile`. Nothing is asked of its API server yet.
    pub(super) async fn open(global: &GlobalArgs, profile: &Profile) -> Result<Self> {
        Self::to(global, &profile.cluster, aws(profile).await).await
    }

    /// Finds `cluster`, by EKS where it names that.
    pub(super) async fn to(
        global: &GlobalArgs,
        cluster: &Cluster,
        aws: Option<Aws>,
    ) -> Result<Self> {
        let mut access = named_access(global, cluster);
        let is_named = access.kubeconfig.is_some() || access.context.is_some();
        let mut eks = None;
        if let (Some(name), Some(aws)) = (&cluster.eks, &aws) {
            // Joined and not raced: the same fault gives the same error in every run.
            let (found, caller) = tokio::join!(aws.cluster(name), aws.caller());
            let (caller, found) = (caller?, found?);
            if is_named {
                access = access.pinned();
                same_cluster::check(&access, &found).await?;
            } else {
                access = sign_in(aws, &found, caller).await?;
            }
            eks = Some(found);
        } else {
            access = access.pinned();
        }
        let kube = Kube::connect(&access).await?;
        Ok(Self {
            access,
            kube,
            aws,
            eks,
        })
    }

    /// Reaches the account of what the inventory has at AWS, where the profile does not lead there (any more): by the
    /// cluster that is on record, which must be this one.
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
                format!("`{id}` is on record, and not in which AWS account it is"),
            )
            .object(id)
            .hint("name the cluster: cluster.eks and cluster.region in the profile, or --eks and --region"));
        };
        let aws = Aws::new(region.as_deref()).await;
        let found = aws.cluster(name).await?;
        same_cluster::check(&self.access, &found).await?;
        (self.aws, self.eks) = (Some(aws), Some(found));
        Ok(())
    }
}

/// The way to `cluster` that the command line and the profile name, without EKS.
pub(super) fn named_access(global: &GlobalArgs, cluster: &Cluster) -> Access {
    Access {
        kubeconfig: global.kubeconfig.clone(),
        listed: listed(variable("KUBECONFIG").as_deref()),
        context: global.context.clone().or_else(|| cluster.context.clone()),
        login: None,
    }
}

/// The files that KUBECONFIG names; an empty name is none.
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
    })
}

/// AWS, where the profile names something of it.
pub(super) async fn aws(profile: &Profile) -> Option<Aws> {
    let github = &profile.github;
    let mut sources = github
        .token
        .iter()
        .chain(github.app.iter().map(|app| &app.private_key));
    let needed = profile.cluster.eks.is_some()
        || sources.any(|it| it.secrets_manager.is_some() || it.ssm.is_some());
    if needed {
        Some(Aws::new(profile.cluster.region.as_deref()).await)
    } else {
        None
    }
}

/// The cluster as a person knows it.
pub(super) fn cluster_words(kube: &Kube, eks: Option<&EksCluster>, version: (u32, u32)) -> String {
    let version = format!("Kubernetes {}.{}", version.0, version.1);
    match eks {
        Some(eks) => format!(
            "EKS cluster {} in {} of AWS account {} ({version})",
            eks.name, eks.region, eks.account
        ),
        None => format!("cluster {} ({version})", kube.server.trim_end_matches('/')),
    }
}
