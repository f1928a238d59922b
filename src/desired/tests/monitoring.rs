//! Tests monitors, alerts and the dashboard. `tests/cluster/doctor/prometheus/` tests them with Prometheus.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::profile;
use crate::desired::{Facts, monitoring};

fn facts(crd: Option<bool>) -> Facts {
    Facts {
        now: "2026-11-23T09:00:00Z".parse().unwrap(),
        pod_monitor_crd: crd,
        prometheus_rule_crd: crd,
        ..Facts::default()
    }
}

pub(super) fn objects(changes: &Value, crd: Option<bool>) -> Vec<Value> {
    monitoring::objects(&profile(changes), &facts(crd)).unwrap()
}

fn kinds(changes: &Value, crd: Option<bool>) -> Vec<String> {
    let kind = |it: &Value| it["kind"].as_str().unwrap().to_owned();
    objects(changes, crd).iter().map(kind).collect()
}

/// The dashboard in a `ConfigMap`.
pub(super) fn dashboard(map: &Value) -> Value {
    serde_json::from_str(map["data"]["arcctl-test.json"].as_str().unwrap()).unwrap()
}

pub(super) fn queries(dashboard: &Value) -> Vec<&str> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|it| it["targets"].as_array());
    targets
        .flatten()
        .map(|it| it["expr"].as_str().unwrap())
        .collect()
}

#[test]
fn the_profile_and_the_cluster_decide_what_there_is() {
    let both = ["PrometheusRule", "ConfigMap"].map(str::to_owned);
    assert_eq!(kinds(&json!({}), Some(true)), [""; 0]);
    let auto = json!({"monitoring": {}});
    assert_eq!(kinds(&auto, Some(true)), both);
    assert_eq!(kinds(&auto, Some(false)), [""; 0]);
    assert_eq!(kinds(&auto, None), [""; 0]);
    let always = json!({"monitoring": {"alerts": "always", "dashboard": "always"}});
    assert_eq!(kinds(&always, None), both);
    let one = json!({"monitoring": {"alerts": "never"}});
    assert_eq!(kinds(&one, Some(true)), ["ConfigMap"]);
}

#[test]
fn labels_of_the_profile_go_beside_the_owner_s_and_never_over_them() {
    let labels = json!({"release": "prom", "grafana_dashboard": "yes", "arcctl.dev/profile": "x"});
    for object in objects(&json!({"monitoring": {"labels": labels}}), Some(true)) {
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["release"], "prom");
        assert_eq!(labels["grafana_dashboard"], "yes");
        assert_eq!(labels["arcctl.dev/profile"], "test");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "arcctl");
    }
    let plain = objects(&json!({"monitoring": {}}), Some(true));
    assert_eq!(
        plain[0]["metadata"]["labels"].get("grafana_dashboard"),
        None
    );
    assert_eq!(plain[1]["metadata"]["labels"]["grafana_dashboard"], "1");
}

#[test]
fn the_minimum_in_force_is_arithmetic_over_the_overrides() {
    let of = |zone: &str| {
        let pool = json!({"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 2, "max": 4, "schedule": {
            "timeZone": zone, "windows": [{"name": "w", "from": "Sat 00:00", "to": "Mon 00:00", "min": 1}]}});
        objects(&json!({"monitoring": {}, "pools": [pool]}), Some(true))[0]["spec"]["groups"][0]
            .clone()
    };
    let seoul = of("Asia/Seoul");
    assert_eq!(seoul["name"], "arcctl-test");
    // 2024-01-06T00:00+09:00, 168 and 48 hours.
    assert_eq!(
        seoul["rules"][0]["expr"],
        "(vector(1) and on() vector((time() >= bool 1704466800) * ((time() - 1704466800) % 604800 < bool 172800)) == 1)\nor vector(2)"
    );
    assert_eq!(
        seoul["rules"][0]["labels"],
        json!({"horizontalrunnerautoscaler": "basic", "profile": "test"})
    );
    assert!(
        seoul["rules"][1]["alert"].is_string(),
        "a schedule for ever has no end"
    );
    let berlin = of("Europe/Berlin");
    assert_eq!(
        berlin["rules"][1]["record"],
        "arcctl:schedule_ends:timestamp_seconds"
    );
}

#[test]
fn without_the_rules_no_panel_asks_for_what_they_record() {
    let of = |alerts: &str| {
        let all = objects(&json!({"monitoring": {"alerts": alerts}}), Some(true));
        dashboard(all.last().unwrap())
    };
    let recorded = |dashboard: &Value| {
        let mut queries = queries(dashboard).into_iter();
        queries.any(|it| it.contains(monitoring::IN_FORCE))
    };
    let (with, without) = (of("auto"), of("never"));
    assert!(recorded(&with) && !recorded(&without));
    assert!(without.to_string().contains("Minimum outside windows"));
    assert!(without.to_string().contains("minimum outside windows only"));
}

#[test]
fn panels_have_ids_places_and_queries_of_their_own() {
    let all = objects(&json!({"monitoring": {}}), Some(true));
    let dashboard = dashboard(&all[1]);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<String> = panels.iter().map(|it| it["id"].to_string()).collect();
    let places: BTreeSet<String> = panels.iter().map(|it| it["gridPos"].to_string()).collect();
    assert_eq!((ids.len(), places.len()), (panels.len(), panels.len()));
    assert!(queries(&dashboard).len() > 15);
    assert_eq!(dashboard["uid"], "arcctl-test");
}

#[test]
fn every_alert_says_what_and_what_to_do() {
    let all = objects(&json!({"monitoring": {}}), Some(true));
    let rules = all[0]["spec"]["groups"][0]["rules"].as_array().unwrap();
    let alerts: Vec<&Value> = rules.iter().filter(|it| it["alert"].is_string()).collect();
    assert_eq!(alerts.len(), 10);
    every_alert_is_described(rules);
}

fn every_alert_is_described(rules: &[Value]) {
    for alert in rules.iter().filter(|it| it["alert"].is_string()) {
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["warning", "critical"].contains(&severity), "{alert}");
        assert!(alert["for"].is_string(), "{alert}");
        for key in ["summary", "description"] {
            assert!(
                alert["annotations"][key].as_str().unwrap().len() > 20,
                "{alert}"
            );
        }
    }
    let document = include_str!("../../../docs/monitoring.md");
    for rule in rules {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).unwrap();
        assert!(
            document.contains(&format!("| `{name}` |")),
            "{name} is not in docs/monitoring.md"
        );
    }
}

/// From the table of releases alone: the rule is the same on every day.
#[test]
fn until_when_github_takes_the_runners_is_recorded_for_what_is_known() {
    let ends = |changes: &Value| {
        let all = objects(changes, Some(true));
        let rules = all[0]["spec"]["groups"][0]["rules"].as_array().unwrap();
        let is_it = |it: &&Value| it["record"] == "arcctl:runner_jobs_end:timestamp_seconds";
        let found = rules.iter().find(is_it);
        found.map(|it| it["expr"].as_str().unwrap().to_owned())
    };
    let with = |image: &str, github: Value| {
        let pool = json!({"name": "basic", "image": image, "min": 1, "max": 2});
        json!({"monitoring": {}, "pools": [pool], "github": github})
    };
    // 2026-09-25T00:00:00Z.
    assert_eq!(
        ends(&with("r:v2.336.0-ubuntu-22.04", json!({}))).unwrap(),
        "vector(1790294400)"
    );
    assert_eq!(ends(&with("r:mine", json!({}))), None);
    // The newest one that is known has no end, however old this program is.
    let newest = crate::units::runner::RELEASES.newest().unwrap().version;
    assert_eq!(ends(&with(&format!("r:v{newest}"), json!({}))), None);
    let server = json!({"url": "https://github.example"});
    assert_eq!(ends(&with("r:v2.336.0", server)), None);
}

/// A pool of each mode, or the scale set alone.
pub(super) fn with_scale_set(alone: bool, monitoring: &Value) -> Value {
    let set =
        json!({"name": "linux", "mode": "scaleSet", "image": "r:2.334.0", "min": 2, "max": 20});
    let other = json!({"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4});
    let pools = if alone { vec![set] } else { vec![set, other] };
    json!({"monitoring": monitoring, "scaleSets": {"metrics": true}, "pools": pools})
}

#[test]
fn scale_sets_are_read_only_where_they_serve_metrics() {
    let monitors = ["PodMonitor", "PodMonitor"];
    let both = ["PrometheusRule", "ConfigMap"];
    for alone in [true, false] {
        let mut changes = with_scale_set(alone, &json!({}));
        let all = [monitors, both].concat();
        assert_eq!(kinds(&changes, Some(true)), all);
        assert_eq!(kinds(&changes, None), [""; 0]);
        changes["monitoring"] = json!({"podMonitor": "never"});
        assert_eq!(kinds(&changes, Some(true)), both);
        changes["monitoring"] = json!({"podMonitor": "always"});
        assert_eq!(kinds(&changes, Some(false)), monitors);
        changes["scaleSets"] = json!({});
        let left: &[&str] = if alone { &[] } else { &both };
        assert_eq!(kinds(&changes, Some(true)), left);
        changes["monitoring"] = Value::Null;
        assert_eq!(kinds(&changes, Some(true)), [""; 0]);
    }
}

#[test]
fn pod_monitors_select_the_controller_and_the_listeners_of_the_pools() {
    let labels = json!({"labels": {"release": "prom"}});
    let all = objects(&with_scale_set(false, &labels), Some(true));
    for monitor in &all[..2] {
        assert_eq!(monitor["metadata"]["namespace"], "actions-runner-system");
        assert_eq!(monitor["metadata"]["labels"]["release"], "prom");
        let spec = &monitor["spec"];
        assert_eq!(
            spec["namespaceSelector"]["matchNames"],
            json!(["arc-systems"])
        );
        let endpoint = &spec["podMetricsEndpoints"][0];
        assert_eq!(endpoint["port"], "metrics");
        assert_eq!(endpoint["path"], "/metrics");
    }
    assert_eq!(
        all[0]["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"],
        "controller-manager"
    );
    let sets = &all[1]["spec"]["selector"]["matchExpressions"][0];
    assert_eq!(sets["values"], json!(["linux"]), "not the other mode's");
    // By the label that they are selected by, the metrics of a listener get the name of their scale set.
    let name = &all[1]["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["sourceLabels"][0];
    assert_eq!(
        name,
        "__meta_kubernetes_pod_label_actions_github_com_scale_set_name"
    );
    assert_eq!(sets["key"], "actions.github.com/scale-set-name");
}

/// A listener's numbers of runners are those of GitHub's last message, which may be hours old.
#[test]
fn no_alert_uses_what_a_listener_knows_of_runners() {
    let rules = |version: &str| {
        let mut changes = with_scale_set(true, &json!({}));
        changes["scaleSets"]["chartVersion"] = json!(version);
        let all = objects(&changes, Some(true));
        let rules = all[all.len() - 2]["spec"]["groups"][0]["rules"].to_string();
        for old in ["gha_idle_", "gha_busy_", "gha_registered_"] {
            assert!(!rules.contains(old), "{rules}");
        }
        rules
    };
    assert!(rules("0.14.2").contains("gha_controller_running_ephemeral_runners"));
    // Since 0.15 that metric has only the runners with a job.
    assert!(!rules("0.15.1").contains("gha_controller_running_ephemeral_runners"));
}

#[test]
fn each_mode_has_its_own_rules_and_panels_and_no_more() {
    let of = |changes: &Value| {
        let all = objects(changes, Some(true));
        let rules = all[all.len() - 2]["spec"]["groups"][0]["rules"].clone();
        (rules, dashboard(all.last().unwrap()))
    };
    let has = |value: &Value, word: &str| value.to_string().contains(word);
    let (rules, panels) = of(&with_scale_set(true, &json!({})));
    for value in [&rules, &panels] {
        assert!(has(value, "gha_") && has(value, "arcctl:min_runners:in_force"));
        assert!(!has(value, "horizontalrunnerautoscaler_"), "{value}");
    }
    assert!(has(&rules, "ArcctlRunnersRefused"));
    every_alert_is_described(rules.as_array().unwrap());
    let (rules, panels) = of(&json!({"monitoring": {}}));
    assert!(!has(&rules, "gha_") && !has(&panels, "gha_"));
    let (rules, panels) = of(&with_scale_set(false, &json!({})));
    for value in [&rules, &panels] {
        assert!(has(value, "gha_") && has(value, "horizontalrunnerautoscaler_"));
    }
    let panels = panels["panels"].as_array().unwrap();
    let ids: BTreeSet<String> = panels.iter().map(|it| it["id"].to_string()).collect();
    let places: BTreeSet<String> = panels.iter().map(|it| it["gridPos"].to_string()).collect();
    assert_eq!((ids.len(), places.len()), (panels.len(), panels.len()));
    assert_eq!(panels.last().unwrap()["title"], "Schedule");
}

/// The table that the reconciler evaluates and the rule are of the same overrides.
#[test]
fn the_minimum_of_a_scale_set_in_force_is_that_of_its_table() {
    let mut changes = with_scale_set(true, &json!({}));
    changes["pools"][0]["schedule"] = json!({"timeZone": "Asia/Seoul",
        "windows": [{"name": "w", "from": "Sat 00:00", "to": "Mon 00:00", "min": 0}]});
    let rule = |facts: &Facts| {
        let all = monitoring::objects(&profile(&changes), facts).unwrap();
        all[2]["spec"]["groups"][0]["rules"][0].clone()
    };
    let mut facts = facts(Some(true));
    let fresh = rule(&facts);
    assert_eq!(fresh["record"], monitoring::SET_IN_FORCE);
    assert_eq!(fresh["labels"], json!({"name": "linux", "profile": "test"}));
    assert_eq!(
        fresh["expr"],
        "(vector(0) and on() vector((time() >= bool 1704466800) * ((time() - 1704466800) % 604800 < bool 172800)) == 1)\nor vector(2)"
    );
    // A table of the same minimums that began in another week is kept, and the rule follows it.
    let live = "base 2\n1705071600 1705244400 0 604800 0\n".to_owned();
    facts.live_tables.insert("linux".into(), live);
    assert!(
        rule(&facts)["expr"]
            .as_str()
            .unwrap()
            .contains("1705071600")
    );
}

/// The words of a query that are metrics of GitHub's controller.
fn gha_words(query: &str) -> impl Iterator<Item = &str> {
    let of_a_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let words = query.split(move |it: char| !of_a_name(it));
    words.filter(|it| it.starts_with("gha_"))
}

#[test]
fn no_query_names_a_metric_that_the_controller_and_its_listeners_do_not_have() {
    let known = arcctl_facts::metrics::gha_0_14_2();
    let all = objects(&with_scale_set(true, &json!({})), Some(true));
    let dashboard = dashboard(&all[3]);
    let rules = all[2]["spec"]["groups"][0]["rules"].as_array().unwrap();
    let mut asked = queries(&dashboard);
    asked.extend(rules.iter().map(|it| it["expr"].as_str().unwrap()));
    let mut seen = BTreeSet::new();
    for query in asked {
        for word in gha_words(query) {
            let metric = known.iter().find(|it| it.name == word);
            let metric = metric.unwrap_or_else(|| panic!("{word} in {query}"));
            // By which it is aggregated and joined.
            let label = if query.contains("by (job_result)") {
                "job_result"
            } else {
                "name"
            };
            assert!(metric.labels.contains(&label), "{word} in {query}");
            seen.insert(metric.name);
        }
    }
    assert!(seen.len() > 8, "{seen:?}");
}

#[test]
fn without_rules_a_panel_shows_the_minimum_of_the_listener_once() {
    let all = objects(
        &with_scale_set(true, &json!({"alerts": "never"})),
        Some(true),
    );
    let dashboard = dashboard(all.last().unwrap());
    let queries = queries(&dashboard);
    assert!(
        !queries
            .iter()
            .any(|it| it.contains(monitoring::SET_IN_FORCE))
    );
    let minimums = queries.iter().filter(|it| it.contains("gha_min_runners"));
    assert_eq!(minimums.count(), 2, "{queries:?}");
}
