//! Checks of the runners' pods. Pure: no I/O.

use serde_json::Value;

use super::{
    check::{Check, Severity, Verdict, known},
    github::of_pools,
    world::World,
};
use crate::resource::pod_readiness;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "pods-schedulable",
        category: "runners",
        severity: Severity::Required,
        claim: "every runner pod has found a node",
        causes: &["api-server-answers", "nodes-ready"],
        judge: schedulable,
    },
    Check {
        id: "images-pullable",
        category: "runners",
        severity: Severity::Required,
        claim: "every runner pod can pull its images",
        causes: &["api-server-answers"],
        judge: pullable,
    },
    Check {
        id: "runners-register",
        category: "runners",
        severity: Severity::Required,
        claim: "the controller gets a registration token for every runner",
        causes: &[
            "api-server-answers",
            "secret-complete",
            "secret-clean",
            "controller-reads-secret",
            "github-credential",
            "nodes-reach-server",
            "probe-connects",
            "probe-trusts",
            "probe-is-answered",
        ],
        judge: register,
    },
    Check {
        id: "runner-pods-run",
        category: "runners",
        severity: Severity::Required,
        claim: "each pool has its minimum of pods running",
        causes: &[
            "api-server-answers",
            "pods-schedulable",
            "images-pullable",
            "webhooks-not-orphaned",
            "controller-scaled",
            "controller-runs",
            "webhook-answers",
            "runners-register",
            "secret-complete",
            "github-credential",
            "autoscaler-works",
        ],
        judge: run,
    },
    Check {
        id: "nothing-stuck-deleting",
        category: "runners",
        severity: Severity::Required,
        claim: "no runner waits for its deletion for more than ten minutes",
        causes: &[
            "api-server-answers",
            "controller-scaled",
            "controller-runs",
            "webhooks-not-orphaned",
            "github-credential",
        ],
        judge: deleting,
    },
    Check {
        id: "runner-memory-suffices",
        category: "runners",
        severity: Severity::Advice,
        claim: "no runner's container ran out of memory",
        causes: &["api-server-answers"],
        judge: memory,
    },
];

/// What is wrong with the pods that stay, where its words have `part`.
fn with(world: &World, part: &str, fix: &str) -> Result<Verdict, Verdict> {
    let events = known(&world.runner_events)?;
    let found: Vec<String> = known(&world.runner_pods)?
        .iter()
        .filter(|it| it["metadata"]["deletionTimestamp"].is_null())
        .filter_map(|it| pod_readiness(it, events).reason().map(str::to_owned))
        .filter(|it| it.contains(part))
        .collect();
    Ok(Verdict::unless(&found, fix))
}

fn schedulable(world: &World) -> Result<Verdict, Verdict> {
    with(
        world,
        "is unschedulable:",
        "add nodes that fit, or change instanceType, nodeSelector, tolerations or resources in the profile; then `arcctl up`",
    )
}

fn pullable(world: &World) -> Result<Verdict, Verdict> {
    with(
        world,
        "cannot pull its image:",
        "check the image's name and tag in the profile, and images.registry and pullSecrets for a mirror; then `arcctl up`",
    )
}

/// What the controller last said of each runner's token: it repeats a failure, and says when it is over.
fn register(world: &World) -> Result<Verdict, Verdict> {
    let events = known(&world.runner_events)?;
    let mut found = Vec::new();
    for runner in known(&world.runners)? {
        let name = runner["metadata"]["name"].as_str().unwrap_or_default();
        let newest = events
            .iter()
            .filter(|it| {
                it["involvedObject"]["name"] == name && it["involvedObject"]["kind"] == "Runner"
            })
            .filter(|it| {
                matches!(
                    it["reason"].as_str(),
                    Some("FailedUpdateRegistrationToken" | "RegistrationTokenUpdated")
                )
            })
            .max_by_key(|it| it["lastTimestamp"].as_str().unwrap_or_default());
        if let Some(event) = newest.filter(|it| it["reason"] == "FailedUpdateRegistrationToken") {
            let said = event["message"].as_str().unwrap_or_default();
            found.push(format!("Runner `{name}`: {said}"));
        }
    }
    Ok(Verdict::unless(
        &found,
        "see what GitHub said in the controller's log: `kubectl -n actions-runner-system logs deploy/actions-runner-controller -c manager`",
    ))
}

fn run(world: &World) -> Result<Verdict, Verdict> {
    of_pools(world, "runner-pods")
}

/// How long a deletion may take: a job is waited for, but then its pod says so.
const DELETION_SECONDS: i64 = 600;

fn deleting(world: &World) -> Result<Verdict, Verdict> {
    let late = |it: &&Value| {
        let since = it["metadata"]["deletionTimestamp"]
            .as_str()
            .and_then(|it| it.parse::<jiff::Timestamp>().ok());
        since.is_some_and(|it| world.now.duration_since(it).as_secs() > DELETION_SECONDS)
    };
    let said = |it: &Value| {
        let name = it["metadata"]["name"].as_str().unwrap_or_default();
        let kind = it["kind"].as_str().unwrap_or("Pod");
        let finalizers: Vec<&str> = it["metadata"]["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        format!("{kind} `{name}` waits for {}", finalizers.join(", "))
    };
    let found: Vec<String> = known(&world.runners)?
        .iter()
        .chain(known(&world.runner_pods)?)
        .filter(late)
        .map(said)
        .collect();
    Ok(Verdict::unless(
        &found,
        "the controller takes them away once it runs and GitHub takes its credential: mend these first, then look at its log with `kubectl -n actions-runner-system logs deploy/actions-runner-controller -c manager`",
    ))
}

fn memory(world: &World) -> Result<Verdict, Verdict> {
    let mut found = Vec::new();
    for pod in known(&world.runner_pods)? {
        let killed = pod["status"]["containerStatuses"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| {
                ["lastState", "state"]
                    .iter()
                    .any(|state| it[*state]["terminated"]["reason"] == "OOMKilled")
            });
        for container in killed {
            found.push(format!(
                "container `{}` of pod `{}` was OOMKilled",
                container["name"].as_str().unwrap_or_default(),
                pod["metadata"]["name"].as_str().unwrap_or_default()
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "give it more with resources.runner or resources.docker of the pool, then `arcctl up`",
    ))
}
