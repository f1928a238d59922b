//! What `render --format flux` and `argocd` write: its objects pass the strict check of the tools' custom resources, for all
//! shipped profiles; each part comes after those that it needs; no file has a credential.

#![expect(clippy::unwrap_used, reason = "a test that cannot render has failed")]

mod contents;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use arcctl::{
    desired::{
        DesiredError, Facts, crd_schema,
        render::gitops::{Iam, Options, Rendered, SecretForm, Tool, files},
    },
    profile::{Profile, load},
};
use arcctl_facts::Table;
use serde_json::{Value, json};

use crate::repository::{files_in, text};

pub(super) const TOOLS: [Tool; 2] = [Tool::Flux, Tool::ArgoCd];

pub(super) fn facts() -> Facts {
    Facts {
        now: "2026-11-23T09:00:00Z".parse().unwrap(),
        prometheus_rule_crd: Some(true),
        ..Facts::default()
    }
}

pub(super) fn options(tool: Tool) -> Options {
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

pub(super) fn shipped() -> Vec<Profile> {
    let profiles: Vec<Profile> = files_in("profiles/", "yaml")
        .iter()
        .map(|path| load(&text(path), path).unwrap().profile)
        .collect();
    assert!(profiles.len() >= 3);
    profiles
}

pub(super) fn profile(changes: &Value) -> Profile {
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

pub(super) fn rendered(profile: &Profile, options: &Options) -> Rendered {
    let crds = [crd("runners.actions.summerwind.dev")];
    files(profile, &facts(), Some(&crds), options).unwrap()
}

/// The YAML documents by their paths.
pub(super) fn documents(rendered: &Rendered) -> BTreeMap<String, Value> {
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
        "OCIRepository",
    ];
    assert_eq!(checked, expected.map(str::to_owned).into());
}

/// What the check is worth: a field that the custom resource does not have is found.
#[test]
fn an_object_that_the_tool_would_refuse_is_found() {
    let all = documents(&rendered(&profile(&json!({})), &options(Tool::Flux)));
    let mut release = all["controller/helm-release.yaml"].clone();
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

/// Of a profile with both modes, the chart sources of the Application of the controllers, by their charts.
fn controllers_at_argo_cd() -> (String, BTreeMap<String, Value>) {
    let path = "profiles/scale-sets.yaml";
    let both = load(&text(path), path).unwrap().profile;
    let all = documents(&rendered(&both, &options(Tool::ArgoCd)));
    let spec = &all["applications/controller.yaml"]["spec"];
    let home = spec["destination"]["namespace"].as_str().unwrap();
    let sources = spec["sources"].as_array().unwrap().iter();
    let charts = sources.filter(|it| it["chart"].is_string());
    let charts = charts.map(|it| (it["chart"].as_str().unwrap().to_owned(), it["helm"].clone()));
    (home.to_owned(), charts.collect())
}

/// An Application has one destination, and the controllers of both modes are in two namespaces.
#[test]
fn each_chart_goes_to_its_own_namespace_at_argo_cd() {
    let (home, charts) = controllers_at_argo_cd();
    let namespace = |chart: &str| {
        let own = charts[chart]["namespace"].as_str();
        own.unwrap_or(&home).to_owned()
    };
    assert_eq!(
        namespace("actions-runner-controller"),
        "actions-runner-system"
    );
    assert_eq!(namespace("gha-runner-scale-set-controller"), "arc-systems");
}

/// What has Argo CD's label and no owner is deleted by it: the controller must not copy the label to a listener.
#[test]
fn no_label_of_argo_cd_is_copied_to_a_listener() {
    let (_, charts) = controllers_at_argo_cd();
    let flags = &charts["gha-runner-scale-set-controller"]["valuesObject"]["flags"];
    assert_eq!(
        flags["excludeLabelPropagationPrefixes"],
        json!(["argocd.argoproj.io/instance", "app.kubernetes.io/instance"])
    );
}

/// An installation fails until somebody has made the Secrets: it must go on by itself then.
#[test]
fn flux_tries_an_installation_without_an_end() {
    let all = documents(&rendered(&profile(&json!({})), &options(Tool::Flux)));
    for name in ["cert-manager", "controller"] {
        let spec = &all[&format!("{name}/helm-release.yaml")]["spec"];
        assert_eq!(spec["install"]["remediation"]["retries"], -1);
        assert_eq!(spec["upgrade"]["remediation"]["retries"], 5);
    }
}

#[test]
fn a_chart_at_a_path_is_refused() {
    let profile = profile(&json!({"charts": {"controller": "/charts/arc"}}));
    for tool in TOOLS {
        let error = files(&profile, &facts(), None, &options(tool)).unwrap_err();
        assert!(matches!(error, DesiredError::ChartAtPath { .. }), "{error}");
    }
}
