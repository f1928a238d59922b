//! Compares overrides with the profile, minute by minute. Pure.
//!
//! The two sides use different rules: the controller's for the overrides, the profile's for the windows. Windows and
//! clock changes are at whole minutes, so nothing happens between two of them.

use jiff::{SignedDuration, Timestamp};

use super::{Override, Schedule, ScheduleError, active_at, overrides::later};

/// The result of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many minutes were compared.
    pub minutes: u64,
    /// The end of the compared time.
    pub until: Timestamp,
    /// The intervals in which the two differ; empty if they are equivalent.
    pub mismatches: Vec<Mismatch>,
}

/// An interval in which the controller's minimum differs from the profile's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its first minute.
    pub from: Timestamp,
    /// The minute after its last one.
    pub to: Timestamp,
    /// The profile's minimum.
    pub profile: u32,
    /// The overrides' minimum.
    pub overrides: u32,
}

/// Compares each minute from `from` until `to`.
pub fn verify(
    schedule: &Schedule,
    overrides: &[Override],
    base_min: u32,
    from: Timestamp,
    to: Timestamp,
) -> Result<Verified, ScheduleError> {
    let minute = SignedDuration::from_mins(1);
    let windows = schedule.occurrences(from, to)?;
    let mut at = whole_minute(from);
    let mut verified = Verified {
        minutes: 0,
        until: to,
        mismatches: Vec::new(),
    };
    while at < to {
        let open = windows.iter().position(|it| it.open_at(at));
        let window = open.and_then(|index| schedule.windows.get(index));
        let profile = window.map_or(base_min, |it| it.min);
        let controller = active_at(overrides, at).map_or(base_min, |index| overrides[index].min);
        let next = later(at, minute);
        if profile != controller {
            verified.add(Mismatch {
                from: at,
                to: next,
                profile,
                overrides: controller,
            });
        }
        verified.minutes += 1;
        at = next;
    }
    Ok(verified)
}

/// The first whole minute at or after an instant.
fn whole_minute(at: Timestamp) -> Timestamp {
    let seconds = at.as_second();
    let whole = seconds - seconds.rem_euclid(60);
    let whole = Timestamp::from_second(whole).unwrap_or(at);
    if whole < at {
        later(whole, SignedDuration::from_mins(1))
    } else {
        whole
    }
}

impl Verified {
    /// Adds a minute, extending the previous interval if adjacent.
    fn add(&mut self, minute: Mismatch) {
        match self.mismatches.last_mut() {
            Some(last)
                if last.to == minute.from
                    && (last.profile, last.overrides) == (minute.profile, minute.overrides) =>
            {
                last.to = minute.to;
            }
            _ => self.mismatches.push(minute),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::profile::{
        Window,
        schedule::{horizon, overrides},
    };

    /// Nights with a minimum of 1.
    pub(in crate::profile::schedule) fn night(zone: &str) -> Schedule {
        Schedule {
            time_zone: zone.into(),
            windows: vec![Window {
                name: "night".into(),
                from: "20:00".into(),
                to: "08:00".into(),
                min: 1,
                ..Window::default()
            }],
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_endless_recurrence_is_an_hour_off_once_the_clocks_have_changed() {
        let berlin = night("Europe/Berlin");
        let now = time("2026-03-27T00:00:30Z");
        let later = time("2026-03-31T00:00:00Z");
        let right = overrides(&berlin, now).unwrap();
        let verified = verify(&berlin, &right, 4, now, later).unwrap();
        assert_eq!(verified.minutes, 4 * 1440 - 1);
        assert_eq!(verified.mismatches, []);

        let mut endless = right;
        endless.retain(|it| it.start.timestamp() <= now);
        endless[0].until = None;
        let wrong = verify(&berlin, &endless, 4, now, later).unwrap().mismatches;
        assert_eq!(
            wrong[0],
            Mismatch {
                from: time("2026-03-29T06:00:00Z"),
                to: time("2026-03-29T07:00:00Z"),
                profile: 4,
                overrides: 1
            }
        );
        // Closed too late on the 29th and 30th, opened too late on the evenings between and after.
        assert_eq!(wrong.len(), 4, "{wrong:?}");
    }

    #[test]
    fn the_horizon_is_where_dated_overrides_end() {
        let now = time("2026-11-23T10:00:00Z");
        assert_eq!(horizon(&night("Asia/Seoul"), now).unwrap(), None);
        let berlin = night("Europe/Berlin");
        let end = horizon(&berlin, now).unwrap().unwrap();
        let right = overrides(&berlin, now).unwrap();
        assert_eq!(verify(&berlin, &right, 4, now, end).unwrap().mismatches, []);
        let after = end + SignedDuration::from_hours(48);
        assert!(
            !verify(&berlin, &right, 4, end, after)
                .unwrap()
                .mismatches
                .is_empty()
        );
    }
}
