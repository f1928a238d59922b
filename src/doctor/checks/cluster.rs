//! Checks of the cluster, and of arcctl's resources in it against the profile. Pure: no I/O.

use serde_json::Value;

use super::monitoring::is_monitoring;
use crate::{
    desired::teardown::is_at_aws,
    doctor::{
        check::{Check, Severity, Verdict, known},
        snapshot::{Resource, Snapshot},
    },
    error::System,
    resource::{
        crds_leave,
        observed::{Observed, Ownership, Readiness},
    },
};

const NO_CLUSTER: &[&str] = &["api-server-answers"];

pub(crate) const CHECKS: &[Check] = &[
    Check {
        id: "api-server-answers",
        category: "cluster",
        severity: Severity::Required,
        claim: "the API server answers",
        causes: &["aws-credentials", "eks-cluster"],
        judge: answers,
    },
    Check {
        id: "nodes-ready",
        category: "cluster",
        severity: Severity::Required,
        claim: "a node is ready and schedulable",
        causes: NO_CLUSTER,
        judge: nodes,
    },
    Check {
        id: "resources-there",
        category: "cluster",
        severity: Severity::Required,
        claim: "every resource that the runners need exists in the cluster",
        causes: &[
            "api-server-answers",
            "github-credential",
            "webhooks-not-orphaned",
        ],
        judge: there,
    },
    Check {
        id: "resources-ours",
        category: "cluster",
        severity: Severity::Required,
        claim: "no other profile or tool owns what this profile manages",
        causes: &[
            "api-server-answers",
            "github-credential",
            "webhooks-not-orphaned",
        ],
        judge: ours,
    },
    Check {
        id: "resources-unchanged",
        category: "cluster",
        severity: Severity::Advice,
        claim: "no drift from the profile",
        causes: &[
            "api-server-answers",
            "github-credential",
            "webhooks-not-orphaned",
            "resources-ours",
            "cert-manager-scaled",
            "controller-scaled",
            "controller-replicas",
        ],
        judge: unchanged,
    },
];

/// If AWS does not return the cluster's address, the API server was not called.
fn answers(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    snapshot.kubernetes.as_ref().map_err(|it| match it.system {
        System::Aws => Verdict::unknown(it),
        _ => Verdict::refuted(it),
    })?;
    Ok(Verdict::Holds)
}

fn nodes(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let nodes = known(&snapshot.nodes)?;
    let is_ready = |node: &&Value| {
        let mut conditions = node["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        conditions.any(|it| it["type"] == "Ready" && it["status"] == "True")
            && node["spec"]["unschedulable"] != true
    };
    Ok(if nodes.iter().any(|it| is_ready(&it)) {
        Verdict::Holds
    } else {
        let cordoned: Vec<&str> = nodes
            .iter()
            .filter(|it| it["spec"]["unschedulable"] == true)
            .filter_map(|it| it["metadata"]["name"].as_str())
            .collect();
        let fix = match cordoned.as_slice() {
            [] => "add nodes, or see why with `kubectl describe nodes`".to_owned(),
            names => format!(
                "let those that were cordoned take pods again: `kubectl uncordon {}`; or add nodes",
                names.join(" ")
            ),
        };
        Verdict::broken(
            format!("none of {} nodes is ready and schedulable", nodes.len()),
            fix,
        )
    })
}

/// The observed resources in the cluster (those at AWS have checks of their own); the first unknown one ends the check.
fn observed(snapshot: &Snapshot) -> Result<Vec<(&Resource, &Observed)>, Verdict> {
    let mut result = Vec::new();
    for resource in known(&snapshot.resources)?
        .iter()
        .filter(|it| !it.proof && !is_at_aws(it.id.as_str()))
    {
        result.push((resource, known(&resource.observed)?));
    }
    Ok(result)
}

fn there(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let all = observed(snapshot)?;
    let absent: Vec<String> = all
        .iter()
        .filter(|(resource, it)| matches!(it, Observed::Absent) && !is_monitoring(&resource.id))
        .map(|(resource, _)| format!("`{}` does not exist", resource.id))
        .collect();
    let leaving = all.iter().find_map(|(resource, it)| leaving(resource, it));
    Ok(match leaving {
        // Its contents are deleted with it: until it is gone, nothing can be created in it.
        Some((said, fix)) => Verdict::unless(
            &[vec![said], absent].concat(),
            &format!("{fix}; then `arcctl up`"),
        ),
        None => Verdict::unless(&absent, "create it with `arcctl up`"),
    })
}

/// A namespace, or a set of CRDs, that is being deleted, and what blocks it.
fn leaving(resource: &Resource, observed: &Observed) -> Option<(String, String)> {
    let Observed::Present(present) = observed else {
        return None;
    };
    let reason = present.readiness.reason()?;
    if crds_leave(observed).is_some() {
        let fix = match &present.readiness {
            Readiness::Stuck { hint, .. } => hint.clone(),
            _ => "wait until it has gone".to_owned(),
        };
        return Some((format!("`{}`: {reason}", resource.id), fix));
    }
    if resource.id.kind() != "namespace" {
        return None;
    }
    let look = format!(
        "what it waits for shows `kubectl get namespace {} -o yaml` under status.conditions",
        resource.id.name()
    );
    let fix = match &present.readiness {
        Readiness::Stuck { hint, .. } => format!("{hint}; {look}"),
        _ => look,
    };
    Some((format!("`{}`: {reason}", resource.id), fix))
}

fn ours(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let whose = |observed: &Observed| match observed {
        Observed::Present(present) => match &present.ownership {
            Ownership::Ours | Ownership::Shared { .. } => None,
            Ownership::Foreign { evidence } => Some(evidence.clone()),
            Ownership::OtherProfile { name } => Some(format!("of the profile `{name}`")),
        },
        Observed::Absent => None,
    };
    let foreign: Vec<String> = observed(snapshot)?
        .iter()
        .filter_map(|(resource, it)| Some(format!("`{}`: {}", resource.id, whose(it)?)))
        .collect();
    Ok(Verdict::unless(
        &foreign,
        "see what taking it over would change with `arcctl plan --adopt`, and do so with `arcctl up --adopt`; what is another profile's is changed with that profile",
    ))
}

fn unchanged(snapshot: &Snapshot) -> Result<Verdict, Verdict> {
    let drift: Vec<String> = observed(snapshot)?
        .iter()
        .filter_map(|(resource, it)| match it {
            Observed::Present(present) => {
                let first = present.differences.first()?;
                Some(format!("`{}` differs at {}", resource.id, first.path))
            }
            Observed::Absent => None,
        })
        .collect();
    Ok(Verdict::unless(
        &drift,
        "see all of it with `arcctl plan`, and fix it with `arcctl up`",
    ))
}
