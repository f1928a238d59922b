//! Rules about IAM and EC2 that need no AWS to check. Pure.

use super::{
    super::{Aws, Profile, RunnerRole},
    Path, Report,
};
use crate::clients::aws::partition::Partition;

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

/// What is in another partition does not exist in this one.
fn partitions(given: &RunnerRole, region: &str, path: &Path, report: &mut Report) {
    let own = Partition::of(region).name;
    let policies = given.managed_policies.iter().enumerate();
    let policies = policies.map(|(index, it)| (path.key("managedPolicies").index(index), it));
    let boundary = given.permissions_boundary.iter();
    let boundary = boundary.map(|it| (path.key("permissionsBoundary"), it));
    let role = std::iter::once((path.key("role"), &given.role));
    for (path, arn) in role.chain(policies).chain(boundary) {
        let other = arn.strip_prefix("arn:").and_then(|it| it.split(':').next());
        if let Some(other) = other.filter(|it| it.starts_with("aws") && *it != own) {
            report.error(
                path,
                format!("`{arn}` is of the partition `{other}`, and `{region}` is in `{own}`"),
                format!("write `arn:{own}:…`"),
            );
        }
    }
}

fn role_names(given: &RunnerRole, path: &Path, report: &mut Report) {
    let role_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
    };
    let role = &given.role;
    if role.starts_with("arn:") {
        if !is_arn(role, "iam", "role/") {
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
    } else if !role_name(role) {
        report.error(
            path.key("role"),
            format!("`{role}` is not the name of a role"),
            "use up to 64 letters, digits and `+=,.@_-`",
        );
    }
    policies(given, path, report);
}

fn policies(given: &RunnerRole, path: &Path, report: &mut Report) {
    for (index, policy) in given.managed_policies.iter().enumerate() {
        if !is_arn(policy, "iam", "policy/") {
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
        .filter(|boundary| !is_arn(boundary, "iam", "policy/"))
    {
        report.error(
            path.key("permissionsBoundary"),
            format!("`{boundary}` is not the ARN of a policy"),
            "write `arn:aws:iam::ACCOUNT:policy/NAME`",
        );
    }
    if let Some(role_path) = &given.path
        && !(role_path.starts_with('/')
            && role_path.ends_with('/')
            && !role_path.contains(char::is_whitespace))
    {
        report.error(
            path.key("path"),
            format!("`{role_path}` is not a path of IAM"),
            "begin and end it with `/`",
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
                format!("the bucket `{}` is here twice", bucket.name),
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
        (None, Some(cidr)) if !is_cidr(cidr) => {
            report.error(
                path.key("cidr"),
                format!("`{cidr}` is not a CIDR"),
                "write for example `10.1.0.0/16`",
            );
        }
        _ => {}
    }
}

fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, of, _, account, rest] = parts.as_slice() else {
        return false;
    };
    *arn == "arn"
        && partition.starts_with("aws")
        && *of == service
        && (*account == "aws"
            || (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())))
        && rest
            .strip_prefix(resource)
            .is_some_and(|name| !name.is_empty())
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let Ok(length) = length.parse::<u8>() else {
        return false;
    };
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => length <= 32,
        Ok(std::net::IpAddr::V6(_)) => length <= 128,
        Err(_) => false,
    }
}
