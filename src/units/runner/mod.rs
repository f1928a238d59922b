//! Versions of GitHub's runner: in an image's tag, when each was released, and until when GitHub takes it. Pure: no I/O.

mod flavour;
mod freshness;

pub use flavour::{Flavour, Later, newest};
pub use freshness::{Asked, Freshness, OLDEST_AT_GITHUB, State, jobs_end_by_table};

use std::{fmt, sync::LazyLock};

use jiff::civil::Date;

use super::table;

/// The releases with their days; its header names the sources.
const TABLE: &str = include_str!("releases.tsv");

/// The line of the header with the day of the table.
const AS_OF: &str = "# as of\t";

/// The word in the table for a day that GitHub itself gives; every other day is that of somebody who saw the release.
const PUBLISHED: &str = "published";

/// No runner of Actions had a version below 2.100; the first releases are of 2019, with numbers above 2.150.
const OLDEST_MINOR: u64 = 100;

/// A version of the runner, as 2.329.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunnerVersion(pub u64, pub u64, pub u64);

impl RunnerVersion {
    /// Parses `2.306.0` and `v2.306.0`. The runners of Actions are of 2.100 and later: other numbers in a tag are those of
    /// Ubuntu, of docker, or of the image itself.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut next = || {
            parts
                .next()
                .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?
                .parse()
                .ok()
        };
        let version = Self(next()?, next()?, next()?);
        (version.0 == 2 && version.1 >= OLDEST_MINOR && parts.next().is_none()).then_some(version)
    }
}

impl fmt::Display for RunnerVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// A release of the runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: RunnerVersion,
    /// The day, in UTC, on which it was there.
    pub day: Date,
    /// Whether it was published on that day; otherwise some days before, at the earliest after the release before it.
    pub is_exact: bool,
}

impl Release {
    /// The day in words: `on 2026-10-06`, `about 2026-10-23`.
    pub fn told(&self) -> String {
        let word = if self.is_exact { "on" } else { "about" };
        format!("{word} {}", self.day)
    }
}

/// The table of releases.
#[derive(Debug)]
pub struct Releases {
    /// The day on which it was made: later releases are missing.
    pub as_of: Date,
    /// The releases, the oldest first.
    pub all: Vec<Release>,
}

/// The releases that this program knows.
pub static RELEASES: LazyLock<Releases> = LazyLock::new(|| Releases::parse(TABLE));

impl Releases {
    /// Reads a table. A line that cannot be read is no release; a table without a day is one of long ago, which knows nothing
    /// of today. A test reads every line of the real one.
    fn parse(text: &str) -> Self {
        let as_of = text.lines().find_map(|it| it.strip_prefix(AS_OF));
        let release = |mut fields: std::str::Split<'_, char>| {
            Some(Release {
                version: RunnerVersion::parse(fields.next()?)?,
                day: fields.next()?.parse().ok()?,
                is_exact: fields.next() == Some(PUBLISHED),
            })
        };
        Self {
            as_of: as_of.and_then(|it| it.parse().ok()).unwrap_or(Date::ZERO),
            all: table::rows(text).filter_map(release).collect(),
        }
    }

    /// A release; `None` if it is not in the table.
    pub fn find(&self, version: RunnerVersion) -> Option<Release> {
        self.all.iter().find(|it| it.version == version).copied()
    }

    /// The first release that is newer than `version`.
    pub fn after(&self, version: RunnerVersion) -> Option<Release> {
        self.all.iter().find(|it| it.version > version).copied()
    }

    /// The newest release.
    pub fn newest(&self) -> Option<Release> {
        self.all.last().copied()
    }
}

#[cfg(test)]
mod tests;
