//! Chart files: downloaded once per run, or at the path in the profile.

use std::{path::PathBuf, sync::Arc};

use super::{
    Helm,
    arguments::pull_arguments,
    output::{described, unknown_provenance},
};
use crate::{
    desired::resource::Chart,
    error::{Error, Result, System},
};

/// The name of a chart's package, without `.tgz`.
pub(super) fn key(chart: &Chart) -> String {
    format!("{}-{}", chart.name, chart.version)
}

impl Helm {
    /// Downloads `charts` and reads helm's version before they are needed, beside other reads. What fails is no error yet: it
    /// is the answer to the next call that needs the chart.
    pub async fn fetch_ahead(&self, charts: &[Chart]) {
        if charts.is_empty() {
            return;
        }
        let downloads = charts
            .iter()
            .filter(|it| it.is_remote())
            .map(|chart| async move {
                if let Err(error) = self.pull(chart).await {
                    self.failed.lock().await.insert(key(chart), error);
                }
            });
        let (_version, _) = tokio::join!(self.major(), futures::future::join_all(downloads));
    }

    /// The chart as a file: downloaded once per run, or at the path in the profile.
    pub(super) async fn pull(&self, chart: &Chart) -> Result<PathBuf> {
        let key = key(chart);
        if !chart.is_remote() {
            let path = PathBuf::from(&chart.location);
            let package = path.join(format!("{key}.tgz"));
            let path = if package.is_file() { package } else { path };
            let path = self.checked(chart, path).await?;
            return self.as_locked(chart, path);
        }
        if let Some(error) = self.failed.lock().await.remove(&key) {
            return Err(error);
        }
        let cell = Arc::clone(self.charts.lock().await.entry(key.clone()).or_default());
        cell.get_or_try_init(|| self.download(chart, &key))
            .await
            .cloned()
    }

    /// A chart at a local path, after helm confirms that its name and version match the profile.
    async fn checked(&self, chart: &Chart, path: PathBuf) -> Result<PathBuf> {
        let arguments = vec!["show".into(), "chart".into(), path.clone().into()];
        let what = format!("read chart `{}` from `{}`", chart.name, path.display());
        let hint = "name a chart's directory, its package, or a directory with `NAME-VERSION.tgz` under `charts` in the profile";
        let text = self
            .run(&what, arguments, false, None)
            .await
            .map_err(|error| error.object(path.display()).hint(hint))?;
        let (name, version) = (described(&text, "name"), described(&text, "version"));
        if name == chart.name && version == chart.version.trim_start_matches('v') {
            return Ok(path);
        }
        Err(Error::failed(
            System::Helm,
            format!("`{}` is another chart than the profile names", path.display()),
        )
        .object(path.display())
        .cause(format!("it is {name} {version}; the profile names {} {}", chart.name, chart.version))
        .hint("set chartVersion in the profile to that of the chart, or name another path under `charts`"))
    }

    async fn download(&self, chart: &Chart, key: &str) -> Result<PathBuf> {
        let directory = self.home.path().join(key);
        let what = format!("fetch chart `{key}` from `{}`", chart.location);
        std::fs::create_dir_all(&directory).map_err(|error| {
            Error::failed(System::Local, format!("cannot {what}"))
                .cause(error)
                .hint("check that the directory for temporary files (TMPDIR) can be written")
        })?;
        let arguments = pull_arguments(chart, &directory, self.keyring.is_some());
        let said = self
            .run(&what, arguments, false, None)
            .await
            .map_err(|error| {
                error.object(&chart.location).hint(
                    "check that the chart repository is reachable and has this version, or set a mirror under `charts` in the profile",
                )
            })?;
        if let Some(cause) = unknown_provenance(&said) {
            let what = format!("cannot find out whether chart `{key}` is signed");
            return Err(Error::failed(System::Helm, what)
                .object(&chart.location)
                .cause(cause)
                .hint("run the command again; if it fails again, check that the URL in the message is reachable, or run it without a keyring"));
        }
        let entries = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten();
        // Its provenance may be beside it.
        let mut archives = entries
            .map(|entry| entry.path())
            .filter(|it| it.extension().is_none_or(|it| it != "prov"));
        let archive = archives.next().ok_or_else(|| {
            Error::failed(
                System::Helm,
                format!("helm fetched nothing for chart `{key}`"),
            )
            .hint("run `helm pull` with this chart and version by hand to see why")
        })?;
        self.as_locked(chart, archive)
    }
}
