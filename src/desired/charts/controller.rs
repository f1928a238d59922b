//! The controller's chart: its location, its CRDs, its values by version. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::{hardened, overlay};
use crate::{
    desired::{
        Facts, monitoring, names, placeholder,
        pool::{ca_bundle, image, proxy, service_account},
        resource::{Chart, CrdSet},
    },
    profile::Profile,
    units::{image::DOCKER_HUB, version},
};

/// The project's own repository.
const REPOSITORY: &str = "https://actions-runner-controller.github.io/actions-runner-controller";
/// The first chart whose `metrics.serviceMonitor` is a map.
const SERVICE_MONITOR_MAP_SINCE: (u64, u64, u64) = (0, 23, 5);
/// The first chart whose webhooks select the watched namespace by the label that Kubernetes gives it. Those before select it
/// by `name`, which nobody sets (source: actions-runner-controller#1305, #2107).
const KUBERNETES_LABEL_SINCE: (u64, u64, u64) = (0, 23, 5);

/// The first chart whose controller hashes a template with the field `dockerVarRunVolumeSizeLimit`.
const ANOTHER_HASH_SINCE: (u64, u64, u64) = (0, 23, 5);

/// Reserved keys of `controller.values`, even if this profile does not set them: arcctl finds and checks the controller
/// by its names, certificate and scope.
const RESERVED: [&str; 9] = [
    "authSecret",
    "certManagerEnabled",
    "fullnameOverride",
    "githubEnterpriseServerURL",
    "githubURL",
    "leaderElectionId",
    "nameOverride",
    "scope",
    "webhookPort",
];

/// Whether the first part of a path in `controller.values` is reserved.
pub fn is_reserved(key: &str) -> bool {
    RESERVED.contains(&key)
}

/// The chart `actions-runner-controller`.
pub fn chart(profile: &Profile) -> Chart {
    Chart {
        name: names::CONTROLLER.into(),
        version: profile.controller.chart_version.clone(),
        location: profile
            .charts
            .controller
            .clone()
            .unwrap_or_else(|| REPOSITORY.into()),
    }
}

/// Its CRDs, in the chart's `crds/`.
pub fn crds(profile: &Profile) -> CrdSet {
    let kinds = [
        "horizontalrunnerautoscalers",
        "runnerdeployments",
        "runnerreplicasets",
        "runners",
        "runnersets",
    ];
    CrdSet {
        chart: chart(profile),
        templated: None,
        names: kinds
            .map(|plural| format!("{plural}.actions.summerwind.dev"))
            .into(),
    }
}

/// Its values: arcctl's, then `controller.values`.
pub fn values(profile: &Profile, facts: &Facts) -> Value {
    let mut values = own_values(profile, facts);
    // The lint reports collisions; here arcctl's values win.
    let theirs = overlay::without(&profile.controller.values, &RESERVED);
    overlay::merge(&mut values, &theirs);
    values.into()
}

/// The paths in `controller.values` that arcctl sets itself, for the lint.
pub fn values_collisions(profile: &Profile, facts: &Facts) -> Vec<String> {
    let theirs = &profile.controller.values;
    let mut collisions = overlay::merge(&mut own_values(profile, facts), theirs);
    for key in RESERVED {
        let nested = |path: &String| path.split(['.', '[']).next() == Some(key);
        if theirs.contains_key(key) && !collisions.iter().any(nested) {
            collisions.push(key.to_owned());
        }
    }
    collisions
}

#[expect(clippy::too_many_lines, reason = "one value after the other")]
fn own_values(profile: &Profile, facts: &Facts) -> Map<String, Value> {
    let controller = &profile.controller;
    let mut values = Map::new();
    let mut set = |key: &str, value: Value| {
        let empty = value.as_object().is_some_and(Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        if !empty {
            values.insert(key.into(), value);
        }
    };
    set("replicaCount", controller.replicas.into());
    set("webhookPort", controller.webhook_port.into());
    set("syncPeriod", controller.sync_period.to_string().into());
    if let Some(url) = &profile.github.url {
        set(
            "githubEnterpriseServerURL",
            url.trim_end_matches('/').into(),
        );
    }
    set(
        "authSecret",
        json!({"enabled": true, "create": false, "name": names::CONTROLLER_SECRET}),
    );
    set("image", image_values(profile));
    set(
        "imagePullSecrets",
        pull_secrets(profile)
            .map(|name| json!({"name": name}))
            .collect(),
    );
    if let Some(namespace) = &controller.watch_namespace {
        set(
            "scope",
            json!({"singleNamespace": true, "watchNamespace": namespace}),
        );
    }
    if controller.release != names::CONTROLLER {
        // The chart's default is a fixed name: of two controllers in one namespace only one would be leader.
        set("leaderElectionId", controller.full_name().into());
    }
    if profile.has_triggers() {
        // Users set its service and ingress in `controller.values`; the token is in arcctl's own Secret.
        let mut server = json!({
            "enabled": true,
            "secret": {"enabled": true, "create": false, "name": names::WEBHOOK_SECRET},
        });
        let theirs = controller.values.get("githubWebhookServer");
        for (key, hardened) in hardened::unless_given(theirs) {
            // What the cluster needs of the controller's pods it needs of the server's too.
            server[key] = controller.values.get(key).cloned().unwrap_or(hardened);
        }
        set("githubWebhookServer", server);
    }
    set("env", environment(profile).into());
    if profile.github.ca_bundle.is_some() {
        set("additionalVolumes", json!([ca_bundle::volume()]));
        set(
            "additionalVolumeMounts",
            json!([ca_bundle::controller_mount()]),
        );
    }
    set("metrics", metrics(profile, facts).into());
    set("podAnnotations", pod_annotations(profile, facts).into());
    let theirs = Value::Object(controller.values.clone());
    for (key, value) in hardened::unless_given(Some(&theirs)) {
        set(key, value);
    }
    if service_account::uses_kubernetes_mode(profile) {
        set(
            "rbac",
            json!({"allowGrantingKubernetesContainerModePermissions": true}),
        );
    }
    values
}

/// Whether the controller of chart `to` makes new runners for templates that are as the controller of chart `from` has them: its
/// hash of a template covers all fields that its types have, those without a value too.
///
/// Source: actions-runner-controller, `ComputeHash` in `controllers/actions.summerwind.net/runnerdeployment_controller.go`, and the
/// fields of the CRDs of both charts (facts/tables).
pub fn makes_runners_anew(from: &str, to: &str) -> bool {
    let is_new = |chart: &str| version::triple(chart) >= ANOTHER_HASH_SINCE;
    is_new(from) != is_new(to)
}

/// The label, besides arcctl's, without which the controller's webhooks do not see `namespace`; its value is the name.
pub fn namespace_label(profile: &Profile, namespace: &str) -> Option<&'static str> {
    let controller = &profile.controller;
    let is_watched = controller.watch_namespace.as_deref() == Some(namespace);
    let is_old = version::triple(&controller.chart_version) < KUBERNETES_LABEL_SINCE;
    (is_watched && is_old && profile.has_deployments()).then_some("name")
}

fn pull_secrets(profile: &Profile) -> impl Iterator<Item = &String> {
    profile
        .images
        .iter()
        .flat_map(|images| &images.pull_secrets)
}

fn image_values(profile: &Profile) -> Value {
    let images = profile.images.as_ref();
    let docker = image::mirrored(images, &profile.controller.docker_image);
    let mut values = json!({"dindSidecarRepositoryAndTag": docker});
    if has_mirror(profile, DOCKER_HUB) {
        values["repository"] =
            image::mirrored(images, "summerwind/actions-runner-controller").into();
    }
    let secrets: Vec<_> = pull_secrets(profile).cloned().collect();
    if !secrets.is_empty() {
        values["actionsRunnerImagePullSecrets"] = secrets.into();
    }
    values
}

/// Whether a mirror takes the place of the registry `host`.
fn has_mirror(profile: &Profile, host: &str) -> bool {
    let images = profile.images.as_ref();
    images.is_some_and(|images| images.instead_of(host).is_some())
}

/// A map, not a list of variables: the chart accepts both, and maps can be merged.
fn environment(profile: &Profile) -> Map<String, Value> {
    let ca = profile
        .github
        .ca_bundle
        .as_ref()
        .map(|_| ca_bundle::controller_environment());
    proxy::environment(profile.proxy.as_ref())
        .into_iter()
        .chain(ca)
        .map(|(name, value)| (name, value.into()))
        .collect()
}

fn metrics(profile: &Profile, facts: &Facts) -> Map<String, Value> {
    let mut metrics = Map::new();
    let chosen = profile.monitoring.as_ref();
    // Without the CRD the release fails.
    let wanted =
        chosen.is_some_and(|it| monitoring::wanted(it.service_monitor, facts.service_monitor_crd));
    if let Some(chosen) = chosen.filter(|_| wanted) {
        let map = version::triple(&profile.controller.chart_version) >= SERVICE_MONITOR_MAP_SINCE;
        let on = if map {
            json!({"enable": true})
        } else {
            true.into()
        };
        metrics.insert("serviceMonitor".into(), on);
        if !chosen.labels.is_empty() {
            metrics.insert("serviceMonitorLabels".into(), json!(chosen.labels));
        }
    }
    if has_mirror(profile, "quay.io") {
        let proxy = image::mirrored(profile.images.as_ref(), "quay.io/brancz/kube-rbac-proxy");
        metrics.insert("proxy".into(), json!({"image": {"repository": proxy}}));
    }
    metrics
}

/// Annotations that restart the controller when they change: it reads its token and certificates only once.
fn pod_annotations(profile: &Profile, facts: &Facts) -> Map<String, Value> {
    let mut annotations = Map::new();
    let version = placeholder::SECRET_VERSION.or(facts.secret_version.as_deref());
    annotations.insert("arcctl.dev/secret-version".into(), version.into());
    if profile.github.ca_bundle.is_some() {
        annotations.insert(
            "arcctl.dev/github-ca-sha256".into(),
            ca_bundle::digest(facts).into(),
        );
    }
    annotations
}
