//! Computes the instants at which a window opens and closes. Pure.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{
    ScheduleError, Window,
    window::{Opens, Times, place, times},
};
use crate::profile::Repeat;

/// The times a window is open, earliest first: start included, end excluded.
#[derive(Clone, Debug)]
pub(crate) struct Occurrences {
    /// Start and end of each.
    pub(crate) spans: Vec<(Timestamp, Timestamp)>,
}

impl Occurrences {
    /// Whether the window is open.
    pub(crate) fn open_at(&self, at: Timestamp) -> bool {
        let begun = self.spans.partition_point(|(start, _)| *start <= at);
        // On the night of a repeated hour an occurrence may overlap the next: check the last two.
        self.spans[..begun]
            .iter()
            .rev()
            .take(2)
            .any(|(_, end)| at < *end)
    }
}

/// The occurrences of a window that overlap the time from `from` to `to`, both included.
pub(crate) fn occurrences(
    window: &Window,
    zone: &TimeZone,
    from: Timestamp,
    to: Timestamp,
) -> Result<Occurrences, ScheduleError> {
    times(window)?.occurrences(zone, from, to)
}

impl Times {
    /// The occurrences that overlap the time from `from` to `to`, both included.
    ///
    /// A wall time that a clock change skips or repeats follows jiff's `compatible` rule: after the gap, and the first
    /// of the two. An occurrence entirely within a gap is omitted.
    pub(super) fn occurrences(
        self,
        zone: &TimeZone,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Occurrences, ScheduleError> {
        let out_of_range = |at: Timestamp| move |_: jiff::Error| ScheduleError::OutOfRange(at);
        // The open time plus a day of margin: an occurrence open at `from` began at most that long ago.
        let first = from
            .to_zoned_datetime(zone.clone())
            .date()
            .checked_sub((self.days_open + 1).days())
            .map_err(out_of_range(from))?;
        let last = to
            .to_zoned_datetime(zone.clone())
            .date()
            .checked_add(1.day())
            .map_err(out_of_range(to))?;
        let last = self.until.map_or(last, |until| until.min(last));
        let mut spans = Vec::new();
        for date in self.dates(first, last) {
            let closes = date
                .checked_add(self.days_open.days())
                .map_err(out_of_range(to))?;
            let start = instant(zone, date, self.from.time).map_err(out_of_range(to))?;
            let end = instant(zone, closes, self.to.time).map_err(out_of_range(to))?;
            if start < end && start <= to && end > from {
                spans.push((start, end));
            }
        }
        // A gap moves a start past a later one only if days are skipped altogether; sort anyway.
        spans.sort_unstable();
        Ok(Occurrences { spans })
    }

    /// When it closes for the last time; `None` if it repeats for ever.
    pub(super) fn last_end(self, zone: &TimeZone) -> Option<Timestamp> {
        self.last(zone).map(|(_, end)| end)
    }

    /// When it opens for the last time; `None` if it repeats for ever.
    pub(super) fn last_start(self, zone: &TimeZone) -> Option<Timestamp> {
        self.last(zone).map(|(start, _)| start)
    }

    fn last(self, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let last = match self.opens {
            Opens::From(date, None) => date,
            Opens::On(_) | Opens::From(_, Some(_)) => self.until?,
        };
        // It opened at most eight years before: on a 29 February, around 2100.
        let dates = self.dates(last.checked_sub(8.years()).ok()?, last);
        let date = *dates.last()?;
        let closes = date.checked_add(self.days_open.days()).ok()?;
        let start = instant(zone, date, self.from.time).ok()?;
        Some((start, instant(zone, closes, self.to.time).ok()?))
    }

    /// The dates from `first` to `last` on which it opens, ignoring `until`.
    fn dates(self, first: Date, last: Date) -> Vec<Date> {
        match self.opens {
            Opens::On(days) => first
                .series(1.day())
                .take_while(|date| *date <= last)
                .filter(|date| days[place(date.weekday())])
                .collect(),
            Opens::From(date, None) => Some(date)
                .filter(|date| (first..=last).contains(date))
                .into_iter()
                .collect(),
            Opens::From(date, Some(repeat)) => repeated(date, repeat, first, last),
        }
    }
}

/// The dates on which `begin` repeats; months or years without that day are skipped (RFC 5545, like the controller).
fn repeated(begin: Date, repeat: Repeat, first: Date, last: Date) -> Vec<Date> {
    let step = match repeat {
        Repeat::Monthly => 1,
        Repeat::Yearly => 12,
    };
    let month = |date: Date| i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
    let steps = (month(first) - month(begin)).div_euclid(step).max(0);
    let months = (month(begin) + steps * step..=month(last)).step_by(step.unsigned_abs() as usize);
    months
        .filter_map(|month| {
            let year = i16::try_from(month.div_euclid(12)).ok()?;
            let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
            Date::new(year, month, begin.day()).ok()
        })
        .filter(|date| (first..=last).contains(date))
        .collect()
}

fn instant(zone: &TimeZone, date: Date, time: Time) -> Result<Timestamp, jiff::Error> {
    zone.to_timestamp(date.to_datetime(time))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, civil::date};

    use super::*;

    fn window(from: &str, to: &str) -> Window {
        Window {
            name: "w".into(),
            from: from.into(),
            to: to.into(),
            min: 1,
            ..Window::default()
        }
    }

    #[test]
    fn a_skipped_hour_opens_late_or_not_at_all() {
        let zone = TimeZone::get("America/New_York").unwrap();
        // 2026-03-08 02:00 to 03:00 does not exist there: both ends are 07:00Z.
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

    #[test]
    fn short_months_and_common_years_have_none_of_the_days_that_they_lack() {
        let days = |begin, repeat, first, last| {
            let dates = repeated(begin, repeat, first, last);
            dates.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (first, last) = (date(2026, 11, 1), date(2027, 6, 30));
        assert_eq!(
            days(date(2026, 1, 31), Repeat::Monthly, first, last),
            ["2026-12-31", "2027-01-31", "2027-03-31", "2027-05-31"]
        );
        assert_eq!(
            days(date(2027, 5, 30), Repeat::Monthly, first, last),
            ["2027-05-30", "2027-06-30"],
            "not before it begins"
        );
        assert_eq!(
            days(date(2024, 2, 29), Repeat::Yearly, first, date(2033, 1, 1)),
            ["2028-02-29", "2032-02-29"]
        );
    }

    #[test]
    fn until_is_the_last_date_on_which_it_opens() {
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        let mut nights = window("20:00", "08:00");
        nights.until = Some("2027-03-01".into());
        let at: Timestamp = "2027-03-01T20:30:00+09:00".parse().unwrap();
        let open = |at| occurrences(&nights, &zone, at, at).unwrap().open_at(at);
        assert!(open(at));
        assert!(open(at + SignedDuration::from_hours(11)), "to its end");
        assert!(!open(at + SignedDuration::from_hours(24)));
    }
}
