//! How long a scale set took no job while another minor version of its charts came: measured, not foreseen. Pure: no I/O.

use std::time::Duration;

use serde::Serialize;

use super::seconds;
use crate::{
    desired::{
        names,
        resource::{Id, scale_set::ScaleSetDrain},
    },
    execute::{Span, StepResult},
};

/// The pause of one scale set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pause<'a> {
    /// The step that ended it.
    id: &'a Id,
    /// Seconds from its last new job until its runners had ended and it was removed.
    drain: f64,
    /// Seconds from then until it was proven again; absent if that did not happen in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<f64>,
}

/// The pauses of a run. One that began in an earlier run is not among them: its beginning is not known.
pub fn pauses(steps: &[StepResult]) -> Vec<Pause<'_>> {
    let ended = steps
        .iter()
        .filter(|it| it.id.kind() == ScaleSetDrain::KIND);
    ended
        .filter(|it| it.written && it.error.is_none())
        .filter_map(|it| Some(pause(steps, &it.id, it.span.as_ref()?)))
        .collect()
}

fn pause<'a>(steps: &[StepResult], id: &'a Id, span: &Span) -> Pause<'a> {
    let proof = names::scale_set_id(id.namespace().unwrap_or_default(), id.name());
    let proven = |it: &&StepResult| it.id == proof && it.error.is_none();
    let back = steps.iter().find(proven).and_then(|it| it.span.as_ref());
    let since = |from, to: std::time::Instant| -> Duration { to.saturating_duration_since(from) };
    Pause {
        id,
        drain: seconds(since(span.began, span.ended)),
        gap: back.map(|it| seconds(since(span.ended, it.ended))),
    }
}

/// The pauses for people, a line for each.
pub fn lines(steps: &[StepResult]) -> Vec<String> {
    let told = pauses(steps).into_iter().filter_map(|it| {
        let (pool, drain, gap) = (it.id.name(), it.drain, it.gap?);
        Some(format!(
            "scale set `{pool}` took no new job for {:.1} s: {drain:.1} s until its runners had ended, then {gap:.1} s until it was verified again",
            drain + gap
        ))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::plan::Action;

    fn step(start: Instant, id: Id, (began, ended): (u64, u64), written: bool) -> StepResult {
        let at = |second| start + Duration::from_secs(second);
        StepResult {
            id,
            action: Some(Action::Delete),
            written,
            elapsed: Duration::from_secs(ended - began),
            span: Some(Span {
                began: at(began),
                ended: at(ended),
                waited_for: None,
            }),
            error: None,
        }
    }

    #[test]
    fn a_pause_is_from_the_last_new_job_until_the_set_is_proven_again() {
        let start = Instant::now();
        let drain = |pool: &str| Id::new(ScaleSetDrain::KIND, Some("n"), pool);
        let proof = names::scale_set_id("n", "fast");
        let mut steps = vec![
            step(start, drain("fast"), (2, 10), true),
            step(start, drain("was-back"), (2, 2), false),
            step(start, proof, (40, 71), false),
        ];
        assert_eq!(
            lines(&steps),
            [
                "scale set `fast` took no new job for 69.0 s: 8.0 s until its runners had ended, then 61.0 s until it was verified again"
            ]
        );
        // A run that failed before does not say how long it is.
        steps.pop();
        assert!(lines(&steps).is_empty());
        let found = pauses(&steps);
        assert_eq!((found.len(), found[0].gap), (1, None));
    }
}
