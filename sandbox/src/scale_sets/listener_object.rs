//! Reconciles an `AutoscalingListener`: its account and rights, the Secret with a copy of the credential, its pod.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::names::{
    self, OF_LISTENER, SPEC_HASH, VALUES_HASH, annotation, labels, with_finalizers,
};
use super::pods;
use super::reconciler::{Reconciler, Snapshot};
use super::scale_set::{add_metadata, spec_hash};
use super::service::Credential;
use super::{ACCOUNT, BINDING, LISTENER, ROLE};
use crate::objects::{Kind, POD, SECRET, at, has_finalizer, is_deleted, text, without_finalizer};

/// Without a maximum a set has as many runners as a number holds.
const UNLIMITED: i64 = 2_147_483_647;

impl Reconciler {
    /// The listener that a set asks for.
    pub(super) fn listener_for(&self, set: &Value, runners: &Value, id: u64) -> Value {
        let spec = &set["spec"];
        let secrets = self.configuration.pull_secrets.iter();
        let secrets: Vec<Value> = secrets.map(|name| json!({ "name": name })).collect();
        let mut listener = json!({
            "githubConfigUrl": spec["githubConfigUrl"],
            "githubConfigSecret": spec["githubConfigSecret"],
            "runnerScaleSetId": id,
            "autoscalingRunnerSetNamespace": at(set).0,
            "autoscalingRunnerSetName": at(set).1,
            "ephemeralRunnerSetName": at(runners).1,
            "minRunners": spec["minRunners"].as_i64().unwrap_or(0),
            "maxRunners": spec["maxRunners"].as_i64().unwrap_or(UNLIMITED),
            "image": self.configuration.image,
            "imagePullSecrets": secrets,
        });
        for (field, from) in [
            ("proxy", "proxy"),
            ("githubServerTLS", "githubServerTLS"),
            ("template", "listenerTemplate"),
            ("metrics", "listenerMetrics"),
            ("serviceAccountMetadata", "listenerServiceAccountMetadata"),
            ("roleMetadata", "listenerRoleMetadata"),
            ("roleBindingMetadata", "listenerRoleBindingMetadata"),
            ("configSecretMetadata", "listenerConfigSecretMetadata"),
        ] {
            if !spec[from].is_null() {
                listener[field] = spec[from].clone();
            }
        }
        let hash = self.listener_hash(set, &listener);
        let labels = labels(
            set,
            "runner-scale-set-listener",
            &self.configuration.excluded,
        );
        let mut metadata = json!({
            "name": names::listener(set), "namespace": self.configuration.namespace, "labels": labels,
            "annotations": { SPEC_HASH: hash, VALUES_HASH: annotation(set, VALUES_HASH) },
        });
        add_metadata(&mut metadata, &spec["autoscalingListener"]);
        json!({ "metadata": metadata, "spec": listener })
    }

    /// What a listener is compared by. Until 0.15 that is what the set and the chart's values say, whatever they are for: its
    /// id and its runners are written once, and stay when the set has others (actions-runner-controller#4370, #4561).
    fn listener_hash(&self, set: &Value, listener: &Value) -> String {
        if self.configuration.since((0, 15, 0)) {
            return names::hash(&[listener]);
        }
        let mut compared = listener.clone();
        for written_once in ["runnerScaleSetId", "ephemeralRunnerSetName"] {
            compared[written_once] = Value::Null;
        }
        let (template, values) = (spec_hash(set), annotation(set, VALUES_HASH));
        names::hash(&[&compared, &template.into(), &values.into()])
    }

    /// Brings a listener one step on.
    pub(super) async fn reconcile_listener(
        &mut self,
        listener: &Value,
        snapshot: &Snapshot,
    ) -> Result<()> {
        let pod = snapshot
            .listener_pods
            .iter()
            .find(|it| at(it) == at(listener));
        if is_deleted(listener) {
            return self.end_listener(listener, pod).await;
        }
        if !has_finalizer(listener, OF_LISTENER) {
            let patch = with_finalizers(listener, &[OF_LISTENER]);
            self.objects.merge(&LISTENER, at(listener), &patch).await?;
            return Ok(());
        }
        let set = snapshot.sets.iter().find(|set| {
            text(listener, "/spec/autoscalingRunnerSetNamespace") == at(set).0
                && text(listener, "/spec/autoscalingRunnerSetName") == at(set).1
        });
        // Without its set or its Secret it cannot be made; the controller only logs that.
        let Some(set) = set else {
            return Ok(());
        };
        let Some(credential) = self.credential(set).await? else {
            return Ok(());
        };
        let configuration = self.listener_configuration(listener, &credential);
        let namespace = at(listener).0;
        let (name, known) = (
            format!("{}-config", at(listener).1),
            configuration.to_string(),
        );
        let secret = self.objects.get(&SECRET, (namespace, &name)).await?;
        let Some(secret) = secret else {
            return self.make_configuration(listener, &name, &known).await;
        };
        let data = json!({ "config.json": STANDARD.encode(&known) });
        let changed = secret["data"] != data && self.configuration.since((0, 14, 2));
        if changed {
            let patch = json!({ "data": data });
            self.objects.merge(&SECRET, at(&secret), &patch).await?;
        }
        self.make_rights(listener).await?;
        match pod {
            None => {
                let pod = pods::of_listener(listener, &self.configuration);
                self.objects.create(&POD, namespace, &pod).await?;
                Ok(())
            }
            // A pod that has ended, was evicted, or has the old credential is made anew: it never shows restarts.
            Some(pod)
                if changed || matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") =>
            {
                self.end(&POD, pod).await
            }
            Some(_) => Ok(()),
        }
    }

    /// What the listener's program reads.
    fn listener_configuration(&self, listener: &Value, credential: &Credential) -> Value {
        let spec = &listener["spec"];
        let metrics = self.configuration.metrics.clone().unwrap_or_default();
        json!({
            "configure_url": spec["githubConfigUrl"],
            "token": credential.token,
            "app_id": credential.app.id,
            "app_installation_id": credential.app.installation,
            "app_private_key": credential.app.key,
            "ephemeral_runner_set_namespace": spec["autoscalingRunnerSetNamespace"],
            "ephemeral_runner_set_name": spec["ephemeralRunnerSetName"],
            "min_runners": spec["minRunners"],
            "max_runners": spec["maxRunners"],
            "runner_scale_set_id": spec["runnerScaleSetId"],
            "runner_scale_set_name": spec["autoscalingRunnerSetName"],
            "log_level": self.configuration.log.0,
            "log_format": self.configuration.log.1,
            "metrics_addr": metrics.0,
            "metrics_endpoint": metrics.1,
        })
    }

    async fn make_configuration(&self, listener: &Value, name: &str, text: &str) -> Result<()> {
        let namespace = at(listener).0;
        let mut metadata = json!({
            "name": name, "namespace": namespace, "labels": listener["metadata"]["labels"],
        });
        add_metadata(&mut metadata, &listener["spec"]["configSecretMetadata"]);
        let secret = json!({
            "metadata": metadata, "type": "Opaque",
            "data": { "config.json": STANDARD.encode(text) },
        });
        self.objects.create(&SECRET, namespace, &secret).await?;
        Ok(())
    }

    /// The account of the pod, and its right to patch the runners of its set.
    async fn make_rights(&self, listener: &Value) -> Result<()> {
        let (namespace, name) = at(listener);
        let spec = &listener["spec"];
        let runners = text(listener, "/spec/autoscalingRunnerSetNamespace");
        let metadata = |namespace: &str, extra: &str| {
            let mut metadata = json!({
                "name": name, "namespace": namespace, "labels": listener["metadata"]["labels"],
            });
            add_metadata(&mut metadata, &spec[extra]);
            metadata
        };
        let rules = json!([
            { "apiGroups": [super::GROUP], "resources": ["ephemeralrunnersets"],
              "resourceNames": [spec["ephemeralRunnerSetName"]], "verbs": ["patch"] },
            { "apiGroups": [super::GROUP], "resources": ["ephemeralrunners", "ephemeralrunners/status"],
              "verbs": ["patch"] },
        ]);
        let role = json!({ "metadata": metadata(runners, "roleMetadata"), "rules": rules });
        let binding = json!({
            "metadata": metadata(runners, "roleBindingMetadata"),
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": name, "namespace": namespace }],
        });
        let account = json!({ "metadata": metadata(namespace, "serviceAccountMetadata") });
        for (kind, within, object) in [
            (ACCOUNT, namespace, account),
            (ROLE, runners, role),
            (BINDING, runners, binding),
        ] {
            let known = self.objects.get(&kind, (within, name)).await?;
            match known {
                None => {
                    self.objects.create(&kind, within, &object).await?;
                }
                Some(known) if kind_has_rules(&object) && known["rules"] != object["rules"] => {
                    let patch = json!({ "rules": object["rules"] });
                    self.objects.merge(&kind, (within, name), &patch).await?;
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The pod first: its program closes its session. Then what it needed.
    async fn end_listener(&self, listener: &Value, pod: Option<&Value>) -> Result<()> {
        if !has_finalizer(listener, OF_LISTENER) {
            return Ok(());
        }
        if let Some(pod) = pod {
            return self.end(&POD, pod).await;
        }
        let (namespace, name) = at(listener);
        let runners = text(listener, "/spec/autoscalingRunnerSetNamespace");
        let configuration = format!("{name}-config");
        let owned: [(Kind, &str, &str); 4] = [
            (SECRET, namespace, &configuration),
            (BINDING, runners, name),
            (ROLE, runners, name),
            (ACCOUNT, namespace, name),
        ];
        for (kind, within, name) in owned {
            self.objects.delete(&kind, (within, name)).await?;
        }
        let patch = without_finalizer(listener, OF_LISTENER);
        self.objects.merge(&LISTENER, at(listener), &patch).await?;
        Ok(())
    }
}

fn kind_has_rules(object: &Value) -> bool {
    !object["rules"].is_null()
}
