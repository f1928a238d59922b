//! The controller's scheduled overrides: created from windows, and evaluated like the controller does. Pure.

use jiff::{SignedDuration, Timestamp, ZonedDateTime, tz::TimeZone};

use super::{
    Schedule, ScheduleError, Window,
    occurrences::Occurrences,
    window::{Period, Times, times},
    zoned,
};

/// How far ahead the dated overrides of a zone with daylight saving reach, from their anchor.
pub const HORIZON_DAYS: i64 = 400;

/// The step of the anchor: within a step the result does not depend on `now`.
const STEP_DAYS: i64 = 90;

/// How long after the last clock change endless recurrences begin: two of the longest, and a day.
const SETTLED_DAYS: i64 = 15;

/// Monday 2024-01-01: recurrences begin at the first occurrence after it, so that rendering needs no clock.
const EPOCH: i64 = 1_704_067_200;

/// The period of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frequency {
    /// Every 24 hours.
    Daily,
    /// Every 168 hours.
    Weekly,
}

impl Frequency {
    /// The value of `recurrenceRule.frequency`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "Daily",
            Self::Weekly => "Weekly",
        }
    }

    /// The hours between two occurrences.
    pub const fn length(self) -> SignedDuration {
        match self {
            Self::Daily => Period::Daily.length(),
            Self::Weekly => Period::Weekly.length(),
        }
    }
}

/// One entry of `spec.scheduledOverrides`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The window it comes from; empty if read from the cluster, which does not store it.
    pub name: String,
    /// When it first begins, in the profile's zone.
    pub start: ZonedDateTime,
    /// When that first occurrence ends.
    pub end: ZonedDateTime,
    /// The minimum while it is active.
    pub min: u32,
    /// How it recurs; absent for a single occurrence.
    pub frequency: Option<Frequency>,
    /// The last instant at which an occurrence may begin; absent for no end.
    pub until: Option<Timestamp>,
}

impl Override {
    /// How long one occurrence lasts.
    pub fn duration(&self) -> SignedDuration {
        self.end.timestamp() - self.start.timestamp()
    }

    /// Whether it is active for the controller: an occurrence has begun, at or before `untilTime`, and not ended.
    pub fn active_at(&self, at: Timestamp) -> bool {
        self.last_start(at)
            .is_some_and(|start| at < later(start, self.duration()))
    }

    /// The last occurrence that begins at or before an instant.
    pub(super) fn last_start(&self, at: Timestamp) -> Option<Timestamp> {
        let first = self.start.timestamp();
        let Some(frequency) = self.frequency else {
            return (first <= at).then_some(first);
        };
        let at = self.until.map_or(at, |until| until.min(at));
        let period = frequency.length().as_secs();
        let periods = (at.as_second() - first.as_second()).div_euclid(period);
        (first <= at).then(|| later(first, SignedDuration::from_secs(periods * period)))
    }

    /// The end of its last occurrence; `None` if it recurs for ever.
    pub fn last_end(&self) -> Option<Timestamp> {
        if self.frequency.is_none() {
            return Some(self.end.timestamp());
        }
        let until = self.until?;
        Some(
            self.last_start(until)
                .map_or(self.start.timestamp(), |start| {
                    later(start, self.duration())
                }),
        )
    }
}

/// The override in force: the controller walks the list in order and the first active entry wins.
pub fn active_at(overrides: &[Override], at: Timestamp) -> Option<usize> {
    overrides.iter().position(|entry| entry.active_at(at))
}

/// Converts a schedule's windows to overrides.
///
/// If the zone's offset no longer changes, each window of times of day is one recurrence (one for each of its days),
/// without end or until its last day. Otherwise it is a list of dated recurrences, one per period of constant offset,
/// and single overrides for occurrences with a clock change in between, over [`HORIZON_DAYS`] from an anchor that moves
/// in steps.
///
/// A window with a date becomes single overrides in every zone, up to the same horizon. The controller's own `Monthly`
/// and `Yearly` count months in UTC, where the first of the month in Seoul is the last of the month before, and its
/// limit of a month's length changes with the present month (reference: arc.md 2.3).
pub fn overrides(schedule: &Schedule, now: Timestamp) -> Result<Vec<Override>, ScheduleError> {
    let zone = schedule.zone()?;
    let mut result = Vec::new();
    for window in &schedule.windows {
        let times = times(window)?;
        let recurrences = times.recurrences();
        if recurrences.is_empty() {
            let (from, horizon) = stepped(now);
            // A single occurrence is written however far away it is.
            let once = times.last_end(&zone).filter(|_| window.repeat.is_none());
            let to = once.map_or(horizon, |end| end.max(horizon));
            let dated = times.occurrences(&zone, from, to)?.spans.into_iter();
            result.extend(dated.map(|(start, end)| single(window, start, end, &zone)));
        }
        for (period, times) in recurrences {
            result.extend(recurring(window, times, period, &zone, now)?);
        }
    }
    Ok(result)
}

fn single(window: &Window, start: Timestamp, end: Timestamp, zone: &TimeZone) -> Override {
    Override {
        name: window.name.clone(),
        start: zoned(start, zone),
        end: zoned(end, zone),
        min: window.min,
        frequency: None,
        until: None,
    }
}

/// The overrides of a window that opens every day, or every week on one day.
fn recurring(
    window: &Window,
    times: Times,
    period: Period,
    zone: &TimeZone,
    now: Timestamp,
) -> Result<Vec<Override>, ScheduleError> {
    let Anchor { constant, from, to } = anchor(zone, now);
    let frequency = match period {
        Period::Daily => Frequency::Daily,
        Period::Weekly => Frequency::Weekly,
    };
    let occurrences = times.occurrences(zone, from, to)?;
    if constant {
        let first = occurrences.spans.iter().find(|(start, _)| *start >= from);
        let endless = first.map(|&(start, end)| Override {
            frequency: Some(frequency),
            until: times.last_start(zone),
            ..single(window, start, end, zone)
        });
        return Ok(endless.into_iter().collect());
    }
    let of_run = |run: Run| Override {
        frequency: (run.count > 1).then_some(frequency),
        until: (run.count > 1).then(|| later(run.start, frequency.length() * (run.count - 1))),
        ..single(window, run.start, run.end, zone)
    };
    Ok(runs(&occurrences, period).into_iter().map(of_run).collect())
}

/// Where the dated overrides that [`overrides`] creates at `now` end; `None` if nothing follows them, or they recur for
/// ever.
pub fn horizon(schedule: &Schedule, now: Timestamp) -> Result<Option<Timestamp>, ScheduleError> {
    let zone = schedule.zone()?;
    let (anchor, stepped) = (anchor(&zone, now), stepped(now).1);
    let mut result: Option<Timestamp> = None;
    for window in &schedule.windows {
        let times = times(window)?;
        let end = match (times.recurrences().is_empty(), window.repeat) {
            (true, None) => continue,
            (true, Some(_)) => stepped,
            (false, _) if anchor.constant => continue,
            (false, _) => anchor.to,
        };
        if times.last_end(&zone).is_none_or(|last| last > end) {
            result = Some(result.map_or(end, |known| known.min(end)));
        }
    }
    Ok(result)
}

/// The time range to convert to overrides.
struct Anchor {
    /// Whether the zone's offset no longer changes.
    constant: bool,
    from: Timestamp,
    to: Timestamp,
}

fn anchor(zone: &TimeZone, now: Timestamp) -> Anchor {
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let epoch = Timestamp::from_second(EPOCH).unwrap_or_default();
    // On the day of a clock change a window can begin or end at another time, and so can one that began before it: a
    // recurrence begins after that day, once no such occurrence is open.
    let since = constant_since(zone, now.max(epoch))
        .map(|change| later(change, days(1)).max(epoch))
        .filter(|from| *from == epoch || later(*from, days(SETTLED_DAYS)) <= now);
    let (from, length) = if let Some(from) = since {
        (from, SETTLED_DAYS)
    } else {
        (stepped(now).0, HORIZON_DAYS)
    };
    Anchor {
        constant: since.is_some(),
        from,
        to: later(from, days(length)),
    }
}

/// The time range of dated overrides: it moves in steps.
fn stepped(now: Timestamp) -> (Timestamp, Timestamp) {
    let steps = (now.as_second() - EPOCH).div_euclid(STEP_DAYS * 86400);
    let from = Timestamp::from_second(EPOCH + steps * STEP_DAYS * 86400).unwrap_or_default();
    (
        from,
        later(from, SignedDuration::from_hours(24 * HORIZON_DAYS)),
    )
}

/// The instant since which the zone's offset is constant; `None` if it will change again.
fn constant_since(zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
    let offset = zone.to_offset(now);
    // A zone with daylight saving has endless transitions: the first two years decide.
    let horizon = later(now, SignedDuration::from_hours(24 * 366 * 2));
    let changes = zone
        .following(now)
        .take_while(|transition| transition.timestamp() < horizon)
        .any(|transition| transition.offset() != offset);
    if changes {
        return None;
    }
    let mut since = Timestamp::MIN;
    for transition in zone.preceding(later(now, SignedDuration::from_nanos(1))) {
        if transition.offset() != offset {
            break;
        }
        since = transition.timestamp();
    }
    Some(since)
}

/// The instant `duration` after another, limited to the maximum.
pub(super) fn later(at: Timestamp, duration: SignedDuration) -> Timestamp {
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// Occurrences of one length, one period apart.
struct Run {
    start: Timestamp,
    end: Timestamp,
    /// How many.
    count: i32,
}

fn runs(occurrences: &Occurrences, period: Period) -> Vec<Run> {
    let period = period.length();
    let mut runs: Vec<Run> = Vec::new();
    for &(start, end) in &occurrences.spans {
        let continues = runs.last_mut().filter(|run| {
            // The controller rejects a recurrence longer than its period: the long night is a single override.
            end - start <= period
                && end - start == run.end - run.start
                && start == later(run.start, period * run.count)
        });
        match continues {
            Some(run) => run.count += 1,
            None => runs.push(Run {
                start,
                end,
                count: 1,
            }),
        }
    }
    runs
}
