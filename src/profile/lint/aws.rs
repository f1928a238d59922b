//! Rules for IAM and EC2 that need no AWS request. Pure.

use super::{Path, Report};
use crate::{
    profile::{Aws, Profile, RunnerRole},
    units::{
        Arn, Network, Partition,
        aws_limits::{ROLE_NAME, is_path},
    },
};

pub(super) fn check(profile: &Profile, report: &mut Report) {
    let Some(aws) = &profile.aws else { return };
    let path = Path::from(["aws"]);
    if profile.cluster.eks.is_none() {
        report.error(
            path.clone(),
            "`aws` needs to know which EKS cluster this is",
            "add `cluster.eks` and `cluster.region`",
        );
    }
    for (key, role) in [("irsa", &aws.irsa), ("podIdentity", &aws.pod_identity)] {
        if let Some(role) = role {
            role_names(role, &path.key(key), report);
            buckets(role, &path.key(key).key("buckets"), report);
        }
    }
    pod_identity(aws, &path.key("podIdentity"), report);
    if let (Some((via, role)), Some(region)) = (aws.runner_role(), &profile.cluster.region) {
        partitions(role, region, &path.key(via.key()), report);
    }
    server(aws, &path.key("githubServer"), report);
    if aws.github_server.is_some() && !profile.github.is_enterprise_server() {
        report.advice(
            path.key("githubServer"),
            "the profile has no server of its own: github.com is not in this network",
            "add `github.url`, or remove `githubServer`",
        );
    }
}

fn pod_identity(aws: &Aws, path: &Path, report: &mut Report) {
    match (&aws.irsa, &aws.pod_identity) {
        (Some(_), Some(_)) => report.error(
            path.clone(),
            "the runners have a role by `irsa` already",
            "keep one of them",
        ),
        (None, Some(_)) => report.advice(
            path.clone(),
            "actions that sign in to AWS themselves may not know EKS Pod Identity: configure-aws-credentials takes on no role by it, amazon-ecr-login only from v2.1.0",
            "leave configure-aws-credentials out of workflows, since the SDKs and the aws CLI find the role by themselves; or use `aws.irsa`",
        ),
        _ => {}
    }
}

/// Reports ARNs of another partition: they do not exist in this one.
fn partitions(given: &RunnerRole, region: &str, path: &Path, report: &mut Report) {
    let own = Partition::of(region).name;
    let policies = given.managed_policies.iter().enumerate();
    let policies = policies.map(|(index, it)| (path.key("managedPolicies").index(index), it));
    let boundary = given.permissions_boundary.iter();
    let boundary = boundary.map(|it| (path.key("permissionsBoundary"), it));
    let role = std::iter::once((path.key("role"), &given.role));
    for (path, arn) in role.chain(policies).chain(boundary) {
        let other = arn.strip_prefix("arn:").and_then(|it| it.split(':').next());
        // An unknown partition is accepted.
        if let Some(other) = other.filter(|it| Partition::is_known(it) && *it != own) {
            report.error(
                path,
                format!("`{arn}` is of the partition `{other}`, and `{region}` is in `{own}`"),
                format!("write `arn:{own}:…`"),
            );
        }
    }
}

fn role_names(given: &RunnerRole, path: &Path, report: &mut Report) {
    let role = &given.role;
    if is_of_aws(given) {
        report.error(
            path.key("role"),
            format!("`{role}` is a role of AWS's own, which nobody else may change or take on"),
            "name a role of yours, or one that arcctl may create",
        );
    } else if role.starts_with("arn:") {
        if !is_arn(role, "iam", "role") {
            report.error(
                path.key("role"),
                format!("`{role}` is not the ARN of a role"),
                "write `arn:aws:iam::ACCOUNT:role/NAME`, or a name",
            );
        }
        for (key, given) in [
            ("path", given.path.is_some()),
            ("permissionsBoundary", given.permissions_boundary.is_some()),
        ] {
            if given {
                report.error(
                    path.key(key),
                    format!("a role given by its ARN is never created, so `{key}` has no effect"),
                    "remove it, or give the role by name",
                );
            }
        }
    } else if ROLE_NAME.check(role).is_err() {
        report.error(
            path.key("role"),
            format!("`{role}` is not the name of a role"),
            name_of_role(role),
        );
    }
    policies(given, path, report);
}

/// Whether AWS reserves this role name or path: docs.aws.amazon.com, "Service-linked roles", and IAM Identity Center's.
fn is_of_aws(given: &RunnerRole) -> bool {
    let name = given.role.rsplit('/').next().unwrap_or_default();
    let own = given.path.clone().unwrap_or_default();
    let places = [format!("/{}", given.role), own];
    name.starts_with("AWSServiceRoleFor")
        || name.starts_with("AWSReservedSSO_")
        || ["/aws-service-role/", "/aws-reserved/"]
            .iter()
            .any(|it| places.iter().any(|place| place.contains(it)))
}

/// A hint for an invalid role name; it suggests only valid names.
fn name_of_role(role: &str) -> String {
    let is_name = |name: &str| ROLE_NAME.check(name).is_ok();
    let bare = role.trim_matches('/');
    let form = "up to 64 letters, digits and `+=,.@_-`";
    match bare.rsplit_once('/') {
        None if is_name(bare) => format!("write `{bare}`"),
        None => format!("use {form}"),
        Some((above, name)) if is_name(name) && is_path(&format!("/{above}/")) => {
            format!("write `role: {name}` and `path: /{above}/`")
        }
        Some(_) => {
            format!(
                "write the name alone, {form}, and what is before it as `path: /…/`, without spaces"
            )
        }
    }
}

fn policies(given: &RunnerRole, path: &Path, report: &mut Report) {
    for (index, policy) in given.managed_policies.iter().enumerate() {
        if given.managed_policies[..index].contains(policy) {
            report.advice(
                path.key("managedPolicies").index(index),
                format!("the policy `{policy}` is listed twice"),
                "keep one of them",
            );
        } else if !is_arn(policy, "iam", "policy") {
            report.error(
                path.key("managedPolicies").index(index),
                format!("`{policy}` is not the ARN of a policy"),
                "write `arn:aws:iam::ACCOUNT:policy/NAME`",
            );
        }
    }
    if let Some(boundary) = given
        .permissions_boundary
        .as_ref()
        .filter(|boundary| !is_arn(boundary, "iam", "policy"))
    {
        report.error(
            path.key("permissionsBoundary"),
            format!("`{boundary}` is not the ARN of a policy"),
            "write `arn:aws:iam::ACCOUNT:policy/NAME`",
        );
    }
    if let Some(role_path) = given.path.as_ref().filter(|it| !is_path(it)) {
        report.error(
            path.key("path"),
            format!("`{role_path}` is not a path of IAM"),
            "begin and end it with `/`, and write up to 512 characters of printable ASCII without spaces",
        );
    }
}

fn buckets(given: &RunnerRole, path: &Path, report: &mut Report) {
    for (index, bucket) in given.buckets.iter().enumerate() {
        let path = path.index(index);
        if bucket.apply && bucket.account.is_some() {
            report.error(
                path.key("apply"),
                "the policy of another account's bucket is its owner's to change",
                "remove `apply` (`arcctl render` writes the policy for the owner), or `account` if the bucket is your own",
            );
        }
        if given.buckets[..index]
            .iter()
            .any(|earlier| earlier.name == bucket.name)
        {
            report.error(
                path.key("name"),
                format!("the bucket `{}` is listed twice", bucket.name),
                "keep one of them",
            );
        }
    }
}

fn server(aws: &Aws, path: &Path, report: &mut Report) {
    let Some(server) = &aws.github_server else {
        return;
    };
    match (&server.security_group, &server.cidr) {
        (None, None) => report.error(
            path.clone(),
            "the GitHub server has no address",
            "write `securityGroup` or `cidr`",
        ),
        (Some(_), Some(_)) => report.error(
            path.key("cidr"),
            "there is a `securityGroup` already",
            "keep one of them",
        ),
        (None, Some(cidr)) => network(cidr, &path.key("cidr"), report),
        (Some(_), None) => {}
    }
}

fn network(cidr: &str, path: &Path, report: &mut Report) {
    let Some(network) = Network::parse(cidr) else {
        report.error(
            path.clone(),
            format!("`{cidr}` is not a CIDR"),
            "write for example `10.1.0.0/16`",
        );
        return;
    };
    let kept = network.to_string();
    if kept != cidr {
        report.advice(
            path.clone(),
            format!("EC2 keeps `{cidr}` as `{kept}`"),
            format!("write `{kept}`"),
        );
    }
}

fn is_arn(text: &str, service: &str, kind: &str) -> bool {
    Arn::parse(text).is_some_and(|it| {
        it.service == service
            && (it.account == "aws" || it.has_account())
            && it.of_type(kind).is_some()
    })
}
