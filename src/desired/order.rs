//! The order of a run: which step waits for which others. Pure: no I/O.
//!
//! An edge is a true need (issue 14; reference: arc.md 3 and 5): what has none begins at once, whatever its phase. A
//! phase is a label for people and documents, and names the limit of its steps. Deletions keep the order of their phases:
//! each waits for everything before it, so that what is still used goes last; but removed pools go beside new ones, a Pod
//! Identity association that an annotation replaces goes at once, and cert-manager and the namespaces do not wait for AWS. So do scale sets that come back with another minor version
//! of their charts: what is of that version waits for them, and the pools of the other mode do not.
//!
//! Nothing waits for images that are pulled ahead, but a pool whose runners are replaced: they work until then.
//!
//! Namespaces are made in a run of their own before the lease; the edges to them matter for the check alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Desired, Goal, Phase, names,
    resource::{Id, Resource, SecretContent},
};

/// Why a list of steps has no order: a fault of arcctl itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// A step waits for one that is not in the list.
    #[error("`{step}` waits for `{missing}`, which is not part of this run; report this as a bug")]
    Unknown {
        /// The step.
        step: Id,
        /// What it waits for.
        missing: Id,
    },
    /// Steps wait for each other.
    #[error("`{0}` waits for itself through other steps; report this as a bug")]
    Circular(Id),
}

/// Adds to the `after` of each step what it needs, and checks the whole.
pub fn connect(steps: &mut [Desired]) -> Result<(), OrderError> {
    let needed = Needed::new(steps);
    for step in steps.iter_mut() {
        let known: HashSet<&Id> = step.after.iter().chain([&step.id]).collect();
        let missing = needed.by(step).into_iter();
        let missing: Vec<Id> = missing.filter(|it| !known.contains(it)).cloned().collect();
        step.after.extend(missing);
    }
    check(steps)
}

/// The steps that others wait for, in the groups that the rules name: a run of hundreds of pools has thousands of steps.
#[derive(Default)]
struct Needed {
    /// The namespaces that are made, by name.
    namespaces: HashMap<String, Id>,
    /// The scale sets that a controller of another minor version would delete.
    outgoing: Vec<Id>,
    /// All of the wiring but the CRDs of scale sets, what leaves it included: an association that is removed is gone before
    /// new pods start.
    wiring: Vec<Id>,
    /// The controller reads its Secret and CA at start, its chart has a Certificate, and its CRDs must be served.
    controller: Vec<Id>,
    /// What a runner needs, whoever its controller is. A scale set's own needs are written where it is made: the CRDs, its
    /// Secret, its controller.
    runner: Vec<Id>,
    /// The API server reaches the webhook through a rule of the nodes' security group.
    rules: Vec<Id>,
    /// The controller's webhook, without which none of its objects can be changed.
    webhook: Vec<Id>,
    /// The pods of pools, by the pool's name.
    pods: HashMap<String, Vec<Id>>,
    by_phase: BTreeMap<Phase, Vec<Id>>,
    makes_pools: bool,
}

impl Needed {
    fn new(steps: &[Desired]) -> Self {
        let mut needed = Self::default();
        for step in steps.iter().filter(|it| !it.resource.is_optional()) {
            let id = || step.id.clone();
            needed.by_phase.entry(step.phase).or_default().push(id());
            if step.phase == Phase::Upgrade {
                needed.outgoing.push(id());
            }
            if step.phase == Phase::Wiring {
                if !are_crds_of_scale_sets(&step.resource) {
                    needed.wiring.push(id());
                }
                if !is_of_community(&step.resource) {
                    needed.runner.push(id());
                }
            }
            if step.goal != Goal::Present {
                continue;
            }
            needed.makes_pools |= step.phase == Phase::Runners;
            let name = || step.id.name().to_owned();
            match (step.phase, step.id.kind()) {
                (_, "namespace") => drop(needed.namespaces.insert(name(), id())),
                (_, "security-group-rule") => needed.rules.push(id()),
                (Phase::Wiring, _) if !step.id.is_at_aws() && !is_of_scale_sets(&step.resource) => {
                    needed.controller.push(id());
                }
                (Phase::Controller, "webhook") => needed.webhook.push(id()),
                (_, "runner-pods") => needed.pods.entry(name()).or_default().push(id()),
                _ => {}
            }
        }
        needed
    }

    /// What `step` waits for.
    fn by(&self, step: &Desired) -> Vec<&Id> {
        match (step.goal, step.phase) {
            (Goal::Present, _) => {
                let namespace = step.id.namespace().and_then(|it| self.namespaces.get(it));
                namespace.into_iter().chain(self.by_present(step)).collect()
            }
            // What makes room for our own goes when our own can be made, not before.
            (Goal::Evicted, _) => self.by_runners(),
            // An association that the annotation replaces; a scale set that comes back.
            (Goal::Absent, Phase::Wiring | Phase::Upgrade) => Vec::new(),
            // Removed pools make room for new ones: on full nodes a renamed pool would otherwise wait forever, and one
            // pool with a bad image would keep every removed one alive. They go when the new ones can be made: a run that
            // fails before that leaves the old ones.
            (Goal::Absent, Phase::Autoscalers | Phase::Drain) if self.makes_pools => {
                let mut needs = self.by_runners();
                // One that leaves the profile while the version changes was ended with the others.
                if step.id.kind() == "scale-set" {
                    needs.extend(&self.outgoing);
                }
                needs
            }
            (Goal::Absent, phase) => {
                let earlier = self.by_phase.range(..phase).flat_map(|it| it.1);
                // IAM shows deletions late, and what is left in the cluster does not need AWS. The inventory goes last.
                let beside = (Phase::Issuer..Phase::Memory).contains(&phase);
                earlier.filter(|it| !(beside && it.is_at_aws())).collect()
            }
        }
    }

    fn by_present(&self, step: &Desired) -> Vec<&Id> {
        match (step.phase, step.id.kind()) {
            (Phase::Wiring, "crds") if is_of_scale_sets(&step.resource) => {
                self.outgoing.iter().collect()
            }
            (Phase::Controller, "helm-release") if is_of_scale_sets(&step.resource) => Vec::new(),
            (Phase::Controller, "helm-release") => self.controller.iter().collect(),
            (Phase::Controller, "webhook") => self.rules.iter().collect(),
            // A runner takes a job as soon as it is registered: its role, rules and certificates are there before.
            (Phase::Runners, "runner-deployment") => self.by_runners(),
            (Phase::Runners, "helm-release") => self.runner.iter().collect(),
            (Phase::Registration, _) => self
                .pods
                .get(step.id.name())
                .into_iter()
                .flatten()
                .collect(),
            _ => Vec::new(),
        }
    }

    fn by_runners(&self) -> Vec<&Id> {
        self.wiring.iter().chain(&self.webhook).collect()
    }
}

/// Whether `step` begins as soon as AWS has accepted what makes or deletes `need`, and not only when AWS shows it: one that is too
/// early is refused, and sent again. So a role, its policies and the statements of buckets wait for AWS at the same time, when they
/// are made and when they are deleted. What makes and what deletes still wait for each other's result.
///
/// Source: IAM user guide, "Changes that I make are not always immediately visible".
pub fn begins_when_accepted(step: &Desired, need: &Desired) -> bool {
    step.goal == need.goal && step.id.is_at_aws() && need.id.is_at_aws()
}

/// What only the community's controller waits for, and the CRDs of either.
const fn is_of_community(resource: &Resource) -> bool {
    matches!(
        resource,
        Resource::Crds(_)
            | Resource::Release(_)
            | Resource::Webhook(_)
            | Resource::ControllerSecret(_)
    )
}

/// The CRDs of scale sets: pools of the other mode do not wait for them.
fn are_crds_of_scale_sets(resource: &Resource) -> bool {
    matches!(resource, Resource::Crds(_)) && is_of_scale_sets(resource)
}

/// What only GitHub's own controller and its scale sets wait for.
fn is_of_scale_sets(resource: &Resource) -> bool {
    match resource {
        Resource::Crds(it) => it.chart.name == names::SCALE_SET_CONTROLLER_CHART,
        Resource::Release(it) => it.chart.name == names::SCALE_SET_CONTROLLER_CHART,
        Resource::Secret(it) => it.content == SecretContent::ProfileCredential,
        _ => false,
    }
}

/// Each predecessor of what is made is in the list, and nothing waits for itself. What is deleted may wait for something
/// that is gone already.
fn check(steps: &[Desired]) -> Result<(), OrderError> {
    let list: HashMap<&Id, &Desired> = steps.iter().map(|it| (&it.id, it)).collect();
    for step in steps.iter().filter(|it| it.goal == Goal::Present) {
        if let Some(missing) = step.after.iter().find(|it| !list.contains_key(it)) {
            return Err(OrderError::Unknown {
                step: step.id.clone(),
                missing: missing.clone(),
            });
        }
    }
    // What has no open need ends, until nothing more does.
    let mut open: HashMap<&Id, usize> = HashMap::new();
    let mut followers: HashMap<&Id, Vec<&Id>> = HashMap::new();
    for step in steps {
        let needs = step.after.iter().filter(|it| list.contains_key(it));
        let mut count = 0;
        for need in needs {
            followers.entry(need).or_default().push(&step.id);
            count += 1;
        }
        open.insert(&step.id, count);
    }
    let mut ready: Vec<&Id> = steps.iter().map(|it| &it.id).collect();
    ready.retain(|it| open.get(it) == Some(&0));
    while let Some(id) = ready.pop() {
        open.remove(id);
        for follower in followers.get(id).into_iter().flatten() {
            if let Some(count) = open.get_mut(follower) {
                *count -= 1;
                if *count == 0 {
                    ready.push(follower);
                }
            }
        }
    }
    match steps.iter().find(|it| open.contains_key(&it.id)) {
        Some(step) => Err(OrderError::Circular(step.id.clone())),
        None => Ok(()),
    }
}
