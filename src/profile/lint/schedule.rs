//! Rules for the windows of a pool. Pure.

use jiff::Timestamp;

use super::{Path, Report};
use crate::profile::{
    Pool, Profile, Repeat, Schedule, Window,
    schedule::{ScheduleError, holds_back_later, is_covered, partly_overruled, times},
    validate::similar,
};

pub(super) fn check(pool: &Pool, path: &Path, report: &mut Report) {
    let Some(schedule) = &pool.schedule else {
        return;
    };
    let path = path.key("schedule");
    zone(schedule, &path, report);
    let windows = path.key("windows");
    for (index, window) in schedule.windows.iter().enumerate() {
        let path = windows.index(index);
        if window.min > pool.max {
            report.error(
                path.key("min"),
                format!(
                    "`min` {} is more than the pool's `max` {}: the window would break the limit",
                    window.min, pool.max
                ),
                "raise `max` or lower `min`",
            );
        }
        if schedule.windows[..index]
            .iter()
            .any(|earlier| earlier.name == window.name)
        {
            report.error(
                path.key("name"),
                format!("the window `{}` is listed twice", window.name),
                "give each window a name of its own",
            );
        }
        if let Err(error) = times(window) {
            meaning(&error, &path, report);
        } else {
            if window.min == pool.min && !holds_back_later(&schedule.windows, index) {
                report.advice(
                    path.key("min"),
                    format!(
                        "the window changes nothing: the pool's `min` is {} as well",
                        pool.min
                    ),
                    "remove the window, or change its `min`",
                );
            }
            days_that_some_lack(window, &path, report);
        }
        shadowed(schedule, index, &path, report);
        overruled(schedule, index, &path, report);
    }
}

/// Abbreviations that are IANA zones without daylight saving, and the zone that users mean.
const WITHOUT_SUMMER: [(&str, &str); 3] = [
    ("EST", "America/New_York"),
    ("MST", "America/Denver"),
    ("GMT", "Europe/London"),
];

/// Reports zone names that do not mean what users expect.
fn zone_as_meant(name: &str, path: &Path, report: &mut Report) {
    let upper = name.to_ascii_uppercase();
    if let Some((_, place)) = WITHOUT_SUMMER.iter().find(|(it, _)| *it == upper) {
        report.advice(
            path.clone(),
            format!("`{name}` has no daylight saving: its hours are an hour off all summer"),
            format!("write the place, for example `{place}`, or `UTC` if no place is meant"),
        );
    }
    let offset = upper.strip_prefix("ETC/GMT").unwrap_or_default();
    let turned = match offset.split_at_checked(1) {
        Some(("+", hours)) if hours != "0" => format!("{hours} hours behind UTC"),
        Some(("-", hours)) if hours != "0" => format!("{hours} hours ahead of UTC"),
        _ => return,
    };
    report.advice(
        path.clone(),
        format!("`{name}` is {turned}: the signs of these names are turned round"),
        "write a place that keeps this time, for example `Asia/Seoul`",
    );
}

fn zone(schedule: &Schedule, path: &Path, report: &mut Report) {
    if schedule.zone().is_ok() {
        zone_as_meant(&schedule.time_zone, &path.key("timeZone"), report);
        return;
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.as_str().to_owned())
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    // Users write only the city, or its abbreviation.
    let city = |name: &&&str| {
        name.rsplit('/')
            .next()
            .is_some_and(|city| city.eq_ignore_ascii_case(&schedule.time_zone.replace(' ', "_")))
    };
    let close = known
        .iter()
        .find(city)
        .copied()
        .or_else(|| similar(&schedule.time_zone, &known));
    let digits = schedule
        .time_zone
        .trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let hint = match close {
        _ if digits.starts_with(['+', '-']) => {
            "write a place that keeps this time all year, for example `Asia/Seoul`".into()
        }
        Some(close) => format!("did you mean `{close}`?"),
        None => "write a name of the IANA database, for example `Asia/Seoul`".into(),
    };
    report.error(
        path.key("timeZone"),
        format!("`{}` is not a time zone", schedule.time_zone),
        hint,
    );
}

/// Reports errors in a window's times that the types do not check.
fn meaning(error: &ScheduleError, path: &Path, report: &mut Report) {
    match error {
        ScheduleError::MixedPeriod(_) => report.error(
            path.key("to"),
            "`from` and `to` are of different forms",
            "write both as `HH:MM` (daily), both as `Ddd HH:MM` (weekly) or both as `YYYY-MM-DD HH:MM` (dated)",
        ),
        ScheduleError::Empty(_) => report.error(
            path.key("to"),
            "the window closes when it opens",
            "for a minimum that always holds set the pool's `min`; for whole days write `days: Sat-Sun` beside `00:00` and `00:00`",
        ),
        ScheduleError::EndsFirst(_) => report.error(
            path.key("to"),
            "the window ends before it begins",
            "make `to` later than `from`",
        ),
        ScheduleError::DaysTwice(_) => report.error(
            path.key("days"),
            "`days` and the times both name days",
            "write `from` and `to` as `HH:MM`, or remove `days`",
        ),
        ScheduleError::RepeatWithoutDate(_) => report.error(
            path.key("repeat"),
            "`repeat` is for windows with a date: this one comes back by itself",
            "write `from` and `to` as `YYYY-MM-DD HH:MM`, or remove `repeat`",
        ),
        ScheduleError::UntilOfOnce(_) => report.error(
            path.key("until"),
            "the window opens once, and ends with `to`",
            "remove `until`, or add `repeat: monthly` or `repeat: yearly`",
        ),
        ScheduleError::NeverOpens(_) => report.error(
            path.key("until"),
            "`until` is before the window first opens: it never does",
            "make `until` the last date on which it opens",
        ),
        ScheduleError::TooLong { days, .. } => report.error(
            path.key("to"),
            format!("the window is longer than {days} days, and would run into its next occurrence"),
            "make it shorter, or repeat it less often",
        ),
        ScheduleError::BadTime { text, .. } => {
            // The format of a date, but invalid; the schema reports other formats.
            let is_form = text.len() == 10 || (text.len() == 16 && text.get(10..11) == Some(" "));
            if is_form && text.starts_with(|it: char| it.is_ascii_digit()) {
                report.error(
                    path.clone(),
                    format!("`{text}` is in no calendar"),
                    "write a day that its month has",
                );
            }
        }
        ScheduleError::UnknownTimeZone(_) | ScheduleError::OutOfRange(_) => {}
    }
}

/// Like the controller and RFC 5545: months or years without the day are skipped.
fn days_that_some_lack(window: &Window, path: &Path, report: &mut Report) {
    let day = window
        .from
        .get(8..10)
        .and_then(|day| day.parse::<u8>().ok());
    match (window.repeat, day) {
        (Some(Repeat::Monthly), Some(day)) if day > 28 => report.advice(
            path.key("from"),
            format!("months without a day {day} are left out"),
            "choose a day up to 28 for every month",
        ),
        (Some(Repeat::Yearly), Some(29)) if window.from.get(5..7) == Some("02") => report.advice(
            path.key("from"),
            "years without a 29 February are left out",
            "choose another day for every year",
        ),
        _ => {}
    }
}

/// Windows that have ended for ever. Only for callers that know the time; the rules above do not.
pub fn over(profile: &Profile, now: Timestamp) -> Vec<String> {
    let schedules = profile.pools.iter().filter_map(|pool| {
        let schedule = pool.schedule.as_ref()?;
        Some((pool, schedule))
    });
    let over = schedules.flat_map(|(pool, schedule)| {
        schedule.windows.iter().filter_map(move |window| {
            let since = schedule.over_since(window, now)?;
            let since = since.to_zoned_datetime(schedule.zone().ok()?);
            Some(format!(
                "the window `{}` of pool `{}` is over since {}, and never opens again: remove it from the profile",
                window.name,
                pool.name,
                since.strftime("%Y-%m-%d %H:%M %Z")
            ))
        })
    });
    over.collect()
}

/// Reports a window that is never in force, because earlier ones are always open at the same time.
fn shadowed(schedule: &Schedule, index: usize, path: &Path, report: &mut Report) {
    if is_covered(&schedule.windows, index) {
        report.error(
            path.clone(),
            format!("the window `{}` is never in force: the first window that is open wins, and an earlier one always is", schedule.windows[index].name),
            "put it before them, or remove it",
        );
    }
}

/// Advises on a dated window that is not in force in some of its hours, because a window that comes back is listed before it.
fn overruled(schedule: &Schedule, index: usize, path: &Path, report: &mut Report) {
    let own = &schedule.windows[index].name;
    for it in partly_overruled(&schedule.windows, index) {
        let more = match it.more {
            0 => String::new(),
            1 => ", and once more".to_owned(),
            more => format!(", and {more} more times"),
        };
        report.advice(
            path.key("from"),
            format!(
                "the window `{own}` is not in force from {} to {}{more}: `{}` is open then, is listed before it, and the first window that is open wins",
                it.from.strftime("%Y-%m-%d %H:%M"),
                it.to.strftime("%Y-%m-%d %H:%M"),
                it.by
            ),
            format!("if `{own}` is to win, list it before `{}`", it.by),
        );
    }
}
