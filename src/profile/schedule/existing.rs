//! Compares live overrides in the cluster with the profile. Pure.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::Value;

use super::{
    Frequency, HORIZON_DAYS, Override, Schedule, active_at, calendar::boundaries,
    occurrences::Occurrences, overrides::later, zoned,
};

/// Parses `spec.scheduledOverrides` of a `HorizontalRunnerAutoscaler`.
///
/// `None` if it contains something that arcctl never writes (another frequency, no minimum) or that is malformed: then
/// it is replaced. `null` is the empty list.
pub fn parse_live(value: &Value) -> Option<Vec<Override>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    value.as_array()?.iter().map(parse_one).collect()
}

fn parse_one(entry: &Value) -> Option<Override> {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let (start, end) = (time(entry.get("startTime")?)?, time(entry.get("endTime")?)?);
    let rule = entry.get("recurrenceRule").filter(|rule| !rule.is_null());
    let frequency = match rule
        .and_then(|rule| rule.get("frequency"))
        .map(Value::as_str)
    {
        None | Some(Some("")) => None,
        Some(Some("Daily")) => Some(Frequency::Daily),
        Some(Some("Weekly")) => Some(Frequency::Weekly),
        Some(_) => return None,
    };
    let until = match rule
        .and_then(|rule| rule.get("untilTime"))
        .filter(|time| !time.is_null())
    {
        Some(until) => Some(time(until)?),
        None => None,
    };
    let duration = end - start;
    // The controller fails the whole autoscaler on a recurrence longer than its period.
    if duration <= SignedDuration::ZERO || frequency.is_some_and(|rule| duration > rule.length()) {
        return None;
    }
    Some(Override {
        name: String::new(),
        start: zoned(start, &TimeZone::UTC),
        end: zoned(end, &TimeZone::UTC),
        min: u32::try_from(entry.get("minReplicas")?.as_u64()?).ok()?,
        frequency,
        until: frequency.and(until),
    })
}

/// Whether live overrides give the profile's minimum from now on, for at least `horizon_days`.
///
/// Dated overrides end some day; until then nothing may be wrong: at the first instant at which the two disagree no
/// live override may be active, and that instant is at least `horizon_days` away.
pub fn equivalent(
    live: &[Override],
    schedule: Option<&Schedule>,
    base_min: u32,
    now: Timestamp,
    horizon_days: i64,
) -> bool {
    let enough = later(now, days(horizon_days));
    let Some(disagreements) = disagreements(live, schedule, base_min, now, enough) else {
        return false;
    };
    disagreements
        .iter()
        .all(|&at| at >= enough && active_at(live, at).is_none())
}

/// The first instant from `now` on at which live overrides do not give the profile's minimum: usually where dated ones
/// end. `None` if they never differ.
pub fn first_disagreement(
    live: &[Override],
    schedule: &Schedule,
    base_min: u32,
    now: Timestamp,
) -> Option<Timestamp> {
    // Five years include a 29 February.
    let far = later(now, days(5 * 366));
    let disagreements = disagreements(live, Some(schedule), base_min, now, far)?;
    disagreements.first().copied()
}

/// The instants, from `now` until at least `to`, at which live overrides and the profile begin to differ, or differ in
/// another way. `None` for an invalid schedule.
fn disagreements(
    live: &[Override],
    schedule: Option<&Schedule>,
    base_min: u32,
    now: Timestamp,
    to: Timestamp,
) -> Option<Vec<Timestamp>> {
    // Far enough to include a clock change, and the end of all dated overrides (within ten years).
    let last_end = live
        .iter()
        .filter_map(Override::last_end)
        .max()
        .unwrap_or(now);
    let end = later(
        to.max(later(now, days(HORIZON_DAYS))).max(last_end),
        days(15),
    )
    .min(later(now, days(3660)));
    let wanted = match schedule {
        Some(schedule) => schedule.occurrences(now, end).ok()?,
        None => Vec::new(),
    };
    let mut instants = boundaries(&wanted, now, end);
    instants.extend(
        live.iter()
            .flat_map(|entry| live_boundaries(entry, now, end)),
    );
    instants.sort_unstable();
    instants.dedup();
    instants.retain(|&at| {
        let wanted_min = open_at(&wanted, at)
            .and_then(|index| schedule?.windows.get(index))
            .map_or(base_min, |window| window.min);
        active_at(live, at).map_or(base_min, |index| live[index].min) != wanted_min
    });
    Some(instants)
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn open_at(windows: &[Occurrences], at: Timestamp) -> Option<usize> {
    windows.iter().position(|window| window.open_at(at))
}

/// The instants after `from` and before `to` at which occurrences of a live override begin and end.
fn live_boundaries(entry: &Override, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let duration = entry.duration();
    let mut result = Vec::new();
    // Backwards from the last one: the first may be years ago.
    let mut start = entry.last_start(to);
    while let Some(at) = start.filter(|&at| later(at, duration) > from) {
        result.extend(
            [at, later(at, duration)]
                .into_iter()
                .filter(|&at| from < at && at < to),
        );
        start = entry.frequency.and_then(|rule| {
            let before = at.checked_sub(rule.length()).ok()?;
            (before >= entry.start.timestamp()).then_some(before)
        });
    }
    result
}
