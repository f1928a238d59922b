//! Documents that others write as a whole too: the trust policy of a role, the policy of a bucket.
//!
//! Whoever writes one writes all of it, nothing at AWS compares and swaps, and what is shown may be an older version: no
//! version has a number or a time. So what is shown is told apart by time alone. AWS names no bound; how late each service is
//! taken to be is [`Lateness`], and docs/aws.md says so.
//!
//! - A write is made from what was shown, and nothing else, for that long, in readings that follow each other closely: what
//!   others wrote before is in it, and what they took out before is not. A reading of long ago says nothing of what came after.
//! - After it, what does not have our part counts for nothing until [`LATE`] is over: it may be older.
//! - It counts as done once nobody can replace it any more who reads an older version.
//! - What others are seen to have written meanwhile, and is not there in the end, is told and never put back: an older version,
//!   from which somebody took out a statement, looks the same.
//!
//! Sources: IAM user guide, "Changes that I make are not always immediately visible"; S3 user guide, "Amazon S3 data
//! consistency model" ("bucket configurations have an eventual consistency model").

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::consistency::{Entry, LATE, UNSEEN, Verdict, Write, Writes};
use crate::{
    error::{Error, System},
    policy::{Document, Orphan, is_own, name_of},
};

/// How old a reading may be that a write is made from.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// How often a reading may be too old to write from.
pub(super) const READINGS: u32 = 5;

/// How long the call of another writer may take.
const CALL: Duration = Duration::from_secs(1);

/// How late a service is taken to show what was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    late: Duration,
    gap: Duration,
}

impl Lateness {
    /// Of IAM.
    pub(super) const IAM: Self = Self {
        late: Duration::from_secs(10),
        gap: Duration::from_secs(8),
    };
    /// Of the configuration of buckets at S3.
    pub(super) const S3: Self = Self {
        late: Duration::from_secs(2),
        gap: Duration::from_secs(2),
    };

    /// How long readings must have shown the same before a document is written.
    pub(super) const fn agree(self) -> Duration {
        self.late
    }

    /// How far apart two of these readings may be: what came in a longer gap may not be shown yet. More than a wait lets
    /// pass between two looks, and what a call takes.
    pub(super) const fn gap(self) -> Duration {
        self.gap
    }

    /// How long after a write another one may still replace it that was made from an older version.
    pub(super) const fn settle(self) -> Duration {
        self.late.saturating_add(FRESH).saturating_add(CALL)
    }
}

/// A document that others write as a whole too.
pub(crate) struct Shared<'a> {
    /// What its writes are remembered by.
    pub(super) key: &'a str,
    /// What messages name it by.
    pub(super) object: &'a str,
    /// What our statements begin their `Sid` with.
    pub(super) sid: &'a str,
    /// What it is, in messages.
    pub(super) what: String,
    /// The command that shows it.
    pub(super) shows: String,
    /// The command that writes it.
    pub(super) writes: String,
    /// How late it is shown.
    pub(super) lateness: Lateness,
}

/// What was shown of a document.
#[derive(Debug, Default)]
pub(super) struct Shown {
    reading: Option<Reading>,
    /// Before a write: those versions are known.
    before: Vec<String>,
    /// Since the write: versions of others, and when each was shown last.
    since: Vec<(Instant, String)>,
}

#[derive(Debug)]
struct Reading {
    since: Instant,
    last: Instant,
    shown: String,
}

impl Shared<'_> {
    /// It cannot be written yet.
    pub(super) fn not_yet(&self, cause: impl std::fmt::Display) -> Error {
        Error::failed(System::Aws, format!("cannot write {} yet", self.what))
            .object(self.object)
            .cause(cause)
            .hint("run the same command again: it continues")
            .passing(true)
    }

    /// What is shown may be an older version.
    pub(super) fn disagrees(&self) -> Error {
        self.not_yet(format!(
            "AWS may still show an older version; waiting until it has shown the same for {} seconds",
            self.lateness.agree().as_secs()
        ))
    }

    /// No reading was fresh enough to write from.
    pub(super) fn too_slow(&self) -> Error {
        self.not_yet("AWS answers too slowly to write from a fresh reading")
    }

    /// AWS would not take it back: a principal that is gone is in a statement of others.
    pub(super) fn orphaned(&self, orphan: &Orphan) -> Error {
        let Self {
            what,
            shows,
            writes,
            ..
        } = self;
        Error::failed(
            System::Aws,
            format!(
                "{what} cannot be written: {} names a deleted user or role",
                orphan.statement
            ),
        )
        .object(self.object)
        .cause(format!("its principal is `{}`", orphan.principal))
        .hint(format!(
            "take that principal out with `{writes}` (`{shows}` shows the document), then run the same command again"
        ))
    }

    /// The statements of others in `text`.
    fn of_others(&self, text: &str) -> Vec<(String, Value)> {
        let Ok(document) = Document::parse(text) else {
            return Vec::new();
        };
        let others = document.statements.iter();
        others
            .filter(|it| !is_own(it, self.sid))
            .map(|it| (name_of(&document, it), it.value.clone()))
            .collect()
    }

    /// What of others is in `left` and not in `right`.
    fn lacking(&self, left: &str, right: &str) -> Vec<(String, Value)> {
        let right = self.of_others(right);
        let mut found = self.of_others(left);
        found.retain(|(_, value)| !right.iter().any(|(_, it)| it == value));
        found
    }

    /// Whether two versions have the same statements of others.
    fn is_same(&self, left: &str, right: &str) -> bool {
        self.lacking(left, right).is_empty() && self.lacking(right, left).is_empty()
    }

    /// What is said of versions of others that are not there in the end.
    fn told(&self, versions: &[&String], shown: &str) -> Option<String> {
        let mut had: Vec<(String, Value)> = Vec::new();
        let mut lacked: Vec<String> = Vec::new();
        for version in versions {
            for (name, value) in self.lacking(version, shown) {
                if !had.iter().any(|(_, it)| *it == value) {
                    had.push((name, value));
                }
            }
            lacked.extend(self.lacking(shown, version).into_iter().map(|it| it.0));
        }
        lacked.dedup();
        let statements: Vec<String> = had
            .iter()
            .map(|(name, value)| format!("{name} ({value}) was in it, and is not now"))
            .collect();
        let others = lacked
            .iter()
            .map(|name| format!("{name} was not in it, and is now"));
        let parts: Vec<String> = statements.into_iter().chain(others).collect();
        if parts.is_empty() {
            return None;
        }
        let Self {
            what,
            shows,
            writes,
            ..
        } = self;
        Some(format!(
            "while arcctl wrote {what}, AWS showed another version of it: {}. That was an older version, or somebody's change that is lost now; AWS does not tell which, so nothing was put back. Ask who changes it: `{shows}` shows it, `{writes}` writes it",
            parts.join("; ")
        ))
    }
}

impl Writes {
    /// Remembers that a document has been written, which was shown as `before`: what has been written replaces what others
    /// wrote in between.
    pub(super) fn record_document(&self, document: &Shared<'_>, before: &str) {
        self.with(document.key, |entry| {
            entry.write = Some(Write {
                at: Instant::now(),
                whole: true,
            });
            entry.shown.reading = None;
            entry.shown.know(before);
        });
    }

    /// Whether a document has been `shown` as it is for long enough to write from it, by readings that followed each other
    /// closely, and none between said something else.
    pub(super) fn agrees(&self, document: &Shared<'_>, shown: &str) -> bool {
        self.with(document.key, |entry| {
            entry.shown.know(shown);
            let now = Instant::now();
            let follows = |it: &Reading| {
                it.shown == shown && now.duration_since(it.last) <= document.lateness.gap()
            };
            let before = entry.shown.reading.take().filter(follows);
            let since = before.map_or(now, |it| it.since);
            entry.shown.reading = Some(Reading {
                since,
                last: now,
                shown: shown.to_owned(),
            });
            now.duration_since(since) >= document.lateness.agree()
        })
    }

    /// As if readings had said so for long enough already.
    #[cfg(test)]
    pub(super) fn agreed(&self, document: &Shared<'_>, shown: &str) {
        let now = Instant::now();
        let reading = Reading {
            since: now.checked_sub(document.lateness.agree()).unwrap_or(now),
            last: now,
            shown: shown.to_owned(),
        };
        self.with(document.key, |entry| entry.shown.reading = Some(reading));
    }

    /// Whether it counts what is `shown` of a document, which has our part `as_wanted` or not; and what is to be told of
    /// others, once it does.
    pub(super) fn judge_document(
        &self,
        document: &Shared<'_>,
        shown: &str,
        as_wanted: bool,
    ) -> Verdict {
        self.with(document.key, |entry| {
            let Some(write) = entry.write.as_ref().filter(|it| it.whole) else {
                return Verdict::Counts;
            };
            let age = write.at.elapsed();
            if !as_wanted && age >= LATE {
                return Verdict::Counts;
            }
            entry.shown.saw(document, shown);
            if !as_wanted {
                return Verdict::NotYet(UNSEEN);
            }
            if age < document.lateness.settle() {
                return Verdict::NotYet(
                    "it is written; watching for some seconds that no other tool overwrites it",
                );
            }
            let others = entry.shown.others(document, shown);
            let agree = document.lateness.agree();
            if others.iter().any(|(at, _)| at.elapsed() < agree) {
                return Verdict::NotYet(
                    "another version of it was shown a moment ago; watching which one stays",
                );
            }
            let versions: Vec<&String> = others.iter().map(|(_, it)| it).collect();
            let told = document.told(&versions, shown);
            entry.told = told;
            Verdict::Counts
        })
    }

    /// What is to be said of the document that is remembered by `key`.
    pub(super) fn told(&self, key: &str) -> Option<String> {
        self.with(key, |entry: &mut Entry| entry.told.clone())
    }
}

impl Shown {
    /// Remembers a version that was there before a write.
    fn know(&mut self, shown: &str) {
        if !self.before.iter().any(|it| it == shown) {
            self.before.push(shown.to_owned());
        }
    }

    /// Remembers a version that is shown after a write, and is somebody else's.
    fn saw(&mut self, document: &Shared<'_>, shown: &str) {
        if self.before.iter().any(|it| document.is_same(it, shown)) {
            return;
        }
        let now = Instant::now();
        match self.since.iter_mut().find(|(_, it)| it == shown) {
            Some((at, _)) => *at = now,
            None => self.since.push((now, shown.to_owned())),
        }
    }

    /// The versions of others that have something else of others than what is `shown` now.
    fn others(&self, document: &Shared<'_>, shown: &str) -> Vec<&(Instant, String)> {
        let differs = |(_, it): &&(Instant, String)| !document.is_same(it, shown);
        self.since.iter().filter(differs).collect()
    }
}
