//! What is on record → what is to go, in its order. Pure: no I/O.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Desired, Goal, Phase, names};
use crate::resource::{Drain, Id, Resource, Webhooks, record};

/// What is owned, as the inventory has it: ids, and what deleting each needs beside its id.
pub type Records = BTreeMap<String, Value>;

/// What a teardown is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// CRDs go too.
    pub crds: bool,
    /// The controller does not run: its webhooks answer nobody and go first.
    pub repair: bool,
}

/// Everything that a teardown of `profile` takes away.
pub fn teardown(records: &Records, profile: &str, wish: Wish) -> Vec<Desired> {
    let mut all = records.clone();
    // Marks tell whose a namespace is, also where a run died before there was an inventory.
    for name in [
        names::RUNNER_NAMESPACE,
        names::CERT_MANAGER_NAMESPACE,
        names::SYSTEM_NAMESPACE,
    ] {
        let id = Id::new("namespace", None, name);
        let details = json!({"apiVersion": "v1", "kind": "Namespace"});
        all.entry(id.to_string()).or_insert(details);
    }
    let mut result: Vec<Desired> = all
        .iter()
        .filter(|(id, _)| wish.crds || !id.starts_with("crds/"))
        .filter_map(|(id, details)| gone(id, details, profile))
        .collect();
    let webhooks = Webhooks {
        namespace: names::SYSTEM_NAMESPACE.into(),
        release: names::CONTROLLER.into(),
    };
    if wish.repair {
        let id = Id::new("webhooks", Some(names::SYSTEM_NAMESPACE), names::CONTROLLER);
        result.push(step(Phase::Repair, id, Resource::Webhooks(webhooks)));
    }
    let id = Id::new("offline-runners", Some("github"), profile);
    let ghosts = Resource::Ghosts {
        profile: profile.into(),
    };
    result.push(step(Phase::Deregistration, id, ghosts));
    result.extend(memory(profile));
    result.sort_by_key(|it| it.phase);
    result
}

/// What `up` takes away: pools and what belongs to them, once the profile no longer has them. What others may use, and
/// what holds the rest, only goes with a teardown.
pub fn left_behind(records: &Records, wanted: &[Desired], profile: &str) -> Vec<Desired> {
    const STAY: [&str; 4] = ["namespace", "crds", "helm-release", "secret"];
    let mut result: Vec<Desired> = records
        .iter()
        .filter(|(id, _)| !wanted.iter().any(|it| it.id.as_str() == *id))
        .filter_map(|(id, details)| gone(id, details, profile))
        .filter(|it| !STAY.contains(&it.id.kind()))
        .collect();
    result.sort_by_key(|it| it.phase);
    result
}

/// Whether `id` is of something at AWS, which no run takes away yet.
pub fn is_at_aws(id: &str) -> bool {
    const KINDS: [&str; 5] = [
        "oidc-provider",
        "iam-role",
        "iam-role-policy",
        "bucket-policy",
        "security-group-rule",
    ];
    id.split('/').next().is_some_and(|it| KINDS.contains(&it))
}

/// The records of what is wanted; proofs have none.
pub fn records(desired: &[Desired]) -> Records {
    desired
        .iter()
        .filter(|it| it.goal == Goal::There)
        .filter_map(|it| Some((it.id.to_string(), record::details(&it.resource)?)))
        .collect()
}

/// What arcctl remembers, and the namespace it is in: last, for whoever dies before it runs again from there.
fn memory(profile: &str) -> Vec<Desired> {
    let name = format!("arcctl-{profile}");
    let namespace = Id::new("namespace", None, names::SYSTEM_NAMESPACE);
    [
        ("config-map", "v1", "ConfigMap"),
        ("lease", "coordination.k8s.io/v1", "Lease"),
    ]
    .into_iter()
    .filter_map(|(id, version, kind)| {
        let id = Id::new(id, Some(names::SYSTEM_NAMESPACE), &name);
        let details = json!({"apiVersion": version, "kind": kind});
        let resource = record::resource(&id, &details, profile)?;
        let mut step = step(Phase::Memory, id, resource);
        step.after.push(namespace.clone());
        Some(step)
    })
    .collect()
}

fn gone(id: &str, details: &Value, profile: &str) -> Option<Desired> {
    let id = Id::parse(id)?;
    let resource = match id.kind() {
        "runner-deployment" => Resource::Drain(Drain {
            namespace: id.namespace()?.into(),
            pool: id.name().into(),
        }),
        _ => record::resource(&id, details, profile)?,
    };
    Some(step(phase(&id), id, resource))
}

/// When a thing goes.
fn phase(id: &Id) -> Phase {
    match (id.kind(), id.name()) {
        ("horizontal-runner-autoscaler", _) => Phase::Autoscalers,
        ("runner-deployment", _) => Phase::Drain,
        ("helm-release", names::CERT_MANAGER) => Phase::Issuer,
        ("helm-release", _) => Phase::Uninstall,
        ("crds", _) => Phase::Crds,
        ("namespace", names::SYSTEM_NAMESPACE) => Phase::Memory,
        ("namespace", _) => Phase::Namespaces,
        ("secret" | "service-account" | "config-map" | "role" | "role-binding", _) => Phase::Unwire,
        _ => Phase::Aws,
    }
}

fn step(phase: Phase, id: Id, resource: Resource) -> Desired {
    Desired {
        id,
        phase,
        after: Vec::new(),
        resource,
        goal: Goal::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Records {
        let object = |kind: &str| json!({"apiVersion": "v1", "kind": kind});
        [
            ("namespace/-/actions-runner", object("Namespace")),
            ("helm-release/cert-manager/cert-manager", json!({})),
            (
                "helm-release/actions-runner-system/actions-runner-controller",
                json!({}),
            ),
            (
                "crds/-/cert-manager",
                json!({"chart": "cert-manager", "version": "v1", "names": ["a.b"]}),
            ),
            (
                "secret/actions-runner-system/controller-manager",
                json!({"managed": true}),
            ),
            (
                "runner-deployment/actions-runner/old",
                object("RunnerDeployment"),
            ),
            (
                "horizontal-runner-autoscaler/actions-runner/old",
                object("HorizontalRunnerAutoscaler"),
            ),
        ]
        .map(|(id, details)| (id.to_owned(), details))
        .into()
    }

    fn ids(steps: &[Desired]) -> Vec<&str> {
        steps.iter().map(|it| it.id.as_str()).collect()
    }

    #[test]
    fn a_teardown_goes_from_the_runners_to_the_namespaces() {
        let steps = teardown(&recorded(), "p", Wish::default());
        assert_eq!(
            ids(&steps),
            [
                "horizontal-runner-autoscaler/actions-runner/old",
                "runner-deployment/actions-runner/old",
                "offline-runners/github/p",
                "helm-release/actions-runner-system/actions-runner-controller",
                "secret/actions-runner-system/controller-manager",
                "helm-release/cert-manager/cert-manager",
                "namespace/-/actions-runner",
                "namespace/-/cert-manager",
                "namespace/-/actions-runner-system",
                "config-map/actions-runner-system/arcctl-p",
                "lease/actions-runner-system/arcctl-p",
            ]
        );
        let with = |crds, repair| teardown(&recorded(), "p", Wish { crds, repair });
        assert!(ids(&with(true, false)).contains(&"crds/-/cert-manager"));
        assert_eq!(with(false, true)[0].phase, Phase::Repair);
    }

    #[test]
    fn up_only_takes_pools_and_their_like_away() {
        let steps = left_behind(&recorded(), &[], "p");
        assert_eq!(
            ids(&steps),
            [
                "horizontal-runner-autoscaler/actions-runner/old",
                "runner-deployment/actions-runner/old",
            ]
        );
        assert!(left_behind(&recorded(), &steps, "p").is_empty());
    }
}
