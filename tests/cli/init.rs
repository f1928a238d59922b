//! `arcctl init` without a network and without a terminal, and what commands say where there is no profile.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run the program has failed"
)]

use std::{fs, path::Path};

use serde_json::Value;

use crate::repository::{command, empty};

/// Runs arcctl in `directory`, which has no kubeconfig and no region; its exit code, its document and its messages.
fn run(directory: &Path, arguments: &[&str]) -> (i32, Value, String) {
    let output = command(directory, &[arguments, &["-o", "json"]].concat())
        // Without it the SDK asks a link-local address for a region.
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let document =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    (output.status.code().unwrap(), document, stderr)
}

#[test]
fn without_a_terminal_the_flags_are_named() {
    let directory = empty();
    let (code, document, _) = run(directory.path(), &["init"]);
    assert_eq!((code, &document["schema"]), (64, &"arcctl.init/v1".into()));
    let hint = document["error"]["hint"].as_str().unwrap();
    for flag in [
        "--yes",
        "--eks",
        "--region",
        "--context",
        "--organization",
        "--enterprise",
        "--repository",
    ] {
        assert!(hint.contains(flag), "{hint}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn without_a_cluster_what_is_missing_is_named() {
    let directory = empty();
    let arguments = ["init", "--yes", "--token-from", "env:UNSET"];
    let (code, document, stderr) = run(directory.path(), &arguments);
    assert_eq!(code, 64, "{stderr}");
    let hint = document["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("--context NAME; --organization"), "{hint}");
    assert!(
        stderr.contains("EKS clusters") && stderr.contains("could not find out"),
        "{stderr}"
    );
    assert!(stderr.contains("no context"), "{stderr}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    // Named, it need not be reached: the profile is written, and the plan says why there is none.
    let named = ["--context", "build", "--repository", "doge/app"];
    let (code, document, stderr) = run(directory.path(), &[&arguments[..], &named].concat());
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(document["profile"], "app");
    assert!(!document["planError"].is_null(), "{document:#}");
    let written = fs::read_to_string(directory.path().join("arcctl.yaml")).unwrap();
    assert_eq!(document["text"], written.as_str());
    assert!(
        written.starts_with("# yaml-language-server: $schema="),
        "{written}"
    );
}

/// As in an image `scratch`, where the program is alone.
#[test]
#[cfg(target_os = "linux")]
fn a_machine_without_root_certificates_is_told_as_that() {
    let directory = empty();
    fs::write(directory.path().join("none.pem"), "").unwrap();
    let arguments = ["init", "--yes", "--token-from", "env:A_TOKEN"];
    let output = command(directory.path(), &arguments)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("A_TOKEN", "ghp_0123456789abcdefghijklmnopqrstuvwxyz")
        .env("SSL_CERT_FILE", directory.path().join("none.pem"))
        .env("SSL_CERT_DIR", directory.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    for words in [
        "could not find out: this machine has no root certificates",
        "No CA certificates were loaded",
    ] {
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn a_file_that_exists_is_kept() {
    let directory = empty();
    for (name, target) in [("arcctl.yaml", None), ("link.yaml", Some("nowhere"))] {
        let path = directory.path().join(name);
        match target {
            None => fs::write(&path, "mine").unwrap(),
            Some(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
        }
        let (code, document, _) = run(directory.path(), &["init", "--yes", "-f", name]);
        assert_eq!(code, 7, "{document:#}");
        let hint = document["error"]["hint"].as_str().unwrap();
        assert!(hint.contains("-f"), "{hint}");
    }
    assert_eq!(
        fs::read_to_string(directory.path().join("arcctl.yaml")).unwrap(),
        "mine"
    );
    assert!(!directory.path().join("nowhere").exists());
}

#[test]
fn an_answer_that_cannot_be_used_is_refused_and_a_token_is_not_repeated() {
    let directory = empty();
    let token = "ghp_0123456789abcdefghij0123456789abcdef";
    for (flags, expected) in [
        (&["--token-from", token][..], "this is a secret"),
        (&["--runners", "many"], "MIN-MAX"),
        (&["--eks", "runners"], "--region"),
        (&["--repository", "app"], "OWNER/NAME"),
        (&["--time-zone", "Seoul"], "IANA"),
        (&["--organization", ""], "after the colon"),
    ] {
        let (code, document, stderr) = run(directory.path(), &[&["init", "--yes"], flags].concat());
        assert_eq!(code, 64, "{flags:?}: {stderr}");
        let hint = document["error"]["hint"].as_str().unwrap();
        assert!(hint.contains(expected), "{flags:?}: {hint}");
        assert!(!stderr.contains(token) && !document.to_string().contains(token));
    }
}

#[test]
fn who_has_no_profile_is_told_of_init_and_not_of_a_terminal() {
    let directory = empty();
    for arguments in [
        &["up"][..],
        &["plan"],
        &["status"],
        &["doctor", "--fix"],
        &["schedule"],
    ] {
        let (code, document, stderr) = run(directory.path(), arguments);
        assert_eq!(code, 65, "{arguments:?}: {stderr}");
        let (message, hint) = (&document["error"]["message"], &document["error"]["hint"]);
        assert!(
            message
                .as_str()
                .unwrap()
                .starts_with("there is no profile `arcctl.yaml`"),
            "{message}"
        );
        assert!(hint.as_str().unwrap().contains("`arcctl init`"), "{hint}");
    }
}
