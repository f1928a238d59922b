//! Checks of cert-manager and of the certificate it makes. Pure: no I/O.

use jiff::{SignedDuration, Timestamp};

use super::{
    check::{Check, Severity, Verdict, known},
    world::World,
};
use crate::{
    desired::names,
    resource::{observed::Readiness, pod_readiness, worst_readiness},
};

/// A certificate is renewed a third of its life before its end; one this close to it was not.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "cert-manager-runs",
        category: "cert-manager",
        severity: Severity::Required,
        claim: "cert-manager's pods run",
        causes: &["api-server-answers", "nodes-ready"],
        judge: runs,
    },
    Check {
        id: "cert-manager-answers",
        category: "cert-manager",
        severity: Severity::Required,
        claim: "cert-manager's webhook admits a request and denies a wrong one",
        causes: &[
            "api-server-answers",
            "resources-there",
            "cert-manager-runs",
            "webhooks-not-orphaned",
        ],
        judge: answers,
    },
    Check {
        id: "certificate-issued",
        category: "cert-manager",
        severity: Severity::Required,
        claim: "the certificate of the controller's webhook is issued",
        causes: &[
            "api-server-answers",
            "cert-manager-runs",
            "cert-manager-answers",
            "resources-there",
        ],
        judge: issued,
    },
    Check {
        id: "certificate-lasts",
        category: "cert-manager",
        severity: Severity::Required,
        claim: "the certificate of the controller's webhook lasts for a week",
        causes: &[
            "api-server-answers",
            "cert-manager-runs",
            "certificate-issued",
        ],
        judge: lasts,
    },
];

fn runs(world: &World) -> Result<Verdict, Verdict> {
    let (pods, events) = (
        known(&world.cert_manager_pods)?,
        known(&world.cert_manager_events)?,
    );
    if pods.is_empty() {
        return Ok(Verdict::skipped(format!(
            "nothing runs in namespace `{}`: cert-manager may be elsewhere",
            names::CERT_MANAGER_NAMESPACE
        )));
    }
    // A finished job's pod (the chart's start-up check) is none of those that serve.
    let serving = pods
        .iter()
        .filter(|it| it["status"]["phase"] != "Succeeded");
    Ok(of(&worst_readiness(
        serving.map(|it| pod_readiness(it, events)),
    )))
}

/// What a readiness says, as a verdict.
pub(super) fn of(readiness: &Readiness) -> Verdict {
    match readiness {
        Readiness::Ready => Verdict::Holds,
        Readiness::Progressing { reason } => Verdict::broken(
            reason,
            "wait a minute and ask again; if it stays, `arcctl up` waits for it and says why",
        ),
        Readiness::Stuck {
            reason,
            hint,
            unauthorized,
        } => Verdict::Broken {
            found: reason.clone(),
            fix: hint.clone(),
            refused: *unauthorized,
        },
    }
}

fn answers(world: &World) -> Result<Verdict, Verdict> {
    super::webhooks::proof(world, names::CERT_MANAGER_NAMESPACE)
}

fn issued(world: &World) -> Result<Verdict, Verdict> {
    let Some(certificate) = known(&world.certificate)? else {
        return Ok(Verdict::broken(
            "the controller's Certificate is not there",
            "make it with `arcctl up`",
        ));
    };
    Ok(match crate::resource::issued(certificate) {
        Ok(()) => Verdict::Holds,
        Err(said) => Verdict::broken(
            said.unwrap_or("nothing works on the controller's Certificate"),
            "see why with `kubectl -n actions-runner-system describe certificaterequest` and cert-manager's log",
        ),
    })
}

const ISSUE_AGAIN: &str = "have it issued again with `kubectl -n actions-runner-system delete secret actions-runner-controller-serving-cert`; why it was not says cert-manager's log: `kubectl -n cert-manager logs deploy/cert-manager`";

fn lasts(world: &World) -> Result<Verdict, Verdict> {
    let end = known(&world.certificate)?
        .as_ref()
        .and_then(|it| it["status"]["notAfter"].as_str());
    let Some(end) = end else {
        return Ok(Verdict::skipped("there is no certificate yet"));
    };
    let Ok(time) = end.parse::<Timestamp>() else {
        return Ok(Verdict::broken(
            format!("the certificate's end `{end}` is no time"),
            ISSUE_AGAIN,
        ));
    };
    Ok(if time.duration_since(world.now) > SOON {
        Verdict::Holds
    } else {
        Verdict::broken(
            format!("the certificate ends at {end} and was not renewed"),
            ISSUE_AGAIN,
        )
    })
}
