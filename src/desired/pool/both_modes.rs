//! What the pods of a pool are like in both modes, and its labels. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::{containers::insert_list, image};
use crate::{
    desired::names,
    profile::{Metadata, Pool, Profile},
};

/// The node label of the EC2 instance type.
const INSTANCE_TYPE_LABEL: &str = "node.kubernetes.io/instance-type";

/// The labels of the pool's runners: the instance type, then its own.
pub(crate) fn runner_labels(pool: &Pool) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for label in pool.instance_type.iter().chain(&pool.labels) {
        if !labels.contains(label) {
            labels.push(label.clone());
        }
    }
    labels
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
