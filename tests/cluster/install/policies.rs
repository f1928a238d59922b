//! A policy engine that rewrites all requests, as Kyverno does: no drift, no second write; and another client that
//! overwrites the chart's values again and again.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use arcctl_sandbox::policy::{LABEL, MIRROR, PolicyEngine, Rule, SEEN};
use serde_json::{Value, json};

use crate::harness::cluster::Cluster;

const SYSTEM: &str = "actions-runner-system";
const CONTROLLER: &str = "actions-runner-controller";
const RELEASE: &str = "helm-release/actions-runner-system/actions-runner-controller";
const IMAGE: &str = "/spec/template/spec/containers/0/image";

fn engine(cluster: &Cluster, rules: &[Rule]) -> PolicyEngine {
    let client = cluster.world().kube();
    cluster
        .block_on(PolicyEngine::start(&client, rules))
        .unwrap()
}

fn nothing_to_do(cluster: &Cluster, profile: &Path, when: &str) {
    let plan = cluster.plan(profile, &["--detailed-exitcode"]);
    assert_eq!((plan.code, plan.planned()), (0, String::new()), "{when}");
    let ended = cluster.up(profile, &[]);
    let again = ended.expect(0);
    assert_eq!(again["changed"], 0, "{when}: {again:#}");
    assert_eq!(again["requests"]["kubernetes"]["writes"], 0, "{when}");
    assert_eq!(again["requests"]["helm"], 0, "{when}");
}

fn deployment(cluster: &Cluster) -> Value {
    cluster.get("deployment", SYSTEM, CONTROLLER)
}

fn revisions(cluster: &Cluster) -> usize {
    cluster
        .release_records("owner=helm,name=actions-runner-controller")
        .len()
}

#[test]
#[ignore = "slow: `make test-slow`"]
#[expect(clippy::too_many_lines, reason = "one story")]
fn what_a_policy_makes_of_the_charts_is_no_drift() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let first = engine(&cluster, &[Rule::Images, Rule::Labels]);
    let fresh = cluster.up(&profile, &[]);
    assert_eq!(fresh.expect(0)["outcome"], "ok", "{}", fresh.stderr);
    let live = deployment(&cluster);
    let image = live.pointer(IMAGE).unwrap().as_str().unwrap();
    assert!(image.starts_with(MIRROR), "{image}");
    assert_eq!(live["metadata"]["labels"][LABEL.0], LABEL.1);
    let pods = ["-n", "actions-runner", "get", "pods", "-o", "name", "-l"];
    let labelled = format!("{}={}", LABEL.0, LABEL.1);
    let pods = cluster.kubectl(&[&pods[..], &[&labelled]].concat(), None);
    assert_eq!(pods.lines().count(), 2, "{pods}");
    nothing_to_do(&cluster, &profile, "the policies are there");

    // What somebody changes by hand is drift still.
    let name = format!("deployment/{CONTROLLER}");
    let image = "manager=mirror.example.com/summerwind/actions-runner-controller:canary";
    cluster.kubectl(&["-n", SYSTEM, "set", "image", &name, image], None);
    let plan = cluster.plan(&profile, &["--detailed-exitcode"]).expect(2);
    let step = plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["id"] == RELEASE);
    let found = step.unwrap()["differences"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["changed"], 1, "{}", ended.stderr);
    assert!(
        !deployment(&cluster)
            .pointer(IMAGE)
            .unwrap()
            .as_str()
            .unwrap()
            .contains("canary")
    );
    nothing_to_do(&cluster, &profile, "the drift is mended");

    cluster.block_on(first.stop()).unwrap();
    nothing_to_do(&cluster, &profile, "the policies are gone");
    let rules = [
        Rule::Tolerations,
        Rule::Sidecar,
        Rule::Resources,
        Rule::Times,
    ];
    let second = engine(&cluster, &rules);
    nothing_to_do(&cluster, &profile, "policies that came after the release");
    let slower = cluster.profile("slower", &[("syncPeriod: 1m", "syncPeriod: 2m")]);
    let ended = cluster.up(&slower, &[]);
    assert_eq!(ended.expect(0)["changed"], 1, "{}", ended.stderr);
    let live = deployment(&cluster);
    assert!(live["metadata"]["annotations"][SEEN].is_string());
    assert_eq!(
        live["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    nothing_to_do(&cluster, &slower, "everything is written under them");
    cluster.block_on(second.stop()).unwrap();
    cluster.finish();
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn a_policy_for_new_objects_alone_is_no_drift() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    let rules = [
        Rule::OnlyNew,
        Rule::Images,
        Rule::Resources,
        Rule::Sidecar,
        Rule::Times,
    ];
    let _engine = engine(&cluster, &rules);
    let fresh = cluster.up(&profile, &[]);
    assert_eq!(fresh.expect(0)["outcome"], "ok", "{}", fresh.stderr);
    nothing_to_do(&cluster, &profile, "only what is new is changed");
    cluster.finish();
}

/// Somebody who scales the controller again and again: one upgrade, then it is told and left.
#[test]
#[ignore = "slow: `make test-slow`"]
fn what_comes_back_after_an_upgrade_is_told_and_left() {
    let cluster = Cluster::fast();
    let profile = cluster.profile("arcctl", &[]);
    assert_eq!(cluster.up(&profile, &[]).expect(0)["outcome"], "ok");
    assert_eq!(revisions(&cluster), 1);
    let ends = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::SeqCst) {
                scale(&cluster);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        scale(&cluster);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let ended = cluster.up(&profile, &[]);
            assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
            let told =
                "`somebody` keeps changing `Deployment/actions-runner-controller.spec.replicas`";
            assert!(ended.stderr.contains(told), "{}", ended.stderr);
            assert_eq!(revisions(&cluster), 2);
            nothing_to_do(&cluster, &profile, "it is known");
            let human = cluster.arcctl(&["plan", "-f", profile.to_str().unwrap()]);
            assert!(human.stdout.contains(told), "{}", human.stdout);
        }));
        ends.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    cluster.finish();
}

fn scale(cluster: &Cluster) {
    let patch = json!({"spec": {"replicas": 3}}).to_string();
    let arguments = [
        "-n",
        SYSTEM,
        "patch",
        "deployment",
        CONTROLLER,
        "--field-manager",
    ];
    cluster.kubectl(
        &[&arguments[..], &["somebody", "-p", &patch]].concat(),
        None,
    );
}
