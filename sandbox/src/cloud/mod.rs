//! Sets up an AWS account with an EKS cluster in moto, so that the cluster and the account are consistent.
//!
//! The nodes' security groups are as in terraform's EKS module: the nodes have a group of their own, which allows the
//! cluster's group on 443 and 10250 only (reference: arc.md 1.5).

mod api;
pub mod associations;
mod clients;
pub use self::api::Api;
pub(crate) use self::api::{authorization, text};
pub mod cluster;
pub mod rules;
pub mod vpc_cni;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::kubelet::NodeSpec;
use crate::moto::REGION;

/// The name of the EKS cluster, as in the reference profile.
pub const CLUSTER: &str = "runners";

/// moto's account.
pub const ACCOUNT: &str = "123456789012";

/// The identity of the sandbox's environment: an administrator of account and cluster.
pub const ADMINISTRATOR: &str = "arn:aws:iam::123456789012:user/sandbox";

/// A bucket that the runners of a profile may use.
pub const BUCKET: &str = "runners-artifacts";

/// The made-up account.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// What [`ADMINISTRATOR`] signs with.
    pub key: AccessKey,
    /// The VPC of the cluster.
    pub vpc: String,
    /// Its subnets, one per zone.
    pub subnets: Vec<String>,
    /// The security group that EKS makes with a cluster.
    pub cluster_group: String,
    /// The security group of the nodes.
    pub node_group: String,
    /// The security group of a GitHub Enterprise Server in the same VPC; nothing may reach it yet.
    pub server_group: String,
}

/// An access key of a user.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl Cloud {
    /// Makes everything in the moto at `url`, and gives each of `nodes` the instance it runs on.
    pub async fn make(url: &str, nodes: &mut [NodeSpec]) -> Result<Self> {
        let api = Api::new(url)?;
        let key = user(&api, "sandbox").await?;
        let vpc = api
            .ec2("CreateVpc", &[("CidrBlock", "10.0.0.0/16")])
            .await?;
        let vpc = api::text(&vpc, "vpcId")?;
        let mut subnets = Vec::new();
        for (zone, range) in [("a", "10.0.1.0/24"), ("c", "10.0.2.0/24")] {
            let zone = format!("{REGION}{zone}");
            let arguments = [
                ("VpcId", vpc.as_str()),
                ("CidrBlock", range),
                ("AvailabilityZone", &zone),
            ];
            let made = api.ec2("CreateSubnet", &arguments).await?;
            subnets.push(api::text(&made, "subnetId")?);
        }
        let cluster_group = group(&api, &vpc, "eks-cluster-sg-runners", "cluster").await?;
        let node_group = group(&api, &vpc, "runners-node", "nodes").await?;
        let server_group = group(&api, &vpc, "github-server", "GitHub server").await?;
        allow_all(&api, &cluster_group, &cluster_group).await?;
        for port in ["443", "10250"] {
            allow(&api, &node_group, &cluster_group, port).await?;
        }
        allow_all(&api, &node_group, &node_group).await?;
        instances(&api, nodes, &subnets, &node_group).await?;
        api.bucket(BUCKET).await?;
        let body = json!({
            "name": CLUSTER, "version": "1.36",
            "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/runners-cluster"),
            "resourcesVpcConfig": {"subnetIds": subnets},
        });
        api.eks("/clusters", &body).await?;
        Ok(Self {
            key,
            vpc,
            subnets,
            cluster_group,
            node_group,
            server_group,
        })
    }
}

/// Makes a user with an access key.
async fn user(api: &Api, name: &str) -> Result<AccessKey> {
    api.iam("CreateUser", &[("UserName", name)]).await?;
    let made = api.iam("CreateAccessKey", &[("UserName", name)]).await?;
    Ok(AccessKey {
        id: api::text(&made, "AccessKeyId")?,
        secret: api::text(&made, "SecretAccessKey")?,
    })
}

async fn group(api: &Api, vpc: &str, name: &str, whose: &str) -> Result<String> {
    let description = format!("group of the {whose}");
    let arguments = [
        ("VpcId", vpc),
        ("GroupName", name),
        ("GroupDescription", &description),
    ];
    let made = api.ec2("CreateSecurityGroup", &arguments).await?;
    api::text(&made, "groupId")
}

async fn allow(api: &Api, to: &str, from: &str, port: &str) -> Result<()> {
    let arguments = [
        ("GroupId", to),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", port),
        ("IpPermissions.1.ToPort", port),
        ("IpPermissions.1.Groups.1.GroupId", from),
    ];
    api.ec2("AuthorizeSecurityGroupIngress", &arguments)
        .await
        .map(|_| ())
}

async fn allow_all(api: &Api, to: &str, from: &str) -> Result<()> {
    let arguments = [
        ("GroupId", to),
        ("IpPermissions.1.IpProtocol", "-1"),
        ("IpPermissions.1.Groups.1.GroupId", from),
    ];
    api.ec2("AuthorizeSecurityGroupIngress", &arguments)
        .await
        .map(|_| ())
}

/// Starts an instance for each node, in the subnet of its zone.
async fn instances(
    api: &Api,
    nodes: &mut [NodeSpec],
    subnets: &[String],
    group: &str,
) -> Result<()> {
    for (subnet, zone) in subnets.iter().zip(["a", "c"]) {
        let zone = format!("{REGION}{zone}");
        let here: Vec<&mut NodeSpec> = nodes.iter_mut().filter(|it| it.zone == zone).collect();
        let Some(kind) = here.first().map(|it| it.instance_type.clone()) else {
            continue;
        };
        let count = here.len().to_string();
        let arguments = [
            ("ImageId", "ami-0123456789abcdef0"),
            ("MinCount", &count),
            ("MaxCount", &count),
            ("InstanceType", &kind),
            ("SubnetId", subnet),
            ("SecurityGroupId.1", group),
        ];
        let answer = api.ec2("RunInstances", &arguments).await?;
        let mut ids = api::texts(&answer, "instanceId");
        for node in here {
            node.instance_id = ids.next().context("moto started too few instances")?;
        }
    }
    Ok(())
}
