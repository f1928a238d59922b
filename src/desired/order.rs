//! The order of a run: which step waits for which others. Pure: no I/O.
//!
//! An edge is a true need (issue 14; reference: arc.md 3 and 5): what has none begins at once, whatever its phase. A
//! phase is a label for people and documents, and names the limit of its steps. Deletions keep the order of their phases:
//! each waits for everything before it, so that what is still used goes last; but removed pools go beside new ones, and a Pod
//! Identity association that an annotation replaces goes at once.
//!
//! Namespaces are made in a run of their own before the lease; the edges to them matter for the check alone.

use std::collections::{HashMap, HashSet};

use super::{Desired, Goal, Phase, resource::Id};

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

/// What the rules need to know of a step that others may wait for.
struct Other {
    id: Id,
    phase: Phase,
    goal: Goal,
}

/// Adds to the `after` of each step what it needs, and checks the whole.
pub fn connect(steps: &mut [Desired]) -> Result<(), OrderError> {
    let others: Vec<Other> = steps.iter().map(other).collect();
    let makes_pools = others
        .iter()
        .any(|it| it.phase == Phase::Runners && it.goal == Goal::Present);
    for step in steps.iter_mut() {
        let known: HashSet<Id> = step.after.iter().cloned().collect();
        let needed = others
            .iter()
            .filter(|it| it.id != step.id && !known.contains(&it.id))
            .filter(|it| needs(step, it, makes_pools));
        let needed: Vec<Id> = needed.map(|it| it.id.clone()).collect();
        step.after.extend(needed);
    }
    check(steps)
}

fn other(step: &Desired) -> Other {
    Other {
        id: step.id.clone(),
        phase: step.phase,
        goal: step.goal,
    }
}

fn needs(step: &Desired, other: &Other, makes_pools: bool) -> bool {
    match step.goal {
        Goal::Present => present_needs(step, other),
        // What makes room for our own goes when our own can be made, not before.
        Goal::Evicted => runners_need(other),
        Goal::Absent => absent_needs(step, other, makes_pools),
    }
}

fn present_needs(step: &Desired, other: &Other) -> bool {
    let there = other.goal == Goal::Present;
    let is = |kind| other.id.kind() == kind;
    if there && is("namespace") && step.id.namespace() == Some(other.id.name()) {
        return true;
    }
    match (step.phase, step.id.kind()) {
        // The controller reads its Secret and CA at start, its chart has a Certificate, and its CRDs must be served.
        (Phase::Controller, "helm-release") => {
            there && other.phase == Phase::Wiring && !other.id.is_at_aws()
        }
        // The API server reaches the webhook through a rule of the nodes' security group.
        (Phase::Controller, "webhook") => there && is("security-group-rule"),
        // A runner takes a job as soon as it is registered: its role, rules and certificates are there before.
        (Phase::Runners, "runner-deployment") => runners_need(other),
        (Phase::Registration, _) => there && is("runner-pods") && other.id.name() == step.id.name(),
        _ => false,
    }
}

fn absent_needs(step: &Desired, other: &Other, makes_pools: bool) -> bool {
    match step.phase {
        // An association that the annotation replaces.
        Phase::Wiring => false,
        // Removed pools make room for new ones: on full nodes a renamed pool would otherwise wait forever, and one pool
        // with a bad image would keep every removed one alive. They go when the new ones can be made: a run that fails
        // before that leaves the old ones.
        Phase::Autoscalers | Phase::Drain if makes_pools => runners_need(other),
        _ => other.phase < step.phase,
    }
}

/// All of the wiring, what leaves it included: an association that is removed is gone before new pods start. And the
/// controller's webhook, without which none of its objects can be changed.
fn runners_need(other: &Other) -> bool {
    other.phase == Phase::Wiring || is_webhook_of_controller(other)
}

fn is_webhook_of_controller(other: &Other) -> bool {
    other.goal == Goal::Present && other.phase == Phase::Controller && other.id.kind() == "webhook"
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
