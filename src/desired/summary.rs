//! What a plan shows of a resource: the group it belongs to, its kind in words, and the values that matter in a review.
//! Pure: no I/O.

use std::fmt;

use serde_json::Value;

use super::{
    Desired, monitoring, names,
    pool::probe,
    resource::{
        HelmRelease, Resource, SecretContent,
        aws::{AwsResource, Direction, SecurityGroupRule},
        scale_set::ScaleSet,
    },
};
use crate::profile::Schedule;

/// A heading of the plan, in the order in which headings are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Group {
    /// Namespaces, and what is only arcctl's own.
    Namespaces,
    /// Everything at AWS, and the service account that has the role.
    Aws,
    /// cert-manager.
    CertManager,
    /// The controller, and what has no other group.
    #[default]
    Controller,
    /// Alerts and the dashboard.
    Monitoring,
    /// A pool, by its name.
    Pool(String),
    /// What differs from the lock.
    Lock,
}

/// What a plan shows of a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Where it is shown.
    pub group: Group,
    /// The kind in words where the id has none that a reader knows; else empty.
    pub label: &'static str,
    /// The values that matter, each with its name.
    pub values: Vec<(&'static str, String)>,
    /// All of it, for `-v`: the manifest, the values of the chart, the statements; null if there is nothing more.
    pub whole: Value,
}

impl fmt::Display for Group {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces => formatter.write_str("Namespaces"),
            Self::Aws => formatter.write_str("AWS"),
            Self::CertManager => formatter.write_str("cert-manager"),
            Self::Controller => formatter.write_str("Controller"),
            Self::Monitoring => formatter.write_str("Monitoring"),
            Self::Pool(name) => write!(formatter, "Pool {name}"),
            Self::Lock => formatter.write_str("Differences from the lock"),
        }
    }
}

impl Group {
    /// Its place among the headings; pools are shown in the order of the profile.
    pub const fn rank(&self) -> u8 {
        match self {
            Self::Namespaces => 0,
            Self::Aws => 1,
            Self::CertManager => 2,
            Self::Controller => 3,
            Self::Monitoring => 4,
            Self::Pool(_) => 5,
            Self::Lock => 6,
        }
    }
}

/// The summary of a resource.
pub fn summary(desired: &Desired) -> Summary {
    let (label, values, whole) = match &desired.resource {
        Resource::Object(object) => {
            let (label, values) = object_values(&object.manifest);
            (label, values, object.manifest.clone())
        }
        Resource::ControllerSecret(it) => ("", one("credential", &it.credential), Value::Null),
        Resource::Secret(it) => (it.content.label(), Vec::new(), Value::Null),
        Resource::Crds(crds) => {
            let names = crds.names.len();
            let chart = format!(
                "{names} CRDs of chart {} {}",
                crds.chart.name, crds.chart.version
            );
            ("", one("from", &chart), Value::Null)
        }
        Resource::Release(release) => ("", release_values(release), release.values.clone()),
        Resource::Aws(it) => aws_values(it),
        Resource::Webhook(_) => ("admits and denies requests", Vec::new(), Value::Null),
        Resource::RunnerPods(_) => ("pods are ready", Vec::new(), Value::Null),
        Resource::Registration(it) => (
            "runners are online",
            promised(it.min, it.schedule.as_ref(), "at least"),
            Value::Null,
        ),
        Resource::ScaleSet(it) => ("registered, listens", set_values(it), Value::Null),
        Resource::ScaleSetMinimum(it) => (
            "minimum in force",
            promised(it.min, it.schedule.as_ref(), "idle at least"),
            Value::Null,
        ),
        Resource::ScaleSetRunners(_) => ("runners wait", Vec::new(), Value::Null),
        Resource::ScaleSetOnline(it) => (
            "runners are online",
            promised(it.min, it.schedule.as_ref(), "idle at least"),
            Value::Null,
        ),
        Resource::ImagePull(it) => {
            let images: Vec<&str> = it.images().collect();
            (
                "pulls images ahead",
                one("images", &images.join(", ")),
                it.daemon_set.clone(),
            )
        }
        Resource::Probe(it) => ("", Vec::new(), it.job.clone()),
        Resource::Restart(_)
        | Resource::Drain(_)
        | Resource::ScaleSetDrain(_)
        | Resource::Webhooks(_)
        | Resource::Ghosts { .. } => ("", Vec::new(), Value::Null),
    };
    Summary {
        group: group(desired),
        label,
        values,
        whole,
    }
}

/// The heading of a resource.
pub fn group(desired: &Desired) -> Group {
    let id = &desired.id;
    match &desired.resource {
        Resource::RunnerPods(it) | Resource::Registration(it) => {
            return Group::Pool(it.pool.clone());
        }
        Resource::Drain(it) => return Group::Pool(it.pool.clone()),
        Resource::ImagePull(it) => return Group::Pool(it.pool.clone()),
        Resource::ScaleSet(it)
        | Resource::ScaleSetMinimum(it)
        | Resource::ScaleSetRunners(it)
        | Resource::ScaleSetOnline(it) => return Group::Pool(it.name.clone()),
        Resource::ScaleSetDrain(it) => return Group::Pool(it.name.clone()),
        Resource::Release(it) if it.chart.name == names::SCALE_SET_CHART => {
            return Group::Pool(it.name.clone());
        }
        Resource::Probe(it) => {
            let labels = &it.job["spec"]["template"]["metadata"]["labels"];
            if let Some(pool) = labels[probe::LABEL].as_str() {
                return Group::Pool(pool.to_owned());
            }
        }
        Resource::Secret(it) => {
            if let SecretContent::Credential { pool } = &it.content {
                return Group::Pool(pool.clone());
            }
        }
        Resource::Object(it) => {
            // The autoscaler of another owner may have a name of its own.
            if let Some(pool) = it.manifest["spec"]["scaleTargetRef"]["name"].as_str() {
                return Group::Pool(pool.to_owned());
            }
        }
        _ => {}
    }
    match id.kind() {
        "namespace" | "lease" => Group::Namespaces,
        "runner-deployment" => Group::Pool(id.name().to_owned()),
        // The account that writes the minimums of scale sets has no role.
        "service-account" if id.name().starts_with(names::SCHEDULE_MANAGER) => Group::Controller,
        "service-account" => Group::Aws,
        "pod-monitor" | "prometheus-rule" | "service-monitor" => Group::Monitoring,
        "config-map" if id.name() == monitoring::DASHBOARD => Group::Monitoring,
        "crds" | "helm-release" | "webhook" if id.name().starts_with("cert-manager") => {
            Group::CertManager
        }
        _ if id.is_at_aws() => Group::Aws,
        _ => Group::Controller,
    }
}

type Values = Vec<(&'static str, String)>;

fn one(name: &'static str, value: &str) -> Values {
    if value.is_empty() {
        return Vec::new();
    }
    vec![(name, value.to_owned())]
}

/// Strings as they are, lists and objects of strings in one line, other values as JSON; nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            items.join(", ")
        }
        Value::Object(fields) if fields.values().all(Value::is_string) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(key, it)| format!("{key} {}", text(it)))
                .collect();
            fields.join(", ")
        }
        other => other.to_string(),
    }
}

/// The values at these pointers that are there.
fn picked(manifest: &Value, pointers: &[(&'static str, &str)]) -> Values {
    pointers
        .iter()
        .filter_map(|(name, pointer)| Some((*name, manifest.pointer(pointer)?)))
        .flat_map(|(name, value)| one(name, &text(value)))
        .collect()
}

fn object_values(manifest: &Value) -> (&'static str, Values) {
    match manifest["kind"].as_str() {
        Some("RunnerDeployment") => (
            "",
            picked(
                manifest,
                &[
                    ("enterprise", "/spec/template/spec/enterprise"),
                    ("organization", "/spec/template/spec/organization"),
                    ("repository", "/spec/template/spec/repository"),
                    ("group", "/spec/template/spec/group"),
                    ("image", "/spec/template/spec/image"),
                    ("labels", "/spec/template/spec/labels"),
                    ("service account", "/spec/template/spec/serviceAccountName"),
                    ("requests", "/spec/template/spec/resources/requests"),
                    ("limits", "/spec/template/spec/resources/limits"),
                ],
            ),
        ),
        Some("HorizontalRunnerAutoscaler") => ("", autoscaler_values(manifest)),
        Some("ServiceAccount") => (
            "",
            picked(
                manifest,
                &[("role", "/metadata/annotations/eks.amazonaws.com~1role-arn")],
            ),
        ),
        Some("PodMonitor") => ("metrics", Vec::new()),
        Some("PrometheusRule") => ("alerts", Vec::new()),
        Some("CronJob") => (
            "writes the minimums",
            picked(manifest, &[("starts", "/spec/schedule")]),
        ),
        Some("ConfigMap") if manifest["metadata"]["name"] == monitoring::DASHBOARD => {
            ("dashboard", Vec::new())
        }
        _ => ("", Vec::new()),
    }
}

fn autoscaler_values(manifest: &Value) -> Values {
    let spec = &manifest["spec"];
    let (min, max) = (&spec["minReplicas"], &spec["maxReplicas"]);
    let mut values = one("runners", &format!("min {min}, max {max}"));
    let metrics = spec["metrics"].as_array().into_iter().flatten();
    let metrics: Vec<&str> = metrics.filter_map(|it| it["type"].as_str()).collect();
    values.extend(one("metrics", &metrics.join(", ")));
    values
}

/// What a scale set is at GitHub.
fn set_values(it: &ScaleSet) -> Values {
    let mut values = one("group", it.group.as_deref().unwrap_or_default());
    values.extend(one("labels", &it.labels.join(", ")));
    values.extend(one("at most", &it.max.to_string()));
    values
}

/// The minimum and its windows, in the profile's words.
fn promised(min: u32, schedule: Option<&Schedule>, what: &'static str) -> Values {
    let Some(schedule) = schedule else {
        return one(what, &min.to_string());
    };
    let mut values = one(what, &format!("{min} outside the windows"));
    values.extend(schedule.windows.iter().map(|window| {
        let (name, min, zone) = (&window.name, window.min, &schedule.time_zone);
        (
            "window",
            format!("{name}: at least {min} {window} ({zone})"),
        )
    }));
    values
}

fn release_values(release: &HelmRelease) -> Values {
    let chart = &release.chart;
    let mut values = one(
        "chart",
        &format!("{} {} from {}", chart.name, chart.version, chart.location),
    );
    values.extend(picked(
        &release.values,
        &[
            ("replicas", "/replicaCount"),
            ("webhook port", "/webhookPort"),
            ("sync period", "/syncPeriod"),
            ("GitHub server", "/githubEnterpriseServerURL"),
            ("only namespace", "/scope/watchNamespace"),
            ("at", "/githubConfigUrl"),
            ("group", "/runnerGroup"),
            ("labels", "/scaleSetLabels"),
            ("idle at least", "/minRunners"),
            ("at most", "/maxRunners"),
            ("image", "/template/spec/containers/0/image"),
            ("requests", "/template/spec/containers/0/resources/requests"),
            ("limits", "/template/spec/containers/0/resources/limits"),
            ("service account", "/template/spec/serviceAccountName"),
        ],
    ));
    values
}

fn aws_values(resource: &AwsResource) -> (&'static str, Values, Value) {
    match resource {
        AwsResource::Provider(it) => ("IAM OIDC provider", one("issuer", &it.issuer), Value::Null),
        AwsResource::Role(it) => {
            let mut values = one("assumed by", &subjects(&it.trust));
            values.extend(one("policies", &it.managed_policies.join(", ")));
            values.extend(one(
                "boundary",
                it.permissions_boundary.as_deref().unwrap_or_default(),
            ));
            ("IAM role", values, it.trust.clone())
        }
        AwsResource::RolePolicy(it) => (
            "policy in the role",
            it.statements.iter().flat_map(allows).collect(),
            Value::Array(it.statements.clone()),
        ),
        AwsResource::BucketPolicy(it) => (
            "statements in the bucket's policy",
            it.statements.iter().flat_map(allows).collect(),
            Value::Array(it.statements.clone()),
        ),
        AwsResource::Association(it) => (
            "EKS Pod Identity association",
            one("role", &it.role_arn),
            Value::Null,
        ),
        AwsResource::Rule(it) => ("security group rule", rule_values(it), Value::Null),
    }
}

/// Who the statement of a trust policy lets assume the role: service accounts, or pods by EKS Pod Identity.
fn subjects(trust: &Value) -> String {
    let conditions = trust["Condition"].as_object().into_iter().flatten();
    let found: Vec<String> = conditions
        .filter_map(|(_, keys)| keys.as_object())
        .flatten()
        .filter(|(key, _)| key.ends_with(":sub") || key.ends_with("kubernetes-service-account"))
        .map(|(_, value)| account(&text(value)))
        .collect();
    found.join(", ")
}

/// The subject of a token in words.
fn account(subject: &str) -> String {
    let names = subject.strip_prefix("system:serviceaccount:");
    match names.and_then(|it| it.split_once(':')) {
        Some((namespace, name)) => format!("service account {namespace}/{name}"),
        None => subject.to_owned(),
    }
}

fn allows(statement: &Value) -> Values {
    let (actions, resource) = (text(&statement["Action"]), text(&statement["Resource"]));
    one("allows", &format!("{actions} on {resource}"))
}

fn rule_values(it: &SecurityGroupRule) -> Values {
    let (group, peer, port) = (&it.group, it.peer.name(), it.port);
    let direction = match it.direction {
        Direction::Ingress => format!("into {group} from {peer}"),
        Direction::Egress => format!("from {group} to {peer}"),
    };
    let mut values = one("allows", &format!("TCP {port} {direction}"));
    values.extend(one("so that", &it.purpose));
    values
}
