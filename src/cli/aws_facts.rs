//! What must be known of the cluster at AWS before its resources are made: the issuer, the networks, the role.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Filter, Instance};
use aws_sdk_iam::error::ProvideErrorMetadata;

use super::session::eks_facts;
use crate::{
    clients::{
        aws::{Aws, cluster::EksCluster, failure::Asked},
        kube::{Kube, Selection, Target},
    },
    desired::{
        aws::{AwsFacts, NodeNetwork, account, role_arn, role_name, without_scheme},
        pod_identity_agent,
    },
    doctor::world::TrustPolicy,
    error::{Error, ErrorKind, Result, System},
    policy::{self, Document},
    profile::{Profile, RoleVia, RunnerRole},
    resource::aws::NO_SUCH_ENTITY,
};

/// How many instances are asked for at once.
const INSTANCES: usize = 100;

/// What is known, and what is unwise.
pub(super) struct Found {
    /// The cluster.
    pub(super) facts: AwsFacts,
    /// The ARN of the runners' role: the one it has, or the one it will have.
    pub(super) role_arn: Option<String>,
    /// What somebody should look at.
    pub(super) advice: Vec<String>,
    /// What is wrong with the agent of Pod Identity, where the role needs it.
    pub(super) role_agent: Option<String>,
    /// The trust policy that the role has.
    pub(super) trust_policy: Option<TrustPolicy>,
}

/// Reads the facts of the profile's cluster.
pub(super) async fn read(
    aws: &Aws,
    eks: &EksCluster,
    kube: &Kube,
    profile: &Profile,
) -> Result<Found> {
    let nodes = instances(aws, kube).await?;
    let ids = nodes.iter().filter_map(|it| it.subnet_id.clone());
    let cidrs = cidrs(aws, ids.chain(eks.subnets.clone()).collect()).await?;
    let groups = eks.security_group.iter().chain(&eks.other_groups);
    let facts = AwsFacts {
        control_plane_groups: groups.cloned().collect(),
        control_plane_subnets: eks
            .subnets
            .iter()
            .filter_map(|it| cidrs.get(it).cloned())
            .collect(),
        nodes: networks(&nodes, &cidrs),
    };
    let mut advice = Vec::new();
    if facts.nodes.is_empty() {
        advice.push("the cluster has no node with an EC2 instance: which security groups its nodes have is not known, so no rule is made; run `arcctl up` again once there are nodes".to_owned());
    }
    let (mut arn, mut trust_policy, mut role_agent) = (None, None, None);
    if let Some((via, wanted)) = profile.runner_role() {
        let (found, said, size) = role(aws, (via, wanted), eks, profile).await?;
        arn = Some(found);
        advice.extend(said);
        trust_policy = size.map(|size| TrustPolicy {
            role: role_name(wanted).to_owned(),
            size,
        });
        if via == RoleVia::PodIdentity && !eks.auto_mode {
            role_agent = agent(kube, &eks.name).await;
        }
    }
    Ok(Found {
        facts,
        role_arn: arn,
        advice,
        role_agent,
        trust_policy,
    })
}

/// The instances behind the cluster's nodes: those of managed groups, of self-managed ones and of Karpenter alike. What
/// is no instance of EC2 (Fargate) has no security group of its own to change.
async fn instances(aws: &Aws, kube: &Kube) -> Result<Vec<Instance>> {
    let nodes = kube.list(&Selection::all("v1", "Node")).await?;
    let ids: Vec<String> = nodes
        .iter()
        .filter_map(|it| it["spec"]["providerID"].as_str())
        .filter_map(|it| it.strip_prefix("aws://")?.rsplit('/').next())
        .filter(|it| it.starts_with("i-"))
        .map(str::to_owned)
        .collect();
    let mut found = Vec::new();
    for ids in ids.chunks(INSTANCES) {
        // A filter and not the ids themselves: a node whose instance is just gone must not fail the rest.
        let filter = Filter::builder()
            .name("instance-id")
            .set_values(Some(ids.to_vec()))
            .build();
        let pages: Vec<_> = aws
            .ec2()
            .describe_instances()
            .filters(filter)
            .into_paginator()
            .items()
            .send()
            .try_collect()
            .await
            .map_err(|error| {
                Asked {
                    what: "read the EC2 instances of the cluster's nodes",
                    action: "ec2:DescribeInstances",
                    resource: "*",
                }
                .failed(&error)
            })?;
        found.extend(
            pages
                .into_iter()
                .flat_map(|it| it.instances.unwrap_or_default()),
        );
    }
    Ok(found)
}

/// The CIDRs of subnets.
async fn cidrs(aws: &Aws, ids: BTreeSet<String>) -> Result<BTreeMap<String, String>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let filter = Filter::builder()
        .name("subnet-id")
        .set_values(Some(ids.into_iter().collect()))
        .build();
    let subnets: Vec<_> = aws
        .ec2()
        .describe_subnets()
        .filters(filter)
        .into_paginator()
        .items()
        .send()
        .try_collect()
        .await
        .map_err(|error| {
            Asked {
                what: "read the subnets of the cluster",
                action: "ec2:DescribeSubnets",
                resource: "*",
            }
            .failed(&error)
        })?;
    Ok(subnets
        .into_iter()
        .filter_map(|it| Some((it.subnet_id?, it.cidr_block?)))
        .collect())
}

/// The nodes by their security groups.
fn networks(nodes: &[Instance], cidrs: &BTreeMap<String, String>) -> Vec<NodeNetwork> {
    let mut found: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
    for node in nodes {
        let groups = node.security_groups().iter();
        let groups: BTreeSet<String> = groups.filter_map(|it| it.group_id.clone()).collect();
        let subnets = found.entry(groups).or_default();
        subnets.extend(node.subnet_id().and_then(|it| cidrs.get(it).cloned()));
    }
    found
        .into_iter()
        .filter(|(groups, _)| !groups.is_empty())
        .map(|(groups, subnets)| NodeNetwork {
            groups: groups.into_iter().collect(),
            subnets: subnets.into_iter().collect(),
        })
        .collect()
}

/// What is wrong with the agent of Pod Identity.
async fn agent(kube: &Kube, cluster: &str) -> Option<String> {
    let name = pod_identity_agent::NAME;
    let target = Target::namespaced("apps/v1", "DaemonSet", "kube-system", name);
    match kube.get(&target).await {
        Ok(found) => pod_identity_agent::lack(found.as_ref(), cluster)
            .map(|it| format!("{}; {}", it.found, it.fix)),
        Err(error) => Some(format!(
            "whether the agent of Pod Identity runs is not known: {error}"
        )),
    }
}

/// The ARN of the runners' role, what is unwise in its trust policy, and how long that is.
async fn role(
    aws: &Aws,
    (via, runner): (RoleVia, &RunnerRole),
    eks: &EksCluster,
    profile: &Profile,
) -> Result<(String, Vec<String>, Option<usize>)> {
    let name = role_name(runner);
    let own = &eks.account;
    let issuer = eks.issuer.as_deref().map(without_scheme);
    if via == RoleVia::Irsa && issuer.is_none() {
        return Err(Error::failed(
            System::Aws,
            format!("EKS cluster `{}` has no OIDC issuer", eks.name),
        )
        .object(format!("cluster/{}", eks.name))
        .hint("look at it with `aws eks describe-cluster`; without one there is no role for a service account"));
    }
    let wanted = role_arn(runner, &eks.partition, own);
    if account(&wanted) != own {
        return Err(Error::new(
            ErrorKind::Refused,
            System::Aws,
            format!("the IAM role `{wanted}` is not in the cluster's account {own}"),
        )
        .object(&wanted)
        .hint(format!("another account's role is its owner's to change: `arcctl render` writes the statement for its trust policy; give the runners a role of this account: aws.{}.role", via.key())));
    }
    let live = match aws.iam().get_role().role_name(name).send().await {
        Ok(output) => output.role,
        Err(error) if error.code() == Some(NO_SUCH_ENTITY) => None,
        Err(error) => {
            return Err(Asked {
                what: &format!("read the IAM role `{name}`"),
                action: "iam:GetRole",
                resource: &wanted,
            }
            .failed(&error));
        }
    };
    let Some(live) = live else {
        return Ok((wanted, Vec::new(), None));
    };
    let sid = policy::own_sid(&eks_facts(eks).arn(), &profile.name);
    let text = live.assume_role_policy_document().unwrap_or_default();
    // What cannot be read is an error where it is compared.
    let document = Document::parse(text).ok();
    let size = document.as_ref().map(Document::size);
    let advice = document
        .zip(issuer)
        .map(|(document, issuer)| policy::advice(&document, &sid, &issuer))
        .unwrap_or_default();
    let advice = advice
        .into_iter()
        .map(|it| format!("in the trust policy of the IAM role `{name}`, {it}"));
    Ok((live.arn().to_owned(), advice.collect(), size))
}
