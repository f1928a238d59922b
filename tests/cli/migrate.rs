//! `arcctl migrate`: what is refused before the cluster is asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read a document has failed"
)]

use serde_json::Value;

use crate::repository::{empty, root, shown, stdout};

/// The error of `migrate` with these arguments.
fn refused(arguments: &[&str], code: i32) -> Value {
    let directory = empty();
    let arguments = [&["migrate"], arguments, &["-o", "json"]].concat();
    let text = stdout(directory.path(), &arguments, code);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema"], "arcctl.migration/v1", "{document:#}");
    assert_eq!(document["error"]["code"], code, "{document:#}");
    document["error"].clone()
}

#[test]
fn a_direction_must_be_given_and_only_one() {
    let profile = shown(&root().join("profiles/reference.yaml"));
    let file = ["-f", &profile];
    for arguments in [
        &["basic"][..],
        &["basic", "--to", "other"][..],
        &["basic", "--to", "scaleSet", "--back"][..],
        &["basic", "--back", "--name", "x"][..],
        &["basic", "--to", "scaleSet", "--token-env", "T"][..],
        &["--to", "scaleSet"][..],
    ] {
        refused(&[arguments, &file].concat(), 64);
    }
}

#[test]
fn a_migration_needs_a_file_and_an_answer() {
    let profile = shown(&root().join("profiles/reference.yaml"));
    let there = ["basic", "--to", "scaleSet"];
    let error = refused(&[&there[..], &["-f", &profile]].concat(), 64);
    assert!(error["hint"].as_str().unwrap().contains("--yes"), "{error}");
    let error = refused(&[&there[..], &["--yes", "-f", "-"]].concat(), 64);
    assert!(
        error["hint"].as_str().unwrap().contains("--dry-run"),
        "{error}"
    );
}
