//! Directories of this run for what other programs read: the token and the kubeconfig of an EKS cluster, helm's own files.
//! They go with the run, also where it ends at once and nothing is dropped any more.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tempfile::TempDir;

/// Those that are there.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A directory that only this user can read.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Makes one whose name begins with `prefix`.
    pub fn new(prefix: &str) -> io::Result<Self> {
        // Under the lock: an end at once comes before it is there, or finds it in the list.
        let mut live = live();
        let directory = tempfile::Builder::new().prefix(prefix).tempdir()?;
        live.push(directory.path().to_owned());
        Ok(Self(directory))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        live().retain(|it| it != self.0.path());
    }
}

/// Removes all of them, for a process that ends without dropping anything.
pub fn remove_all() {
    for path in std::mem::take(&mut *live()) {
        // Nobody is left who could do anything about it.
        drop(std::fs::remove_dir_all(path));
    }
}

fn live() -> MutexGuard<'static, Vec<PathBuf>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_when_it_is_dropped() {
        let scratch = Scratch::new("arcctl-test-").unwrap();
        let path = scratch.path().to_owned();
        assert!(path.is_dir() && live().contains(&path));
        drop(scratch);
        assert!(!path.exists() && !live().contains(&path));
    }
}
