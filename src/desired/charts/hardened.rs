//! The security contexts of the controllers and the listeners, as the Pod Security Standard `restricted` admits them. Pure:
//! no I/O.
//!
//! Their images run as the user `nonroot` of the distroless images, by name (actions-runner-controller, `Dockerfile`);
//! kubelet cannot tell that a name is not root, so the number is given. The proxy of the metrics has the same number.

use serde_json::{Value, json};

/// The user and the group `nonroot` of the distroless images.
const NONROOT: u32 = 65532;

/// The security context of a pod.
pub(crate) fn pod() -> Value {
    json!({
        "runAsNonRoot": true,
        "runAsUser": NONROOT,
        "runAsGroup": NONROOT,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// The security context of a container.
pub(crate) fn container() -> Value {
    json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
}

/// The values of both charts for their security contexts, without those that `theirs`, the user's values, have.
pub(crate) fn unless_given(theirs: Option<&Value>) -> impl Iterator<Item = (&'static str, Value)> {
    let all = [
        ("podSecurityContext", pod()),
        ("securityContext", container()),
    ];
    all.into_iter()
        .filter(move |(key, _)| theirs.is_none_or(|it| it.get(key).is_none()))
}
