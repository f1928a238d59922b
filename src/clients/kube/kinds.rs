//! API discovery: the kinds that the API server serves, and whether they are namespaced; read once per API version.

use std::{collections::HashMap, sync::Arc};

use kube::api::ApiResource;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use super::{Kind, Kube, Target};
use crate::{clients::requests::Call, error::Result};

/// A kind, as the API server lists it.
#[derive(Clone, Debug)]
pub(super) struct Served {
    kind: String,
    plural: String,
    namespaced: bool,
}

/// The cached kinds of each API version.
pub(super) type Kinds = Arc<Mutex<HashMap<String, Arc<OnceCell<Vec<Served>>>>>>;

impl Kube {
    /// The address of the object in `manifest`: in `namespace` where its kind is namespaced and it sets none, and
    /// without one where its kind is cluster-scoped. `None` where the API server does not serve its kind.
    pub async fn place(&self, manifest: &Value, namespace: &str) -> Result<Option<Target>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&manifest["apiVersion"]), text(&manifest["kind"]));
        let Some(served) = self.served(&version, &kind).await? else {
            return Ok(None);
        };
        let own = manifest["metadata"]["namespace"]
            .as_str()
            .filter(|it| !it.is_empty());
        let (group, plain) = version.rsplit_once('/').unwrap_or(("", &version));
        Ok(Some(Target {
            kind: Kind {
                resource: ApiResource {
                    group: group.to_owned(),
                    version: plain.to_owned(),
                    api_version: version.clone(),
                    kind: served.kind,
                    plural: served.plural,
                },
            },
            namespace: served
                .namespaced
                .then(|| own.unwrap_or(namespace).to_owned()),
            name: text(&manifest["metadata"]["name"]),
        }))
    }

    async fn served(&self, version: &str, kind: &str) -> Result<Option<Served>> {
        let of = |all: &[Served]| all.iter().find(|it| it.kind == kind).cloned();
        let cell = Arc::clone(
            self.kinds
                .lock()
                .await
                .entry(version.to_owned())
                .or_default(),
        );
        let known = cell.get().is_some();
        let found = of(cell.get_or_try_init(|| self.read_kinds(version)).await?);
        if found.is_some() || !known {
            return Ok(found);
        }
        // Its CRD may have been created since.
        let again = Arc::new(OnceCell::new());
        self.kinds
            .lock()
            .await
            .insert(version.to_owned(), Arc::clone(&again));
        Ok(of(again
            .get_or_try_init(|| self.read_kinds(version))
            .await?))
    }

    /// The kinds of an API version; none if it is not served.
    async fn read_kinds(&self, version: &str) -> Result<Vec<Served>> {
        let what = format!("ask for the kinds of API version `{version}`");
        let answer = self
            .call(Call::Read, &what, || async {
                if version.contains('/') {
                    self.client.list_api_group_resources(version).await
                } else {
                    self.client.list_core_api_resources(version).await
                }
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if failure.code() == Some(404) => return Ok(Vec::new()),
            Err(failure) => return Err(failure.about_server(&self.server)),
        };
        let served = |it: k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource| Served {
            kind: it.kind,
            plural: it.name,
            namespaced: it.namespaced,
        };
        // `pods/log` and the like are subresources.
        let whole = answer
            .resources
            .into_iter()
            .filter(|it| !it.name.contains('/'));
        Ok(whole.map(served).collect())
    }
}
