//! A pool's `RunnerDeployment`. Pure: no I/O.
//!
//! Never sets `replicas` (the autoscaler's; a new one gets its first by a write of its own) or `effectiveTime` (the
//! controller's): fields that are not sent are not owned.

use serde_json::{Map, Value, json};

use super::{
    both_modes::{add_pod, metadata_fields, pod_metadata, runner_labels},
    containers::{self, insert_list},
    image,
};
use crate::{
    desired::{DesiredError, charts::overlay, names},
    profile::{Pool, Profile, Scope},
};

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
