//! Events about pods, with a count if they repeat, as the kubelet writes them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::json;

use super::status::time;

/// Writes events; a repeated one only counts up.
pub(super) struct Recorder {
    client: Client,
    written: Mutex<HashMap<Key, (String, u32)>>,
    number: AtomicU64,
}

type Key = (String, String, String);

/// One event about a pod.
pub(super) struct Note<'a> {
    pub(super) warning: bool,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

impl Recorder {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            written: Mutex::default(),
            number: AtomicU64::new(1),
        }
    }

    pub(super) async fn write(&self, pod: &Pod, note: &Note<'_>) -> Result<()> {
        let namespace = pod.namespace().unwrap_or_default();
        let events: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let uid = pod.uid().unwrap_or_default();
        let key = (uid.clone(), note.reason.to_owned(), note.message.to_owned());
        let now = time(Timestamp::now());
        if let Some((name, count)) = self.repeated(&key) {
            let patch = json!({"count": count, "lastTimestamp": now});
            events
                .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
            return Ok(());
        }
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{number:016x}", pod.name_any());
        let host = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        let event: Event = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod.name_any(),
                "namespace": namespace, "uid": uid,
                "resourceVersion": pod.resource_version()},
            "type": if note.warning { "Warning" } else { "Normal" },
            "reason": note.reason,
            "message": note.message,
            "source": {"component": "kubelet", "host": host},
            "reportingComponent": "kubelet",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }))?;
        events.create(&PostParams::default(), &event).await?;
        if let Ok(mut written) = self.written.lock() {
            written.insert(key, (name, 1));
        }
        Ok(())
    }

    /// Forgets a pod that is gone.
    pub(super) fn forget(&self, uid: &str) {
        if let Ok(mut written) = self.written.lock() {
            written.retain(|(of, _, _), _| of != uid);
        }
    }

    fn repeated(&self, key: &Key) -> Option<(String, u32)> {
        let mut written = self.written.lock().ok()?;
        let (name, count) = written.get_mut(key)?;
        *count += 1;
        Some((name.clone(), *count))
    }
}
