//! A week of a pool's minimums as rows of bars, as text and as SVG. Pure: no I/O.

pub mod svg;

use std::{collections::BTreeMap, fmt::Write};

use jiff::{Timestamp, ZonedDateTime, civil::Date, tz::TimeZone};

use crate::profile::{
    Schedule,
    schedule::{Interval, ScheduleError, calendar},
};

/// The most days that a strip has; a longer calendar is shown as text only.
const MOST_DAYS: u16 = 14;

/// The bars from the lowest minimum above 0 to the highest.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The minimums of whole days by the wall clock, the first day is today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip {
    days: Vec<Day>,
    /// Each minimum with the windows that have it; without a window: outside all of them.
    levels: BTreeMap<u32, Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Day {
    date: Date,
    /// The minimum at each half hour of the wall clock. A half hour that the clocks skip has the one after the gap.
    minimums: Vec<u32>,
}

/// Half hours of a day.
const CELLS: usize = 48;

/// The strip of `days` days (1 to 14; more are cut off) from the midnight before `now`, in the schedule's zone.
pub fn strip(
    schedule: &Schedule,
    base_min: u32,
    now: Timestamp,
    days: u16,
) -> Result<Strip, ScheduleError> {
    let zone = schedule.zone()?;
    let today = now.to_zoned_datetime(zone.clone()).date();
    let dates: Vec<Date> = std::iter::successors(Some(today), |it| it.tomorrow().ok())
        .take(usize::from(days.clamp(1, MOST_DAYS)))
        .collect();
    let (Some(start), Some(end)) = (
        dates.first().and_then(|it| midnight(*it, &zone)),
        dates
            .last()
            .and_then(|it| it.tomorrow().ok())
            .and_then(|it| midnight(it, &zone)),
    ) else {
        // Only at the end of jiff's calendar, in the year 9999.
        return Ok(Strip {
            days: Vec::new(),
            levels: BTreeMap::new(),
        });
    };
    let intervals = calendar(schedule, base_min, start.timestamp(), end.timestamp())?;
    let mut levels: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for it in &intervals {
        let names = levels.entry(it.min).or_default();
        if let Some(window) = it.window.as_ref().filter(|it| !names.contains(it)) {
            names.push(window.clone());
        }
    }
    let days = dates
        .into_iter()
        .map(|date| Day {
            date,
            minimums: (0..CELLS)
                .map(|cell| minimum(date, cell, &zone, &intervals).unwrap_or(base_min))
                .collect(),
        })
        .collect();
    Ok(Strip { days, levels })
}

/// Seven days from `now` as a line of names and one of bars, for a schedule with the minimum outside every window; none
/// without a schedule, or where the minimum does not change.
pub fn week(schedule: Option<&(Schedule, u32)>, now: Timestamp) -> Vec<String> {
    let found = schedule.and_then(|(it, base_min)| strip(it, *base_min, now, 7).ok());
    let found = found.filter(Strip::changes);
    found.map_or_else(Vec::new, |it| it.lines().into())
}

fn midnight(date: Date, zone: &TimeZone) -> Option<ZonedDateTime> {
    date.to_zoned_datetime(zone.clone()).ok()
}

fn minimum(date: Date, cell: usize, zone: &TimeZone, intervals: &[Interval]) -> Option<u32> {
    let hour = i8::try_from(cell / 2).ok()?;
    let minute = if cell.is_multiple_of(2) { 0 } else { 30 };
    let time = date
        .at(hour, minute, 0, 0)
        .to_zoned_datetime(zone.clone())
        .ok()?;
    intervals
        .iter()
        .find(|it| it.start <= time && time < it.end)
        .map(|it| it.min)
}

impl Strip {
    fn highest(&self) -> u32 {
        self.levels.keys().next_back().copied().unwrap_or(0)
    }

    fn bar(&self, min: u32) -> char {
        let highest = u64::from(self.highest().max(1));
        let eighths = (u64::from(min) * 8).div_ceil(highest);
        usize::try_from(eighths)
            .ok()
            .and_then(|it| it.checked_sub(1))
            .and_then(|it| BARS.get(it))
            .copied()
            .unwrap_or('·')
    }

    /// A row for each day with a bar for each half hour, below a scale of hours, and what the bars mean. 60 columns wide.
    pub fn rows(&self) -> String {
        let mut text = format!("{:10}", "");
        for hour in (0..24).step_by(3) {
            let _ignored = write!(text, "{hour:<6}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        for day in &self.days {
            let bars: String = day.minimums.iter().map(|it| self.bar(*it)).collect();
            let _ignored = writeln!(text, "  {}  {bars}", day.date.strftime("%a %d"));
        }
        let _ignored = writeln!(text, "          {}", self.legend().join("   "));
        text
    }

    /// `█ 2`, `▄ 1 weekend`: the highest minimum first.
    fn legend(&self) -> Vec<String> {
        let meaning = |(min, windows): (&u32, &Vec<String>)| {
            let windows = windows.join(", ");
            format!("{} min {min} {windows}", self.bar(*min))
                .trim_end()
                .to_owned()
        };
        self.levels.iter().rev().map(meaning).collect()
    }

    /// At most 7 days on one line, with a bar for each three hours: the highest minimum in them. Below the days' names.
    pub fn lines(&self) -> [String; 2] {
        let (mut head, mut bars) = (String::new(), String::new());
        for day in self.days.iter().take(7) {
            let _ignored = write!(head, "{:<9}", day.date.strftime("%a").to_string());
            for hours in day.minimums.chunks(6) {
                bars.push(self.bar(hours.iter().copied().max().unwrap_or(0)));
            }
            bars.push(' ');
        }
        [head, bars].map(|it| it.trim_end().to_owned())
    }

    /// Whether the minimum changes in these days.
    pub fn changes(&self) -> bool {
        self.levels.len() > 1
    }

    /// The days, each with its runs of the same minimum: first half hour, how many of them, minimum.
    pub(super) fn runs(&self) -> impl Iterator<Item = (Date, Vec<(usize, usize, u32)>)> + '_ {
        self.days.iter().map(|day| {
            let mut runs: Vec<(usize, usize, u32)> = Vec::new();
            for (cell, min) in day.minimums.iter().enumerate() {
                match runs.last_mut() {
                    Some((_, length, last)) if last == min => *length += 1,
                    _ => runs.push((cell, 1, *min)),
                }
            }
            (day.date, runs)
        })
    }

    /// The minimum as a share of the highest one, in percent.
    pub(super) fn percent(&self, min: u32) -> usize {
        let share = u64::from(min) * 100 / u64::from(self.highest().max(1));
        usize::try_from(share).unwrap_or(100)
    }

    /// The windows with this minimum.
    pub(super) fn windows(&self, min: u32) -> String {
        self.levels
            .get(&min)
            .map(|it| it.join(", "))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Window;

    fn of(zone: &str, windows: &[(&str, &str, u32)]) -> Schedule {
        let window = |(from, to, min): &(&str, &str, u32)| Window {
            name: format!("until-{}", to.to_lowercase().replace([' ', ':'], "-")),
            from: (*from).into(),
            to: (*to).into(),
            min: *min,
            ..Window::default()
        };
        Schedule {
            time_zone: zone.into(),
            windows: windows.iter().map(window).collect(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_week_is_a_row_per_day_with_a_bar_per_half_hour() {
        let schedule = of(
            "Asia/Seoul",
            &[("Sat 00:00", "Mon 00:00", 1), ("22:00", "06:30", 0)],
        );
        // Friday, 08:00 in Seoul.
        let strip = strip(&schedule, 2, at("2026-11-26T23:00:00Z"), 7).unwrap();
        insta::assert_snapshot!(strip.rows());
        insta::assert_snapshot!(strip.lines().join("\n"));
        assert!(strip.changes());
    }

    #[test]
    fn a_skipped_hour_has_the_minimum_after_it_and_a_repeated_one_the_first() {
        let schedule = of("Europe/Berlin", &[("02:00", "03:00", 5)]);
        // The clocks skip 02:00 to 03:00 on this day: the window does not open.
        let skipped = strip(&schedule, 1, at("2026-03-29T12:00:00Z"), 1).unwrap();
        assert!(!skipped.changes(), "{}", skipped.rows());
        let usual = strip(&schedule, 1, at("2026-03-30T12:00:00Z"), 1).unwrap();
        let fives: usize = usual.days[0].minimums.iter().filter(|it| **it == 5).count();
        assert_eq!(fives, 2);
    }

    #[test]
    fn each_line_fits_80_columns() {
        let schedule = of("UTC", &[("Sat 00:00", "Mon 00:00", 1000)]);
        let strip = strip(&schedule, 10000, at("2026-11-26T23:00:00Z"), 366).unwrap();
        assert_eq!(strip.days.len(), usize::from(MOST_DAYS));
        for line in strip
            .rows()
            .lines()
            .chain(strip.lines().iter().map(String::as_str))
        {
            assert!(line.chars().count() <= 66, "{line}");
        }
    }

    #[test]
    fn zero_is_no_bar_and_the_highest_is_a_full_one() {
        let schedule = of("UTC", &[("Sat 00:00", "Mon 00:00", 0)]);
        let strip = strip(&schedule, 1, at("2026-11-26T23:00:00Z"), 7).unwrap();
        assert_eq!([strip.bar(0), strip.bar(1)], ['·', '█']);
        let none = of("UTC", &[("Sat 00:00", "Mon 00:00", 0)]);
        let none = super::strip(&none, 0, at("2026-11-26T23:00:00Z"), 7).unwrap();
        assert!(!none.changes());
    }
}
