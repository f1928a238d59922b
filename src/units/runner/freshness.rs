//! Until when GitHub takes a version of the runner. Pure: no I/O; days are days in UTC.
//!
//! The rules of github.com (community discussion 194762, docs.github.com "Self-hosted runners reference"): no registration below
//! 2.329.0, and no jobs for a version that is more than 30 days behind the release that follows it, both since
//! 2026-09-25. A GitHub Enterprise Server takes every version; its runners update themselves to the one that it ships.

use jiff::{
    ToSpan as _,
    civil::{Date, date},
};

use super::{RELEASES, Release, Releases, RunnerVersion};

/// The oldest version that can register at github.com.
pub const OLDEST_AT_GITHUB: RunnerVersion = RunnerVersion(2, 329, 0);

/// Since when github.com enforces its rules.
pub(super) const ENFORCED: Date = date(2026, 9, 25);

/// For how many days after the next release a version still gets jobs.
const GRACE_DAYS: i64 = 30;

/// From how many days before the end on it is time to update: a weekly job and a review have to fit in.
const SOON_DAYS: i64 = 21;

/// What is known of the runners of a pool, and of their server.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The version in the image's tag.
    pub image: Option<RunnerVersion>,
    /// The oldest version that the pool's runners report at GitHub.
    pub running: Option<RunnerVersion>,
    /// Whether the server is github.com, which refuses old versions.
    pub refuses: bool,
    /// The version that the server offers for download.
    pub offered: Option<RunnerVersion>,
    /// Today, in UTC.
    pub today: Date,
}

/// Whether the server takes the runners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is no newer version, as far as the server and the table say.
    Current,
    /// There is a newer one; the server takes this one until a known day.
    Ending,
    /// By its rules the server refuses it.
    Refused,
    /// A GitHub Enterprise Server ships a newer one.
    Behind,
    /// It cannot be told.
    Unknown,
}

impl State {
    /// The word in JSON documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Ending => "ending",
            Self::Refused => "refused",
            Self::Behind => "behind",
            Self::Unknown => "unknown",
        }
    }
}

/// The verdict on a pool's runners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// What was asked about.
    pub image: Option<RunnerVersion>,
    /// The oldest version that its runners report.
    pub running: Option<RunnerVersion>,
    /// The version that the server offers.
    pub offered: Option<RunnerVersion>,
    /// The day on which the version in the image was released, or, without one, the version that runs: the exact one, or the
    /// latest that it can be.
    pub released: Option<Date>,
    /// Whether that day is exact.
    pub is_exact: bool,
    /// How many days ago that was.
    pub days: Option<i64>,
    /// From when on the server refuses registration.
    pub registration_ends: Option<Date>,
    /// From when on the server refuses jobs, at the latest.
    pub jobs_end: Option<Date>,
    /// The verdict.
    pub state: State,
    /// The reason in words.
    pub reason: String,
}

impl Asked {
    /// Judges by the table of this program.
    pub fn judge(self) -> Freshness {
        self.judge_by(&RELEASES)
    }

    pub(super) fn judge_by(self, table: &Releases) -> Freshness {
        let mut found = Freshness {
            image: self.image,
            running: self.running,
            offered: self.offered,
            released: None,
            is_exact: false,
            days: None,
            registration_ends: None,
            jobs_end: None,
            state: State::Unknown,
            reason: "the tag of the image contains no version, and no runner reports one".into(),
        };
        // What registers is what the image has; what takes jobs is what really runs.
        let (Some(registers), Some(works)) =
            (self.image.or(self.running), self.running.or(self.image))
        else {
            return found;
        };
        let release = table.find(registers);
        found.released = release.map(|it| it.day);
        found.is_exact = release.is_some_and(|it| it.is_exact);
        found.days = found.released.map(|day| days(day, self.today));
        if self.refuses {
            self.by_rules(registers, works, table, &mut found);
        } else {
            self.by_server(registers, &mut found);
        }
        found
    }

    /// The rules of github.com.
    fn by_rules(
        self,
        registers: RunnerVersion,
        works: RunnerVersion,
        table: &Releases,
        found: &mut Freshness,
    ) {
        if registers < OLDEST_AT_GITHUB {
            found.registration_ends = Some(ENFORCED);
            found.state = self.at(ENFORCED);
            found.reason = format!(
                "github.com lets no runner before {OLDEST_AT_GITHUB} register {}",
                self.since(ENFORCED, true)
            );
            return;
        }
        // What GitHub itself offers here is current, whatever else was released: it offers new versions step by step.
        if self.offered.is_some_and(|it| works >= it) {
            found.state = State::Current;
            found.reason = "GitHub offers no newer version".into();
            return;
        }
        if let Some(next) = table.after(works) {
            let end = end_after(next.day);
            found.jobs_end = Some(end);
            // Before the latest day that it can be, nothing is called refused.
            found.state = self.at(end);
            found.reason = format!(
                "{} followed {}: GitHub refuses jobs for {works} {}",
                next.version,
                next.told(),
                self.since(end, end_is_exact(&next))
            );
            return;
        }
        (found.state, found.reason) = self.beyond(works, table);
    }

    /// A version that no release in the table follows.
    fn beyond(self, works: RunnerVersion, table: &Releases) -> (State, String) {
        let as_of = table.as_of;
        if let Some(offered) = self.offered {
            let reason = format!(
                "GitHub offers {offered}, and refuses jobs for {works} {GRACE_DAYS} days after the next release; this arcctl knows the releases until {as_of}"
            );
            return (State::Unknown, reason);
        }
        if table.find(works).is_none() {
            let reason = format!("{works} is not in this arcctl's table of releases of {as_of}");
            return (State::Unknown, reason);
        }
        // A release of the day after the table's could end it by then, and none can before.
        let safe = end_after(as_of);
        if self.today < safe {
            let reason = format!(
                "no newer version existed on {as_of}; GitHub accepts it at least until {safe}"
            );
            (State::Current, reason)
        } else {
            let reason = format!(
                "this arcctl knows the releases until {as_of}, and GitHub was not asked for newer ones"
            );
            (State::Unknown, reason)
        }
    }

    /// A GitHub Enterprise Server: compared with the runner that it ships.
    fn by_server(self, registers: RunnerVersion, found: &mut Freshness) {
        (found.state, found.reason) = match self.offered {
            None => (
                State::Unknown,
                "which version the server ships is not known".into(),
            ),
            Some(shipped) if registers < shipped => (
                State::Behind,
                format!(
                    "the server ships {shipped}: every new runner updates itself first, or fails if updates are disabled"
                ),
            ),
            Some(shipped) => (
                State::Current,
                format!("the server ships {shipped}, and accepts older and newer ones"),
            ),
        };
    }

    fn at(self, end: Date) -> State {
        if self.today < end {
            State::Ending
        } else {
            State::Refused
        }
    }

    /// `from 2026-11-05 on (in 20 days)`, `since 2026-11-05 (20 days)`, and with `at the latest` where the day is not exact.
    fn since(self, end: Date, is_exact: bool) -> String {
        let left = days(self.today, end);
        let latest = if is_exact { "" } else { " at the latest" };
        if left > 0 {
            format!("from {end} on{latest} (in {})", counted(left))
        } else {
            format!("since {end}{latest} ({})", counted(-left))
        }
    }
}

impl Freshness {
    /// The version that counts for people: the image's, or the one that runs.
    pub fn version(&self) -> Option<RunnerVersion> {
        self.image.or(self.running)
    }

    /// The first day on which something is refused.
    pub fn ends(&self) -> Option<Date> {
        self.registration_ends.or(self.jobs_end)
    }

    /// Whether it ends within three weeks of `today`, or has ended.
    pub fn ends_soon(&self, today: Date) -> bool {
        self.ends().is_some_and(|it| days(today, it) <= SOON_DAYS)
    }

    /// The release in words: `2.338.0, released on 2026-10-06 (52 days ago)`.
    pub fn told(&self) -> String {
        let Some(version) = self.version() else {
            return "of unknown version".into();
        };
        let mut text = version.to_string();
        if let (Some(day), Some(days)) = (self.released, self.days) {
            let is_exact = self.is_exact;
            let release = Release {
                version,
                day,
                is_exact,
            };
            text = format!(
                "{text}, released {} ({} ago)",
                release.told(),
                counted(days)
            );
        }
        text
    }
}

/// From which day on, at the latest, github.com refuses jobs to a version, by the table alone, for what has no clock. `None`
/// for a version that it does not let register, and where no release is known that follows: nobody knows the day then.
pub fn jobs_end_by_table(version: RunnerVersion) -> Option<Date> {
    if version < OLDEST_AT_GITHUB {
        return None;
    }
    RELEASES.after(version).map(|it| end_after(it.day))
}

/// Whether the end of the grace after a release is exact: before [`ENFORCED`] nothing was refused, whatever the day was.
fn end_is_exact(next: &Release) -> bool {
    next.is_exact || end_after(next.day) == ENFORCED
}

/// The end of the grace after a release on `day`; nothing was refused before [`ENFORCED`].
pub(super) fn end_after(day: Date) -> Date {
    day.saturating_add(GRACE_DAYS.days()).max(ENFORCED)
}

/// The days from one to another; negative if that is before.
fn days(from: Date, to: Date) -> i64 {
    let span = from.until(to).unwrap_or_default();
    i64::from(span.get_days())
}

fn counted(days: i64) -> String {
    let s = if days == 1 { "" } else { "s" };
    format!("{days} day{s}")
}
