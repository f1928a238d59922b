//! That no secret leaves its path (DESIGN 1): not into outputs, Helm's history, the inventory or events.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::cluster::Cluster;

/// The objects in which text of a run ends up.
const KINDS: &str = "configmaps,events,leases.coordination.k8s.io,deployments,serviceaccounts,pods";

impl Cluster {
    /// Every place that a token must not be in.
    pub(crate) fn assert_no_secret(&self) {
        let tokens = self.tokens();
        let hidden = |place: &str, text: &str| {
            for token in &tokens {
                assert!(!text.contains(token), "the token is in {place}");
                let encoded = STANDARD.encode(token);
                assert!(
                    !text.contains(&encoded),
                    "the token is in {place}, as base64"
                );
            }
        };
        for output in self.outputs() {
            hidden("arcctl's output", &output);
        }
        hidden(
            "an object",
            &self.kubectl(&["get", KINDS, "-A", "-o", "json"], None),
        );
        let ours = "owner=helm,arcctl.dev/profile";
        for (name, record) in self.release_records(ours) {
            hidden(&name, &record);
        }
    }

    /// The decoded record of each revision that `selector` finds, by the name of its Secret.
    pub(crate) fn release_records(&self, selector: &str) -> Vec<(String, String)> {
        let text = self.kubectl(
            &["get", "secrets", "-A", "-l", selector, "-o", "json"],
            None,
        );
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|secret| {
                let name = secret["metadata"]["name"].as_str().unwrap().to_owned();
                (name, record(secret["data"]["release"].as_str().unwrap()))
            })
            .collect()
    }

    /// The controller's Secret has the token, byte for byte, and nothing else has it.
    pub(crate) fn assert_secret_is(&self, token: &str) {
        let secret = self.get("secret", "actions-runner-system", "controller-manager");
        let data = secret["data"].as_object().unwrap();
        assert_eq!(data.keys().collect::<Vec<_>>(), ["github_token"]);
        let value = STANDARD
            .decode(data["github_token"].as_str().unwrap())
            .unwrap();
        assert_eq!(value, token.as_bytes());
    }
}

/// A release as JSON: base64 (the Secret's), base64 (helm's), gzip.
fn record(data: &str) -> String {
    let packed = STANDARD.decode(STANDARD.decode(data).unwrap()).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains("\"manifest\""), "not a release: {text}");
    text
}
