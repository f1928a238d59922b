//! Alerts and dashboard in a cluster with the Prometheus operator's CRDs: created, unchanged, fixed, deleted.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{doctor::cases::Elsewhere, harness::cluster::Cluster};

const RULE: &str = "prometheus-rule/actions-runner-system/actions-runner-controller";
const DASHBOARD: &str = "config-map/actions-runner-system/actions-runner-controller-dashboard";

/// The kind as the operator's CRD has it, as far as arcctl writes it: what is not here is refused.
fn crd(kind: &str, plural: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com",
            "names": {"kind": kind, "plural": plural},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "required": ["spec"], "properties": {"spec": spec}}}}],
        },
    })
}

/// The kinds of the Prometheus operator.
pub(crate) fn operator() -> String {
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let text = json!({"type": "string"});
    let duration = json!({"type": "string", "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"});
    let rule = json!({"type": "object", "required": ["expr"], "properties": {
        "alert": text, "record": text, "for": duration, "labels": map, "annotations": map,
        "expr": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true}}});
    let group = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "minLength": 1}, "rules": {"type": "array", "items": rule}}});
    let groups = json!({"type": "object", "properties": {"groups": {"type": "array", "items": group,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}}});
    let names = json!({"type": "array", "items": text});
    let relabelings = json!({"type": "array", "items": {"type": "object", "properties": {
        "sourceLabels": names, "targetLabel": text, "regex": text, "replacement": text,
        "action": {"type": "string", "default": "replace"}}}});
    let endpoint = json!({"type": "object", "properties": {
        "port": text, "path": text, "relabelings": relabelings, "metricRelabelings": relabelings}});
    let expression = json!({"type": "object", "required": ["key", "operator"], "properties": {
        "key": text, "operator": text, "values": names}});
    let pod_monitor = json!({"type": "object", "required": ["selector"], "properties": {
        "namespaceSelector": {"type": "object", "properties": {"any": {"type": "boolean"}, "matchNames": names}},
        "podMetricsEndpoints": {"type": "array", "items": endpoint},
        "selector": {"type": "object", "properties": {
            "matchLabels": map, "matchExpressions": {"type": "array", "items": expression}}}}});
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let items = [
        crd("PrometheusRule", "prometheusrules", &groups),
        crd("ServiceMonitor", "servicemonitors", &any),
        crd("PodMonitor", "podmonitors", &pod_monitor),
        crd("Prometheus", "prometheuses", &any),
    ];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn check(document: &Value, id: &str) -> Value {
    let all = document["checks"].as_array().unwrap();
    all.iter().find(|it| it["id"] == id).unwrap().clone()
}

/// What a run that ends well has written.
fn changed(cluster: &Cluster, profile: &Path) -> Vec<String> {
    let ended = cluster.up(profile, &[]);
    assert_eq!(ended.expect(0)["outcome"], "ok");
    ended.changed()
}

/// The sandbox's profile with a section `monitoring`.
fn with(cluster: &Cluster, name: &str, monitoring: &str) -> PathBuf {
    let section = format!("monitoring: {monitoring}\ntimeouts: {{");
    cluster.profile(name, &[("timeouts: {", section.as_str())])
}

fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    cluster.kubectl(
        &[&["-n", "actions-runner-system"], arguments].concat(),
        None,
    )
}

fn doctor(cluster: &Cluster, profile: &Path) -> Value {
    let profile = profile.to_str().unwrap();
    let arguments = [
        "doctor",
        "-f",
        profile,
        "-o",
        "json",
        "--only",
        "monitoring",
    ];
    cluster.arcctl(&arguments).expect(0)
}

#[test]
#[ignore = "slow: `make test-slow`"]
fn alerts_and_dashboard_are_made_mended_and_taken_away() {
    let cluster = Cluster::fast();
    cluster.kubectl(&["apply", "--server-side", "-f", "-"], Some(&operator()));
    let established = ["wait", "crd", "--all", "--for=condition=Established"];
    cluster.kubectl(&[&established[..], &["--timeout=5m"]].concat(), None);
    let profile = with(&cluster, "arcctl", "{labels: {release: prom}}");
    made(&cluster, &profile);
    mended(&cluster, &profile);
    selected(&cluster);
    gone(&cluster);
    cluster.finish();
}

fn made(cluster: &Cluster, profile: &Path) {
    let written = changed(cluster, profile);
    assert!(written.contains(&RULE.to_owned()), "{written:?}");
    assert!(written.contains(&DASHBOARD.to_owned()), "{written:?}");
    let kinds = "prometheusrules,configmaps,servicemonitors";
    let jsonpath = "jsonpath={.items[*].kind}";
    let found = kubectl(
        cluster,
        &["get", kinds, "-l", "release=prom", "-o", jsonpath],
    );
    let mut found: Vec<&str> = found.split_whitespace().collect();
    found.sort_unstable();
    assert_eq!(found, ["ConfigMap", "PrometheusRule", "ServiceMonitor"]);
    assert_eq!(cluster.up(profile, &[]).expect(0)["changed"], 0);
}

/// Deleted and edited by hand.
fn mended(cluster: &Cluster, profile: &Path) {
    let name = "actions-runner-controller";
    kubectl(cluster, &["delete", "prometheusrule", name]);
    let dashboard = format!("{name}-dashboard");
    let label = ["label", "configmap", &dashboard, "grafana_dashboard=0"];
    kubectl(cluster, &[&label[..], &["--overwrite"]].concat());
    let document = doctor(cluster, profile);
    assert_eq!(check(&document, "monitoring-there")["verdict"], "broken");
    assert_eq!(changed(cluster, profile), [DASHBOARD, RULE]);
}

/// A Prometheus that wants another label than the profile's, and gets it.
fn selected(cluster: &Cluster) {
    let prometheus = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
        "metadata": {"name": "k8s", "namespace": "default"},
        "spec": {"ruleSelector": {"matchLabels": {"release": "other"}}, "ruleNamespaceSelector": {},
            "serviceMonitorSelector": {}, "serviceMonitorNamespaceSelector": {}}});
    cluster.kubectl(&["apply", "-f", "-"], Some(&prometheus.to_string()));
    let wrong = with(cluster, "wrong", "{labels: {release: prom}}");
    let selected = Elsewhere::MonitoringSelected.id();
    let found = check(&doctor(cluster, &wrong), selected);
    assert_eq!(found["verdict"], "broken");
    assert!(found["found"].to_string().contains("other"), "{found}");
    let right = with(cluster, "right", "{labels: {release: other}}");
    assert!(changed(cluster, &right).contains(&RULE.to_owned()));
    let document = doctor(cluster, &right);
    for id in ["monitoring-there", selected] {
        assert_eq!(check(&document, id)["verdict"], "holds", "{document}");
    }
}

/// No longer asked for, one of them; then nothing at all.
fn gone(cluster: &Cluster) {
    let fewer = with(
        cluster,
        "fewer",
        "{alerts: never, labels: {release: other}}",
    );
    assert!(changed(cluster, &fewer).contains(&RULE.to_owned()));
    let kinds = "prometheusrules,configmaps";
    let ours = "arcctl.dev/profile=dogecompany";
    let left = kubectl(cluster, &["get", kinds, "-l", ours, "-o", "name"]);
    assert!(!left.contains("prometheusrule"), "{left}");
    assert!(left.contains("dashboard"), "{left}");
    let profile = fewer.to_str().unwrap();
    let teardown = cluster.arcctl(&["teardown", "-f", profile, "--yes", "-o", "json"]);
    assert_eq!(teardown.expect(0)["outcome"], "ok");
    let all = ["get", "configmaps", "-A", "-l", ours, "-o", "name"];
    assert_eq!(cluster.kubectl(&all, None), "");
}
