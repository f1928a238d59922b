//! The schedule for output: the minimum in force, the next change, and the calendar. Pure.

use std::fmt;

use jiff::{SignedDuration, Timestamp, ZonedDateTime, tz::TimeZone};

use super::{Schedule, ScheduleError, occurrences::Occurrences, overrides::later, zoned};

/// How many days ahead to search for the next change, tried in order: enough for a weekly or daily schedule with clock
/// changes; for a monthly one; for a yearly one; for a 29 February and distant dates.
const LOOK_AHEAD_DAYS: [i64; 4] = [16, 100, 800, 3660];

/// Times at least this far away are printed with a date: a weekday alone would be ambiguous.
const NEAR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// An interval with one minimum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// When it begins.
    pub start: ZonedDateTime,
    /// When it ends.
    pub end: ZonedDateTime,
    /// The window in force, if any.
    pub window: Option<String>,
    /// The minimum.
    pub min: u32,
}

/// A pool's schedule at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The schedule's zone; absent without a schedule.
    pub time_zone: Option<String>,
    /// The window in force.
    pub active: Option<ActiveWindow>,
    /// The minimum in force.
    pub min: u32,
    /// The next change; absent when nothing will change.
    pub next: Option<NextChange>,
    /// The instant of this state.
    pub at: Timestamp,
}

/// A window that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveWindow {
    /// Its name.
    pub name: String,
    /// Its minimum.
    pub min: u32,
    /// When it closes, or an earlier window of the list opens.
    pub until: ZonedDateTime,
}

/// The next minimum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextChange {
    /// When.
    pub at: ZonedDateTime,
    /// The window in force from then on; absent outside every window.
    pub window: Option<String>,
    /// The minimum from then on.
    pub min: u32,
}

/// The intervals from `from` to `to`; empty if `to` is not after `from`.
pub fn calendar(
    schedule: &Schedule,
    base_min: u32,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Interval>, ScheduleError> {
    let zone = schedule.zone()?;
    let occurrences = schedule.occurrences(from, to)?;
    let mut stretches: Vec<(Timestamp, Option<usize>)> = Vec::new();
    for at in boundaries(&occurrences, from, to) {
        let open = occurrences.iter().position(|window| window.open_at(at));
        if stretches.last().is_none_or(|&(_, last)| last != open) {
            stretches.push((at, open));
        }
    }
    let ends = stretches
        .iter()
        .skip(1)
        .map(|&(start, _)| start)
        .chain([to]);
    let stretches = stretches.iter().zip(ends).map(|(&(start, open), end)| {
        let window = open.and_then(|index| schedule.windows.get(index));
        Interval {
            start: zoned(start, &zone),
            end: zoned(end, &zone),
            window: window.map(|window| window.name.clone()),
            min: window.map_or(base_min, |window| window.min),
        }
    });
    Ok(stretches.collect())
}

/// A clock change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The time before the change.
    pub before: ZonedDateTime,
    /// The same instant after the change.
    pub after: ZonedDateTime,
}

/// The clock changes after `from` and before `to`.
pub fn clock_changes(
    schedule: &Schedule,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<ClockChange>, ScheduleError> {
    let zone = schedule.zone()?;
    let mut offset = zone.to_offset(from);
    let mut changes = Vec::new();
    for transition in zone.following(from) {
        let at = transition.timestamp();
        if at >= to {
            break;
        }
        // Some transitions only rename the zone.
        if transition.offset() != offset {
            changes.push(ClockChange {
                before: zoned(at, &TimeZone::fixed(offset)),
                after: zoned(at, &zone),
            });
        }
        offset = transition.offset();
    }
    Ok(changes)
}

/// `from`, and every instant before `to` at which a window opens or closes, in order.
pub(super) fn boundaries(
    occurrences: &[Occurrences],
    from: Timestamp,
    to: Timestamp,
) -> Vec<Timestamp> {
    let ends = occurrences
        .iter()
        .flat_map(|window| &window.spans)
        .flat_map(|&(a, b)| [a, b]);
    let inside = ends.filter(|&at| from < at && at < to);
    let mut result: Vec<Timestamp> = (from < to)
        .then_some(from)
        .into_iter()
        .chain(inside)
        .collect();
    result.sort_unstable();
    result.dedup();
    result
}

/// The state at `now` and the next change. An invalid schedule counts as none.
pub fn moment(schedule: Option<&Schedule>, base_min: u32, now: Timestamp) -> Moment {
    let ahead = |days: i64| {
        let end = later(now, SignedDuration::from_hours(24 * days));
        let stretches = schedule.and_then(|it| calendar(it, base_min, now, end).ok());
        stretches.unwrap_or_default()
    };
    let mut stretches = Vec::new();
    for days in LOOK_AHEAD_DAYS {
        stretches = ahead(days);
        if stretches.len() != 1 {
            break;
        }
    }
    let mut stretches = stretches.into_iter();
    let (current, next) = (stretches.next(), stretches.next());
    let min = current.as_ref().map_or(base_min, |stretch| stretch.min);
    Moment {
        time_zone: schedule.map(|schedule| schedule.time_zone.clone()),
        active: current.and_then(|stretch| {
            Some(ActiveWindow {
                name: stretch.window?,
                min: stretch.min,
                until: stretch.end,
            })
        }),
        min,
        next: next.map(|stretch| NextChange {
            at: stretch.start,
            window: stretch.window,
            min: stretch.min,
        }),
        at: now,
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_state(
            formatter,
            self.active.as_ref().map(|window| window.name.as_str()),
            self.min,
        )?;
        if let Some(next) = &self.next {
            let near = next.at.timestamp().duration_since(self.at) < NEAR;
            let form = if near {
                "%a %H:%M %Z"
            } else {
                "%a %Y-%m-%d %H:%M %Z"
            };
            write!(formatter, " until {}, then ", next.at.strftime(form))?;
            write_state(formatter, next.window.as_deref(), next.min)?;
        }
        Ok(())
    }
}

fn write_state(formatter: &mut fmt::Formatter<'_>, window: Option<&str>, min: u32) -> fmt::Result {
    match window {
        Some(name) => write!(formatter, "{name} (min {min})"),
        None => write!(formatter, "min {min}"),
    }
}

/// The zone of a moment's times, for callers that format other times.
impl Moment {
    /// The zone; UTC without a schedule.
    pub fn zone(&self) -> TimeZone {
        self.next
            .as_ref()
            .map_or(TimeZone::UTC, |next| next.at.time_zone().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Window;

    fn weekend() -> Schedule {
        let window = |name: &str, from: &str, to: &str, min| Window {
            name: name.into(),
            from: from.into(),
            to: to.into(),
            min,
            ..Window::default()
        };
        Schedule {
            time_zone: "Asia/Seoul".into(),
            windows: vec![
                window("weekend", "Sat 00:00", "Mon 00:00", 1),
                window("night", "20:00", "08:00", 0),
            ],
        }
    }

    fn told(at: &str) -> String {
        moment(Some(&weekend()), 2, at.parse().unwrap()).to_string()
    }

    #[test]
    fn the_sentence_names_now_and_next() {
        assert_eq!(
            told("2026-11-22T12:00:00+09:00"),
            "weekend (min 1) until Mon 00:00 KST, then night (min 0)"
        );
        assert_eq!(
            told("2026-11-23T12:00:00+09:00"),
            "min 2 until Mon 20:00 KST, then night (min 0)"
        );
        assert_eq!(
            told("2026-11-27T23:59:59+09:00"),
            "night (min 0) until Sat 00:00 KST, then weekend (min 1)"
        );
        let mut only_weekend = weekend();
        only_weekend.windows.truncate(1);
        let sunday = "2026-11-22T12:00:00+09:00".parse().unwrap();
        assert_eq!(
            moment(Some(&only_weekend), 2, sunday).to_string(),
            "weekend (min 1) until Mon 00:00 KST, then min 2"
        );
        assert_eq!(
            moment(
                Some(&only_weekend),
                2,
                "2026-11-23T00:00:00+09:00".parse().unwrap()
            )
            .to_string(),
            "min 2 until Sat 00:00 KST, then weekend (min 1)"
        );
    }

    #[test]
    fn what_is_far_away_is_told_with_its_date() {
        let told = |at: &str, windows: Vec<Window>| {
            let schedule = Schedule {
                time_zone: "Asia/Seoul".into(),
                windows,
            };
            moment(Some(&schedule), 2, at.parse().unwrap()).to_string()
        };
        let dated = |repeat| Window {
            name: "holidays".into(),
            from: "2026-12-24 18:00".into(),
            to: "2027-01-02 08:00".into(),
            repeat,
            ..Window::default()
        };
        assert_eq!(
            told("2026-11-22T12:00:00+09:00", vec![dated(None)]),
            "min 2 until Thu 2026-12-24 18:00 KST, then holidays (min 0)"
        );
        assert_eq!(
            told("2026-12-24T18:00:00+09:00", vec![dated(None)]),
            "holidays (min 0) until Sat 2027-01-02 08:00 KST, then min 2"
        );
        assert_eq!(
            told("2027-01-02T08:00:00+09:00", vec![dated(None)]),
            "min 2"
        );
        assert_eq!(
            told(
                "2027-01-02T08:00:00+09:00",
                vec![dated(Some(crate::profile::Repeat::Yearly))]
            ),
            "min 2 until Fri 2027-12-24 18:00 KST, then holidays (min 0)"
        );
    }

    #[test]
    fn without_a_schedule_the_minimum_is_all() {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let told = moment(None, 3, now);
        assert_eq!(
            (told.to_string().as_str(), told.min, told.next),
            ("min 3", 3, None)
        );
    }

    #[test]
    fn the_calendar_has_no_gaps() {
        let (from, to) = (
            "2026-10-20T00:00:00Z".parse().unwrap(),
            "2026-11-20T00:00:00Z".parse().unwrap(),
        );
        let mut schedule = weekend();
        schedule.time_zone = "Europe/Berlin".into();
        let stretches = calendar(&schedule, 2, from, to).unwrap();
        assert_eq!(stretches.first().unwrap().start.timestamp(), from);
        assert_eq!(stretches.last().unwrap().end.timestamp(), to);
        assert!(
            stretches
                .windows(2)
                .all(|pair| pair[0].end == pair[1].start)
        );
        assert!(
            stretches
                .windows(2)
                .all(|pair| pair[0].window != pair[1].window)
        );
        // Sat 2026-10-24 00:00 CEST to Mon 2026-10-26 00:00 CET: 49 hours.
        let longest = stretches
            .iter()
            .max_by_key(|one| one.end.timestamp() - one.start.timestamp());
        assert_eq!(
            longest.unwrap().start.to_string(),
            "2026-10-24T00:00:00+02:00[Europe/Berlin]"
        );
    }
}
