//! Policy documents that several tools write: the trust policy of a role, the policy of a bucket.
//!
//! Each write replaces the whole document, AWS has no compare-and-swap, and a read may return an older version without
//! a number or a time. So only time distinguishes versions. AWS documents no limit; the assumed delay of each service
//! is [`Lateness`] (see docs/aws.md).
//!
//! - Before a write, frequent reads must show the same document for that long: then it contains what
//!   other tools added, and nothing that they removed. An older read does not show later changes.
//! - After it, a document without our part is ignored until [`LATE`] is over: it may be an older version.
//! - The write is complete once no tool that read an older version can still overwrite it.
//! - Statements that other tools wrote meanwhile, and that are missing in the end, are reported and never restored: an older
//!   version, from which a tool removed a statement, looks the same.
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

/// The maximum age of a read from which a document is written.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// How many times a read may be too old before the write fails.
pub(super) const READINGS: u32 = 5;

/// The assumed duration of a write call of another tool.
const CALL: Duration = Duration::from_secs(1);

/// The assumed delay until a service shows a write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    late: Duration,
    gap: Duration,
}

impl Lateness {
    /// IAM.
    pub(super) const IAM: Self = Self {
        late: Duration::from_secs(10),
        gap: Duration::from_secs(8),
    };
    /// Bucket configurations in S3.
    pub(super) const S3: Self = Self {
        late: Duration::from_secs(2),
        gap: Duration::from_secs(2),
    };

    /// How long reads must have returned the same document before a write.
    pub(super) const fn agree(self) -> Duration {
        self.late
    }

    /// The maximum time between two of these reads: a longer gap can hide a change. More than the pause between two reads
    /// of a wait loop plus the duration of a call.
    pub(super) const fn gap(self) -> Duration {
        self.gap
    }

    /// How long after a write another tool can still overwrite it from an older version.
    pub(super) const fn settle(self) -> Duration {
        self.late.saturating_add(FRESH).saturating_add(CALL)
    }
}

/// A policy document that several tools write.
pub(crate) struct Shared<'a> {
    /// The key of its writes in [`Writes`].
    pub(super) key: &'a str,
    /// Its name in messages.
    pub(super) object: &'a str,
    /// The prefix of the `Sid` of our statements.
    pub(super) sid: &'a str,
    /// Its kind, in messages.
    pub(super) what: String,
    /// The command that reads it.
    pub(super) shows: String,
    /// The command that writes it.
    pub(super) writes: String,
    /// The delay until AWS shows a write of it.
    pub(super) lateness: Lateness,
}

/// The versions of a document that reads returned.
#[derive(Debug, Default)]
pub(super) struct Shown {
    reading: Option<Reading>,
    /// Known versions, from before a write.
    before: Vec<String>,
    /// Versions of other tools since the write, and when each was last returned.
    since: Vec<(Instant, String)>,
}

#[derive(Debug)]
struct Reading {
    since: Instant,
    last: Instant,
    shown: String,
}

impl Shared<'_> {
    /// The error: it cannot be written yet.
    pub(super) fn not_yet(&self, cause: impl std::fmt::Display) -> Error {
        Error::failed(System::Aws, format!("cannot write {} yet", self.what))
            .object(self.object)
            .cause(cause)
            .hint("run the same command again to continue")
            .passing(true)
    }

    /// The error: the read may have returned an older version.
    pub(super) fn disagrees(&self) -> Error {
        self.not_yet(format!(
            "AWS may still show an older version; waiting until it has shown the same for {} seconds",
            self.lateness.agree().as_secs()
        ))
    }

    /// The error: no read was recent enough for a write.
    pub(super) fn too_slow(&self) -> Error {
        self.not_yet("AWS answers too slowly to write from a fresh reading")
    }

    /// The error: another tool's statement names a deleted principal, so AWS would reject the document.
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

    /// The statements of other tools in `text`.
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

    /// The other tools' statements in `left` that are missing in `right`.
    fn lacking(&self, left: &str, right: &str) -> Vec<(String, Value)> {
        let right = self.of_others(right);
        let mut found = self.of_others(left);
        found.retain(|(_, value)| !right.iter().any(|(_, it)| it == value));
        found
    }

    /// Whether two versions have the same statements of other tools.
    fn is_same(&self, left: &str, right: &str) -> bool {
        self.lacking(left, right).is_empty() && self.lacking(right, left).is_empty()
    }

    /// The message about other tools' versions whose statements are missing in the end.
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
    /// Records the write of a document that a read returned as `before`: the write overwrites what other tools
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

    /// Whether reads have returned the same document for long enough for a write, in short intervals and without
    /// a different version in between.
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

    /// Simulates reads that have agreed for long enough.
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

    /// Whether a read of a document can be trusted; `as_wanted`: it contains our part. If so, also sets the message about
    /// other tools.
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
                return Verdict::Settles(
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

    /// The message about the document with this `key`.
    pub(super) fn told(&self, key: &str) -> Option<String> {
        self.with(key, |entry: &mut Entry| entry.told.clone())
    }
}

impl Shown {
    /// Records a version from before a write.
    fn know(&mut self, shown: &str) {
        if !self.before.iter().any(|it| it == shown) {
            self.before.push(shown.to_owned());
        }
    }

    /// Records a version from after a write that another tool wrote.
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

    /// The other tools' versions whose statements differ from those in `shown`.
    fn others(&self, document: &Shared<'_>, shown: &str) -> Vec<&(Instant, String)> {
        let differs = |(_, it): &&(Instant, String)| !document.is_same(it, shown);
        self.since.iter().filter(differs).collect()
    }
}
