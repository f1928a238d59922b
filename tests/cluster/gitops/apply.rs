//! Does with kubectl and helm what Flux and Argo CD do with their objects: those pass the API server's strict check first,
//! by custom resources made of facts; then each part is applied, after those before it.

use std::path::Path;

use arcctl_facts::Table;
use serde_json::{Value, json};

use crate::harness::{cluster::Cluster, waiting::until};

/// Gives the API server the custom resources of a tool, and the namespace of its objects.
fn teach(cluster: &Cluster, table: &Table, namespace: &str) {
    let items: Vec<Value> = table
        .kinds()
        .map(|kind| table.definition(kind).unwrap())
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    cluster.kubectl(&["apply", "-f", "-"], Some(&list.to_string()));
    let crds = [
        "wait",
        "--for=condition=Established",
        "--timeout=5m",
        "crd",
        "--all",
    ];
    cluster.kubectl(&crds, None);
    cluster.kubectl(&["create", "namespace", namespace], None);
}

/// Applies until the API server takes it: webhooks start, kinds become known.
fn apply(cluster: &Cluster, manager: &str, manifests: &str) {
    let field_manager = format!("--field-manager={manager}");
    let arguments = [
        "apply",
        "--server-side",
        "--validate=strict",
        "--force-conflicts",
        &field_manager,
        "-f",
        "-",
    ];
    until("it can be applied", || {
        match cluster.try_tool("kubectl", &arguments, Some(manifests)) {
            Ok(_) => true,
            Err(error) => {
                let passing = [
                    "failed calling webhook",
                    "no matches for kind",
                    "not found",
                    "failed to call webhook",
                    "Internal error",
                ];
                assert!(passing.iter().any(|it| error.contains(it)), "{error}");
                false
            }
        }
    });
}

/// The objects of a folder, as kustomize builds them.
fn built(cluster: &Cluster, folder: &Path) -> Vec<Value> {
    let text = cluster.kubectl(&["kustomize", folder.to_str().unwrap()], None);
    let documents = text.split("\n---\n").filter(|it| !it.trim().is_empty());
    documents
        .map(|it| serde_saphyr::from_str(it).unwrap_or_else(|error| panic!("{error}: {it}")))
        .collect()
}

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn objects(cluster: &Cluster, kind: &str) -> Vec<Value> {
    let text = cluster.kubectl(&["get", kind, "-A", "-o", "json"], None);
    let list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {pointer} in {value:#}"))
}

/// Where a path of the repository is here: everything was rendered to `runners` in it.
fn local(folder: &Path, path: &str) -> std::path::PathBuf {
    let path = path.trim_start_matches("./");
    let path = path.strip_prefix("runners/");
    folder.join(path.unwrap())
}

/// Flux: each Kustomization after those that it depends on, each `HelmRelease` by helm. `secret` makes the Secret once its
/// namespace is there.
pub(super) fn apply_flux(cluster: &Cluster, folder: &Path, secret: &dyn Fn(&str)) {
    teach(cluster, arcctl_facts::flux(), "flux-system");
    apply(
        cluster,
        "kustomize-controller",
        &list(&built(cluster, folder)),
    );
    let mut left = objects(cluster, "kustomizations.kustomize.toolkit.fluxcd.io");
    let mut done: Vec<String> = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().position(|it| {
            let after = it["spec"]["dependsOn"].as_array().into_iter().flatten();
            after
                .map(|it| text(it, "/name"))
                .all(|name| done.iter().any(|it| it == name))
        });
        let next = left.remove(ready.unwrap());
        let path = local(folder, text(&next, "/spec/path"));
        let objects = built(cluster, &path);
        // The Job is run by the test itself.
        let objects: Vec<Value> = objects
            .into_iter()
            .filter(|it| it["kind"] != "Job")
            .collect();
        apply(cluster, "kustomize-controller", &list(&objects));
        for release in objects.iter().filter(|it| it["kind"] == "HelmRelease") {
            let source = text(release, "/spec/chart/spec/sourceRef/name");
            let source = objects
                .iter()
                .find(|it| it["kind"] == "HelmRepository" && it["metadata"]["name"] == *source);
            install(
                cluster,
                &release["spec"],
                text(source.unwrap(), "/spec/url"),
            );
        }
        let name = text(&next, "/metadata/name").to_owned();
        if name.ends_with("-namespaces") {
            secret("actions-runner-system");
        }
        done.push(name);
    }
}

/// What helm-controller does with a release.
fn install(cluster: &Cluster, spec: &Value, url: &str) {
    assert_eq!(spec["install"]["crds"], "Skip");
    let arguments = [
        "upgrade",
        "--install",
        text(spec, "/releaseName"),
        text(spec, "/chart/spec/chart"),
        "--repo",
        url,
        "--version",
        text(spec, "/chart/spec/version"),
        "-n",
        text(spec, "/targetNamespace"),
        "--skip-crds",
        "--wait",
        "--timeout",
        "5m",
        "-f",
        "-",
    ];
    let values = spec["values"].to_string();
    let mut said = String::new();
    // Its webhook may not answer yet: helm-controller tries again too; a negative number has no end there, and one here.
    let retries = spec["install"]["remediation"]["retries"].as_i64().unwrap();
    for _ in 0..=u64::try_from(retries).unwrap_or(10) {
        match cluster.try_tool("helm", &arguments, Some(&values)) {
            Ok(_) => return,
            Err(error) => said = error,
        }
    }
    panic!("{said}");
}

/// Argo CD: the Applications by their waves, charts as `helm template` renders them. Hooks are not applied: the test runs
/// the one of arcctl itself.
pub(super) fn apply_argo_cd(cluster: &Cluster, folder: &Path, secret: &dyn Fn(&str)) {
    teach(cluster, arcctl_facts::argo_cd(), "argocd");
    let root = std::fs::read_to_string(folder.join("application.yaml")).unwrap();
    apply(cluster, "kubectl", &root);
    let root: Value = serde_saphyr::from_str(&root).unwrap();
    let children = local(folder, text(&root, "/spec/source/path"));
    apply(
        cluster,
        "argocd-controller",
        &list(&built(cluster, &children)),
    );
    let mut applications = objects(cluster, "applications.argoproj.io");
    applications.retain(|it| it["metadata"]["name"] != root["metadata"]["name"]);
    let wave = |it: &Value| -> u32 {
        let annotations = &it["metadata"]["annotations"];
        let wave = annotations["argocd.argoproj.io/sync-wave"].as_str();
        wave.unwrap().parse().unwrap()
    };
    applications.sort_by_key(wave);
    let mut made = false;
    for application in &applications {
        if wave(application) > 0 && !made {
            secret("actions-runner-system");
            made = true;
        }
        let spec = &application["spec"];
        let several = spec["sources"].as_array().cloned();
        for source in several.unwrap_or_else(|| vec![spec["source"].clone()]) {
            let objects = if source["chart"].is_string() {
                rendered(cluster, &source, text(spec, "/destination/namespace"))
            } else {
                built(cluster, &local(folder, text(&source, "/path")))
            };
            let is_hook =
                |it: &Value| it["metadata"]["annotations"]["argocd.argoproj.io/hook"].is_string();
            let objects: Vec<Value> = objects.into_iter().filter(|it| !is_hook(it)).collect();
            apply(cluster, "argocd-controller", &list(&objects));
        }
        rolled_out(cluster);
    }
}

/// What Argo CD makes of a chart of an Application whose destination is `namespace`.
fn rendered(cluster: &Cluster, source: &Value, namespace: &str) -> Vec<Value> {
    assert_eq!(source["helm"]["skipCrds"], true);
    let of_the_release = source["helm"]["namespace"].as_str();
    let arguments = [
        "template",
        text(source, "/helm/releaseName"),
        text(source, "/chart"),
        "--repo",
        text(source, "/repoURL"),
        "--version",
        text(source, "/targetRevision"),
        "-n",
        of_the_release.unwrap_or(namespace),
        "--skip-crds",
        "--no-hooks",
        "-f",
        "-",
    ];
    let values = source["helm"]["valuesObject"].to_string();
    let text = cluster.helm(&arguments, Some(&values));
    text.split("---\n")
        .filter(|it| it.contains("\nkind:") || it.starts_with("kind:"))
        .map(|it| {
            let mut object: Value = serde_saphyr::from_str(it).unwrap();
            // Argo CD puts objects without a namespace into that of the destination.
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            let cluster_wide = kind.starts_with("Cluster") || kind.contains("WebhookConfiguration");
            if !cluster_wide && object["metadata"]["namespace"].is_null() {
                object["metadata"]["namespace"] = json!(namespace);
            }
            object
        })
        .collect()
}

/// The health that Argo CD waits for between waves.
fn rolled_out(cluster: &Cluster) {
    for namespace in ["cert-manager", "actions-runner-system"] {
        let all = ["-n", namespace, "get", "deployments", "-o", "name"];
        let deployments = cluster.kubectl(&all, None);
        for name in deployments.lines() {
            cluster.kubectl(
                &["-n", namespace, "rollout", "status", name, "--timeout=5m"],
                None,
            );
        }
    }
}

/// The plain files, in the order of their README: folders by phase, charts by helm with their values.
pub(super) fn apply_files(cluster: &Cluster, folder: &Path, secret: &dyn Fn(&str)) {
    let of = |phase: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder.join(phase)).into_iter().flatten();
        let mut files: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .filter(|it| !it.to_string_lossy().contains("/secret."))
            .map(|it| std::fs::read_to_string(it).unwrap())
            .collect()
    };
    let phase = |name: &str| {
        for text in of(name) {
            apply(cluster, "kubectl", &text);
        }
    };
    let values =
        |name: &str| std::fs::read_to_string(folder.join(format!("values/{name}.yaml"))).unwrap();
    let charts = cluster.charts_url();
    let chart = |command: &[&str], name: &str, version: &str, values: Option<&str>| {
        let place = [name, "--repo", &charts, "--version", version];
        cluster.helm(&[command, &place].concat(), values)
    };
    phase("base");
    apply_crds(cluster, &chart, &values("cert-manager-crds"));
    phase("wiring");
    secret("actions-runner-system");
    let release = |name: &str, namespace: &str, version: &str| {
        let version_of_secret = || {
            let secret = cluster.get("secret", "actions-runner-system", "controller-manager");
            text(&secret, "/metadata/resourceVersion").to_owned()
        };
        let filled =
            values(name).replace("${SECRET_VERSION}", &format!("'{}'", version_of_secret()));
        let command = [
            "upgrade",
            "--install",
            name,
            "-n",
            namespace,
            "--skip-crds",
            "--wait",
            "-f",
            "-",
        ];
        chart(&command, name, version, Some(&filled));
    };
    release("cert-manager", "cert-manager", "v1.21.1");
    release(
        "actions-runner-controller",
        "actions-runner-system",
        "0.23.7",
    );
    phase("controller");
    phase("runners");
}

/// Runs helm with a command and a chart of a version, with values.
type Chart<'a> = dyn Fn(&[&str], &str, &str, Option<&str>) -> String + 'a;

/// The CRDs as the README says: those of cert-manager rendered, those of the controller as they are in its chart.
fn apply_crds(cluster: &Cluster, chart: &Chart<'_>, values: &str) {
    let rendered = chart(
        &["template", "cert-manager", "-f", "-"],
        "cert-manager",
        "v1.21.1",
        Some(values),
    );
    let own = chart(
        &["show", "crds"],
        "actions-runner-controller",
        "0.23.7",
        None,
    );
    for text in rendered.split("---\n").chain(own.split("---\n")) {
        if text.contains("kind: CustomResourceDefinition") {
            apply(cluster, "kubectl", text);
        }
    }
}
