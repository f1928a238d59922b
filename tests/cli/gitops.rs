//! What `render --format flux` and `argocd` write: its objects pass the strict check of the tools' custom resources, for all
//! shipped profiles; each part comes after those that it needs; no file has a credential.

#![expect(clippy::unwrap_used, reason = "a test that cannot render has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use arcctl::{
    desired::{
        DesiredError, Facts, crd_schema,
        lint::lint,
        render::gitops::{Iam, Options, Rendered, SecretForm, Tool, files},
    },
    profile::{Profile, TokenSource, load, load_with},
};
use arcctl_facts::Table;
use serde_json::{Value, json};

use crate::repository::{command, empty, files_in, root, shown, text};

const TOOLS: [Tool; 2] = [Tool::Flux, Tool::ArgoCd];

fn facts() -> Facts {
    Facts {
        now: "2026-11-23T09:00:00Z".parse().unwrap(),
        prometheus_rule_crd: Some(true),
        ..Facts::default()
    }
}

fn options(tool: Tool) -> Options {
    Options {
        tool,
        repository: Some("https://git.example.com/platform/runners.git".into()),
        branch: "main".into(),
        path: Some("clusters/build/runners".into()),
        namespace: None,
        project: "default".into(),
        secret: SecretForm::Hole,
        secret_store: None,
        iam: Iam::Documents,
        verify_image: Some("registry.example.com/arcctl:1.0.0".into()),
        known: BTreeMap::new(),
    }
}

fn shipped() -> Vec<Profile> {
    let profiles: Vec<Profile> = files_in("profiles/", "yaml")
        .iter()
        .map(|path| load(&text(path), path).unwrap().profile)
        .collect();
    assert!(profiles.len() >= 3);
    profiles
}

fn profile(changes: &Value) -> Profile {
    let mut profile = json!({
        "apiVersion": "arcctl.dev/v1",
        "name": "test",
        "cluster": {"eks": "build", "region": "eu-central-1"},
        "github": {"organization": "o", "token": {"env": "TOKEN"}},
        "pools": [{"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4}],
    });
    for (key, value) in changes.as_object().unwrap() {
        profile[key] = value.clone();
    }
    serde_json::from_value(profile).unwrap()
}

fn crd(name: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {},
    })
}

fn rendered(profile: &Profile, options: &Options) -> Rendered {
    let crds = [crd("runners.actions.summerwind.dev")];
    files(profile, &facts(), Some(&crds), options).unwrap()
}

/// The YAML documents by their paths.
fn documents(rendered: &Rendered) -> BTreeMap<String, Value> {
    let yaml = |path: &str| Path::new(path).extension().is_some_and(|it| it == "yaml");
    let all = rendered.files.iter().filter(|(path, _)| yaml(path));
    all.map(|(path, text)| {
        let value = serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        (path.clone(), value)
    })
    .collect()
}

fn table(document: &Value) -> Option<&'static Table> {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    let group = version.split('/').next().unwrap_or_default();
    match group {
        "helm.toolkit.fluxcd.io" | "kustomize.toolkit.fluxcd.io" | "source.toolkit.fluxcd.io" => {
            Some(arcctl_facts::flux())
        }
        "argoproj.io" => Some(arcctl_facts::argo_cd()),
        "external-secrets.io" => Some(arcctl_facts::external_secrets()),
        _ => None,
    }
}

/// The version of a kind's API is that of its table.
fn assert_version(table: &Table, document: &Value) {
    let kind = document["kind"].as_str().unwrap();
    let definition = table.definition(kind).unwrap();
    let (group, version) = (
        definition["spec"]["group"].as_str().unwrap(),
        definition["spec"]["versions"][0]["name"].as_str().unwrap(),
    );
    assert_eq!(
        document["apiVersion"],
        format!("{group}/{version}"),
        "{kind}"
    );
}

#[test]
fn every_object_passes_the_strict_check_of_its_custom_resource() {
    let mut checked = BTreeSet::new();
    for profile in &shipped() {
        for tool in TOOLS {
            for secret in [SecretForm::Hole, SecretForm::External] {
                let options = Options {
                    secret,
                    secret_store: Some("aws".into()),
                    ..options(tool)
                };
                for (path, document) in documents(&rendered(profile, &options)) {
                    let Some(table) = table(&document) else {
                        continue;
                    };
                    assert_version(table, &document);
                    let problems = crd_schema::conforms(table, &document);
                    assert_eq!(problems, [], "{path}: {document:#}");
                    checked.insert(document["kind"].as_str().unwrap().to_owned());
                }
            }
        }
    }
    let expected = [
        "Application",
        "ExternalSecret",
        "GitRepository",
        "HelmRelease",
        "HelmRepository",
        "Kustomization",
    ];
    assert_eq!(checked, expected.map(str::to_owned).into());
}

/// What the check is worth: a field that the custom resource does not have is found.
#[test]
fn an_object_that_the_tool_would_refuse_is_found() {
    let all = documents(&rendered(&profile(&json!({})), &options(Tool::Flux)));
    let mut release = all["controller/helm-release.yaml"].clone();
    release["spec"]["interval"] = json!("soon");
    release["spec"]["install"]["crds"] = json!("Never");
    release["spec"]["chartVersion"] = json!("0.23.7");
    release["spec"]["chart"]["spec"]
        .as_object_mut()
        .unwrap()
        .remove("sourceRef");
    let problems = crd_schema::conforms(arcctl_facts::flux(), &release);
    let paths: BTreeSet<&str> = problems.iter().map(|it| it.path.as_str()).collect();
    let expected = [
        "spec.chart.spec.sourceRef",
        "spec.chartVersion",
        "spec.install.crds",
        "spec.interval",
    ];
    assert_eq!(paths, expected.into(), "{problems:?}");
}

#[test]
fn each_list_of_files_names_those_that_are_there() {
    for profile in &shipped() {
        for tool in TOOLS {
            let all = documents(&rendered(profile, &options(tool)));
            let mut listed = BTreeSet::new();
            for (path, list) in all
                .iter()
                .filter(|(_, it)| it["apiVersion"] == "kustomize.config.k8s.io/v1beta1")
            {
                let folder = path.strip_suffix("kustomization.yaml").unwrap();
                for name in list["resources"].as_array().unwrap() {
                    let file = format!("{folder}{}", name.as_str().unwrap());
                    assert!(all.contains_key(&file), "{path} names {file}");
                    assert!(listed.insert(file), "{path}");
                }
            }
            let own =
                |path: &str| path.ends_with("kustomization.yaml") || path == "application.yaml";
            let forgotten: Vec<&String> = all
                .keys()
                .filter(|it| !own(it) && !listed.contains(*it))
                .collect();
            assert!(forgotten.is_empty(), "{forgotten:?}");
        }
    }
}

/// The parts by the order in which they are applied, with what they depend on.
fn order_at_flux(all: &BTreeMap<String, Value>) -> BTreeMap<String, Vec<String>> {
    all.values()
        .filter(|it| it["apiVersion"] == "kustomize.toolkit.fluxcd.io/v1")
        .map(|it| {
            let name = it["metadata"]["name"].as_str().unwrap().to_owned();
            let after = it["spec"]["dependsOn"].as_array().into_iter().flatten();
            let after = after.map(|it| it["name"].as_str().unwrap().to_owned());
            (name, after.collect())
        })
        .collect()
}

#[test]
fn flux_applies_each_part_after_those_that_it_needs() {
    let profile = profile(&json!({"aws": {"irsa": {"role": "r", "serviceAccount": "runner"}}}));
    let all = documents(&rendered(&profile, &options(Tool::Flux)));
    let order = order_at_flux(&all);
    let after = |name: &str| order[name].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(after("test-namespaces"), [""; 0]);
    assert_eq!(after("test-cert-manager"), ["test-namespaces", "test-crds"]);
    assert_eq!(
        after("test-controller"),
        [
            "test-namespaces",
            "test-crds",
            "test-cert-manager",
            "test-wiring"
        ]
    );
    assert_eq!(after("test-runners"), ["test-controller"]);
    assert_eq!(after("test-verify"), ["test-runners"]);
    for (name, after) in &order {
        for it in after {
            assert!(order.contains_key(it), "{name} waits for {it}");
        }
    }
    for (path, it) in all.iter().filter(|(path, _)| path.starts_with("flux/")) {
        if it["kind"] == "Kustomization" {
            assert_eq!(it["spec"]["wait"], true, "{path}");
            let folder = path.strip_prefix("flux/").unwrap();
            let folder = folder.strip_suffix(".yaml").unwrap();
            let expected = format!("./clusters/build/runners/{folder}");
            assert_eq!(it["spec"]["path"], expected);
        }
    }
}

#[test]
fn a_part_that_the_profile_does_not_have_is_waited_for_by_nobody() {
    // Without a role and with its Secret by hand, nothing is wired; another cert-manager is used.
    let profile = profile(&json!({"certManager": {"install": "never"}}));
    let all = documents(&rendered(&profile, &options(Tool::Flux)));
    let order = order_at_flux(&all);
    assert!(!order.contains_key("test-wiring") && !order.contains_key("test-cert-manager"));
    assert_eq!(order["test-controller"], ["test-namespaces", "test-crds"]);
    assert!(!all.keys().any(|it| it.starts_with("cert-manager/")));
}

#[test]
fn argo_cd_applies_the_parts_in_waves() {
    let profile = profile(&json!({"aws": {"irsa": {"role": "r", "serviceAccount": "runner"}}}));
    let all = documents(&rendered(&profile, &options(Tool::ArgoCd)));
    let wave = |name: &str| {
        let annotations = &all[&format!("applications/{name}.yaml")]["metadata"]["annotations"];
        let wave = annotations["argocd.argoproj.io/sync-wave"].as_str();
        wave.unwrap().parse::<u32>().unwrap()
    };
    assert!(wave("namespaces") < wave("wiring") && wave("crds") < wave("cert-manager"));
    assert!(wave("cert-manager") < wave("controller") && wave("wiring") < wave("controller"));
    assert!(wave("controller") < wave("runners"));
    for (path, it) in all.iter().filter(|(_, it)| it["kind"] == "Application") {
        let options = it["spec"]["syncPolicy"]["syncOptions"].as_array().unwrap();
        assert!(options.contains(&json!("ServerSideApply=true")), "{path}");
        // Who deletes an Application keeps its runners.
        assert!(it["metadata"].get("finalizers").is_none(), "{path}");
    }
    let root = &all["application.yaml"]["spec"]["source"];
    assert_eq!(root["path"], "clusters/build/runners/applications");
    let runners = &all["applications/runners.yaml"]["spec"]["ignoreDifferences"];
    assert!(runners.to_string().contains("/spec/replicas"), "{runners}");
    // A schedule is the file's: a new one must be synced.
    assert!(
        !runners.to_string().contains("scheduledOverrides"),
        "{runners}"
    );
    let controller = &all["applications/controller.yaml"]["spec"]["ignoreDifferences"];
    assert!(controller.to_string().contains("caBundle"), "{controller}");
    let hook = &all["runners/job.actions-runner-system.arcctl-verify-test.yaml"];
    assert_eq!(
        hook["metadata"]["annotations"]["argocd.argoproj.io/hook"],
        "PostSync"
    );
}

#[test]
fn what_others_use_stays_when_its_file_goes() {
    for profile in &shipped() {
        for tool in TOOLS {
            let options = Options {
                secret: SecretForm::External,
                ..options(tool)
            };
            let mut guarded = BTreeSet::new();
            for (path, it) in documents(&rendered(profile, &options)) {
                let kind = it["kind"].as_str().unwrap_or_default().to_owned();
                let annotations = &it["metadata"]["annotations"];
                let kept = annotations["kustomize.toolkit.fluxcd.io/prune"] == "disabled"
                    || annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false";
                let must = [
                    "Namespace",
                    "CustomResourceDefinition",
                    "ExternalSecret",
                    "Secret",
                ];
                assert_eq!(kept, must.contains(&kind.as_str()), "{path}");
                if kept {
                    guarded.insert(kind);
                }
            }
            assert_eq!(guarded.len(), 3, "{guarded:?}");
        }
    }
}

/// The CRDs are files: no release may have them.
#[test]
fn no_chart_brings_its_crds() {
    let profile = profile(&json!({}));
    let flux = documents(&rendered(&profile, &options(Tool::Flux)));
    for name in ["cert-manager", "controller"] {
        let spec = &flux[&format!("{name}/helm-release.yaml")]["spec"];
        assert_eq!(spec["install"]["crds"], "Skip");
        assert_eq!(spec["upgrade"]["crds"], "Skip");
        assert_eq!(spec["storageNamespace"], spec["targetNamespace"]);
    }
    let argo = documents(&rendered(&profile, &options(Tool::ArgoCd)));
    let source = &argo["applications/cert-manager.yaml"]["spec"]["source"];
    assert_eq!(source["helm"]["skipCrds"], true);
    assert_eq!(source["helm"]["releaseName"], "cert-manager");
}

#[test]
fn a_registry_is_named_as_each_tool_wants_it() {
    let oci = "oci://registry.example.com/charts/";
    let profile = profile(&json!({"charts": {"controller": oci}}));
    let flux = documents(&rendered(&profile, &options(Tool::Flux)));
    let source = &flux["controller/oci-repository.yaml"];
    assert_eq!(crd_schema::conforms(arcctl_facts::flux(), source), []);
    assert_eq!(
        source["spec"]["url"],
        "oci://registry.example.com/charts/actions-runner-controller"
    );
    let release = &flux["controller/helm-release.yaml"];
    assert_eq!(crd_schema::conforms(arcctl_facts::flux(), release), []);
    assert_eq!(release["spec"]["chartRef"]["kind"], "OCIRepository");
    assert!(release["spec"].get("chart").is_none());
    let argo = documents(&rendered(&profile, &options(Tool::ArgoCd)));
    let source = &argo["applications/controller.yaml"]["spec"]["source"];
    assert_eq!(source["repoURL"], "registry.example.com/charts");
    assert_eq!(source["chart"], "actions-runner-controller");
}

#[test]
fn a_chart_at_a_path_is_refused() {
    let profile = profile(&json!({"charts": {"controller": "/charts/arc"}}));
    for tool in TOOLS {
        let error = files(&profile, &facts(), None, &options(tool)).unwrap_err();
        assert!(matches!(error, DesiredError::ChartAtPath { .. }), "{error}");
    }
}

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
        assert_eq!(
            left,
            ["AWS_ACCOUNT"; 0]
                .iter()
                .chain(&["SECRET_STORE"])
                .copied()
                .collect::<Vec<_>>()
        );
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
    assert_eq!(left, ["CLUSTER_SECURITY_GROUP"; 0]);
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
