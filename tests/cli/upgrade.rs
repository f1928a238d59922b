//! `arcctl upgrade` and `arcctl rollback`: what is refused before the cluster is asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read a document has failed"
)]

use std::time::Duration;

use arcctl::{
    error::{Error, System},
    report::upgrade::Upgraded,
    upgrade::{
        Stage, Upgrade,
        path::path,
        versions::{Component, Versions},
    },
};
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

/// A lock pins what would change, on the way back too: that is told before the cluster is asked.
#[test]
fn a_lock_is_refused_both_ways() {
    let directory = empty();
    let file = directory.path().join("arcctl.yaml");
    std::fs::copy(root().join("profiles/reference.yaml"), &file).unwrap();
    let lock = r#"{"version": 1, "profile": "x", "charts": [], "images": []}"#;
    std::fs::write(directory.path().join("arcctl.lock"), lock).unwrap();
    for command in ["upgrade", "rollback"] {
        let error = refused(&[command, "--yes", "-f", &shown(&file)], 7);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("pins the versions"), "{error}");
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

/// An upgrade with an image that is not finished.
pub(crate) fn document() -> Value {
    let versions = |version: &str, image: &str| Versions {
        charts: [(Component::CertManager, version.to_owned())].into(),
        images: [("actions-runner/basic".to_owned(), image.to_owned())].into(),
    };
    let (from, to) = (
        versions("v1.20.4", "r.example/arc:v2.336.0"),
        versions("v1.21.1", "r.example/arc:v2.338.1"),
    );
    let upgraded = Upgraded {
        profile: "x".into(),
        file: "arcctl.yaml".into(),
        kubernetes: Some((1, 33)),
        steps: path(&from, &to).unwrap(),
        done: 1,
        upgrade: Some(Upgrade {
            now: from.clone(),
            from,
            to,
            stage: Stage::Forth,
            began: "2026-11-27 09:00 UTC".into(),
            backup: vec!["config-map/actions-runner-system/arcctl-x-backup-pools".into()],
            secret: None,
        }),
        stage: Some(Stage::Forth),
        eks: Some("EKS ends something".into()),
        apis: vec!["release `x`: `A` of b/v1beta1 is not served".into()],
        elapsed: Duration::from_secs(2),
        error: Some(
            Error::failed(System::Helm, "something")
                .object("x")
                .hint("do something"),
        ),
        ..Upgraded::default()
    };
    upgraded.document()
}
