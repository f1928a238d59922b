//! The files that a container finds in its volumes, for a command that runs on this machine: each volume is a directory
//! below the command's own.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};
use kube::api::Api;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// How long a token is asked for where a volume does not say it, in seconds: as the API server's own volumes do.
const TOKEN_SECONDS: i64 = 3607;

/// The files of a volume, by their paths in it.
type Files = BTreeMap<String, Vec<u8>>;

/// Writes the volumes of a container below `directory`. The result are their paths in the container, each with its path here.
pub(super) async fn mount(
    client: &Client,
    pod: &Pod,
    container: &Container,
    directory: &Path,
) -> Result<Vec<(String, String)>> {
    let shown = serde_json::to_value(pod)?;
    let volumes = shown["spec"]["volumes"].as_array();
    let volumes: Vec<&Value> = volumes.into_iter().flatten().collect();
    let reader = Reader {
        client,
        pod,
        namespace: pod.namespace().unwrap_or_default(),
    };
    let mut places = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let Some(volume) = volumes.iter().find(|it| it["name"] == mount.name.as_str()) else {
            continue;
        };
        let place = directory.join("volumes").join(&mount.name);
        write(&place, &reader.volume(volume).await?)?;
        places.push((mount.mount_path.clone(), place.display().to_string()));
    }
    Ok(places)
}

/// Reads what volumes are made of.
struct Reader<'a> {
    client: &'a Client,
    pod: &'a Pod,
    namespace: String,
}

impl Reader<'_> {
    /// The files of a volume; those of another kind than these begin empty.
    async fn volume(&self, volume: &Value) -> Result<Files> {
        let mut files = Files::new();
        if let Some(map) = volume.get("configMap") {
            files.extend(self.config_map(map).await?);
        }
        if let Some(secret) = volume.get("secret") {
            files.extend(self.secret(&secret["secretName"], &secret["items"]).await?);
        }
        let sources = volume["projected"]["sources"].as_array();
        for source in sources.into_iter().flatten() {
            files.extend(self.source(source).await?);
        }
        Ok(files)
    }

    /// The files of one source of a projected volume.
    async fn source(&self, source: &Value) -> Result<Files> {
        if let Some(map) = source.get("configMap") {
            return self.config_map(map).await;
        }
        if let Some(secret) = source.get("secret") {
            return self.secret(&secret["name"], &secret["items"]).await;
        }
        if let Some(wanted) = source.get("serviceAccountToken") {
            let path = wanted["path"].as_str().unwrap_or("token").to_owned();
            return Ok([(path, self.token(wanted).await?.into_bytes())].into());
        }
        let items = source["downwardAPI"]["items"].as_array();
        let fields = items.into_iter().flatten().filter_map(|item| {
            let field = match item["fieldRef"]["fieldPath"].as_str()? {
                "metadata.namespace" => self.namespace.clone(),
                "metadata.name" => self.pod.name_any(),
                _ => return None,
            };
            Some((item["path"].as_str()?.to_owned(), field.into_bytes()))
        });
        Ok(fields.collect())
    }

    async fn config_map(&self, source: &Value) -> Result<Files> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = source["name"].as_str().unwrap_or_default();
        let data = maps
            .get_opt(name)
            .await?
            .and_then(|map| map.data)
            .unwrap_or_default();
        let files = data.into_iter().map(|(key, text)| (key, text.into_bytes()));
        Ok(named(files.collect(), &source["items"]))
    }

    async fn secret(&self, name: &Value, items: &Value) -> Result<Files> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let data = secrets
            .get_opt(name.as_str().unwrap_or_default())
            .await?
            .and_then(|secret| secret.data)
            .unwrap_or_default();
        let files = data.into_iter().map(|(key, bytes)| (key, bytes.0));
        Ok(named(files.collect(), items))
    }

    /// A token of the pod's account, which ends with the pod.
    async fn token(&self, wanted: &Value) -> Result<String> {
        let spec = self.pod.spec.as_ref();
        let account = spec.and_then(|spec| spec.service_account_name.as_deref());
        let (namespace, account) = (&self.namespace, account.unwrap_or("default"));
        let seconds = wanted["expirationSeconds"].as_i64();
        let mut spec = json!({
            "expirationSeconds": seconds.unwrap_or(TOKEN_SECONDS),
            "boundObjectRef": {
                "apiVersion": "v1", "kind": "Pod", "name": self.pod.name_any(), "uid": self.pod.uid(),
            },
        });
        if let Some(audience) = wanted["audience"].as_str() {
            spec["audiences"] = json!([audience]);
        }
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec,
        });
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes())?;
        let answer: Value = self.client.request(request).await?;
        let token = answer["status"]["token"].as_str();
        Ok(token.context("the API server gave no token")?.to_owned())
    }
}

/// Those of `files` that `items` asks for, by the paths that it gives them; all of them without items.
fn named(mut files: Files, items: &Value) -> Files {
    let Some(items) = items.as_array() else {
        return files;
    };
    let wanted = items.iter().filter_map(|item| {
        let content = files.remove(item["key"].as_str()?)?;
        Some((item["path"].as_str()?.to_owned(), content))
    });
    wanted.collect()
}

fn write(place: &Path, files: &Files) -> Result<()> {
    std::fs::create_dir_all(place)?;
    for (path, content) in files {
        let path = Path::new(path);
        if path
            .components()
            .any(|it| !matches!(it, Component::Normal(_)))
        {
            bail!("`{}` leads out of its volume", path.display());
        }
        let path = place.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Files {
        let content = |name: &&str| ((*name).to_owned(), name.as_bytes().to_vec());
        names.iter().map(content).collect()
    }

    #[test]
    fn items_choose_and_name_files() {
        let items = json!([{"key": "b", "path": "sub/c"}, {"key": "none", "path": "d"}]);
        let chosen = named(files(&["a", "b"]), &items);
        let expected = [("sub/c".to_owned(), b"b".to_vec())];
        assert_eq!(chosen, Files::from(expected));
        assert_eq!(named(files(&["a"]), &Value::Null), files(&["a"]));
    }

    #[test]
    fn no_file_is_outside_its_volume() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("volume");
        for path in ["../a", "/a"] {
            assert!(write(&place, &files(&[path])).is_err(), "{path}");
        }
        write(&place, &files(&["sub/a"])).unwrap();
        assert_eq!(std::fs::read(place.join("sub/a")).unwrap(), b"sub/a");
    }
}
