//! Scheduled overrides of an autoscaler's minimum, as the controller computes them.
//!
//! Pure: no I/O.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan as _};
use serde_json::Value;

use crate::objects::text;

/// Which override is open now, and which opens next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Schedule {
    pub(super) active: Option<Window>,
    pub(super) upcoming: Option<Window>,
}

/// One occurrence of an override.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    /// The minimum while it is open; none leaves the autoscaler's own.
    pub(super) minimum: Option<i64>,
}

impl Schedule {
    /// The schedule of an autoscaler at a time. The first override in the list that is open wins.
    pub(super) fn of(autoscaler: &Value, now: Timestamp) -> Result<Self, String> {
        let mut schedule = Self::default();
        let overrides = autoscaler
            .pointer("/spec/scheduledOverrides")
            .and_then(Value::as_array);
        for one in overrides.into_iter().flatten() {
            let (active, upcoming) = occurrences(one, now)?;
            schedule.active = schedule.active.or(active);
            let sooner = match (&upcoming, &schedule.upcoming) {
                (Some(new), Some(known)) => new.start < known.start,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if sooner {
                schedule.upcoming = upcoming;
            }
        }
        Ok(schedule)
    }

    /// The text of the column SCHEDULE.
    pub(super) fn summary(&self, minimum: i64) -> Option<String> {
        let line = |minimum: i64, time: Timestamp| {
            format!(
                "min={minimum} time={}",
                time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
            )
        };
        match (&self.active, &self.upcoming) {
            (Some(active), None) => Some(line(minimum, active.end)),
            (Some(active), Some(upcoming)) if active.end < upcoming.start => {
                Some(line(minimum, active.end))
            }
            // An override that opens when another closes is in neither of the real comparisons.
            (Some(active), Some(upcoming)) if active.end == upcoming.start => None,
            // One without a minimum of its own is not told.
            (_, Some(upcoming)) => Some(line(upcoming.minimum?, upcoming.start)),
            (None, None) => None,
        }
    }
}

fn occurrences(one: &Value, now: Timestamp) -> Result<(Option<Window>, Option<Window>), String> {
    let time = |pointer: &str| text(one, pointer).parse::<Timestamp>();
    let start = time("/startTime").map_err(|error| error.to_string())?;
    let end = time("/endTime").map_err(|error| error.to_string())?;
    let until = time("/recurrenceRule/untilTime").ok();
    let minimum = one["minReplicas"].as_i64();
    let length = end.duration_since(start);
    let window = |start: Timestamp| Window {
        start,
        end: start + length,
        minimum,
    };
    let frequency = text(one, "/recurrenceRule/frequency");
    let period = match frequency {
        "Daily" => 1.day(),
        "Weekly" => 7.days(),
        "Monthly" => 1.month(),
        "Yearly" => 1.year(),
        "" if now < start => return Ok((None, Some(window(start)))),
        "" if now < end => return Ok((Some(window(start)), None)),
        "" => return Ok((None, None)),
        other => {
            return Err(format!(
                "invalid freq \"{other}\": It must be one of Daily, Weekly, Monthly, and Yearly"
            ));
        }
    };
    let horizon = implied(now, period).ok_or("the time is out of range")?;
    let most = horizon.duration_since(now);
    if length > most {
        return Err(format!(
            "override's duration {} must be equal to sor shorter than the duration implied by freq \
             \"{frequency}\" ({})",
            hours(length),
            hours(most),
        ));
    }
    let mut active = None;
    for start in starts(start, period, now - length, horizon) {
        if until.is_some_and(|until| start > until) {
            break;
        }
        if start > now {
            return Ok((active, Some(window(start))));
        }
        if now < start + length {
            active = Some(window(start));
        }
    }
    Ok((active, None))
}

/// The starts of a recurrence between two times. As in RFC 5545, a month without the day has none.
fn starts(
    first: Timestamp,
    period: Span,
    from: Timestamp,
    to: Timestamp,
) -> impl Iterator<Item = Timestamp> {
    let average =
        after(first, period).map_or(1, |next| next.duration_since(first).as_secs().max(1));
    let skipped = (from.duration_since(first).as_secs() / average - 3).max(0);
    let day = first.to_zoned_datetime(TimeZone::UTC).day();
    let by_month = period.get_months() != 0 || period.get_years() != 0;
    (skipped..)
        .map_while(move |count| {
            let span = period.checked_mul(count).ok()?;
            first
                .to_zoned_datetime(TimeZone::UTC)
                .checked_add(span)
                .ok()
        })
        .take_while(move |start| start.timestamp() <= to)
        .filter(move |start| !by_month || start.day() == day)
        .map(|start| start.timestamp())
}

fn after(now: Timestamp, period: Span) -> Option<Timestamp> {
    Some(
        now.to_zoned_datetime(TimeZone::UTC)
            .checked_add(period)
            .ok()?
            .timestamp(),
    )
}

/// A period later as Go's `time.Date` counts (`calculateActiveAndUpcomingRecurringPeriods`): a day that the month does not have
/// is one of the next month, so that a month from the 31st of January on is 31 days long.
fn implied(now: Timestamp, period: Span) -> Option<Timestamp> {
    let now = now.to_zoned_datetime(TimeZone::UTC);
    let first = now.with().day(1).build().ok()?.checked_add(period).ok()?;
    let days = i64::from(now.day()) - 1;
    Some(first.checked_add(days.days()).ok()?.timestamp())
}

/// A duration of whole hours as Go writes it.
fn hours(duration: SignedDuration) -> String {
    format!(
        "{}h{}m{}s",
        duration.as_hours(),
        duration.as_mins() % 60,
        duration.as_secs() % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn weekend() -> Value {
        json!({ "spec": { "scheduledOverrides": [{
            "startTime": "2023-07-15T00:00:00+09:00", "endTime": "2023-07-17T00:00:00+09:00",
            "minReplicas": 1, "recurrenceRule": { "frequency": "Weekly" },
        }] } })
    }

    #[test]
    fn an_override_longer_than_its_period_is_refused() {
        let daily = json!({ "spec": { "scheduledOverrides": [{
            "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-02T01:00:00Z",
            "recurrenceRule": { "frequency": "Daily" },
        }] } });
        let error = Schedule::of(&daily, at("2026-11-23T00:00:00Z")).unwrap_err();
        assert!(
            error.starts_with("override's duration 25h0m0s must be equal to sor"),
            "{error}"
        );
    }

    #[test]
    fn before_the_weekend_the_summary_is_the_recorded_one() {
        let schedule = Schedule::of(&weekend(), at("2026-11-23T20:48:11Z")).unwrap();
        assert_eq!(schedule.active, None);
        let expected = "min=1 time=2026-11-27 15:00:00 +0000 UTC";
        assert_eq!(schedule.summary(2).as_deref(), Some(expected));
    }

    #[test]
    fn in_the_weekend_the_summary_tells_its_end() {
        let schedule = Schedule::of(&weekend(), at("2026-11-27T15:00:00Z")).unwrap();
        assert_eq!(schedule.active.as_ref().unwrap().minimum, Some(1));
        let expected = "min=2 time=2026-11-29 15:00:00 +0000 UTC";
        assert_eq!(schedule.summary(2).as_deref(), Some(expected));
        let schedule = Schedule::of(&weekend(), at("2026-11-29T15:00:00Z")).unwrap();
        assert_eq!(schedule.active, None, "the end is not part of it");
    }

    #[test]
    fn the_first_open_override_wins_even_without_a_minimum() {
        let mut both = weekend();
        let overrides = both["spec"]["scheduledOverrides"].as_array_mut().unwrap();
        let mut first = overrides[0].clone();
        first["minReplicas"] = Value::Null;
        overrides.insert(0, first);
        let schedule = Schedule::of(&both, at("2026-11-28T00:00:00Z")).unwrap();
        assert_eq!(schedule.active.unwrap().minimum, None);
    }

    #[test]
    fn until_time_ends_the_recurrence() {
        let mut ended = weekend();
        ended["spec"]["scheduledOverrides"][0]["recurrenceRule"]["untilTime"] =
            "2026-11-20T15:00:00Z".into();
        let schedule = Schedule::of(&ended, at("2026-11-28T00:00:00Z")).unwrap();
        assert_eq!(schedule, Schedule::default());
        let schedule = Schedule::of(&ended, at("2026-11-21T00:00:00Z")).unwrap();
        assert!(schedule.active.is_some() && schedule.upcoming.is_none());
    }

    #[test]
    fn the_31st_is_skipped_in_shorter_months() {
        let monthly = json!({ "spec": { "scheduledOverrides": [{
            "startTime": "2026-01-31T00:00:00Z", "endTime": "2026-01-31T12:00:00Z",
            "minReplicas": 0, "recurrenceRule": { "frequency": "Monthly" },
        }] } });
        let schedule = Schedule::of(&monthly, at("2026-12-02T00:00:00Z")).unwrap();
        assert_eq!(schedule.upcoming.unwrap().start, at("2026-12-31T00:00:00Z"));
        let schedule = Schedule::of(&monthly, at("2026-11-23T00:00:00Z")).unwrap();
        assert_eq!(
            schedule.upcoming, None,
            "November has no 31st, and only one month is looked at"
        );
    }

    #[test]
    fn a_month_is_as_long_as_the_one_that_is_now() {
        let monthly = |days: i64| {
            let start = at("2026-01-01T00:00:00Z");
            json!({ "spec": { "scheduledOverrides": [{
                "startTime": start.to_string(),
                "endTime": (start + SignedDuration::from_hours(24 * days)).to_string(),
                "minReplicas": 0, "recurrenceRule": { "frequency": "Monthly" },
            }] } })
        };
        let taken = |days, now: &str| Schedule::of(&monthly(days), at(now)).is_ok();
        assert!(taken(28, "2026-02-10T00:00:00Z") && !taken(29, "2026-02-10T00:00:00Z"));
        assert!(taken(31, "2026-01-10T00:00:00Z") && !taken(31, "2026-04-10T00:00:00Z"));
        // Go counts from the 31st of January to the 3rd of March.
        assert!(taken(31, "2026-01-31T00:00:00Z"));
        assert!(taken(30, "2026-04-30T00:00:00Z") && !taken(31, "2026-04-30T00:00:00Z"));
    }

    #[test]
    fn an_override_without_a_minimum_is_not_told_before_it_opens() {
        let mut without = weekend();
        without["spec"]["scheduledOverrides"][0]["minReplicas"] = Value::Null;
        let schedule = Schedule::of(&without, at("2026-11-23T00:00:00Z")).unwrap();
        assert!(schedule.upcoming.is_some());
        assert_eq!(schedule.summary(2), None);
    }

    #[test]
    fn a_single_override_opens_and_closes_once() {
        let once = json!({ "spec": { "scheduledOverrides": [{
            "startTime": "2026-11-24T00:00:00Z", "endTime": "2026-11-25T00:00:00Z",
            "minReplicas": 5,
        }] } });
        let open = |time: &str| Schedule::of(&once, at(time)).unwrap();
        assert!(open("2026-11-23T00:00:00Z").upcoming.is_some());
        assert!(open("2026-11-24T12:00:00Z").active.is_some());
        assert_eq!(open("2026-11-25T00:00:00Z"), Schedule::default());
    }
}
