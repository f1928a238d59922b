//! cert-manager is checked like the controller: its three Deployments, in any namespace.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    doctor::{check, is_root, run},
    harness::cluster::Cluster,
    harness::waiting::{pod, until},
};

const SYSTEM: &str = "actions-runner-system";

/// A chart of cert-manager whose webhook has an image that no registry has.
const MISSING: &str = "kubelet:image-pull=quay.io/jetstack/cert-manager-webhook:v1.12.0";

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_part_of_arcctls_own_that_does_not_run_is_named_and_mended() {
    let cluster = Cluster::with_faults(&[MISSING]);
    let profile = cluster.profile("arcctl", &[]);
    cluster.up(&profile, &[]).expect(0);
    for part in [
        "cert-manager",
        "cert-manager-cainjector",
        "cert-manager-webhook",
    ] {
        scaled_to_nothing(&cluster, &profile, part);
    }
    an_image_that_is_missing(&cluster);
    cluster.finish();
}

fn scaled_to_nothing(cluster: &Cluster, profile: &Path, part: &str) {
    let scale = [
        "-n",
        "cert-manager",
        "scale",
        "deployment",
        part,
        "--replicas=0",
    ];
    cluster.kubectl(&scale, None);
    let selector = match part {
        "cert-manager" => "controller",
        other => other.trim_start_matches("cert-manager-"),
    };
    let label = format!("app.kubernetes.io/component={selector}");
    let wait = [
        "-n",
        "cert-manager",
        "wait",
        "pod",
        "--for=delete",
        "--timeout=5m",
        "-l",
        &label,
    ];
    cluster.kubectl(&wait, None);
    let document = run(cluster, profile, &[]).expect(1);
    is_root(&document, "cert-manager-scaled", 1);
    let scaled = check(&document, "cert-manager-scaled");
    let found = scaled["found"].as_str().unwrap();
    assert!(found.contains(&format!("`cert-manager/{part}`")), "{found}");
    assert!(
        scaled["fix"].as_str().unwrap().contains("`arcctl up`"),
        "{scaled:#}"
    );
    let drift = check(&document, "resources-unchanged");
    if drift["verdict"] == "broken" {
        assert_eq!(drift["follows"], "cert-manager-scaled", "{drift:#}");
    }
    let fixed = run(cluster, profile, &["--fix", "--yes"]).expect(0);
    assert_eq!(
        check(&fixed, "cert-manager-scaled")["verdict"],
        "holds",
        "{fixed:#}"
    );
}

/// The old pods still answer every request: only the Deployment tells that the new ones do not come.
fn an_image_that_is_missing(cluster: &Cluster) {
    let edits = [
        ("chartVersion: \"v1.21.1\"", "chartVersion: \"v1.12.0\""),
        ("certManager: 5m", "certManager: 15s"),
    ];
    let profile = cluster.profile("missing", &edits);
    let ended = cluster.up_until(&profile, &[], "cannot pull its image");
    let error = ended.document()["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("cert-manager-webhook"), "{message}");
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("certManager.chartVersion"),
        "{error}"
    );
    let document = run(cluster, &profile, &[]).expect(1);
    assert_eq!(check(&document, "cert-manager-runs")["verdict"], "broken");
}

/// cert-manager of somebody else, as release `cm` in `infra`.
#[test]
#[ignore = "slow: `make test-slow`"]
fn somebody_elses_is_looked_at_where_it_is() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let charts = cluster.charts_url();
    let install = [
        "install",
        "cm",
        "cert-manager",
        "--repo",
        &charts,
        "--version",
        "v1.21.1",
        "-n",
        "infra",
        "--create-namespace",
        "--set",
        "crds.enabled=true",
        "--set",
        "startupapicheck.enabled=false",
    ];
    cluster.helm(&install, None);
    cluster.up(&profile, &[]).expect(0);
    let list = ["-n", "infra", "get", "deployments", "-o", "json"];
    let all: Value = serde_json::from_str(&cluster.kubectl(&list, None)).unwrap();
    let names: Vec<String> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["metadata"]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in &names {
        let scale = |replicas: &str| {
            let replicas = format!("--replicas={replicas}");
            cluster.kubectl(
                &["-n", "infra", "scale", "deployment", name, &replicas],
                None,
            )
        };
        scale("0");
        let document = run(&cluster, &profile, &[]).expect(1);
        is_root(&document, "cert-manager-scaled", 1);
        let fix = check(&document, "cert-manager-scaled")["fix"].to_string();
        assert!(
            fix.contains(&format!(
                "kubectl -n infra scale deployment {name} --replicas=1"
            )),
            "{fix}"
        );
        scale("1");
        until("all is well again", || {
            run(&cluster, &profile, &[]).code == 0
        });
    }
    a_taint_keeps_its_pods_away(&cluster, &profile, &names[0]);
    cluster.finish();
}

fn a_taint_keeps_its_pods_away(cluster: &Cluster, profile: &Path, name: &str) {
    let taint = |value: &str| cluster.kubectl(&["taint", "nodes", "--all", value], None);
    taint("dedicated=gpu:NoSchedule");
    cluster.kubectl(
        &["-n", "infra", "rollout", "restart", "deployment", name],
        None,
    );
    let impatient = cluster.profile("impatient", &[("certManager: 5m", "certManager: 15s")]);
    let ended = cluster.up_until(&impatient, &[], "untolerated taint");
    let error = ended.document()["error"].clone();
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("certManager.values"),
        "{error}"
    );
    taint("dedicated-");
    cluster.up(profile, &[]).expect(0);
}

/// What the API server has of a pod without limits.
const REFUSED: &str = "must specify limits.cpu";

/// A quota that counts the limits of all containers.
fn ask_for_limits(cluster: &Cluster, namespace: &str) {
    let limits = "--hard=limits.cpu=40";
    let create = ["-n", namespace, "create", "quota", "compute", limits];
    cluster.kubectl(&create, None);
}

/// A quota asks for limits of every container, which neither chart sets by itself. One that is there is told before the first
/// write. Of one that comes while a run goes on, the API server's words are in the Deployment's conditions and in events of its
/// `ReplicaSet`, and in no pod.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_quota_that_refuses_a_charts_pods_is_quoted() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("quota", &[("controller: 5m", "controller: 30s")]);
    for (namespace, deployment, key) in [
        ("cert-manager", "cert-manager", "certManager.values"),
        (SYSTEM, "actions-runner-controller", "controller.values"),
    ] {
        cluster.kubectl(&["create", "namespace", namespace], None);
        ask_for_limits(&cluster, namespace);
        until("the quota is in force", || {
            let judged = cluster.judged(&pod(namespace, &json!({})));
            judged.is_err_and(|said| said.contains(REFUSED))
        });
        let ended = cluster.up(&profile, &[]).expect(1);
        assert_eq!(ended["changed"], 0, "{ended:#}");
        let error = &ended["error"];
        let message = error["message"].as_str().unwrap();
        let refused = format!("the API server refuses the pods of `Deployment/{deployment}`");
        assert!(message.contains(&refused), "{message}");
        assert!(error.to_string().contains(REFUSED), "{error}");
        assert!(error["hint"].as_str().unwrap().contains(key), "{error}");
        cluster.kubectl(&["-n", namespace, "delete", "quota", "compute"], None);
    }
    let file = profile.to_str().unwrap();
    let running = cluster.arcctl_in_background(&["up", "-f", file, "--yes", "-o", "json"]);
    until("the run to write", || {
        let there = ["-n", "cert-manager", "get", "deployments", "-o", "name"];
        cluster.kubectl(&there, None).contains("webhook")
    });
    ask_for_limits(&cluster, SYSTEM);
    let ended = running.end();
    cluster.keep(&ended);
    let error = ended.expect(6)["error"].clone();
    let message = error["message"].as_str().unwrap();
    assert!(error.to_string().contains(REFUSED), "{error}");
    let part = format!("{SYSTEM}/actions-runner-controller");
    assert!(message.contains(&part), "{message}");
    assert!(
        error["hint"]
            .as_str()
            .unwrap()
            .contains("controller.values"),
        "{error}"
    );
    cluster.kubectl(&["-n", SYSTEM, "delete", "quota", "compute"], None);
    let profile = cluster.profile("good", &[]);
    cluster.up(&profile, &[]).expect(0);
    cluster.finish();
}
