//! The objects of Flux: a `Kustomization` per part, in their order, and a `HelmRelease` per chart. Pure: no I/O.
//!
//! Nothing is listed to be ignored: Flux applies server-side and compares only what the files say, so the replicas that an
//! autoscaler sets, and the CA that cert-manager injects, are not its.

use serde_json::{Value, json};

use super::{Options, folder::Files, folder::listing, parts::Part, parts::VERIFY};
use crate::{
    desired::{
        DesiredError, names,
        resource::{Chart, HelmRelease},
    },
    profile::Profile,
};

/// How often Flux compares, without a change in the repository.
const INTERVAL: &str = "10m";

/// The repository that `flux bootstrap` makes.
const BOOTSTRAPPED: &str = "flux-system";

/// The files of a part.
pub(super) fn part(
    profile: &Profile,
    part: &Part,
    options: &Options,
    files: &mut Files<'_>,
) -> Result<(), DesiredError> {
    let mut manifests = part.manifests.clone();
    for own in &part.releases {
        let (source, release) = release_objects(profile, own, options);
        // Only the parts with scale sets have more than one chart.
        let suffix = match part.releases.len() {
            1 => String::new(),
            _ => format!(".{}", object_name(own)),
        };
        manifests.push((format!("helm-release{suffix}.yaml"), release));
        let kind = source["kind"].as_str().unwrap_or_default();
        let kind = if kind == "OCIRepository" {
            "oci-repository"
        } else {
            "helm-repository"
        };
        manifests.push((format!("{kind}{suffix}.yaml"), source));
    }
    files.add_folder(part.name, &manifests)?;
    files.add(
        format!("flux/{}.yaml", part.name),
        &kustomization(profile, part, options),
    )
}

/// What applies all of it: the file that the cluster's own Kustomization finds.
pub(super) fn root(
    profile: &Profile,
    parts: &[Part],
    options: &Options,
    files: &mut Files<'_>,
) -> Result<(), DesiredError> {
    let mut names: Vec<String> = parts
        .iter()
        .map(|it| format!("flux/{}.yaml", it.name))
        .collect();
    if options.repository.is_some() {
        let repository = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": own(profile, &profile.name, options),
            "spec": {
                "interval": "1m",
                "url": options.repository(),
                "ref": {"branch": options.branch},
            },
        });
        files.add("flux/git-repository.yaml".into(), &repository)?;
        names.push("flux/git-repository.yaml".into());
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    files.add("kustomization.yaml".into(), &listing(&names))
}

/// The metadata of an object of Flux.
fn own(profile: &Profile, name: &str, options: &Options) -> Value {
    json!({
        "name": name,
        "namespace": options.own_namespace(),
        "labels": names::labels(&profile.name),
    })
}

fn name_of(profile: &Profile, part: &str) -> String {
    format!("{}-{part}", profile.name)
}

fn kustomization(profile: &Profile, part: &Part, options: &Options) -> Value {
    let after: Vec<Value> = part
        .after
        .iter()
        .map(|it| json!({"name": name_of(profile, it)}))
        .collect();
    let source = if options.repository.is_some() {
        profile.name.as_str()
    } else {
        BOOTSTRAPPED
    };
    let mut spec = json!({
        "interval": INTERVAL,
        "retryInterval": "1m",
        "timeout": "20m",
        "path": format!("./{}", options.path_of(part.name)),
        "prune": true,
        "wait": true,
        "sourceRef": {"kind": "GitRepository", "name": source},
    });
    if !after.is_empty() {
        spec["dependsOn"] = after.into();
    }
    if part.name == VERIFY {
        // A Job cannot be changed: it is made anew when what it verifies has changed.
        spec["force"] = true.into();
    }
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": own(profile, &name_of(profile, part.name), options),
        "spec": spec,
    })
}

/// The last part of the names of a release's objects: a scale set has the name of its pool, and a pool may have the name of
/// another release.
fn object_name(release: &HelmRelease) -> String {
    if release.chart.name == names::SCALE_SET_CHART {
        format!("scale-set-{}", release.name)
    } else {
        release.name.clone()
    }
}

/// The source of a chart, and its release.
fn release_objects(profile: &Profile, release: &HelmRelease, options: &Options) -> (Value, Value) {
    let name = name_of(profile, &object_name(release));
    let metadata = own(profile, &name, options);
    let (source, chart) = source(&release.chart, &metadata, &name);
    // helm's record is where arcctl reads it: in the namespace of the release, under its own name.
    let mut spec = json!({
        "interval": INTERVAL,
        "timeout": "5m",
        "releaseName": release.name,
        "targetNamespace": release.namespace,
        "storageNamespace": release.namespace,
        // Without an end: an installation fails until somebody has made the Secrets by hand, and after its last retry Flux tries
        // it again only when told to (helm-controller, `ErrExceededMaxRetries`).
        "install": {"crds": "Skip", "remediation": {"retries": -1}},
        "upgrade": {"crds": "Skip", "remediation": {"retries": 5}},
        "driftDetection": {"mode": "enabled"},
        "values": release.values,
    });
    if let (Some(spec), Some(chart)) = (spec.as_object_mut(), chart.as_object()) {
        spec.extend(chart.clone());
    }
    if release.chart.name == names::SCALE_SET_CHART {
        // A schedule writes it.
        spec["driftDetection"]["ignore"] = json!([{
            "paths": ["/spec/minRunners"],
            "target": {"kind": "AutoscalingRunnerSet"},
        }]);
    }
    let release = json!({
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": metadata,
        "spec": spec,
    });
    (source, release)
}

/// The source of a chart, and the fields of a release that name it.
fn source(chart: &Chart, metadata: &Value, name: &str) -> (Value, Value) {
    if let Some(url) = chart.oci_reference() {
        let source = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "OCIRepository",
            "metadata": metadata,
            "spec": {"interval": INTERVAL, "url": url, "ref": {"tag": chart.version}},
        });
        let reference = json!({"chartRef": {"kind": "OCIRepository", "name": name}});
        return (source, reference);
    }
    let source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": metadata,
        "spec": {"interval": "1h", "url": chart.location},
    });
    let reference = json!({"chart": {"spec": {
        "chart": chart.name,
        "version": chart.version,
        "sourceRef": {"kind": "HelmRepository", "name": name},
    }}});
    (source, reference)
}
