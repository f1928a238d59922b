//! What one run remembers of the resources it has looked at, beside what is to be done: what is said of them, what was
//! tried, and since when a record has not changed. In memory only. Pure: no I/O.

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
    /// Those of a run that installs nothing: no chart is fetched to look what would be in its way.
    pub fn only_looking() -> Self {
        Self {
            only_looks: true,
            ..Self::default()
        }
    }

    /// What is to be said of the resource `id`, in place of what was said before; nothing where `text` is `None`.
    pub fn say(&self, id: &str, text: Option<String>) {
        let mut said = lock(&self.said);
        match text {
            Some(text) => said.insert(id.to_owned(), text),
            None => said.remove(id),
        };
    }

    /// What is said of the resource `id`.
    pub fn of(&self, id: &str) -> Option<String> {
        lock(&self.said).get(id).cloned()
    }

    /// Everything that is said, by the resource.
    pub fn all(&self) -> BTreeMap<String, String> {
        lock(&self.said).clone()
    }

    /// Remembers that the resource `id` is taken over as it is, and what of it is left for a later run.
    pub fn defer(&self, id: &str, differences: Vec<Difference>) {
        lock(&self.deferred).insert(id.to_owned(), differences);
    }

    /// What is left for a later run of the resource `id`; `None` where it is not taken over as it is.
    pub fn deferred(&self, id: &str) -> Option<Vec<Difference>> {
        lock(&self.deferred).get(id).cloned()
    }

    /// Remembers that nothing is in the way of the release `id`.
    pub fn clear(&self, id: &str) {
        lock(&self.clear).insert(id.to_owned());
    }

    /// Whether it was found that nothing is in the way of the release `id`, or nobody asks.
    pub fn is_clear(&self, id: &str) -> bool {
        self.only_looks || lock(&self.clear).contains(id)
    }

    /// Remembers that the release `id` was upgraded to `values`.
    pub fn upgraded(&self, id: &str, values: &Value) {
        lock(&self.upgraded).insert(id.to_owned(), values.clone());
    }

    /// Whether this run has upgraded the release `id` to just these `values`.
    pub fn was_upgraded(&self, id: &str, values: &Value) -> bool {
        lock(&self.upgraded).get(id) == Some(values)
    }

    /// How long `object` has been seen in `version`, by this machine's monotonic clock.
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
