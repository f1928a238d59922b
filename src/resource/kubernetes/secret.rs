//! Secrets other than the controller's: the webhook signing secret for GitHub, the credential of runner scale sets, and the
//! credentials of pools with another GitHub account. Their values are only sent to the API server.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls::crypto::ring::default_provider;
use serde_json::{Map, Value, json};

use super::ownership;
use crate::{
    clients::kube::{Mode, Target},
    desired::{
        names,
        resource::{OwnSecret, SecretContent},
    },
    diff::Difference,
    error::{Error, Result, System},
    resource::{
        context::Context,
        observed::{Observed, Ownership, Present, Readiness},
    },
};

/// The key that the webhook server reads (reference: arc.md 1.2).
pub(super) const WEBHOOK_TOKEN: &str = "github_webhook_secret_token";

/// The number of random bytes of the signing secret: the size of the signature (docs.github.com: HMAC with SHA-256).
const TOKEN_BYTES: usize = 32;

impl OwnSecret {
    fn target(&self) -> Target {
        Target::namespaced("v1", "Secret", &self.namespace, &self.name)
    }

    /// Compares the live Secret with the wanted one. A foreign Secret for the webhook server is used as it
    /// is: GitHub is already configured with its value.
    pub async fn observe(&self, context: &Context) -> Result<Observed> {
        let Some(live) = context.kube.get(&self.target()).await? else {
            return Ok(Observed::Absent);
        };
        let ownership = ownership::of_object(&live, &self.profile);
        let has_token = live["data"][WEBHOOK_TOKEN]
            .as_str()
            .is_some_and(|it| !it.is_empty());
        if self.content == SecretContent::WebhookToken && has_token {
            return Ok(Observed::Present(Present::same(Readiness::Ready)));
        }
        let mut present = Present::same(Readiness::Ready);
        present.ownership = ownership;
        let wanted = self.data(context, Some(&live))?;
        let keys = live["data"].as_object().into_iter().flatten();
        let superfluous = keys.filter(|(key, _)| !wanted.contains_key(*key));
        present.differences = superfluous
            .map(|(key, _)| hidden(key, true, false))
            .chain(
                wanted
                    .iter()
                    .filter_map(|(key, value)| match live["data"].get(key) {
                        Some(live) if live == value => None,
                        live => Some(hidden(key, live.is_some(), true)),
                    }),
            )
            .collect();
        Ok(Observed::Present(present))
    }

    /// Writes it.
    pub async fn apply(&self, context: &Context) -> Result<()> {
        let target = self.target();
        let live = context.kube.get(&target).await?;
        if let Some(live) = &live
            && ownership::of_object(live, &self.profile) != Ownership::Ours
            && !context.adopt
        {
            return Err(Error::new(
                crate::error::ErrorKind::Refused,
                System::Kubernetes,
                format!("another client has just created {target}"),
            )
            .object(target.to_string().replace('`', ""))
            .hint("run the same command again: it makes a new plan"));
        }
        let manifest = self.manifest(&self.data(context, live.as_ref())?);
        match context.kube.apply(&manifest, Mode::Commit).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.about(&target)),
        }
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
            },
            "type": "Opaque",
            "data": data,
        })
    }

    /// Its `data`, in base64.
    fn data(&self, context: &Context, live: Option<&Value>) -> Result<Map<String, Value>> {
        let encode = |bytes: &[u8]| Value::String(STANDARD.encode(bytes));
        match &self.content {
            SecretContent::WebhookToken => {
                let known = live.map(|it| &it["data"][WEBHOOK_TOKEN]);
                let known = known.filter(|it| it.as_str().is_some_and(|it| !it.is_empty()));
                let token = match known {
                    Some(known) => known.clone(),
                    None => encode(random_token()?.as_bytes()),
                };
                Ok(Map::from_iter([(WEBHOOK_TOKEN.to_owned(), token)]))
            }
            SecretContent::ProfileCredential | SecretContent::Credential { .. } => {
                // Both controllers read the same keys.
                let credential = match &self.content {
                    SecretContent::Credential { pool } => context.credential_of(pool),
                    _ => &context.credential,
                };
                let data = credential.secret_data().into_iter();
                Ok(data
                    .map(|(key, text)| (key.to_owned(), encode(text.as_bytes())))
                    .collect())
            }
        }
    }
}

/// Random bytes as hexadecimal digits.
fn random_token() -> Result<String> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    let filled = default_provider().secure_random.fill(&mut bytes);
    filled.map_err(|_| {
        Error::failed(
            System::Local,
            "this machine gives no random numbers for the webhook's secret",
        )
        .hint("make the Secret yourself: `kubectl create secret generic github-webhook-server --from-literal=github_webhook_secret_token=…` in the controller's namespace")
    })?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ignored = write!(text, "{byte:02x}");
        text
    }))
}

fn hidden(key: &str, there: bool, wanted: bool) -> Difference {
    let shown = |is_there: bool| {
        if is_there {
            Value::String("(hidden)".into())
        } else {
            Value::Null
        }
    };
    Difference {
        path: format!("data.{key}"),
        from: shown(there),
        to: shown(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_the_same() {
        let (one, other) = (random_token().unwrap(), random_token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 2 * TOKEN_BYTES);
    }
}
