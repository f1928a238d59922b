//! Reads the facts of the cluster at AWS that its resources depend on: OIDC issuer, networks, runner role.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::error::ProvideErrorMetadata;

use super::eks_facts;
use crate::{
    clients::{
        aws::{Aws, cluster::EksCluster, error::Asked, network::Interface},
        kube::{Kube, Selection, Target},
    },
    desired::aws::{
        AwsFacts, NodeNetwork, account, at_another_path,
        pod_identity_agent::{self, Lack},
        role_arn, role_name, without_scheme,
    },
    doctor::snapshot::TrustPolicy,
    error::{Error, ErrorKind, Result, System},
    policy::{self, Document, TRUST_POLICY_QUOTA},
    profile::{Profile, RoleVia, RunnerRole},
    resource::aws::{
        NO_SUCH_ENTITY,
        custom_networking::{self, PodNetwork},
        iam,
    },
};

/// The facts, and the warnings.
pub(super) struct Found {
    /// The cluster.
    pub(super) facts: AwsFacts,
    /// The ARN of the runners' role: the existing one, or the one that will be created.
    pub(super) role_arn: Option<String>,
    /// The warnings.
    pub(super) advice: Vec<String>,
    /// What is wrong with the Pod Identity agent, if the role needs it.
    pub(super) role_agent: Option<String>,
    /// The current trust policy of the role.
    pub(super) trust_policy: Option<TrustPolicy>,
}

/// Reads the facts of the profile's cluster. Each call to AWS takes a tenth of a second, so they are made beside each other.
pub(super) async fn read(
    aws: &Aws,
    eks: &EksCluster,
    kube: &Kube,
    profile: &Profile,
) -> Result<Found> {
    let role = async {
        let Some((via, wanted)) = profile.runner_role() else {
            return Ok((None, None));
        };
        let agent = async {
            match via {
                RoleVia::PodIdentity => agent(kube, eks).await,
                RoleVia::Irsa => None,
            }
        };
        let (role, agent) = tokio::join!(role(aws, (via, wanted), eks, profile), agent);
        Ok::<_, Error>((Some(role?), agent))
    };
    let (networks, role) =
        tokio::join!(Box::pin(networks(aws, eks, kube, profile)), Box::pin(role));
    let ((facts, mut advice), (role, role_agent)) = (networks?, role?);
    let (mut role_arn, mut trust_policy) = (None, None);
    if let Some((found, said, policy)) = role {
        (role_arn, trust_policy) = (Some(found), policy);
        advice.extend(said);
    }
    Ok(Found {
        facts,
        role_arn,
        advice,
        role_agent,
        trust_policy,
    })
}

/// The networks of the cluster, and the warnings about them.
async fn networks(
    aws: &Aws,
    eks: &EksCluster,
    kube: &Kube,
    profile: &Profile,
) -> Result<(AwsFacts, Vec<String>)> {
    let (interfaces, pod_networks) = tokio::join!(
        async { aws.interfaces(&instances(kube).await?).await },
        custom_networking::pod_networks(kube)
    );
    let mut interfaces = interfaces?;
    let has_nodes = !interfaces.is_empty();
    let (pods, unknown) = Box::pin(pod_interfaces(aws, pod_networks, &interfaces)).await;
    interfaces.extend(pods);
    let ids = interfaces.iter().filter_map(|it| it.subnet.clone());
    let ids = ids.chain(eks.subnets.clone()).collect();
    let (subnets, groups) = tokio::join!(
        aws.subnets(ids),
        Box::pin(groups(aws, eks, profile, &interfaces))
    );
    let (subnets, (tagged_groups, mut advice)) = (subnets?, groups);
    advice.extend(unknown);
    // Pods of an IPv6 cluster have IPv6 addresses, and reach IPv4 addresses through the node's IPv4 address.
    let networks = |id: &String| -> Vec<String> {
        let Some(subnet) = subnets.get(id) else {
            return Vec::new();
        };
        let v6 = subnet.v6.iter().filter(|_| eks.ipv6);
        subnet.v4.iter().chain(v6).cloned().collect()
    };
    // Pods of an IPv6 cluster have IPv6 addresses.
    let of_pods = interfaces.iter().filter(|_| !eks.ipv6);
    let free = of_pods.filter_map(|it| it.subnet.as_ref()).map(|id| {
        let free = subnets.get(id).and_then(|it| it.free);
        (id.clone(), free)
    });
    let facts = AwsFacts {
        control_plane_groups: control_plane_groups(eks).cloned().collect(),
        control_plane_subnets: eks.subnets.iter().flat_map(networks).collect(),
        nodes: node_networks(&interfaces, networks),
        tagged_groups,
        ipv6: eks.ipv6,
        free_addresses: free.collect(),
    };
    if !has_nodes {
        advice.push("the cluster has no node with an EC2 instance: which security groups its nodes have is not known, so no rule is made for them; run `arcctl up` again once there are nodes".to_owned());
    }
    Ok((facts, advice))
}

fn control_plane_groups(eks: &EksCluster) -> impl Iterator<Item = &String> {
    eks.security_group.iter().chain(&eks.other_groups)
}

/// Those of the nodes' groups that are tagged as the cluster's, where a node has several; and advice on the group of the GitHub
/// server. They are read only where something depends on them.
async fn groups(
    aws: &Aws,
    eks: &EksCluster,
    profile: &Profile,
    interfaces: &[Interface],
) -> (BTreeSet<String>, Vec<String>) {
    let server = profile
        .aws
        .as_ref()
        .and_then(|it| it.github_server.as_ref());
    let server = server.and_then(|it| it.security_group.as_ref());
    let control: BTreeSet<&String> = control_plane_groups(eks).collect();
    let own = interfaces.iter().map(|it| {
        let own = it.groups.iter().filter(|group| !control.contains(group));
        own.collect::<Vec<&String>>()
    });
    let several: Vec<&String> = own.filter(|it| it.len() > 1).flatten().collect();
    let wanted: BTreeSet<String> = several.into_iter().chain(server).cloned().collect();
    if wanted.is_empty() {
        return (BTreeSet::new(), Vec::new());
    }
    match aws.security_groups(wanted).await {
        Ok(found) => {
            let vpc = server.and_then(|it| found.get(it)?.vpc.as_deref().zip(Some(it)));
            let advice = vpc.and_then(|(vpc, group)| in_another_vpc(group, vpc, eks));
            let tag = format!("kubernetes.io/cluster/{}", eks.name);
            let tagged = found.into_iter().filter(|(_, it)| it.tags.contains(&tag));
            let tagged = tagged.map(|(id, _)| id).collect();
            (tagged, advice.into_iter().collect())
        }
        Err(error) => {
            let unknown = format!(
                "in which VPC the security groups of `aws.githubServer` and of the nodes are, and how they are tagged, could not be found out: {}",
                error.document().message
            );
            (BTreeSet::new(), vec![unknown])
        }
    }
}

/// EC2 adds a rule that names a group of another VPC only if the two are joined.
fn in_another_vpc(group: &str, vpc: &str, eks: &EksCluster) -> Option<String> {
    let own = eks.vpc.as_deref().filter(|it| *it != vpc)?;
    Some(format!(
        "the security group `{group}` (aws.githubServer.securityGroup) is in the VPC `{vpc}`, and the cluster in `{own}`: EC2 refuses a rule between groups of two VPCs unless a VPC peering connection joins them; without one write the server's address as aws.githubServer.cidr, and let its owner add the inbound rule"
    ))
}

/// The EC2 instances of the cluster's nodes: from managed node groups, self-managed ones and Karpenter. A node that is not
/// an EC2 instance (Fargate) has no security group to change.
async fn instances(kube: &Kube) -> Result<Vec<String>> {
    let nodes = kube.list(&Selection::all("v1", "Node")).await?;
    Ok(nodes
        .iter()
        .filter_map(|it| it["spec"]["providerID"].as_str())
        .filter_map(|it| it.strip_prefix("aws://")?.rsplit('/').next())
        .filter(|it| it.starts_with("i-"))
        .map(str::to_owned)
        .collect())
}

/// The network interfaces that pods get by custom networking, also on nodes that are not there yet; and advice on what is not
/// known of them. A security group that no node has is looked up: EC2 refuses a rule for one that does not exist.
async fn pod_interfaces(
    aws: &Aws,
    networks: Result<Vec<PodNetwork>>,
    nodes: &[Interface],
) -> (Vec<Interface>, Vec<String>) {
    let unknown = |error: &Error| {
        let said = error.document().message;
        format!(
            "which security groups pods have by custom networking of the VPC CNI could not be found out, so rules are made for the network interfaces of the nodes alone: {said}"
        )
    };
    let mut networks = match networks {
        Ok(networks) => networks,
        Err(error) => return (Vec::new(), vec![unknown(&error)]),
    };
    let seen: BTreeSet<&String> = nodes.iter().flat_map(|it| &it.groups).collect();
    let all = networks.iter().flat_map(|it| &it.interface.groups);
    let unseen: BTreeSet<String> = all.filter(|it| !seen.contains(it)).cloned().collect();
    let mut advice = Vec::new();
    if !unseen.is_empty() {
        let found = match aws.security_groups(unseen.clone()).await {
            Ok(found) => found,
            Err(error) => return (Vec::new(), vec![unknown(&error)]),
        };
        networks.retain(|network| {
            let groups = &network.interface.groups;
            let absent = groups
                .iter()
                .find(|it| unseen.contains(*it) && !found.contains_key(*it));
            advice.extend(absent.map(|it| {
                format!(
                    "ENIConfig `{}` names the security group `{it}`, which does not exist: pods get no network interface by it; correct it with `kubectl edit eniconfig {}`",
                    network.name, network.name
                )
            }));
            absent.is_none()
        });
    }
    (custom_networking::interfaces(&networks, nodes), advice)
}

/// The networks of the nodes and their pods, grouped by their security groups.
fn node_networks(
    interfaces: &[Interface],
    networks: impl Fn(&String) -> Vec<String>,
) -> Vec<NodeNetwork> {
    let mut found: BTreeMap<&BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
    for interface in interfaces.iter().filter(|it| !it.groups.is_empty()) {
        let subnets = found.entry(&interface.groups).or_default();
        subnets.extend(interface.subnet.iter().flat_map(&networks));
    }
    found
        .into_iter()
        .map(|(groups, subnets)| NodeNetwork {
            groups: groups.iter().cloned().collect(),
            subnets: subnets.into_iter().collect(),
        })
        .collect()
}

/// What is wrong with the Pod Identity agent.
async fn agent(kube: &Kube, eks: &EksCluster) -> Option<String> {
    match agent_lack(kube, eks).await {
        Ok(lack) => lack.map(|it| format!("{}; {}", it.found, it.fix)),
        Err(error) => Some(format!(
            "whether the agent of Pod Identity runs is not known: {error}"
        )),
    }
}

async fn agent_lack(kube: &Kube, eks: &EksCluster) -> Result<Option<Lack>> {
    let auto_mode = eks.auto_mode;
    if auto_mode {
        let nodes = kube.list(&Selection::all("v1", "Node")).await?;
        if !pod_identity_agent::is_needed(auto_mode, &nodes) {
            return Ok(None);
        }
    }
    let name = pod_identity_agent::NAME;
    let target = Target::namespaced("apps/v1", "DaemonSet", "kube-system", name);
    let found = kube.get(&target).await?;
    Ok(pod_identity_agent::lack(found.as_ref(), &eks.name))
}

/// The ARN of the runners' role, the warnings about its trust policy, and the policy.
async fn role(
    aws: &Aws,
    (via, runner): (RoleVia, &RunnerRole),
    eks: &EksCluster,
    profile: &Profile,
) -> Result<(String, Vec<String>, Option<TrustPolicy>)> {
    let name = role_name(runner);
    let own = &eks.account;
    let issuer = eks.issuer.as_deref().map(without_scheme);
    if via == RoleVia::Irsa && issuer.is_none() {
        return Err(Error::failed(
            System::Aws,
            format!("EKS cluster `{}` has no OIDC issuer", eks.name),
        )
        .object(format!("cluster/{}", eks.name))
        .hint(format!("look at it with `aws eks describe-cluster --region {} --name {}`; without one there is no role for a service account", eks.region, eks.name)));
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
    // An unreadable policy is an error where it is compared.
    let document = Document::parse(text).ok();
    let trust_policy = match &document {
        Some(document) => Some(Box::pin(measured(aws, name, document.size())).await),
        None => None,
    };
    let advice = document
        .zip(issuer)
        .map(|(document, issuer)| policy::advice(&document, &sid, &issuer))
        .unwrap_or_default();
    let advice = advice
        .into_iter()
        .map(|it| format!("in the trust policy of the IAM role `{name}`, {it}"));
    let elsewhere = at_another_path(runner, via, live.path());
    Ok((
        live.arn().to_owned(),
        elsewhere.into_iter().chain(advice).collect(),
        trust_policy,
    ))
}

/// The trust policy of `role`, of `size` characters. The account is asked for its quota only where it must have raised it.
async fn measured(aws: &Aws, role: &str, size: usize) -> TrustPolicy {
    let policy = iam::trust_policy::TrustPolicy {
        iam: aws.iam(),
        role,
        sid: "",
    };
    let quota = if size > TRUST_POLICY_QUOTA {
        policy.quota().await.ok()
    } else {
        Some(TRUST_POLICY_QUOTA)
    };
    TrustPolicy {
        role: role.to_owned(),
        size,
        quota,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::aws::cluster::Reach;

    #[test]
    fn a_group_of_another_vpc_is_named() {
        let eks = |vpc: Option<&str>| EksCluster {
            name: "build".into(),
            region: "eu-west-1".into(),
            account: "111122223333".into(),
            partition: "aws".into(),
            endpoint: "https://eks.example".into(),
            authority: String::new(),
            issuer: None,
            security_group: None,
            other_groups: Vec::new(),
            subnets: Vec::new(),
            vpc: vpc.map(str::to_owned),
            ipv6: false,
            reach: Reach::Public,
            auto_mode: false,
            access_entries: true,
        };
        let told = in_another_vpc("sg-1", "vpc-b", &eks(Some("vpc-a"))).unwrap();
        for part in ["`sg-1`", "`vpc-a`", "`vpc-b`", "aws.githubServer.cidr"] {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(in_another_vpc("sg-1", "vpc-a", &eks(Some("vpc-a"))), None);
        assert_eq!(in_another_vpc("sg-1", "vpc-b", &eks(None)), None);
    }
}
