//! A pool's minimum in force as `PromQL`. Pure: no I/O.
//!
//! The controller's own metric has the autoscaler's base value only. What its overrides make of it is arithmetic over
//! instants in UTC, the same that the controller does: they recur every 24 or 168 hours, whatever the clocks do, and
//! what the clocks do is in their dates.

use jiff::Timestamp;

use crate::profile::schedule::Override;

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

/// The instant at which the last dated override ends, in seconds; `None` where the schedule has no end.
pub(super) fn end(overrides: &[Override]) -> Option<i64> {
    let ends: Option<Vec<_>> = overrides.iter().map(Override::last_end).collect();
    ends?.into_iter().max().map(Timestamp::as_second)
}
