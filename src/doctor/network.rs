//! Checks of the ways that the runners and the API server need. Pure: no I/O.

use super::{
    aws::of_kind,
    check::{Check, Severity, Verdict, known},
    world::World,
};
use crate::{
    desired::aws::{TO_SERVER, TO_WEBHOOKS},
    resource::observed::Observed,
};

const NOT_ASKED: &[&str] = &["aws-credentials", "eks-cluster", "api-server-answers"];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "nodes-reach-server",
        category: "network",
        severity: Severity::Required,
        claim: "the security groups let the nodes reach the GitHub server on 443",
        causes: NOT_ASKED,
        judge: to_server,
    },
    Check {
        id: "api-reaches-webhook",
        category: "network",
        severity: Severity::Required,
        claim: "the security groups let the API server reach the port of the controller's webhook",
        causes: NOT_ASKED,
        judge: to_webhook,
    },
];

fn to_server(world: &World) -> Result<Verdict, Verdict> {
    let aws = world.profile.aws.as_ref();
    if aws.is_none_or(|it| it.github_server.is_none()) {
        return Ok(Verdict::skipped(
            "the profile has no aws.githubServer: which groups are before the server is not known",
        ));
    }
    rules(world, TO_SERVER)
}

fn to_webhook(world: &World) -> Result<Verdict, Verdict> {
    if world.profile.aws.is_none() {
        return Ok(Verdict::skipped(
            "the profile has no `aws`: the nodes' security groups are not arcctl's to look at",
        ));
    }
    rules(world, TO_WEBHOOKS)
}

/// The rules that are for `purpose`: there, or let through by others.
fn rules(world: &World, purpose: &str) -> Result<Verdict, Verdict> {
    let networks = known(&world.at_aws.wiring)?
        .as_ref()
        .map_or(0, |it| it.networks);
    if networks == 0 {
        return Err(Verdict::not_known(
            "the cluster has no node with an EC2 instance: which security groups its nodes have is not known",
            "run it again once there are nodes",
        ));
    }
    let missing: Vec<String> = of_kind(world, "security-group-rule")?
        .into_iter()
        .filter(|(rule, _)| rule.purpose.as_deref() == Some(purpose))
        .filter_map(|(rule, observed)| match observed {
            Observed::Absent => Some(format!(
                "security group `{}` has no rule `{}`, and no other that does",
                rule.id.namespace().unwrap_or_default(),
                rule.id.name()
            )),
            Observed::Present(present) => present.readiness.reason().map(str::to_owned),
        })
        .collect();
    Ok(Verdict::unless(&missing, "add it with `arcctl up`"))
}
