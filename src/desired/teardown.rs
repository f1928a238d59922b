//! Computes what to delete from the inventory, in order. Pure: no I/O.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use super::{
    Desired, Goal, Phase, aws, names, record,
    resource::{
        Drain, Id, ImagePull, Resource, Webhooks,
        aws::{AwsResource, PodIdentityAssociation},
    },
};
use crate::profile::Profile;

/// The owned resources in the inventory: ids, and what deleting each needs in addition.
pub type Records = BTreeMap<String, Value>;

/// The options of a teardown.
#[derive(Clone, Copy, Debug, Default)]
pub struct TeardownOptions {
    /// Whether to delete CRDs.
    pub crds: bool,
    /// The controller does not run: its webhooks do not respond and are deleted first.
    pub repair: bool,
}

/// Everything that a teardown of `profile` deletes.
pub fn teardown(records: &Records, profile: &Profile, options: TeardownOptions) -> Vec<Desired> {
    let mut all = records.clone();
    // Labels identify the owner of a namespace, also if a run was killed before the inventory existed.
    let cert_manager = profile.cert_manager.namespace.as_str();
    for name in profile.namespaces().into_iter().chain([cert_manager]) {
        let id = Id::new("namespace", None, name);
        let details = json!({"apiVersion": "v1", "kind": "Namespace"});
        all.entry(id.to_string()).or_insert(details);
    }
    let (controller, profile) = (&profile.controller, profile.name.as_str());
    let mut result: Vec<Desired> = all
        .iter()
        .filter(|(id, _)| options.crds || !id.starts_with("crds/"))
        .filter_map(|(id, details)| gone(id, details, profile))
        .collect();
    for step in &mut result {
        // The inventory is in it.
        if step.id.kind() == "namespace" && step.id.name() == controller.namespace {
            step.phase = Phase::Memory;
        }
    }
    let webhooks = Webhooks {
        namespace: controller.namespace.clone(),
        release: controller.release.clone(),
    };
    if options.repair {
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

/// What `up` deletes: pools with their objects, and AWS resources, if the profile no longer has them. Shared resources
/// and those that contain others are only deleted by a teardown.
pub fn left_behind(records: &Records, wanted: &[Desired], profile: &Profile) -> Vec<Desired> {
    const STAY: [&str; 3] = ["namespace", "crds", "secret"];
    let wanted: HashSet<&str> = wanted.iter().map(|it| it.id.as_str()).collect();
    let mut result: Vec<Desired> = records
        .iter()
        .filter(|(id, _)| !wanted.contains(id.as_str()))
        .filter_map(|(id, details)| gone(id, details, &profile.name))
        .filter(|it| !STAY.contains(&it.id.kind()) && !is_shared(&it.resource))
        .filter(|it| !is_asked_for(&it.resource, profile))
        .map(before_its_successor)
        .collect();
    in_order(&mut result);
    result.sort_by_key(|it| it.phase);
    result
}

/// Whether it is a release that several pools have in common: that of a scale set is one pool's.
fn is_shared(resource: &Resource) -> bool {
    matches!(resource, Resource::Release(it) if it.chart.name != names::SCALE_SET_CHART)
}

/// Whether the profile still needs it although it is not desired now: a rule for nodes that do not exist.
fn is_asked_for(resource: &Resource, profile: &Profile) -> bool {
    matches!(resource, Resource::Aws(AwsResource::Rule(rule)) if aws::is_for(profile, rule))
}

/// A Pod Identity association takes precedence over the annotation that replaces it: delete it before new pods start. What
/// pulled images for a run that was killed goes at once too.
fn before_its_successor(mut step: Desired) -> Desired {
    if [PodIdentityAssociation::KIND, ImagePull::KIND].contains(&step.id.kind()) {
        step.phase = Phase::Wiring;
    }
    step
}

/// Whether `id` is an AWS resource's.
pub fn is_at_aws(id: &str) -> bool {
    Id::parse(id).is_some_and(|it| it.is_at_aws())
}

/// Sets the order of deletion: a pool's autoscaler before the pool; what writes the minimums of scale sets before those,
/// and each before its release, whose objects its controller needs to deregister it; in AWS, references to a role before the role, roles
/// before the provider that they trust.
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
    let autoscalers: HashSet<Id> = ids(&["horizontal-runner-autoscaler"]).into_iter().collect();
    let schedules = ids(&["cron-job"]);
    let sets: HashSet<Id> = ids(&["scale-set"]).into_iter().collect();
    for step in steps {
        match step.id.kind() {
            // An autoscaler would scale its pool up again.
            "runner-deployment" => {
                let (namespace, name) = (step.id.namespace(), step.id.name());
                let its = Id::new("horizontal-runner-autoscaler", namespace, name);
                step.after.extend(autoscalers.get(&its).cloned());
            }
            "scale-set" => step.after.extend(schedules.iter().cloned()),
            "helm-release" => {
                let its = Id::new("scale-set", step.id.namespace(), step.id.name());
                step.after.extend(sets.get(&its).cloned());
            }
            "iam-role" => step.after.extend(policies.iter().cloned()),
            "oidc-provider" => step.after.extend(roles.iter().cloned()),
            _ => {}
        }
    }
}

/// The inventory records of desired resources; observed ones have none.
pub fn records(desired: &[Desired]) -> Records {
    desired
        .iter()
        .filter(|it| it.goal == Goal::Present)
        .filter_map(|it| Some((it.id.to_string(), record::details(&it.resource)?)))
        .collect()
}

/// arcctl's inventory and lease, and their namespace: last, so that an interrupted teardown can be repeated.
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
    Some(step(phase(&id, &resource), id, resource))
}

/// The phase that deletes a resource.
fn phase(id: &Id, resource: &Resource) -> Phase {
    match (id.kind(), id.name()) {
        ("horizontal-runner-autoscaler" | "cron-job", _) => Phase::Autoscalers,
        ("runner-deployment" | "scale-set", _) => Phase::Drain,
        ("helm-release", _) if !is_shared(resource) => Phase::Drain,
        ("helm-release", names::CERT_MANAGER) => Phase::Issuer,
        ("helm-release", _) => Phase::Uninstall,
        ("crds", _) => Phase::Crds,
        ("namespace", _) => Phase::Namespaces,
        (
            "secret"
            | "service-account"
            | "config-map"
            | "role"
            | "role-binding"
            | "job"
            | ImagePull::KIND
            | "network-policy"
            | "pod-disruption-budget"
            | "pod-monitor"
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
        goal: Goal::Absent,
    }
}
