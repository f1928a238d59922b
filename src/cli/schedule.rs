//! `arcctl schedule`: the calendar of effective minimums.

use std::fmt::Write;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{GlobalArgs, output::Output, profile_file};
use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::{
        Pool,
        schedule::{Stretch, calendar},
    },
};

/// Show the calendar of effective minimums in the profile's time zone
#[derive(Args)]
pub(super) struct ScheduleArgs {
    /// How many days from now
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
}

/// Prints the calendar.
pub(super) fn run(args: &ScheduleArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let file = profile_file::read(global, output)?;
    let now = Timestamp::now();
    let mut pools = Vec::new();
    for pool in &file.profile.pools {
        pools.push((pool, stretches(pool, now, args.days)?));
    }
    if output.is_json() {
        let pools: Vec<Value> = pools
            .iter()
            .map(|(pool, stretches)| document(pool, stretches))
            .collect();
        output.document(&json!({
            "schema": "arcctl.schedule/v1",
            "profile": file.profile.name,
            "days": args.days,
            "pools": pools,
            "error": null,
        }));
    } else {
        let text: String = pools
            .iter()
            .map(|(pool, stretches)| text(pool, stretches))
            .collect();
        output.result(&text);
    }
    Ok(0)
}

fn stretches(pool: &Pool, now: Timestamp, days: u16) -> Result<Vec<Stretch>> {
    let Some(schedule) = &pool.schedule else {
        return Ok(Vec::new());
    };
    let end = now + SignedDuration::from_hours(24 * i64::from(days));
    calendar(schedule, pool.min, now, end).map_err(|error| {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            format!("the schedule of pool `{}` has no meaning", pool.name),
        )
        .cause(error)
        .hint("correct schedule.timeZone and the windows in the profile")
    })
}

fn text(pool: &Pool, stretches: &[Stretch]) -> String {
    let mut text = format!("{}  max {}\n", pool.name, pool.max);
    if stretches.is_empty() {
        let _ignored = writeln!(text, "  always  min {}", pool.min);
    }
    let mut offset = None;
    for stretch in stretches {
        let start = stretch.start.strftime("%a %Y-%m-%d %H:%M %Z");
        let window = stretch
            .window
            .as_deref()
            .map(|it| format!("  {it}"))
            .unwrap_or_default();
        let changed = offset.is_some_and(|it| it != stretch.start.offset());
        let mark = if changed {
            "  (the clocks have changed)"
        } else {
            ""
        };
        let _ignored = writeln!(text, "  from {start}  min {}{window}{mark}", stretch.min);
        offset = Some(stretch.end.offset());
    }
    text
}

fn document(pool: &Pool, stretches: &[Stretch]) -> Value {
    let stretches: Vec<Value> = stretches
        .iter()
        .map(|it| json!({"from": it.start.to_string(), "to": it.end.to_string(), "window": it.window, "min": it.min}))
        .collect();
    json!({
        "name": pool.name,
        "timeZone": pool.schedule.as_ref().map(|it| &it.time_zone),
        "min": pool.min,
        "max": pool.max,
        "stretches": stretches,
    })
}
