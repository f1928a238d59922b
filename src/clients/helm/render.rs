//! What a chart renders, without a cluster.

use std::sync::Arc;

use serde_json::Value;

use super::{
    Helm,
    arguments::{Hooks, render_arguments},
};
use crate::{
    desired::resource::{Chart, HelmRelease},
    error::Result,
};

impl Helm {
    /// The templates of `chart`, rendered with `values` for Kubernetes `version`.
    pub async fn template(
        &self,
        chart: &Chart,
        values: &Value,
        version: (u32, u32),
    ) -> Result<String> {
        let path = self.pull(chart).await?;
        let arguments = vec![
            "template".into(),
            chart.name.clone().into(),
            path.into(),
            "--kube-version".into(),
            format!("{}.{}.0", version.0, version.1).into(),
            "--values".into(),
            "-".into(),
        ];
        self.run(
            &format!("render chart `{}`", chart.name),
            arguments,
            false,
            Some(values),
        )
        .await
    }

    /// The objects of `release`, rendered once with its values for Kubernetes `version`, without its CRDs and hooks.
    pub async fn render(&self, release: &HelmRelease, version: (u32, u32)) -> Result<String> {
        self.rendered(release, version, Hooks::Without).await
    }

    /// The same with the hooks, which run at an installation, and without the hooks of `helm test`, which do not.
    pub async fn render_with_hooks(
        &self,
        release: &HelmRelease,
        version: (u32, u32),
    ) -> Result<String> {
        self.rendered(release, version, Hooks::ButTests).await
    }

    async fn rendered(
        &self,
        release: &HelmRelease,
        version: (u32, u32),
        hooks: Hooks,
    ) -> Result<String> {
        let key = format!("{release:?} {version:?} {hooks:?}");
        let cell = Arc::clone(self.rendered.lock().await.entry(key).or_default());
        let text = cell.get_or_try_init(|| async {
            let path = self.pull(&release.chart).await?;
            let arguments = render_arguments(release, &path, version, hooks);
            let what = format!("render chart `{}`", release.chart.name);
            self.run(&what, arguments, false, Some(&release.values))
                .await
        });
        text.await.cloned()
    }
}
