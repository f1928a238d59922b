//! `arcctl render --pull-through`: what it writes can be put into the profile, and then each image is pulled through.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read what was written has failed"
)]

use std::{fs, path::Path};

use serde_json::Value;

use crate::repository::{arcctl, empty, stdout, text};

const REGISTRY: &str = "111122223333.dkr.ecr.eu-west-1.amazonaws.com";

/// The keys for the profile that the README in `folder` has, and the last of them.
fn keys(folder: &Path) -> (String, String) {
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let keys = readme.split("```yaml\n").nth(1).unwrap();
    let (keys, _) = keys.split_once("```").unwrap();
    let (keys, last) = keys.trim_end().rsplit_once('\n').unwrap();
    (keys.to_owned(), last.to_owned())
}

#[test]
fn the_keys_that_it_writes_are_those_of_the_profile() {
    let directory = empty();
    let profile = directory.path().join("arcctl.yaml");
    let without = text("profiles/repository.yaml");
    fs::write(&profile, &without).unwrap();
    let output = arcctl(
        directory.path(),
        &["render", "out", "--pull-through", "cdk"],
    );
    assert_eq!(output.status.code(), Some(64), "{output:?}");

    let flux = ["render", "out", "--format", "flux", "--no-crds"];
    let facts = [
        "--pull-through",
        "documents",
        "--fact",
        "AWS_ACCOUNT=111122223333",
        "--fact",
        "AWS_REGION=eu-west-1",
        "-o",
        "json",
    ];
    let arguments = [&flux[..], &facts[..]].concat();
    let document: Value = serde_json::from_str(&stdout(directory.path(), &arguments, 0)).unwrap();
    let missing = document["placeholders"].as_array().unwrap().iter();
    let missing: Vec<&str> = missing.map(|it| it["name"].as_str().unwrap()).collect();
    for name in ["DOCKER_HUB_SECRET_ARN", "NODE_ROLE"] {
        assert!(missing.contains(&name), "{missing:?}");
    }
    assert!(!missing.contains(&"AWS_ACCOUNT"), "{missing:?}");
    let ecr = directory.path().join("out/aws/ecr");
    let rule = fs::read_to_string(ecr.join("rule.quay.json")).unwrap();
    let rule: Value = serde_json::from_str(&rule).unwrap();
    assert_eq!(rule["ecrRepositoryPrefix"], "quay");

    let (keys, last) = keys(&ecr);
    assert_eq!(last.trim(), format!("quay.io: {REGISTRY}/quay"));

    // Without the last of them it is told.
    fs::write(&profile, format!("{without}\n{keys}\n")).unwrap();
    let output = arcctl(directory.path(), &["render", "files"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("the nodes pull from `quay.io` itself"),
        "{said}"
    );
    assert!(
        said.contains("`quay.io/jetstack/cert-manager-controller`"),
        "{said}"
    );

    fs::write(&profile, format!("{without}\n{keys}\n{last}\n")).unwrap();
    let output = arcctl(directory.path(), &["render", "files"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("advice"), "{said}");
    let files = directory.path().join("files");
    let values = fs::read_to_string(files.join("values/cert-manager.yaml")).unwrap();
    let webhook = format!("{REGISTRY}/quay/jetstack/cert-manager-webhook");
    assert!(values.contains(&webhook), "{values}");
    let pool = "runners/runner-deployment.actions-runner.website.yaml";
    let pool = fs::read_to_string(files.join(pool)).unwrap();
    let runner = format!("{REGISTRY}/docker-hub/summerwind/actions-runner:");
    assert!(pool.contains(&runner), "{pool}");
}

#[test]
fn the_module_is_written_beside_the_files() {
    let directory = empty();
    fs::write(
        directory.path().join("arcctl.yaml"),
        text("profiles/repository.yaml"),
    )
    .unwrap();
    let arguments = ["render", "out", "--pull-through", "terraform"];
    let written = stdout(directory.path(), &arguments, 0);
    assert!(written.contains("out/aws/ecr/main.tf.json\n"), "{written}");
    assert!(!written.contains("rule."), "{written}");
    let module = directory.path().join("out/aws/ecr/main.tf.json");
    let module: Value = serde_json::from_str(&fs::read_to_string(module).unwrap()).unwrap();
    let rules = module["resource"]["aws_ecr_pull_through_cache_rule"].as_object();
    let names: Vec<&String> = rules.unwrap().keys().collect();
    assert_eq!(names, ["docker_hub", "quay"]);
}
