//! Checks of GitHub: the credential, and the runners as GitHub has them. Pure: no I/O.

use std::collections::BTreeSet;

use super::{
    cert_manager::of,
    check::{Check, Severity, Verdict, known},
    world::World,
};
use crate::{desired::runners::runner_labels, error::System, resource::observed::Observed};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "github-credential",
        category: "github",
        severity: Severity::Required,
        claim: "GitHub takes the credential, and lets it register runners",
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
        claim: "the credential lasts, is nobody's own, and may ask often enough",
        causes: &["github-credential"],
        judge: wise,
    },
    Check {
        id: "runner-groups",
        category: "github",
        severity: Severity::Required,
        claim: "the pools' runner groups are there, and take the jobs that are meant for them",
        causes: &["github-credential"],
        judge: groups,
    },
    Check {
        id: "runner-groups-wise",
        category: "github",
        severity: Severity::Advice,
        claim: "the pools' runner groups are open to neither too many nor too few",
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
        judge: ghosts,
    },
];

fn credential(world: &World) -> Result<Verdict, Verdict> {
    world.audit.as_ref().map_err(|error| match error.system {
        // Where the credential is stored, or what is needed to ask, did not answer: GitHub was not asked.
        System::Aws | System::Kubernetes | System::Helm => Verdict::unknown(error),
        _ => Verdict::of(error),
    })?;
    Ok(Verdict::Holds)
}

fn wise(world: &World) -> Result<Verdict, Verdict> {
    Ok(Verdict::unless(
        known(&world.audit)?,
        "make a token as it says, and name it under github.token in the profile",
    ))
}

fn groups(world: &World) -> Result<Verdict, Verdict> {
    let groups = known(&world.groups)?;
    Ok(Verdict::unless(&groups.broken, &groups.fix))
}

fn groups_wise(world: &World) -> Result<Verdict, Verdict> {
    Ok(Verdict::unless(
        &known(&world.groups)?.advice,
        "change it where the group is configured at GitHub, unless it is meant so",
    ))
}

fn online(world: &World) -> Result<Verdict, Verdict> {
    of_pools(world, "registration")
}

/// The worst of the proofs of `kind`, one per pool: the same that `up` waits for.
pub(super) fn of_pools(world: &World, kind: &str) -> Result<Verdict, Verdict> {
    let proofs = known(&world.resources)?
        .iter()
        .filter(|it| it.id.kind() == kind);
    for proof in proofs {
        let Observed::Present(present) = known(&proof.observed)? else {
            continue;
        };
        let verdict = of(&present.readiness);
        if verdict != Verdict::Holds {
            return Ok(verdict);
        }
    }
    Ok(Verdict::Holds)
}

/// Another cluster may have a pool of the same name: only a runner that has the pool's labels too is spoken of.
fn ghosts(world: &World) -> Result<Verdict, Verdict> {
    let pods: BTreeSet<&str> = known(&world.runner_pods)?
        .iter()
        .filter_map(|it| it["metadata"]["name"].as_str())
        .collect();
    let mut found = Vec::new();
    for runner in known(&world.registered)?.iter().filter(|it| !it.online) {
        let of_a_pool = world.profile.pools.iter().any(|pool| {
            runner.name.starts_with(&format!("{}-", pool.name))
                && runner_labels(pool)
                    .iter()
                    .all(|label| runner.labels.contains(label))
        });
        if of_a_pool && !pods.contains(runner.name.as_str()) {
            found.push(format!(
                "runner `{}` is offline and has no pod in this cluster",
                runner.name
            ));
        }
    }
    Ok(Verdict::unless(
        &found,
        "unless another cluster has a pool of this name, remove it in the runner settings at GitHub",
    ))
}
