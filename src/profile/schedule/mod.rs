//! Wall-clock windows and the controller's scheduled overrides. Pure: no I/O, no clock; the time is an argument.
//!
//! A profile has windows such as "Saturday 00:00 to Monday 00:00 in Asia/Seoul", "Monday to Friday", or a date; the
//! controller has instants that recur every 24 or 168 hours, or not at all. [`overrides`] converts windows to
//! overrides, [`active_at`] is the controller's own rule for the result, [`Schedule::window_at`] the profile's, and the
//! tests compare the two. [`moment`] is for output; [`equivalent`] decides whether live overrides are kept, [`verify`]
//! compares rendered overrides with the profile.

mod calendar;
mod coverage;
mod existing;
mod hours;
mod occurrences;
mod overrides;
mod table;
mod verify;
mod week;
mod window;

#[cfg(test)]
mod tests;

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};
use thiserror::Error;

pub use calendar::{
    ActiveWindow, ClockChange, Interval, Moment, NextChange, calendar, clock_changes, moment,
};
pub(super) use coverage::{holds_back_later, is_covered, partly_overruled};
pub use existing::{equivalent, first_disagreement, parse_live};
pub use hours::{DAYS, Hours, hours};
pub use overrides::{Frequency, HORIZON_DAYS, Override, active_at, horizon, overrides};
pub use table::{parse_table, table};
pub use verify::{Mismatch, Verified, verify};
pub use week::{MINUTES, week};
pub(super) use window::times;
pub use window::{Day, Period, WallTime};

use super::{Schedule, Window};
use occurrences::Occurrences;

/// Why a schedule is invalid; a profile that [`super::load`] has accepted has none of these.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// The time zone is not in the IANA database.
    #[error("unknown time zone `{0}`")]
    UnknownTimeZone(String),
    /// An invalid time, date or list of days.
    #[error("window `{window}`: `{text}` is not a time, a date or a list of days")]
    BadTime {
        /// The window's name.
        window: String,
        /// The invalid text.
        text: String,
    },
    /// One end is daily, weekly or dated and the other is not.
    #[error("window `{0}`: `from` and `to` are of different forms")]
    MixedPeriod(String),
    /// The window opens when it closes.
    #[error("window `{0}`: `from` and `to` are the same")]
    Empty(String),
    /// A dated window closes before it opens.
    #[error("window `{0}`: it ends before it begins")]
    EndsFirst(String),
    /// Both `days` and the times name days.
    #[error("window `{0}`: `days` and its times both name days")]
    DaysTwice(String),
    /// `repeat` on a window without a date.
    #[error("window `{0}`: `repeat` is only for windows with a date")]
    RepeatWithoutDate(String),
    /// `until` on a window that opens once.
    #[error("window `{0}`: it opens once, and `until` says when it opens for the last time")]
    UntilOfOnce(String),
    /// The last day is before the first.
    #[error("window `{0}`: `until` is before it first opens")]
    NeverOpens(String),
    /// An occurrence would overlap the next one.
    #[error(
        "window `{window}`: it is longer than {days} days, and would run into its next occurrence"
    )]
    TooLong {
        /// The window's name.
        window: String,
        /// The maximum number of days.
        days: i64,
    },
    /// A time outside the supported calendar.
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
    /// `None` if none is open, and for an invalid schedule (see [`ScheduleError`]).
    pub fn window_at(&self, at: Timestamp) -> Option<&Window> {
        let zone = self.zone().ok()?;
        self.windows.iter().find(|window| {
            occurrences::occurrences(window, &zone, at, at)
                .is_ok_and(|occurrences| occurrences.open_at(at))
        })
    }

    /// The minimum in force at an instant, `base_min` outside every window.
    pub fn min_at(&self, base_min: u32, at: Timestamp) -> u32 {
        self.window_at(at).map_or(base_min, |window| window.min)
    }

    /// When a window closes for the last time; `None` if it will open again, and for an invalid one.
    pub fn over_since(&self, window: &Window, now: Timestamp) -> Option<Timestamp> {
        let (zone, times) = (self.zone().ok()?, times(window).ok()?);
        times.last_end(&zone).filter(|end| *end <= now)
    }

    /// The occurrences of every window, in the order of the profile, that overlap the time from `from` to `to`.
    fn occurrences(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Occurrences>, ScheduleError> {
        let zone = self.zone()?;
        self.windows
            .iter()
            .map(|window| occurrences::occurrences(window, &zone, from, to))
            .collect()
    }
}

/// An instant in a zone, for output.
fn zoned(at: Timestamp, zone: &TimeZone) -> ZonedDateTime {
    at.to_zoned_datetime(zone.clone())
}
