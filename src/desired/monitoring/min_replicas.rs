//! A pool's minimum in force as `PromQL`. Pure: no I/O.
//!
//! The controller's own metric has the autoscaler's base value only. What its overrides make of it is arithmetic over
//! instants in UTC, the same that the controller does: they recur every 24 or 168 hours, whatever the clocks do, and
//! what the clocks do is in their dates.

use jiff::Timestamp;

use crate::profile::{
    Pool,
    schedule::{Override, first_disagreement},
};

/// The series that holds the minimum in force, by pool.
pub const IN_FORCE: &str = "arcctl:min_replicas:in_force";

/// An expression that gives the minimum at every instant: of the first override that is active, else `base`.
pub(super) fn expression(overrides: &[Override], base: u32) -> String {
    let clauses = overrides
        .iter()
        .map(|entry| format!("(vector({}) and on() {})", entry.min, active(entry)));
    clauses
        .chain([format!("vector({base})")])
        .collect::<Vec<_>>()
        .join("\nor ")
}

/// A vector of one element while the override is active, and of none otherwise.
fn active(entry: &Override) -> String {
    let start = entry.start.timestamp().as_second();
    let mut factors = vec![format!("(time() >= bool {start})")];
    if let Some(frequency) = entry.frequency {
        let (period, length) = (frequency.length().as_secs(), entry.duration().as_secs());
        factors.push(format!("((time() - {start}) % {period} < bool {length})"));
    }
    // An occurrence is not longer than its period: none but the last one is open shortly before its end.
    if let Some(end) = entry.last_end() {
        factors.push(format!("(time() < bool {})", end.as_second()));
    }
    format!("vector({}) == 1", factors.join(" * "))
}

/// The instant, in seconds, at which dated overrides come to their end although the schedule goes on; `None` where they
/// do not.
pub(super) fn end(overrides: &[Override], pool: &Pool, now: Timestamp) -> Option<i64> {
    let differs = first_disagreement(overrides, pool.schedule.as_ref()?, pool.min, now)?;
    let last = overrides
        .iter()
        .map(Override::last_end)
        .collect::<Option<Vec<_>>>();
    let last = last.and_then(|ends| ends.into_iter().max());
    let last = last.filter(|last| *last > now);
    // After the last of them nothing is right any more, even where the profile's next window is days away.
    Some(last.map_or(differs, |last| last.min(differs)).as_second())
}
