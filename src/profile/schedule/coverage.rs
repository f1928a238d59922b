//! Finds windows that are never in force, because earlier ones are always open at the same time, and dated ones that are not in
//! force in some of their hours. Pure.
//!
//! Ignores clock changes: it compares wall-clock times.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use super::{
    Window,
    window::{Opens, Times, times},
};

const WEEK: i64 = 7 * 1440;

/// How many years of a repeating window to compare: more than eight, so that a 29 February is included.
const YEARS: i16 = 9;

/// Half-open intervals of any unit.
type Spans<T> = Vec<(T, T)>;

/// Whether the window at `index` is only open while earlier ones are.
pub(crate) fn is_covered(windows: &[Window], index: usize) -> bool {
    let Ok(own) = times(&windows[index]) else {
        return false;
    };
    let earlier = windows[..index].iter().filter_map(|it| times(it).ok());
    if let Some(week) = own.week() {
        // A window with an end can only cover windows that end no later.
        let lasts = |it: &Times| match (it.until, own.until) {
            (None, _) => true,
            (Some(theirs), Some(own)) => theirs >= own,
            (Some(_), None) => false,
        };
        let earlier = earlier.filter(lasts).filter_map(Times::week).flatten();
        return covered(&week, earlier.collect());
    }
    let Some((spans, (from, to))) = own.calendar() else {
        return false;
    };
    let earlier = earlier.flat_map(|it| it.on_paper(from, to));
    covered(&spans, earlier.collect())
}

/// Whether the window at `index` overlaps a later one.
pub(crate) fn holds_back_later(windows: &[Window], index: usize) -> bool {
    let Ok(own) = times(&windows[index]) else {
        return false;
    };
    let later = windows[index + 1..].iter().filter_map(|it| times(it).ok());
    later.into_iter().any(|later| {
        if let (Some(own), Some(later)) = (own.week(), later.week()) {
            return overlap(&own, &later);
        }
        let frame = own.calendar().or_else(|| later.calendar());
        frame.is_some_and(|(_, (from, to))| {
            overlap(&own.on_paper(from, to), &later.on_paper(from, to))
        })
    })
}

/// Hours of a dated window in which an earlier window is in force in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overruled<'a> {
    /// The name of the earlier window.
    pub(crate) by: &'a str,
    /// When it is first so: the beginning.
    pub(crate) from: DateTime,
    /// The end.
    pub(crate) to: DateTime,
    /// How many times follow, in nine years if both windows repeat.
    pub(crate) more: usize,
}

/// The earlier windows that come back, and have another minimum, in some hours of the dated window at `index`.
pub(crate) fn partly_overruled(windows: &[Window], index: usize) -> Vec<Overruled<'_>> {
    let own = &windows[index];
    let dated = times(own).ok().and_then(Times::calendar);
    let Some((spans, (from, to))) = dated.filter(|_| !is_covered(windows, index)) else {
        return Vec::new();
    };
    let wall = |at: Timestamp| TimeZone::UTC.to_datetime(at);
    let by = |earlier: &Window| {
        let theirs = times(earlier).ok()?;
        let comes_back = earlier.repeat.is_some() || theirs.week().is_some();
        if !comes_back || earlier.min == own.min {
            return None;
        }
        let mut hours = common(&spans, &theirs.on_paper(from, to)).into_iter();
        let (start, end) = hours.next()?;
        Some((wall(start), wall(end), hours.count()))
    };
    let earlier = windows[..index].iter();
    earlier
        .filter_map(|it| {
            let (from, to, more) = by(it)?;
            let by = it.name.as_str();
            Some(Overruled { by, from, to, more })
        })
        .collect()
}

/// What is in both, in order.
fn common<T: Ord + Copy>(own: &[(T, T)], others: &[(T, T)]) -> Spans<T> {
    let pairs = own
        .iter()
        .flat_map(|one| others.iter().map(move |other| (*one, *other)));
    let mut found: Spans<T> = pairs
        .map(|((start, end), (from, to))| (start.max(from), end.min(to)))
        .filter(|(start, end)| start < end)
        .collect();
    found.sort_unstable();
    found
}

fn covered<T: Ord + Copy>(own: &[(T, T)], mut earlier: Spans<T>) -> bool {
    earlier.sort_unstable();
    let reached = |start: T| {
        earlier.iter().fold(start, |reached, &(from, to)| {
            if from <= reached {
                reached.max(to)
            } else {
                reached
            }
        })
    };
    !earlier.is_empty() && !own.is_empty() && own.iter().all(|&(start, end)| reached(start) >= end)
}

fn overlap<T: Ord + Copy>(own: &[(T, T)], later: &[(T, T)]) -> bool {
    later
        .iter()
        .any(|&(start, end)| own.iter().any(|&(from, to)| from < end && start < to))
}

impl Times {
    /// The open minutes of a week, from Monday 00:00; `None` for a window with dates.
    fn week(self) -> Option<Spans<i64>> {
        let Opens::On(days) = self.opens else {
            return None;
        };
        let open = (0..7_i64).zip(days).filter(|(_, open)| *open);
        let spans = open.flat_map(|(day, _)| {
            let start = day * 1440 + self.from.minutes();
            let end = start + self.minutes_open();
            [(start, end.min(WEEK)), (0, end - WEEK)]
        });
        Some(spans.filter(|(start, end)| start < end).collect())
    }

    /// The open intervals of a window with dates, and the time range that they cover.
    fn calendar(self) -> Option<(Spans<Timestamp>, (Timestamp, Timestamp))> {
        let Opens::From(first, repeat) = self.opens else {
            return None;
        };
        let years = if repeat.is_some() { YEARS } else { 0 };
        let last = Date::new(first.year().checked_add(years)?, 12, 31).ok()?;
        let at = |date: Date| {
            let midnight = date.to_datetime(Time::midnight());
            TimeZone::UTC.to_timestamp(midnight).ok()
        };
        let spans = self.on_paper(at(first)?, at(last)?);
        let range = (spans.first()?.0, spans.last()?.1);
        Some((spans, range))
    }

    /// The occurrences without clock changes.
    fn on_paper(self, from: Timestamp, to: Timestamp) -> Spans<Timestamp> {
        self.occurrences(&TimeZone::UTC, from, to)
            .map(|it| it.spans)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Repeat;

    fn window(text: &str) -> Window {
        let (text, until) = match text.split_once(" until ") {
            Some((text, until)) => (text, Some(until.to_owned())),
            None => (text, None),
        };
        let (repeat, text) = match text.split_once(": ") {
            Some(("monthly", text)) => (Some(Repeat::Monthly), text),
            Some(("yearly", text)) => (Some(Repeat::Yearly), text),
            _ => (None, text),
        };
        let (days, text) = match text.split_once(" at ") {
            Some((days, text)) => (Some(days.to_owned()), text),
            None => (None, text),
        };
        let (from, to) = text.split_once(" to ").unwrap();
        Window {
            name: "w".into(),
            days,
            from: from.into(),
            to: to.into(),
            repeat,
            until,
            min: 1,
        }
    }

    fn last_is_covered(texts: &[&str]) -> bool {
        let windows: Vec<Window> = texts.iter().map(|it| window(it)).collect();
        is_covered(&windows, windows.len() - 1)
    }

    #[test]
    fn a_window_of_any_form_may_be_covered() {
        for texts in [
            &["Sat 00:00 to Mon 00:00", "Sun 08:00 to Sun 18:00"][..],
            &["Mon-Fri at 00:00 to 00:00", "Wed 01:00 to Thu 23:00"],
            &[
                "00:00 to 12:00",
                "12:00 to 00:00",
                "2027-01-01 00:00 to 2027-01-03 00:00",
            ],
            &[
                "2026-12-01 00:00 to 2027-02-01 00:00",
                "2026-12-24 18:00 to 2027-01-02 08:00",
            ],
            &[
                "monthly: 2026-01-01 00:00 to 2026-01-03 00:00",
                "yearly: 2026-05-02 00:00 to 2026-05-02 12:00",
            ],
            &[
                "20:00 to 08:00 until 2027-03-01",
                "22:00 to 23:00 until 2027-02-01",
            ],
            &["Sat-Mon at 20:00 to 08:00", "Mon 22:00 to Tue 06:00"],
        ] {
            assert!(last_is_covered(texts), "{texts:?}");
        }
    }

    #[test]
    fn what_is_open_at_other_times_too_is_not() {
        for texts in [
            &[
                "Sat 00:00 to Mon 00:00",
                "2026-12-24 18:00 to 2027-01-02 08:00",
            ][..],
            &["20:00 to 08:00 until 2027-03-01", "22:00 to 23:00"],
            &[
                "2026-12-24 18:00 to 2027-01-02 08:00",
                "Sat 00:00 to Sun 00:00",
            ],
            &[
                "monthly: 2026-06-01 00:00 to 2026-06-03 00:00",
                "yearly: 2026-05-02 00:00 to 2026-05-02 12:00",
            ],
            &[
                "monthly: 2026-01-29 00:00 to 2026-01-30 00:00",
                "yearly: 2026-02-28 00:00 to 2026-03-01 00:00",
            ],
            &["Mon-Fri at 08:00 to 18:00", "Sat-Sun at 08:00 to 18:00"],
        ] {
            assert!(!last_is_covered(texts), "{texts:?}");
        }
    }

    #[test]
    fn hours_of_a_dated_window_may_be_another_one_s() {
        let of = |texts: &[&str]| -> Vec<String> {
            let mut windows: Vec<Window> = texts.iter().map(|it| window(it)).collect();
            let last = windows.len() - 1;
            windows[last].min = 5;
            let told = |it: Overruled<'_>| format!("{} to {}, {}", it.from, it.to, it.more);
            partly_overruled(&windows, last)
                .into_iter()
                .map(told)
                .collect()
        };
        let holidays = "2026-12-24 18:00 to 2027-01-02 08:00";
        assert_eq!(
            of(&["20:00 to 08:00", holidays]),
            ["2026-12-24T20:00:00 to 2026-12-25T08:00:00, 8"]
        );
        assert_eq!(
            of(&[
                "Mon-Fri at 08:00 to 20:00",
                "Sat 00:00 to Mon 00:00",
                holidays
            ]),
            [
                "2026-12-24T18:00:00 to 2026-12-24T20:00:00, 6",
                "2026-12-26T00:00:00 to 2026-12-28T00:00:00, 1"
            ]
        );
        for none in [
            &[
                "Tue 10:00 to Tue 12:00",
                "2026-12-24 18:00 to 2026-12-25 08:00",
            ][..],
            &["20:00 to 08:00 until 2026-12-01", holidays],
            // Always: that is another rule's.
            &["00:00 to 12:00", "12:00 to 00:00", holidays],
            // One after the other is the usual order of two dates.
            &["2026-12-31 00:00 to 2027-01-01 00:00", holidays],
            &[holidays, "20:00 to 08:00"],
        ] {
            assert_eq!(of(none), [""; 0], "{none:?}");
        }
        let same = [window("20:00 to 08:00"), window(holidays)];
        assert!(partly_overruled(&same, 1).is_empty());
    }

    #[test]
    fn a_dated_window_holds_back_what_is_open_then() {
        let pair = |texts: [&str; 2]| holds_back_later(&texts.map(window), 0);
        assert!(pair([
            "2026-12-24 18:00 to 2027-01-02 08:00",
            "20:00 to 08:00"
        ]));
        assert!(pair([
            "Mon-Fri at 08:00 to 18:00",
            "2026-12-24 12:00 to 2026-12-24 13:00"
        ]));
        assert!(!pair([
            "Sat-Sun at 08:00 to 18:00",
            "2026-12-24 12:00 to 2026-12-24 13:00"
        ]));
        assert!(!pair(["08:00 to 18:00", "20:00 to 22:00"]));
    }
}
