//! Checks of the admission webhooks. Pure: no I/O.

use super::{cert_manager::of, controller::some_are_ready};
use crate::{
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::Snapshot,
    },
    resource::{
        has_endpoint, is_ready, kubernetes::rollout::cert_manager_parts, observed::Observed,
        services, without_authority,
    },
};

pub(crate) const CHECKS: &[Check] = &[
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
            "cert-manager-scaled",
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

fn orphaned(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let missing = known(&snapshot.missing_services)?;
    let mut found = Vec::new();
    let mut commands = Vec::new();
    for configuration in known(&snapshot.webhooks)? {
        let mut called =
            services(configuration).map(|(namespace, name)| format!("{namespace}/{name}"));
        let Some(service) = called.find(|it| missing.contains(it)) else {
            continue;
        };
        let (kind, name) = (
            configuration["kind"].as_str().unwrap_or_default(),
            configuration["metadata"]["name"]
                .as_str()
                .unwrap_or_default(),
        );
        found.push(format!("{kind} `{name}` calls Service `{service}`, which does not exist: all it watches is refused"));
        commands.push(format!("kubectl delete {} {name}", kind.to_lowercase()));
    }
    let by_hand = format!(
        "if its controller is gone for good: {}",
        commands.join("; ")
    );
    let fix = if mended_by_up(snapshot) {
        format!("make the Service again with `arcctl up`; {by_hand}")
    } else if lives(snapshot) {
        format!(
            "cert-manager's pods run: make its Service again with what installed it (helm's values are kept: `helm upgrade --reuse-values`; or apply its manifest again); {by_hand}"
        )
    } else {
        by_hand
    };
    Ok(Verdict::unless(&found, &fix))
}

/// Whether a missing Service belongs to an existing cert-manager that runs: its webhook is needed.
fn lives(snapshot: &Snapshot) -> bool {
    let (Ok(missing), Ok(namespace)) =
        (&snapshot.missing_services, &snapshot.cert_manager_namespace)
    else {
        return false;
    };
    let of_it = missing
        .iter()
        .any(|it| it.split_once('/').is_some_and(|(it, _)| it == namespace));
    let pods = snapshot.cert_manager_pods.iter().flatten();
    of_it && pods.into_iter().any(is_ready)
}

/// Whether one of the missing Services belongs to an installed release of the profile: `up` creates it again.
fn mended_by_up(snapshot: &Snapshot) -> bool {
    let (Ok(missing), Ok(resources)) = (&snapshot.missing_services, &snapshot.resources) else {
        return false;
    };
    let controller = &snapshot.profile.controller;
    let service = |namespace: &str, release: &str| {
        let is_controller = namespace == controller.namespace && release == controller.release;
        if is_controller {
            controller.webhook_service()
        } else {
            format!("{release}-webhook")
        }
    };
    resources
        .iter()
        .filter(|it| it.id.kind() == "helm-release")
        .filter(|it| matches!(it.observed, Ok(Observed::Present(_))))
        .any(|it| {
            let (namespace, release) = (it.id.namespace().unwrap_or_default(), it.id.name());
            missing.contains(&format!("{namespace}/{}", service(namespace, release)))
        })
}

fn trusted(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let controller = &snapshot.profile.controller;
    let Some(ca) = known(&snapshot.serving_ca)? else {
        return Ok(Verdict::broken(
            format!(
                "Secret `{}` does not exist, or has no ca.crt",
                controller.serving_certificate()
            ),
            format!(
                "see why cert-manager does not issue it: `kubectl -n {} describe certificate`",
                controller.namespace
            ),
        ));
    };
    let mut stale = Vec::new();
    let full_name = controller.full_name();
    let own = |name: &str| {
        let kind = name.strip_prefix(full_name.as_str());
        kind.is_some_and(|it| {
            it.ends_with("-webhook-configuration") && it.matches('-').count() == 3
        })
    };
    for configuration in known(&snapshot.webhooks)? {
        let name = configuration["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        if own(name) {
            stale.extend(without_authority(configuration, Some(ca)).map(|webhook| {
                format!("webhook `{webhook}` of `{name}` does not have the CA of its certificate")
            }));
        }
    }
    let namespace = known(&snapshot.cert_manager_namespace)?;
    let injector = cert_manager_parts(known(&snapshot.cert_manager)?)
        .into_iter()
        .find_map(|(part, it)| (part == "cainjector").then_some(it).flatten());
    let injector = injector.and_then(|it| it["metadata"]["name"].as_str());
    let fix = format!(
        "restart what injects it: `kubectl -n {namespace} rollout restart deploy/{}`",
        injector.unwrap_or("cert-manager-cainjector")
    );
    Ok(Verdict::unless(&stale, &fix))
}

fn reachable(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let (namespace, service) = (
        &snapshot.profile.controller.namespace,
        snapshot.profile.controller.webhook_service(),
    );
    let ready = has_endpoint(known(&snapshot.slices)?, &service);
    Ok(if ready {
        Verdict::Holds
    } else {
        Verdict::broken(
            format!("Service `{namespace}/{service}` has no ready endpoint"),
            format!("see why no pod is ready: `kubectl -n {namespace} get pods`"),
        )
    })
}

fn answers(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let service = snapshot.profile.controller.webhook_service();
    let verdict = proof(snapshot, &service, &controllers_log(snapshot))?;
    // The proof calls every pod, and does nothing before all of them are ready.
    Ok(match some_are_ready(snapshot) {
        Ok(Some(ready)) if verdict.is_wrong() => Verdict::skipped(format!(
            "it is only tried where all pods of the controller are ready; of {} there are {ready}: see `controller-replicas`",
            snapshot.profile.controller.replicas
        )),
        _ => verdict,
    })
}

/// The command that shows the controller's log.
pub(super) fn controllers_log(snapshot: &Snapshot) -> String {
    let command = snapshot.profile.controller.log_command();
    format!("the controller's log: `{command}`")
}

/// The result of the proof of the webhook behind `service`: the one that `up` waits for.
pub(super) fn proof(snapshot: &Snapshot, service: &str, look: &str) -> Result<Verdict, Verdict> {
    let proof = known(&snapshot.resources)?
        .iter()
        .find(|it| it.id.kind() == "webhook" && it.id.name() == service);
    let Some(proof) = proof else {
        return Ok(Verdict::skipped("the profile asks for no such webhook"));
    };
    Ok(match known(&proof.observed)? {
        Observed::Present(present) => of(&present.readiness, look),
        Observed::Absent => Verdict::broken("it does not exist", "create it with `arcctl up`"),
    })
}
