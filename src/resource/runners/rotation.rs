//! The state of a credential rotation until it is proven: the old data for a rollback, and the pool whose new runner is
//! the proof. In memory only. Pure: no I/O.

use std::collections::{BTreeMap, HashSet};

use crate::secret::Secret;

/// The state of a replaced credential in this run.
#[derive(Debug, Default)]
pub struct Rotation {
    /// The previous `data` of the Secret, in base64.
    old: Option<BTreeMap<String, Secret>>,
    /// Whether the old data is being restored.
    restoring: bool,
    /// Whether GitHub has issued a registration token since.
    accepted: bool,
    /// The pool that proves it, and its runners from before.
    prover: Option<(String, HashSet<String>)>,
}

impl Rotation {
    /// Records the data that is about to be replaced. A rollback uses the first recorded one.
    pub fn begin(&mut self, old: BTreeMap<String, Secret>) {
        if !old.is_empty() && !self.restoring {
            self.old.get_or_insert(old);
        }
    }

    /// Whether a credential was replaced and is not proven yet.
    pub const fn is_open(&self) -> bool {
        self.old.is_some() && !self.restoring
    }

    /// The previous data, if it can be restored.
    pub const fn old(&self) -> Option<&BTreeMap<String, Secret>> {
        self.old.as_ref()
    }

    /// From now on the old data is wanted.
    pub const fn restore(&mut self) {
        self.restoring = self.old.is_some();
    }

    /// The wanted data, if it is not the credential's.
    pub fn wanted(&self) -> Option<&BTreeMap<String, Secret>> {
        self.old.as_ref().filter(|_| self.restoring)
    }

    /// Records that GitHub issues registration tokens for the new credential.
    pub const fn accept(&mut self) {
        self.accepted = true;
    }

    /// Whether GitHub has already accepted it.
    pub const fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Makes `pool`, whose runners are `before`, the proof; false where another pool is.
    pub fn claim(&mut self, pool: &str, before: HashSet<String>) -> bool {
        if self.prover.is_some() {
            return false;
        }
        self.prover = Some((pool.to_owned(), before));
        true
    }

    /// The runners from before, for the pool that is the proof; `None` while no pool is.
    pub fn before(&self, pool: &str) -> Option<Option<&HashSet<String>>> {
        let (prover, before) = self.prover.as_ref()?;
        Some((prover == pool).then_some(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_first_is_gone_back_to_and_one_pool_proves() {
        let data = |text: &str| BTreeMap::from([("k".to_owned(), Secret::trimmed(text).0)]);
        let mut rotation = Rotation::default();
        rotation.begin(BTreeMap::new());
        rotation.restore();
        assert!(!rotation.is_open() && rotation.wanted().is_none());
        rotation.begin(data("first"));
        rotation.begin(data("second"));
        assert!(rotation.is_open() && rotation.wanted().is_none());
        assert!(rotation.claim("a", HashSet::from(["a-1".to_owned()])));
        assert!(!rotation.claim("b", HashSet::new()));
        assert!(rotation.before("a").unwrap().unwrap().contains("a-1"));
        assert_eq!(rotation.before("b"), Some(None));
        rotation.restore();
        assert!(!rotation.is_open());
        assert_eq!(rotation.wanted().unwrap()["k"].expose(), "first");
        assert!(!format!("{rotation:?}").contains("first"));
    }
}
