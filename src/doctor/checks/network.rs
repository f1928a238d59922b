//! Checks of the network connections that the runners and the API server need. Pure: no I/O.

use super::aws::of_kind;
use crate::{
    desired::{
        aws::{TO_SERVER, TO_WEBHOOKS},
        pool::probe::State,
    },
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{Probed, Snapshot},
    },
    resource::observed::Observed,
};

const NOT_ASKED: &[&str] = &["aws-credentials", "eks-cluster", "api-server-answers"];

pub(crate) const CHECKS: &[Check] = &[
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
    Check {
        id: "probe-resolves",
        category: "network",
        severity: Severity::Required,
        claim: "a pod like the runners' resolves the name of the GitHub server",
        causes: &[
            "aws-credentials",
            "eks-cluster",
            "api-server-answers",
            "nodes-ready",
        ],
        judge: |snapshot| probed(snapshot, "dns"),
    },
    Check {
        id: "probe-connects",
        category: "network",
        severity: Severity::Required,
        claim: "a pod like the runners' connects to the GitHub server",
        causes: &["api-server-answers", "probe-resolves", "nodes-reach-server"],
        judge: |snapshot| probed(snapshot, "tcp"),
    },
    Check {
        id: "probe-trusts",
        category: "network",
        severity: Severity::Required,
        claim: "a pod like the runners' trusts the GitHub server's certificate",
        causes: &["api-server-answers", "probe-resolves", "probe-connects"],
        judge: |snapshot| probed(snapshot, "tls"),
    },
    Check {
        id: "probe-is-answered",
        category: "network",
        severity: Severity::Required,
        claim: "a pod like the runners' can call GitHub's API",
        causes: &[
            "api-server-answers",
            "probe-resolves",
            "probe-connects",
            "probe-trusts",
        ],
        judge: |snapshot| probed(snapshot, "api"),
    },
    Check {
        id: "probe-takes-role",
        category: "network",
        severity: Severity::Required,
        claim: "a pod like the runners' can assume its AWS role",
        causes: &[
            "api-server-answers",
            "oidc-provider",
            "role-trusts-runners",
            "pod-identity-association",
            "pod-identity-agent",
            "probe-resolves",
        ],
        judge: |snapshot| probed(snapshot, "aws"),
    },
];

/// The fix for each step.
fn fix(step: &str) -> &'static str {
    match step {
        "dns" => {
            "see why the cluster does not resolve it: the VPC's resolver, CoreDNS, and egress on port 53 of the pods' security groups"
        }
        "tcp" => {
            "let the nodes reach it: `aws.githubServer` in the profile has arcctl make the rules; else routes, network ACLs, and the server's own firewall"
        }
        "tls" => {
            "give the runners the server's certificate authority: `github.caBundle` in the profile, then `arcctl up`"
        }
        "aws" => {
            "set the role right with `arcctl up`, and delete runner pods that were started before it"
        }
        _ => {
            "see what is between: a proxy or a load balancer; `github.url` in the profile must be the server's own"
        }
    }
}

/// The probes' result for one step: the worst of them.
fn probed(snapshot: &Snapshot, step: &str) -> Result<Verdict, Verdict> {
    if step == "aws" && snapshot.profile.runner_role().is_none() {
        return Ok(Verdict::skipped(
            "the profile has no aws.irsa and no aws.podIdentity",
        ));
    }
    let Some(probed) = &snapshot.probe else {
        return Ok(Verdict::skipped(
            "not tried: `arcctl doctor --probe` runs a pod for it",
        ));
    };
    let (mut bad, mut unknown, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for Probed { pool, said } in known(probed)? {
        let answer = known(said)?.iter().find(|it| it.step == step);
        let words = |said: &str| format!("from a pod like those of pool `{pool}`: {said}");
        match answer.map(|it| (it.state, it.said.as_str())) {
            Some((State::Good, _)) => {}
            Some((State::Bad, said)) => bad.push(words(said)),
            Some((State::Skipped, said)) => skipped.push(words(said)),
            Some((State::Unknown, said)) => unknown.push(words(said)),
            None => unknown.push(words("the probe ended before it came to this")),
        }
    }
    Ok(match (bad.first(), unknown.first(), skipped.first()) {
        (Some(_), _, _) => Verdict::unless(&bad, fix(step)),
        (None, Some(why), _) => Verdict::not_known(why, fix(step)),
        (None, None, Some(why)) => Verdict::skipped(why),
        (None, None, None) => Verdict::Holds,
    })
}

fn to_server(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let aws = snapshot.profile.aws.as_ref();
    if aws.is_none_or(|it| it.github_server.is_none()) {
        return Ok(Verdict::skipped(
            "the profile has no aws.githubServer: which groups are before the server is not known",
        ));
    }
    rules(snapshot, TO_SERVER)
}

fn to_webhook(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    if snapshot.profile.aws.is_none() {
        return Ok(Verdict::skipped(
            "the profile has no `aws`: the nodes' security groups are not arcctl's to look at",
        ));
    }
    if !snapshot.profile.has_deployments() {
        return Ok(Verdict::skipped(
            "GitHub's controller of scale sets has no webhooks",
        ));
    }
    rules(snapshot, TO_WEBHOOKS)
}

/// The security group rules for `purpose`: they exist, or rules of other owners allow the traffic.
fn rules(snapshot: &Snapshot, purpose: &str) -> Result<Verdict, Verdict> {
    let networks = known(&snapshot.at_aws.wiring)?
        .as_ref()
        .map_or(0, |it| it.networks);
    if networks == 0 {
        return Err(Verdict::not_known(
            "the cluster has no node with an EC2 instance: which security groups its nodes have is not known",
            "run it again once there are nodes",
        ));
    }
    let missing: Vec<String> = of_kind(snapshot, "security-group-rule")?
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
