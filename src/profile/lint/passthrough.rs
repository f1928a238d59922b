//! Rules about what is passed through: a key that arcctl sets itself is an error there. Pure.

use serde_json::{Map, Value};

use super::{
    super::{Pool, Profile},
    Path, Report,
};

/// Keys of the chart's values that a profile says in its own words, or that arcctl relies on.
const VALUES: [(&str, &str); 17] = [
    ("replicaCount", "use `controller.replicas`"),
    ("webhookPort", "use `controller.webhookPort`"),
    ("syncPeriod", "use `controller.syncPeriod`"),
    (
        "image.dindSidecarRepositoryAndTag",
        "use `controller.dockerImage`",
    ),
    (
        "image.actionsRunnerRepositoryAndTag",
        "use the pool's `image`",
    ),
    (
        "image.actionsRunnerImagePullSecrets",
        "use `images.pullSecrets`",
    ),
    ("githubEnterpriseServerURL", "use `github.url`"),
    ("githubURL", "use `github.url`"),
    ("githubUploadURL", "use `github.url`"),
    ("authSecret", "use `github.token` or `github.app`"),
    ("imagePullSecrets", "use `images.pullSecrets`"),
    ("metrics.serviceMonitor", "use `monitoring.serviceMonitor`"),
    ("metrics.serviceMonitorLabels", "use `monitoring.labels`"),
    (
        "certManagerEnabled",
        "remove it: the webhooks' certificate is cert-manager's here",
    ),
    (
        "fullnameOverride",
        "remove it: arcctl finds the controller by its name",
    ),
    (
        "nameOverride",
        "remove it: arcctl finds the controller by its name",
    ),
    ("scope", "remove it: the controller watches all namespaces"),
];

/// Keys of a runner's template that a profile says in its own words, or that are someone else's.
const TEMPLATE: [(&str, &str); 16] = [
    (
        "replicas",
        "remove it: the autoscaler owns the number; use `min` and `max`",
    ),
    ("effectiveTime", "remove it: the controller owns it"),
    ("image", "use the pool's `image`"),
    ("labels", "use the pool's `labels`"),
    ("group", "use the pool's `group`"),
    ("enterprise", "use `github.enterprise`"),
    ("organization", "use `github.organization`"),
    ("repository", "use `github.repository`"),
    ("containerMode", "use the pool's `containerMode`"),
    ("dockerEnabled", "use the pool's `containerMode`"),
    (
        "dockerdWithinRunnerContainer",
        "use the pool's `containerMode`",
    ),
    ("workVolumeClaimTemplate", "use the pool's `containerMode`"),
    (
        "serviceAccountName",
        "use `serviceAccount` in `aws.irsa` or `aws.podIdentity`",
    ),
    (
        "githubAPICredentialsFrom",
        "use `github.token` or `github.app`",
    ),
    ("resources", "use the pool's `resources.runner`"),
    (
        "dockerdContainerResources",
        "use the pool's `resources.docker`",
    ),
];

pub(super) fn check_values(profile: &Profile, report: &mut Report) {
    let path = Path::from(["controller", "values"]);
    collisions(&profile.controller.values, &VALUES, &path, report);
}

pub(super) fn check_template(pool: &Pool, path: &Path, report: &mut Report) {
    let path = path.key("template");
    collisions(&pool.template, &TEMPLATE, &path, report);
    if pool.template.get("ephemeral") == Some(&Value::Bool(false)) {
        report.advice(
            path.key("ephemeral"),
            "runners that are not ephemeral restart in a loop when they are scaled",
            "remove it: one job per runner is the default",
        );
    }
}

fn collisions(
    values: &Map<String, Value>,
    known: &[(&str, &str)],
    path: &Path,
    report: &mut Report,
) {
    for (key, hint) in known {
        let mut place = path.clone();
        let mut value = Some(values);
        let mut keys = key.split('.').peekable();
        while let Some(part) = keys.next() {
            let Some(found) = value.and_then(|value| value.get(part)) else {
                break;
            };
            place = place.key(part);
            value = found.as_object();
            if keys.peek().is_none() {
                report.error(place.clone(), format!("`{key}` is set by arcctl"), *hint);
            }
        }
    }
}
