//! What is in the files: no credential, the job that verifies, known facts, Terraform; and what a reviewer reads.

use std::fmt::Write as _;

use arcctl::{
    desired::{
        lint::lint,
        render::gitops::{Iam, Options, Rendered, SecretForm, Tool, files},
    },
    profile::{Profile, TokenSource, load, load_with},
};
use serde_json::{Value, json};

use super::{TOOLS, documents, facts, options, profile, rendered, shipped};
use crate::repository::{command, empty, root, shown, text};

/// The version of the Secret in the cluster is not known to a file, and nobody can fill it in.
#[test]
fn no_file_has_the_version_of_the_secret() {
    for profile in &shipped() {
        for tool in TOOLS {
            let rendered = rendered(profile, &options(tool));
            assert!(
                rendered
                    .placeholders
                    .iter()
                    .all(|it| it.name != "SECRET_VERSION")
            );
            for (path, text) in &rendered.files {
                assert!(!text.contains("secret-version"), "{path}");
            }
        }
    }
}

#[test]
fn a_secret_is_a_hole_or_an_external_secret_and_never_a_value() {
    let app = json!({"organization": "o", "app": {
        "id": "123456", "installationId": "7890123", "privateKey": {"secretsManager": "github/app"}}});
    let profile = profile(&json!({"github": app}));
    for tool in TOOLS {
        let hole = rendered(&profile, &options(tool));
        let path = "holes/secret.actions-runner-system.controller-manager.md";
        let (_, text) = hole.files.iter().find(|(it, _)| it == path).unwrap();
        assert!(
            text.contains("--from-literal=github_app_id=123456"),
            "{text}"
        );
        assert!(text.contains("github_app_private_key=/dev/stdin"), "{text}");
        assert!(!documents(&hole).values().any(|it| it["kind"] == "Secret"));
        let external = Options {
            secret: SecretForm::External,
            ..options(tool)
        };
        let external = rendered(&profile, &external);
        let all = documents(&external);
        let path = "wiring/external-secret.actions-runner-system.controller-manager.yaml";
        let spec = &all[path]["spec"];
        assert_eq!(spec["data"][0]["remoteRef"]["key"], "github/app");
        assert_eq!(
            spec["target"]["template"]["data"]["github_app_id"],
            "123456"
        );
        assert_eq!(spec["secretStoreRef"]["name"], "${SECRET_STORE}");
        let left: Vec<&str> = external.placeholders.iter().map(|it| it.name).collect();
        assert_eq!(left, ["SECRET_STORE"]);
        assert!(
            !external
                .files
                .iter()
                .any(|(path, _)| path.starts_with("holes/secret"))
        );
    }
}

/// The Secrets of a pool and of GitHub's webhook are holes of their own.
#[test]
fn each_secret_has_its_hole() {
    let profile = profile(&json!({"pools": [
        {"name": "other", "image": "r:v1-ubuntu-22.04", "min": 0, "max": 4,
         "github": {"organization": "p", "token": {"env": "OTHER"}},
         "scaling": {"triggers": [{"workflowJob": {}, "amount": 1, "duration": "30m"}]}},
    ]}));
    let rendered = rendered(&profile, &options(Tool::Flux));
    let holes: Vec<&str> = rendered
        .files
        .iter()
        .map(|(path, _)| path.as_str())
        .filter(|it| it.starts_with("holes/"))
        .collect();
    assert_eq!(
        holes,
        [
            "holes/secret.actions-runner-system.controller-manager.md",
            "holes/secret.actions-runner-system.github-webhook-server.md",
            "holes/secret.actions-runner.arcctl-github-other.md",
        ]
    );
    let job = in_the_job(&rendered, "verify");
    let own = job.pools[0]
        .github
        .as_ref()
        .unwrap()
        .token
        .as_ref()
        .unwrap();
    let secret = own.kubernetes_secret.as_ref().unwrap();
    assert_eq!(
        (secret.namespace.as_str(), secret.name.as_str()),
        ("actions-runner", "arcctl-github-other")
    );
}

/// The profile of the job that verifies.
fn in_the_job(rendered: &Rendered, folder: &str) -> Profile {
    let all = documents(rendered);
    let prefix = format!("{folder}/config-map.");
    let map = all
        .iter()
        .find(|(path, _)| path.starts_with(&prefix) && path.contains("arcctl-verify"));
    let (_, map) = map.unwrap();
    let text = map["data"]["arcctl.yaml"].as_str().unwrap();
    load_with(text, "arcctl.yaml", &lint)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .profile
}

#[test]
fn the_job_reads_the_credentials_in_the_cluster() {
    for (tool, folder) in [(Tool::Flux, "verify"), (Tool::ArgoCd, "runners")] {
        for profile in &shipped() {
            let rendered = rendered(profile, &options(tool));
            let job = in_the_job(&rendered, folder);
            assert_eq!(job.pools, profile.pools);
            let sources = job.token_sources();
            assert_eq!(sources.len(), 1);
            for source in sources {
                let secret = source.kubernetes_secret.clone().unwrap();
                assert_eq!(secret.name, "controller-manager");
                let only = TokenSource {
                    kubernetes_secret: Some(secret),
                    ..TokenSource::default()
                };
                assert_eq!(*source, only);
            }
        }
    }
}

#[test]
fn a_job_that_has_verified_is_another_one_when_the_files_change() {
    let digest = |profile: &Profile| {
        let all = documents(&rendered(profile, &options(Tool::Flux)));
        let job = &all["verify/job.actions-runner-system.arcctl-verify-test.yaml"];
        job["spec"]["template"]["metadata"]["annotations"]["arcctl.dev/rendered"].clone()
    };
    let one = digest(&profile(&json!({})));
    assert!(one.is_string());
    assert_eq!(digest(&profile(&json!({}))), one);
    assert_ne!(
        digest(&profile(&json!({"controller": {"replicas": 1}}))),
        one
    );
}

#[test]
fn known_facts_take_the_place_of_their_placeholders() {
    let profile = profile(&json!({"aws": {"irsa": {"role": "r", "serviceAccount": "runner"}}}));
    let unknown = rendered(&profile, &options(Tool::Flux));
    assert!(
        unknown
            .placeholders
            .iter()
            .any(|it| it.name == "AWS_ACCOUNT")
    );
    let known = Options {
        known: [
            ("AWS_ACCOUNT", "111122223333"),
            ("OIDC_ISSUER", "oidc.example"),
            ("STATEMENT_ID", "Runners"),
            ("ROLE_ARN", "arn:aws:iam::111122223333:role/r"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        ..options(Tool::Flux)
    };
    let known = rendered(&profile, &known);
    assert!(
        known
            .files
            .iter()
            .all(|(_, text)| !text.contains("${AWS_ACCOUNT}"))
    );
    let left: Vec<&str> = known.placeholders.iter().map(|it| it.name).collect();
    assert_eq!(left, [""; 0]);
    let all = documents(&known);
    let account = &all["wiring/service-account.actions-runner.runner.yaml"];
    assert_eq!(
        account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        "arn:aws:iam::111122223333:role/r"
    );
}

#[test]
fn terraform_makes_what_arcctl_makes_at_aws() {
    let reference = load(&text("profiles/reference.yaml"), "reference")
        .unwrap()
        .profile;
    let options = Options {
        iam: Iam::Terraform,
        ..options(Tool::Flux)
    };
    let rendered = rendered(&reference, &options);
    let (_, module) = rendered
        .files
        .iter()
        .find(|(it, _)| it == "aws/main.tf.json")
        .unwrap();
    insta::assert_snapshot!("terraform", module);
    let module: Value = serde_json::from_str(module).unwrap();
    let role = &module["resource"]["aws_iam_role"]["actions_runner_role"];
    let trust: Value = serde_json::from_str(role["assume_role_policy"].as_str().unwrap()).unwrap();
    assert_eq!(
        trust["Statement"][0]["Principal"]["Federated"],
        "arn:aws:iam::${var.aws_account}:oidc-provider/${var.oidc_issuer}"
    );
    for variable in ["aws_account", "oidc_issuer", "statement_id"] {
        assert!(
            module["variable"][variable]["description"].is_string(),
            "{variable}"
        );
    }
    let none = profile(&json!({}));
    let none = files(&none, &facts(), None, &options).unwrap();
    assert!(
        !none
            .files
            .iter()
            .any(|(path, _)| path == "aws/main.tf.json")
    );
}

/// What a reviewer reads of it: the objects of the tool, the holes and the README; the manifests are those of
/// `reference_files`.
fn outline(tool: Tool) -> String {
    let reference = load(&text("profiles/reference.yaml"), "reference")
        .unwrap()
        .profile;
    let rendered = files(&reference, &facts(), None, &options(tool)).unwrap();
    let mut outline = String::new();
    for (path, text) in &rendered.files {
        let shown = [
            "flux/",
            "applications/",
            "holes/",
            "README.md",
            "application.yaml",
            "kustomization.yaml",
        ];
        let shown = shown.iter().any(|it| path.starts_with(it)) || path.contains("helm-re");
        if shown {
            writeln!(outline, "=== {path}\n{text}").unwrap();
        } else {
            writeln!(outline, "=== {path}").unwrap();
        }
    }
    outline
}

#[test]
fn what_flux_reads_is_as_reviewed() {
    insta::assert_snapshot!("flux", outline(Tool::Flux));
}

#[test]
fn what_argo_cd_reads_is_as_reviewed() {
    insta::assert_snapshot!("argocd", outline(Tool::ArgoCd));
}

/// The program itself, without a network.
#[test]
fn the_command_writes_what_the_tools_read() {
    let profile = shown(&root().join("profiles/repository.yaml"));
    let directory = empty();
    let run = |arguments: &[&str]| {
        command(
            directory.path(),
            &[&["render", "-f", &profile, "-o", "json"], arguments].concat(),
        )
        .current_dir(directory.path())
        .output()
        .unwrap()
    };
    let written = run(&["./deploy/runners", "--format", "argocd", "--no-crds"]);
    assert!(written.status.success(), "{written:?}");
    let document: Value = serde_json::from_slice(&written.stdout).unwrap();
    assert_eq!(document["format"], "argocd");
    let missing: Vec<&str> = document["placeholders"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(missing, ["ARCCTL_IMAGE", "REPOSITORY_URL"]);
    let root = directory.path().join("deploy/runners/application.yaml");
    let root: Value = serde_saphyr::from_str(&std::fs::read_to_string(root).unwrap()).unwrap();
    assert_eq!(
        root["spec"]["source"]["path"],
        "deploy/runners/applications"
    );

    for (arguments, words) in [
        (&["out", "--branch", "main"][..], "--format flux"),
        (
            &["out", "--format", "flux", "--fact", "NONSENSE=1"][..],
            "AWS_ACCOUNT",
        ),
        (
            &["out", "--format", "flux", "--fact", "AWS_ACCOUNT"][..],
            "NAME=VALUE",
        ),
    ] {
        let refused = run(arguments);
        assert_eq!(
            refused.status.code(),
            Some(64),
            "{arguments:?}: {refused:?}"
        );
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    // Without helm in PATH the CRDs cannot be read.
    let refused = run(&["out", "--format", "flux"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--no-crds"));
    assert!(!directory.path().join("out").exists());
}
