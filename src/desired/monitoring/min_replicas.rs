//! The `PromQL` expression of a pool's minimum in force. Pure: no I/O.
//!
//! The controller's own metric has only the autoscaler's base value, and the listener's of a scale set what somebody last wrote.
//! The overrides are evaluated with UTC instants, as in the controller and in the table of a scale set: they recur every 24
//! or 168 hours; clock changes are already in their dates.

use jiff::Timestamp;

use crate::profile::{
    Pool,
    schedule::{Override, first_disagreement},
};

/// The series with the minimum in force, by pool.
pub const IN_FORCE: &str = "arcctl:min_replicas:in_force";

/// The same, by scale set.
pub const SET_IN_FORCE: &str = "arcctl:min_runners:in_force";

/// The expression of the minimum: that of the first active override, else `base`.
pub(super) fn expression(overrides: &[Override], base: u32) -> String {
    let clauses = overrides
        .iter()
        .map(|entry| format!("(vector({}) and on() {})", entry.min, active(entry)));
    clauses
        .chain([format!("vector({base})")])
        .collect::<Vec<_>>()
        .join("\nor ")
}

/// A vector of one element while the override is active, otherwise empty.
fn active(entry: &Override) -> String {
    let start = entry.start.timestamp().as_second();
    let mut factors = vec![format!("(time() >= bool {start})")];
    if let Some(frequency) = entry.frequency {
        let (period, length) = (frequency.length().as_secs(), entry.duration().as_secs());
        factors.push(format!("((time() - {start}) % {period} < bool {length})"));
    }
    // An occurrence is not longer than its period: shortly before the end only the last one is open.
    if let Some(end) = entry.last_end() {
        factors.push(format!("(time() < bool {})", end.as_second()));
    }
    format!("vector({}) == 1", factors.join(" * "))
}

/// The instant, in seconds, at which dated overrides end although the schedule continues; `None` if there is none.
pub(super) fn end(overrides: &[Override], pool: &Pool, now: Timestamp) -> Option<i64> {
    let differs = first_disagreement(overrides, pool.schedule.as_ref()?, pool.min, now)?;
    let last = overrides
        .iter()
        .map(Override::last_end)
        .collect::<Option<Vec<_>>>();
    let last = last.and_then(|ends| ends.into_iter().max());
    let last = last.filter(|last| *last > now);
    // After the last override the minimum is wrong, even if the profile's next window is days away.
    Some(last.map_or(differs, |last| last.min(differs)).as_second())
}
