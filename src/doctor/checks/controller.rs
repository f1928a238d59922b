//! Checks of the controller and of its Secret. Pure: no I/O.

use serde_json::Value;

use super::{cert_manager::of, webhooks::controllers_log};
use crate::{
    desired::names,
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{Shape, Snapshot},
    },
    resource::{
        is_ready, kubernetes::rollout, observed::Readiness, other_controllers::others,
        pod_readiness, worst_readiness,
    },
    units::{image::Image, version::triple},
};

pub(crate) const CHECKS: &[Check] = &[
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
        severity: Severity::Advice,
        claim: "the controller supports this Kubernetes version",
        causes: &["api-server-answers"],
        judge: fits,
    },
    Check {
        id: "controller-scaled",
        category: "controller",
        severity: Severity::Required,
        claim: "the controller's Deployment exists and is not scaled to 0",
        causes: &["api-server-answers", "resources-there"],
        judge: scaled,
    },
    Check {
        id: "controller-runs",
        category: "controller",
        severity: Severity::Required,
        claim: "a pod of the controller runs",
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
    // One pod leads and the others are standby: too few of them do not affect runners.
    Check {
        id: "controller-replicas",
        category: "controller",
        severity: Severity::Required,
        claim: "the controller has the replicas of the profile, and each of them runs",
        causes: &[
            "api-server-answers",
            "controller-scaled",
            "controller-runs",
            "controller-fits-kubernetes",
            "nodes-ready",
        ],
        judge: replicas,
    },
    Check {
        id: "controllers-apart",
        category: "controller",
        severity: Severity::Required,
        claim: "no other Actions Runner Controller watches the same runners",
        causes: &["api-server-answers"],
        judge: apart,
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

/// The credentials that the controller can use, by the keys they need.
const CREDENTIALS: [&[&str]; 3] = [
    &["github_token"],
    &[
        "github_app_id",
        "github_app_installation_id",
        "github_app_private_key",
    ],
    &["github_basicauth_password"],
];

fn complete(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let fix = "write it with `arcctl up`";
    let namespace = &snapshot.profile.controller.namespace;
    let name = format!("Secret `{namespace}/{}`", names::CONTROLLER_SECRET);
    let Some(secret) = known(&snapshot.secret)? else {
        return Ok(Verdict::broken(
            format!("{name} does not exist: the controller's next pod waits for it for ever"),
            fix,
        ));
    };
    let has = |key: &&str| secret.keys.get(*key).is_some_and(|it| *it != Shape::Empty);
    Ok(if CREDENTIALS.iter().any(|keys| keys.iter().all(has)) {
        Verdict::Holds
    } else {
        Verdict::broken(
            format!("{name} has neither github_token nor all keys of a GitHub App"),
            fix,
        )
    })
}

fn clean(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let Some(secret) = known(&snapshot.secret)? else {
        return Ok(Verdict::skipped("the Secret does not exist"));
    };
    // A private key ends with a newline.
    let spaced: Vec<String> = secret
        .keys
        .iter()
        .filter(|(key, shape)| **shape == Shape::Spaced && *key != "github_app_private_key")
        .map(|(key, _)| format!("`{key}` has white space around its value"))
        .collect();
    Ok(Verdict::unless(&spaced, "write it anew with `arcctl up`"))
}

fn fits(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let kubernetes = *known(&snapshot.kubernetes)?;
    let Some(deployment) = known(&snapshot.controller)? else {
        return Ok(Verdict::skipped("the controller does not exist"));
    };
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array();
    let manager = containers
        .into_iter()
        .flatten()
        .find(|it| it["name"] == "manager");
    let image = manager
        .and_then(|it| it["image"].as_str())
        .unwrap_or_default();
    let tag = Image::parse(image)
        .and_then(|it| it.tag)
        .unwrap_or_default();
    let Some(number) = tag.strip_prefix('v') else {
        return Ok(Verdict::skipped(format!(
            "image `{image}` does not tell its version"
        )));
    };
    if triple(number) >= (0, 27, 6) || kubernetes < (1, 27) {
        return Ok(Verdict::Holds);
    }
    let (major, minor) = kubernetes;
    let pods = pods(snapshot)?;
    let found = if pods.iter().any(|it| has_panicked(it)) {
        format!("image `{image}` panics on Kubernetes {major}.{minor}")
    } else if !pods.is_empty() && pods.iter().all(|it| is_ready(it)) {
        format!(
            "image `{image}` is known to panic on Kubernetes {major}.{minor}; none of its pods has done so yet"
        )
    } else {
        // Another check reports why they do not run.
        return Ok(Verdict::skipped(format!(
            "the pods of image `{image}` do not run, and none of them has panicked"
        )));
    };
    Ok(Verdict::broken(
        found,
        "set controller.chartVersion to 0.23.7, which has v0.27.6, and run `arcctl up`",
    ))
}

/// The exit code of a Go program after a panic (source: Go's runtime, `panic.go`); it is 137 after an OOM kill, and 1
/// after a lost lease.
const GO_PANIC: i64 = 2;

/// Whether the manager container of a pod ended with a panic.
fn has_panicked(pod: &Value) -> bool {
    let statuses = pod["status"]["containerStatuses"].as_array();
    statuses
        .into_iter()
        .flatten()
        .filter(|it| it["name"] == "manager")
        .flat_map(|it| [&it["state"]["terminated"], &it["lastState"]["terminated"]])
        .any(|it| it["exitCode"] == GO_PANIC)
}

fn scaled(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let (namespace, name) = (
        &snapshot.profile.controller.namespace,
        snapshot.profile.controller.full_name(),
    );
    Ok(match known(&snapshot.controller)? {
        None => Verdict::broken(
            format!("Deployment `{namespace}/{name}` does not exist"),
            "create it with `arcctl up`",
        ),
        Some(it) => {
            let wanted = snapshot.profile.controller.replicas;
            match it["spec"]["replicas"].as_u64() {
                Some(0) if wanted != 0 => Verdict::broken(
                    format!(
                        "Deployment `{namespace}/{name}` is scaled to 0: no runner is made, and none can be deleted"
                    ),
                    "fix it with `arcctl up`",
                ),
                _ => Verdict::Holds,
            }
        }
    })
}

/// The controller's pods that should serve.
fn pods(snapshot: &Snapshot) -> Result<Vec<&Value>, Verdict> {
    let ended = |pod: &&Value| {
        matches!(
            pod["status"]["phase"].as_str(),
            Some("Failed" | "Succeeded")
        ) || !pod["metadata"]["deletionTimestamp"].is_null()
    };
    let ours = |pod: &&Value| {
        let labels = &pod["metadata"]["labels"];
        let release = labels["app.kubernetes.io/instance"].as_str();
        labels["app.kubernetes.io/name"] == names::CONTROLLER
            && release.is_none_or(|it| it == snapshot.profile.controller.release)
    };
    Ok(known(&snapshot.controller_pods)?
        .iter()
        .filter(|it| ours(it) && !ended(it))
        .collect())
}

fn runs(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let (pods, events) = (pods(snapshot)?, known(&snapshot.controller_events)?);
    if pods.is_empty() {
        if let Some(deployment) = known(&snapshot.controller)?
            && let stuck @ Readiness::Stuck { .. } = rollout::readiness(deployment, &[], events)
        {
            return Ok(of(&stuck, &controllers_log(snapshot)));
        }
        return Ok(Verdict::broken(
            "the controller has no pod",
            format!(
                "see why with `kubectl -n {} describe deploy,replicaset`",
                snapshot.profile.controller.namespace
            ),
        ));
    }
    if pods.iter().any(|it| is_ready(it)) {
        return Ok(Verdict::Holds);
    }
    Ok(of(
        &worst_readiness(pods.iter().map(|it| pod_readiness(it, events))),
        &controllers_log(snapshot),
    ))
}

/// The number of the controller's ready pods, if it is not zero and less than in the profile: one of them leads, or will
/// once the previous leader's lease expires.
pub(super) fn some_are_ready(snapshot: &Snapshot) -> Result<Option<usize>, Verdict> {
    let ready = pods(snapshot)?
        .into_iter()
        .filter(|it| is_ready(it))
        .count();
    let wanted = usize::try_from(snapshot.profile.controller.replicas).unwrap_or(usize::MAX);
    Ok((1..wanted).contains(&ready).then_some(ready))
}

fn replicas(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let controller = &snapshot.profile.controller;
    let (namespace, name) = (&controller.namespace, controller.full_name());
    let wanted = controller.replicas;
    let Some(deployment) = known(&snapshot.controller)? else {
        return Ok(Verdict::skipped("the controller does not exist"));
    };
    match deployment["spec"]["replicas"].as_u64() {
        Some(0) => return Ok(Verdict::skipped("the controller is scaled to 0")),
        Some(live) if live != u64::from(wanted) => {
            return Ok(Verdict::broken(
                format!(
                    "Deployment `{namespace}/{name}` is scaled to {live}, and the profile says {wanted}"
                ),
                "fix it with `arcctl up`",
            ));
        }
        _ => {}
    }
    let (pods, events) = (pods(snapshot)?, known(&snapshot.controller_events)?);
    let waiting: Vec<&&Value> = pods.iter().filter(|it| !is_ready(it)).collect();
    let Some(ready) = some_are_ready(snapshot)? else {
        // No pod: `controller-runs` reports that. All, and more that do not start: a rollout that is stuck.
        return Ok(match waiting.len() {
            0 if !pods.is_empty() => Verdict::Holds,
            count if count == pods.len() => Verdict::skipped("no pod of the controller runs"),
            _ => worst_of(snapshot, &waiting, events),
        });
    };
    let short = if waiting.is_empty() {
        of(
            &rollout::readiness(deployment, &[], events),
            &controllers_log(snapshot),
        )
    } else {
        worst_of(snapshot, &waiting, events)
    };
    let told = format!(
        "{ready} of {wanted} pods of the controller {} ready, and one of them makes the runners",
        if ready == 1 { "is" } else { "are" }
    );
    Ok(match short {
        Verdict::Broken {
            found,
            fix,
            refused,
        } => Verdict::Broken {
            found: format!("{told}: {found}"),
            fix,
            refused,
        },
        _ => Verdict::broken(
            told,
            format!("see why with `kubectl -n {namespace} describe deploy,replicaset`"),
        ),
    })
}

/// The reason of the worst of `waiting`.
fn worst_of(snapshot: &Snapshot, waiting: &[&&Value], events: &[Value]) -> Verdict {
    let each = waiting.iter().map(|it| pod_readiness(it, events));
    of(&worst_readiness(each), &controllers_log(snapshot))
}

fn apart(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    // A Service in another team's namespace that may not be read is assumed to exist.
    let missing = snapshot.missing_services.as_ref().ok();
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for other in others(known(&snapshot.webhooks)?, &snapshot.profile) {
        let is_gone = |(namespace, name): &(String, String)| {
            missing.is_some_and(|it| it.contains(&format!("{namespace}/{name}")))
        };
        // `webhooks-not-orphaned` reports the remains of an uninstalled controller.
        if other.services.iter().any(is_gone) {
            continue;
        }
        if let Some(shared) = other.shares(&snapshot.profile) {
            found.push(format!(
                "another controller {}",
                other.words(&snapshot.profile, &shared)
            ));
            let fix = other.way_out(&snapshot.profile);
            if !fixes.contains(&fix) {
                fixes.push(fix);
            }
        }
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

fn fresh(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let Some(secret) = known(&snapshot.secret)? else {
        return Ok(Verdict::skipped("the Secret does not exist"));
    };
    let mut stale = Vec::new();
    for pod in pods(snapshot)?.into_iter().filter(|it| is_ready(it)) {
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
