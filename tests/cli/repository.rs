//! Helpers for tests of the repository's files, and for running the program without a network.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the repository has failed"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// What is not part of the repository, wherever it stands.
const OUTSIDE: [&str; 3] = [".git", ".tools", "target"];

/// The repository's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A text file of the repository, by its path from the root.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file of the repository, as a path from the root with `/`, in order.
pub(crate) fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![root().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if OUTSIDE.iter().any(|it| path.ends_with(it)) {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else {
                let inside = path.strip_prefix(root()).unwrap();
                found.push(inside.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 100, "these are not the repository's files");
    found
}

/// The files below `directory` that end in `.extension`.
pub(crate) fn files_in(directory: &str, extension: &str) -> Vec<String> {
    let has = |path: &str, extension: &str| {
        Path::new(path)
            .extension()
            .is_some_and(|it| it == extension)
    };
    let all = files();
    let found: Vec<String> = all
        .into_iter()
        .filter(|it| it.starts_with(directory) && has(it, extension))
        .collect();
    assert!(!found.is_empty(), "no .{extension} files in `{directory}`");
    found
}

/// Runs arcctl in `directory` with an empty environment: no kubeconfig, no token, no terminal.
pub(crate) fn arcctl(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments).output().unwrap()
}

/// The same, not started yet.
#[expect(
    clippy::disallowed_methods,
    reason = "a test of the program starts the program"
)]
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arcctl"));
    command
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory as &Path)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// What arcctl says on stdout; it must end with `code`.
pub(crate) fn stdout(directory: &Path, arguments: &[&str], code: i32) -> String {
    let output = arcctl(directory, arguments);
    assert_eq!(
        output.status.code(),
        Some(code),
        "arcctl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// An empty directory: no `arcctl.yaml` either.
pub(crate) fn empty() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A path as text.
pub(crate) fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}
