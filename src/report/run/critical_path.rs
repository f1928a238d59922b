//! Where the time of a run went: the chain of steps that it waited for, and a trace of all of them. Pure: no I/O.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    desired::resource::{Id, ImagePull},
    execute::{Span, StepResult},
};

/// A part that is shorter than this explains nothing.
const SHORT: Duration = Duration::from_millis(500);

/// How many parts one line has.
const PARTS: usize = 4;

/// A part of the time of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    /// A step.
    Step(&'a Id),
    /// Between the namespaces and the rest: the lease, the plan that is made again under it, and the inventory.
    Lease,
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(id) => id.fmt(formatter),
            Self::Lease => formatter.write_str("lease and inventory"),
        }
    }
}

/// What the run waited for, the first part first: from the last step to end back to the first one. With the time that it
/// waited for each alone.
fn critical_path(steps: &[StepResult]) -> Vec<(Part<'_>, Duration)> {
    let span = |id: &Id| {
        let step = steps.iter().find(|it| it.id == *id)?;
        Some((&step.id, step.span.as_ref()?))
    };
    // The run does not wait at its end for images that are pulled ahead.
    let waited = steps.iter().filter(|it| it.id.kind() != ImagePull::KIND);
    let last = waited
        .filter_map(|it| Some((&it.id, it.span.as_ref()?)))
        .max_by_key(|(_, span)| span.ended);
    let mut path = Vec::new();
    let mut next = last;
    let mut until = last.map(|(_, at)| at.ended);
    while let Some((id, at)) = next {
        // A step may let others begin before it ends.
        let end = until.map_or(at.ended, |it| it.min(at.ended));
        path.push((Part::Step(id), end.saturating_duration_since(at.began)));
        until = Some(at.began);
        // No step is twice in a chain without circles; a longer one would be a fault, and this loop must end.
        if path.len() > steps.len() {
            break;
        }
        next = match &at.waited_for {
            Some(id) => span(id),
            // Only the namespaces end before a step that waits for none begins.
            None => steps
                .iter()
                .filter_map(|it| Some((&it.id, it.span.as_ref()?)))
                .filter(|(_, it)| it.ended <= at.began && it.ended > it.began)
                .max_by_key(|(_, it)| it.ended)
                .inspect(|(_, it)| path.push((Part::Lease, at.began - it.ended))),
        };
    }
    path.reverse();
    path
}

/// The longest parts of the chain in one line, in their order; `None` for a run of which no part was long.
pub fn line(steps: &[StepResult]) -> Option<String> {
    let path = critical_path(steps);
    let mut longest: Vec<Duration> = path.iter().map(|(_, time)| *time).collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    let least = longest
        .get(PARTS - 1)
        .copied()
        .unwrap_or_default()
        .max(SHORT);
    let parts: Vec<String> = path
        .iter()
        .filter(|(_, time)| *time >= least)
        .map(|(part, time)| format!("{:.1} s {part}", time.as_secs_f64()))
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "the longest waits, one after the other: {}",
            parts.join(", ")
        )
    })
}

/// The steps as a trace of Chrome's format ("Trace Event Format", complete events): times in microseconds since `start`, a
/// row per step. `chrome://tracing` and Perfetto show it.
pub fn trace(steps: &[StepResult], start: Instant) -> Value {
    let events: Vec<Value> = steps
        .iter()
        .filter_map(|it| Some((it, it.span.as_ref()?)))
        .map(|(step, span)| event(step, span, start))
        .collect();
    json!({"displayTimeUnit": "ms", "traceEvents": events})
}

fn event(step: &StepResult, span: &Span, start: Instant) -> Value {
    let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    json!({
        "name": step.id,
        "cat": step.id.kind(),
        "ph": "X",
        "ts": microseconds(span.began.saturating_duration_since(start)),
        "dur": microseconds(span.ended.saturating_duration_since(span.began)),
        "pid": 1,
        "tid": step.id,
        "args": {
            "action": step.action,
            "waitedFor": span.waited_for,
            "error": step.error.as_ref().map(|it| it.document().message),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Action;

    /// Steps as (name, second of the begin, second of the end, what it waited for).
    fn steps(all: &[(&str, u64, u64, Option<&str>)]) -> (Vec<StepResult>, Instant) {
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let id = |name: &str| Id::new("x", None, name);
        let step = |(name, began, ended, waited_for): &(&str, u64, u64, Option<&str>)| StepResult {
            id: id(name),
            action: Some(Action::Create),
            written: true,
            elapsed: Duration::from_secs(ended - began),
            span: Some(Span {
                began: at(*began),
                ended: at(*ended),
                waited_for: waited_for.map(id),
            }),
            error: None,
        };
        (all.iter().map(step).collect(), start)
    }

    #[test]
    fn the_chain_ends_with_what_ended_last_and_leaves_out_what_nothing_waited_for() {
        let (steps, _) = steps(&[
            ("crds", 0, 2, None),
            ("role", 0, 9, None),
            ("webhook", 2, 11, Some("crds")),
            ("pods", 11, 17, Some("webhook")),
        ]);
        let path: Vec<String> = critical_path(&steps)
            .iter()
            .map(|(part, time)| format!("{part} {}", time.as_secs()))
            .collect();
        assert_eq!(path, ["x/-/crds 2", "x/-/webhook 9", "x/-/pods 6"]);
        assert_eq!(
            line(&steps).unwrap(),
            "the longest waits, one after the other: 2.0 s x/-/crds, 9.0 s x/-/webhook, 6.0 s x/-/pods"
        );
    }

    #[test]
    fn a_step_that_lets_others_begin_counts_until_then() {
        let (steps, _) = steps(&[("role", 0, 13, None), ("pods", 2, 14, Some("role"))]);
        let line = line(&steps).unwrap();
        assert!(line.ends_with("2.0 s x/-/role, 12.0 s x/-/pods"), "{line}");
    }

    #[test]
    fn what_comes_before_the_graph_is_part_of_the_chain() {
        // Namespaces, three seconds for the lease and the plan under it, then the graph.
        let (steps, _) = steps(&[
            ("arcctl", 0, 1, None),
            ("runners", 0, 2, None),
            ("crds", 5, 7, None),
            ("webhook", 7, 9, Some("crds")),
        ]);
        assert_eq!(
            line(&steps).unwrap(),
            "the longest waits, one after the other: 2.0 s x/-/runners, 3.0 s lease and inventory, 2.0 s x/-/crds, 2.0 s x/-/webhook"
        );
    }

    #[test]
    fn a_line_has_the_longest_parts_only() {
        let (steps, _) = steps(&[
            ("a", 0, 5, None),
            ("b", 5, 6, Some("a")),
            ("c", 6, 10, Some("b")),
            ("d", 10, 13, Some("c")),
            ("e", 13, 15, Some("d")),
        ]);
        let line = line(&steps).unwrap();
        assert!(!line.contains("x/-/b"), "{line}");
        assert_eq!(line.matches(" s ").count(), PARTS, "{line}");
    }

    #[test]
    fn a_run_without_steps_or_waits_has_no_line() {
        assert_eq!(line(&[]), None);
        let (mut steps, _) = steps(&[("a", 0, 0, None)]);
        assert_eq!(line(&steps), None);
        steps[0].span = None;
        assert_eq!(critical_path(&steps), []);
    }

    #[test]
    fn a_trace_has_each_step_with_its_times() {
        let (steps, start) = steps(&[("a", 1, 3, None), ("b", 3, 4, Some("a"))]);
        let trace = trace(&steps, start);
        let events = trace["traceEvents"].as_array().unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(
            (&events[0]["ts"], &events[0]["dur"]),
            (&json!(1_000_000), &json!(2_000_000))
        );
        assert_eq!(events[1]["args"]["waitedFor"], "x/-/a");
    }
}
