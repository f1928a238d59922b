//! Wall-clock windows and what the controller makes of them. Pure: no I/O, no clock; the time is an argument.
//!
//! A profile says "Saturday 00:00 to Monday 00:00 in Asia/Seoul"; the controller knows instants that recur every 24
//! or 168 hours. [`overrides`] turns the first into the second, [`active_at`] is the controller's own rule over the
//! result, [`Schedule::window_at`] the profile's, and the tests hold the two against each other. [`moment`] is what a
//! person is told; [`equivalent`] decides whether what is live may stay, [`verify`]
//! compares what is rendered with the profile.

mod live;
mod moment;
mod overrides;
mod verify;
mod window;

#[cfg(test)]
mod tests;

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use thiserror::Error;

pub use live::{equivalent, parse_live};
pub use moment::{
    ActiveWindow, ClockChange, Moment, NextChange, Stretch, calendar, clock_changes, moment,
};
pub use overrides::{Frequency, HORIZON_DAYS, Override, active_at, horizon, overrides};
pub use verify::{Mismatch, Verified, verify};
pub use window::{Period, WallTime};

use super::{Schedule, Window};
use window::Occurrences;

/// The minutes of a week, from Monday 00:00, in which a window is open; clock changes left aside.
pub(super) fn week(window: &Window) -> Result<Vec<(i64, i64)>, ScheduleError> {
    Ok(window::times(window)?.week())
}

/// Why a schedule has no meaning; a profile that [`super::load`] has accepted has none of these.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// The time zone is not in the IANA database.
    #[error("unknown time zone `{0}`")]
    UnknownTimeZone(String),
    /// A time is neither `HH:MM` nor `Ddd HH:MM`.
    #[error("window `{window}`: `{text}` is not a time")]
    BadTime {
        /// The window's name.
        window: String,
        /// What stands there.
        text: String,
    },
    /// One end is weekly and the other daily.
    #[error("window `{0}`: one of `from` and `to` names a day, the other does not")]
    MixedPeriod(String),
    /// The window opens when it closes.
    #[error("window `{0}`: `from` and `to` are the same")]
    Empty(String),
    /// A time so far away that the calendar ends.
    #[error("the time {0} is outside the calendar")]
    OutOfRange(Timestamp),
}

impl Schedule {
    /// The zone of the windows.
    pub fn zone(&self) -> Result<TimeZone, ScheduleError> {
        TimeZone::get(&self.time_zone)
            .map_err(|_| ScheduleError::UnknownTimeZone(self.time_zone.clone()))
    }

    /// The window in force at an instant: the first one, in the order of the profile, that is open.
    ///
    /// `None` when none is open, and for a schedule without meaning (see [`ScheduleError`]).
    pub fn window_at(&self, at: Timestamp) -> Option<&Window> {
        let zone = self.zone().ok()?;
        self.windows.iter().find(|window| {
            window::occurrences(window, &zone, at, at)
                .is_ok_and(|occurrences| occurrences.open_at(at))
        })
    }

    /// The minimum in force at an instant, `base_min` outside every window.
    pub fn min_at(&self, base_min: u32, at: Timestamp) -> u32 {
        self.window_at(at).map_or(base_min, |window| window.min)
    }

    /// The occurrences of every window, in the order of the profile, that touch the time from `from` to `to`.
    fn occurrences(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Occurrences>, ScheduleError> {
        let zone = self.zone()?;
        self.windows
            .iter()
            .map(|window| window::occurrences(window, &zone, from, to))
            .collect()
    }
}

/// An instant in a zone, as people read it.
fn zoned(at: Timestamp, zone: &TimeZone) -> ZonedDateTime {
    at.to_zoned_datetime(zone.clone())
}
