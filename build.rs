//! Gives the program the text of `--version`: version, commit, and the date of the commit (not of the build, so that two
//! builds of one commit are equal).
//!
//! The commit is that of `ARCCTL_BUILD_COMMIT`, with the date of `SOURCE_DATE_EPOCH`; where that is not set, that of git.
//! A debug build does not ask git: every commit would compile the library and all tests again.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ARCCTL_BUILD_COMMIT");
    let directory = PathBuf::from(variable("CARGO_MANIFEST_DIR").unwrap_or_default());
    let commit = if let Some(given) = variable("ARCCTL_BUILD_COMMIT") {
        println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
        let seconds = variable("SOURCE_DATE_EPOCH").and_then(|it| it.parse().ok());
        is_commit(&given).then_some((given, seconds))
    } else if variable("PROFILE").as_deref() == Some("release") {
        for path in watched(&directory) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        at_git(&directory)
    } else {
        None
    };
    let package = variable("CARGO_PKG_VERSION").unwrap_or_default();
    println!(
        "cargo::rustc-env=ARCCTL_VERSION={}",
        version(&package, commit)
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script everything by its environment"
)]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|it| !it.is_empty())
}

/// The text after `arcctl ` in the output of `--version`. Of a commit its first 12 digits; its date, in UTC, is unknown if
/// `SOURCE_DATE_EPOCH` is not a number.
pub(crate) fn version(package: &str, commit: Option<(String, Option<i64>)>) -> String {
    match commit {
        Some((commit, Some(seconds))) => {
            format!("{package} ({:.12} {})", commit, date(seconds))
        }
        Some((commit, None)) => format!("{package} ({commit:.12}, date unknown)"),
        None => format!("{package} (commit unknown)"),
    }
}

/// Whether `text` is a commit's id, shortened or not: what is shown must not be any text of the environment.
pub(crate) fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_hexdigit())
}

/// Commit and committer date (seconds since 1970) of `directory`, if it is the root of a git work tree: a copy of the source
/// inside of another repository must not show the commit of that one.
pub(crate) fn at_git(directory: &Path) -> Option<(String, Option<i64>)> {
    let root = PathBuf::from(git(directory, &["rev-parse", "--show-toplevel"])?);
    if root.canonicalize().ok()? != directory.canonicalize().ok()? {
        return None;
    }
    let line = git(directory, &["log", "-1", "--format=%H %ct"])?;
    let (commit, seconds) = line.split_once(' ')?;
    is_commit(commit).then(|| (commit.to_owned(), seconds.parse().ok()))
}

/// The files that change with the commit of `directory`: HEAD, its branch, and HEAD's log. Only those that are there, since
/// cargo builds again each time if one is missing. In a linked work tree, `.git` is a file and these are elsewhere.
pub(crate) fn watched(directory: &Path) -> Vec<PathBuf> {
    let branch = git(directory, &["symbolic-ref", "-q", "HEAD"]);
    ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref())
        .filter_map(|it| git(directory, &["rev-parse", "--git-path", it]))
        .map(|it| directory.join(it))
        .filter(|it| it.is_file())
        .collect()
}

/// The first line that git prints; none if there is no git or no repository.
fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a build script is not part of the program"
    )]
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        // A git hook sets these for its own repository.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.to_owned();
    output.status.success().then_some(line)
}

/// The day of `seconds` since 1970 in UTC, as `YYYY-MM-DD`: Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
pub(crate) fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
