//! A pool's `RunnerDeployment`. Pure: no I/O.
//!
//! Never sets `replicas` (the autoscaler's; a new one gets its first by a write of its own) or `effectiveTime` (the controller's): fields that are not sent are not
//! owned.

use serde_json::{Map, Value, json};

use super::{
    containers::{self, insert_list},
    image,
};
use crate::{
    desired::{DesiredError, charts::overlay, names},
    profile::{Metadata, Pool, Profile, Scope},
};

/// The node label of the EC2 instance type.
const INSTANCE_TYPE_LABEL: &str = "node.kubernetes.io/instance-type";

/// Fields that `template` may not set even if the pool does not use them: they would change the pool's identity.
const RESERVED: [&str; 12] = [
    "containerMode",
    "dockerEnabled",
    "dockerdWithinRunnerContainer",
    "enterprise",
    "githubAPICredentialsFrom",
    "group",
    "image",
    "labels",
    "organization",
    "repository",
    "serviceAccountName",
    "workVolumeClaimTemplate",
];

/// The labels that GitHub gives to every runner that is not of a scale set.
pub const GIVEN_LABELS: [&str; 4] = ["self-hosted", "linux", "x64", "arm64"];

/// The labels of the pool's runners: the instance type, then its own.
pub fn runner_labels(pool: &Pool) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in pool.instance_type.iter().chain(&pool.labels) {
        if !labels.contains(label) {
            labels.push(label.clone());
        }
    }
    labels
}

/// The `RunnerDeployment` of `pool`.
pub fn runner_deployment(profile: &Profile, pool: &Pool) -> Result<Value, DesiredError> {
    let mut spec = own_spec(profile, pool)?;
    // The lint reports collisions; here arcctl's values win.
    overlay::merge(&mut spec, &overlay::without(&pool.template, &RESERVED));
    let mut template = json!({"spec": spec});
    let metadata = pod_metadata(profile, pool);
    if !metadata.is_empty() {
        template["metadata"] = metadata.into();
    }
    Ok(json!({
        "apiVersion": names::ARC_API_VERSION,
        "kind": "RunnerDeployment",
        "metadata": metadata_of(profile, pool),
        "spec": {"template": template},
    }))
}

/// The `RunnerDeployment`'s own metadata: arcctl's labels, and the pool's.
fn metadata_of(profile: &Profile, pool: &Pool) -> Map<String, Value> {
    let mut metadata = names::metadata(profile, Some(&pool.namespace), &pool.name);
    let theirs = metadata_fields(&pool.metadata, &[]);
    // arcctl's labels win; the lint rejects user labels that collide.
    overlay::merge(&mut metadata, &theirs);
    metadata
}

/// The metadata of the pool's pods: the controller copies it from the template.
pub(crate) fn pod_metadata(profile: &Profile, pool: &Pool) -> Map<String, Value> {
    let role = profile.role_of(pool).map(|(via, role)| {
        (
            names::ROLE_ANNOTATION,
            format!("{} {}", via.key(), role.role),
        )
    });
    metadata_fields(&pool.pod_metadata, role.as_slice())
}

/// Labels and annotations as `metadata` fields, with `more` annotations.
pub(crate) fn metadata_fields(metadata: &Metadata, more: &[(&str, String)]) -> Map<String, Value> {
    let text = |(key, value): (&String, &String)| (key.clone(), Value::from(value.as_str()));
    let labels: Map<String, Value> = metadata.labels.iter().map(text).collect();
    let mut annotations: Map<String, Value> = metadata.annotations.iter().map(text).collect();
    for (key, value) in more {
        annotations.insert((*key).to_owned(), value.as_str().into());
    }
    [("labels", labels), ("annotations", annotations)]
        .into_iter()
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(key, entries)| (key.to_owned(), entries.into()))
        .collect()
}

/// The paths in the pool's `template` that arcctl sets itself, for the lint.
pub fn template_collisions(profile: &Profile, pool: &Pool) -> Result<Vec<String>, DesiredError> {
    if pool.template.is_empty() {
        return Ok(Vec::new());
    }
    let mut collisions = overlay::merge(&mut own_spec(profile, pool)?, &pool.template);
    for key in RESERVED {
        let nested = |path: &String| path.split(['.', '[']).next() == Some(key);
        if pool.template.contains_key(key) && !collisions.iter().any(nested) {
            collisions.push(key.to_owned());
        }
    }
    Ok(collisions)
}

/// `spec.template.spec` without the pass-through.
pub(super) fn own_spec(profile: &Profile, pool: &Pool) -> Result<Map<String, Value>, DesiredError> {
    let github = profile.github_of(pool);
    let (scope, name) = match github.scope().ok_or(DesiredError::Scope)? {
        Scope::Enterprise(name) => ("enterprise", name),
        Scope::Organization(name) => ("organization", name),
        Scope::Repository(name) => ("repository", name),
    };
    let mut spec = Map::new();
    spec.insert(scope.into(), name.into());
    if let Some(secret) = pool.credential_secret() {
        spec.insert(
            "githubAPICredentialsFrom".into(),
            json!({"secretRef": {"name": secret}}),
        );
    }
    spec.insert(
        "image".into(),
        image::mirrored(profile.images.as_ref(), &pool.image).into(),
    );
    insert_list(
        &mut spec,
        "labels",
        runner_labels(pool).into_iter().map(Value::from).collect(),
    );
    if let Some(group) = &pool.group {
        spec.insert("group".into(), group.as_str().into());
    }
    containers::add(&mut spec, profile, pool)?;
    add_pod(&mut spec, profile, pool);
    Ok(spec)
}

/// Adds the pod's scheduling, pull secrets, service account and security context.
pub(crate) fn add_pod(spec: &mut Map<String, Value>, profile: &Profile, pool: &Pool) {
    let mut selector = Map::new();
    if let Some(instance_type) = &pool.instance_type {
        selector.insert(INSTANCE_TYPE_LABEL.into(), instance_type.as_str().into());
    }
    for (key, value) in &pool.node_selector {
        selector.insert(key.clone(), value.as_str().into());
    }
    if !selector.is_empty() {
        spec.insert("nodeSelector".into(), selector.into());
    }
    let tolerations = pool
        .tolerations
        .iter()
        .map(|entry| Value::Object(entry.clone()));
    insert_list(spec, "tolerations", tolerations.collect());
    insert_list(spec, "imagePullSecrets", pull_secrets(profile, pool));
    if let Some(group) = pool.fs_group.or_else(|| image::fs_group(&pool.image)) {
        spec.insert("securityContext".into(), json!({"fsGroup": group}));
    }
    let of_role = profile
        .runner_role()
        .map(|(_, role)| role.service_account.as_str());
    if let Some(name) = pool.service_account.as_deref().or(of_role) {
        spec.insert("serviceAccountName".into(), name.into());
    }
}

fn pull_secrets(profile: &Profile, pool: &Pool) -> Vec<Value> {
    let mut names: Vec<&String> = Vec::new();
    let of_profile = profile
        .images
        .iter()
        .flat_map(|images| &images.pull_secrets);
    for name in of_profile.chain(&pool.image_pull_secrets) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
        .into_iter()
        .map(|name| json!({"name": name}))
        .collect()
}
