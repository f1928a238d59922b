//! The rendered schedule, evaluated as the controller does, against the profile: every minute, for years.
//!
//! Both sides are implemented here a second time, with integers and nothing of `profile::schedule`: the profile's wall
//! clock from a table of the zone's offset at each minute, the controller's rules from its source (recurrences of 24 and
//! 168 hours in UTC, `untilTime`, the first active entry wins). `up` runs from time to time, and keeps the live overrides
//! as long as it may.
//!
//! Runs a sample; `make torture` runs everything (`ARCCTL_SCHEDULE_YEARS=10`).

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "in a test a panic is how it fails, figures are to be seen, and how many years is an environment variable"
)]

mod shell;

use std::{env, ops::Range};

use arcctl::{
    desired::{Facts, pool::autoscaler::autoscaler, scale_set::schedule::table},
    profile::{Mode, Pool, Profile, Repeat, Schedule, Window, load},
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use crate::repository::text;

/// Where the calendar begins: 2024-01-02T00:00Z, in minutes.
const BEGIN: i64 = 28_402_560;
const DAY: i64 = 1440;

/// The minimum outside every window.
const BASE: u32 = 9;

/// Clocks that never change, at odd offsets, that change by half an hour, in the south, around Ramadan, at midnight, and
/// that will change no more after a date that is in the calendar.
const ZONES: [&str; 24] = [
    "Australia/Lord_Howe",
    "America/New_York",
    "Asia/Seoul",
    "Africa/Casablanca",
    "Asia/Almaty",
    "Pacific/Chatham",
    "America/Asuncion",
    "America/Havana",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "UTC",
    "America/Sao_Paulo",
    "America/Los_Angeles",
    "America/Santiago",
    "America/St_Johns",
    "America/Scoresbysund",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Australia/Adelaide",
    "Pacific/Auckland",
];

/// How many of them, from the first on, are in the sample.
const SAMPLE: usize = 4;

/// Its times, what else there is of it (`days=`, `repeat=`, `until=`, divided by `;`), and its minimum.
type Meant = (&'static str, &'static str, &'static str, u32);

type Shape = (&'static str, &'static [Meant]);

const SHAPES: [Shape; 8] = [
    ("weekend", &[("Sat 00:00", "Mon 00:00", "", 1)]),
    ("overnight", &[("20:00", "08:00", "", 1)]),
    (
        "overlapping",
        &[
            ("01:30", "03:30", "", 1),
            ("Sat 23:00", "Sun 02:30", "", 3),
            ("00:00", "12:00", "", 4),
            ("Fri 18:00", "Mon 07:00", "", 2),
        ],
    ),
    (
        "in the hour that is skipped",
        &[
            ("Sun 02:15", "Sun 02:45", "", 5),
            ("02:00", "02:59", "", 7),
            ("00:30", "00:15", "", 6),
        ],
    ),
    (
        "on days",
        &[
            ("23:30", "00:30", "days=Wed", 6),
            ("08:00", "18:00", "days=Mon-Fri", 5),
            ("20:00", "08:00", "days=Sat-Mon", 3),
            ("00:00", "00:00", "days=Sat, Sun", 1),
        ],
    ),
    (
        "on dates",
        &[
            ("2024-03-29 18:00", "2024-04-02 08:00", "", 4),
            ("2024-01-31 02:30", "2024-01-31 03:30", "repeat=monthly", 5),
            ("2024-02-29 00:00", "2024-03-01 00:00", "repeat=yearly", 6),
            ("2023-12-24 18:00", "2024-01-02 08:00", "repeat=yearly", 2),
            ("2033-06-01 00:00", "2033-08-01 00:00", "", 7),
        ],
    ),
    (
        "until a date",
        &[
            ("Sat 00:00", "Mon 00:00", "until=2024-06-15", 1),
            ("20:00", "08:00", "until=2024-10-27", 2),
            ("09:00", "17:00", "days=Tue-Thu;until=2025-01-15", 5),
            (
                "2024-01-01 00:00",
                "2024-01-03 00:00",
                "repeat=monthly;until=2024-11-01",
                4,
            ),
        ],
    ),
    (
        "of all kinds",
        &[
            ("2024-10-26 12:00", "2024-10-28 12:00", "", 8),
            ("2024-01-01 00:00", "2024-01-02 12:00", "repeat=monthly", 4),
            ("12:00", "11:00", "days=Fri-Sun", 3),
            ("Mon 06:00", "Mon 07:00", "", 7),
            ("22:00", "05:00", "", 2),
        ],
    ),
];

/// Days between two runs of `up`: never more than the 90 that it promises to have left.
const PAUSES: [i64; 5] = [1, 7, 30, 89, 13];

/// The offset of a zone at each minute of `range`.
struct Offsets {
    range: Range<i64>,
    minutes: Vec<i64>,
}

impl Offsets {
    fn of(zone: &TimeZone, range: Range<i64>) -> Self {
        let instant = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let offset = |at: Timestamp| i64::from(zone.to_offset(at).seconds()).div_euclid(60);
        let mut minutes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        let mut begin = range.start;
        let changes = zone.following(instant(range.start));
        let ends = changes
            .map(|it| it.timestamp().as_second().div_euclid(60))
            .take_while(|it| *it < range.end)
            .chain([range.end]);
        for end in ends {
            let (from, to) = (begin - range.start, end - range.start);
            minutes[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()]
                .fill(offset(instant(begin)));
            begin = end;
        }
        Self { range, minutes }
    }

    fn at(&self, minute: i64) -> i64 {
        self.minutes[usize::try_from(minute - self.range.start).unwrap()]
    }

    /// The minute at which the clocks first show `local`; where they skip it, as long after the gap as it is in it.
    fn minute(&self, local: i64) -> i64 {
        let guess = local - self.at(local.clamp(self.range.start, self.range.end - 1));
        for minute in guess - 180..guess + 180 {
            if minute + self.at(minute) == local {
                return minute;
            }
            if minute + self.at(minute) < local && minute + 1 + self.at(minute + 1) > local {
                return local - self.at(minute);
            }
        }
        panic!("no minute shows {local}");
    }
}

/// A minimum for each minute of a stretch.
struct Minimums {
    range: Range<i64>,
    values: Vec<u32>,
}

impl Minimums {
    fn new(range: Range<i64>) -> Self {
        let length = usize::try_from(range.end - range.start).unwrap();
        Self {
            range,
            values: vec![BASE; length],
        }
    }

    fn paint(&mut self, from: i64, to: i64, min: u32) {
        let place = |at: i64| {
            let at = at.clamp(self.range.start, self.range.end);
            usize::try_from(at - self.range.start).unwrap()
        };
        let (from, to) = (place(from), place(to));
        if from < to {
            self.values[from..to].fill(min);
        }
    }
}

/// The profile's meaning: the last window first, so that an earlier one paints over it.
fn meant(windows: &[Meant], offsets: &Offsets, range: Range<i64>) -> Minimums {
    let mut minimums = Minimums::new(range.clone());
    for (from, to, rest, min) in windows.iter().rev() {
        let ((day, from), (to_day, to)) = (read(from), read(to));
        let option = |name: &str| {
            let found = rest.split(';').find_map(|it| it.strip_prefix(name));
            found.map(str::to_owned)
        };
        let (days, repeat) = (option("days="), option("repeat="));
        let until = option("until=").map_or(i64::MAX, |it| number_of(&it));
        let length = match (day, to_day) {
            (On::Date(first), On::Date(last)) => (last - first) * DAY + to - from,
            (On::Weekday(first), On::Weekday(last)) => {
                ((last - first) * DAY + to - from).rem_euclid(7 * DAY)
            }
            _ if from == to => DAY,
            _ => (to - from).rem_euclid(DAY),
        };
        let opens = |date: i64| match day {
            On::Any => days
                .as_ref()
                .is_none_or(|days| is_one_of(weekday(date), days)),
            On::Weekday(day) => weekday(date) == day,
            On::Date(first) => {
                let ((_, month, day), (_, first_month, first_day)) = (civil(date), civil(first));
                date >= first
                    && match repeat.as_deref() {
                        None => date == first,
                        Some("monthly") => day == first_day,
                        Some(_) => (month, day) == (first_month, first_day),
                    }
            }
        };
        for date in range.start.div_euclid(DAY) - MARGIN..range.end.div_euclid(DAY) + 2 {
            if date <= until && opens(date) {
                let local = date * DAY + from;
                minimums.paint(offsets.minute(local), offsets.minute(local + length), *min);
            }
        }
    }
    minimums
}

/// More days than any of the windows is long.
const MARGIN: i64 = 62;

const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

fn place(name: &str) -> i64 {
    i64::try_from(NAMES.iter().position(|it| *it == name).unwrap()).unwrap()
}

/// Days after Monday. 1970-01-01 was a Thursday.
fn weekday(date: i64) -> i64 {
    (date + 3).rem_euclid(7)
}

fn is_one_of(day: i64, days: &str) -> bool {
    days.split(", ").any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (place(first), place(last));
        (day - first).rem_euclid(7) <= (last - first).rem_euclid(7)
    })
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn length_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of a date in days since 1970-01-01, by counting.
fn civil(mut days: i64) -> (i64, i64, i64) {
    let (mut year, mut month) = (1970, 1);
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    while days >= length_of(year, month) {
        days -= length_of(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
fn number_of(date: &str) -> i64 {
    let parts: Vec<i64> = date.split('-').map(|it| it.parse().unwrap()).collect();
    let years: i64 = (1970..parts[0])
        .map(|it| 365 + i64::from(is_leap(it)))
        .sum();
    let months: i64 = (1..parts[1]).map(|it| length_of(parts[0], it)).sum();
    years + months + parts[2] - 1
}

#[derive(Clone, Copy)]
enum On {
    Any,
    Weekday(i64),
    Date(i64),
}

/// `Ddd HH:MM`, `YYYY-MM-DD HH:MM` or `HH:MM`: the day, and minutes.
fn read(time: &str) -> (On, i64) {
    let (day, clock) = match time.split_once(' ') {
        Some((day, clock)) if day.len() == 3 => (On::Weekday(place(day)), clock),
        Some((day, clock)) => (On::Date(number_of(day)), clock),
        None => (On::Any, time),
    };
    let (hours, minutes) = clock.split_once(':').unwrap();
    (
        day,
        hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap(),
    )
}

/// An entry of what is rendered, in minutes.
struct Entry {
    start: i64,
    length: i64,
    min: u32,
    /// None, a day or a week.
    period: Option<i64>,
    until: Option<i64>,
}

fn in_minutes(seconds: i64) -> i64 {
    assert_eq!(seconds % 60, 0, "{seconds}");
    seconds / 60
}

/// The entries of an autoscaler.
fn of_autoscaler(autoscaler: &Value) -> Vec<Entry> {
    let time = |value: &Value| {
        let time = value.as_str()?.parse::<Timestamp>().unwrap();
        Some(in_minutes(time.as_second()))
    };
    let overrides = autoscaler["spec"]["scheduledOverrides"].as_array();
    let entry = |entry: &Value| {
        let start = time(&entry["startTime"]).unwrap();
        let rule = &entry["recurrenceRule"];
        Entry {
            start,
            length: time(&entry["endTime"]).unwrap() - start,
            min: u32::try_from(entry["minReplicas"].as_u64().unwrap()).unwrap(),
            period: rule["frequency"].as_str().map(|it| match it {
                "Daily" => DAY,
                "Weekly" => 7 * DAY,
                other => panic!("{other} is rendered nowhere"),
            }),
            until: time(&rule["untilTime"]),
        }
    };
    overrides.into_iter().flatten().map(entry).collect()
}

/// The entries of a scale set's table.
fn of_table(table: &str) -> Vec<Entry> {
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some(format!("base {BASE}").as_str()));
    let entry = |line: &str| {
        let numbers: Vec<i64> = line.split(' ').map(|it| it.parse().unwrap()).collect();
        let given = |seconds: i64| (seconds != 0).then(|| in_minutes(seconds));
        Entry {
            start: in_minutes(numbers[0]),
            length: in_minutes(numbers[1] - numbers[0]),
            min: u32::try_from(numbers[2]).unwrap(),
            period: given(numbers[3]),
            until: given(numbers[4]),
        }
    };
    lines.map(entry).collect()
}

/// What the controller does: the last entry first, so that the first that is active wins.
fn done(entries: &[Entry], range: Range<i64>) -> Minimums {
    let mut minimums = Minimums::new(range.clone());
    for entry in entries.iter().rev() {
        let Some(period) = entry.period else {
            minimums.paint(entry.start, entry.start + entry.length, entry.min);
            continue;
        };
        // The controller fails the whole autoscaler otherwise.
        assert!(
            0 < entry.length && entry.length <= period,
            "{}",
            entry.start
        );
        let until = entry.until.unwrap_or(i64::MAX);
        let mut at = entry.start;
        while at <= until && at < range.end {
            minimums.paint(at, at + entry.length, entry.min);
            at += period;
        }
    }
    minimums
}

fn with_schedule(profile: &Profile, zone: &str, windows: &[Meant]) -> Pool {
    let windows = windows
        .iter()
        .enumerate()
        .map(|(index, (from, to, rest, min))| {
            let option = |name: &str| {
                let found = rest.split(';').find_map(|it| it.strip_prefix(name));
                found.map(str::to_owned)
            };
            Window {
                name: format!("w{index}"),
                days: option("days="),
                from: (*from).into(),
                to: (*to).into(),
                repeat: option("repeat=").map(|it| match it.as_str() {
                    "monthly" => Repeat::Monthly,
                    _ => Repeat::Yearly,
                }),
                until: option("until="),
                min: *min,
            }
        });
    let mut pool = profile.pools[0].clone();
    pool.min = BASE;
    pool.schedule = Some(Schedule {
        time_zone: zone.into(),
        windows: windows.collect(),
    });
    pool
}

/// The minutes that were compared, and how often `up` wrote the overrides anew.
fn compare(
    profile: &Profile,
    mode: Mode,
    zone_name: &str,
    shape: Shape,
    days: i64,
) -> (usize, usize) {
    let zone = TimeZone::get(zone_name).unwrap();
    let range = BEGIN..BEGIN + days * DAY;
    let offsets = Offsets::of(
        &zone,
        range.start - (MARGIN + 2) * DAY..range.end + (MARGIN + 4) * DAY,
    );
    let wanted = meant(shape.1, &offsets, range.clone());
    let pool = with_schedule(profile, zone_name, shape.1);
    let mut facts = Facts::default();
    let (mut written, mut compared) = (0, 0);
    // Runs are at any time of the day.
    let mut at = range.start;
    for pause in PAUSES.iter().cycle() {
        let next = (at + pause * DAY + 617).min(range.end);
        facts.now = Timestamp::from_second(at * 60 + 23).unwrap();
        let entries = match mode {
            Mode::RunnerDeployment => {
                let manifest = autoscaler(profile, &pool, &facts).unwrap();
                let live = manifest["spec"]["scheduledOverrides"].clone();
                if facts.live_overrides.insert(pool.name.clone(), live.clone()) != Some(live) {
                    written += 1;
                }
                of_autoscaler(&manifest)
            }
            Mode::ScaleSet => {
                let live = table(&pool, &facts).unwrap().unwrap();
                if facts
                    .live_tables
                    .insert(pool.name.clone(), live.clone())
                    .as_ref()
                    != Some(&live)
                {
                    written += 1;
                }
                of_table(&live)
            }
        };
        let controller = done(&entries, at..next);
        let begin = usize::try_from(at - range.start).unwrap();
        let length = controller.values.len();
        let profile_says = &wanted.values[begin..begin + length];
        if profile_says != controller.values {
            let minute = (0..length)
                .find(|&it| profile_says[it] != controller.values[it])
                .unwrap();
            let when = Timestamp::from_second((at + i64::try_from(minute).unwrap()) * 60).unwrap();
            panic!(
                "{zone_name}, {}: at {when} the profile says {} and the controller does {}",
                shape.0, profile_says[minute], controller.values[minute]
            );
        }
        compared += length;
        if next == range.end {
            break;
        }
        at = next;
    }
    (compared, written)
}

#[test]
fn the_controller_does_what_the_profile_means_at_every_minute() {
    compare_all(Mode::RunnerDeployment);
}

#[test]
fn the_table_of_a_scale_set_says_what_the_profile_means_at_every_minute() {
    compare_all(Mode::ScaleSet);
}

/// How many years are compared in every zone; `None`: a sample.
fn years() -> Option<i64> {
    let years = env::var("ARCCTL_SCHEDULE_YEARS").ok();
    years.map(|it| it.parse().unwrap())
}

fn compare_all(mode: Mode) {
    let (zones, days) = match years() {
        Some(years) => (&ZONES[..], years * 366),
        None => (&ZONES[..SAMPLE], 400),
    };
    let profile = load(&text("profiles/reference.yaml"), "reference")
        .unwrap_or_else(|errors| panic!("{errors}"))
        .profile;
    let (mut compared, mut written) = (0, 0);
    for zone in zones {
        for shape in SHAPES {
            let (minutes, times) = compare(&profile, mode, zone, shape, days);
            compared += minutes;
            written += times;
        }
    }
    eprintln!(
        "{compared} minutes in {} zones, {} schedules, {days} days: the same; written {written} times",
        zones.len(),
        SHAPES.len()
    );
}

/// The comparison sees an hour that is wrong: a recurrence for ever where the clocks change.
#[test]
fn an_endless_recurrence_is_seen_to_be_wrong() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let range = BEGIN..BEGIN + 120 * DAY;
    let offsets = Offsets::of(
        &zone,
        range.start - (MARGIN + 2) * DAY..range.end + (MARGIN + 4) * DAY,
    );
    let wanted = meant(SHAPES[1].1, &offsets, range.clone());
    let endless = serde_json::json!({"spec": {"scheduledOverrides": [{
        "startTime": "2024-01-01T20:00:00+01:00", "endTime": "2024-01-02T08:00:00+01:00",
        "minReplicas": 1, "recurrenceRule": {"frequency": "Daily"}}]}});
    let controller = done(&of_autoscaler(&endless), range);
    let pairs = wanted.values.iter().zip(&controller.values);
    let first = pairs.clone().position(|(one, other)| one != other).unwrap();
    let second = i64::try_from(first).unwrap() * 60 + BEGIN * 60;
    // 08:00 in Berlin is 06:00Z since the clocks went forward that night.
    assert_eq!(
        Timestamp::from_second(second).unwrap().to_string(),
        "2024-03-31T06:00:00Z"
    );
    let wrong = pairs.filter(|(one, other)| one != other).count();
    assert_eq!(wrong % 60, 0, "whole hours");
}
