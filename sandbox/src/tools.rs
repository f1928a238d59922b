//! Finds the programs that the sandbox runs: etcd, kube-apiserver, helm and others.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Finds a program: in `ARCCTL_SANDBOX_TOOLS`, in the workspace's `.tools/bin`, in
/// `KUBEBUILDER_ASSETS`, in `PATH`; the first that has it wins.
pub fn find(program: &str) -> Result<PathBuf> {
    match first(program, directories()) {
        Some(path) => Ok(path),
        None => bail!(
            "`{program}` is in none of ARCCTL_SANDBOX_TOOLS, .tools/bin, KUBEBUILDER_ASSETS and PATH: \
             build it with `tools/install.sh`"
        ),
    }
}

fn directories() -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let one = |name| env::var_os(name).map(PathBuf::from);
    one("ARCCTL_SANDBOX_TOOLS")
        .into_iter()
        .chain(workspace.map(|root| root.join(".tools/bin")))
        .chain(one("KUBEBUILDER_ASSETS"))
        .chain(env::var_os("PATH").iter().flat_map(env::split_paths))
        .collect()
}

fn first(program: &str, directories: Vec<PathBuf>) -> Option<PathBuf> {
    directories
        .into_iter()
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let error = find("arcctl-no-such-program").unwrap_err().to_string();
        assert!(error.contains("`arcctl-no-such-program`"), "{error}");
        assert!(error.contains("tools/install.sh"), "{error}");
    }

    #[test]
    fn the_first_directory_wins() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(two.path().join("tool"), "").unwrap();
        let both = || vec![one.path().to_owned(), two.path().to_owned()];
        assert_eq!(first("tool", both()), Some(two.path().join("tool")));
        std::fs::write(one.path().join("tool"), "").unwrap();
        assert_eq!(first("tool", both()), Some(one.path().join("tool")));
    }
}
