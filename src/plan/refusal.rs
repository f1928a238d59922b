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
    .cause(format!("arcctl creates one named `{pool}`; two would overwrite each other's replicas"))
    .hint(format!(
        "`arcctl plan --adopt` shows it, `arcctl up --adopt` deletes it; or delete it yourself: `kubectl -n {} delete {} {name}`; the runners stay",
        id.namespace().unwrap_or_default(),
        kind.to_lowercase(),
    ))
}

pub(super) fn foreign(id: &Id, evidence: &str) -> Error {
    Error::new(ErrorKind::Refused, System::Kubernetes, format!("`{id}` exists and is not managed by arcctl"))
        .object(id)
        .cause(evidence)
        .hint("`arcctl plan --adopt` shows what would change, `arcctl up --adopt` adopts it; or delete it yourself")
}

pub(super) fn other_profile(id: &Id, name: &str) -> Error {
    Error::new(
        ErrorKind::Refused,
        System::Kubernetes,
        format!("`{id}` belongs to the profile `{name}`"),
    )
    .object(id)
    .hint("namespaces, releases and the Secret exist once per cluster: use that profile with `-f FILE`")
}

/// Combines all conflicts into one error, so that one run reports all of them.
pub fn refusals(mut errors: Vec<Error>) -> Option<Error> {
    // A chart that is not the one of the lock is no object of the cluster.
    if let Some(at) = errors.iter().position(|it| it.system == System::Helm) {
        return Some(errors.swap_remove(at));
    }
    if errors.len() < 2 {
        return errors.pop();
    }
    let hint = errors[0].hint.clone().unwrap_or_default();
    let message = format!(
        "{} objects exist that this profile does not manage",
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
