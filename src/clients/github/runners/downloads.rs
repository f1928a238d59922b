//! The version of the runner that GitHub offers: the file names of `GET …/actions/runners/downloads`.

use http::Method;
use serde::Deserialize;

use super::super::{GitHub, scope::prefix};
use crate::{error::Result, profile::Scope, units::runner::RunnerVersion};

/// A file that can be downloaded. Its URL and the token that may come with it are not read.
#[derive(Deserialize)]
pub(in super::super) struct Download {
    os: String,
    filename: String,
}

impl GitHub {
    /// The version of the runner that GitHub offers to machines of `scope`: github.com offers new versions step by step, a
    /// server the one that it ships. `None` if no file for Linux has a version in its name.
    pub async fn offered_runner(&self, scope: Scope<'_>) -> Result<Option<RunnerVersion>> {
        let path = format!("{}/actions/runners/downloads", prefix(scope));
        let answer = self.call(&Method::GET, &path, scope).await?;
        let files: Vec<Download> = self.json(&answer, "the list of runner applications")?;
        Ok(newest(&files))
    }
}

/// The version in `actions-runner-linux-x64-2.336.0.tar.gz`.
fn newest(files: &[Download]) -> Option<RunnerVersion> {
    files
        .iter()
        .filter(|it| it.os == "linux")
        .filter_map(|it| it.filename.strip_suffix(".tar.gz"))
        .filter_map(|it| it.split('-').find_map(RunnerVersion::parse))
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_version_is_that_of_the_files_for_linux() {
        let files = json!([
            {"os": "win", "filename": "actions-runner-win-x64-2.400.0.zip"},
            {"os": "linux", "filename": "actions-runner-linux-x64-2.336.0.tar.gz"},
            {"os": "linux", "filename": "actions-runner-linux-arm64-2.337.0.tar.gz"},
            {"os": "linux", "filename": "runner.tar.gz"},
        ]);
        let files: Vec<Download> = serde_json::from_value(files).unwrap();
        assert_eq!(newest(&files), Some(RunnerVersion(2, 337, 0)));
        assert_eq!(newest(&[]), None);
    }
}
