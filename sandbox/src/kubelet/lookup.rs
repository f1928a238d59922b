//! Looks up the Secrets and `ConfigMaps` that a pod needs.

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::Api;

use super::dependencies::{Dependency, Found, Kind};

/// Looks for what is needed, and says what is wrong with it in the words of `words`.
pub(super) async fn failure(
    client: &Client,
    namespace: &str,
    dependency: &Dependency,
    words: impl Fn(&Dependency, Found<'_>) -> Option<String>,
) -> Result<Option<String>> {
    let keys = match dependency.kind {
        Kind::Secret => keys_of_secret(client, namespace, &dependency.name).await?,
        Kind::ConfigMap => keys_of_config_map(client, namespace, &dependency.name).await?,
    };
    let Some(keys) = keys else {
        return Ok(words(dependency, Found::Absent));
    };
    let missing = dependency.keys.iter().find(|key| !keys.contains(key));
    Ok(words(
        dependency,
        missing.map_or(Found::Whole, |key| Found::WithoutKey(key)),
    ))
}

async fn keys_of_secret(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Vec<String>>> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = secrets.get_opt(name).await?;
    Ok(secret.map(|secret| secret.data.unwrap_or_default().into_keys().collect()))
}

async fn keys_of_config_map(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Option<Vec<String>>> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = maps.get_opt(name).await?;
    Ok(map.map(|map| {
        let text = map.data.unwrap_or_default().into_keys();
        text.chain(map.binary_data.unwrap_or_default().into_keys())
            .collect()
    }))
}
