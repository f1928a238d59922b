//! Checks of the controller and of the Secret it reads. Pure: no I/O.

use serde_json::Value;

use super::{
    cert_manager::of,
    check::{Check, Severity, Verdict, known},
    world::{Shape, World},
};
use crate::{
    desired::{names, version::triple},
    resource::{is_ready, pod_readiness, worst_readiness},
};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "secret-complete",
        category: "controller",
        severity: Severity::Required,
        claim: "the Secret `controller-manager` has a credential",
        causes: &["api-server-answers", "resources-there"],
        judge: complete,
    },
    Check {
        id: "secret-clean",
        category: "controller",
        severity: Severity::Required,
        claim: "the token in the Secret has no white space around it",
        causes: &["api-server-answers", "secret-complete"],
        judge: clean,
    },
    Check {
        id: "controller-fits-kubernetes",
        category: "controller",
        severity: Severity::Required,
        claim: "the controller's version runs on this Kubernetes",
        causes: &["api-server-answers"],
        judge: fits,
    },
    Check {
        id: "controller-scaled",
        category: "controller",
        severity: Severity::Required,
        claim: "the controller's Deployment is there and not scaled to 0",
        causes: &["api-server-answers", "resources-there"],
        judge: scaled,
    },
    Check {
        id: "controller-runs",
        category: "controller",
        severity: Severity::Required,
        claim: "the controller's pods run",
        causes: &[
            "api-server-answers",
            "controller-scaled",
            "secret-complete",
            "controller-fits-kubernetes",
            "certificate-issued",
            "nodes-ready",
        ],
        judge: runs,
    },
    Check {
        id: "controller-reads-secret",
        category: "controller",
        severity: Severity::Required,
        claim: "the controller has started since the Secret last changed",
        causes: &["api-server-answers", "secret-complete", "controller-scaled"],
        judge: fresh,
    },
];

/// What the controller can authenticate with, by the keys it needs.
const CREDENTIALS: [&[&str]; 3] = [
    &["github_token"],
    &[
        "github_app_id",
        "github_app_installation_id",
        "github_app_private_key",
    ],
    &["github_basicauth_password"],
];

fn complete(world: &World) -> Result<Verdict, Verdict> {
    let fix = "write it with `arcctl up`";
    let Some(secret) = known(&world.secret)? else {
        return Ok(Verdict::broken(
            "Secret `actions-runner-system/controller-manager` is not there: the controller's next pod waits for it for ever",
            fix,
        ));
    };
    let has = |key: &&str| secret.keys.get(*key).is_some_and(|it| *it != Shape::Empty);
    Ok(if CREDENTIALS.iter().any(|keys| keys.iter().all(has)) {
        Verdict::Holds
    } else {
        Verdict::broken(
            "Secret `actions-runner-system/controller-manager` has neither github_token nor all keys of a GitHub App",
            fix,
        )
    })
}

fn clean(world: &World) -> Result<Verdict, Verdict> {
    let Some(secret) = known(&world.secret)? else {
        return Ok(Verdict::skipped("the Secret is not there"));
    };
    // A private key ends with a line of its own.
    let spaced: Vec<String> = secret
        .keys
        .iter()
        .filter(|(key, shape)| **shape == Shape::Spaced && *key != "github_app_private_key")
        .map(|(key, _)| format!("`{key}` has white space around its value"))
        .collect();
    Ok(Verdict::unless(&spaced, "write it anew with `arcctl up`"))
}

fn fits(world: &World) -> Result<Verdict, Verdict> {
    let kubernetes = *known(&world.kubernetes)?;
    let Some(deployment) = known(&world.controller)? else {
        return Ok(Verdict::skipped("the controller is not there"));
    };
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    let manager = containers
        .into_iter()
        .flatten()
        .find(|it| it["name"] == "manager");
    let image = manager
        .and_then(|it| it["image"].as_str())
        .unwrap_or_default();
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    let Some(number) = tag.strip_prefix('v') else {
        return Ok(Verdict::skipped(format!(
            "image `{image}` does not tell its version"
        )));
    };
    Ok(if triple(number) < (0, 27, 6) && kubernetes >= (1, 27) {
        Verdict::broken(
            format!(
                "image `{image}` panics on Kubernetes {}.{}: it needs v0.27.6",
                kubernetes.0, kubernetes.1
            ),
            "set controller.chartVersion to 0.23.7 and run `arcctl up`",
        )
    } else {
        Verdict::Holds
    })
}

fn scaled(world: &World) -> Result<Verdict, Verdict> {
    let name = names::CONTROLLER;
    Ok(match known(&world.controller)? {
        None => Verdict::broken(
            format!("Deployment `actions-runner-system/{name}` is not there"),
            "make it with `arcctl up`",
        ),
        Some(it) if it["spec"]["replicas"] == 0 => Verdict::broken(
            format!(
                "Deployment `actions-runner-system/{name}` is scaled to 0: no runner is made, and none can be deleted"
            ),
            "set it right with `arcctl up`",
        ),
        Some(_) => Verdict::Holds,
    })
}

/// The controller's pods that are meant to serve.
fn pods(world: &World) -> Result<Vec<&Value>, Verdict> {
    let ended = |pod: &&Value| {
        matches!(
            pod["status"]["phase"].as_str(),
            Some("Failed" | "Succeeded")
        ) || !pod["metadata"]["deletionTimestamp"].is_null()
    };
    let ours =
        |pod: &&Value| pod["metadata"]["labels"]["app.kubernetes.io/name"] == names::CONTROLLER;
    Ok(known(&world.controller_pods)?
        .iter()
        .filter(|it| ours(it) && !ended(it))
        .collect())
}

fn runs(world: &World) -> Result<Verdict, Verdict> {
    let (pods, events) = (pods(world)?, known(&world.controller_events)?);
    if pods.is_empty() {
        return Ok(Verdict::broken(
            "the controller has no pod",
            "see why with `kubectl -n actions-runner-system describe deploy,replicaset`",
        ));
    }
    Ok(of(&worst_readiness(
        pods.iter().map(|it| pod_readiness(it, events)),
    )))
}

fn fresh(world: &World) -> Result<Verdict, Verdict> {
    let Some(secret) = known(&world.secret)? else {
        return Ok(Verdict::skipped("the Secret is not there"));
    };
    let mut stale = Vec::new();
    for pod in pods(world)?.into_iter().filter(|it| is_ready(it)) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        match pod["metadata"]["annotations"]["arcctl.dev/secret-version"].as_str() {
            None => {
                return Ok(Verdict::skipped(
                    "arcctl did not make the controller's pods",
                ));
            }
            Some(version) if version == secret.version => {}
            Some(_) => stale.push(format!(
                "pod `{name}` has read an older `controller-manager`"
            )),
        }
    }
    Ok(Verdict::unless(&stale, "restart it with `arcctl up`"))
}
