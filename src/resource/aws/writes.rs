//! What this run has written at AWS, so that its next look is not misled: AWS shows a write late, and another writer
//! that read before it may still replace it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long AWS may show what was there before a write.
const LATE: Duration = Duration::from_secs(20);

/// How long after a write of a whole document another one may still replace it that had read what was there before: a
/// writer reads again where its own reading is older than [`FRESH`], and its call takes a moment.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// How old a reading may be that a write is made from.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// The newest write of each thing.
#[derive(Debug, Default)]
pub struct Writes(Mutex<HashMap<String, Write>>);

#[derive(Debug)]
struct Write {
    at: Instant,
    before: String,
}

/// What a look says, in the light of what was written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What is seen counts.
    Counts,
    /// It does not yet, for this reason.
    NotYet(&'static str),
}

impl Writes {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Write>> {
        // A poisoned lock only means that another task panicked; the map is still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers that `object`, which was `before`, has been written.
    pub(super) fn record(&self, object: &str, before: &str) {
        let write = Write {
            at: Instant::now(),
            before: before.to_owned(),
        };
        self.entries().insert(object.to_owned(), write);
    }

    /// Whether it counts that `object` is `shown`.
    pub(super) fn judge(&self, object: &str, shown: &str, as_wanted: bool) -> Verdict {
        let entries = self.entries();
        match entries.get(object) {
            Some(write) if !as_wanted && shown == write.before && write.at.elapsed() < LATE => {
                Verdict::NotYet("AWS does not show yet what was written")
            }
            _ => Verdict::Counts,
        }
    }

    /// The same for a document that others write as a whole too: what is as wanted counts once nobody can replace it
    /// any more who read before.
    pub(super) fn judge_document(&self, object: &str, shown: &str, as_wanted: bool) -> Verdict {
        let settling = self
            .entries()
            .get(object)
            .is_some_and(|write| write.at.elapsed() < SETTLE);
        if as_wanted && settling {
            return Verdict::NotYet(
                "it is written; whether another writer replaces it is looked at again",
            );
        }
        self.judge(object, shown, as_wanted)
    }
}
