//! What one run remembers about resources, in memory only: remarks for the user, differences left for a later run, completed
//! upgrades, and since when a record is unchanged. Pure: no I/O.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::diff::Difference;

/// See the module.
#[derive(Debug, Default)]
pub struct Remarks {
    only_looks: bool,
    said: Mutex<BTreeMap<String, String>>,
    deferred: Mutex<BTreeMap<String, Vec<Difference>>>,
    clear: Mutex<BTreeSet<String>>,
    upgraded: Mutex<BTreeMap<String, Value>>,
    seen: Mutex<BTreeMap<String, (String, Instant)>>,
}

impl Remarks {
    /// For a run that installs nothing: no chart is downloaded to find conflicts.
    pub fn only_looking() -> Self {
        Self {
            only_looks: true,
            ..Self::default()
        }
    }

    /// Sets the remark on the resource `id`; `None` removes it.
    pub fn say(&self, id: &str, text: Option<String>) {
        let mut said = lock(&self.said);
        match text {
            Some(text) => said.insert(id.to_owned(), text),
            None => said.remove(id),
        };
    }

    /// The remark on the resource `id`.
    pub fn of(&self, id: &str) -> Option<String> {
        lock(&self.said).get(id).cloned()
    }

    /// All remarks, by resource.
    pub fn all(&self) -> BTreeMap<String, String> {
        lock(&self.said).clone()
    }

    /// Records that the resource `id` is adopted unchanged, with the differences for a later run.
    pub fn defer(&self, id: &str, differences: Vec<Difference>) {
        lock(&self.deferred).insert(id.to_owned(), differences);
    }

    /// The differences of the resource `id` for a later run; `None` where it is not adopted unchanged.
    pub fn deferred(&self, id: &str) -> Option<Vec<Difference>> {
        lock(&self.deferred).get(id).cloned()
    }

    /// Records that the release `id` has no conflicts.
    pub fn clear(&self, id: &str) {
        lock(&self.clear).insert(id.to_owned());
    }

    /// Whether the release `id` has no conflicts, or conflicts are not checked.
    pub fn is_clear(&self, id: &str) -> bool {
        self.only_looks || lock(&self.clear).contains(id)
    }

    /// Remembers that the release `id` was upgraded to `values`.
    pub fn upgraded(&self, id: &str, values: &Value) {
        lock(&self.upgraded).insert(id.to_owned(), values.clone());
    }

    /// Whether this run has upgraded the release `id` to these `values`.
    pub fn was_upgraded(&self, id: &str, values: &Value) -> bool {
        lock(&self.upgraded).get(id) == Some(values)
    }

    /// How long `object` has had `version`, by the local monotonic clock.
    pub fn unchanged_for(&self, object: &str, version: &str) -> Duration {
        let mut seen = lock(&self.seen);
        let entry = seen
            .entry(object.to_owned())
            .or_insert_with(|| (version.to_owned(), Instant::now()));
        if entry.0 != version {
            *entry = (version.to_owned(), Instant::now());
        }
        entry.1.elapsed()
    }
}

/// A poisoned lock only means that another task panicked; the value is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it is about time that passes")]
    fn a_changed_record_is_seen_anew() {
        let remarks = Remarks::default();
        remarks.unchanged_for("a", "1");
        std::thread::sleep(Duration::from_millis(20));
        assert!(remarks.unchanged_for("a", "1") >= Duration::from_millis(20));
        assert!(remarks.unchanged_for("a", "2") < Duration::from_millis(20));
    }

    #[test]
    fn an_upgrade_to_other_values_is_another_one() {
        let remarks = Remarks::default();
        remarks.upgraded("a", &json!({"x": 1}));
        assert!(remarks.was_upgraded("a", &json!({"x": 1})));
        assert!(
            !remarks.was_upgraded("a", &json!({"x": 2}))
                && !remarks.was_upgraded("b", &json!({"x": 1}))
        );
    }
}
