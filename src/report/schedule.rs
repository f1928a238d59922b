//! The calendar of minimums as text and as `arcctl.schedule/v1`. Pure: no I/O.

use std::fmt::Write;

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use serde_json::{Value, json};

use super::strip::{
    Strip,
    svg::{Titled, svg},
};
use crate::{
    desired::capacity::{Cost, Minutes, Saving},
    error::{Error, System},
    profile::schedule::{ClockChange, DAYS, Hours, Interval, Mismatch, Verified},
};

/// The calendar of one pool.
#[derive(Debug)]
pub struct PoolCalendar {
    /// Its name.
    pub name: String,
    /// The minimum outside every window.
    pub min: u32,
    /// The maximum, which no window changes.
    pub max: u32,
    /// Its schedule; `None` without one.
    pub schedule: Option<Calendar>,
}

/// The schedule for some days.
#[derive(Debug)]
pub struct Calendar {
    /// The zone's name.
    pub time_zone: String,
    /// The zone.
    pub zone: TimeZone,
    /// Periods with the same minimum.
    pub stretches: Vec<Interval>,
    /// The daylight saving changes in these days.
    pub clock_changes: Vec<ClockChange>,
    /// The same for whole days from today, at most 14, as bars.
    pub strip: Strip,
    /// The runner hours of its minimums in a year.
    pub hours: Hours,
    /// What it saves in a week.
    pub week: Saving,
    /// The controller's overrides, compared with the profile.
    pub check: Verified,
}

/// The calendar as text.
pub fn text(pools: &[PoolCalendar]) -> String {
    pools.iter().map(pool_text).collect()
}

fn pool_text(pool: &PoolCalendar) -> String {
    let (min, max) = (pool.min, pool.max);
    let Some(calendar) = &pool.schedule else {
        return format!("{}\n  always  min {min}  max {max}\n", pool.name);
    };
    let mut text = format!(
        "{}  min {min}, max {max}  ({})\n",
        pool.name, calendar.time_zone
    );
    if calendar.strip.changes() {
        text.push_str(&calendar.strip.rows());
    }
    let mut lines: Vec<(Timestamp, String)> = Vec::new();
    for stretch in &calendar.stretches {
        let window = stretch.window.as_deref().unwrap_or_default();
        let line = format!(
            "  from {}  min {}  max {max}  {window}",
            minute(&stretch.start),
            stretch.min
        );
        lines.push((stretch.start.timestamp(), line));
    }
    for change in &calendar.clock_changes {
        let line = format!(
            "  the clocks change: {} becomes {}",
            change.before.strftime("%a %Y-%m-%d %H:%M"),
            change.after.strftime("%H:%M %Z")
        );
        lines.push((change.after.timestamp(), line));
    }
    // A change comes before the period that starts with it.
    lines.sort_by_key(|(at, line)| (*at, line.starts_with("  from")));
    for (_, line) in lines {
        let _ignored = writeln!(text, "{}", line.trim_end());
    }
    text.push_str(&hours_text(calendar.hours));
    text.push_str(&week_text(&calendar.week));
    text.push_str(&check_text(calendar));
    text
}

/// The calendar as a picture.
pub fn picture(pools: &[PoolCalendar]) -> String {
    let titled: Vec<Titled<'_>> = pools
        .iter()
        .map(|pool| {
            let (name, min, max) = (&pool.name, pool.min, pool.max);
            let zone = pool
                .schedule
                .as_ref()
                .map(|it| format!(" ({})", it.time_zone));
            Titled {
                title: format!("{name}: min {min}, max {max}{}", zone.unwrap_or_default()),
                strip: pool.schedule.as_ref().map(|it| &it.strip),
            }
        })
        .collect();
    svg(&titled)
}

/// Nodes that an autoscaler removes when no runner needs them follow the runners; prices are not in it.
fn hours_text(hours: Hours) -> String {
    let Hours {
        largest,
        scheduled,
        constant,
    } = hours;
    match hours.saved() {
        0 => String::new(),
        saved => format!(
            "  in {DAYS} days the minimums are {scheduled} runner hours,\n  {saved} % less than the {constant} of min {largest} all the time\n"
        ),
    }
}

/// What the schedule saves in a week, in node hours where they are known; nothing if its minimum is always the same.
fn week_text(week: &Saving) -> String {
    if week.runners.saved() == 0 {
        return String::new();
    }
    let (of, note) = match &week.nodes {
        Ok(nodes) => {
            let of = format!(
                "node hours of {} with {} on each",
                nodes.instance_type, nodes.each
            );
            let note = nodes.cost.as_ref().map_or_else(Clone::clone, cost_text);
            (of, note)
        }
        Err(why) => ("runner hours".to_owned(), format!("node hours: {why}")),
    };
    let minutes = week.minutes();
    let than = if minutes.saved() == 0 {
        "as many as with the largest minimum all the time".to_owned()
    } else {
        format!(
            "{} % less than the {} of the largest minimum all the time;\n    {note}",
            one_decimal(minutes.tenths()),
            hours_of(minutes.constant)
        )
    };
    format!(
        "  in a week without clock changes:\n    {} {of},\n    {than}\n",
        hours_of(minutes.scheduled)
    )
}

fn cost_text(cost: &Cost) -> String {
    let saved = match cost.saved {
        0 => "less than 1".to_owned(),
        saved => format!("about {saved}"),
    };
    let date = cost.price.date.unwrap_or("of an unknown date");
    format!(
        "{saved} USD a month at {} USD an hour (on demand in {}, {date})",
        cost.price.usd, cost.region
    )
}

/// Hours with one decimal, rounded down, or without one where they are whole.
fn hours_of(minutes: u64) -> String {
    match (minutes / 60, minutes % 60 / 6) {
        (hours, 0) => hours.to_string(),
        (hours, tenths) => format!("{hours}.{tenths}"),
    }
}

fn one_decimal(tenths: u32) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn check_text(calendar: &Calendar) -> String {
    let Verified {
        minutes,
        until,
        mismatches,
    } = &calendar.check;
    let until = minute(&until.to_zoned_datetime(calendar.zone.clone()));
    let mut text = format!(
        "  checked: {minutes} minutes until {until},\n  the controller's overrides against the profile: "
    );
    if mismatches.is_empty() {
        text.push_str("the same in every one\n");
    } else {
        let _ignored = writeln!(text, "{} times they differ", mismatches.len());
    }
    for wrong in mismatches.iter().take(SHOWN) {
        let _ignored = writeln!(text, "    {}", wrong_text(wrong, &calendar.zone));
    }
    text
}

/// How many wrong periods are shown as text; the document has all.
const SHOWN: usize = 5;

fn wrong_text(wrong: &Mismatch, zone: &TimeZone) -> String {
    let time = |at: Timestamp| minute(&at.to_zoned_datetime(zone.clone()));
    format!(
        "from {} to {}: the profile says min {}, the overrides min {}",
        time(wrong.from),
        time(wrong.to),
        wrong.profile,
        wrong.overrides
    )
}

fn minute(at: &ZonedDateTime) -> String {
    at.strftime("%a %Y-%m-%d %H:%M %Z").to_string()
}

/// The error that the controller would not follow the profile, for the first pool with such a period.
pub fn error(pools: &[PoolCalendar]) -> Option<Error> {
    pools.iter().find_map(|pool| {
        let calendar = pool.schedule.as_ref()?;
        let wrong = calendar.check.mismatches.first()?;
        let message = format!(
            "the overrides of pool `{}` are not what the profile says",
            pool.name
        );
        Some(
            Error::failed(System::Profile, message)
                .object(format!(
                    "horizontal-runner-autoscaler/actions-runner/{}",
                    pool.name
                ))
                .cause(wrong_text(wrong, &calendar.zone))
                .hint("this is a defect of arcctl: please report it with the pool's `schedule`"),
        )
    })
}

/// The document.
pub fn document(profile: &str, days: u16, pools: &[PoolCalendar], error: Option<&Error>) -> Value {
    json!({
        "schema": "arcctl.schedule/v1",
        "profile": profile,
        "days": days,
        "pools": pools.iter().map(pool_document).collect::<Vec<_>>(),
        "error": error.map(Error::document),
    })
}

fn pool_document(pool: &PoolCalendar) -> Value {
    let calendar = pool.schedule.as_ref();
    let stretches = calendar
        .map(|it| it.stretches.as_slice())
        .unwrap_or_default();
    let changes = calendar
        .map(|it| it.clock_changes.as_slice())
        .unwrap_or_default();
    let stretches: Vec<Value> = stretches
        .iter()
        .map(|it| {
            json!({"from": it.start.to_string(), "to": it.end.to_string(), "window": it.window,
                "min": it.min, "max": pool.max})
        })
        .collect();
    let changes: Vec<Value> = changes
        .iter()
        .map(|it| {
            json!({"at": it.after.to_string(), "from": it.before.offset().to_string(),
                "to": it.after.offset().to_string()})
        })
        .collect();
    json!({
        "name": pool.name,
        "timeZone": calendar.map(|it| &it.time_zone),
        "min": pool.min,
        "max": pool.max,
        "stretches": stretches,
        "clockChanges": changes,
        "hours": calendar.map(|it| json!({"days": DAYS, "scheduled": it.hours.scheduled,
            "constant": it.hours.constant})),
        "week": calendar.map(|it| week_document(&it.week)),
        "check": calendar.map(check_document),
    })
}

fn week_document(week: &Saving) -> Value {
    let minutes = |it: Minutes| json!({"scheduled": it.scheduled, "constant": it.constant});
    let nodes = week.nodes.as_ref().ok();
    let cost = |it: &Cost| {
        json!({"region": it.region, "usdPerHour": it.price.usd, "date": it.price.date,
            "savedUsdPerMonth": it.saved})
    };
    let not_known = match &week.nodes {
        Ok(nodes) => nodes.cost.as_ref().err(),
        Err(why) => Some(why),
    };
    json!({
        "runnerMinutes": minutes(week.runners),
        "nodes": nodes.map(|it| json!({"instanceType": it.instance_type, "runners": it.each,
            "minutes": minutes(it.minutes), "cost": it.cost.as_ref().ok().map(cost)})),
        "savedPercent": f64::from(week.minutes().tenths()) / 10.0,
        "notKnown": not_known,
    })
}

fn check_document(calendar: &Calendar) -> Value {
    let time = |at: Timestamp| at.to_zoned_datetime(calendar.zone.clone()).to_string();
    let wrong = calendar.check.mismatches.iter().map(|it| {
        json!({"from": time(it.from), "to": time(it.to), "profile": it.profile,
            "overrides": it.overrides})
    });
    json!({
        "minutes": calendar.check.minutes,
        "until": time(calendar.check.until),
        "mismatches": wrong.collect::<Vec<_>>(),
    })
}
