//! Checks of the runners' pods. Pure: no I/O.

use std::collections::HashMap;

use serde_json::Value;

use super::{github::of_pools, webhooks::controllers_log};
use crate::{
    desired::{names, resource::Id},
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{PodTrial, Snapshot},
    },
    resource::{
        events::seen,
        observed::{Observed, Ownership, Readiness},
        pod_readiness, waits_for_token,
    },
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "runner-pods-admitted",
        category: "runners",
        severity: Severity::Required,
        claim: "the API server admits the runner pods of each pool",
        causes: &[
            "api-server-answers",
            "github-credential",
            "webhooks-not-orphaned",
        ],
        judge: admitted,
    },
    Check {
        id: "pods-schedulable",
        category: "runners",
        severity: Severity::Required,
        claim: "every runner pod is scheduled",
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
            "controller-scaled",
            "controller-runs",
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
            "runner-pods-admitted",
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

/// The API server's response to a dry run of each pool's pod. A quota used up by the pool's own runners is no error.
fn admitted(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let (mut found, mut fixes) = (Vec::new(), Vec::new());
    for trial in known(&snapshot.pod_trials)? {
        let Some(refused) = known(&trial.refused)? else {
            continue;
        };
        if refused.lacks_room && has_its_minimum(snapshot, trial)? {
            continue;
        }
        found.push(format!(
            "pool `{}` in namespace `{}`: {}",
            trial.pool, trial.namespace, refused.said
        ));
        if !fixes.contains(&refused.fix.as_str()) {
            fixes.push(refused.fix.as_str());
        }
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

/// Whether the proof of the pool's pods holds.
fn has_its_minimum(snapshot: &Snapshot, trial: &PodTrial) -> Result<bool, Verdict> {
    let id = Id::new("runner-pods", Some(&trial.namespace), &trial.pool);
    let proof = known(&snapshot.resources)?.iter().find(|it| it.id == id);
    Ok(match proof.map(|it| known(&it.observed)) {
        Some(Ok(Observed::Present(present))) => present.readiness == Readiness::Ready,
        _ => false,
    })
}

/// The pods whose problem contains `part`, with what mends each.
fn with(snapshot: &Snapshot, part: &str) -> Result<Verdict, Verdict> {
    let events = known(&snapshot.runner_events)?;
    let stay = known(&snapshot.runner_pods)?
        .iter()
        .filter(|it| it["metadata"]["deletionTimestamp"].is_null());
    let mut found = Vec::new();
    let (mut left, mut fixes) = (Vec::new(), Vec::new());
    for pod in stay {
        let Readiness::Stuck { reason, hint, .. } = pod_readiness(pod, events) else {
            continue;
        };
        if !reason.contains(part) {
            continue;
        }
        if is_left_behind(pod) {
            found.push(format!(
                "{reason}; it belongs to an earlier template of its pool"
            ));
            left.push(pod);
        } else {
            found.push(reason);
            let fix = format!("{hint}; then run `arcctl up`");
            if !fixes.contains(&fix) {
                fixes.push(fix);
            }
        }
    }
    if let Some(namespace) = left.first().map(|it| namespace(it)) {
        let names: Vec<&str> = left.iter().map(|it| name(it)).collect();
        fixes.push(format!(
            "delete what never started: `kubectl -n {namespace} delete pod {}`",
            names.join(" ")
        ));
    }
    Ok(Verdict::unless(&found, &fixes.join("; ")))
}

/// Whether the controller waits forever to unregister it: a pod that never started was never registered
/// (`runner_graceful_stop.go` of ARC v0.27.6: it looks up the runner at GitHub every ten seconds, and does nothing until
/// it exists). Deleting such a pod removes it at once.
fn is_left_behind(pod: &Value) -> bool {
    let annotation = |key: &str| pod["metadata"]["annotations"][key].as_str();
    annotation("actions-runner/unregistration-request-timestamp").is_some()
        && annotation("actions-runner/id").is_none()
        && pod["status"]["phase"] == "Pending"
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

fn schedulable(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    with(snapshot, "is unschedulable:")
}

fn pullable(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    with(snapshot, "cannot pull its image:")
}

/// The controller's last event about each runner's token: it repeats a failure, and reports when it is over.
fn register(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let newest = newest_about_tokens(known(&snapshot.runner_events)?);
    let mut found = Vec::new();
    for runner in known(&snapshot.runners)? {
        let name = name(runner);
        let newest = newest.get(name);
        if let Some(event) = newest.filter(|it| it["reason"] == "FailedUpdateRegistrationToken") {
            let said = event["message"].as_str().unwrap_or_default();
            found.push(format!("Runner `{name}`: {said}"));
        } else if waits_for_token(runner, snapshot.now) {
            found.push(format!(
                "Runner `{name}` has no registration token for more than ten seconds"
            ));
        }
    }
    Ok(Verdict::unless(&found, &unreached(snapshot)))
}

/// The last event about its token, by Runner: with thousands of both, the events are read once.
fn newest_about_tokens(events: &[Value]) -> HashMap<&str, &Value> {
    let mut newest: HashMap<&str, &Value> = HashMap::new();
    for event in events {
        let object = &event["involvedObject"];
        let (Some(name), Some("FailedUpdateRegistrationToken" | "RegistrationTokenUpdated")) =
            (object["name"].as_str(), event["reason"].as_str())
        else {
            continue;
        };
        let is_older = |known: &&Value| seen(known) <= seen(event);
        if object["kind"] == "Runner" && newest.get(name).is_none_or(is_older) {
            newest.insert(name, event);
        }
    }
    newest
}

/// Why the controller gets no tokens. Its events do not contain the reason, so this compares: whether GitHub accepts the
/// profile's credential, and whether the Secret contains the same one. The remaining cause is the nodes' network.
pub(super) fn unreached(snapshot: &Snapshot) -> String {
    let command = snapshot.profile.controller.log_command();
    if snapshot.audit.is_err() {
        return format!(
            "see GitHub's error message in {}",
            controllers_log(snapshot)
        );
    }
    if let Some(fix) = another_credential(snapshot) {
        return fix;
    }
    let aws = snapshot.profile.aws.as_ref();
    let server = snapshot
        .profile
        .github
        .url
        .as_deref()
        .unwrap_or("https://api.github.com");
    if aws.is_some_and(|it| it.github_server.is_some()) {
        return format!(
            "GitHub accepts the profile's credential. `arcctl doctor --probe` tests whether the nodes can connect to {server} (routes, network ACLs, its own firewall, `proxy`) and trust its certificate (`github.caBundle`); the controller's log shows the error: `{command}`"
        );
    }
    let groups = match snapshot.node_groups.as_deref() {
        Ok([]) | Err(_) => String::new(),
        Ok(groups) => format!("the nodes' security groups are {}; ", groups.join(", ")),
    };
    format!(
        "GitHub accepts the profile's credential. `arcctl doctor --probe` tests whether the nodes can connect to {server} on TCP 443 and trust its certificate. If they cannot connect: {groups}set `aws.githubServer` in the profile and run `arcctl up`, or set `proxy`; if they do not trust it: set `github.caBundle`; the controller's log shows the error: `{command}`"
    )
}

/// The fix if the controller's Secret contains another credential than the profile, and GitHub accepts the profile's;
/// `None` if it is the same one, or unknown.
pub(super) fn another_credential(snapshot: &Snapshot) -> Option<String> {
    if snapshot.audit.is_err() {
        return None;
    }
    let resources = snapshot.resources.as_ref().ok()?;
    let secret = resources
        .iter()
        .find(|it| it.id.kind() == "secret" && it.id.name() == names::CONTROLLER_SECRET)?;
    let Ok(Observed::Present(present)) = &secret.observed else {
        return None;
    };
    let differs = present
        .differences
        .iter()
        .any(|it| it.path.starts_with("data."));
    let command = match present.ownership {
        Ownership::Foreign { .. } => {
            "take the Secret over with `arcctl up --adopt`, then write it with `arcctl up`"
        }
        _ => "write it with `arcctl up`",
    };
    differs.then(|| {
        format!(
            "GitHub accepts the profile's credential, but Secret `{}/{}` contains another one: {command}",
            secret.id.namespace().unwrap_or_default(),
            names::CONTROLLER_SECRET
        )
    })
}

fn run(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    of_pools(snapshot, "runner-pods")
}

/// How many seconds a deletion may take: a pod that waits for a job has a reason for it.
const DELETION_SECONDS: i64 = 600;

fn deleting(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let late = |it: &&Value| {
        let since = it["metadata"]["deletionTimestamp"]
            .as_str()
            .and_then(|it| it.parse::<jiff::Timestamp>().ok());
        since.is_some_and(|it| snapshot.now.duration_since(it).as_secs() > DELETION_SECONDS)
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
    let found: Vec<String> = known(&snapshot.runners)?
        .iter()
        .chain(known(&snapshot.runner_pods)?)
        .filter(late)
        .map(said)
        .collect();
    Ok(Verdict::unless(
        &found,
        &format!(
            "the controller removes them when it runs and GitHub accepts its credential: fix these first, then check its log with `{}`",
            snapshot.profile.controller.log_command()
        ),
    ))
}

fn memory(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let mut found = Vec::new();
    for pod in known(&snapshot.runner_pods)? {
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
