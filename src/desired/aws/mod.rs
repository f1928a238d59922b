//! The AWS resources of the runners: OIDC provider, role, bucket policies, security group rules. Pure: no I/O.

pub(crate) mod eks_facts;
pub mod pod_identity_agent;
pub(crate) mod security_groups;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Desired, EksFacts, Facts, Phase, named,
    placeholder::{self, Placeholder},
    resource::{
        Id, Resource,
        aws::{
            AwsResource, BucketPolicy, IamRole, OidcProvider, PodIdentityAssociation, RolePolicy,
        },
    },
};
use crate::{
    policy::{self, BucketGrant, Trust},
    profile::{Bucket, Profile, RoleVia, RunnerRole},
    units::Partition,
};

pub use security_groups::{TO_SERVER, TO_WEBHOOKS, is_for, rule};

/// The networks of the cluster's control plane and nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsFacts {
    /// The security groups of its control plane; the cluster's own group first.
    pub control_plane_groups: Vec<String>,
    /// The CIDRs of its control plane's subnets.
    pub control_plane_subnets: Vec<String>,
    /// The networks of its nodes and pods, one per set of security groups.
    pub nodes: Vec<NodeNetwork>,
    /// Those of their security groups that are tagged as the cluster's, where a node has several.
    pub tagged_groups: BTreeSet<String>,
    /// Whether its pods have IPv6 addresses.
    pub ipv6: bool,
    /// The free IPv4 addresses of each subnet of its nodes, if EC2 says how many; no subnet where pods have IPv6 addresses.
    pub free_addresses: BTreeMap<String, Option<u32>>,
}

/// Network interfaces of nodes with the same security groups: with the VPC CNI's custom networking, pods have other
/// groups than their node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeNetwork {
    /// Their security groups, sorted.
    pub groups: Vec<String>,
    /// The CIDRs of their subnets.
    pub subnets: Vec<String>,
}

/// The facts, or placeholders for the unknown ones.
pub(super) struct Known {
    account: String,
    partition: String,
    cluster: String,
    issuer: String,
    pub(super) sid: String,
    pub(super) control_plane_groups: Vec<String>,
    pub(super) control_plane_subnets: Vec<String>,
    pub(super) nodes: Vec<NodeNetwork>,
    pub(super) tagged_groups: BTreeSet<String>,
    pub(super) ipv6: bool,
}

impl Known {
    fn new(profile: &Profile, facts: &Facts) -> Self {
        let text = |placeholder: Placeholder| placeholder.text();
        let (Some(eks), Some(networks)) = (&facts.eks, &facts.aws) else {
            let region = profile.cluster.region.as_deref().unwrap_or_default();
            let cluster = EksFacts {
                name: profile.cluster.eks.clone().unwrap_or_default(),
                region: region.to_owned(),
                account: text(placeholder::AWS_ACCOUNT),
                partition: Partition::of(region).name.to_owned(),
                ..EksFacts::default()
            };
            return Self {
                cluster: cluster.arn(),
                account: cluster.account,
                partition: cluster.partition,
                issuer: text(placeholder::OIDC_ISSUER),
                sid: text(placeholder::STATEMENT_ID),
                control_plane_groups: vec![text(placeholder::CLUSTER_SECURITY_GROUP)],
                control_plane_subnets: Vec::new(),
                nodes: vec![NodeNetwork {
                    groups: vec![text(placeholder::NODE_SECURITY_GROUP)],
                    subnets: Vec::new(),
                }],
                tagged_groups: BTreeSet::new(),
                ipv6: false,
            };
        };
        Self {
            cluster: eks.arn(),
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
            tagged_groups: networks.tagged_groups.clone(),
            ipv6: networks.ipv6,
        }
    }
}

/// The issuer without its scheme, as in IAM.
pub fn without_scheme(issuer: &str) -> String {
    issuer.trim_start_matches("https://").to_owned()
}

/// The account in an ARN.
pub fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// The name of the role: as given, or the last part of its ARN.
pub fn role_name(role: &RunnerRole) -> &str {
    match role.role.strip_prefix("arn:") {
        Some(arn) => arn.rsplit('/').next().unwrap_or_default(),
        None => &role.role,
    }
}

/// The ARN of the role to create from `role`.
pub fn role_arn(role: &RunnerRole, partition: &str, account: &str) -> String {
    if role.role.starts_with("arn:") {
        return role.role.clone();
    }
    let path = role.path.as_deref().unwrap_or("/");
    format!("arn:{partition}:iam::{account}:role{path}{}", role.role)
}

/// All AWS resources, in the phase *wiring*.
pub(super) fn resources(profile: &Profile, facts: &Facts) -> Vec<Desired> {
    let Some(aws) = &profile.aws else {
        return Vec::new();
    };
    let known = Known::new(profile, facts);
    let mut result = Vec::new();
    if let Some((via, role)) = aws.runner_role() {
        result.extend(role_resources(profile, (via, role), &known, facts));
    }
    result.extend(security_groups::rules(profile, aws, &known));
    result
}

pub(super) fn resource(id: Id, resource: AwsResource) -> Desired {
    named(Phase::Wiring, id, Resource::Aws(resource))
}

/// The trust policy statement that lets the runners assume the role.
fn trust(profile: &Profile, (via, role): (RoleVia, &RunnerRole), known: &Known) -> Value {
    let (namespaces, account) = (profile.runner_namespaces(), &role.service_account);
    let subjects: Vec<String> = namespaces
        .iter()
        .map(|namespace| format!("system:serviceaccount:{namespace}:{account}"))
        .collect();
    match via {
        RoleVia::Irsa => policy::trust_statement(Trust {
            sid: &known.sid,
            partition: &known.partition,
            account: &known.account,
            issuer: &known.issuer,
            subjects: &subjects,
        }),
        RoleVia::PodIdentity => {
            policy::pod_identity_statement(&known.sid, &known.cluster, &namespaces, account)
        }
    }
}

fn provider(profile: &Profile, known: &Known) -> Desired {
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
    resource(id, AwsResource::Provider(provider))
}

/// The Pod Identity association of the service account with the role.
fn association(
    profile: &Profile,
    runner: &RunnerRole,
    namespace: &str,
    known: &Known,
    facts: &Facts,
) -> Desired {
    let account = &runner.service_account;
    let association = PodIdentityAssociation {
        cluster: profile.cluster.eks.clone().unwrap_or_default(),
        namespace: namespace.into(),
        service_account: account.clone(),
        role_arn: actual_role_arn(runner, known, facts),
        sid: known.sid.clone(),
        profile: profile.name.clone(),
    };
    let id = Id::new(PodIdentityAssociation::KIND, Some(namespace), account);
    let mut result = resource(id, AwsResource::Association(association));
    // A pod with this service account tests it.
    let account = Id::new("service-account", Some(namespace), account);
    result.after.push(account);
    result
}

fn role_resources(
    profile: &Profile,
    (via, runner): (RoleVia, &RunnerRole),
    known: &Known,
    facts: &Facts,
) -> Vec<Desired> {
    let name = role_name(runner);
    let role = IamRole {
        name: name.to_owned(),
        arn: runner.role.starts_with("arn:").then(|| runner.role.clone()),
        create: !runner.role.starts_with("arn:"),
        path: runner.path.clone(),
        permissions_boundary: runner.permissions_boundary.clone(),
        sid: known.sid.clone(),
        trust: trust(profile, (via, runner), known),
        managed_policies: runner.managed_policies.clone(),
        profile: profile.name.clone(),
    };
    let mut role = resource(Id::new("iam-role", None, name), AwsResource::Role(role));
    let mut result = Vec::new();
    if via == RoleVia::Irsa {
        let provider = provider(profile, known);
        role = role.after(&provider);
        result.push(provider);
    }
    let policy = RolePolicy {
        role: name.to_owned(),
        name: known.sid.clone(),
        sid: known.sid.clone(),
        statements: policy::role_policy(&known.sid, &known.partition, &runner.buckets),
    };
    let id = Id::new("iam-role-policy", Some(name), &policy.name);
    let policy = resource(id, AwsResource::RolePolicy(policy)).after(&role);
    let buckets = runner.buckets.iter().filter(|it| it.apply);
    let buckets: Vec<Desired> = buckets
        .map(|bucket| {
            let policy = BucketPolicy {
                bucket: bucket.name.clone(),
                account: known.account.clone(),
                sid: known.sid.clone(),
                statements: bucket_statements(runner, bucket, known, facts),
            };
            let id = Id::new("bucket-policy", None, &bucket.name);
            resource(id, AwsResource::BucketPolicy(policy)).after(&role)
        })
        .collect();
    let namespaces = (via == RoleVia::PodIdentity).then(|| profile.runner_namespaces());
    let associations: Vec<Desired> = namespaces
        .into_iter()
        .flatten()
        .map(|namespace| association(profile, runner, namespace, known, facts).after(&role))
        .collect();
    result.extend([role, policy]);
    result.extend(associations);
    result.extend(buckets);
    result
}

/// The ARN of the existing or future role.
fn actual_role_arn(runner: &RunnerRole, known: &Known, facts: &Facts) -> String {
    let found = facts.runner_role_arn.clone();
    found.unwrap_or_else(|| role_arn(runner, &known.partition, &known.account))
}

fn bucket_statements(
    runner: &RunnerRole,
    bucket: &Bucket,
    known: &Known,
    facts: &Facts,
) -> Vec<Value> {
    let grant = BucketGrant {
        sid: &known.sid,
        partition: &known.partition,
        bucket,
    };
    policy::bucket_policy(grant, &actual_role_arn(runner, known, facts))
}

/// Policy documents that another user must apply, or that are useful to read, as files: those of other accounts'
/// buckets for their owners, and the role's trust policy. Paths and documents.
pub(super) fn documents(profile: &Profile, facts: &Facts) -> Vec<(String, Value)> {
    let Some((via, runner)) = profile.runner_role() else {
        return Vec::new();
    };
    let known = Known::new(profile, facts);
    let document = |statements: Vec<Value>| serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    let mut result = vec![(
        format!("aws/trust-policy.{}.json", role_name(runner)),
        document(vec![trust(profile, (via, runner), &known)]),
    )];
    if !runner.buckets.is_empty() {
        result.push((
            format!("aws/role-policy.{}.json", role_name(runner)),
            document(policy::role_policy(
                &known.sid,
                &known.partition,
                &runner.buckets,
            )),
        ));
    }
    let buckets = runner.buckets.iter().map(|bucket| {
        (
            format!("aws/bucket-policy.{}.json", bucket.name),
            document(bucket_statements(runner, bucket, &known, facts)),
        )
    });
    result.extend(buckets);
    result
}

/// A role is found by its name, and its path cannot be changed: reports it if the profile has another path.
pub fn at_another_path(runner: &RunnerRole, via: RoleVia, live: &str) -> Option<String> {
    let given = runner.path.as_deref().filter(|it| *it != live)?;
    let (role, key) = (&runner.role, via.key());
    Some(format!(
        "the IAM role `{role}` is there with the path `{live}`, and aws.{key}.path says `{given}`: IAM cannot move a role, so it is used where it is; write `path: {live}` or name another role"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_the_role_does_not_have_is_told() {
        let runner = |path: Option<&str>| RunnerRole {
            role: "r".into(),
            service_account: "s".into(),
            managed_policies: Vec::new(),
            path: path.map(str::to_owned),
            permissions_boundary: None,
            buckets: Vec::new(),
        };
        for (given, live, told) in [
            (Some("/ci/"), "/", true),
            (Some("/"), "/ci/", true),
            (Some("/ci/"), "/CI/", true),
            (Some("/ci/"), "/ci/", false),
            (None, "/ci/", false),
        ] {
            let found = at_another_path(&runner(given), RoleVia::Irsa, live);
            assert_eq!(found.is_some(), told, "{given:?} {live}");
        }
    }
}
