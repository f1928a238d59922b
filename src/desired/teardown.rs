//! What is on record → what is to go, in its order. Pure: no I/O.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Desired, Goal, Phase, aws, names, record,
    resource::{
        Drain, Id, Resource, Webhooks,
        aws::{AwsResource, PodIdentityAssociation},
    },
};
use crate::profile::Profile;

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
pub fn teardown(records: &Records, profile: &Profile, wish: Wish) -> Vec<Desired> {
    let mut all = records.clone();
    // Marks tell whose a namespace is, also where a run died before there was an inventory.
    let cert_manager = profile.cert_manager.namespace.as_str();
    for name in profile.namespaces().into_iter().chain([cert_manager]) {
        let id = Id::new("namespace", None, name);
        let details = json!({"apiVersion": "v1", "kind": "Namespace"});
        all.entry(id.to_string()).or_insert(details);
    }
    let (controller, profile) = (&profile.controller, profile.name.as_str());
    let mut result: Vec<Desired> = all
        .iter()
        .filter(|(id, _)| wish.crds || !id.starts_with("crds/"))
        .filter_map(|(id, details)| gone(id, details, profile))
        .collect();
    for step in &mut result {
        // arcctl's memory is in it.
        if step.id.kind() == "namespace" && step.id.name() == controller.namespace {
            step.phase = Phase::Memory;
        }
    }
    let webhooks = Webhooks {
        namespace: controller.namespace.clone(),
        release: controller.release.clone(),
    };
    if wish.repair {
        let id = Id::new("webhooks", Some(&controller.namespace), &controller.release);
        result.push(step(Phase::Repair, id, Resource::Webhooks(webhooks)));
    }
    let id = Id::new("offline-runners", Some("github"), profile);
    let ghosts = Resource::Ghosts {
        profile: profile.into(),
        only: None,
    };
    result.push(step(Phase::Deregistration, id, ghosts));
    result.extend(memory(&controller.namespace, profile));
    in_order(&mut result);
    result.sort_by_key(|it| it.phase);
    result
}

/// What `up` takes away: pools and what belongs to them, and what is at AWS, once the profile no longer has them. What
/// others may use, and what holds the rest, only goes with a teardown.
pub fn left_behind(records: &Records, wanted: &[Desired], profile: &Profile) -> Vec<Desired> {
    const STAY: [&str; 4] = ["namespace", "crds", "helm-release", "secret"];
    let mut result: Vec<Desired> = records
        .iter()
        .filter(|(id, _)| !wanted.iter().any(|it| it.id.as_str() == *id))
        .filter_map(|(id, details)| gone(id, details, &profile.name))
        .filter(|it| !STAY.contains(&it.id.kind()) && !is_asked_for(&it.resource, profile))
        .map(before_its_successor)
        .collect();
    in_order(&mut result);
    result.sort_by_key(|it| it.phase);
    result
}

/// Whether the profile asks for it although it is not among what is wanted now: a rule for nodes that are not there.
fn is_asked_for(resource: &Resource, profile: &Profile) -> bool {
    matches!(resource, Resource::Aws(AwsResource::Rule(rule)) if aws::is_for(profile, rule))
}

/// An association of Pod Identity wins over the annotation that takes its place: it goes before new pods start.
fn before_its_successor(mut step: Desired) -> Desired {
    if step.id.kind() == PodIdentityAssociation::KIND {
        step.phase = Phase::Wiring;
    }
    step
}

/// Whether `id` is of something at AWS.
pub fn is_at_aws(id: &str) -> bool {
    Id::parse(id).is_some_and(|it| it.is_at_aws())
}

/// What must have gone before: a pool's autoscaler before the pool; at AWS from the outside to the inside, what names a
/// role before the role, roles before the provider that they trust.
fn in_order(steps: &mut [Desired]) {
    let ids = |kinds: &[&str]| -> Vec<Id> {
        let ids = steps.iter().map(|it| it.id.clone());
        ids.filter(|it| kinds.contains(&it.kind())).collect()
    };
    let policies = ids(&[
        "iam-role-policy",
        "bucket-policy",
        PodIdentityAssociation::KIND,
    ]);
    let roles = ids(&["iam-role"]);
    let autoscalers = ids(&["horizontal-runner-autoscaler"]);
    for step in steps {
        match step.id.kind() {
            // An autoscaler would scale its pool up again.
            "runner-deployment" => {
                let its =
                    |it: &&Id| it.name() == step.id.name() && it.namespace() == step.id.namespace();
                step.after.extend(autoscalers.iter().filter(its).cloned());
            }
            "iam-role" => step.after.extend(policies.iter().cloned()),
            "oidc-provider" => step.after.extend(roles.iter().cloned()),
            _ => {}
        }
    }
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
fn memory(home: &str, profile: &str) -> Vec<Desired> {
    let name = format!("arcctl-{profile}");
    let namespace = Id::new("namespace", None, home);
    [
        ("config-map", "v1", "ConfigMap"),
        ("lease", "coordination.k8s.io/v1", "Lease"),
    ]
    .into_iter()
    .filter_map(|(id, version, kind)| {
        let id = Id::new(id, Some(home), &name);
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
        ("namespace", _) => Phase::Namespaces,
        (
            "secret" | "service-account" | "config-map" | "role" | "role-binding" | "job"
            | "prometheus-rule",
            _,
        ) => Phase::Unwire,
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
            (
                "job/actions-runner/arcctl-probe-old",
                json!({"apiVersion": "batch/v1", "kind": "Job"}),
            ),
        ]
        .map(|(id, details)| (id.to_owned(), details))
        .into()
    }

    fn profile() -> Profile {
        crate::desired::tests::profile(&json!({"name": "p"}))
    }

    fn ids(steps: &[Desired]) -> Vec<&str> {
        steps.iter().map(|it| it.id.as_str()).collect()
    }

    #[test]
    fn a_teardown_goes_from_the_runners_to_the_namespaces() {
        let steps = teardown(&recorded(), &profile(), Wish::default());
        assert_eq!(
            ids(&steps),
            [
                "horizontal-runner-autoscaler/actions-runner/old",
                "runner-deployment/actions-runner/old",
                "helm-release/actions-runner-system/actions-runner-controller",
                "job/actions-runner/arcctl-probe-old",
                "secret/actions-runner-system/controller-manager",
                "helm-release/cert-manager/cert-manager",
                "namespace/-/actions-runner",
                "namespace/-/cert-manager",
                "offline-runners/github/p",
                "namespace/-/actions-runner-system",
                "config-map/actions-runner-system/arcctl-p",
                "lease/actions-runner-system/arcctl-p",
            ]
        );
        let with = |crds, repair| teardown(&recorded(), &profile(), Wish { crds, repair });
        assert!(ids(&with(true, false)).contains(&"crds/-/cert-manager"));
        assert_eq!(with(false, true)[0].phase, Phase::Repair);
    }

    #[test]
    fn up_only_takes_pools_and_their_like_away() {
        let profile = crate::desired::tests::profile(&json!({}));
        let steps = left_behind(&recorded(), &[], &profile);
        assert_eq!(
            ids(&steps),
            [
                "horizontal-runner-autoscaler/actions-runner/old",
                "runner-deployment/actions-runner/old",
                "job/actions-runner/arcctl-probe-old",
            ]
        );
        assert_eq!(steps[1].after, [steps[0].id.clone()]);
        assert!(left_behind(&recorded(), &steps, &profile).is_empty());
    }

    /// A role with all that belongs to it, and a rule for each kind of connection.
    fn at_aws() -> Records {
        let sid = json!({"sid": "Arcctl1"});
        let rule = |direction: &str, port: u16, peer: Value| json!({"direction": direction, "port": port, "peer": peer, "sid": "Arcctl1"});
        let node = || json!({"group": "sg-node"});
        [
            (
                "oidc-provider/-/issuer",
                json!({"arn": "arn:p", "sid": "Arcctl1"}),
            ),
            ("iam-role/-/old", json!({"create": true, "sid": "Arcctl1"})),
            ("iam-role-policy/old/Arcctl1", sid),
            (
                "bucket-policy/-/b",
                json!({"account": "1", "sid": "Arcctl1"}),
            ),
            (
                "security-group-rule/sg-ghes/in",
                rule("ingress", 443, node()),
            ),
            (
                "security-group-rule/sg-node/out",
                rule("egress", 443, json!({"group": "sg-ghes"})),
            ),
            (
                "security-group-rule/sg-node/cidr",
                rule("egress", 443, json!({"cidr": "10.0.0.0/8"})),
            ),
            (
                "security-group-rule/sg-node/webhook",
                rule("ingress", 9443, json!({"group": "sg-cluster"})),
            ),
        ]
        .map(|(id, details)| (id.to_owned(), details))
        .into()
    }

    #[test]
    fn at_aws_policies_go_before_roles_and_roles_before_the_provider() {
        let steps = teardown(&at_aws(), &profile(), Wish::default());
        let after = |id: &str| {
            let step = steps.iter().find(|it| it.id.as_str() == id).unwrap();
            assert_eq!(step.phase, Phase::Aws);
            step.after.iter().map(Id::as_str).collect::<Vec<_>>()
        };
        assert_eq!(
            after("iam-role/-/old"),
            ["bucket-policy/-/b", "iam-role-policy/old/Arcctl1"]
        );
        assert_eq!(after("oidc-provider/-/issuer"), ["iam-role/-/old"]);
        let memory = steps.iter().position(|it| it.phase == Phase::Memory);
        let last = steps.iter().rposition(|it| it.phase == Phase::Aws);
        assert!(
            last < memory,
            "what is gone at AWS is remembered until then"
        );
    }

    #[test]
    fn a_rule_goes_when_the_profile_no_longer_asks_for_its_connection() {
        let left = |aws: Value| {
            let profile = crate::desired::tests::profile(&json!({"aws": aws}));
            let mut rules = ids(&left_behind(&at_aws(), &[], &profile))
                .into_iter()
                .filter_map(|it| it.strip_prefix("security-group-rule/"))
                .map(str::to_owned)
                .collect::<Vec<_>>();
            rules.sort();
            rules
        };
        // None of them is wanted now, since no node is there; that is no reason.
        let both = json!({"githubServer": {"securityGroup": "sg-ghes", "cidr": "10.0.0.0/8"}});
        assert_eq!(left(both), [""; 0]);
        let cidr = json!({"githubServer": {"cidr": "10.0.0.0/8"}});
        assert_eq!(left(cidr), ["sg-ghes/in", "sg-node/out"]);
        assert_eq!(
            left(json!({})),
            ["sg-ghes/in", "sg-node/cidr", "sg-node/out"]
        );
        assert_eq!(
            left(Value::Null),
            [
                "sg-ghes/in",
                "sg-node/cidr",
                "sg-node/out",
                "sg-node/webhook"
            ]
        );
    }
}
