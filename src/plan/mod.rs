//! The plan: the action for each resource, computed from observations. Pure: no I/O.

pub mod consequence;
pub mod locked;
mod refusal;

use serde::Serialize;

pub use refusal::refusals;

use crate::{
    desired::{
        Desired, Goal, Phase,
        resource::Resource,
        summary::{Summary, summary},
    },
    diff::Difference,
    error::Error,
    resource::observed::{Observed, Ownership, Readiness},
};
use refusal::{foreign, other_profile, rival};

/// The action on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The resource does not exist and is created.
    Create,
    /// The resource exists and is updated.
    Update,
    /// The resource is deleted.
    Delete,
    /// The resource is unchanged; the run still waits until it is ready.
    Keep,
    /// The action is unknown until an earlier step is done.
    Later,
}

/// One resource in a plan.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// `kind/namespace/name`.
    pub id: String,
    /// The first part of the id.
    pub kind: String,
    /// The last part of the id.
    pub name: String,
    /// The phase in which the step runs.
    pub phase: Phase,
    /// The action.
    pub action: Action,
    /// Where it differs from the profile.
    pub differences: Vec<Difference>,
    /// Whether an object of another owner is adopted (`--adopt`).
    #[serde(skip)]
    pub adopts: bool,
    /// Whether it is ready as it is.
    #[serde(skip)]
    pub ready: bool,
    /// Whether it is only observed, never written.
    #[serde(skip)]
    pub proof: bool,
    /// Why it is kept although everything is deleted, or what its deletion waits for.
    #[serde(skip)]
    pub note: Option<String>,
    /// Side effects of the step: which pods are restarted, which runners are replaced.
    #[serde(skip)]
    pub consequences: Vec<String>,
    /// What is shown of it to people; only in a plan: see [`planned`].
    #[serde(skip)]
    pub summary: Summary,
}

/// The steps of a run, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The profile's name.
    pub profile: String,
    /// The steps, by phase.
    pub steps: Vec<Step>,
}

/// The number of steps per action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Created.
    pub create: usize,
    /// Updated.
    pub update: usize,
    /// Deleted.
    pub delete: usize,
    /// Unchanged.
    pub keep: usize,
    /// Decided later.
    pub later: usize,
}

impl Plan {
    /// Counts the actions.
    pub fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for step in &self.steps {
            match step.action {
                Action::Create => changes.create += 1,
                Action::Update => changes.update += 1,
                Action::Delete => changes.delete += 1,
                Action::Keep => changes.keep += 1,
                Action::Later => changes.later += 1,
            }
        }
        changes
    }

    /// Whether nothing would be written.
    pub fn is_unchanged(&self) -> bool {
        self.steps.iter().all(|step| step.action == Action::Keep)
    }

    /// Whether nothing would be written, and every resource is ready.
    pub fn is_proven(&self) -> bool {
        self.is_unchanged() && self.steps.iter().all(|step| step.ready)
    }
}

/// The step of one resource in a plan: the decision, and what people are shown of it.
pub fn planned(desired: &Desired, observed: &Observed, adopt: bool) -> Result<Step, Error> {
    let step = decide(desired, observed, adopt)?;
    Ok(Step {
        summary: summary(desired),
        ..step
    })
}

/// The step of one resource. The same decision is made for the plan and again right before acting.
pub fn decide(desired: &Desired, observed: &Observed, adopt: bool) -> Result<Step, Error> {
    let step = |action, differences, adopts, ready| Step {
        id: desired.id.to_string(),
        kind: desired.id.kind().to_owned(),
        name: desired.id.name().to_owned(),
        phase: desired.phase,
        action,
        differences,
        adopts,
        ready,
        proof: desired.resource.is_proof(),
        note: None,
        consequences: Vec::new(),
        summary: Summary::default(),
    };
    if desired.goal == Goal::Absent {
        return Ok(decide_removal(observed, step));
    }
    if desired.goal == Goal::Evicted {
        return decide_yielding(desired, observed, adopt, step);
    }
    let present = match observed {
        Observed::Absent => return Ok(step(Action::Create, Vec::new(), false, false)),
        Observed::Present(present) => present,
    };
    let ready = present.readiness == Readiness::Ready;
    match &present.ownership {
        Ownership::Ours | Ownership::Shared { .. } if present.differences.is_empty() => {
            // The condition that a proof waits for is reported by the wait.
            let waits = present.readiness.reason();
            let waits = waits.filter(|_| !desired.resource.is_proof());
            Ok(Step {
                note: waits.map(|it| format!("not ready: {it}")),
                ..step(Action::Keep, Vec::new(), false, ready)
            })
        }
        Ownership::Ours | Ownership::Shared { .. } => Ok(step(
            Action::Update,
            present.differences.clone(),
            false,
            ready,
        )),
        Ownership::Foreign { .. } if adopt => Ok(step(
            Action::Update,
            present.differences.clone(),
            true,
            ready,
        )),
        Ownership::Foreign { evidence } => Err(foreign(&desired.id, evidence)),
        Ownership::OtherProfile { name } => Err(other_profile(&desired.id, name)),
    }
}

/// The step of a resource to delete: deleted if it belongs to this profile, kept if not.
fn decide_removal(
    observed: &Observed,
    step: impl Fn(Action, Vec<Difference>, bool, bool) -> Step,
) -> Step {
    let Observed::Present(present) = observed else {
        return step(Action::Keep, Vec::new(), false, true);
    };
    let stays = |why: &str| Step {
        note: Some(format!("stays: {why}")),
        ..step(Action::Keep, Vec::new(), false, true)
    };
    match &present.ownership {
        Ownership::Ours => Step {
            note: present.readiness.reason().map(str::to_owned),
            ..step(
                Action::Delete,
                Vec::new(),
                false,
                present.readiness == Readiness::Ready,
            )
        },
        Ownership::Shared { because } => Step {
            note: Some(format!("only arcctl's part is removed: {because}")),
            ..step(Action::Update, present.differences.clone(), false, true)
        },
        Ownership::Foreign { evidence } => stays(evidence),
        Ownership::OtherProfile { name } => stays(&format!("it is of the profile `{name}`")),
    }
}

/// The step of a conflicting object of another owner: deleted with `--adopt`, its manifest shown; an error without it.
fn decide_yielding(
    desired: &Desired,
    observed: &Observed,
    adopt: bool,
    step: impl Fn(Action, Vec<Difference>, bool, bool) -> Step,
) -> Result<Step, Error> {
    let Observed::Present(present) = observed else {
        return Ok(step(Action::Keep, Vec::new(), false, true));
    };
    if let Ownership::OtherProfile { name } = &present.ownership {
        return Err(other_profile(&desired.id, name));
    }
    let Resource::Object(object) = &desired.resource else {
        return Ok(step(Action::Keep, Vec::new(), false, true));
    };
    if !adopt {
        return Err(rival(&desired.id, &object.manifest));
    }
    let shown = Difference::whole(&object.manifest);
    Ok(step(Action::Delete, vec![shown], true, true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        desired::resource::{Id, KubeObject},
        error::ErrorKind,
        resource::observed::Present,
    };

    fn desired() -> Desired {
        Desired {
            id: Id::new("namespace", None, "x"),
            phase: Phase::Base,
            after: Vec::new(),
            resource: Resource::Object(KubeObject::new(serde_json::Value::Null)),
            goal: Goal::Present,
        }
    }

    fn present(ownership: Ownership, differing: bool) -> Observed {
        let difference = Difference {
            path: "a".into(),
            from: 1.into(),
            to: 2.into(),
        };
        Observed::Present(Present {
            differences: if differing {
                vec![difference]
            } else {
                Vec::new()
            },
            readiness: Readiness::Ready,
            ownership,
        })
    }

    #[test]
    fn each_observation_has_its_action() {
        let foreign = || Ownership::Foreign {
            evidence: "kubectl".into(),
        };
        let action =
            |observed: &Observed, adopt| decide(&desired(), observed, adopt).map(|it| it.action);
        assert_eq!(action(&Observed::Absent, false).unwrap(), Action::Create);
        assert_eq!(
            action(&present(Ownership::Ours, false), false).unwrap(),
            Action::Keep
        );
        assert_eq!(
            action(&present(Ownership::Ours, true), false).unwrap(),
            Action::Update
        );
        assert_eq!(
            action(&present(foreign(), false), true).unwrap(),
            Action::Update
        );
        assert_eq!(
            action(&present(foreign(), true), false).unwrap_err().kind,
            ErrorKind::Refused
        );
        let other = Ownership::OtherProfile { name: "b".into() };
        assert_eq!(
            action(&present(other, false), true).unwrap_err().kind,
            ErrorKind::Refused
        );
    }

    #[test]
    fn a_rival_is_refused_and_goes_with_adopt_its_manifest_shown() {
        let manifest = json!({
            "apiVersion": "actions.summerwind.dev/v1alpha1",
            "kind": "HorizontalRunnerAutoscaler",
            "metadata": {"name": "r", "namespace": "n", "uid": "1", "managedFields": []},
            "spec": {"scaleTargetRef": {"name": "basic"}},
            "status": {"desiredReplicas": 3},
        });
        let yields = Desired {
            id: Id::new("horizontal-runner-autoscaler", Some("n"), "r"),
            resource: Resource::Object(KubeObject::new(manifest)),
            goal: Goal::Evicted,
            ..desired()
        };
        let foreign = || Ownership::Foreign {
            evidence: "kubectl".into(),
        };
        let refused = decide(&yields, &present(foreign(), false), false).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Refused);
        assert!(
            refused
                .to_string()
                .contains("delete horizontalrunnerautoscaler r"),
            "{refused}"
        );
        let step = decide(&yields, &present(foreign(), false), true).unwrap();
        assert_eq!((step.action, step.adopts), (Action::Delete, true));
        assert_eq!(
            step.differences[0].from,
            json!({
                "apiVersion": "actions.summerwind.dev/v1alpha1",
                "kind": "HorizontalRunnerAutoscaler",
                "metadata": {"name": "r", "namespace": "n"},
                "spec": {"scaleTargetRef": {"name": "basic"}},
            })
        );
        let other = Ownership::OtherProfile { name: "b".into() };
        let other = decide(&yields, &present(other, false), true).unwrap_err();
        assert_eq!(other.kind, ErrorKind::Refused);
        let gone = decide(&yields, &Observed::Absent, false).unwrap();
        assert_eq!(gone.action, Action::Keep);
    }

    #[test]
    fn only_what_is_this_profile_s_goes() {
        let gone = Desired {
            goal: Goal::Absent,
            ..desired()
        };
        let action = |observed: &Observed| decide(&gone, observed, true).unwrap();
        assert_eq!(action(&Observed::Absent).action, Action::Keep);
        let ours = action(&present(Ownership::Ours, true));
        assert_eq!((ours.action, ours.note), (Action::Delete, None));
        let because = "others use it".into();
        let shared = action(&present(Ownership::Shared { because }, true));
        assert_eq!(shared.action, Action::Update);
        assert_eq!(shared.differences.len(), 1);
        assert_eq!(
            shared.note.unwrap(),
            "only arcctl's part is removed: others use it"
        );
        for ownership in [
            Ownership::Foreign {
                evidence: "made by kubectl".into(),
            },
            Ownership::OtherProfile { name: "b".into() },
        ] {
            // Also one that another user is deleting right now: the run does not wait for it.
            for readiness in [
                Readiness::Ready,
                Readiness::progressing("it is being deleted"),
            ] {
                let step = action(&Observed::Present(Present {
                    ownership: ownership.clone(),
                    differences: Vec::new(),
                    readiness,
                }));
                assert_eq!((step.action, step.ready), (Action::Keep, true));
                assert!(step.note.unwrap().starts_with("stays: "));
            }
        }
    }
}
