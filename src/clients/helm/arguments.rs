//! The arguments of helm's commands. They never contain secrets or values. Pure: no I/O.

use std::{ffi::OsString, path::Path};

use super::REVISION;
use crate::desired::{
    names::PROFILE_LABEL,
    resource::{Chart, HelmRelease},
};

/// The arguments of `helm pull` for `chart`, to a file in `directory`; with its provenance, if there is one.
pub(super) fn pull_arguments(
    chart: &Chart,
    directory: &Path,
    with_provenance: bool,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["pull".into()];
    if let Some(reference) = chart.oci_reference() {
        arguments.push(reference.into());
    } else {
        arguments.extend([
            chart.name.clone().into(),
            "--repo".into(),
            chart.location.clone().into(),
        ]);
    }
    arguments.extend(["--version".into(), chart.version.clone().into()]);
    arguments.extend(["--destination".into(), directory.into()]);
    if with_provenance {
        // Without `--verify`: what is missing is told apart from what is wrong.
        arguments.push("--prov".into());
    }
    arguments
}

/// The arguments of `helm upgrade --install` for `release`. Waits, hooks and CRDs are handled by arcctl itself.
/// The label with the revision distinguishes
/// arcctl's revisions from manual ones, which inherit the labels of the previous revision.
pub(super) fn upgrade_arguments(
    release: &HelmRelease,
    revision: u64,
    chart: &Path,
    major: u32,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        vec!["upgrade".into(), release.name.clone().into(), chart.into()];
    arguments.extend([
        "--install".into(),
        "--skip-crds".into(),
        "--history-max".into(),
        "5".into(),
    ]);
    arguments.extend(["--namespace".into(), release.namespace.clone().into()]);
    arguments.extend([
        "--labels".into(),
        format!("{PROFILE_LABEL}={},{REVISION}={revision}", release.profile).into(),
    ]);
    arguments.extend([
        "--timeout".into(),
        "150s".into(),
        "--values".into(),
        "-".into(),
    ]);
    if major >= 4 {
        // A field that was edited by hand has another field manager; the release overwrites it (drift).
        arguments.extend(["--server-side=true".into(), "--force-conflicts".into()]);
    }
    arguments
}

/// Which hooks of a chart are rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hooks {
    /// None.
    Without,
    /// Those that run at an installation or an upgrade, not those of `helm test`.
    ButTests,
}

/// The arguments of `helm template` for `release`, with values from stdin.
pub(super) fn render_arguments(
    release: &HelmRelease,
    chart: &Path,
    version: (u32, u32),
    hooks: Hooks,
) -> Vec<OsString> {
    let without = match hooks {
        Hooks::Without => "--no-hooks",
        Hooks::ButTests => "--skip-tests",
    };
    vec![
        "template".into(),
        release.name.clone().into(),
        chart.into(),
        "--namespace".into(),
        release.namespace.clone().into(),
        "--skip-crds".into(),
        without.into(),
        "--kube-version".into(),
        format!("{}.{}.0", version.0, version.1).into(),
        "--values".into(),
        "-".into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> HelmRelease {
        HelmRelease {
            name: "actions-runner-controller".into(),
            namespace: "actions-runner-system".into(),
            chart: Chart {
                name: "actions-runner-controller".into(),
                version: "0.23.7".into(),
                location: "https://charts.example".into(),
            },
            values: serde_json::json!({"replicaCount": 2}),
            profile: "demo".into(),
        }
    }

    #[test]
    fn values_are_not_in_the_arguments() {
        let arguments = upgrade_arguments(&release(), 7, Path::new("/charts/arc.tgz"), 3);
        assert!(
            arguments
                .iter()
                .all(|it| !it.to_string_lossy().contains("replicaCount"))
        );
        assert!(arguments.ends_with(&["--values".into(), "-".into()]));
        assert!(arguments.contains(&"arcctl.dev/profile=demo,arcctl.dev/revision=7".into()));
    }

    #[test]
    fn hooks_are_rendered_where_their_images_matter() {
        let of = |hooks| render_arguments(&release(), Path::new("/charts/arc.tgz"), (1, 33), hooks);
        let has = |hooks, flag: &str| of(hooks).contains(&OsString::from(flag));
        assert!(has(Hooks::Without, "--no-hooks"));
        assert!(has(Hooks::ButTests, "--skip-tests"));
        assert!(!has(Hooks::ButTests, "--no-hooks"));
    }

    #[test]
    fn helm_4_takes_fields_back_that_were_edited_by_hand() {
        let arguments = upgrade_arguments(&release(), 7, Path::new("/charts/arc.tgz"), 4);
        assert!(arguments.contains(&"--force-conflicts".into()));
    }
}
