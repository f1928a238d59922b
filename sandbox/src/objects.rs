//! Kubernetes objects as JSON, for the stand-ins of controllers: they use a few fields of many kinds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use kube::{Api, Client};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::query::ENCODED;

/// A kind of objects, by its path in the API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    name: &'static str,
}

impl Kind {
    pub(crate) const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        name: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            plural,
            name,
        }
    }

    /// The version that an object of the kind names.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let root = if self.group.is_empty() { "api" } else { "apis" };
        let version = self.api_version();
        let mut parts = vec!["", root, &version];
        parts.extend(
            namespace
                .into_iter()
                .flat_map(|namespace| ["namespaces", namespace]),
        );
        parts.push(self.plural);
        parts.extend(name);
        parts.join("/")
    }
}

pub(crate) const POD: Kind = Kind::new("", "v1", "pods", "Pod");
pub(crate) const SECRET: Kind = Kind::new("", "v1", "secrets", "Secret");
pub(crate) const LEASE: Kind = Kind::new("coordination.k8s.io", "v1", "leases", "Lease");
pub(crate) const MUTATING: Kind = Kind::new(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
);
pub(crate) const VALIDATING: Kind = Kind::new(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
);
const EVENT: Kind = Kind::new("", "v1", "events", "Event");

/// The API server, spoken to in JSON.
#[derive(Clone)]
pub(crate) struct Objects {
    client: Client,
    manager: &'static str,
}

impl Objects {
    /// Speaks as the field manager `manager`.
    pub(crate) fn new(client: Client, manager: &'static str) -> Self {
        Self { client, manager }
    }

    /// All objects of a kind in the cluster; none while the API server does not know the kind.
    pub(crate) async fn list(&self, kind: &Kind, labels: Option<&str>) -> Result<Vec<Value>> {
        let mut path = kind.path(None, None);
        if let Some(labels) = labels {
            path.push_str("?labelSelector=");
            path.push_str(&escaped(labels));
        }
        let Some(list) = self.send("GET", &path, None).await? else {
            return Ok(Vec::new());
        };
        let mut items = list["items"].as_array().cloned().unwrap_or_default();
        for object in &mut items {
            // The items of a list do not say what they are.
            object["apiVersion"] = kind.api_version().into();
            object["kind"] = kind.name.into();
        }
        Ok(items)
    }

    /// An object, if it is there.
    pub(crate) async fn get(&self, kind: &Kind, at: (&str, &str)) -> Result<Option<Value>> {
        self.send("GET", &kind.path(namespace(at.0), Some(at.1)), None)
            .await
    }

    /// Creates an object in a namespace.
    pub(crate) async fn create(&self, kind: &Kind, within: &str, object: &Value) -> Result<Value> {
        let mut object = object.clone();
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.name.into();
        let path = kind.path(namespace(within), None);
        let created = self.send("POST", &path, Some(&object)).await?;
        created.with_context(|| format!("namespace `{within}` is not there for a {}", kind.name))
    }

    /// Merges a patch into an object; `None` when the object is gone.
    pub(crate) async fn merge(
        &self,
        kind: &Kind,
        at: (&str, &str),
        patch: &Value,
    ) -> Result<Option<Value>> {
        self.send(
            "PATCH",
            &kind.path(namespace(at.0), Some(at.1)),
            Some(patch),
        )
        .await
    }

    /// Merges a patch into the status of an object; `None` when the object is gone.
    pub(crate) async fn merge_status(
        &self,
        kind: &Kind,
        at: (&str, &str),
        status: &Value,
    ) -> Result<Option<Value>> {
        let path = format!("{}/status", kind.path(namespace(at.0), Some(at.1)));
        self.send("PATCH", &path, Some(&json!({ "status": status })))
            .await
    }

    /// Deletes an object; absent is success.
    pub(crate) async fn delete(&self, kind: &Kind, at: (&str, &str)) -> Result<()> {
        let path = kind.path(namespace(at.0), Some(at.1));
        let _gone = self.send("DELETE", &path, Some(&json!({}))).await?;
        Ok(())
    }

    /// Emits an event about an object; one that cannot be written is lost, as with the real ones.
    pub(crate) async fn event(&self, about: &Value, event: &Event<'_>) {
        let now = Timestamp::now();
        let (within, name) = (
            text(about, "/metadata/namespace"),
            text(about, "/metadata/name"),
        );
        let within = if within.is_empty() { "default" } else { within };
        let body = json!({
            "metadata": { "name": format!("{name}.{:x}", now.as_nanosecond()), "namespace": within },
            "involvedObject": {
                "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name,
                "namespace": within, "uid": about.pointer("/metadata/uid"),
                "resourceVersion": about.pointer("/metadata/resourceVersion"),
            },
            "type": event.kind, "reason": event.reason, "message": event.message,
            "source": { "component": event.component }, "count": 1,
            "firstTimestamp": seconds(now), "lastTimestamp": seconds(now),
        });
        let _lost = self.create(&EVENT, within, &body).await;
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
        let content_type = if method == "PATCH" {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let path = match method {
            "POST" | "PATCH" => format!("{path}?fieldManager={}", self.manager),
            _ => path.to_owned(),
        };
        let body = body
            .map(serde_json::to_vec)
            .transpose()?
            .unwrap_or_default();
        let request = http::Request::builder()
            .method(method)
            .uri(&path)
            .header("content-type", content_type)
            .body(body)?;
        match self.client.request(request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{method} {path}")),
        }
    }

    /// Notifies whenever an object of the kind changes, until the task is dropped.
    pub(crate) async fn watch(self, kind: Kind, labels: Option<&str>, changed: Arc<Notify>) {
        let resource = ApiResource {
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            api_version: kind.api_version(),
            kind: kind.name.to_owned(),
            plural: kind.plural.to_owned(),
        };
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(self.client, &resource);
        let mut config = watcher::Config::default();
        if let Some(labels) = labels {
            config = config.labels(labels);
        }
        let mut events = watcher(api, config).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(_) => changed.notify_one(),
                // The kind is not known yet, or the API server is away.
                Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            }
        }
    }
}

/// An event about an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// `Normal` or `Warning`.
    pub(crate) kind: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    pub(crate) component: &'a str,
}

/// A value in a query; `/` stays too.
fn escaped(value: &str) -> String {
    const ESCAPED: &AsciiSet = &ENCODED.remove(b'/');
    utf8_percent_encode(value, ESCAPED).to_string()
}

fn namespace(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The text at a pointer; empty when there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The name and the namespace of an object.
pub(crate) fn at(object: &Value) -> (&str, &str) {
    (
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
    )
}

/// The unique id of an object.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether an object is being deleted.
pub(crate) fn is_deleted(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}

/// Whether an object carries a finalizer.
pub(crate) fn has_finalizer(object: &Value, finalizer: &str) -> bool {
    finalizers(object).contains(&finalizer)
}

/// The finalizers of an object without one, for a patch.
pub(crate) fn without_finalizer(object: &Value, finalizer: &str) -> Value {
    let rest: Vec<_> = finalizers(object)
        .into_iter()
        .filter(|other| *other != finalizer)
        .collect();
    json!({ "metadata": { "finalizers": rest, "resourceVersion": object.pointer("/metadata/resourceVersion") } })
}

fn finalizers(object: &Value) -> Vec<&str> {
    let list = object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// Whether the controller of an object has this unique id.
pub(crate) fn is_owned_by(object: &Value, owner: &str) -> bool {
    object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .is_some_and(|references| references.iter().any(|one| one["uid"] == owner))
}

/// An owner reference to an object that controls another.
pub(crate) fn owner_reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"],
        "name": owner.pointer("/metadata/name"), "uid": owner.pointer("/metadata/uid"),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Whether a pod runs and is ready.
pub(crate) fn is_ready(pod: &Value) -> bool {
    !is_deleted(pod) && condition(pod, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// A condition in the status of an object.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// When a container of a pod was started, if it runs.
pub(crate) fn started_at(pod: &Value, container: &str) -> Option<Timestamp> {
    let statuses = pod.pointer("/status/containerStatuses")?.as_array()?;
    let status = statuses.iter().find(|status| status["name"] == container)?;
    text(status, "/state/running/startedAt").parse().ok()
}

/// A time as Kubernetes writes it: whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A random suffix of a generated name, from the alphabet that Kubernetes uses.
pub(crate) fn suffix() -> String {
    use rand::RngExt as _;
    let mut random = rand::rng();
    (0..5)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect()
}

/// The letters and digits that generated names and hashes are made of.
pub(crate) const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finalizer_is_removed_alone() {
        let object = json!({ "metadata": { "finalizers": ["a", "b"], "resourceVersion": "7" } });
        assert!(has_finalizer(&object, "a") && !has_finalizer(&object, "c"));
        let patch = without_finalizer(&object, "a");
        assert_eq!(
            patch["metadata"],
            json!({ "finalizers": ["b"], "resourceVersion": "7" })
        );
    }

    #[test]
    fn a_selector_is_escaped() {
        assert_eq!(escaped("a/b=c, d in (e)"), "a/b%3Dc%2C%20d%20in%20%28e%29");
    }

    #[test]
    fn a_pod_that_is_being_deleted_is_not_ready() {
        let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        assert!(is_ready(&ready));
        let mut deleted = ready;
        deleted["metadata"] = json!({ "deletionTimestamp": "2026-11-23T20:48:11Z" });
        assert!(!is_ready(&deleted));
    }
}
