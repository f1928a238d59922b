//! Describes the EKS cluster of a profile, its account and the caller's identity.

use aws_sdk_eks::{
    operation::describe_cluster::DescribeClusterError,
    types::{
        AccessConfigResponse, AuthenticationMode, Cluster, ClusterStatus, ComputeConfigResponse,
        IpFamily, VpcConfigResponse,
    },
};

use super::{Aws, error::Asked};
use crate::{
    error::{Error, ErrorKind, Result, System},
    units::Partition,
};

/// An EKS cluster that arcctl can use, as EKS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EksCluster {
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its account.
    pub account: String,
    /// The partition, as in its ARN.
    pub partition: String,
    /// The endpoint of its API server.
    pub endpoint: String,
    /// The CA certificate of its API server: PEM, in base64.
    pub authority: String,
    /// The issuer of its service accounts' tokens, a URL.
    pub issuer: Option<String>,
    /// The security group that EKS created for it.
    pub security_group: Option<String>,
    /// Further security groups of its control plane.
    pub other_groups: Vec<String>,
    /// The subnets of its control plane.
    pub subnets: Vec<String>,
    /// Its VPC.
    pub vpc: Option<String>,
    /// Whether its pods and services use IPv6 addresses.
    pub ipv6: bool,
    /// The endpoint access of its API server.
    pub reach: Reach,
    /// Whether it uses EKS Auto Mode, whose nodes include the Pod Identity agent.
    pub auto_mode: bool,
    /// Whether it has access entries; the clusters of the mode `CONFIG_MAP` have the `ConfigMap` `aws-auth` only.
    pub access_entries: bool,
}

/// The endpoint access of an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From all addresses.
    Public,
    /// From these addresses, and from its VPC.
    From(Vec<String>),
    /// From its VPC and connected networks.
    Private,
}

/// The AWS identity that arcctl uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: String,
    /// The ARN of the user, or of the role session.
    pub arn: String,
}

impl Caller {
    /// The name of the role, where this is a role session.
    pub fn role(&self) -> Option<&str> {
        let (_, session) = self.arn.split_once(":assumed-role/")?;
        session.split('/').next()
    }

    /// The ARN for an EKS access entry: that of the role, not of its session. It lacks the path of the role, because the ARN
    /// of a session lacks it too.
    pub fn principal(&self) -> String {
        let role = self.role().zip(self.arn.split_once(":sts::"));
        role.map_or_else(
            || self.arn.clone(),
            |(role, (start, _))| format!("{start}:iam::{}:role/{role}", self.account),
        )
    }
}

impl Aws {
    /// The AWS identity that arcctl uses.
    pub async fn caller(&self) -> Result<Caller> {
        let asked = Asked {
            what: "get the AWS caller identity",
            action: "sts:GetCallerIdentity",
            resource: "*",
        };
        let answer = self.sts().get_caller_identity().send().await;
        let answer = answer.map_err(|error| asked.failed(&error).object("AWS credentials"))?;
        Ok(Caller {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
        })
    }

    /// The EKS cluster `name`, if it can be used.
    pub async fn cluster(&self, name: &str) -> Result<EksCluster> {
        let region = self.region().unwrap_or_default();
        let object = format!("cluster/{name}");
        let asked = Asked {
            what: &format!("describe EKS cluster `{name}` in `{region}`"),
            action: "eks:DescribeCluster",
            resource: &object,
        };
        let answer = self.eks().describe_cluster().name(name).send().await;
        let cluster = match answer {
            Ok(answer) => answer.cluster,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(DescribeClusterError::is_resource_not_found_exception) =>
            {
                None
            }
            Err(error) => return Err(asked.failed(&error)),
        };
        let Some(cluster) = cluster else {
            return Err(
                unusable(format!("there is no EKS cluster `{name}` in `{region}`"), &object).hint(format!(
                    "`aws eks list-clusters --region {region}` lists those of this account; correct cluster.eks or cluster.region in the profile, or name another account's profile with AWS_PROFILE"
                )),
            );
        };
        usable(name, region, &cluster)
    }
}

fn unusable(message: String, object: &str) -> Error {
    Error::new(ErrorKind::Failed, System::Aws, message).object(object)
}

#[expect(clippy::too_many_lines, reason = "each answer of EKS")]
fn usable(name: &str, region: &str, cluster: &Cluster) -> Result<EksCluster> {
    let object = format!("cluster/{name}");
    let state = |text: &str| {
        unusable(
            format!("EKS cluster `{name}` in `{region}` {text}"),
            &object,
        )
    };
    match cluster.status() {
        Some(ClusterStatus::Creating | ClusterStatus::Pending) => {
            return Err(state("is still being created").hint(format!(
                "wait for it: `aws eks wait cluster-active --region {region} --name {name}`"
            )));
        }
        Some(ClusterStatus::Failed) => {
            return Err(state("could not be created").hint(format!(
                "`aws eks describe-cluster --region {region} --name {name} --query cluster.health` shows why"
            )));
        }
        Some(ClusterStatus::Deleting) => {
            return Err(state("is being deleted")
                .hint("name another cluster under cluster.eks in the profile"));
        }
        _ => {}
    }
    let authority = cluster.certificate_authority().and_then(|it| it.data());
    let (Some(endpoint), Some(authority)) = (cluster.endpoint(), authority) else {
        return Err(state("has no endpoint yet").hint(format!(
            "wait for it: `aws eks wait cluster-active --region {region} --name {name}`"
        )));
    };
    // arn:PARTITION:eks:REGION:ACCOUNT:cluster/NAME
    let arn: Vec<&str> = cluster.arn().unwrap_or_default().split(':').collect();
    let network = cluster.resources_vpc_config();
    let issuer = cluster.identity().and_then(|it| it.oidc());
    Ok(EksCluster {
        name: name.to_owned(),
        region: region.to_owned(),
        account: arn.get(4).copied().unwrap_or_default().to_owned(),
        partition: match arn.get(1) {
            Some(it) if !it.is_empty() => (*it).to_owned(),
            _ => Partition::of(region).name.to_owned(),
        },
        endpoint: endpoint.to_owned(),
        authority: authority.to_owned(),
        issuer: issuer.and_then(|it| it.issuer()).map(str::to_owned),
        other_groups: network
            .map(|it| it.security_group_ids().to_vec())
            .unwrap_or_default(),
        subnets: network
            .map(|it| it.subnet_ids().to_vec())
            .unwrap_or_default(),
        security_group: network
            .and_then(|it| it.cluster_security_group_id())
            .map(str::to_owned),
        vpc: network.and_then(|it| it.vpc_id()).map(str::to_owned),
        ipv6: cluster
            .kubernetes_network_config()
            .and_then(|it| it.ip_family())
            == Some(&IpFamily::Ipv6),
        reach: network.map_or(Reach::Public, reach),
        auto_mode: cluster
            .compute_config()
            .and_then(ComputeConfigResponse::enabled)
            == Some(true),
        access_entries: cluster
            .access_config()
            .and_then(AccessConfigResponse::authentication_mode)
            != Some(&AuthenticationMode::ConfigMap),
    })
}

fn reach(network: &VpcConfigResponse) -> Reach {
    if !network.endpoint_public_access() {
        return Reach::Private;
    }
    match network.public_access_cidrs() {
        [] => Reach::Public,
        ranges if ranges.iter().any(|it| it == "0.0.0.0/0") => Reach::Public,
        ranges => Reach::From(ranges.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::Certificate;

    use super::*;

    fn caller(arn: &str) -> Caller {
        Caller {
            account: "111122223333".into(),
            arn: arn.into(),
        }
    }

    #[test]
    fn a_cluster_of_the_config_map_alone_has_no_access_entries() {
        for (mode, entries) in [
            (Some(AuthenticationMode::ConfigMap), false),
            (Some(AuthenticationMode::ApiAndConfigMap), true),
            (Some(AuthenticationMode::Api), true),
            (None, true),
        ] {
            let access = AccessConfigResponse::builder().set_authentication_mode(mode);
            let authority = Certificate::builder().data("UEVN").build();
            let cluster = Cluster::builder()
                .endpoint("https://eks.example")
                .certificate_authority(authority)
                .access_config(access.build())
                .build();
            let found = usable("runners", "ap-northeast-2", &cluster).unwrap();
            assert_eq!(found.access_entries, entries);
        }
    }

    #[test]
    fn an_access_entry_is_a_role_s_and_not_its_session_s() {
        for (arn, principal) in [
            (
                "arn:aws:sts::111122223333:assumed-role/ops/me@dogecompany.com",
                "arn:aws:iam::111122223333:role/ops",
            ),
            (
                "arn:aws-cn:sts::111122223333:assumed-role/ops/me",
                "arn:aws-cn:iam::111122223333:role/ops",
            ),
            (
                "arn:aws:iam::111122223333:user/me",
                "arn:aws:iam::111122223333:user/me",
            ),
        ] {
            assert_eq!(caller(arn).principal(), principal);
        }
    }
}
