//! The Secrets: the controller's, those of scale sets, those of pools with their own credential, and the webhook server's.
//! Pure: no I/O.

use super::{
    Desired, Phase, named, names,
    resource::{ControllerSecret, Id, OwnSecret, Resource, SecretContent},
};
use crate::profile::{KubernetesSecretKey, Profile};

/// All Secrets, without their values.
pub(super) fn all(profile: &Profile) -> Vec<Desired> {
    let mut result = Vec::new();
    result.extend(profile.has_deployments().then(|| of_controller(profile)));
    for namespace in profile.runner_namespaces() {
        let mut sets = profile
            .scale_set_pools()
            .filter(|it| it.namespace == namespace);
        if sets.any(|it| it.credential_secret().is_none()) {
            let content = SecretContent::ProfileCredential;
            let secret = own_secret(profile, namespace, names::SCALE_SET_SECRET, content);
            result.push(secret);
        }
    }
    for pool in &profile.pools {
        if let Some(name) = pool.credential_secret() {
            let content = SecretContent::Credential {
                pool: pool.name.clone(),
            };
            result.push(own_secret(profile, &pool.namespace, &name, content));
        }
    }
    if profile.has_triggers() {
        result.push(own_secret(
            profile,
            &profile.controller.namespace,
            names::WEBHOOK_SECRET,
            SecretContent::WebhookToken,
        ));
    }
    result
}

/// The Secret of the community's controller.
fn of_controller(profile: &Profile) -> Desired {
    named(
        Phase::Wiring,
        Id::new(
            "secret",
            Some(&profile.controller.namespace),
            names::CONTROLLER_SECRET,
        ),
        Resource::ControllerSecret(ControllerSecret {
            namespace: profile.controller.namespace.clone(),
            name: names::CONTROLLER_SECRET.into(),
            profile: profile.name.clone(),
            managed: manages_secret(profile),
            credential: credential(profile),
            runner_namespaces: runner_namespaces(profile),
        }),
    )
}

/// The namespaces of the runners whose controller reads that Secret.
fn runner_namespaces(profile: &Profile) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for pool in profile.deployment_pools() {
        if !found.contains(&pool.namespace) {
            found.push(pool.namespace.clone());
        }
    }
    found
}

/// Where the credential comes from, for people.
fn credential(profile: &Profile) -> String {
    let github = &profile.github;
    match (&github.token, &github.app) {
        (Some(token), _) => format!("token {token}"),
        (None, Some(app)) => format!("App {}, key {}", app.id, app.private_key),
        (None, None) => "token from the environment, as `gh` finds it".into(),
    }
}

fn own_secret(profile: &Profile, namespace: &str, name: &str, content: SecretContent) -> Desired {
    named(
        Phase::Wiring,
        Id::new("secret", Some(namespace), name),
        Resource::Secret(OwnSecret {
            namespace: namespace.into(),
            name: name.into(),
            profile: profile.name.clone(),
            content,
        }),
    )
}

/// Whether arcctl writes the Secret `controller-manager`: always, unless that Secret itself is the profile's source,
/// and so belongs to another user. A Secret elsewhere is copied like any other source.
pub fn manages_secret(profile: &Profile) -> bool {
    let github = &profile.github;
    let sources = github
        .token
        .iter()
        .chain(github.app.iter().map(|app| &app.private_key));
    let controllers = |secret: &KubernetesSecretKey| {
        secret.namespace == profile.controller.namespace && secret.name == names::CONTROLLER_SECRET
    };
    !sources
        .filter_map(|source| source.kubernetes_secret.as_ref())
        .any(controllers)
}
