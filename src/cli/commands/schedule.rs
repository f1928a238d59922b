//! `arcctl schedule`: the calendar of effective minimums, and whether the controller's overrides match it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use crate::{
    desired::capacity::saving,
    error::{Error, ErrorKind, Result, System},
    profile::{
        Pool, Profile,
        lint::windows_over,
        schedule::{ScheduleError, calendar, clock_changes, horizon, hours, overrides, verify},
    },
    report::{
        schedule::{Calendar, PoolCalendar, document, error, picture, text},
        strip::strip,
    },
    terminal::{args::GlobalArgs, output::Output, profile_file},
};

/// Show the calendar of effective minimums in the profile's time zone, and check the controller's overrides against it
#[derive(Args)]
pub(crate) struct ScheduleArgs {
    /// Number of days, from now
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// Also draw the days, at most 14, as an SVG picture into FILE; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Prints the calendar. A minute in which the overrides differ from the profile is an error.
pub(crate) fn run(args: &ScheduleArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    let file = profile_file::read(global, output)?;
    let now = Timestamp::now();
    for over in windows_over(&file.profile, now) {
        output.note(format!("advice: {over}"));
    }
    let pools = file.profile.pools.iter();
    let pools = pools
        .map(|pool| of_pool(&file.profile, pool, now, args.days))
        .collect::<Result<Vec<_>>>()?;
    let wrong = error(&pools);
    if let Some(path) = &args.svg {
        write_picture(path, &picture(&pools))?;
    }
    if output.is_json() {
        let name = &file.profile.name;
        output.document(&document(name, args.days, &pools, wrong.as_ref()));
        if let Some(error) = &wrong {
            output.print_error(error);
        }
        return Ok(wrong.map_or(0, |it| it.kind.exit_code()));
    }
    output.result(&text(&pools));
    wrong.map_or(Ok(0), Err)
}

fn write_picture(path: &Path, picture: &str) -> Result<()> {
    fs::write(path, picture).map_err(|error| {
        let file = path.display();
        Error::failed(System::Local, format!("cannot write the picture `{file}`"))
            .cause(error)
            .hint("give `--svg` a file in a directory that exists and can be written")
    })
}

/// The calendar of a pool for so many days from `now`.
pub(in crate::cli) fn of_pool(
    profile: &Profile,
    pool: &Pool,
    now: Timestamp,
    days: u16,
) -> Result<PoolCalendar> {
    let calendar = of_schedule(profile, pool, now, days);
    Ok(PoolCalendar {
        name: pool.name.clone(),
        min: pool.min,
        max: pool.max,
        schedule: calendar.map_err(|error| {
            Error::new(
                ErrorKind::InvalidProfile,
                System::Profile,
                format!("the schedule of pool `{}` is invalid", pool.name),
            )
            .cause(error)
            .hint("correct schedule.timeZone and the windows in the profile")
        })?,
    })
}

/// `None` without a schedule.
fn of_schedule(
    profile: &Profile,
    pool: &Pool,
    now: Timestamp,
    days: u16,
) -> Result<Option<Calendar>, ScheduleError> {
    let (Some(schedule), Some(week)) = (&pool.schedule, saving(profile, pool, now)?) else {
        return Ok(None);
    };
    let min = pool.min;
    let end = now + SignedDuration::from_hours(24 * i64::from(days));
    // Dated overrides end, and are written again before that.
    let until = horizon(schedule, now)?.map_or(end, |horizon| horizon.min(end));
    let overrides = overrides(schedule, now)?;
    Ok(Some(Calendar {
        time_zone: schedule.time_zone.clone(),
        zone: schedule.zone()?,
        stretches: calendar(schedule, min, now, end)?,
        clock_changes: clock_changes(schedule, now, end)?,
        strip: strip(schedule, min, now, days)?,
        hours: hours(schedule, min, now)?,
        week,
        check: verify(schedule, &overrides, min, now, until)?,
    }))
}
