//! Rules for pass-through values: keys that arcctl sets itself are errors. Pure.

use serde_json::{Map, Value};

use super::{Path, Report};
use crate::profile::{Pool, Profile};

/// Chart values that the profile has its own keys for, or that arcctl relies on.
const VALUES: [(&str, &str); 18] = [
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
        "use `controller.release`: arcctl finds the controller by its name",
    ),
    (
        "nameOverride",
        "use `controller.release`: arcctl finds the controller by its name",
    ),
    (
        "leaderElectionId",
        "remove it: it follows from `controller.release`",
    ),
    ("scope", "use `controller.watchNamespace`"),
];

/// The same for cert-manager's chart.
const CERT_MANAGER_VALUES: [(&str, &str); 7] = [
    (
        "crds",
        "remove it: arcctl applies the CRDs itself, outside the release",
    ),
    (
        "installCRDs",
        "remove it: arcctl applies the CRDs itself, outside the release",
    ),
    (
        "startupapicheck.enabled",
        "remove it: helm would wait for this check, and arcctl makes a stricter one itself",
    ),
    ("global.imagePullSecrets", "use `images.pullSecrets`"),
    ("namespace", "use `certManager.namespace`"),
    (
        "nameOverride",
        "remove it: arcctl finds cert-manager by the names that its chart gives",
    ),
    (
        "fullnameOverride",
        "remove it: arcctl finds cert-manager by the names that its chart gives",
    ),
];

/// The same for the chart of GitHub's own controller. Its comments show some flags where its template does not read them
/// (reference: scale-sets.md 2.2).
const SCALE_SET_VALUES: [(&str, &str); 4] = [
    ("replicaCount", "use `scaleSets.replicas`"),
    ("namespaceOverride", "use `scaleSets.namespace`"),
    ("flags.logLevel", "use `scaleSets.logLevel`"),
    ("metrics", "use `scaleSets.metrics`"),
];

/// Keys of a runner's template that the profile has its own keys for, or that other programs set.
const TEMPLATE: [(&str, &str); 17] = [
    (
        "replicas",
        "remove it: the autoscaler owns the number; use `min` and `max`",
    ),
    ("effectiveTime", "remove it: the controller owns it"),
    ("image", "use the pool's `image`"),
    (
        "labels",
        "use the pool's `labels`; labels of the pods are `podMetadata.labels`",
    ),
    ("group", "use the pool's `group`"),
    (
        "enterprise",
        "use `github.enterprise`, the profile's or the pool's",
    ),
    (
        "organization",
        "use `github.organization`, the profile's or the pool's",
    ),
    (
        "repository",
        "use `github.repository`, the profile's or the pool's",
    ),
    ("containerMode", "use the pool's `containerMode`"),
    ("dockerEnabled", "use the pool's `containerMode`"),
    (
        "dockerdWithinRunnerContainer",
        "use the pool's `containerMode: dindInRunner`",
    ),
    ("workVolumeClaimTemplate", "use the pool's `containerMode`"),
    ("serviceAccountName", "use the pool's `serviceAccount`"),
    (
        "githubAPICredentialsFrom",
        "use the pool's `github.token` or `github.app`",
    ),
    ("resources", "use the pool's `resources.runner`"),
    (
        "dockerdContainerResources",
        "use the pool's `resources.docker`",
    ),
    (
        "ephemeralContainers",
        "remove it: Kubernetes adds them to pods that run, with `kubectl debug`",
    ),
];

/// Keys that users write in a template although the CRD does not have them, and the correct keys; first those that a
/// profile has a key for, then those of the container, then those that the controller cannot set (reference: arc.md
/// 2.1).
const NOT_IN_A_TEMPLATE: [(&str, &str); 50] = [
    ("metadata", "use the pool's `podMetadata`"),
    ("podMetadata", "move it one level up, beside `template`"),
    ("podLabels", "use the pool's `podMetadata.labels`"),
    ("podAnnotations", "use the pool's `podMetadata.annotations`"),
    ("annotations", "use the pool's `podMetadata.annotations`"),
    ("serviceAccount", "use the pool's `serviceAccount`"),
    (
        "spec",
        "write what is in `spec` here, directly below `template`",
    ),
    (
        "template",
        "write what is in its `spec` here, directly below `template`",
    ),
    ("podSecurityContext", "write `securityContext`"),
    ("fsGroup", "use the pool's `fsGroup`"),
    ("sidecars", "write `sidecarContainers`"),
    ("extraVolumes", "write `volumes`"),
    ("extraVolumeMounts", "write `volumeMounts`"),
    (
        "command",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "args",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "lifecycle",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "livenessProbe",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "readinessProbe",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "startupProbe",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "ports",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    ("hostNetwork", CANNOT),
    ("hostPID", CANNOT),
    ("hostIPC", CANNOT),
    ("hostname", CANNOT),
    (
        "nodeName",
        "use the pool's `nodeSelector`: the controller hands no node's name on",
    ),
    (
        "restartPolicy",
        "remove it: the controller always sets `Never`",
    ),
    ("schedulerName", CANNOT),
    ("schedulingGates", CANNOT),
    ("shareProcessNamespace", CANNOT),
    (
        "strategy",
        "remove it: the controller always replaces all runners of a pool at once",
    ),
    ("activeDeadlineSeconds", CANNOT),
    ("hostUsers", CANNOT),
    ("hostnameOverride", CANNOT),
    ("os", CANNOT),
    ("overhead", CANNOT),
    ("preemptionPolicy", CANNOT),
    ("readinessGates", CANNOT),
    ("resourceClaims", CANNOT),
    ("setHostnameAsFQDN", CANNOT),
    ("subdomain", CANNOT),
    ("priority", "write `priorityClassName`"),
    (
        "volumeClaimTemplates",
        "write `volumes` with an `ephemeral` volume: only a RunnerSet has such claims",
    ),
    (
        "selector",
        "remove it: the controller finds the pool's runners by labels of its own",
    ),
    (
        "workingDir",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "volumeDevices",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "stdin",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "tty",
        "write it in `containers`, in an entry of the name `runner`",
    ),
    (
        "privileged",
        "write it in `containers`, in an entry of the name `runner`, under `securityContext`",
    ),
    (
        "capabilities",
        "write it in `containers`, in an entry of the name `runner`, under `securityContext`",
    ),
    (
        "containerSecurityContext",
        "write it in `containers`, in an entry of the name `runner`, as `securityContext`",
    ),
];

/// Why a pod field is not available.
const CANNOT: &str =
    "remove it: the controller hands no such field to its pods, so runners cannot have it";

/// The profile key to use in place of a chart value (of `controller`, `certManager` or `scaleSets`) that users cannot set.
pub fn kept_value(section: &str, dotted: &str) -> Option<&'static str> {
    let known: &[(&str, &'static str)] = match section {
        "certManager" => &CERT_MANAGER_VALUES,
        "scaleSets" => &SCALE_SET_VALUES,
        _ => &VALUES,
    };
    let covers = |key: &str| {
        let rest = dotted.strip_prefix(key);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('.'))
    };
    known
        .iter()
        .find(|(key, _)| covers(key))
        .map(|(_, hint)| *hint)
}

pub(super) fn check_values(profile: &Profile, report: &mut Report) {
    let path = Path::from(["controller", "values"]);
    collisions(&profile.controller.values, &VALUES, &path, report);
    let theirs = &profile.cert_manager.values;
    let path = Path::from(["certManager", "values"]);
    collisions(theirs, &CERT_MANAGER_VALUES, &path, report);
    if theirs.get("cainjector").and_then(|it| it.get("enabled")) == Some(&Value::Bool(false)) {
        report.error(
            path.key("cainjector").key("enabled"),
            "without the CA injector no webhook gets the certificate authority that it is trusted by",
            "remove it",
        );
    }
    // With host networking the port is the node's, and kubelet uses that one (cert-manager's documentation on EKS).
    let webhook = |key: &str| theirs.get("webhook").and_then(|it| it.get(key));
    let port = webhook("securePort").and_then(Value::as_u64);
    if webhook("hostNetwork") == Some(&Value::Bool(true)) && port.is_none_or(|it| it == 10250) {
        report.error(
            path.key("webhook").key("hostNetwork"),
            "in the node's network cert-manager's webhook cannot have port 10250: kubelet listens there",
            "add `securePort: 10260` beside it",
        );
    }
}

pub(super) fn check_template(pool: &Pool, path: &Path, report: &mut Report) {
    let path = path.key("template");
    collisions(&pool.template, &TEMPLATE, &path, report);
    for (key, hint) in NOT_IN_A_TEMPLATE {
        if pool.template.contains_key(key) {
            report.error(
                path.key(key),
                format!("`{key}` is no field of a runner's template"),
                hint,
            );
        }
    }
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

#[cfg(test)]
mod tests {
    use super::super::super::schema;
    use super::*;

    /// Whether the schema has a key: `a.b` from its root or from a pool.
    fn exists(schema: &Value, key: &str) -> bool {
        fn below<'a>(schema: &'a Value, place: &'a Value, key: &str) -> Option<&'a Value> {
            let mut place = place;
            loop {
                let referred = place["$ref"].as_str();
                let one = place["anyOf"].as_array().and_then(|it| it.first());
                place = match (referred, one) {
                    (Some(name), _) => schema.pointer(name.trim_start_matches('#'))?,
                    (None, Some(one)) => one,
                    (None, None) => break,
                };
            }
            place["properties"].get(key)
        }
        let from = |root: Option<&Value>| {
            key.split('.')
                .try_fold(root?, |place, part| below(schema, place, part))
                .map(|_| ())
        };
        let pool = below(schema, schema, "pools").map(|it| &it["items"]);
        from(Some(schema)).is_some() || from(pool).is_some()
    }

    #[test]
    fn what_a_pass_through_may_not_set_has_a_key_or_a_reason() {
        let schema = schema();
        assert!(exists(&schema, "controller.watchNamespace"));
        assert!(exists(&schema, "github.organization"));
        assert!(exists(&schema, "podMetadata.labels"));
        assert!(!exists(&schema, "controller.scope"));
        let all = VALUES.iter().chain(&CERT_MANAGER_VALUES).chain(&TEMPLATE);
        for (key, hint) in all.chain(&NOT_IN_A_TEMPLATE) {
            let Some(rest) = hint.strip_prefix("use ") else {
                let starts = ["remove it: ", "write ", "move it "];
                let says =
                    |start: &&str| hint.strip_prefix(*start).is_some_and(|it| !it.is_empty());
                assert!(starts.iter().any(says), "{key}: {hint}");
                continue;
            };
            let named = rest.split('`').skip(1).step_by(2);
            let named: Vec<&str> = named.map(|it| it.split(':').next().unwrap_or(it)).collect();
            assert!(!named.is_empty(), "{key}: {hint}");
            for name in named {
                assert!(exists(&schema, name), "{key}: {name}");
            }
        }
    }
}
