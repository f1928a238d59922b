//! Reconciles an `AutoscalingRunnerSet`: its registration, its runners, its listener, its status.

use anyhow::Result;
use serde_json::{Value, json};

use super::names::{
    self, CHANGE_HASH, OF_RUNNER, OF_SET, SPEC_HASH, annotation, id, is_allowed, labels,
    with_finalizers,
};
use super::reconciler::{Reconciler, Snapshot};
use super::{LISTENER, RUNNERS, SET};
use crate::objects::{
    at, has_finalizer, is_deleted, is_owned_by, owner_reference, suffix, text, uid,
};

const OUTDATED: &str = "Outdated";

impl Reconciler {
    /// Brings a set one step on.
    pub(super) async fn reconcile_set(&mut self, set: &Value, snapshot: &Snapshot) -> Result<()> {
        if is_deleted(set) {
            return self.delete_set(set, snapshot).await;
        }
        let version = text(set, "/metadata/labels/app.kubernetes.io~1version");
        if !is_allowed(version, self.configuration.version) {
            return self.end(&SET, set).await;
        }
        if !has_finalizer(set, OF_SET) {
            let patch = with_finalizers(set, &[OF_SET]);
            self.objects.merge(&SET, at(set), &patch).await?;
            return Ok(());
        }
        if text(set, "/status/phase") == OUTDATED && !self.is_changed(set).await? {
            return self.park(set, snapshot).await;
        }
        let Some(id) = id(set) else {
            return self.register(set).await;
        };
        if !self.is_up_to_date(set, id).await? {
            return Ok(());
        }
        let hash = spec_hash(set);
        let mut own = runner_sets(set, snapshot);
        // The one that is wanted, else the newest: two may be of one second.
        let is_wanted = |it: &&Value| annotation(it, SPEC_HASH) == hash;
        own.sort_by_key(|it| std::cmp::Reverse((is_wanted(it), names::age(it))));
        let current = own.first().copied();
        let listener = listener_of(set, snapshot);
        let Some(current) = current else {
            return self.make_runner_set(set, id, &hash).await;
        };
        if text(current, "/status/phase") == OUTDATED {
            return self.outdate(set).await;
        }
        if annotation(current, SPEC_HASH) != hash {
            return self.renew(set, snapshot, current, id).await;
        }
        for old in &own[1..] {
            self.end(&RUNNERS, old).await?;
        }
        self.keep_listener(set, current, listener, id).await?;
        self.show(set, current, listener.is_some()).await
    }

    /// Makes the set of runners. Until 0.15 each change of the template makes another one.
    async fn make_runner_set(&self, set: &Value, id: u64, hash: &str) -> Result<()> {
        let (namespace, name) = at(set);
        let own_name = if self.configuration.since((0, 15, 0)) {
            name.to_owned()
        } else {
            format!("{name}-{}", suffix())
        };
        let labels = labels(set, "runner-set", &self.configuration.excluded);
        let mut metadata = json!({
            "name": own_name, "namespace": namespace, "labels": labels,
            "annotations": {
                SPEC_HASH: hash,
                names::GROUP_NAME: annotation(set, names::GROUP_NAME),
                names::SET_NAME: annotation(set, names::SET_NAME),
            },
            "finalizers": [OF_RUNNER], "ownerReferences": owner_reference(set),
        });
        add_metadata(&mut metadata, &set["spec"]["ephemeralRunnerSetMetadata"]);
        let mut spec = json!({
            "replicas": 0, "patchID": 0, "ephemeralRunnerSpec": runner_spec(set, id),
        });
        let extra = &set["spec"]["ephemeralRunnerMetadata"];
        if !extra.is_null() {
            spec["ephemeralRunnerMetadata"] = extra.clone();
        }
        let object = json!({ "metadata": metadata, "spec": spec });
        self.objects.create(&RUNNERS, namespace, &object).await?;
        Ok(())
    }

    /// Follows a changed template: in place since 0.15; before, with another set of runners, at once or when the old ones
    /// have ended.
    async fn renew(
        &mut self,
        set: &Value,
        snapshot: &Snapshot,
        current: &Value,
        id: u64,
    ) -> Result<()> {
        let hash = spec_hash(set);
        let busy = live(current, snapshot);
        if self.configuration.since((0, 15, 0)) {
            if let Some(listener) = listener_of(set, snapshot) {
                return self.end(&LISTENER, listener).await;
            }
            if busy.iter().any(|runner| names::has_job(runner)) {
                return Ok(());
            }
            let patch = json!({
                "metadata": { "annotations": { SPEC_HASH: hash } },
                "spec": { "ephemeralRunnerSpec": runner_spec(set, id), "patchID": 0, "replicas": 0 },
            });
            self.objects.merge(&RUNNERS, at(current), &patch).await?;
            return Ok(());
        }
        if self.configuration.eventual {
            if let Some(listener) = listener_of(set, snapshot) {
                self.end(&LISTENER, listener).await?;
            }
            if !busy.is_empty() {
                return Ok(());
            }
        }
        self.make_runner_set(set, id, &hash).await
    }

    /// Has the listener that the set asks for; one that differs is deleted, and made anew when it is gone.
    async fn keep_listener(
        &mut self,
        set: &Value,
        current: &Value,
        listener: Option<&Value>,
        id: u64,
    ) -> Result<()> {
        let wanted = self.listener_for(set, current, id);
        match listener {
            Some(listener) => {
                let same = annotation(listener, SPEC_HASH) == annotation(&wanted, SPEC_HASH);
                if same {
                    Ok(())
                } else {
                    self.end(&LISTENER, listener).await
                }
            }
            None if self.configuration.eventual && shown(current, "current") > 0 => {
                // With warm runners this never ends.
                Ok(())
            }
            None => {
                let namespace = &self.configuration.namespace;
                self.objects.create(&LISTENER, namespace, &wanted).await?;
                Ok(())
            }
        }
    }

    /// Writes the status. The counts of a set are copied only when their sum or the phase changes, until 0.15, which has none.
    async fn show(&self, set: &Value, current: &Value, listens: bool) -> Result<()> {
        let phase = if listens { "Running" } else { "Pending" };
        if self.configuration.since((0, 15, 0)) {
            return self.status(&SET, set, &json!({ "phase": phase })).await;
        }
        let count = shown(current, "current");
        if text(set, "/status/phase") == phase && shown(set, "current") == count {
            return Ok(());
        }
        let status = json!({
            "phase": phase,
            "currentRunners": count,
            "pendingEphemeralRunners": shown(current, "pending"),
            "runningEphemeralRunners": shown(current, "running"),
            "failedEphemeralRunners": shown(current, "failed"),
        });
        self.status(&SET, set, &status).await
    }

    /// GitHub takes the runners' version no more: nothing is begun again until the set is changed.
    async fn outdate(&self, set: &Value) -> Result<()> {
        let patch = json!({ "metadata": { "annotations": { CHANGE_HASH: spec_hash(set) } } });
        self.objects.merge(&SET, at(set), &patch).await?;
        self.status(&SET, set, &json!({ "phase": OUTDATED })).await
    }

    /// Whether an outdated set was changed since; it begins anew then.
    async fn is_changed(&self, set: &Value) -> Result<bool> {
        let known = annotation(set, CHANGE_HASH);
        if known.is_empty() || known == spec_hash(set) {
            return Ok(false);
        }
        self.status(&SET, set, &json!({ "phase": "Pending" }))
            .await?;
        Ok(true)
    }

    /// An outdated set has neither listener nor runners, and until 0.15 no scale set at GitHub either.
    async fn park(&mut self, set: &Value, snapshot: &Snapshot) -> Result<()> {
        if let Some(listener) = listener_of(set, snapshot) {
            return self.end(&LISTENER, listener).await;
        }
        let own = runner_sets(set, snapshot);
        for runners in &own {
            self.end(&RUNNERS, runners).await?;
        }
        if own.is_empty() && !self.configuration.since((0, 15, 0)) {
            self.is_deregistered(set).await?;
        }
        Ok(())
    }
}

/// The listener of a set. It is found by its name, so that one which an earlier version named otherwise stays beside it
/// (scale-sets.md 9, actions-runner-controller#4346).
pub(super) fn listener_of<'a>(set: &Value, snapshot: &'a Snapshot) -> Option<&'a Value> {
    let name = names::listener(set);
    let mut listeners = snapshot.listeners.iter();
    listeners.find(|it| at(it).1 == name)
}

/// The sets of runners of a set.
pub(super) fn runner_sets<'a>(set: &Value, snapshot: &'a Snapshot) -> Vec<&'a Value> {
    let all = snapshot.runner_sets.iter();
    all.filter(|it| is_owned_by(it, uid(set))).collect()
}

/// The runners of a set of runners that have not ended.
fn live<'a>(runner_set: &Value, snapshot: &'a Snapshot) -> Vec<&'a Value> {
    let all = snapshot.runners.iter();
    all.filter(|it| is_owned_by(it, uid(runner_set)))
        .filter(|it| !matches!(text(it, "/status/phase"), "Succeeded" | "Failed" | OUTDATED))
        .collect()
}

/// A count in a status.
fn shown(object: &Value, which: &str) -> u64 {
    let field = match which {
        "current" => "currentRunners".to_owned(),
        _ => format!("{which}EphemeralRunners"),
    };
    let current = if object["kind"] == "EphemeralRunnerSet" && which == "current" {
        "currentReplicas"
    } else {
        &field
    };
    object["status"][current].as_u64().unwrap_or_default()
}

/// The hash of all that runners are made from.
pub(super) fn spec_hash(set: &Value) -> String {
    let spec = &set["spec"];
    names::hash(&[
        &spec["githubConfigUrl"],
        &spec["githubConfigSecret"],
        &spec["runnerGroup"],
        &spec["runnerScaleSetName"],
        &spec["proxy"],
        &spec["githubServerTLS"],
        &spec["template"],
    ])
}

fn runner_spec(set: &Value, id: u64) -> Value {
    let spec = &set["spec"];
    let mut runner = spec["template"].clone();
    runner["runnerScaleSetId"] = id.into();
    for field in [
        "githubConfigUrl",
        "githubConfigSecret",
        "githubServerTLS",
        "proxy",
        "vaultConfig",
        "ephemeralRunnerConfigSecretMetadata",
    ] {
        if !spec[field].is_null() {
            runner[field] = spec[field].clone();
        }
    }
    runner
}

/// What `resourceMeta` of the chart says of an object; the controller's own labels and annotations win.
pub(super) fn add_metadata(metadata: &mut Value, extra: &Value) {
    for part in ["labels", "annotations"] {
        let extra = extra[part].as_object().cloned().unwrap_or_default();
        for (name, value) in extra {
            if metadata[part][&name].is_null() {
                metadata[part][name] = value;
            }
        }
    }
}
