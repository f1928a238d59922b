//! Checks of GitHub: the credential, and the registered runners. Pure: no I/O.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{cert_manager::of, webhooks::controllers_log};
use crate::{
    desired::pool::both_modes::runner_labels,
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{Registered, Snapshot},
    },
    error::System,
    profile::Pool,
    resource::{
        observed::{Observed, Readiness},
        pod_readiness,
        scale_sets::objects::set_of,
    },
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "github-credential",
        category: "github",
        severity: Severity::Required,
        claim: "GitHub accepts the credential and lets it register runners",
        causes: &[
            "aws-credentials",
            "eks-cluster",
            "api-server-answers",
            "helm-usable",
        ],
        judge: credential,
    },
    Check {
        id: "github-credential-wise",
        category: "github",
        severity: Severity::Advice,
        claim: "the credential does not expire soon, is not personal, and is within the rate limit",
        causes: &["github-credential"],
        judge: lint,
    },
    Check {
        id: "runner-groups",
        category: "github",
        severity: Severity::Required,
        claim: "the pools' runner groups exist and admit the repositories that need them",
        causes: &["github-credential"],
        judge: groups,
    },
    Check {
        id: "runner-groups-wise",
        category: "github",
        severity: Severity::Advice,
        claim: "the pools' runner groups admit neither too many repositories nor too few",
        causes: &["github-credential", "runner-groups"],
        judge: groups_wise,
    },
    Check {
        id: "runners-online",
        category: "github",
        severity: Severity::Required,
        claim: "each pool has its minimum of runners online at GitHub",
        causes: &[
            "api-server-answers",
            "github-credential",
            "runner-groups",
            "webhooks-not-orphaned",
            "secret-complete",
            "secret-clean",
            "controller-scaled",
            "controller-runs",
            "controller-reads-secret",
            "webhook-answers",
            "pods-schedulable",
            "images-pullable",
            "runners-register",
            "runner-pods-run",
            "nodes-reach-server",
            "probe-connects",
            "probe-trusts",
            "probe-is-answered",
        ],
        judge: online,
    },
    Check {
        id: "no-ghost-runners",
        category: "github",
        severity: Severity::Advice,
        claim: "GitHub has no offline runner whose pod is gone",
        causes: &["api-server-answers", "github-credential"],
        judge: no_ghosts,
    },
];

/// How long the pod of a new runner may need to be online, if other runners of its pool are online.
const TURNOVER: SignedDuration = SignedDuration::from_mins(2);

const FIX_GHOSTS: &str = "remove them at GitHub with `arcctl doctor --fix`";

fn credential(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    snapshot
        .audit
        .as_ref()
        .map_err(|error| match error.system {
            // GitHub was not called, because the credential's store or another system did not respond.
            System::Aws | System::Kubernetes | System::Helm => Verdict::unknown(error),
            _ => Verdict::of(error),
        })?;
    Ok(Verdict::Holds)
}

fn lint(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    Ok(Verdict::unless(
        known(&snapshot.audit)?,
        "make a token as it says, and name it under github.token in the profile",
    ))
}

fn groups(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let groups = known(&snapshot.groups)?;
    Ok(Verdict::unless(&groups.broken, &groups.fix))
}

fn groups_wise(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    Ok(Verdict::unless(
        &known(&snapshot.groups)?.advice,
        "change it where the group is configured at GitHub, unless it is meant so",
    ))
}

fn online(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    of_pools(snapshot, "registration")
}

/// The worst of the proofs of `kind`, one per pool: the ones that `up` waits for.
pub(super) fn of_pools(snapshot: &Snapshot, kind: &str) -> Result<Verdict, Verdict> {
    let proofs = known(&snapshot.resources)?
        .iter()
        .filter(|it| it.id.kind() == kind);
    for proof in proofs {
        let Observed::Present(present) = known(&proof.observed)? else {
            continue;
        };
        let is_set = |it: &Pool| it.name == proof.id.name();
        let log = if snapshot.profile.scale_set_pools().any(is_set) {
            snapshot.profile.scale_sets.log_command()
        } else {
            controllers_log(snapshot)
        };
        let verdict = of(&present.readiness, &log);
        if verdict == Verdict::Holds
            || matches!(present.readiness, Readiness::Progressing { .. })
                && is_turnover(snapshot, proof.id.name())?
        {
            continue;
        }
        return Ok(verdict);
    }
    Ok(Verdict::Holds)
}

/// Whether a pool lacks runners only because each job replaces its runner: some are online, and the pods of the others
/// have just started.
fn is_turnover(snapshot: &Snapshot, pool: &str) -> Result<bool, Verdict> {
    let pods = known(&snapshot.runner_pods)?;
    let online: BTreeSet<&str> = known(&snapshot.registered)?
        .iter()
        .filter(|it| it.online)
        .map(|it| it.name.as_str())
        .collect();
    let (there, others): (Vec<&Value>, Vec<&Value>) = pods
        .iter()
        .filter(|it| {
            it["metadata"]["labels"]["runner-deployment-name"] == pool || set_of(it) == Some(pool)
        })
        .partition(|it| {
            let name = it["metadata"]["name"].as_str();
            name.is_some_and(|it| online.contains(it))
        });
    let events = known(&snapshot.runner_events)?;
    let has_begun = |pod: &&Value| {
        let created = pod["metadata"]["creationTimestamp"].as_str();
        created
            .and_then(|it| it.parse::<Timestamp>().ok())
            .is_some_and(|it| snapshot.now.duration_since(it) < TURNOVER)
            && !matches!(pod_readiness(pod, events), Readiness::Stuck { .. })
    };
    Ok(!there.is_empty() && !others.is_empty() && others.iter().all(has_begun))
}

/// A runner at GitHub that is offline, and has no pod and no `Runner` in this cluster.
pub(crate) struct Ghost<'a> {
    pub(crate) name: &'a str,
    pub(crate) pool: &'a str,
    /// Whether this cluster's controller made it: another cluster may have a pool of the same name.
    pub(crate) surely_ours: bool,
}

/// The runners that match a pool by name and labels, and are neither in this cluster nor online.
pub(crate) fn ghosts(snapshot: &Snapshot) -> Result<Vec<Ghost<'_>>, Verdict> {
    let name = |it: &'_ Value| it["metadata"]["name"].as_str().map(str::to_owned);
    let (pods, runners) = (known(&snapshot.runner_pods)?, known(&snapshot.runners)?);
    let here: BTreeSet<String> = pods.iter().chain(runners).filter_map(name).collect();
    let (sets, events) = (
        known(&snapshot.runner_sets)?,
        known(&snapshot.runner_events)?,
    );
    // The name of its set has a random part of five characters; an event is about this cluster's own runner.
    let surely_ours = |name: &str| {
        let set = name.rsplit_once('-').map(|(set, _)| set);
        set.is_some_and(|it| sets.contains(it))
            || events.iter().any(|it| it["involvedObject"]["name"] == name)
    };
    let pools: Vec<(String, Vec<String>, &str)> = snapshot
        .profile
        .deployment_pools()
        .map(|it| (format!("{}-", it.name), runner_labels(it), it.name.as_str()))
        .collect();
    let mut found = Vec::new();
    let offline = |it: &&Registered| !it.online && !it.busy;
    for runner in known(&snapshot.registered)?.iter().filter(offline) {
        let of = pools.iter().find(|(start, labels, _)| {
            runner.name.starts_with(start) && labels.iter().all(|it| runner.labels.contains(it))
        });
        if let Some((_, _, pool)) = of.filter(|_| !here.contains(&runner.name)) {
            found.push(Ghost {
                name: &runner.name,
                pool,
                surely_ours: surely_ours(&runner.name),
            });
        }
    }
    Ok(found)
}

fn no_ghosts(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let ghosts = ghosts(snapshot)?;
    let words = |it: &Ghost<'_>| {
        let of = if it.surely_ours {
            "was made by this cluster's controller, is offline and has no pod"
        } else {
            "is offline and has no pod in this cluster"
        };
        format!("runner `{}` {of}", it.name)
    };
    let found: Vec<String> = ghosts.iter().map(words).collect();
    let by_hand = "unless another cluster has a pool of this name, remove it in the runner settings at GitHub";
    let ours = ghosts.iter().filter(|it| it.surely_ours).count();
    let fix = match ours {
        0 => by_hand.to_owned(),
        _ if ours == ghosts.len() => FIX_GHOSTS.to_owned(),
        _ => format!(
            "those that this cluster's controller made: {FIX_GHOSTS}; of the others: {by_hand}"
        ),
    };
    Ok(Verdict::unless(&found, &fix))
}
