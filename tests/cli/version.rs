//! `--version`: version, commit and date, and the functions of `build.rs` that find them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot make a repository has failed"
)]

use std::{fs, path::Path, process::Command};

use regex::Regex;

use crate::repository::{empty, stdout};

#[path = "../../build.rs"]
#[expect(dead_code, reason = "its `main` is for cargo")]
#[expect(clippy::print_stdout, reason = "that is how it answers cargo")]
mod build_script;

use build_script::{at_git, date, is_commit, version, watched};

/// 2026-11-27 08:00 UTC, in a zone where that is the day before.
const WHEN: &str = "1795766400 -1000";

#[expect(clippy::disallowed_methods, reason = "git makes the repository")]
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", WHEN)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn commit(directory: &Path) -> String {
    git(directory, &["commit", "-q", "--allow-empty", "-m", "a"]);
    git(directory, &["rev-parse", "HEAD"])
}

#[test]
fn the_program_says_its_version_and_commit() {
    let form = Regex::new(
        r"^arcctl \d+\.\d+\.\d+ \(([0-9a-f]{7,12} \d{4}-\d{2}-\d{2}|[0-9a-f]{7,12}, date unknown|commit unknown)\)\n$",
    )
    .unwrap();
    let directory = empty();
    for flag in ["--version", "-V"] {
        let text = stdout(directory.path(), &[flag], 0);
        assert!(form.is_match(&text), "{text}");
        assert!(text.starts_with(concat!("arcctl ", env!("CARGO_PKG_VERSION"), " (")));
    }
}

#[test]
fn a_version_says_what_is_known() {
    let id = "0123456789abcdef0123456789abcdef01234567";
    let of = |commit: Option<(&str, Option<i64>)>| {
        version("1.2.3", commit.map(|(it, date)| (it.to_owned(), date)))
    };
    assert_eq!(
        of(Some((id, Some(1_795_766_400)))),
        "1.2.3 (0123456789ab 2026-11-27)"
    );
    assert_eq!(of(Some(("0123456", None))), "1.2.3 (0123456, date unknown)");
    assert_eq!(of(None), "1.2.3 (commit unknown)");
    assert!(is_commit(id) && is_commit("0123456"));
    assert!(!is_commit("012345") && !is_commit("main\nsecond") && !is_commit(""));
}

#[test]
fn a_date_is_right_in_leap_years_and_at_both_ends_of_a_day() {
    for (seconds, expected) in [
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (951_782_400, "2000-02-29"),
        (951_868_799, "2000-02-29"),
        (951_868_800, "2000-03-01"),
        (4_107_542_400, "2100-03-01"),
        (1_798_761_599, "2026-12-31"),
    ] {
        assert_eq!(date(seconds), expected);
    }
}

#[test]
fn the_commit_is_that_of_the_work_tree_and_its_date_that_of_the_commit() {
    let directory = empty();
    let (main, linked) = (directory.path().join("main"), directory.path().join("w"));
    fs::create_dir(&main).unwrap();
    assert_eq!(at_git(&main), None, "there is no repository");
    assert_eq!(watched(&main), Vec::<std::path::PathBuf>::new());
    git(&main, &["init", "-q"]);
    assert_eq!(at_git(&main), None, "there is no commit");
    let first = commit(&main);
    assert_eq!(at_git(&main), Some((first.clone(), Some(1_795_766_400))));

    // `.git` of a linked work tree is a file.
    git(
        &main,
        &["worktree", "add", "-q", "-b", "b", linked.to_str().unwrap()],
    );
    assert!(linked.join(".git").is_file());
    let second = commit(&linked);
    assert_eq!(at_git(&linked).unwrap().0, second);
    assert_eq!(at_git(&main).unwrap().0, first);

    // A copy of the source inside of somebody else's repository is not at its commit.
    let inside = main.join("vendor");
    fs::create_dir(&inside).unwrap();
    assert_eq!(at_git(&inside), None);
}

/// Which of the watched files of `directory` change while `change` runs.
fn changed(directory: &Path, change: impl FnOnce()) -> usize {
    let read = || {
        let files = watched(directory);
        assert!(files.iter().all(|it| it.is_file()), "{files:?}");
        files
            .into_iter()
            .map(|it| fs::read(it).unwrap())
            .collect::<Vec<_>>()
    };
    let before = read();
    change();
    let after = read();
    before.iter().filter(|it| !after.contains(it)).count()
}

#[test]
fn cargo_builds_again_after_a_commit_or_a_checkout_here_and_not_after_one_elsewhere() {
    let directory = empty();
    let (main, linked) = (directory.path().join("main"), directory.path().join("w"));
    fs::create_dir(&main).unwrap();
    git(&main, &["init", "-q"]);
    commit(&main);
    git(
        &main,
        &["worktree", "add", "-q", "-b", "b", linked.to_str().unwrap()],
    );
    for here in [&main, &linked] {
        assert!(
            changed(here, || drop(git(
                here,
                &["commit", "-q", "--allow-empty", "-m", "b"]
            ))) > 0
        );
        assert!(changed(here, || drop(git(here, &["checkout", "-q", "--detach"]))) > 0);
        assert!(changed(here, || drop(commit(here))) > 0, "detached");
        assert_eq!(changed(here, || drop(git(here, &["status"]))), 0);
    }
    assert_eq!(changed(&main, || drop(commit(&linked))), 0);
    // A branch that is only in packed-refs.
    git(&main, &["checkout", "-q", "main"]);
    git(&main, &["pack-refs", "--all"]);
    assert!(
        changed(&main, || drop(git(
            &main,
            &["commit", "-q", "--allow-empty", "-m", "c"]
        ))) > 0
    );
}
