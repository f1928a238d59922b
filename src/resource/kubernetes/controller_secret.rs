//! The Secret with the controller's credential: arcctl writes it itself, so that no token is in Helm's history.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::ownership;
use crate::{
    clients::kube::{Mode, Target},
    desired::{names, resource::ControllerSecret},
    diff::{Difference, missing},
    error::{Error, ErrorKind, Result, System},
    resource::{
        as_it_is::{AS_IT_IS, TAKEN_OVER, is_left, is_marked, mark_goes},
        context::Context,
        observed::{Observed, Ownership, Present, Readiness},
    },
    secret::Secret,
};

impl ControllerSecret {
    fn target(&self) -> Target {
        Target::namespaced("v1", "Secret", &self.namespace, &self.name)
    }

    /// Compares the live Secret byte for byte with the credential; values never leave this function.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let Some(live) = context.kube.get(&self.target()).await? else {
            context.learn_secret_version(None);
            return Ok(Observed::Absent);
        };
        if !self.managed {
            return Ok(observe_foreign(context, &live));
        }
        let wanted = data(context);
        let mut differences: Vec<Difference> = live["data"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| {
                CONTROLLER_KEYS.contains(&key.as_str()) && !wanted.contains_key(*key)
            })
            .map(|(key, _)| Difference {
                to: Value::Null,
                ..hidden(format!("data.{key}"), true)
            })
            .collect();
        for (key, value) in &wanted {
            let path = format!("data.{key}");
            match live["data"].get(key) {
                Some(live) if live == value => {}
                Some(_) => differences.push(hidden(path, true)),
                None => differences.push(hidden(path, false)),
            }
        }
        let ownership = ownership::of_object(&live, &self.profile);
        if matches!(ownership, Ownership::Foreign { .. }) {
            let metadata = json!({"metadata": {
                "labels": names::labels(&self.profile),
                "annotations": {RESOURCE_POLICY: "keep"},
            }});
            differences.extend(missing(&live, &metadata));
        }
        if is_left(context.adopt, &ownership, &live) {
            let id = format!("secret/{}/{}", self.namespace, self.name);
            context.remarks.defer(&id, differences.clone());
            if ownership == Ownership::Ours {
                differences.clear();
            }
        } else if ownership == Ownership::Ours && is_marked(&live) {
            differences.push(mark_goes());
        }
        // The pod template contains the version, which is known only if the Secret will not change any more (DESIGN 5).
        let settled = differences.is_empty() && ownership == Ownership::Ours;
        let version = live["metadata"]["resourceVersion"].as_str();
        context.learn_secret_version(version.filter(|_| settled));
        Ok(Observed::Present(Present {
            differences,
            readiness: Readiness::Ready,
            ownership,
        }))
    }

    /// Writes the credential. First protects a Secret that a chart created from that chart's next upgrade (DESIGN 5).
    pub async fn apply(&self, context: &Context) -> Result<()> {
        let target = self.target();
        let live = context.kube.get(&target).await?;
        if !self.managed {
            return self.keep(context, live.is_some()).await;
        }
        if let Some(live) = live {
            let ownership = ownership::of_object(&live, &self.profile);
            if is_left(context.adopt, &ownership, &live) {
                return self.mark(context).await;
            }
            self.take(context, &live).await?;
            let wanted = data(context);
            let old = live["data"].as_object().into_iter().flatten();
            let old: BTreeMap<String, Secret> = old
                .filter(|(key, _)| CONTROLLER_KEYS.contains(&key.as_str()))
                .filter_map(|(key, value)| Some((key.clone(), Secret::trimmed(value.as_str()?).0)))
                .collect();
            let same = |(key, value): (&String, &Secret)| {
                wanted.get(key).and_then(Value::as_str) == Some(value.expose())
            };
            if old.len() != wanted.len() || !old.iter().all(same) {
                context.rotation().begin(old);
            }
        }
        let manifest = self.manifest(&data(context));
        let applied = context
            .kube
            .apply(&manifest, Mode::Commit)
            .await
            .map_err(|failure| without_values(failure.about(&target), context))?;
        context.learn_secret_version(applied["metadata"]["resourceVersion"].as_str());
        Ok(())
    }

    /// The object with this `data`, in base64.
    pub(in crate::resource) fn manifest(&self, data: &Map<String, Value>) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": names::labels(&self.profile),
                "annotations": {RESOURCE_POLICY: "keep"},
            },
            "type": "Opaque",
            "data": data,
        })
    }
}

/// A foreign Secret: only reads its version, and protects it from deletion by helm.
fn observe_foreign(context: &Context, live: &Value) -> Observed {
    context.learn_secret_version(live["metadata"]["resourceVersion"].as_str());
    let metadata = &live["metadata"];
    let of_a_chart = metadata["labels"][names::MANAGED_BY] == "Helm";
    let kept = metadata["annotations"][RESOURCE_POLICY] == "keep";
    let mut present = Present::same(Readiness::Ready);
    if of_a_chart && !kept {
        context.learn_secret_version(None);
        present.differences.push(Difference {
            path: format!("metadata.annotations.{RESOURCE_POLICY}"),
            from: Value::Null,
            to: json!("keep"),
        });
    }
    Observed::Present(present)
}

/// The annotation that tells helm to keep an object when its release no longer contains it.
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// All keys that the controller reads: a key of another kind of credential would take precedence (reference: arc.md 1.3).
const CONTROLLER_KEYS: [&str; 6] = [
    "github_token",
    "github_app_id",
    "github_app_installation_id",
    "github_app_private_key",
    "github_basicauth_username",
    "github_basicauth_password",
];

impl ControllerSecret {
    /// Protects a foreign Secret from deletion by helm.
    async fn keep(&self, context: &Context, there: bool) -> Result<()> {
        let target = self.target();
        if !there {
            return Err(Error::failed(System::Kubernetes, format!("{target} does not exist"))
                .object(target.to_string().replace('`', ""))
                .hint("the profile says that someone else manages it: create it, or name another source of the token"));
        }
        let patch = json!({"metadata": {"annotations": {RESOURCE_POLICY: "keep"}}});
        context.kube.merge(&target, &patch).await.map(|_| ())
    }

    /// Makes it arcctl's by its labels, protects it from deletion by helm, and keeps its data.
    async fn mark(&self, context: &Context) -> Result<()> {
        let target = self.target();
        let marks = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": names::labels(&self.profile),
                "annotations": {RESOURCE_POLICY: "keep", TAKEN_OVER: AS_IT_IS},
            },
        });
        match context.kube.apply(&marks, Mode::Commit).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.about(&target)),
        }
    }

    /// Adopts an existing Secret: checks its owner again, and removes the keys of another kind of
    /// credential.
    async fn take(&self, context: &Context, live: &Value) -> Result<()> {
        let target = self.target();
        let ownership = ownership::of_object(live, &self.profile);
        if ownership != Ownership::Ours
            && !(context.adopt && matches!(ownership, Ownership::Foreign { .. }))
        {
            return Err(Error::new(
                ErrorKind::Refused,
                System::Kubernetes,
                format!("another client has just created {target}"),
            )
            .object(target.to_string().replace('`', ""))
            .hint("run the same command again: it makes a new plan"));
        }
        let wanted = data(context);
        let old: Map<String, Value> = CONTROLLER_KEYS
            .iter()
            .filter(|key| !wanted.contains_key(**key) && !live["data"][**key].is_null())
            .map(|key| ((*key).to_owned(), Value::Null))
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        context
            .kube
            .merge(&target, &json!({"data": old}))
            .await
            .map(|_| ())
    }
}

/// The Secret's `data`, in base64: the credential, or the previous data after a failed rotation.
fn data(context: &Context) -> Map<String, Value> {
    if let Some(old) = context.rotation().wanted() {
        let text = |secret: &Secret| Value::String(secret.expose().to_owned());
        return old
            .iter()
            .map(|(key, it)| (key.clone(), text(it)))
            .collect();
    }
    let encode = |text: String| Value::String(STANDARD.encode(text));
    context
        .credential
        .secret_data()
        .into_iter()
        .map(|(key, text)| (key.to_owned(), encode(text)))
        .collect()
}

/// The error without the written values: a policy can quote the rejected object, in base64
/// or decoded.
fn without_values(mut error: Error, context: &Context) -> Error {
    for value in data(context).values().filter_map(Value::as_str) {
        let decoded = STANDARD.decode(value).ok();
        let decoded = decoded.and_then(|it| String::from_utf8(it).ok());
        for text in [Some(value.to_owned()), decoded].into_iter().flatten() {
            // An id is not secret, and shorter than this.
            if text.len() >= SECRET_LENGTH {
                error = error.without(&Secret::trimmed(&text).0);
            }
        }
    }
    error
}

/// The minimum length of a secret value.
const SECRET_LENGTH: usize = 16;

fn hidden(path: String, there: bool) -> Difference {
    let shown = || Value::String("(hidden)".into());
    Difference {
        path,
        from: if there { shown() } else { Value::Null },
        to: shown(),
    }
}
