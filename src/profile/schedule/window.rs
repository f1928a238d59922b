//! When a window opens and closes: its wall-clock times, and the instants they fall on. Pure.

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};

use super::{ScheduleError, Window};

/// How often a window opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Every day.
    Daily,
    /// Every week.
    Weekly,
}

impl Period {
    /// Its length where no clock is changed.
    pub const fn length(self) -> SignedDuration {
        match self {
            Self::Daily => SignedDuration::from_hours(24),
            Self::Weekly => SignedDuration::from_hours(7 * 24),
        }
    }

    const fn days(self) -> i64 {
        match self {
            Self::Daily => 1,
            Self::Weekly => 7,
        }
    }
}

/// One end of a window: `HH:MM`, or `Ddd HH:MM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    /// The day, in a weekly window.
    pub weekday: Option<Weekday>,
    /// The time of day.
    pub time: Time,
}

impl WallTime {
    /// Reads the form of the profile; `None` when it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.split_once(' ') {
            Some((day, time)) => (Some(weekday(day)?), time),
            None => (None, text),
        };
        let (hour, minute) = time.split_once(':')?;
        let two_digits = |part: &str| {
            (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse().ok())
                .flatten()
        };
        let time = Time::new(two_digits(hour)?, two_digits(minute)?, 0, 0).ok()?;
        Some(Self { weekday: day, time })
    }

    /// Minutes since the period began (Monday 00:00 in a week).
    fn minutes(self) -> i64 {
        let days = self
            .weekday
            .map_or(0, |day| i64::from(day.to_monday_zero_offset()));
        days * 24 * 60 + i64::from(self.time.hour()) * 60 + i64::from(self.time.minute())
    }
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "Mon" => Weekday::Monday,
        "Tue" => Weekday::Tuesday,
        "Wed" => Weekday::Wednesday,
        "Thu" => Weekday::Thursday,
        "Fri" => Weekday::Friday,
        "Sat" => Weekday::Saturday,
        "Sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// A window's times, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// When it opens.
    pub(crate) from: WallTime,
    /// When it closes.
    pub(crate) to: WallTime,
    /// How often.
    pub(crate) period: Period,
}

impl Times {
    /// The days between the date it opens on and the date it closes on.
    fn days_open(self) -> i64 {
        let wall_minutes =
            (self.to.minutes() - self.from.minutes()).rem_euclid(self.period.days() * 24 * 60);
        let into_day = i64::from(self.from.time.hour()) * 60 + i64::from(self.from.time.minute());
        (into_day + wall_minutes) / (24 * 60)
    }

    /// The minutes of a week in which it is open, as half-open ranges; clock changes left aside.
    pub(crate) fn week(self) -> Vec<(i64, i64)> {
        let (length, count) = match self.period {
            Period::Daily => (1440, 7),
            Period::Weekly => (7 * 1440, 1),
        };
        let (from, to) = (self.from.minutes(), self.to.minutes());
        let pieces = if from < to {
            [(from, to), (0, 0)]
        } else {
            [(from, length), (0, to)]
        };
        (0..count)
            .flat_map(|day| pieces.map(|(start, end)| (start + day * length, end + day * length)))
            .filter(|(start, end)| start < end)
            .collect()
    }
}

/// Reads a window's times.
pub(crate) fn times(window: &Window) -> Result<Times, ScheduleError> {
    let read = |text: &str| {
        WallTime::parse(text).ok_or_else(|| ScheduleError::BadTime {
            window: window.name.clone(),
            text: text.to_owned(),
        })
    };
    let (from, to) = (read(&window.from)?, read(&window.to)?);
    let period = match (from.weekday, to.weekday) {
        (None, None) => Period::Daily,
        (Some(_), Some(_)) => Period::Weekly,
        _ => return Err(ScheduleError::MixedPeriod(window.name.clone())),
    };
    if from == to {
        return Err(ScheduleError::Empty(window.name.clone()));
    }
    Ok(Times { from, to, period })
}

/// The times a window is open, earliest first: from the start on, and no longer at the end.
#[derive(Clone, Debug)]
pub(crate) struct Occurrences {
    /// How often it opens.
    pub(crate) period: Period,
    /// Start and end of each.
    pub(crate) spans: Vec<(Timestamp, Timestamp)>,
}

impl Occurrences {
    /// Whether the window is open.
    pub(crate) fn open_at(&self, at: Timestamp) -> bool {
        let begun = self.spans.partition_point(|(start, _)| *start <= at);
        // On the night an hour is repeated an occurrence may reach into the next one: the last two are looked at.
        self.spans[..begun]
            .iter()
            .rev()
            .take(2)
            .any(|(_, end)| at < *end)
    }
}

/// The occurrences of a window that touch the time from `from` to `to`, both included.
///
/// A wall time that a clock change skips or repeats means what jiff's `compatible` rule says: after the gap, and the
/// first of the two. An occurrence that a gap swallows whole does not happen.
pub(crate) fn occurrences(
    window: &Window,
    zone: &TimeZone,
    from: Timestamp,
    to: Timestamp,
) -> Result<Occurrences, ScheduleError> {
    let times = times(window)?;
    let out_of_range = |at: Timestamp| move |_: jiff::Error| ScheduleError::OutOfRange(at);
    let days = times.period.days();
    // One period and a day of slack before: what is open at `from` began at most that long ago.
    let mut date = from
        .to_zoned_datetime(zone.clone())
        .date()
        .checked_sub((days + 1).days())
        .map_err(out_of_range(from))?;
    if let Some(weekday) = times.from.weekday {
        let back = i64::from(date.weekday().since(weekday));
        date = date.checked_sub(back.days()).map_err(out_of_range(from))?;
    }
    let last = to
        .to_zoned_datetime(zone.clone())
        .date()
        .checked_add(1.day())
        .map_err(out_of_range(to))?;
    let mut spans = Vec::new();
    while date <= last {
        let closes = date
            .checked_add(times.days_open().days())
            .map_err(out_of_range(to))?;
        let start = instant(zone, date, times.from.time).map_err(out_of_range(to))?;
        let end = instant(zone, closes, times.to.time).map_err(out_of_range(to))?;
        if start < end && start <= to && end > from {
            spans.push((start, end));
        }
        date = date.checked_add(days.days()).map_err(out_of_range(to))?;
    }
    // A gap can move a start past a later one's only when days are skipped altogether; the order is still promised.
    spans.sort_unstable();
    Ok(Occurrences {
        period: times.period,
        spans,
    })
}

fn instant(zone: &TimeZone, date: Date, time: Time) -> Result<Timestamp, jiff::Error> {
    zone.to_timestamp(date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: &str, to: &str) -> Window {
        Window {
            name: "w".into(),
            from: from.into(),
            to: to.into(),
            min: 1,
        }
    }

    #[test]
    fn only_the_profile_s_forms_are_times() {
        for text in [
            "",
            "8:00",
            "24:00",
            "08:60",
            "sat 00:00",
            "Saturday 00:00",
            "Sat  00:00",
            "+1:00",
            "08:00 ",
        ] {
            assert_eq!(WallTime::parse(text), None, "{text}");
        }
        let midnight = WallTime::parse("Sat 00:00").unwrap();
        assert_eq!(
            (midnight.weekday, midnight.minutes()),
            (Some(Weekday::Saturday), 5 * 24 * 60)
        );
        assert_eq!(WallTime::parse("23:59").unwrap().minutes(), 23 * 60 + 59);
    }

    #[test]
    fn mixed_and_empty_windows_are_refused() {
        assert_eq!(
            times(&window("Sat 00:00", "08:00")),
            Err(ScheduleError::MixedPeriod("w".into()))
        );
        assert_eq!(
            times(&window("08:00", "08:00")),
            Err(ScheduleError::Empty("w".into()))
        );
    }

    #[test]
    fn a_skipped_hour_opens_late_or_not_at_all() {
        let zone = TimeZone::get("America/New_York").unwrap();
        // 2026-03-08 02:00 to 03:00 does not exist there: 07:00Z is both ends.
        let at: Timestamp = "2026-03-08T06:59:00Z".parse().unwrap();
        let around = |window: &Window| {
            occurrences(window, &zone, at, at + SignedDuration::from_hours(2))
                .unwrap()
                .spans
        };
        assert_eq!(around(&window("02:00", "03:00")), []);
        let late = around(&window("02:30", "03:45"));
        assert_eq!(late[0].0.to_string(), "2026-03-08T07:30:00Z");
        assert_eq!(late[0].1.to_string(), "2026-03-08T07:45:00Z");
    }

    #[test]
    fn the_end_is_no_longer_open() {
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        let end: Timestamp = "2026-11-22T15:00:00Z".parse().unwrap();
        let open = |at| {
            occurrences(&window("Sat 00:00", "Mon 00:00"), &zone, at, at)
                .unwrap()
                .open_at(at)
        };
        assert!(open(end - SignedDuration::from_nanos(1)));
        assert!(!open(end));
        assert!(open("2026-11-20T15:00:00Z".parse().unwrap()));
    }
}
