//! cert-manager's chart: whether to install it, its location, its CRDs, its values by version. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::overlay;
use crate::{
    desired::{
        Facts, names,
        pool::image,
        resource::{Chart, CrdSet},
    },
    profile::{Auto, Profile},
    units::version,
};

/// The project's own repository.
const REPOSITORY: &str = "https://charts.jetstack.io";
/// The first chart with `crds.enabled` in place of `installCRDs`.
const CRDS_KEY_SINCE: (u64, u64, u64) = (1, 15, 0);

/// Whether arcctl installs it: by default a working one that arcctl did not install is used. Runner scale sets need none.
pub fn installs(profile: &Profile, facts: &Facts) -> bool {
    if !profile.has_deployments() {
        return false;
    }
    match profile.cert_manager.install {
        Auto::Auto => facts.foreign_cert_manager != Some(true),
        Auto::Always => true,
        Auto::Never => false,
    }
}

/// The chart `cert-manager`.
pub fn chart(profile: &Profile) -> Chart {
    Chart {
        name: names::CERT_MANAGER.into(),
        version: profile.cert_manager.chart_version.clone(),
        location: profile
            .charts
            .cert_manager
            .clone()
            .unwrap_or_else(|| REPOSITORY.into()),
    }
}

/// Its CRDs, which are templates of the chart.
pub fn crds(profile: &Profile) -> CrdSet {
    let names = [
        "challenges.acme.cert-manager.io",
        "orders.acme.cert-manager.io",
        "certificaterequests.cert-manager.io",
        "certificates.cert-manager.io",
        "clusterissuers.cert-manager.io",
        "issuers.cert-manager.io",
    ];
    CrdSet {
        chart: chart(profile),
        templated: Some(crd_values(profile, true).into()),
        names: names.map(str::to_owned).into(),
    }
}

/// Reserved keys of `certManager.values`, even if this profile does not set them: arcctl finds objects by the chart's
/// own names, and CRDs never belong to a release.
const RESERVED: [&str; 5] = [
    "crds",
    "fullnameOverride",
    "installCRDs",
    "nameOverride",
    "namespace",
];

/// The values of its release: arcctl's, then `certManager.values`.
pub fn values(profile: &Profile) -> Value {
    let mut values = own_values(profile);
    // The lint reports collisions; here arcctl's values win.
    let theirs = overlay::without(&profile.cert_manager.values, &RESERVED);
    overlay::merge(&mut values, &theirs);
    values.into()
}

/// The paths in `certManager.values` that arcctl sets itself, for the lint.
pub fn values_collisions(profile: &Profile) -> Vec<String> {
    // The profile's own lint reports the reserved keys.
    let theirs = overlay::without(&profile.cert_manager.values, &RESERVED);
    overlay::merge(&mut own_values(profile), &theirs)
}

/// Without CRDs and without the start-up check, because helm always waits for hooks and arcctl checks readiness itself.
/// The webhook is probed each second: by the chart's own values (after 5 s, then every 5 s) everything would wait for a
/// server that has been ready for seconds. A probe of `certManager.values` stays as it is.
fn own_values(profile: &Profile) -> Map<String, Value> {
    let mut values = crd_values(profile, false);
    values.insert("startupapicheck".into(), json!({"enabled": false}));
    let images = profile.images.as_ref();
    let secrets: Vec<Value> = images
        .into_iter()
        .flat_map(|images| &images.pull_secrets)
        .map(|name| json!({"name": name}))
        .collect();
    if !secrets.is_empty() {
        values.insert("global".into(), json!({"imagePullSecrets": secrets}));
    }
    if images.is_some_and(|images| images.instead_of("quay.io").is_some()) {
        // One key per component works in every version; `imageRegistry` is new and keeps the namespace `jetstack`.
        let repository = |component: &str| {
            let image = format!("quay.io/jetstack/cert-manager-{component}");
            json!({"repository": image::mirrored(images, &image)})
        };
        values.insert("image".into(), repository("controller"));
        for component in ["acmesolver", "cainjector", "webhook"] {
            values.insert(component.into(), json!({"image": repository(component)}));
        }
    }
    let theirs = profile.cert_manager.values.get("webhook");
    if theirs.is_none_or(|it| it.get("readinessProbe").is_none()) {
        let webhook = values.entry("webhook").or_insert_with(|| json!({}));
        webhook["readinessProbe"] = json!({"initialDelaySeconds": 1, "periodSeconds": 1});
    }
    values
}

fn crd_values(profile: &Profile, enabled: bool) -> Map<String, Value> {
    let mut values = Map::new();
    if version::triple(&profile.cert_manager.chart_version) < CRDS_KEY_SINCE {
        values.insert("installCRDs".into(), enabled.into());
    } else if enabled {
        values.insert("crds".into(), json!({"enabled": true, "keep": true}));
    } else {
        values.insert("crds".into(), json!({"enabled": false}));
    }
    values
}
