//! Temporary directories of a run: the token and the kubeconfig of an EKS cluster, helm's files.
//! They are deleted when the run ends, also when the process exits without running destructors.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tempfile::TempDir;

/// The existing directories.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A directory that only this user can read.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Creates one whose name begins with `prefix`.
    pub fn new(prefix: &str) -> io::Result<Self> {
        // Under the lock: an immediate exit either comes before the directory exists, or finds it in the list.
        let mut live = live();
        let directory = tempfile::Builder::new().prefix(prefix).tempdir()?;
        live.push(directory.path().to_owned());
        Ok(Self(directory))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        live().retain(|it| it != self.0.path());
    }
}

/// Deletes all of them, for a process that exits without running destructors.
pub fn remove_all() {
    for path in std::mem::take(&mut *live()) {
        // No caller could handle an error here.
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
