//! How many runner hours the minimums of a schedule are in a year, beside its largest minimum all the time. Pure.

use jiff::{SignedDuration, Timestamp};

use super::{Schedule, ScheduleError, calendar};

/// The days that are counted: a year, whether it has a 29 February or not.
pub const DAYS: i64 = 365;

const SECONDS_OF_AN_HOUR: i64 = 3600;

/// Runner hours in [`DAYS`] days, by the wall clock: a day on which the clocks change has 23 or 25 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The largest minimum.
    pub largest: u32,
    /// The hours of the minimums as the schedule has them, rounded down.
    pub scheduled: i64,
    /// The hours of the largest minimum all the time.
    pub constant: i64,
}

impl Hours {
    /// How much less the schedule is, in percent, rounded down.
    pub const fn saved(self) -> i64 {
        if self.constant == 0 {
            0
        } else {
            (self.constant - self.scheduled) * 100 / self.constant
        }
    }
}

/// The runner hours of a pool's minimums from `from` on.
pub fn hours(schedule: &Schedule, base_min: u32, from: Timestamp) -> Result<Hours, ScheduleError> {
    let year = SignedDuration::from_hours(24 * DAYS);
    let to = from
        .checked_add(year)
        .map_err(|_| ScheduleError::OutOfRange(from))?;
    let stretches = calendar(schedule, base_min, from, to)?;
    let largest = stretches.iter().map(|it| it.min).fold(0, u32::max);
    let seconds: i64 = stretches
        .iter()
        .map(|it| {
            let length = it.end.timestamp().as_second() - it.start.timestamp().as_second();
            length * i64::from(it.min)
        })
        .sum();
    Ok(Hours {
        largest,
        scheduled: seconds / SECONDS_OF_AN_HOUR,
        constant: 24 * DAYS * i64::from(largest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Window;

    fn of(zone: &str, windows: &[(&str, &str, u32)], min: u32, from: &str) -> Hours {
        let windows = windows.iter().map(|(from, to, min)| Window {
            name: (*from).into(),
            from: (*from).into(),
            to: (*to).into(),
            min: *min,
            ..Window::default()
        });
        let schedule = Schedule {
            time_zone: zone.into(),
            windows: windows.collect(),
        };
        hours(&schedule, min, from.parse().unwrap()).unwrap()
    }

    #[test]
    fn without_a_window_nothing_is_saved() {
        let always = of("UTC", &[], 3, "2026-01-01T00:00:00Z");
        assert_eq!((always.scheduled, always.constant), (26_280, 26_280));
        assert_eq!(always.saved(), 0);
        assert_eq!(of("UTC", &[], 0, "2026-01-01T00:00:00Z").saved(), 0);
    }

    #[test]
    fn working_hours_are_counted_by_the_wall_clock() {
        // Twelve of 24 hours with 4 instead of 1.
        let day = of(
            "Asia/Seoul",
            &[("08:00", "20:00", 4)],
            1,
            "2026-01-01T00:00:00Z",
        );
        assert_eq!((day.largest, day.constant), (4, 35_040));
        assert_eq!(day.scheduled, 365 * (12 * 4 + 12));
        assert_eq!(day.saved(), 37);
        // The night in which the clocks change has 11 hours in spring, and 13 in autumn.
        let berlin = of(
            "Europe/Berlin",
            &[("20:00", "08:00", 0)],
            2,
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(berlin.scheduled, 365 * 12 * 2);
        let half = hours(
            &Schedule {
                time_zone: "Europe/Berlin".into(),
                windows: vec![Window {
                    name: "night".into(),
                    from: "2026-03-28 20:00".into(),
                    to: "2026-03-29 08:00".into(),
                    min: 2,
                    ..Window::default()
                }],
            },
            0,
            "2026-01-01T00:00:00Z".parse().unwrap(),
        );
        assert_eq!(half.unwrap().scheduled, 11 * 2);
    }
}
