//! What a reviewer of a plan wants to know of a resource: what it belongs to, what it is, the values that matter. Pure: no
//! I/O. No value of a Secret is in it, only where it comes from.

use serde_json::{Map, Value};

use super::{
    Desired,
    names::CERT_MANAGER,
    resource::{
        HelmRelease, Resource, SecretContent,
        aws::{AwsResource, IamRole},
    },
};
use crate::profile::{App, Pool, Profile, TokenSource};

/// A resource, for a reviewer.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// What it belongs to: `AWS`, `cert-manager`, `controller`, `runners`, or `pool NAME`.
    pub group: String,
    /// What it is, in words; empty where the id says it.
    pub label: String,
    /// The values that matter: name and value.
    pub values: Vec<(String, String)>,
    /// All of it: a manifest, a chart's values, a policy statement.
    pub whole: Value,
}

/// What a reviewer wants to know of `desired`.
pub fn review(profile: &Profile, desired: &Desired) -> Review {
    let mut review = Review {
        group: group(profile, desired),
        label: label(&desired.resource).to_owned(),
        values: Vec::new(),
        whole: Value::Null,
    };
    let mut say = |name: &str, value: String| review.values.push((name.to_owned(), value));
    match &desired.resource {
        Resource::Object(object) => {
            for (name, value) in of_object(profile, &object.manifest) {
                say(name, value);
            }
            review.whole = object.manifest.clone();
        }
        Resource::Release(release) => {
            for (name, value) in of_release(release) {
                say(&name, value);
            }
            review.whole = release.values.clone();
        }
        Resource::Crds(crds) => {
            say(
                "chart",
                format!("{} {}", crds.chart.name, crds.chart.version),
            );
        }
        Resource::ControllerSecret(secret) if secret.managed => {
            let github = &profile.github;
            let (key, source) = credential(github.token.as_ref(), github.app.as_ref());
            say(key, source);
        }
        Resource::Secret(secret) => {
            let (key, source) = own_secret(profile, &secret.content);
            say(key, source);
        }
        Resource::Aws(aws) => {
            for (name, value) in of_aws(aws) {
                say(name, value);
            }
            review.whole = match aws {
                AwsResource::Role(role) => role.trust.clone(),
                AwsResource::RolePolicy(policy) => policy.statements.clone().into(),
                AwsResource::BucketPolicy(policy) => policy.statements.clone().into(),
                _ => Value::Null,
            };
        }
        _ => {}
    }
    review
}

/// The key of a Secret of arcctl's own, and where its value comes from.
fn own_secret(profile: &Profile, content: &SecretContent) -> (&'static str, String) {
    let SecretContent::Credential { pool } = content else {
        return (
            "github_webhook_secret_token",
            "(made once, at random)".into(),
        );
    };
    let pool = profile.pools.iter().find(|it| it.name == *pool);
    let github = pool.and_then(|it| it.github.as_ref());
    let token = github.and_then(|it| it.token.as_ref());
    credential(token, github.and_then(|it| it.app.as_ref()))
}

/// What a resource belongs to.
fn group(profile: &Profile, desired: &Desired) -> String {
    let (id, namespace) = (&desired.id, desired.id.namespace().unwrap_or_default());
    let pool = |name: &str| format!("pool {name}");
    match &desired.resource {
        Resource::Aws(_) => return "AWS".into(),
        Resource::RunnerPods(it) | Resource::Registration(it) => return pool(&it.pool),
        Resource::Drain(it) => return pool(&it.pool),
        Resource::Secret(secret) => {
            if let SecretContent::Credential { pool: name } = &secret.content {
                return pool(name);
            }
        }
        Resource::Object(object) => {
            let kind = object.manifest["kind"].as_str().unwrap_or_default();
            let target = object.manifest["spec"]["scaleTargetRef"]["name"].as_str();
            match (kind, target) {
                ("RunnerDeployment", _) => return pool(id.name()),
                ("HorizontalRunnerAutoscaler", target) => {
                    return pool(target.unwrap_or_else(|| id.name()));
                }
                _ => {}
            }
        }
        _ => {}
    }
    let cert_manager = &profile.cert_manager.namespace;
    let is = |name: &str| namespace == name || (id.kind() == "namespace" && id.name() == name);
    if is(cert_manager) || (id.kind() == "crds" && id.name() == CERT_MANAGER) {
        "cert-manager".into()
    } else if !is(&profile.controller.namespace) && profile.runner_namespaces().into_iter().any(is)
    {
        "runners".into()
    } else {
        "controller".into()
    }
}

/// What a resource is, where its id does not say it.
const fn label(resource: &Resource) -> &'static str {
    match resource {
        Resource::ControllerSecret(_) => "the credential for GitHub",
        Resource::Webhook(_) => "its webhooks admit and deny",
        Resource::RunnerPods(_) => "its pods run",
        Resource::Registration(_) => "its runners are online at GitHub",
        Resource::Aws(AwsResource::Provider(_)) => "the cluster's tokens at IAM",
        Resource::Aws(AwsResource::Role(_)) => "the runners' role",
        Resource::Aws(AwsResource::RolePolicy(_)) => "what the role may do with buckets",
        Resource::Aws(AwsResource::BucketPolicy(_)) => "whom the bucket admits",
        Resource::Aws(AwsResource::Association(_)) => "the role of the runners' pods",
        Resource::Aws(AwsResource::Rule(_)) => "a rule of a security group",
        _ => "",
    }
}

/// The key of a credential, and where it comes from.
fn credential(token: Option<&TokenSource>, app: Option<&App>) -> (&'static str, String) {
    match app {
        Some(app) => (
            "github_app_private_key",
            format!("of the App {} ({})", app.id, source(Some(&app.private_key))),
        ),
        None => ("github_token", format!("({})", source(token))),
    }
}

fn source(source: Option<&TokenSource>) -> String {
    let Some(source) = source else {
        return "from the environment".into();
    };
    let text =
        |words: &str, name: &Option<String>| name.as_ref().map(|it| format!("from {words} {it}"));
    text("env", &source.env)
        .or_else(|| text("the file", &source.file))
        .or_else(|| text("Secrets Manager,", &source.secrets_manager))
        .or_else(|| text("SSM,", &source.ssm))
        .or_else(|| {
            let secret = source.kubernetes_secret.as_ref()?;
            Some(format!(
                "from the Secret {}/{}",
                secret.namespace, secret.name
            ))
        })
        .unwrap_or_else(|| "from the environment".into())
}

/// The chart, and the values at the top that are no maps.
fn of_release(release: &HelmRelease) -> Vec<(String, String)> {
    let chart = &release.chart;
    let mut found = vec![
        (
            "chart".to_owned(),
            format!("{} {}", chart.name, chart.version),
        ),
        ("from".to_owned(), chart.location.clone()),
    ];
    for (key, value) in release.values.as_object().into_iter().flatten() {
        if let Some(text) = scalar(value) {
            found.push((key.clone(), text));
        }
    }
    if let Some(image) = release.values.pointer("/image/dindSidecarRepositoryAndTag") {
        found.extend(scalar(image).map(|it| ("docker image".to_owned(), it)));
    }
    found
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn of_object(profile: &Profile, manifest: &Value) -> Vec<(&'static str, String)> {
    let (spec, metadata) = (&manifest["spec"], &manifest["metadata"]);
    let text = |key: &str| metadata[key].as_str().unwrap_or_default();
    let pool = profile.pool(text("namespace"), text("name"));
    match manifest["kind"].as_str() {
        Some("RunnerDeployment") => of_runners(&spec["template"]["spec"]),
        Some("HorizontalRunnerAutoscaler") => {
            let mut found = Vec::new();
            if spec["minReplicas"].is_number() {
                found.push((
                    "runners",
                    format!("{} to {}", spec["minReplicas"], spec["maxReplicas"]),
                ));
            }
            let metrics = spec["metrics"].as_array().into_iter().flatten();
            found.extend(metrics.filter_map(|it| Some(("scales by", scalar(&it["type"])?))));
            found.extend(pool.map(windows).unwrap_or_default());
            found
        }
        Some("ServiceAccount") => {
            let role = &metadata["annotations"]["eks.amazonaws.com/role-arn"];
            scalar(role).map(|it| ("role", it)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn of_runners(pod: &Value) -> Vec<(&'static str, String)> {
    let list = |value: &Value| -> Option<String> {
        let items: Vec<String> = value.as_array()?.iter().filter_map(scalar).collect();
        (!items.is_empty()).then(|| items.join(", "))
    };
    let pairs = |value: &Value| -> Option<String> {
        let fields: &Map<String, Value> = value.as_object()?;
        let fields: Vec<String> = fields
            .iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", scalar(value)?)))
            .collect();
        (!fields.is_empty()).then(|| fields.join(", "))
    };
    let scope = ["enterprise", "organization", "repository"];
    let scope = scope
        .iter()
        .find_map(|key| Some(format!("{key} {}", scalar(&pod[*key])?)));
    [
        ("for", scope),
        ("image", scalar(&pod["image"])),
        ("labels", list(&pod["labels"])),
        ("group", scalar(&pod["group"])),
        ("nodes", pairs(&pod["nodeSelector"])),
        ("requests", pairs(&pod["resources"]["requests"])),
        ("limits", pairs(&pod["resources"]["limits"])),
        ("service account", scalar(&pod["serviceAccountName"])),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// The windows in the words of the profile.
fn windows(pool: &Pool) -> Vec<(&'static str, String)> {
    let Some(schedule) = &pool.schedule else {
        return Vec::new();
    };
    let window = |it: &crate::profile::Window| {
        let text = format!(
            "{}: at least {}, {it} ({})",
            it.name, it.min, schedule.time_zone
        );
        ("window", text)
    };
    schedule.windows.iter().map(window).collect()
}

fn of_aws(resource: &AwsResource) -> Vec<(&'static str, String)> {
    match resource {
        AwsResource::Provider(it) => vec![("issuer", format!("https://{}", it.issuer))],
        AwsResource::Role(role) => of_role(role),
        AwsResource::RolePolicy(policy) => statements(&policy.statements),
        AwsResource::BucketPolicy(policy) => {
            let mut found = vec![("bucket", policy.bucket.clone())];
            found.extend(statements(&policy.statements));
            found
        }
        AwsResource::Association(it) => vec![
            ("role", it.role_arn.clone()),
            (
                "for",
                format!(
                    "the service account {}/{}",
                    it.namespace, it.service_account
                ),
            ),
        ],
        AwsResource::Rule(rule) => vec![
            (
                "allows",
                format!("TCP {} {} {}", rule.port, rule.direction, rule.peer.name()),
            ),
            ("in", rule.group.clone()),
            ("why", rule.purpose.clone()),
        ],
    }
}

fn of_role(role: &IamRole) -> Vec<(&'static str, String)> {
    let mut found = vec![(
        "trusts",
        role.trust["Principal"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, value)| scalar(value))
            .collect::<Vec<_>>()
            .join(", "),
    )];
    let conditions = role.trust["Condition"].as_object().into_iter().flatten();
    for (_, operands) in conditions {
        for (key, value) in operands.as_object().into_iter().flatten() {
            let key = key.rsplit(':').next().unwrap_or_default();
            let value = scalar(value).unwrap_or_else(|| value.to_string());
            found.push(("where", format!("{key} is {value}")));
        }
    }
    found.extend(
        role.managed_policies
            .iter()
            .map(|it| ("attached", it.clone())),
    );
    found
}

fn statements(statements: &[Value]) -> Vec<(&'static str, String)> {
    let list = |value: &Value| match value {
        Value::Array(items) => items
            .iter()
            .filter_map(scalar)
            .collect::<Vec<_>>()
            .join(", "),
        other => scalar(other).unwrap_or_default(),
    };
    let of = |it: &Value| {
        (
            "allows",
            format!("{} on {}", list(&it["Action"]), list(&it["Resource"])),
        )
    };
    statements.iter().map(of).collect()
}
