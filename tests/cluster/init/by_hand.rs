//! `init --from-cluster` on the installation of the blog, made by its commands: the profile takes it over, each difference
//! has a reason, and no pod restarts.

#![expect(
    clippy::print_stdout,
    reason = "the figures of the issue are for who reads the test's output"
)]

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    harness::cluster::Cluster,
    init::{answer, folder},
    install::adoption::install_by_hand,
};

/// The blog's runners, with a schedule, a service account with a role, and a second pool without an autoscaler.
const RUNNERS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata:
  name: actions-runner-role
  namespace: actions-runner
  annotations: {eks.amazonaws.com/role-arn: 'arn:aws:iam::123456789012:role/actions-runner-role'}
---
apiVersion: actions.summerwind.dev/v1alpha1
kind: RunnerDeployment
metadata: {name: basic, namespace: actions-runner}
spec:
  template:
    spec:
      enterprise: dogecompany
      group: Default
      image: summerwind/actions-runner:v2.306.0-ubuntu-22.04
      labels: [t3a.large, ubuntu-22.04, v2.306.0]
      nodeSelector: {node.kubernetes.io/instance-type: t3a.large}
      serviceAccountName: actions-runner-role
      resources:
        limits: {cpu: 1500m, memory: 6Gi}
        requests: {cpu: 500m, memory: 1Gi}
      env: [{name: RUNNER_GRACEFUL_STOP_TIMEOUT, value: '90'}]
      dockerEnv: [{name: RUNNER_GRACEFUL_STOP_TIMEOUT, value: '90'}]
      terminationGracePeriodSeconds: 110
      volumes: [{name: tmp, emptyDir: {}}]
      volumeMounts: [{name: tmp, mountPath: /tmp}]
      dockerVolumeMounts: [{name: tmp, mountPath: /tmp}]
---
apiVersion: actions.summerwind.dev/v1alpha1
kind: HorizontalRunnerAutoscaler
metadata: {name: basic, namespace: actions-runner}
spec:
  scaleTargetRef: {kind: RunnerDeployment, name: basic}
  minReplicas: 2
  maxReplicas: 16
  scaleDownDelaySecondsAfterScaleOut: 300
  metrics:
  - {type: PercentageRunnersBusy, scaleUpThreshold: '0.75', scaleDownThreshold: '0.25', scaleUpFactor: '2', scaleDownFactor: '0.5'}
  scheduledOverrides:
  - startTime: '2023-07-15T00:00:00+09:00'
    endTime: '2023-07-17T00:00:00+09:00'
    minReplicas: 1
    recurrenceRule: {frequency: Weekly}
---
apiVersion: actions.summerwind.dev/v1alpha1
kind: RunnerDeployment
metadata: {name: small, namespace: actions-runner}
spec:
  replicas: 1
  template:
    spec:
      organization: dogecompany
      image: summerwind/actions-runner:v2.306.0-ubuntu-22.04
      labels: [small]
      dockerEnabled: false
      priorityClassName: system-cluster-critical
";

/// The pods that run, by their ids.
fn pods(cluster: &Cluster) -> BTreeSet<String> {
    let format = "jsonpath={range .items[*]}{.metadata.uid} {.metadata.name}{\"\\n\"}{end}";
    let text = cluster.kubectl(&["get", "pods", "-A", "-o", format], None);
    text.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn an_installation_made_by_hand_is_read_and_taken_over() {
    let cluster = Cluster::fast();
    install_by_hand(&cluster, &cluster.tokens()[0]);
    cluster.kubectl(&["apply", "-f", "-"], Some(RUNNERS));
    crate::harness::waiting::until("three runner pods", || {
        let text = cluster.kubectl(&["-n", "actions-runner", "get", "pods", "-o", "name"], None);
        text.lines().count() >= 2
    });
    let charts = cluster.charts_url();
    let profile = folder(&cluster, "home").join("arcctl.yaml");
    let file = profile.to_str().unwrap();
    let ended = cluster.arcctl_with(
        &[
            "init",
            "--from-cluster",
            "--charts",
            &charts,
            "-f",
            file,
            "-o",
            "json",
        ],
        &[("TZ", "Asia/Seoul")],
    );
    let document = ended.expect(0);
    let text = std::fs::read_to_string(&profile).unwrap();
    println!("{text}");
    for line in [
        "    enterprise: dogecompany",
        "timeZone: Asia/Seoul",
        "from: Sat 00:00, to: Mon 00:00, min: 1",
        "gracefulStop: 90s",
        "sharedTmp: true",
        "serviceAccount: actions-runner-role",
        "containerMode: none",
        "priorityClassName: system-cluster-critical",
        "chartVersion: \"0.23.3\"",
    ] {
        assert!(text.contains(line.trim()), "no `{line}` in:\n{text}");
    }
    assert_eq!(answer(&document, "credential"), "env:ARCCTL_GITHUB_TOKEN");
    assert_eq!(document["planError"], Value::Null, "{document:#}");
    explained(&cluster, file, &document);

    let before = pods(&cluster);
    let taken = cluster.up(&profile, &["--adopt"]);
    assert_eq!(taken.expect(0)["outcome"], "ok", "{}", taken.stderr);
    let after = pods(&cluster);
    let gone: Vec<&String> = before.difference(&after).collect();
    println!("pods before: {}, restarted: {}", before.len(), gone.len());
    assert!(gone.is_empty(), "restarted: {gone:?}");
    let hra = cluster.get("horizontalrunnerautoscaler", "actions-runner", "basic");
    let start = &hra["spec"]["scheduledOverrides"][0]["startTime"];
    assert_eq!(*start, "2023-07-15T00:00:00+09:00", "the override was kept");
    // The run after it makes what waits; until then the token is where whoever installed it has put it: in helm's values.
    let next = cluster.up(&profile, &[]);
    assert_eq!(next.expect(0)["outcome"], "ok", "{}", next.stderr);
    cluster.finish();
}

/// `plan --adopt` has no difference that the document does not explain.
fn explained(cluster: &Cluster, file: &str, document: &Value) {
    let plan = cluster
        .plan(std::path::Path::new(file), &["--adopt"])
        .expect(0);
    let explained: Vec<(&str, &str)> = document["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["object"].as_str().unwrap(), it["path"].as_str().unwrap()))
        .collect();
    let mut differences = 0;
    for step in plan["steps"].as_array().unwrap() {
        let id = step["id"].as_str().unwrap();
        if step["action"] == "create" {
            assert!(explained.contains(&(id, "")), "{id} is created");
        }
        for difference in step["differences"].as_array().unwrap() {
            let path = difference["path"].as_str().unwrap();
            let known = explained
                .iter()
                .any(|it| it.0 == id && path.starts_with(it.1));
            assert!(known, "{id}: {path} has no reason in {document:#}");
            differences += 1;
        }
    }
    println!(
        "plan --adopt: {differences} differences, {} reasons",
        explained.len()
    );
}
