//! Monitors, alerts and the dashboard of both modes: refused without the Prometheus operator's CRDs; made, unchanged, mended and
//! deleted with them. The monitors select the pods that serve the metrics.

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::doctor::{cases::Elsewhere, check, monitoring::operator};

const HOME: &str = "actions-runner-system";
const CONTROLLER: &str = "pod-monitor/actions-runner-system/scale-set-controller";
const LISTENERS: &str = "pod-monitor/actions-runner-system/scale-set-listeners";

/// A profile with both modes, whose scale set has metrics.
fn with(cluster: &Cluster, name: &str, monitoring: &str) -> PathBuf {
    let sections = format!("scaleSets: {{metrics: true}}\nmonitoring: {monitoring}\n\ntimeouts:");
    both(cluster, name, &[("timeouts:", &sections)])
}

fn verdict(cluster: &Cluster, profile: &Path, id: &str) -> Value {
    let file = profile.to_str().unwrap();
    let arguments = ["doctor", "-f", file, "-o", "json", "--only", "monitoring"];
    let document = cluster.arcctl(&arguments).document();
    check(&document, id)["verdict"].clone()
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn monitors_of_scale_sets_are_made_mended_and_taken_away() {
    let cluster = Cluster::fast();
    let impossible = with(
        &cluster,
        "impossible",
        "{podMonitor: always, alerts: never, dashboard: never}",
    );
    let ended = cluster.up(&impossible, &[]);
    assert_eq!(ended.expect(1)["outcome"], "failed");
    assert!(ended.stderr.contains("PodMonitors"), "{}", ended.stderr);
    let possible = Elsewhere::ScaleSetMonitorsPossible.id();
    assert_eq!(verdict(&cluster, &impossible, possible), "broken");

    cluster.kubectl(&["apply", "--server-side", "-f", "-"], Some(&operator()));
    let established = ["wait", "crd", "--all", "--for=condition=Established"];
    cluster.kubectl(&[&established[..], &["--timeout=5m"]].concat(), None);
    let profile = with(&cluster, "arcctl", "{labels: {release: prom}}");
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    for id in [CONTROLLER, LISTENERS] {
        assert!(ended.changed().iter().any(|it| it == id), "{id}");
    }
    assert_eq!(cluster.up(&profile, &[]).expect(0)["changed"], 0);
    assert_eq!(verdict(&cluster, &impossible, possible), "holds");
    each_selects_a_pod_with_metrics(&cluster);

    let monitor = ["podmonitor", "scale-set-listeners"];
    cluster.kubectl(&[&["-n", HOME, "delete"][..], &monitor].concat(), None);
    assert_eq!(verdict(&cluster, &profile, "monitoring-there"), "broken");
    let ended = cluster.up(&profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(ended.changed(), [LISTENERS]);

    let fewer = with(
        &cluster,
        "fewer",
        "{podMonitor: never, labels: {release: prom}}",
    );
    let ended = cluster.up(&fewer, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok", "{}", ended.stderr);
    assert_eq!(monitors(&cluster), "");

    assert_eq!(cluster.up(&profile, &[]).expect(0)["changed"], 2);
    assert_eq!(teardown(&cluster, &profile).expect(0)["outcome"], "ok");
    assert_eq!(monitors(&cluster), "");
    cluster.finish();
}

fn monitors(cluster: &Cluster) -> String {
    cluster.kubectl(&["get", "podmonitors", "-A", "-o", "name"], None)
}

/// Each finds a pod in the namespace that it names, with a port of the name that it names.
fn each_selects_a_pod_with_metrics(cluster: &Cluster) {
    for name in ["scale-set-controller", "scale-set-listeners"] {
        let spec = cluster.get("podmonitor", HOME, name)["spec"].clone();
        let namespace = spec["namespaceSelector"]["matchNames"][0].as_str().unwrap();
        let equal = spec["selector"]["matchLabels"].as_object().unwrap();
        let mut selector: Vec<String> = equal
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
            .collect();
        for expression in spec["selector"]["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let values = expression["values"].as_array().unwrap();
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            let key = expression["key"].as_str().unwrap();
            selector.push(format!("{key} in ({})", values.join(",")));
        }
        let port = spec["podMetricsEndpoints"][0]["port"].as_str().unwrap();
        let ports = "jsonpath={.items[*].spec.containers[*].ports[*].name}";
        let selector = selector.join(",");
        let pods = ["-n", namespace, "get", "pods", "-l", &selector, "-o", ports];
        let found = cluster.kubectl(&pods, None);
        assert!(
            found.split_whitespace().any(|it| it == port),
            "{name}: {found}"
        );
    }
}
