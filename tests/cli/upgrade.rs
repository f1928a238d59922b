//! `arcctl upgrade` and `arcctl rollback`: what is refused before the cluster is asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read a document has failed"
)]

use serde_json::Value;

use crate::repository::{empty, root, shown, stdout};

/// The error of a command with these arguments.
fn refused(arguments: &[&str], code: i32) -> Value {
    let directory = empty();
    let arguments = [arguments, &["-o", "json"]].concat();
    let text = stdout(directory.path(), &arguments, code);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema"], "arcctl.upgrade/v1", "{document:#}");
    assert_eq!(document["error"]["code"], code, "{document:#}");
    document["error"].clone()
}

#[test]
fn both_need_a_file_and_an_answer() {
    let profile = shown(&root().join("profiles/reference.yaml"));
    for command in ["upgrade", "rollback"] {
        let error = refused(&[command, "-f", &profile], 64);
        assert!(error["hint"].as_str().unwrap().contains("--yes"), "{error}");
        let error = refused(&[command, "--yes", "-f", "-"], 64);
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("--dry-run"), "{error}");
    }
}

#[test]
fn a_version_that_is_not_understood_is_refused() {
    let profile = shown(&root().join("profiles/reference.yaml"));
    for to in [
        "arc=1",
        "cert-manager",
        "controller=0.23.7,controller=0.23.5",
    ] {
        let error = refused(&["upgrade", "--yes", "-f", &profile, "--to", to], 64);
        assert!(!error["hint"].is_null(), "{error}");
    }
    refused(
        &["upgrade", "--yes", "-f", &profile, "--token-env", "T"],
        64,
    );
}
