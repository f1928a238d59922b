//! Charts whose manifests differ from the live objects: no drift, and no second write.
//!
//! The stand-in charts have the quirks recorded from the real ones; these are more quirks of the same kinds.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const RELEASE: &str = "helm-release/actions-runner-system/actions-runner-controller";

/// The quirks, a template each.
fn quirks() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/install/quirks");
    let files = std::fs::read_dir(directory).unwrap();
    files.map(|it| it.unwrap().path()).collect()
}

/// The controller's chart, with all quirks among its templates.
pub(crate) fn chart_with_quirks(cluster: &Cluster, version: &str) -> PathBuf {
    let file = cluster.file("charts", "");
    let directory = file.with_file_name("quirky");
    let url = cluster.charts_url();
    let to = directory.to_str().unwrap();
    let arguments = ["pull", "actions-runner-controller", "--repo", &url];
    let more = ["--version", version, "--untar", "--untardir", to];
    cluster.helm(&[&arguments[..], &more[..]].concat(), None);
    let chart = directory.join("actions-runner-controller");
    for quirk in quirks() {
        let name = quirk.file_name().unwrap();
        std::fs::copy(&quirk, chart.join("templates").join(name)).unwrap();
    }
    chart
}

#[test]
#[ignore = "slow: `make test-slow`"]
#[expect(clippy::too_many_lines, reason = "one story")]
fn a_chart_full_of_quirks_is_installed_and_then_unchanged() {
    let cluster = Cluster::fast();
    assert!(quirks().len() >= 10);
    let chart = chart_with_quirks(&cluster, "0.23.7");
    let url = cluster.charts_url();
    let controller = format!("controller: {url}");
    let local = format!("controller: {}", chart.display());
    let profile = cluster.profile("arcctl", &[(controller.as_str(), local.as_str())]);
    let fresh = cluster.up(&profile, &[]);
    assert_eq!(fresh.expect(0)["outcome"], "ok", "{}", fresh.stderr);
    nothing_to_do(&cluster, &profile);

    // What somebody changes in such an object is seen, and nothing else.
    edit(
        &cluster,
        "deployment/quirk-quantities",
        r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/resources/limits/cpu", "value": "2"}]"#,
    );
    edit(
        &cluster,
        "deployment/quirk-duplicates",
        r#"[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "example.com/a:2"}]"#,
    );
    edit(
        &cluster,
        "deployment/quirk-defaults",
        r#"[{"op": "replace", "path": "/spec/template/spec/volumes/0", "value": {"name": "a", "hostPath": {"path": "/tmp"}}}]"#,
    );
    edit(
        &cluster,
        "service/quirk-empty",
        r#"[{"op": "replace", "path": "/spec/sessionAffinity", "value": "ClientIP"}]"#,
    );
    edit(
        &cluster,
        "configmap/quirk-list-2",
        r#"[{"op": "replace", "path": "/data/a", "value": "3"}]"#,
    );
    edit(
        &cluster,
        "secret/quirk-string-data",
        r#"[{"op": "replace", "path": "/data/user", "value": "Ym9i"}]"#,
    );
    edit(
        &cluster,
        "clusterrole/quirk-cluster-role",
        r#"[{"op": "replace", "path": "/rules/0/verbs", "value": ["*"]}]"#,
    );
    let plan = cluster.plan(&profile, &["--detailed-exitcode"]);
    let document = plan.expect(2);
    let steps = document["steps"].as_array().unwrap();
    let release = steps.iter().find(|it| it["id"] == RELEASE).unwrap();
    let paths: Vec<&str> = release["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "live.ClusterRole/quirk-cluster-role.rules[0].verbs[0]",
            "live.ConfigMap/quirk-list-2.data.a",
            "live.Deployment/quirk-defaults.spec.template.spec.volumes[a].emptyDir",
            "live.Deployment/quirk-duplicates.spec.template.spec.containers[a].image",
            "live.Deployment/quirk-quantities.spec.template.spec.containers[a].resources.limits.cpu",
            "live.Secret/quirk-string-data.data.user",
            "live.Service/quirk-empty.spec.sessionAffinity",
        ]
    );
    assert!(!plan.stdout.contains("Ym9i") && !plan.stdout.contains("amFuZQ"));
    let mended = cluster.up(&profile, &[]);
    assert_eq!(mended.expect(0)["outcome"], "ok", "{}", mended.stderr);
    assert_eq!(mended.changed(), [RELEASE]);
    nothing_to_do(&cluster, &profile);
    cluster.finish();
}

fn edit(cluster: &Cluster, object: &str, patch: &str) {
    let arguments = ["-n", SYSTEM, "patch", object, "--type", "json", "-p", patch];
    cluster.kubectl(&arguments, None);
}

fn nothing_to_do(cluster: &Cluster, profile: &Path) {
    let again = cluster.up(profile, &[]);
    let again: Value = again.expect(0);
    assert_eq!(again["changed"], 0, "{again:#}");
    assert_eq!(again["requests"]["kubernetes"]["writes"], 0);
    assert_eq!(again["requests"]["helm"], 0);
}
