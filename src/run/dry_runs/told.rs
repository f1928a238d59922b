//! What is told of the dry runs that do not end a run.

use std::collections::BTreeSet;

use super::{Trials, Tried, subject::Subject};
use crate::{
    error::Error,
    plan::Plan,
    resource::pods::{
        dry_run::Trial,
        new_namespace::{Foreseen, STAND_IN},
    },
    terminal::output::Output,
};

impl Trials<'_> {
    /// Reports what could not be tried yet. A run tries it itself, once it has made the namespaces.
    pub(crate) fn tell_untried(&self, output: Output) {
        for untried in self.objects.untried() {
            output.note(untried);
        }
    }

    /// Reports rejections that may be temporary, that do not affect this plan, or that are unknown. An exhausted quota is
    /// not reported for a pool whose runners exist.
    pub(super) fn tell(&self, plan: &Plan, output: Output) {
        for tried in &self.tried {
            if let Some(advice) = self.advice(plan, tried) {
                output.note(format!("advice: {advice}"));
            }
        }
        for remark in self.objects.remarks() {
            output.note(format!("advice: {remark}"));
        }
        for (id, error) in &self.unknown {
            output.note(format!(
                "advice: could not find out whether the API server admits the pods of `{id}`: {}",
                error.message
            ));
        }
        for (namespace, error) in &self.unread {
            output.note(told_of_unread(namespace, error));
        }
    }

    /// Reports what could not be found out although the run has made the namespaces `made`. What concerns others was told with
    /// the plan.
    pub(super) fn tell_again(&self, plan: &Plan, made: &BTreeSet<String>, output: Output) {
        for tried in &self.tried {
            let advice = match &tried.trial {
                Trial::TooEarly => told_of_missing(&tried.subject, tried.foreseen.as_ref()),
                Trial::Unknown(_) if made.contains(tried.subject.namespace()) => {
                    self.advice(plan, tried)
                }
                _ => None,
            };
            if let Some(advice) = advice {
                output.note(format!("advice: {advice}"));
            }
        }
        for remark in self.objects.remarks_in(made) {
            output.note(format!("advice: {remark}"));
        }
        for (namespace, error) in &self.unread {
            if made.contains(namespace) {
                output.note(told_of_unread(namespace, error));
            }
        }
        if let Some(untried) = self.objects.untried_again() {
            output.note(untried);
        }
    }

    fn advice(&self, plan: &Plan, tried: &Tried) -> Option<String> {
        let subject = &tried.subject;
        let pods = subject.pods();
        let object = subject.object();
        let is_ready = plan.steps.iter().any(|it| it.id == object && it.ready);
        match &tried.trial {
            Trial::Refused(refusal) if refusal.is_lasting() => {
                let new = pods.replacen("the runner pods", "new runner pods", 1);
                (!self.is_made(plan, subject)).then(|| {
                    format!(
                        "the API server refuses {new}: {}; running pods stay, and new ones start only after this: {}",
                        refusal.said, refusal.hint
                    )
                })
            }
            Trial::Refused(refusal) => (!is_ready).then(|| {
                format!(
                    "at this moment the API server refuses {pods}: {}. This may be temporary; if not: {}",
                    refusal.said, refusal.hint
                )
            }),
            Trial::Unknown(error) => Some(format!(
                "could not find out whether the API server admits {pods}: {}",
                error.document().message
            )),
            Trial::TooEarly => told_of_new(subject, tried.foreseen.as_ref()?),
            Trial::Admitted(_) => None,
        }
    }
}

/// What is told of pods whose namespace does not exist yet, where it is no refusal.
fn told_of_new(subject: &Subject, foreseen: &Foreseen) -> Option<String> {
    let (pods, namespace) = (subject.pods(), subject.namespace());
    match foreseen {
        Foreseen::Nothing | Foreseen::Refused(_) => None,
        Foreseen::Perhaps(refusal) => Some(format!(
            "the API server would refuse {pods} in namespace `{STAND_IN}`: {}; namespace `{namespace}` does not exist yet, so it is not known whether this applies there; if it does: {}",
            refusal.said, refusal.hint
        )),
        Foreseen::Unknown(why) => Some(format!(
            "could not find out whether the API server admits {pods}, because namespace `{namespace}` does not exist yet: {why}; `up` checks this after it has created the namespace, before it installs anything"
        )),
    }
}

/// What is told of pods whose namespace the run does not make.
fn told_of_missing(subject: &Subject, foreseen: Option<&Foreseen>) -> Option<String> {
    let Some(Foreseen::Unknown(why)) = foreseen else {
        return None;
    };
    Some(format!(
        "could not find out whether the API server admits {}, because namespace `{}` does not exist, and this run does not make it: {why}; a refusal shows when the pods are made",
        subject.pods(),
        subject.namespace()
    ))
}

/// What is told of a namespace whose quotas could not be read.
fn told_of_unread(namespace: &str, error: &Error) -> String {
    format!(
        "advice: could not find out whether the quotas of namespace `{namespace}` allow all its pods together: {}",
        error.document().message
    )
}
