//! A changed credential, while it is not proven: the old one to go back to, and the runner that makes room for a fresh
//! registration. In memory only. Pure: no I/O.

use std::collections::{BTreeMap, HashSet};

use crate::secret::Secret;

/// What this run knows of a credential that it has replaced.
#[derive(Debug, Default)]
pub struct Rotation {
    /// The `data` of the Secret before, in base64, as the API has it.
    old: Option<BTreeMap<String, Secret>>,
    /// Whether the old data is wanted again.
    restoring: bool,
    /// Whether GitHub has given a registration token since.
    accepted: bool,
    /// The pool that proves it, and the runners it had before.
    prover: Option<(String, HashSet<String>)>,
}

impl Rotation {
    /// Remembers what is about to be replaced. What was replaced first is what is gone back to.
    pub fn begin(&mut self, old: BTreeMap<String, Secret>) {
        if !old.is_empty() && !self.restoring {
            self.old.get_or_insert(old);
        }
    }

    /// Whether a credential was replaced and is to be proven.
    pub const fn is_open(&self) -> bool {
        self.old.is_some() && !self.restoring
    }

    /// The data before, once there is something to go back to.
    pub const fn old(&self) -> Option<&BTreeMap<String, Secret>> {
        self.old.as_ref()
    }

    /// From now on the old data is what is wanted.
    pub const fn restore(&mut self) {
        self.restoring = self.old.is_some();
    }

    /// The data that is wanted in place of the credential's.
    pub fn wanted(&self) -> Option<&BTreeMap<String, Secret>> {
        self.old.as_ref().filter(|_| self.restoring)
    }

    /// GitHub gives registration tokens for the new credential.
    pub const fn accept(&mut self) {
        self.accepted = true;
    }

    /// Whether GitHub was asked already.
    pub const fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Lets `pool`, whose runners are `before`, prove it; false where another does.
    pub fn claim(&mut self, pool: &str, before: HashSet<String>) -> bool {
        if self.prover.is_some() {
            return false;
        }
        self.prover = Some((pool.to_owned(), before));
        true
    }

    /// The runners that prove nothing, for the pool that proves; `None` while no pool does.
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
