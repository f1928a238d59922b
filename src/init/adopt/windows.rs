//! Scheduled overrides of an autoscaler, turned back into windows of a schedule. Pure: no I/O.

use jiff::{
    Timestamp, ZonedDateTime,
    tz::{Offset, TimeZone},
};
use serde_json::{Value, json};

/// A schedule, and what of the overrides it does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Windows {
    /// The schedule in the profile's words; `Null` without overrides.
    pub schedule: Value,
    /// Why an override is not in it: its index, and the reason.
    pub left_out: Vec<(usize, String)>,
}

/// The zone whose wall clock `overrides` were written for: that of their times' offset. A recurrence of the controller has a
/// fixed offset, so a zone without clock changes says it exactly.
fn zone_of(overrides: &[Value], wanted: Option<&str>) -> (String, TimeZone) {
    let offset = overrides
        .iter()
        .find_map(|it| offset(it["startTime"].as_str()?))
        .unwrap_or(Offset::UTC);
    let fits = |name: &&str| {
        let zone = TimeZone::get(name).ok();
        zone.is_some_and(|zone| is_always(&zone, offset))
    };
    if let Some(name) = wanted.filter(fits)
        && let Ok(zone) = TimeZone::get(name)
    {
        return (name.to_owned(), zone);
    }
    let hours = offset.seconds() / 3600;
    let name = match hours {
        0 => "UTC".to_owned(),
        // The sign of these names is that of POSIX: Seoul is at GMT-9.
        hours => format!("Etc/GMT{:+}", -hours),
    };
    match TimeZone::get(&name) {
        Ok(zone) if offset.seconds() % 3600 == 0 => (name, zone),
        _ => ("UTC".to_owned(), TimeZone::UTC),
    }
}

/// Whether the zone has this offset in winter and in summer.
fn is_always(zone: &TimeZone, offset: Offset) -> bool {
    [1_767_225_600, 1_782_864_000]
        .into_iter()
        .all(|second| Timestamp::from_second(second).is_ok_and(|at| zone.to_offset(at) == offset))
}

/// The offset at the end of an RFC 3339 time.
fn offset(time: &str) -> Option<Offset> {
    if time.ends_with('Z') {
        return Some(Offset::UTC);
    }
    let at = time.len().checked_sub(6)?;
    let (sign, rest) = time.get(at..)?.split_at_checked(1)?;
    let (hours, minutes) = rest.split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(if sign == "-" { -seconds } else { seconds }).ok()
}

/// The windows of `overrides`; `zone` is the time zone to use if it has their offset all year.
pub(crate) fn windows(overrides: &Value, zone: Option<&str>) -> Windows {
    let all = overrides.as_array().cloned().unwrap_or_default();
    if all.is_empty() {
        return Windows::default();
    }
    let (name, zone) = zone_of(&all, zone);
    let mut found = Windows::default();
    let mut windows = Vec::new();
    for (index, one) in all.iter().enumerate() {
        match window(one, &zone, index) {
            Ok(window) => windows.push(window),
            Err(why) => found.left_out.push((index, why)),
        }
    }
    if !windows.is_empty() {
        found.schedule = json!({"timeZone": name, "windows": windows});
    }
    found
}

fn window(entry: &Value, zone: &TimeZone, index: usize) -> Result<Value, String> {
    let time = |key: &str| -> Result<ZonedDateTime, String> {
        let text = entry[key].as_str().unwrap_or_default();
        let at: Timestamp = text.parse().map_err(|_| format!("its {key} is no time"))?;
        if at.as_second() % 60 != 0 {
            return Err("windows begin and end at a full minute".to_owned());
        }
        Ok(at.to_zoned_datetime(zone.clone()))
    };
    let min = entry["minReplicas"]
        .as_u64()
        .ok_or("it sets no minReplicas, so it changes nothing")?;
    let (start, end) = (time("startTime")?, time("endTime")?);
    let rule = &entry["recurrenceRule"];
    let frequency = rule["frequency"].as_str().unwrap_or_default();
    let form = match frequency {
        "Daily" => "%H:%M",
        "Weekly" => "%a %H:%M",
        "" | "Monthly" | "Yearly" => "%Y-%m-%d %H:%M",
        other => return Err(format!("its frequency is `{other}`")),
    };
    let mut window = json!({
        "name": format!("override-{}", index + 1),
        "from": start.strftime(form).to_string(),
        "to": end.strftime(form).to_string(),
        "min": min,
    });
    if matches!(frequency, "Monthly" | "Yearly") {
        window["repeat"] = frequency.to_lowercase().into();
    }
    if let Some(until) = rule["untilTime"].as_str() {
        let at: Timestamp = until
            .parse()
            .map_err(|_| "its untilTime is no time".to_owned())?;
        window["until"] = last_date(&start, &at.to_zoned_datetime(zone.clone()))?.into();
    }
    Ok(window)
}

/// The last date on which a recurrence opens that opens for the first time at `start`. The controller has the last instant at
/// which it may (`Until` of rrule-go), which is often the midnight before: then it opens for the last time on the day before.
fn last_date(start: &ZonedDateTime, until: &ZonedDateTime) -> Result<String, String> {
    if until.timestamp() < start.timestamp() {
        return Err("its untilTime is before its startTime, so it changes nothing".to_owned());
    }
    let date = until.date();
    if start.time() <= until.time() {
        return Ok(date.to_string());
    }
    let before = date
        .yesterday()
        .map_err(|_| "its untilTime is outside the calendar".to_owned())?;
    Ok(before.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::schedule::{equivalent, parse_live};

    fn now() -> Timestamp {
        "2026-11-27T00:00:00Z".parse().unwrap()
    }

    #[test]
    fn overrides_become_the_windows_they_came_from() {
        let overrides = json!([
            {"startTime": "2023-07-15T00:00:00+09:00", "endTime": "2023-07-17T00:00:00+09:00", "minReplicas": 1,
             "recurrenceRule": {"frequency": "Weekly"}},
            {"startTime": "2023-07-14T20:00:00+09:00", "endTime": "2023-07-15T08:00:00+09:00", "minReplicas": 2,
             "recurrenceRule": {"frequency": "Daily", "untilTime": "2030-01-01T00:00:00+09:00"}},
        ]);
        let found = windows(&overrides, Some("Asia/Seoul"));
        let expected = json!({"timeZone": "Asia/Seoul", "windows": [
            {"name": "override-1", "from": "Sat 00:00", "to": "Mon 00:00", "min": 1},
            {"name": "override-2", "from": "20:00", "to": "08:00", "min": 2, "until": "2029-12-31"},
        ]});
        assert_eq!(found.schedule, expected);
        assert_eq!(found.left_out, []);
        // The machine is elsewhere: a zone of the same offset says the same.
        let elsewhere = windows(&overrides, Some("Europe/Berlin"));
        assert_eq!(elsewhere.schedule["timeZone"], "Etc/GMT-9");
        for found in [found, elsewhere] {
            let schedule = serde_json::from_value(found.schedule).unwrap();
            let live = parse_live(&overrides).unwrap();
            assert!(equivalent(&live, Some(&schedule), 4, now(), 90));
        }
    }

    #[test]
    fn a_recurrence_opens_for_the_last_time_when_it_did() {
        for (until, expected) in [
            ("2030-01-01T00:00:00+09:00", "2029-12-31"),
            ("2030-01-01T19:59:00+09:00", "2029-12-31"),
            ("2030-01-01T20:00:00+09:00", "2030-01-01"),
        ] {
            let overrides = json!([{
                "startTime": "2026-07-14T20:00:00+09:00", "endTime": "2026-07-15T08:00:00+09:00", "minReplicas": 2,
                "recurrenceRule": {"frequency": "Daily", "untilTime": until},
            }]);
            let found = windows(&overrides, Some("Asia/Seoul"));
            assert_eq!(found.schedule["windows"][0]["until"], expected, "{until}");
            let schedule = serde_json::from_value(found.schedule).unwrap();
            let live = parse_live(&overrides).unwrap();
            let week_before: Timestamp = "2029-12-25T00:00:00Z".parse().unwrap();
            assert!(
                equivalent(&live, Some(&schedule), 4, week_before, 30),
                "{until}"
            );
        }
    }

    #[test]
    fn what_is_no_window_is_told() {
        let none = windows(&Value::Null, None);
        assert_eq!((none.schedule, none.left_out), (Value::Null, Vec::new()));
        let odd = json!([
            {"startTime": "2026-01-01T00:00:30Z", "endTime": "2026-01-02T00:00:00Z", "minReplicas": 1},
            {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T00:00:00Z"},
            {"startTime": "2026-12-24T18:00:00Z", "endTime": "2026-12-27T00:00:00Z", "minReplicas": 0,
             "recurrenceRule": {"frequency": "Yearly"}},
            {"startTime": "2026-12-24T18:00:00Z", "endTime": "2026-12-27T00:00:00Z", "minReplicas": 0,
             "recurrenceRule": {"frequency": "Yearly", "untilTime": "2026-12-24T00:00:00Z"}},
        ]);
        let found = windows(&odd, None);
        assert_eq!(found.left_out.len(), 3, "{found:?}");
        assert_eq!(
            found.schedule,
            json!({"timeZone": "UTC", "windows": [{"name": "override-3", "from": "2026-12-24 18:00",
                "to": "2026-12-27 00:00", "min": 0, "repeat": "yearly"}]})
        );
    }
}
