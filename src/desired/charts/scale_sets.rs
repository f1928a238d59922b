//! The charts of GitHub's own controller: their location, the CRDs, the controller's values by version. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::{hardened, overlay};
use crate::{
    desired::{
        names,
        pool::image,
        resource::{Chart, CrdSet},
    },
    profile::Profile,
    units::version,
};

/// The project's own registry.
const REGISTRY: &str = "oci://ghcr.io/actions/actions-runner-controller-charts";
/// The controller's image, without a tag: the chart's version is its tag.
const IMAGE: &str = "ghcr.io/actions/gha-runner-scale-set-controller";
/// The first chart with health probes.
const PROBES_SINCE: (u64, u64, u64) = (0, 14, 2);
/// The first chart without an update strategy: scale sets are always changed in place.
const NO_STRATEGY_SINCE: (u64, u64, u64) = (0, 15, 0);
/// The port of the health probes.
const PROBE_ADDRESS: &str = ":8081";
/// The port of the metrics.
const METRICS_ADDRESS: &str = ":8080";
/// The name of that port in the pods of the controller (its chart) and of the listeners (the controller).
pub const METRICS_PORT: &str = "metrics";
/// The path of the metrics.
pub const METRICS_PATH: &str = "/metrics";
/// The label of Argo CD: on objects that the controller makes, Argo CD would take them for its own and delete them
/// (actions-runner-controller#3533).
const NOT_PROPAGATED: &str = "argocd.argoproj.io/instance";

/// Reserved keys of `scaleSets.values`, even if this profile does not set them: arcctl finds the controller by its names,
/// and the chart's metrics are all three or none.
const RESERVED: [&str; 4] = [
    "fullnameOverride",
    "metrics",
    "nameOverride",
    "namespaceOverride",
];

/// The image of the controller, which the listeners have too.
pub fn image(profile: &Profile) -> String {
    let values = values(profile);
    let text = |key: &str, default: &str| {
        let given = values["image"][key].as_str().filter(|it| !it.is_empty());
        given.unwrap_or(default).to_owned()
    };
    let tag = text("tag", &profile.scale_sets.chart_version);
    format!("{}:{tag}", text("repository", IMAGE))
}

/// The account of the controller: the one that `scaleSets.values` names, or that of its chart
/// (charts/gha-runner-scale-set-controller/templates/_helpers.tpl at 0.14, `serviceAccountName`).
pub fn service_account(profile: &Profile) -> String {
    let sets = &profile.scale_sets;
    let given = sets.values.get("serviceAccount");
    let name = given.and_then(|it| it.get("name")).and_then(Value::as_str);
    let name = name.filter(|it| !it.is_empty());
    name.map_or_else(|| sets.full_name(), str::to_owned)
}

/// The chart of the controller.
pub fn controller_chart(profile: &Profile) -> Chart {
    chart(profile, names::SCALE_SET_CONTROLLER_CHART)
}

/// The chart of a scale set; the controller deletes a set of another minor version, so both have one version.
pub fn set_chart(profile: &Profile) -> Chart {
    chart(profile, names::SCALE_SET_CHART)
}

fn chart(profile: &Profile, name: &str) -> Chart {
    let given = profile.charts.scale_sets.as_deref();
    let location = given.unwrap_or(REGISTRY);
    let mut chart = Chart {
        name: name.to_owned(),
        version: profile.scale_sets.chart_version.clone(),
        location: location.to_owned(),
    };
    // A path is that of a folder with both charts.
    if !chart.is_remote() {
        chart.location = format!("{}/{name}", location.trim_end_matches('/'));
    }
    chart
}

/// The CRDs, in the `crds/` of the controller's chart.
pub fn crds(profile: &Profile) -> CrdSet {
    let kinds = [
        "autoscalinglisteners",
        "autoscalingrunnersets",
        "ephemeralrunners",
        "ephemeralrunnersets",
    ];
    CrdSet {
        chart: controller_chart(profile),
        templated: None,
        names: kinds
            .map(|plural| format!("{plural}.actions.github.com"))
            .into(),
    }
}

/// The controller's values: arcctl's, then `scaleSets.values`.
pub fn values(profile: &Profile) -> Value {
    let mut values = own_values(profile);
    // The lint reports collisions; here arcctl's values win.
    let theirs = overlay::without(&profile.scale_sets.values, &RESERVED);
    overlay::merge(&mut values, &theirs);
    values.into()
}

/// The paths in `scaleSets.values` that arcctl sets itself, for the lint.
pub fn values_collisions(profile: &Profile) -> Vec<String> {
    let theirs = &profile.scale_sets.values;
    let mut collisions = overlay::merge(&mut own_values(profile), theirs);
    for key in RESERVED {
        let nested = |path: &String| path.split('.').next() == Some(key);
        if theirs.contains_key(key) && !collisions.iter().any(nested) {
            collisions.push(key.to_owned());
        }
    }
    let flags = theirs.get("flags");
    if flags.is_some_and(|it| it.get("watchSingleNamespace").is_some()) {
        collisions.push("flags.watchSingleNamespace".to_owned());
    }
    collisions
}

fn own_values(profile: &Profile) -> Map<String, Value> {
    let sets = &profile.scale_sets;
    let mut values = Map::new();
    values.insert("replicaCount".into(), sets.replicas.into());
    values.insert("flags".into(), flags(profile));
    let theirs = Value::Object(sets.values.clone());
    for (key, value) in hardened::unless_given(Some(&theirs)) {
        values.insert(key.into(), value);
    }
    let images = profile.images.as_ref();
    if images.is_some_and(|it| it.instead_of("ghcr.io").is_some()) {
        let repository = image::mirrored(images, IMAGE);
        values.insert("image".into(), json!({"repository": repository}));
    }
    // The listeners get them too.
    let secrets: Vec<Value> = images
        .into_iter()
        .flat_map(|it| &it.pull_secrets)
        .map(|name| json!({"name": name}))
        .collect();
    if !secrets.is_empty() {
        values.insert("imagePullSecrets".into(), secrets.into());
    }
    if sets.metrics {
        // All three or none: the chart renders the flags of all as soon as there is one.
        values.insert(
            "metrics".into(),
            json!({
                "controllerManagerAddr": METRICS_ADDRESS,
                "listenerAddr": METRICS_ADDRESS,
                "listenerEndpoint": METRICS_PATH,
            }),
        );
    }
    values
}

/// The template reads all of them under `flags`; the chart's own comments show some of them elsewhere (reference:
/// scale-sets.md 2.2).
fn flags(profile: &Profile) -> Value {
    let version = version::triple(&profile.scale_sets.chart_version);
    let mut flags = json!({
        "logLevel": profile.scale_sets.log_level.as_str(),
        "excludeLabelPropagationPrefixes": [NOT_PROPAGATED],
    });
    if version < NO_STRATEGY_SINCE {
        // With `eventual` a change of the minimum deletes the listener, and it stays away while a runner is there
        // (actions-runner-controller#4432).
        flags["updateStrategy"] = "immediate".into();
    }
    if version >= PROBES_SINCE {
        flags["healthProbeBindAddress"] = PROBE_ADDRESS.into();
    }
    flags
}
