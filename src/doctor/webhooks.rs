//! Checks of the admission webhooks. Pure: no I/O.

use super::{
    cert_manager::of,
    check::{Check, Severity, Verdict, known},
    world::World,
};
use crate::{
    desired::names,
    resource::{has_endpoint, observed::Observed, without_authority},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "webhooks-not-orphaned",
        category: "webhooks",
        severity: Severity::Required,
        claim: "every webhook of the controller and cert-manager has its Service",
        causes: &["api-server-answers"],
        judge: orphaned,
    },
    Check {
        id: "webhook-trusted",
        category: "webhooks",
        severity: Severity::Required,
        claim: "the API server trusts the certificate of the controller's webhook",
        causes: &[
            "api-server-answers",
            "resources-there",
            "certificate-issued",
            "cert-manager-runs",
        ],
        judge: trusted,
    },
    Check {
        id: "webhook-reachable",
        category: "webhooks",
        severity: Severity::Required,
        claim: "the controller's webhook Service has a ready endpoint",
        causes: &["api-server-answers", "controller-scaled", "controller-runs"],
        judge: reachable,
    },
    Check {
        id: "webhook-answers",
        category: "webhooks",
        severity: Severity::Required,
        claim: "the controller's webhook admits a RunnerDeployment and denies a wrong one",
        causes: &[
            "api-server-answers",
            "webhooks-not-orphaned",
            "controller-scaled",
            "controller-runs",
            "certificate-issued",
            "webhook-trusted",
            "webhook-reachable",
            "api-reaches-webhook",
        ],
        judge: answers,
    },
];

fn orphaned(world: &World) -> Result<Verdict, Verdict> {
    let missing = known(&world.missing_services)?;
    let mut found = Vec::new();
    let mut commands = Vec::new();
    for configuration in known(&world.webhooks)? {
        let mut services = configuration["webhooks"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| &it["clientConfig"]["service"])
            .filter_map(|it| {
                Some(format!(
                    "{}/{}",
                    it["namespace"].as_str()?,
                    it["name"].as_str()?
                ))
            });
        let Some(service) = services.find(|it| missing.contains(it)) else {
            continue;
        };
        let (kind, name) = (
            configuration["kind"].as_str().unwrap_or_default(),
            configuration["metadata"]["name"]
                .as_str()
                .unwrap_or_default(),
        );
        found.push(format!("{kind} `{name}` calls Service `{service}`, which is not there: all it watches is refused"));
        commands.push(format!("kubectl delete {} {name}", kind.to_lowercase()));
    }
    Ok(Verdict::unless(
        &found,
        &format!(
            "if its controller is gone for good: {}",
            commands.join("; ")
        ),
    ))
}

fn trusted(world: &World) -> Result<Verdict, Verdict> {
    let Some(ca) = known(&world.serving_ca)? else {
        return Ok(Verdict::broken(
            "Secret `actions-runner-controller-serving-cert` is not there, or has no ca.crt",
            "see why cert-manager does not issue it: `kubectl -n actions-runner-system describe certificate`",
        ));
    };
    let mut stale = Vec::new();
    let own = |name: &str| name.starts_with(names::CONTROLLER);
    for configuration in known(&world.webhooks)? {
        let name = configuration["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        if own(name) {
            stale.extend(without_authority(configuration, Some(ca)).map(|webhook| {
                format!("webhook `{webhook}` of `{name}` does not have the CA of its certificate")
            }));
        }
    }
    Ok(Verdict::unless(
        &stale,
        "restart what injects it: `kubectl -n cert-manager rollout restart deploy/cert-manager-cainjector`",
    ))
}

fn reachable(world: &World) -> Result<Verdict, Verdict> {
    let service = format!("{}-webhook", names::CONTROLLER);
    let ready = has_endpoint(known(&world.slices)?, &service);
    Ok(if ready {
        Verdict::Holds
    } else {
        Verdict::broken(
            format!("Service `actions-runner-system/{service}` has no ready endpoint"),
            "see why no pod is ready: `kubectl -n actions-runner-system get pods`",
        )
    })
}

fn answers(world: &World) -> Result<Verdict, Verdict> {
    proof(world, names::SYSTEM_NAMESPACE)
}

/// What the proof of the webhook in `namespace` says: the same that `up` waits for.
pub(super) fn proof(world: &World, namespace: &str) -> Result<Verdict, Verdict> {
    let start = format!("webhook/{namespace}/");
    let proof = known(&world.resources)?
        .iter()
        .find(|it| it.id.as_str().starts_with(&start));
    let Some(proof) = proof else {
        return Ok(Verdict::skipped("the profile asks for no such webhook"));
    };
    Ok(match known(&proof.observed)? {
        Observed::Present(present) => of(&present.readiness),
        Observed::Absent => Verdict::broken("it is not there", "make it with `arcctl up`"),
    })
}
