//! Whether GitHub takes the runners of a pool: the version in its image, what runs, and what GitHub offers. Pure: no I/O.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    profile::{Pool, Profile},
    units::{
        image::Image,
        runner::{Asked, Freshness, RunnerVersion},
    },
};

/// What GitHub says of a pool's runners; each is `None` where it is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// The oldest version that its runners report.
    pub running: Option<RunnerVersion>,
    /// The version that GitHub offers.
    pub offered: Option<RunnerVersion>,
}

/// The version in the tag of a pool's image.
pub fn in_image(pool: &Pool) -> Option<RunnerVersion> {
    Image::parse(&pool.image)?.runner_version()
}

/// Whether the server refuses old versions: github.com and its hosts with data residency do, a GitHub Enterprise Server does not.
pub fn refuses(profile: &Profile) -> bool {
    !profile.github.is_enterprise_server()
}

/// The day of an instant in UTC, wherever arcctl runs.
pub fn day(now: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(now).date()
}

/// The verdict on the runners of `pool` at `now`.
pub fn freshness(profile: &Profile, pool: &Pool, seen: Seen, now: Timestamp) -> Freshness {
    Asked {
        image: in_image(pool),
        running: seen.running,
        refuses: refuses(profile),
        offered: seen.offered,
        today: day(now),
    }
    .judge()
}
