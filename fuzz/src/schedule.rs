//! A schedule: the controller's result of the overrides equals the profile, at any time.

use arcctl::profile::{
    Schedule, Window,
    schedule::{active_at, calendar, overrides},
};
use jiff::{SignedDuration, Timestamp};

const ZONES: [&str; 8] = [
    "Asia/Seoul",
    "Asia/Kathmandu",
    "UTC",
    "America/New_York",
    "America/St_Johns",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
];

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The minimum outside all windows.
const BASE: u32 = 99;

/// 2026-01-01.
const FIRST: i64 = 1_767_225_600;

fn time(weekly: bool, minute: u16) -> String {
    let (hour, part) = (minute / 60 % 24, minute % 60);
    let day = DAYS[usize::from(minute / 1440 % 7)];
    if weekly {
        format!("{day} {hour:02}:{part:02}")
    } else {
        format!("{hour:02}:{part:02}")
    }
}

/// A zone, a moment within ten years, and up to eight windows of five bytes each.
pub(crate) fn run(data: &[u8]) {
    let [zone, a, b, c, windows @ ..] = data else {
        return;
    };
    let number = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let windows = windows
        .chunks_exact(5)
        .take(8)
        .enumerate()
        .map(|(index, it)| {
            let weekly = it[0] & 1 == 1;
            Window {
                name: format!("w{index}"),
                from: time(weekly, number(it[1], it[2])),
                to: time(weekly, number(it[3], it[4])),
                min: u32::from(it[0] >> 1),
                days: None,
                repeat: None,
                until: None,
            }
        });
    let schedule = Schedule {
        time_zone: ZONES[usize::from(*zone) % ZONES.len()].into(),
        windows: windows.collect(),
    };
    let seconds = i64::from(u32::from_be_bytes([0, *a, *b, *c])) * 18;
    let now = Timestamp::from_second(FIRST + seconds).unwrap();
    let Ok(overrides) = overrides(&schedule, now) else {
        return;
    };
    // A week, and two days further on that the overrides still cover, in steps that meet every minute of the hour.
    for (first, days) in [(0, 7), (100, 1), (200, 1)] {
        let from = now + SignedDuration::from_hours(24 * first);
        let to = from + SignedDuration::from_hours(24 * days);
        let stretches = calendar(&schedule, BASE, from, to).unwrap();
        let mut stretches = stretches.iter().peekable();
        let mut at = from;
        while at < to {
            while stretches.next_if(|it| it.end.timestamp() <= at).is_some() {}
            let wanted = stretches.peek().map(|it| it.min);
            let live = active_at(&overrides, at).map_or(BASE, |index| overrides[index].min);
            assert_eq!(
                Some(live),
                wanted,
                "{schedule:?} at {at}, rendered at {now}"
            );
            at += SignedDuration::from_mins(31);
        }
    }
}
