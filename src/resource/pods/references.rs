//! Finds missing objects that runner pods reference and arcctl does not create.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::Value;

use crate::{
    clients::kube::{Kube, Target},
    desired::pool::references::{Need, Reference, needs},
    error::Result,
    profile::Profile,
};

/// The missing objects, with hints; failed checks are reported too.
pub async fn missing(kube: &Kube, profile: &Profile) -> Vec<String> {
    // A profile without a valid pod has its own error.
    let needs = needs(profile).unwrap_or_default();
    let found = needs.iter().map(|(reference, need)| async move {
        let found = look(kube, reference).await;
        let absent = matches!(found, Ok(None)).then_some(reference.namespace.as_deref());
        (absent.flatten(), told(reference, need, found))
    });
    let found = join_all(found).await;
    let namespaces: BTreeSet<&str> = found.iter().filter_map(|(absent, _)| *absent).collect();
    let namespaces = namespaces
        .into_iter()
        .map(|name| async move { without_namespace(kube, name).await });
    let namespaces = join_all(namespaces).await;
    found
        .into_iter()
        .map(|(_, said)| said)
        .chain(namespaces)
        .flatten()
        .collect()
}

/// How to create something in a namespace that does not exist yet.
async fn without_namespace(kube: &Kube, name: &str) -> Option<String> {
    let namespace = kube.get(&Target::cluster("v1", "Namespace", name)).await;
    matches!(namespace, Ok(None)).then(|| {
        format!(
            "namespace `{name}` does not exist yet: `arcctl up` creates it, or create it first with `kubectl create namespace {name}`; arcctl uses it without changes"
        )
    })
}

async fn look(kube: &Kube, reference: &Reference) -> Result<Option<Value>> {
    let (version, kind, name) = (reference.api_version(), reference.kind, &reference.name);
    let target = match &reference.namespace {
        Some(namespace) => Target::namespaced(version, kind, namespace, name),
        None => Target::cluster(version, kind, name),
    };
    kube.get(&target).await
}

/// A message about a reference; `None` where it is valid.
fn told(reference: &Reference, need: &Need, found: Result<Option<Value>>) -> Option<String> {
    let named = match &reference.namespace {
        Some(namespace) => format!(
            "{} `{}` in namespace `{namespace}`",
            reference.kind, reference.name
        ),
        None => format!("{} `{}`", reference.kind, reference.name),
    };
    let places: Vec<String> = need.places.iter().map(|it| format!("`{it}`")).collect();
    let places = places.join(", ");
    match found {
        Ok(None) => Some(format!(
            "{named} does not exist, and pods need it ({places}); {}",
            reference.command(&need.keys)
        )),
        Ok(Some(object)) => {
            let has = |key: &&String| {
                ["data", "binaryData"]
                    .iter()
                    .any(|it| object[*it].get(key.as_str()).is_some())
            };
            let lacking: Vec<String> = need
                .keys
                .iter()
                .filter(|key| !has(key))
                .map(|key| format!("`{key}`"))
                .collect();
            (!lacking.is_empty()).then(|| {
                format!(
                    "{named} does not have {}, and pods need it ({places}); add it to the {}, or correct the key",
                    lacking.join(" and "),
                    reference.kind
                )
            })
        }
        Err(error) => Some(format!(
            "could not find out whether {named} exists, and pods need it ({places}): {}",
            error.document().message
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::{Error, System};

    fn secret() -> (Reference, Need) {
        let reference = Reference {
            kind: "Secret",
            namespace: Some("actions-runner".into()),
            name: "npm".into(),
        };
        let need = Need {
            keys: vec!["token".into()],
            places: vec!["pools[0].env".into()],
        };
        (reference, need)
    }

    fn of(found: Result<Option<Value>>) -> Option<String> {
        let (reference, need) = secret();
        told(&reference, &need, found)
    }

    #[test]
    fn what_is_missing_is_told_with_its_command() {
        assert_eq!(
            of(Ok(None)).as_deref(),
            Some(
                "Secret `npm` in namespace `actions-runner` does not exist, and pods need it (`pools[0].env`); \
                 create it with `kubectl -n actions-runner create secret generic npm --from-file=token=…`"
            )
        );
        let other = of(Ok(Some(json!({"data": {"Token": ""}})))).unwrap();
        assert!(other.contains("does not have `token`"), "{other}");
        assert_eq!(of(Ok(Some(json!({"data": {"token": ""}})))), None);
    }

    #[test]
    fn what_could_not_be_asked_is_not_fine() {
        let said = of(Err(Error::failed(
            System::Kubernetes,
            "no right to read it",
        )))
        .unwrap();
        assert!(
            said.contains("could not find out") && said.ends_with("no right to read it"),
            "{said}"
        );
    }
}
