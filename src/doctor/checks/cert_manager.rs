//! Checks of cert-manager and of the certificate that it issues. Pure: no I/O.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    desired::names,
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::Snapshot,
    },
    resource::{
        kubernetes::rollout::{self, cert_manager_parts},
        observed::Readiness,
    },
};

/// A certificate is renewed after two thirds of its lifetime; one this close to its end was not renewed.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "cert-manager-scaled",
        category: "cert-manager",
        severity: Severity::Required,
        claim: "cert-manager's three Deployments exist, and none is scaled to 0",
        causes: &[
            "api-server-answers",
            "resources-there",
            "webhooks-not-orphaned",
        ],
        judge: scaled,
    },
    Check {
        id: "cert-manager-runs",
        category: "cert-manager",
        severity: Severity::Required,
        claim: "cert-manager's Deployments are rolled out",
        causes: &[
            "api-server-answers",
            "resources-there",
            "cert-manager-scaled",
            "nodes-ready",
        ],
        judge: runs,
    },
    Check {
        id: "cert-manager-answers",
        category: "cert-manager",
        severity: Severity::Required,
        claim: "cert-manager's webhook admits a request and denies a wrong one",
        causes: &[
            "api-server-answers",
            "cert-manager-scaled",
            "cert-manager-runs",
            "resources-there",
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
            "cert-manager-scaled",
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
        claim: "the certificate of the controller's webhook is valid for at least a week",
        causes: &[
            "api-server-answers",
            "cert-manager-scaled",
            "cert-manager-runs",
            "certificate-issued",
        ],
        judge: lasts,
    },
];

/// The parts of cert-manager by their labels; without these labels its Deployments are unknown.
fn parts(snapshot: &Snapshot) -> Result<Vec<(&'static str, Option<&Value>)>, Verdict> {
    let namespace = known(&snapshot.cert_manager_namespace)?;
    let parts = cert_manager_parts(known(&snapshot.cert_manager)?);
    if parts.is_empty() {
        let asked_for = known(&snapshot.resources)?
            .iter()
            .any(|it| it.id.kind() == "helm-release" && it.id.name() == names::CERT_MANAGER);
        return Err(if asked_for {
            Verdict::broken(
                format!("nothing of cert-manager is in namespace `{namespace}`"),
                "install it with `arcctl up`",
            )
        } else {
            Verdict::skipped(format!(
                "no Deployment in namespace `{namespace}` has the labels of cert-manager's chart: what runs it is not known"
            ))
        });
    }
    Ok(parts)
}

/// The release of cert-manager, if arcctl installed it.
pub(super) fn own_release(snapshot: &Snapshot) -> Option<&str> {
    let recorded = snapshot.recorded.as_ref().ok()?;
    let end = format!("/{}", names::CERT_MANAGER);
    recorded
        .iter()
        .map(String::as_str)
        .find(|it| it.starts_with("helm-release/") && it.ends_with(&end))
}

fn scaled(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let namespace = known(&snapshot.cert_manager_namespace)?;
    let (mut found, mut commands) = (Vec::new(), Vec::new());
    for (part, deployment) in parts(snapshot)? {
        match deployment {
            None => found.push(format!(
                "cert-manager's {part} has no Deployment in namespace `{namespace}`"
            )),
            Some(it) if rollout::is_scaled_to_nothing(it) => {
                found.push(format!(
                    "Deployment `{}`, cert-manager's {part}, is scaled to 0",
                    rollout::place(it)
                ));
                commands.push(rollout::scale_command(it, 1));
            }
            Some(_) => {}
        }
    }
    let fix = match (own_release(snapshot), commands.as_slice()) {
        (Some(_), _) => "fix it with `arcctl up`".to_owned(),
        (None, []) => format!(
            "install all of cert-manager, with the tool that installed it: `kubectl -n {namespace} get deployments` shows what exists"
        ),
        (None, commands) => format!("scale it up: {}", commands.join(" and ")),
    };
    Ok(Verdict::unless(&found, &fix))
}

fn runs(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let (pods, events) = (
        known(&snapshot.cert_manager_pods)?,
        known(&snapshot.cert_manager_events)?,
    );
    let namespace = known(&snapshot.cert_manager_namespace)?;
    parts(snapshot)?;
    let found = rollout::cert_manager(namespace, known(&snapshot.cert_manager)?, pods, events);
    Ok(found.map_or(Verdict::Holds, |it| {
        of(
            &it,
            &format!("`kubectl -n {namespace} get deployments,pods`"),
        )
    }))
}

/// Converts a readiness to a verdict; `look` is the command to run if no cause is known.
pub(super) fn of(readiness: &Readiness, look: &str) -> Verdict {
    match readiness {
        Readiness::Ready | Readiness::Settling { .. } => Verdict::Holds,
        Readiness::Progressing { reason } => Verdict::broken(
            reason,
            format!("no cause is known: it may only be starting; look at {look}"),
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

fn answers(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let namespace = known(&snapshot.cert_manager_namespace)?;
    let look = format!(
        "the log of its webhook: `kubectl -n {namespace} logs -l app.kubernetes.io/component=webhook`"
    );
    super::webhooks::proof(snapshot, "cert-manager-webhook", &look)
}

fn issued(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let Some(certificate) = known(&snapshot.certificate)? else {
        return Ok(Verdict::broken(
            "the controller's Certificate does not exist",
            "create it with `arcctl up`",
        ));
    };
    Ok(match crate::resource::issued(certificate) {
        Ok(()) => Verdict::Holds,
        Err(said) => Verdict::broken(
            said.unwrap_or("nothing works on the controller's Certificate"),
            format!(
                "see why with `kubectl -n {} describe certificaterequest` and cert-manager's log",
                snapshot.profile.controller.namespace
            ),
        ),
    })
}

/// The command that issues a certificate again.
fn issue_again(snapshot: &Snapshot) -> String {
    let namespace = snapshot
        .cert_manager_namespace
        .as_deref()
        .unwrap_or(names::CERT_MANAGER_NAMESPACE);
    format!(
        "have it issued again with `kubectl -n {} delete secret {}`; why it was not issued is in cert-manager's log: `kubectl -n {namespace} logs -l app.kubernetes.io/component=controller`",
        snapshot.profile.controller.namespace,
        snapshot.profile.controller.serving_certificate()
    )
}

fn lasts(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let end = known(&snapshot.certificate)?
        .as_ref()
        .and_then(|it| it["status"]["notAfter"].as_str());
    let Some(end) = end else {
        return Ok(Verdict::skipped("there is no certificate yet"));
    };
    let Ok(time) = end.parse::<Timestamp>() else {
        return Ok(Verdict::broken(
            format!("the certificate's end `{end}` is no time"),
            issue_again(snapshot),
        ));
    };
    Ok(if time.duration_since(snapshot.now) > SOON {
        Verdict::Holds
    } else {
        Verdict::broken(
            format!("the certificate ends at {end} and was not renewed"),
            issue_again(snapshot),
        )
    })
}
