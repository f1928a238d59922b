//! The objects of Argo CD: an Application per part, in sync waves, below one that makes them all. Pure: no I/O.

use serde_json::{Value, json};

use super::{Options, folder::Files, folder::listing, parts::Part};
use crate::{
    desired::{
        DesiredError, names,
        resource::{Chart, HelmRelease},
    },
    profile::Profile,
};

/// The annotation with an Application's place in the order.
const WAVE: &str = "argocd.argoproj.io/sync-wave";

/// The label by which Argo CD before 3.0 finds its objects, unless it was set up otherwise.
const INSTANCE: &str = "app.kubernetes.io/instance";

/// The cluster that Argo CD runs in.
const HERE: &str = "https://kubernetes.default.svc";

/// The files of a part.
pub(super) fn part(
    profile: &Profile,
    part: &Part,
    options: &Options,
    files: &mut Files<'_>,
) -> Result<(), DesiredError> {
    if !part.manifests.is_empty() {
        files.add_folder(part.name, &part.manifests)?;
    }
    files.add(
        format!("applications/{}.yaml", part.name),
        &of_part(profile, part, options),
    )
}

/// The one Application to apply by hand; it makes the others.
pub(super) fn root(
    profile: &Profile,
    parts: &[Part],
    options: &Options,
    files: &mut Files<'_>,
) -> Result<(), DesiredError> {
    let names: Vec<String> = parts.iter().map(|it| format!("{}.yaml", it.name)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    files.add("applications/kustomization.yaml".into(), &listing(&names))?;
    let root = application(
        profile,
        &profile.name,
        options,
        &json!({"source": from_git("applications", options)}),
    );
    files.add("application.yaml".into(), &root)
}

fn of_part(profile: &Profile, part: &Part, options: &Options) -> Value {
    let home = part.releases.first().map(|it| it.namespace.as_str());
    let mut sources = Vec::new();
    sources.extend(part.releases.iter().map(|it| from_chart(it, home)));
    if !part.manifests.is_empty() {
        sources.push(from_git(part.name, options));
    }
    let source = match sources.as_slice() {
        [one] => json!({"source": one}),
        _ => json!({"sources": sources}),
    };
    let name = format!("{}-{}", profile.name, part.name);
    let mut made = application(profile, &name, options, &source);
    made["metadata"]["annotations"] = json!({WAVE: wave(part).to_string()});
    let ignored = ignored(part);
    if !ignored.is_empty() {
        made["spec"]["ignoreDifferences"] = ignored.into();
    }
    if let Some(home) = home {
        made["spec"]["destination"]["namespace"] = json!(home);
    }
    made
}

/// The place of a part in the order: after all that it needs.
fn wave(part: &Part) -> usize {
    use super::parts::{CERT_MANAGER, CONTROLLER, RUNNERS, WIRING};
    match part.name {
        CERT_MANAGER | WIRING => 1,
        CONTROLLER => 2,
        RUNNERS => 3,
        _ => 0,
    }
}

/// What others write into the objects of a part: Argo CD would put it back with each sync.
fn ignored(part: &Part) -> Vec<Value> {
    let mut ignored = Vec::new();
    if !part.releases.is_empty() {
        // cert-manager injects its CA (reference: arc.md 1.6; actions-runner-controller#614).
        for kind in [
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ] {
            ignored.push(json!({
                "group": "admissionregistration.k8s.io",
                "kind": kind,
                "jqPathExpressions": [".webhooks[]?.clientConfig.caBundle"],
            }));
        }
        // The API server collects the rules of a role that aggregates others.
        ignored.push(json!({
            "group": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "jqPathExpressions": ["select(.aggregationRule != null) | .rules"],
        }));
    }
    if part.has_chart(names::SCALE_SET_CHART) {
        // A schedule writes it.
        ignored.push(json!({
            "group": "actions.github.com",
            "kind": "AutoscalingRunnerSet",
            "jsonPointers": ["/spec/minRunners"],
        }));
    }
    let has = |kind: &str| part.manifests.iter().any(|(_, it)| it["kind"] == kind);
    if has("RunnerDeployment") {
        // The autoscaler's, and the time at which the controller may scale.
        ignored.push(json!({
            "group": "actions.summerwind.dev",
            "kind": "RunnerDeployment",
            "jsonPointers": ["/spec/replicas", "/spec/effectiveTime"],
        }));
        // What the webhook server books for jobs that wait.
        ignored.push(json!({
            "group": "actions.summerwind.dev",
            "kind": "HorizontalRunnerAutoscaler",
            "jsonPointers": ["/spec/capacityReservations", "/status"],
        }));
    }
    ignored
}

fn application(profile: &Profile, name: &str, options: &Options, source: &Value) -> Value {
    let mut spec = json!({
        "project": options.project,
        "destination": {"server": HERE},
        "syncPolicy": {
            "automated": {"prune": true, "selfHeal": true},
            "syncOptions": [
                "ServerSideApply=true",
                "RespectIgnoreDifferences=true",
                "SkipDryRunOnMissingResource=true",
            ],
            // A part whose needs are not there yet is tried again.
            "retry": {
                "limit": 20,
                "backoff": {"duration": "10s", "factor": 2, "maxDuration": "3m"},
            },
        },
    });
    if let (Some(spec), Some(source)) = (spec.as_object_mut(), source.as_object()) {
        spec.extend(source.clone());
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": options.own_namespace(),
            "labels": names::labels(&profile.name),
        },
        "spec": spec,
    })
}

fn from_git(folder: &str, options: &Options) -> Value {
    json!({
        "repoURL": options.repository(),
        "targetRevision": options.branch,
        "path": options.path_of(folder),
    })
}

/// A chart as a source of an Application whose charts go to the namespace `home`.
fn from_chart(release: &HelmRelease, home: Option<&str>) -> Value {
    let Chart { name, version, .. } = &release.chart;
    // A registry is named without its scheme and without the chart.
    let repository = release.chart.oci_reference().map_or_else(
        || release.chart.location.clone(),
        |it| {
            let it = it.strip_prefix("oci://").unwrap_or(&it);
            let place = it.strip_suffix(&format!("/{name}"));
            place.unwrap_or(it).to_owned()
        },
    );
    let mut source = json!({
        "repoURL": repository,
        "chart": name,
        "targetRevision": version,
        "helm": {
            "releaseName": release.name,
            "skipCrds": true,
            "valuesObject": values(release),
        },
    });
    if home.is_some_and(|it| it != release.namespace) {
        // An Application has one destination; a source has a namespace of its own since Argo CD 2.13 (argo-cd#19328).
        source["helm"]["namespace"] = json!(release.namespace);
    }
    source
}

/// The values of a chart. Where Argo CD finds its objects by their label, the controller of scale sets must not copy that label
/// from an `AutoscalingRunnerSet` to the listener and its rights: these have no owner that Argo CD knows, so it would delete them
/// (actions-runner-controller#3533, #4329).
fn values(release: &HelmRelease) -> Value {
    let mut values = release.values.clone();
    let prefixes = values.pointer_mut("/flags/excludeLabelPropagationPrefixes");
    if release.chart.name == names::SCALE_SET_CONTROLLER_CHART
        && let Some(prefixes) = prefixes.and_then(Value::as_array_mut)
    {
        prefixes.push(json!(INSTANCE));
    }
    values
}
