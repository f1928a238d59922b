//! How long each minimum is in force in a week in which no clock changes. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Schedule, ScheduleError, calendar, times};

/// The minutes of a week.
pub const MINUTES: u64 = 7 * 24 * 60;

/// Monday, 2024-01-01 00:00 UTC: every week is like it, in a zone whose clocks never change.
const MONDAY: i64 = 1_704_067_200;

/// The minutes of a week by the minimum in force in them, which are [`MINUTES`] together: of the windows that come back each
/// day or week, by the wall clock. Windows with dates are left out, and so are those that have opened for the last time.
pub fn week(
    schedule: &Schedule,
    base_min: u32,
    now: Timestamp,
) -> Result<BTreeMap<u32, u64>, ScheduleError> {
    let mut weekly = Schedule {
        time_zone: "UTC".into(),
        windows: Vec::new(),
    };
    for window in &schedule.windows {
        let comes_back = !times(window)?.recurrences().is_empty();
        if comes_back && schedule.over_since(window, now).is_none() {
            let mut window = window.clone();
            window.until = None;
            weekly.windows.push(window);
        }
    }
    let at =
        |second: i64| Timestamp::from_second(second).map_err(|_| ScheduleError::OutOfRange(now));
    let end = MONDAY + 7 * 24 * 3600;
    let mut minutes: BTreeMap<u32, u64> = BTreeMap::new();
    for it in calendar(&weekly, base_min, at(MONDAY)?, at(end)?)? {
        let seconds = it.end.timestamp().as_second() - it.start.timestamp().as_second();
        // A window begins and ends at a whole minute.
        *minutes.entry(it.min).or_default() += u64::try_from(seconds / 60).unwrap_or_default();
    }
    Ok(minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Window;

    fn window(from: &str, to: &str, min: u32) -> Window {
        Window {
            name: from.into(),
            from: from.into(),
            to: to.into(),
            min,
            ..Window::default()
        }
    }

    fn of(zone: &str, windows: Vec<Window>, base_min: u32) -> Vec<(u32, u64)> {
        let schedule = Schedule {
            time_zone: zone.into(),
            windows,
        };
        let now = "2026-11-28T00:00:00Z".parse().unwrap();
        let minutes = week(&schedule, base_min, now).unwrap();
        assert_eq!(minutes.values().sum::<u64>(), MINUTES);
        minutes.into_iter().collect()
    }

    #[test]
    fn a_week_is_the_same_in_every_zone() {
        for zone in ["Asia/Seoul", "Europe/Berlin", "Australia/Lord_Howe"] {
            let weekend = window("Sat 00:00", "Mon 00:00", 0);
            assert_eq!(
                of(zone, vec![weekend], 2),
                [(0, 2 * 24 * 60), (2, 5 * 24 * 60)]
            );
            // Open where the week begins, and in the hour that clocks skip in spring.
            let night = window("22:30", "02:45", 1);
            assert_eq!(
                of(zone, vec![night], 3),
                [(1, 7 * 255), (3, MINUTES - 7 * 255)]
            );
        }
    }

    #[test]
    fn the_first_window_that_is_open_counts() {
        let mut day = window("08:00", "20:00", 4);
        day.days = Some("Mon-Fri".into());
        let weekend = window("Fri 12:00", "Mon 00:00", 0);
        let both = of("UTC", vec![weekend.clone(), day.clone()], 1);
        // Monday to Thursday 12 hours, Friday 4.
        assert_eq!(both[2], (4, 4 * 720 + 240));
        let other = of("UTC", vec![day, weekend], 1);
        assert_eq!(other[2], (4, 5 * 720));
    }

    #[test]
    fn dates_and_what_is_over_are_no_part_of_a_week() {
        let mut over = window("08:00", "20:00", 4);
        over.until = Some("2026-03-01".into());
        let mut yearly = window("2025-12-24 00:00", "2025-12-27 00:00", 0);
        yearly.repeat = Some(crate::profile::Repeat::Yearly);
        let once = window("2026-12-01 00:00", "2026-12-02 00:00", 9);
        assert_eq!(of("UTC", vec![over, yearly, once], 2), [(2, MINUTES)]);
        let mut still = window("08:00", "20:00", 4);
        still.until = Some("2027-03-01".into());
        assert_eq!(
            of("UTC", vec![still], 2),
            [(2, MINUTES / 2), (4, MINUTES / 2)]
        );
    }
}
