//! `github.caBundle`: distributes the private certificate authority to the controller, the runners and their docker
//! daemon. Pure: no I/O.
//!
//! A `ConfigMap` in both namespaces. In the runner and the docker container its file is mounted into the system's
//! certificate directory, where the runner (.NET), git and dockerd (Go) read every file: the system's certificates stay
//! trusted, unlike with `SSL_CERT_FILE`. Node.js has its own certificates and a variable for more. Containers that jobs
//! start do not inherit any of it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    desired::{Facts, names, placeholder},
    profile::Profile,
};

/// The volume in a pod.
const VOLUME: &str = "github-ca";
/// The file's path in a runner and a docker container.
const FILE: &str = "/etc/ssl/certs/arcctl-github-ca.pem";
/// The mount path of the `ConfigMap` in the controller.
const CONTROLLER_DIRECTORY: &str = "/etc/arcctl/github-ca";

/// The `ConfigMap` of `namespace`.
pub(crate) fn config_map(profile: &Profile, facts: &Facts, namespace: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names::metadata(profile, Some(namespace), names::CA_BUNDLE),
        "data": {names::CA_BUNDLE_KEY: placeholder::CA_BUNDLE.or(facts.ca_bundle.as_deref())},
    })
}

/// The volume of a pod, runner or controller.
pub(crate) fn volume() -> Value {
    json!({"name": VOLUME, "configMap": {"name": names::CA_BUNDLE}})
}

/// The mount in a runner or docker container.
pub(crate) fn runner_mount() -> Value {
    json!({"name": VOLUME, "mountPath": FILE, "subPath": names::CA_BUNDLE_KEY, "readOnly": true})
}

/// The variable of a runner container.
pub(crate) fn runner_environment() -> (String, String) {
    ("NODE_EXTRA_CA_CERTS".into(), FILE.into())
}

/// The mount in the controller.
pub(crate) fn controller_mount() -> Value {
    json!({"name": VOLUME, "mountPath": CONTROLLER_DIRECTORY, "readOnly": true})
}

/// The variable of the controller: Go reads the system's bundle and every file of these directories.
pub(crate) fn controller_environment() -> (String, String) {
    (
        "SSL_CERT_DIR".into(),
        format!("{CONTROLLER_DIRECTORY}:/etc/ssl/certs"),
    )
}

/// The digest in the controller's pod template: a changed certificate restarts it, because Go reads certificates once.
pub(crate) fn digest(facts: &Facts) -> String {
    use std::fmt::Write as _;

    let digest = facts.ca_bundle.as_ref().map(|bundle| {
        Sha256::digest(bundle.as_bytes())
            .iter()
            .fold(String::new(), |mut hex, byte| {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    });
    placeholder::CA_BUNDLE_SHA256.or(digest.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_profile_has_its_inventory_in_this_config_map() {
        let name = names::CA_BUNDLE.strip_prefix("arcctl-").unwrap();
        let profile = |name: &str| {
            let text = format!(
                "apiVersion: arcctl.dev/v1\nname: {name}\ncluster: {{context: c}}\n\
                 github: {{organization: o, token: {{env: TOKEN}}}}\n\
                 pools: [{{name: basic, image: \"r:v1-ubuntu-22.04\", min: 1, max: 4}}]\n"
            );
            crate::profile::load(&text, "arcctl.yaml")
        };
        assert!(profile("ci").is_ok());
        let refused = profile(name).err().unwrap().to_string();
        assert!(refused.contains(names::CA_BUNDLE), "{refused}");
    }

    #[test]
    fn unknown_certificates_are_placeholders() {
        assert_eq!(digest(&Facts::default()), "${CA_BUNDLE_SHA256}");
    }

    #[test]
    fn the_digest_is_that_of_the_file() {
        let facts = Facts {
            ca_bundle: Some("abc".into()),
            ..Facts::default()
        };
        assert_eq!(
            digest(&facts),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
