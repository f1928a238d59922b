//! The kubeconfig files of the sandbox. Pure: no I/O.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::certificates::{Authority, Leaf};

/// The name of the kubeconfig's context, cluster and user.
pub const CONTEXT: &str = "sandbox";

/// With what a user shows who it is.
pub(super) enum User<'a> {
    Certificate(&'a Leaf),
    Token(&'a str),
}

/// A kubeconfig with one context; JSON, which every reader of YAML reads.
pub(super) fn text(url: &str, authority: &Authority, user: &User<'_>) -> String {
    let user = match user {
        User::Certificate(leaf) => json!({
            "client-certificate-data": STANDARD.encode(&leaf.certificate),
            "client-key-data": STANDARD.encode(&leaf.key),
        }),
        User::Token(token) => json!({"token": token}),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": {
            "server": url,
            "certificate-authority-data": STANDARD.encode(authority.certificate()),
        }}],
        "users": [{"name": CONTEXT, "user": user}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kube_reads_it_back() {
        let authority = Authority::new("test").unwrap();
        let user = authority.client("someone", None).unwrap();
        let text = text("https://127.0.0.1:1", &authority, &User::Certificate(&user));
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("sandbox"));
        let server = config.clusters[0]
            .cluster
            .as_ref()
            .unwrap()
            .server
            .as_deref();
        assert_eq!(server, Some("https://127.0.0.1:1"));
    }
}
