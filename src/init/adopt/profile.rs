//! The profile of an installation made by hand. Pure: no I/O.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    found::{Controller, Gap, Installation, place, scales},
    pool::pool,
    values::{default_image, default_pull_secrets, pull_secrets, without_replaced},
};
use crate::{
    desired::{charts::controller::is_reserved, names},
    init::{
        answers::{Answers, Key, Place},
        text::{Extras, name},
    },
    profile::Scope,
    secret::value::told,
    units::image,
};

/// A profile, and what it does not say.
pub(crate) struct Adopted {
    /// The profile.
    pub value: Map<String, Value>,
    /// What it does not say of the installation.
    pub gaps: Vec<Gap>,
    /// The answers, with those that the installation gave.
    pub answers: Answers,
}

/// The profile of `found`. `answers` have the cluster and the credential; `zone` is the time zone to prefer.
pub(crate) fn adopted(
    found: &Installation,
    answers: &Answers,
    extras: &Extras,
    zone: Option<&str>,
) -> Adopted {
    let mut gaps = Vec::new();
    let mut answers = answers.clone();
    let scope = scope(found);
    if answers.scope().is_none() {
        answers.set(Key::Scope, scope);
    }
    let mut value = Map::new();
    value.insert("apiVersion".into(), "arcctl.dev/v1".into());
    value.insert("name".into(), name(&answers, extras).into());
    value.insert("cluster".into(), cluster(&answers));
    value.insert("github".into(), github(found, &answers));
    value.insert(
        "controller".into(),
        controller(&found.controller, &mut gaps),
    );
    if let Some(place) = &extras.charts {
        value.insert(
            "charts".into(),
            json!({"certManager": place, "controller": place}),
        );
    }
    let secrets = pull_secrets(&found.controller);
    if !secrets.is_empty() {
        value.insert("images".into(), json!({"pullSecrets": secrets}));
    }
    let pools = found.deployments.iter().map(|deployment| {
        let (namespace, name) = place(deployment);
        let of: Vec<&Value> = found
            .autoscalers
            .iter()
            .filter(|it| scales(it, deployment))
            .collect();
        let mut pool = pool(deployment, &of, zone);
        other_scope(deployment, &answers, &mut pool.value);
        let object = format!("runner-deployment/{namespace}/{name}");
        default_image(&found.controller, &object, &mut pool.value, &mut pool.gaps);
        default_pull_secrets(&found.controller, &mut pool.value);
        labels(&mut pool.value, &object, &mut pool.gaps);
        pool_without_secrets(&mut pool.value, &object, &mut pool.gaps);
        gaps.append(&mut pool.gaps);
        Value::Object(pool.value)
    });
    let pools: Vec<Value> = pools.collect();
    value.insert("pools".into(), pools.into());
    for account in &found.accounts {
        role(account, &mut gaps);
    }
    gaps.extend(found.sets.iter().map(left_out));
    Adopted {
        value,
        gaps,
        answers,
    }
}

/// The scope that most `RunnerDeployments` have.
fn scope(found: &Installation) -> Option<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for deployment in &found.deployments {
        if let Some(scope) = scope_of(deployment) {
            *counts.entry(scope).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|it| it.1).map(|it| it.0)
}

fn scope_of(deployment: &Value) -> Option<String> {
    let spec = &deployment["spec"]["template"]["spec"];
    ["enterprise", "organization", "repository"]
        .into_iter()
        .find_map(|kind| {
            let name = spec[kind].as_str().filter(|it| !it.is_empty())?;
            Some(format!("{kind}:{name}"))
        })
}

/// The scope of a pool that is not that of the profile.
fn other_scope(deployment: &Value, answers: &Answers, pool: &mut Map<String, Value>) {
    let own = scope_of(deployment);
    let Some((kind, name)) = own.as_deref().and_then(|it| it.split_once(':')) else {
        return;
    };
    if own.as_deref() != answers.get(Key::Scope) {
        pool.insert("github".into(), json!({kind: name}));
    }
}

fn cluster(answers: &Answers) -> Value {
    match answers.place() {
        Some(Place::Eks { name, region }) => json!({"eks": name, "region": region}),
        Some(Place::Context(name)) => json!({"context": name}),
        None => json!({}),
    }
}

fn github(found: &Installation, answers: &Answers) -> Value {
    let mut github = Map::new();
    let url = found.controller.values["githubEnterpriseServerURL"].as_str();
    if let Some(url) = url.filter(|it| !it.is_empty()) {
        github.insert("url".into(), url.trim_end_matches('/').into());
    }
    if let Some(scope) = answers.scope() {
        let (kind, name) = match scope {
            Scope::Enterprise(name) => ("enterprise", name),
            Scope::Organization(name) => ("organization", name),
            Scope::Repository(name) => ("repository", name),
        };
        github.insert(kind.into(), name.into());
    }
    let source = answers
        .source()
        .and_then(|it| serde_json::to_value(it).ok());
    match answers.app().filter(|_| answers.is_app()) {
        Some((id, installation)) => {
            let app = json!({"id": id, "installationId": installation, "privateKey": source});
            github.insert("app".into(), app);
        }
        None => drop(github.insert("token".into(), source.unwrap_or_default())),
    }
    if let Some(file) = answers.whole(Key::CaBundle) {
        github.insert("caBundle".into(), json!({"file": file}));
    }
    github.into()
}

/// Values that have a key of their own in the profile, or that arcctl sets itself beside the reserved ones; by the first part
/// of their path.
const OWN: [&str; 3] = ["podAnnotations", "replicaCount", "syncPeriod"];

fn controller(found: &Controller, gaps: &mut Vec<Gap>) -> Value {
    let mut controller = Map::new();
    let values = &found.values;
    if found.namespace != names::SYSTEM_NAMESPACE {
        controller.insert("namespace".into(), found.namespace.as_str().into());
    }
    if found.release != names::CONTROLLER {
        controller.insert("release".into(), found.release.as_str().into());
    }
    let version = found.chart_version.trim_start_matches('v');
    controller.insert("chartVersion".into(), version.into());
    let replicas = found.deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    controller.insert("replicas".into(), replicas.max(1).into());
    let port = found
        .argument("--port")
        .and_then(|it| it.parse::<u64>().ok());
    let port = port.or_else(|| values["webhookPort"].as_u64());
    if let Some(port) = port {
        controller.insert("webhookPort".into(), port.into());
    }
    let sync = found
        .argument("--sync-period")
        .or_else(|| values["syncPeriod"].as_str());
    if let Some(sync) = sync {
        controller.insert("syncPeriod".into(), sync.into());
    }
    let docker = found.argument("--docker-image");
    let docker = docker.or_else(|| values["image"]["dindSidecarRepositoryAndTag"].as_str());
    if let Some(docker) = docker {
        controller.insert("dockerImage".into(), docker.into());
    }
    if let Some(watched) = found.watched() {
        controller.insert("watchNamespace".into(), watched.into());
    }
    let left = passed_values(found, gaps);
    if !left.is_empty() {
        controller.insert("values".into(), left.into());
    }
    controller.into()
}

/// The values that arcctl passes through.
fn passed_values(found: &Controller, gaps: &mut Vec<Gap>) -> Map<String, Value> {
    let values = &found.values;
    let mut left = values.as_object().cloned().unwrap_or_default();
    left.retain(|key, value| !OWN.contains(&key.as_str()) && !is_reserved(key) && !value.is_null());
    without_replaced(&mut left, found, gaps);
    for key in ["fullnameOverride", "nameOverride"] {
        if values[key].as_str().is_some_and(|it| !it.is_empty()) {
            gaps.push(Gap {
                object: format!("helm-release/{}/{}", found.namespace, found.release),
                path: format!("values.{key}"),
                why: "arcctl finds the controller by the names that the chart makes of the release; with another name it is installed a second time: uninstall this one first".into(),
            });
        }
    }
    let object = format!("helm-release/{}/{}", found.namespace, found.release);
    without_secrets(&mut left, &object, "values", gaps);
    left
}

/// Removes the entries that contain a secret: a profile is a file that somebody commits.
fn without_secrets(map: &mut Map<String, Value>, object: &str, path: &str, gaps: &mut Vec<Gap>) {
    const HOW: &str = "it contains a secret, and none is written into a profile: give it from a Secret (`valueFrom`), or write it in by hand";
    left_out_where_secret(map, object, path, HOW, gaps);
}

/// Removes the entries that contain a secret, and tells `why`.
fn left_out_where_secret(
    map: &mut Map<String, Value>,
    object: &str,
    path: &str,
    why: &str,
    gaps: &mut Vec<Gap>,
) {
    map.retain(|key, value| {
        let entry = json!({key: value});
        let plain = told(&entry) == entry;
        if !plain {
            gaps.push(Gap {
                object: object.to_owned(),
                path: format!("{path}.{key}"),
                why: why.into(),
            });
        }
        plain
    });
}

/// The same for the variables, the passed-through fields, the labels and the annotations of a pool.
fn pool_without_secrets(pool: &mut Map<String, Value>, object: &str, gaps: &mut Vec<Gap>) {
    if let Some(Value::Object(template)) = pool.get_mut("template") {
        without_secrets(template, object, "spec.template.spec", gaps);
        if template.is_empty() {
            pool.remove("template");
        }
    }
    if let Some(Value::Array(variables)) = pool.get_mut("env") {
        variables.retain(|it| {
            let plain = told(it) == *it;
            if !plain {
                gaps.push(Gap {
                    object: object.to_owned(),
                    path: "spec.template.spec.env".into(),
                    why: format!("variable {} is a secret, and none is written into a profile: use `valueFrom: {{secretKeyRef: …}}`", it["name"]),
                });
            }
            plain
        });
        if variables.is_empty() {
            pool.remove("env");
        }
    }
    for (key, path) in [
        ("metadata", "metadata"),
        ("podMetadata", "spec.template.metadata"),
    ] {
        let Some(Value::Object(parts)) = pool.get_mut(key) else {
            continue;
        };
        for (part, entries) in parts.iter_mut() {
            if let Value::Object(entries) = entries {
                // Other tools keep the whole object in an annotation, with the environment of the runners.
                let why =
                    "it contains a secret: it is left out of the profile, and stays on the object";
                left_out_where_secret(entries, object, &format!("{path}.{part}"), why, gaps);
            }
        }
        parts.retain(|_, it| *it != json!({}));
        if parts.is_empty() {
            pool.remove(key);
        }
    }
}

/// A label that names another system than the image is an error of a profile: it is left out.
fn labels(pool: &mut Map<String, Value>, object: &str, gaps: &mut Vec<Gap>) {
    let Some(system) = pool
        .get("image")
        .and_then(Value::as_str)
        .and_then(image::ubuntu_of)
    else {
        return;
    };
    let Some(labels) = pool.get_mut("labels").and_then(Value::as_array_mut) else {
        return;
    };
    labels.retain(|label| {
        let named = label.as_str().and_then(image::ubuntu);
        let wrong = named.is_some_and(|it| it != system);
        if wrong {
            gaps.push(Gap {
                object: object.to_owned(),
                path: "spec.template.spec.labels".into(),
                why: format!("label {label} is left out: the image has Ubuntu {}.{:02}, and a job that asks for the label gets the wrong system; workflows with it need the right label", system.0, system.1),
            });
        }
        !wrong
    });
}

/// A `RunnerSet` stays as it is.
fn left_out(set: &Value) -> Gap {
    let (namespace, name) = place(set);
    Gap {
        object: format!("runner-set/{namespace}/{name}"),
        path: String::new(),
        why: "a profile has no RunnerSets: it stays as it is, and the controller that arcctl takes over keeps serving it; to have it managed, make a pool with its labels and delete it once no job uses it".into(),
    }
}

/// The role of a `ServiceAccount`: the account is used as it is.
fn role(account: &Value, gaps: &mut Vec<Gap>) {
    let (namespace, name) = place(account);
    let annotation = "eks.amazonaws.com/role-arn";
    if let Some(role) = account["metadata"]["annotations"][annotation].as_str() {
        gaps.push(Gap {
            object: format!("service-account/{namespace}/{name}"),
            path: format!("metadata.annotations.{annotation}"),
            why: format!("the account is used as it is, with its role {role}; to let arcctl keep the role's trust policy, write `aws: {{irsa: {{role: {role}, serviceAccount: {name}}}}}` in place of the pools' `serviceAccount` (needs cluster.eks)"),
        });
    }
}
