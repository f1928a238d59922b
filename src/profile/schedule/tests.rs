//! Compares the controller's rule for the rendered overrides with the profile's rule for the windows, minute by minute.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::*;

const ZONES: [&str; 21] = [
    "Asia/Seoul",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "UTC",
    "Asia/Tokyo",
    "America/Sao_Paulo",
    "America/New_York",
    "America/Los_Angeles",
    "America/Santiago",
    "America/St_Johns",
    "America/Havana",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Jerusalem",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Pacific/Chatham",
];

fn schedule(zone: &str, windows: &[(&str, &str, u32)]) -> Schedule {
    let windows = windows
        .iter()
        .enumerate()
        .map(|(index, (from, to, min))| Window {
            name: format!("w{index}"),
            from: (*from).into(),
            to: (*to).into(),
            min: *min,
            ..Window::default()
        });
    Schedule {
        time_zone: zone.into(),
        windows: windows.collect(),
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The desired `HorizontalRunnerAutoscaler`'s overrides, as the API server returns them.
fn rendered(overrides: &[Override]) -> Value {
    let entries = overrides.iter().map(|entry| {
        let mut value = json!({
            "startTime": entry.start.timestamp().to_string(),
            "endTime": entry.end.timestamp().to_string(),
            "minReplicas": entry.min,
        });
        if let Some(frequency) = entry.frequency {
            value["recurrenceRule"] = json!({"frequency": frequency.as_str()});
            if let Some(until) = entry.until {
                value["recurrenceRule"]["untilTime"] = json!(until.to_string());
            }
        }
        value
    });
    entries.collect()
}

const SHAPES: [&[(&str, &str, u32)]; 5] = [
    &[("Sat 00:00", "Mon 00:00", 1)],
    &[("20:00", "08:00", 1)],
    &[
        ("01:30", "03:30", 1),
        ("Sat 23:00", "Sun 02:30", 3),
        ("00:00", "12:00", 4),
    ],
    &[("Sun 02:15", "Sun 02:45", 5), ("00:30", "00:15", 6)],
    &[("Fri 18:00", "Thu 18:00", 0), ("02:00", "02:59", 7)],
];

#[test]
fn the_controller_does_what_the_profile_says_minute_by_minute() {
    // A day around every clock change of a year, and an ordinary week, from 90 days after the anchor.
    let now = time("2026-11-23T10:17:00Z");
    let end = now + SignedDuration::from_hours(24 * 300);
    for zone_name in ZONES {
        let zone = jiff::tz::TimeZone::get(zone_name).unwrap();
        let mut spans = vec![(now, now + SignedDuration::from_hours(24 * 8))];
        spans.extend(
            zone.following(now)
                .take_while(|change| change.timestamp() < end)
                .map(|change| {
                    let half = SignedDuration::from_hours(30);
                    (change.timestamp() - half, change.timestamp() + half)
                }),
        );
        for shape in SHAPES {
            let schedule = schedule(zone_name, shape);
            let overrides = overrides(&schedule, now).unwrap();
            for &(from, to) in &spans {
                let wanted = calendar(&schedule, 99, from, to).unwrap();
                let mut stretch = wanted.iter().peekable();
                let mut at = from;
                while at < to {
                    stretch.next_if(|stretch| stretch.end.timestamp() <= at);
                    let live = active_at(&overrides, at).map_or(99, |index| overrides[index].min);
                    assert_eq!(
                        live,
                        stretch.peek().unwrap().min,
                        "{zone_name} {shape:?} at {at}"
                    );
                    at += SignedDuration::from_mins(1);
                }
            }
        }
    }
}

#[test]
fn the_calendar_is_what_window_at_says() {
    for zone_name in ZONES {
        let schedule = schedule(zone_name, SHAPES[2]);
        let from = time("2026-03-01T00:07:00Z");
        let to = from + SignedDuration::from_hours(24 * 40);
        for stretch in calendar(&schedule, 99, from, to).unwrap() {
            let before_end = stretch.end.timestamp() - SignedDuration::from_mins(1);
            for at in [stretch.start.timestamp(), before_end] {
                assert_eq!(schedule.min_at(99, at), stretch.min, "{zone_name} at {at}");
            }
        }
    }
}

#[test]
fn a_fixed_zone_gives_one_recurrence_whatever_the_time_is() {
    let weekend = schedule("Asia/Seoul", SHAPES[0]);
    let early = overrides(&weekend, time("2024-02-01T00:00:00Z")).unwrap();
    assert_eq!(
        early,
        overrides(&weekend, time("2031-07-01T00:00:00Z")).unwrap()
    );
    assert_eq!(early.len(), 1);
    assert_eq!(
        early[0].start.to_string(),
        "2024-01-06T00:00:00+09:00[Asia/Seoul]"
    );
    assert_eq!(
        early[0].end.to_string(),
        "2024-01-08T00:00:00+09:00[Asia/Seoul]"
    );
    assert_eq!(
        (early[0].frequency, early[0].until),
        (Some(Frequency::Weekly), None)
    );
}

#[test]
fn a_zone_that_gave_up_daylight_saving_is_fixed_from_then_on() {
    // Kazakhstan moved to +05:00 on 2024-03-01.
    let night = schedule("Asia/Almaty", SHAPES[1]);
    let result = overrides(&night, time("2026-11-23T00:00:00Z")).unwrap();
    assert_eq!(result.len(), 1);
    assert_eq!(result[0].start.offset().to_string(), "+05");
    assert_eq!(result[0].until, None);
}

#[test]
fn a_recurrence_does_not_begin_in_the_hour_that_the_last_change_skips() {
    // Paraguay's clocks went from 00:00 to 01:00 on 2024-10-06, for the last time: that day's night begins at 01:00.
    let night = schedule("America/Asuncion", &[("00:00", "12:00", 1)]);
    for now in [
        "2024-10-06T05:00:00Z",
        "2024-10-12T00:00:00Z",
        "2024-11-20T12:00:00Z",
    ] {
        let now = time(now);
        let result = overrides(&night, now).unwrap();
        let verified = verify(
            &night,
            &result,
            9,
            now,
            now + SignedDuration::from_hours(24 * 80),
        );
        assert_eq!(verified.unwrap().mismatches, [], "{now}");
    }
    let fixed = overrides(&night, time("2024-11-20T12:00:00Z")).unwrap();
    assert_eq!(fixed.len(), 1);
    assert_eq!(fixed[0].start.strftime("%d %H:%M").to_string(), "08 00:00");
}

#[test]
fn daylight_saving_is_dated_and_keeps_midnight_at_midnight() {
    let weekend = schedule("America/New_York", SHAPES[0]);
    let result = overrides(&weekend, time("2026-11-23T00:00:00Z")).unwrap();
    assert!(
        result
            .iter()
            .all(|entry| entry.frequency.is_none() || entry.until.is_some())
    );
    assert!(
        result
            .iter()
            .all(|entry| entry.start.strftime("%a %H:%M").to_string() == "Sat 00:00")
    );
    let single: Vec<i64> = result
        .iter()
        .filter(|entry| entry.frequency.is_none())
        .map(|entry| entry.duration().as_hours())
        .collect();
    assert_eq!(single, [49, 47], "{result:#?}");
    assert_eq!(
        result,
        overrides(&weekend, time("2026-12-01T00:00:00Z")).unwrap()
    );
}

#[test]
fn a_recurrence_is_never_longer_than_its_period() {
    for zone_name in ZONES {
        for shape in SHAPES {
            for entry in
                overrides(&schedule(zone_name, shape), time("2026-11-23T00:00:00Z")).unwrap()
            {
                if let Some(frequency) = entry.frequency {
                    assert!(
                        entry.duration() <= frequency.length(),
                        "{zone_name} {entry:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_live_stays_while_it_says_the_same() {
    let now = time("2026-11-23T10:00:00Z");
    for zone_name in ["Asia/Seoul", "America/New_York"] {
        let wanted = schedule(zone_name, SHAPES[2]);
        let live = parse_live(&rendered(&overrides(&wanted, now).unwrap())).unwrap();
        for days in [0, 1, 60, 150] {
            let at = now + SignedDuration::from_hours(24 * days);
            assert!(
                equivalent(&live, Some(&wanted), 2, at, 90),
                "{zone_name} after {days} days"
            );
        }
        let mut other = wanted.clone();
        other.windows[0].min += 1;
        assert!(!equivalent(&live, Some(&other), 2, now, 90), "{zone_name}");
        other = wanted.clone();
        other.windows.pop();
        assert!(!equivalent(&live, Some(&other), 2, now, 90), "{zone_name}");
        assert!(!equivalent(&live, None, 2, now, 90), "{zone_name}");
        assert!(!equivalent(&[], Some(&wanted), 2, now, 90), "{zone_name}");
    }
    assert!(equivalent(&[], None, 2, now, 90));
}

#[test]
fn a_horizon_that_comes_near_is_renewed() {
    let now = time("2026-11-23T10:00:00Z");
    let wanted = schedule("Europe/Berlin", SHAPES[0]);
    let live = overrides(&wanted, now).unwrap();
    let last = live.iter().filter_map(Override::last_end).max().unwrap();
    let left = |days: i64| last - SignedDuration::from_hours(24 * days);
    assert!(equivalent(&live, Some(&wanted), 2, left(90), 90));
    assert!(!equivalent(&live, Some(&wanted), 2, left(80), 90));
}

#[test]
fn an_endless_recurrence_is_wrong_where_clocks_change() {
    let now = time("2026-11-23T10:00:00Z");
    let wanted = schedule("Europe/Berlin", SHAPES[0]);
    let live = parse_live(&json!([{
        "startTime": "2026-11-20T23:00:00Z", "endTime": "2026-11-22T23:00:00Z", "minReplicas": 1,
        "recurrenceRule": {"frequency": "Weekly"},
    }]))
    .unwrap();
    assert!(!equivalent(&live, Some(&wanted), 2, now, 90));
    let fixed = schedule("Africa/Lagos", SHAPES[0]);
    assert!(equivalent(&live, Some(&fixed), 2, now, 90));
}

#[test]
fn foreign_overrides_are_not_understood_by_half() {
    let entry = |change: &dyn Fn(&mut Value)| {
        let mut value = json!({"startTime": "2026-11-20T23:00:00Z", "endTime": "2026-11-21T23:00:00Z", "minReplicas": 1});
        change(&mut value);
        parse_live(&json!([value]))
    };
    assert!(entry(&|_| ()).is_some());
    assert!(entry(&|value| value["recurrenceRule"] = json!({"frequency": "Monthly"})).is_none());
    assert!(entry(&|value| value["minReplicas"] = Value::Null).is_none());
    assert!(entry(&|value| value["startTime"] = json!("yesterday")).is_none());
    assert!(entry(&|value| value["endTime"] = json!("2026-11-20T22:00:00Z")).is_none());
    assert!(
        entry(&|value| {
            value["endTime"] = json!("2026-11-22T23:00:00Z");
            value["recurrenceRule"] = json!({"frequency": "Daily"});
        })
        .is_none()
    );
    let for_ever = json!({"frequency": "Daily", "untilTime": "9999-12-30T22:00:00Z"});
    let live = entry(&|value| value["recurrenceRule"] = for_ever.clone()).unwrap();
    assert!(!equivalent(
        &live,
        None,
        0,
        time("2026-11-23T10:00:00Z"),
        90
    ));
    assert_eq!(parse_live(&Value::Null), Some(Vec::new()));
    assert_eq!(parse_live(&json!({})), None);
}

#[test]
fn first_in_the_list_wins_and_the_end_is_exclusive() {
    let live = parse_live(&json!([
        {"startTime": "2026-11-20T00:00:00Z", "endTime": "2026-11-21T00:00:00Z", "minReplicas": 5},
        {"startTime": "2026-11-19T00:00:00Z", "endTime": "2026-11-22T00:00:00Z", "minReplicas": 0},
        {"startTime": "2026-11-01T00:00:00Z", "endTime": "2026-11-01T02:00:00Z", "minReplicas": 7,
         "recurrenceRule": {"frequency": "Daily", "untilTime": "2026-11-23T00:00:00Z"}},
    ]))
    .unwrap();
    let at = |text: &str| active_at(&live, time(text));
    assert_eq!(at("2026-11-20T00:00:00Z"), Some(0));
    assert_eq!(at("2026-11-21T00:00:00Z"), Some(1));
    assert_eq!(at("2026-11-22T00:00:00Z"), Some(2));
    assert_eq!(
        at("2026-11-23T01:59:59Z"),
        Some(2),
        "an occurrence that begins at untilTime runs to its end"
    );
    assert_eq!(at("2026-11-23T02:00:00Z"), None);
    assert_eq!(at("2026-11-24T00:00:00Z"), None);
}
