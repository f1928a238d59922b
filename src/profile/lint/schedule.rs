//! Rules about the windows of a pool. Pure.

use super::{
    super::{
        Pool, Schedule,
        check::similar,
        schedule::{ScheduleError, week},
    },
    Path, Report,
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
                format!("the window `{}` is here twice", window.name),
                "give each window a name of its own",
            );
        }
        match week(window) {
            Err(ScheduleError::MixedPeriod(_)) => report.error(
                path.key("to"),
                "one end names a day and the other does not",
                "write both as `Ddd HH:MM` (weekly) or both as `HH:MM` (daily)",
            ),
            Err(ScheduleError::Empty(_)) => report.error(
                path.key("to"),
                "the window closes when it opens",
                "for a minimum that always holds set the pool's `min`",
            ),
            Ok(_) if window.min == pool.min && !masks_later(schedule, index) => report.advice(
                path.key("min"),
                format!(
                    "the window changes nothing: the pool's `min` is {} as well",
                    pool.min
                ),
                "remove the window, or change its `min`",
            ),
            // What is no time at all is the schema's to say.
            Ok(_) | Err(_) => {}
        }
        shadowed(schedule, index, &path, report);
    }
}

fn zone(schedule: &Schedule, path: &Path, report: &mut Report) {
    if schedule.zone().is_ok() {
        return;
    }
    let known: Vec<String> = jiff::tz::db()
        .available()
        .map(|name| name.as_str().to_owned())
        .collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    // People write the city alone, or its abbreviation.
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

/// A window that is only open while earlier ones are is never in force.
fn shadowed(schedule: &Schedule, index: usize, path: &Path, report: &mut Report) {
    let Ok(own) = week(&schedule.windows[index]) else {
        return;
    };
    let mut earlier: Vec<(i64, i64)> = schedule.windows[..index]
        .iter()
        .filter_map(|window| week(window).ok())
        .flatten()
        .collect();
    earlier.sort_unstable();
    let covered = |(start, end): (i64, i64)| {
        let reached = earlier.iter().fold(start, |reached, &(from, to)| {
            if from <= reached {
                reached.max(to)
            } else {
                reached
            }
        });
        reached >= end
    };
    if index > 0 && own.iter().all(|&range| covered(range)) {
        report.error(
            path.clone(),
            format!("the window `{}` is never in force: the first window that is open wins, and an earlier one always is", schedule.windows[index].name),
            "put it before them, or remove it",
        );
    }
}

/// Whether a window that follows is held back by this one.
fn masks_later(schedule: &Schedule, index: usize) -> bool {
    let Ok(own) = week(&schedule.windows[index]) else {
        return false;
    };
    let later = schedule.windows[index + 1..]
        .iter()
        .filter_map(|window| week(window).ok())
        .flatten();
    later
        .into_iter()
        .any(|(start, end)| own.iter().any(|&(from, to)| from < end && start < to))
}
