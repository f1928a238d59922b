//! The checks and the facts of runner scale sets, which not every profile has.

use super::{Hide, checks, unanswered};

/// Checks that do not apply to a profile without a scale set.
pub(super) fn of_scale_sets() -> Vec<&'static str> {
    let all = checks().into_iter().map(|it| it.id);
    all.filter(|it| it.starts_with("scale-set-")).collect()
}

/// Makes one fact of the scale sets unknown, where there are any.
macro_rules! facts_of_scale_sets {
    ($($fact:ident),* $(,)?) => {
        &[$((stringify!($fact), |it| {
            if let Some(facts) = &mut it.scale_sets {
                facts.$fact = Err(unanswered());
            }
        })),*]
    };
}

/// Every fact of the scale sets that may be unknown.
pub(super) const FACTS_OF_SCALE_SETS: &[(&str, Hide)] = facts_of_scale_sets!(
    controller,
    sets,
    listeners,
    listener_pods,
    runner_sets,
    runners,
    secret_name,
    at_github,
    recorded,
    pod_monitors,
);
