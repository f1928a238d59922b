//! The job that verifies after a sync: the proofs of `up`, by `arcctl verify`. Pure: no I/O.

use serde_json::{Value, json};

use super::{
    Options, Tool,
    parts::{self, Part, RUNNERS},
};
use crate::{
    desired::{names, placeholder, pool::proxy},
    profile::{FileSource, KubernetesSecretKey, Pool, Profile, TokenSource},
    templates,
};

/// The file of the profile in the job.
const PROFILE: &str = "arcctl.yaml";

/// Adds the job, its account and its profile: at Flux a part of its own after the runners, at Argo CD a hook of theirs.
pub(super) fn add(profile: &Profile, digest: &str, options: &Options, parts: &mut Vec<Part>) {
    if options.tool == Tool::Flux {
        parts.push(parts::verify());
        parts::connect(parts);
    }
    let folder = match options.tool {
        Tool::Flux => parts::VERIFY,
        Tool::ArgoCd => RUNNERS,
    };
    let Some(part) = parts.iter_mut().find(|it| it.name == folder) else {
        return;
    };
    let name = format!("arcctl-verify-{}", profile.name);
    for manifest in account(profile, &name) {
        part.add(manifest);
    }
    part.add(profile_map(profile, &name, digest));
    part.add(job(profile, &name, digest, options));
}

/// The account, and its rights.
fn account(profile: &Profile, name: &str) -> Vec<Value> {
    let namespace = &profile.controller.namespace;
    let labels = names::labels(&profile.name);
    let secrets = [
        names::CONTROLLER_SECRET.to_owned(),
        profile.controller.serving_certificate(),
    ];
    let mut result = templates::VERIFY_ACCOUNT.items(&[
        ("NAME", json!(name)),
        ("NAMESPACE", json!(namespace)),
        ("CERT_MANAGER", json!(profile.cert_manager.namespace)),
        ("LABELS", labels.clone()),
        ("SECRETS", json!(secrets)),
    ]);
    for runners in profile.runner_namespaces() {
        let pools = profile.pools.iter().filter(|it| it.namespace == runners);
        let mut secrets: Vec<String> = pools.clone().filter_map(Pool::credential_secret).collect();
        let mut sets = pools.filter(|it| it.is_scale_set());
        if sets.any(|it| it.credential_secret().is_none()) {
            secrets.push(names::SCALE_SET_SECRET.to_owned());
        }
        let mut items = templates::VERIFY_RUNNERS.items(&[
            ("NAME", json!(name)),
            ("NAMESPACE", json!(runners)),
            ("ACCOUNT_NAMESPACE", json!(namespace)),
            ("LABELS", labels.clone()),
            ("SECRETS", json!(secrets)),
        ]);
        if secrets.is_empty() {
            // A rule without names would be one for all Secrets.
            for item in &mut items {
                if let Some(rules) = item.get_mut("rules").and_then(Value::as_array_mut) {
                    rules.retain(|it| it["resources"] != json!(["secrets"]));
                }
            }
        }
        result.extend(items);
    }
    result
}

/// Where the profile's credential is in the cluster, namespace and name: in the Secret of the community's controller, or in
/// that of the first scale set that has none of its own.
fn credential(profile: &Profile) -> (String, String) {
    let mut sets = profile.scale_set_pools();
    let set = sets.find(|it| it.credential_secret().is_none());
    match set.filter(|_| !profile.has_deployments()) {
        Some(set) => (set.namespace.clone(), names::SCALE_SET_SECRET.to_owned()),
        None => (
            profile.controller.namespace.clone(),
            names::CONTROLLER_SECRET.to_owned(),
        ),
    }
}

/// The profile as the job reads it: the credentials are those in the cluster.
fn in_the_cluster(profile: &Profile) -> Profile {
    let mut profile = profile.clone();
    let key = |namespace: &str, name: &str, key: &str| TokenSource {
        kubernetes_secret: Some(KubernetesSecretKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
        }),
        ..TokenSource::default()
    };
    let (namespace, secret) = credential(&profile);
    match &mut profile.github.app {
        Some(app) => app.private_key = key(&namespace, &secret, "github_app_private_key"),
        None => profile.github.token = Some(key(&namespace, &secret, "github_token")),
    }
    if profile.github.ca_bundle.is_some() {
        profile.github.ca_bundle = Some(FileSource {
            file: names::CA_BUNDLE_KEY.into(),
        });
    }
    for pool in &mut profile.pools {
        let Some(name) = pool.credential_secret() else {
            continue;
        };
        let Some(own) = &mut pool.github else {
            continue;
        };
        if let Some(app) = &mut own.app {
            app.private_key = key(&pool.namespace, &name, "github_app_private_key");
        } else {
            own.token = Some(key(&pool.namespace, &name, "github_token"));
        }
    }
    profile
}

fn profile_map(profile: &Profile, name: &str, digest: &str) -> Value {
    // A profile is made of texts, numbers, lists and maps with texts as keys: all of them can be written as YAML.
    let text = serde_saphyr::to_string(&in_the_cluster(profile)).unwrap_or_default();
    let mut metadata = names::metadata(profile, Some(&profile.controller.namespace), name);
    metadata.insert("annotations".into(), json!({"arcctl.dev/rendered": digest}));
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {PROFILE: text},
    })
}

fn job(profile: &Profile, name: &str, digest: &str, options: &Options) -> Value {
    let mut sources = vec![json!({"configMap": {"name": name}})];
    if profile.github.ca_bundle.is_some() {
        sources.push(json!({"configMap": {"name": names::CA_BUNDLE}}));
    }
    let annotations = match options.tool {
        Tool::Flux => json!({}),
        Tool::ArgoCd => json!({
            "argocd.argoproj.io/hook": "PostSync",
            "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        }),
    };
    let environment: Vec<Value> = proxy::environment(profile.proxy.as_ref())
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    templates::VERIFY_JOB.value(&[
        ("NAME", json!(name)),
        ("NAMESPACE", json!(profile.controller.namespace)),
        ("LABELS", names::labels(&profile.name)),
        ("ANNOTATIONS", annotations),
        ("DIGEST", json!(digest)),
        (
            "IMAGE",
            placeholder::ARCCTL_IMAGE
                .or(options.verify_image.as_deref())
                .into(),
        ),
        ("ENVIRONMENT", environment.into()),
        ("SOURCES", sources.into()),
    ])
}
