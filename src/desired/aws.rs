//! What the runners need at AWS: OIDC provider, role, bucket policies, security group rules. Pure: no I/O.

use serde_json::Value;

use super::{
    Desired, Facts, Phase, named, names,
    placeholder::{self, Placeholder},
};
use crate::{
    policy::{self, BucketGrant, Trust},
    profile::{Aws, Bucket, GithubServer, Irsa, Profile},
    resource::{
        Id, Resource,
        aws::{
            AwsResource, BucketPolicy, Direction, IamRole, OidcProvider, Peer, RolePolicy,
            SecurityGroupRule,
        },
    },
};

/// What the rules are for by which nodes reach the GitHub server.
pub const TO_SERVER: &str = "the runners reach the GitHub server";
/// What the rule is for by which the API server reaches the webhooks.
pub const TO_WEBHOOKS: &str = "the API server reaches the controller's webhooks";

/// The port of GitHub.
const HTTPS: u16 = 443;

/// The networks of the cluster, its control plane's and its nodes'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsFacts {
    /// The security groups of its control plane; the cluster's own group first.
    pub control_plane_groups: Vec<String>,
    /// The CIDRs of the subnets that its control plane is in.
    pub control_plane_subnets: Vec<String>,
    /// The networks of its nodes, one for each set of security groups.
    pub nodes: Vec<NodeNetwork>,
}

/// Nodes with the same security groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeNetwork {
    /// Their security groups, sorted.
    pub groups: Vec<String>,
    /// The CIDRs of the subnets they are in.
    pub subnets: Vec<String>,
}

/// The facts, or the placeholders of those that are not known.
struct Known {
    account: String,
    partition: String,
    issuer: String,
    sid: String,
    control_plane_groups: Vec<String>,
    control_plane_subnets: Vec<String>,
    nodes: Vec<NodeNetwork>,
}

impl Known {
    fn new(profile: &Profile, facts: &Facts) -> Self {
        let text = |placeholder: Placeholder| placeholder.text();
        let (Some(eks), Some(networks)) = (&facts.eks, &facts.aws) else {
            let region = profile.cluster.region.as_deref().unwrap_or_default();
            return Self {
                account: text(placeholder::AWS_ACCOUNT),
                partition: partition(region).to_owned(),
                issuer: text(placeholder::OIDC_ISSUER),
                sid: text(placeholder::STATEMENT_ID),
                control_plane_groups: vec![text(placeholder::CLUSTER_SECURITY_GROUP)],
                control_plane_subnets: Vec::new(),
                nodes: vec![NodeNetwork {
                    groups: vec![text(placeholder::NODE_SECURITY_GROUP)],
                    subnets: Vec::new(),
                }],
            };
        };
        Self {
            account: eks.account.clone(),
            partition: eks.partition.clone(),
            issuer: eks
                .issuer
                .as_deref()
                .map_or_else(|| text(placeholder::OIDC_ISSUER), without_scheme),
            sid: policy::own_sid(&eks.arn(), &profile.name),
            control_plane_groups: networks.control_plane_groups.clone(),
            control_plane_subnets: networks.control_plane_subnets.clone(),
            nodes: networks.nodes.clone(),
        }
    }

    /// The group of a node that a rule is made in: its own where it has one, else the cluster's.
    fn own_group<'a>(&self, network: &'a NodeNetwork) -> Option<&'a String> {
        let own = |it: &&String| !self.control_plane_groups.contains(it);
        network.groups.iter().find(own).or(network.groups.first())
    }
}

/// An issuer as IAM names it.
pub fn without_scheme(issuer: &str) -> String {
    issuer.trim_start_matches("https://").to_owned()
}

/// The partition of a region.
fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The account in an ARN.
pub fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The name of the role: given as such, or the last part of its ARN.
pub fn role_name(irsa: &Irsa) -> &str {
    match irsa.role.strip_prefix("arn:") {
        Some(arn) => arn.rsplit('/').next().unwrap_or_default(),
        None => &irsa.role,
    }
}

/// The ARN of the role that is made from `irsa`.
pub fn role_arn(irsa: &Irsa, partition: &str, account: &str) -> String {
    if irsa.role.starts_with("arn:") {
        return irsa.role.clone();
    }
    let path = irsa.path.as_deref().unwrap_or("/");
    format!("arn:{partition}:iam::{account}:role{path}{}", irsa.role)
}

/// Everything at AWS, in the phase *wiring*.
pub(super) fn resources(profile: &Profile, facts: &Facts) -> Vec<Desired> {
    let Some(aws) = &profile.aws else {
        return Vec::new();
    };
    let known = Known::new(profile, facts);
    let mut result = Vec::new();
    if let Some(irsa) = &aws.irsa {
        result.extend(irsa_resources(profile, irsa, &known, facts));
    }
    result.extend(rules(profile, aws, &known).into_iter().map(rule));
    result
}

/// A rule under its id.
pub fn rule(rule: SecurityGroupRule) -> Desired {
    let (direction, port, peer) = (rule.direction, rule.port, rule.peer.name());
    let name = format!("{}-{port}-{direction}-{peer}", direction.word());
    let id = Id::new("security-group-rule", Some(&rule.group), &name);
    resource(id, AwsResource::Rule(rule))
}

/// Whether `profile` asks for the connection of `rule`, whatever nodes the cluster has at the moment: one that has none
/// will have some again.
pub fn is_for(profile: &Profile, rule: &SecurityGroupRule) -> bool {
    let Some(aws) = &profile.aws else {
        return false;
    };
    let server = aws.github_server.as_ref();
    let group = server.and_then(|it| it.security_group.as_deref());
    let cidr = server.and_then(|it| it.cidr.as_deref());
    match rule.direction {
        Direction::Ingress if group == Some(rule.group.as_str()) => rule.port == HTTPS,
        Direction::Ingress => rule.port == profile.controller.webhook_port,
        Direction::Egress => rule.port == HTTPS && [group, cidr].contains(&Some(rule.peer.name())),
    }
}

fn resource(id: Id, resource: AwsResource) -> Desired {
    named(Phase::Wiring, id, Resource::Aws(resource))
}

/// The statement that lets the runners take on the role.
fn trust(irsa: &Irsa, known: &Known) -> Value {
    policy::trust_statement(Trust {
        sid: &known.sid,
        partition: &known.partition,
        account: &known.account,
        issuer: &known.issuer,
        subject: &format!(
            "system:serviceaccount:{}:{}",
            names::RUNNER_NAMESPACE,
            irsa.service_account
        ),
    })
}

fn irsa_resources(profile: &Profile, irsa: &Irsa, known: &Known, facts: &Facts) -> Vec<Desired> {
    let provider = OidcProvider {
        arn: format!(
            "arn:{}:iam::{}:oidc-provider/{}",
            known.partition, known.account, known.issuer
        ),
        issuer: known.issuer.clone(),
        sid: known.sid.clone(),
        profile: profile.name.clone(),
    };
    let id = Id::new("oidc-provider", None, &known.issuer);
    let provider = resource(id, AwsResource::Provider(provider));
    let name = role_name(irsa);
    let role = IamRole {
        name: name.to_owned(),
        create: !irsa.role.starts_with("arn:"),
        path: irsa.path.clone(),
        permissions_boundary: irsa.permissions_boundary.clone(),
        sid: known.sid.clone(),
        trust: trust(irsa, known),
        managed_policies: irsa.managed_policies.clone(),
        profile: profile.name.clone(),
    };
    let role = resource(Id::new("iam-role", None, name), AwsResource::Role(role)).after(&provider);
    let policy = RolePolicy {
        role: name.to_owned(),
        name: known.sid.clone(),
        sid: known.sid.clone(),
        statements: policy::role_policy(&known.sid, &known.partition, &irsa.buckets),
    };
    let id = Id::new("iam-role-policy", Some(name), &policy.name);
    let policy = resource(id, AwsResource::RolePolicy(policy)).after(&role);
    let buckets = irsa.buckets.iter().filter(|it| it.apply);
    let buckets: Vec<Desired> = buckets
        .map(|bucket| {
            let policy = BucketPolicy {
                bucket: bucket.name.clone(),
                account: known.account.clone(),
                sid: known.sid.clone(),
                statements: bucket_statements(irsa, bucket, known, facts),
            };
            let id = Id::new("bucket-policy", None, &bucket.name);
            resource(id, AwsResource::BucketPolicy(policy)).after(&role)
        })
        .collect();
    let mut result = vec![provider, role, policy];
    result.extend(buckets);
    result
}

fn bucket_statements(irsa: &Irsa, bucket: &Bucket, known: &Known, facts: &Facts) -> Vec<Value> {
    let grant = BucketGrant {
        sid: &known.sid,
        partition: &known.partition,
        bucket,
    };
    let role = match &facts.runner_role_arn {
        Some(arn) => arn.clone(),
        None => role_arn(irsa, &known.partition, &known.account),
    };
    policy::bucket_policy(grant, &role)
}

/// The policy documents that somebody else puts in place, or that are worth reading, as files: those of other accounts'
/// buckets for their owners, and the role's trust policy. Paths and documents.
pub(super) fn documents(profile: &Profile, facts: &Facts) -> Vec<(String, Value)> {
    let Some(irsa) = profile.aws.as_ref().and_then(|aws| aws.irsa.as_ref()) else {
        return Vec::new();
    };
    let known = Known::new(profile, facts);
    let document = |statements: Vec<Value>| serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    let mut result = vec![(
        format!("aws/trust-policy.{}.json", role_name(irsa)),
        document(vec![trust(irsa, &known)]),
    )];
    if !irsa.buckets.is_empty() {
        result.push((
            format!("aws/role-policy.{}.json", role_name(irsa)),
            document(policy::role_policy(
                &known.sid,
                &known.partition,
                &irsa.buckets,
            )),
        ));
    }
    let buckets = irsa.buckets.iter().map(|bucket| {
        (
            format!("aws/bucket-policy.{}.json", bucket.name),
            document(bucket_statements(irsa, bucket, &known, facts)),
        )
    });
    result.extend(buckets);
    result
}

/// The connections that security groups must let through, each as the rule that would be made for it.
fn rules(profile: &Profile, aws: &Aws, known: &Known) -> Vec<SecurityGroupRule> {
    let mut rules: Vec<SecurityGroupRule> = Vec::new();
    for network in &known.nodes {
        let Some(own) = known.own_group(network) else {
            continue;
        };
        let server = aws.github_server.iter();
        let server = server.flat_map(|server| to_server(profile, server, network, own, &known.sid));
        for rule in server.chain(to_webhooks(profile, known, network, own)) {
            // Nodes of several kinds may need the same rule: then one that does for all of them is looked for.
            match rules.iter_mut().find(|it| it.is_same(&rule)) {
                Some(known) => {
                    known.groups.retain(|it| rule.groups.contains(it));
                    known.peers.retain(|it| rule.peers.contains(it));
                    known.addresses.extend(rule.addresses);
                }
                None => rules.push(rule),
            }
        }
    }
    rules
}

/// The rules by which nodes reach the GitHub server.
fn to_server(
    profile: &Profile,
    server: &GithubServer,
    network: &NodeNetwork,
    own: &str,
    sid: &str,
) -> Vec<SecurityGroupRule> {
    let out = |peer, peers, addresses| SecurityGroupRule {
        group: own.to_owned(),
        groups: network.groups.clone(),
        direction: Direction::Egress,
        port: HTTPS,
        peer,
        peers,
        addresses,
        purpose: TO_SERVER.to_owned(),
        sid: sid.to_owned(),
        profile: profile.name.clone(),
    };
    let mut rules = Vec::new();
    if let Some(group) = &server.security_group {
        rules.push(SecurityGroupRule {
            group: group.clone(),
            groups: vec![group.clone()],
            direction: Direction::Ingress,
            ..out(
                Peer::Group(own.to_owned()),
                network.groups.clone(),
                network.subnets.clone(),
            )
        });
        rules.push(out(
            Peer::Group(group.clone()),
            vec![group.clone()],
            Vec::new(),
        ));
    }
    if let Some(cidr) = &server.cidr {
        rules.push(out(
            Peer::Cidr(cidr.clone()),
            Vec::new(),
            vec![cidr.clone()],
        ));
    }
    rules
}

/// The rule by which the API server reaches the controller's webhooks, wherever its pods run.
fn to_webhooks(
    profile: &Profile,
    known: &Known,
    network: &NodeNetwork,
    own: &str,
) -> Option<SecurityGroupRule> {
    let group = known.control_plane_groups.first()?;
    Some(SecurityGroupRule {
        group: own.to_owned(),
        groups: network.groups.clone(),
        direction: Direction::Ingress,
        port: profile.controller.webhook_port,
        peer: Peer::Group(group.clone()),
        peers: known.control_plane_groups.clone(),
        addresses: known.control_plane_subnets.clone(),
        purpose: TO_WEBHOOKS.to_owned(),
        sid: known.sid.clone(),
        profile: profile.name.clone(),
    })
}
