//! Plan errors: live objects that conflict with the profile and do not belong to it.

use serde_json::Value;

use crate::{
    desired::resource::Id,
    error::{Error, ErrorKind, System},
};

/// An autoscaler of another name on a pool's `RunnerDeployment` would overwrite its replicas.
pub(super) fn rival(id: &Id, manifest: &Value) -> Error {
    let (name, kind) = (id.name(), manifest["kind"].as_str().unwrap_or_default());
    let pool = manifest["spec"]["scaleTargetRef"]["name"]
        .as_str()
        .unwrap_or_default();
    Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("{kind} `{name}` scales the runners of pool `{pool}`"),
    )
    .object(id)
    .cause(format!("arcctl makes one called `{pool}`; two would undo each other's numbers"))
    .hint(format!(
        "see it with `arcctl plan --adopt`, then `arcctl up --adopt` deletes it; or do so yourself: `kubectl -n {} delete {} {name}`; the runners stay",
        id.namespace().unwrap_or_default(),
        kind.to_lowercase(),
    ))
}

pub(super) fn foreign(id: &Id, evidence: &str) -> Error {
    Error::new(ErrorKind::Refused, System::Kubernetes, format!("`{id}` is there and is not arcctl's"))
        .object(id)
        .cause(evidence)
        .hint("see what would change with `arcctl plan --adopt`, then take it over with `arcctl up --adopt`; or remove it by hand")
}

pub(super) fn other_profile(id: &Id, name: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("`{id}` belongs to the profile `{name}`"),
    )
    .object(id)
    .hint("namespaces, releases and the Secret are one per cluster: use that profile: `-f` names its file")
}

/// Combines all conflicts into one error, so that one run reports all of them.
pub fn refusals(mut errors: Vec<Error>) -> Option<Error> {
    if errors.len() < 2 {
        return errors.pop();
    }
    let hint = errors[0].hint.clone().unwrap_or_default();
    let message = format!(
        "{} things are there that are not this profile's",
        errors.len()
    );
    let all = Error::new(ErrorKind::Refused, System::Kubernetes, message)
        .object(errors[0].object.clone().unwrap_or_default())
        .hint(hint);
    Some(errors.into_iter().fold(all, |all, error| {
        all.cause(match error.causes.as_slice() {
            [] => error.message,
            causes => format!("{} ({})", error.message, causes.join("; ")),
        })
    }))
}
