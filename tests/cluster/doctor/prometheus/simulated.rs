//! The rules in simulated time, by promtool: each alert fires after its time and for its own profile only.

use std::{fs, path::Path, process::Command};

use arcctl::profile::Profile;
use arcctl_sandbox::{exporter, tools};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{FAULTS, POOLS, profile, written};

/// With the rules' own `for`, in simulated time: no alert before, each after; and a pool whose runners come and go
/// raises none.
#[test]
#[ignore = "slow: `make test-slow`"]
fn alerts_fire_after_their_time_and_not_for_runners_that_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let (groups, _) = written(
        &profile("Asia/Seoul", None),
        "2026-11-23T09:00:00Z".parse().unwrap(),
    );
    let mut tests = vec![in_good_order()];
    for (alert, faults) in FAULTS.iter().filter(|it| !it.1.is_empty()) {
        let rules = groups[0]["rules"].as_array().unwrap();
        let rule = rules.iter().find(|it| it["alert"] == *alert).unwrap();
        let hold = rule["for"].as_str().unwrap();
        let minutes: u32 = hold.strip_suffix('m').unwrap().parse().unwrap();
        tests.push(simulated(
            faults,
            &[(alert, minutes - 1, false), (alert, minutes + 12, true)],
        ));
    }
    promtool(directory.path(), &groups, &tests);
}

/// A busy pool: one runner after the other is done and replaced.
fn in_good_order() -> Value {
    let alerts: Vec<(&str, u32, bool)> = FAULTS
        .iter()
        .flat_map(|it| [(it.0, 20, false), (it.0, 55, false)])
        .collect();
    let mut test = simulated(&[], &alerts);
    for series in test["input_series"].as_array_mut().unwrap() {
        let name = series["series"].as_str().unwrap();
        if name.starts_with("horizontalrunnerautoscaler_runners_registered") {
            let registered = (0..=60).map(|minute| if minute % 7 == 3 { "3" } else { "2" });
            series["values"] = json!(registered.collect::<Vec<_>>().join(" "));
        }
    }
    test
}

/// An hour in which the controller says what is healthy, but for `faults`; and whether alerts fire after some minutes.
fn simulated(faults: &[(&str, f64)], alerts: &[(&str, u32, bool)]) -> Value {
    let series = exporter::healthy(POOLS).into_iter().map(|(name, labels, value)| {
        let fault = faults.iter().find(|it| it.0 == name).map(|it| it.1);
        let values = match fault {
            Some(grows) if name.ends_with("_total") => format!("0+{grows}x60"),
            other => format!("{}x60", other.unwrap_or(value)),
        };
        json!({"series": format!("{name}{{{labels},pod=\"leader\"}}").replace("{,", "{"), "values": values})
    });
    let expressions = alerts.iter().map(|(alert, minute, fires)| {
        let samples = if *fires {
            json!([{"labels": "{}", "value": 1}])
        } else {
            json!([])
        };
        json!({"expr": format!("count(ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})"),
            "eval_time": format!("{minute}m"), "exp_samples": samples})
    });
    json!({
        "interval": "1m",
        "input_series": series.collect::<Vec<_>>(),
        "promql_expr_test": expressions.collect::<Vec<_>>(),
    })
}

/// The namespace of the pools in the series of the exporter.
const POOLS_IN: &str = "namespace=\"actions-runner\"";

/// The series of a test that are about pools, with the labels that a Prometheus gives those of a controller whose pools are in
/// `namespace`.
fn in_namespace(test: &Value, namespace: &str) -> Vec<Value> {
    let scraped = format!("exported_namespace=\"{namespace}\",namespace=\"system\"");
    let series = test["input_series"].as_array().unwrap().iter();
    let of_pools = series.filter(|it| it["series"].as_str().unwrap().contains(POOLS_IN));
    of_pools
        .map(|it| {
            let name = it["series"].as_str().unwrap().replace(POOLS_IN, &scraped);
            json!({"series": name, "values": it["values"]})
        })
        .collect()
}

/// The namespace of the listeners in the series about them.
const LISTENERS_IN: &str = "namespace=\"arc-systems\"";

/// The namespace of the controller in the series of its certificate.
const CERTIFICATE_IN: &str = "namespace=\"actions-runner-system\"";

/// The other series of a test, with the labels that a Prometheus gives those of the controllers of `profile`.
fn of_controllers(test: &Value, profile: &Profile) -> Vec<Value> {
    let series = test["input_series"].as_array().unwrap().iter();
    let others = series.filter(|it| !it["series"].as_str().unwrap().contains(POOLS_IN));
    others
        .map(|it| {
            let series = it["series"].as_str().unwrap();
            let is_of_sets = ["autoscalinglistener", "arc-gha-rs-controller", LISTENERS_IN]
                .iter()
                .any(|word| series.contains(word));
            let home = if is_of_sets {
                &profile.scale_sets.namespace
            } else {
                &profile.controller.namespace
            };
            let series = if series.contains(CERTIFICATE_IN) {
                let scraped = format!("exported_namespace=\"{home}\",namespace=\"cert-manager\"");
                series.replace(CERTIFICATE_IN, &scraped)
            } else if series.contains(LISTENERS_IN) {
                let scraped = format!("exported_namespace=\"{home}\",namespace=\"{home}\"");
                series.replace(LISTENERS_IN, &scraped)
            } else {
                series.replace('}', &format!(",namespace=\"{home}\"}}"))
            };
            json!({"series": series, "values": it["values"]})
        })
        .collect()
}

/// Both have pools of the same names, and controllers of the same names; one Prometheus evaluates the rules of both.
#[test]
#[ignore = "slow: `make test-slow`"]
fn a_fault_is_an_alert_of_its_own_profile_only() {
    let directory = tempfile::tempdir().unwrap();
    let first = profile("Asia/Seoul", None);
    let mut second = first.clone();
    second.name = "second".into();
    second.controller.namespace = "second-system".into();
    second.scale_sets.namespace = "second-sets".into();
    for pool in &mut second.pools {
        pool.namespace = "second-runner".into();
    }
    let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
    let mut groups = Vec::new();
    for profile in [&first, &second] {
        let (own, _) = written(profile, now);
        groups.extend(own.as_array().unwrap().clone());
    }
    let with_series = FAULTS.iter().filter(|it| !it.1.is_empty());
    let tests: Vec<Value> = with_series
        .map(|(alert, faults)| {
            let (healthy, faulty) = (simulated(&[], &[]), simulated(faults, &[]));
            let mut series = in_namespace(&healthy, "actions-runner");
            series.extend(of_controllers(&healthy, &first));
            series.extend(in_namespace(&faulty, "second-runner"));
            series.extend(of_controllers(&faulty, &second));
            let expected = json!([{"labels": "{profile=\"second\"}", "value": 1}]);
            json!({
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [{
                    "expr": format!("count by (profile) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})"),
                    "eval_time": "40m",
                    "exp_samples": expected,
                }],
            })
        })
        .collect();
    assert!(tests.len() > 12, "{}", tests.len());
    promtool(directory.path(), &Value::Array(groups), &tests);
}

fn promtool(directory: &Path, groups: &Value, tests: &[Value]) {
    let file = |name: &str, content: &Value| {
        let path = directory.join(name);
        fs::write(&path, content.to_string()).unwrap();
        path
    };
    let rules = file("rules.yaml", &json!({"groups": groups}));
    let tests = file(
        "tests.yaml",
        &json!({"rule_files": [rules], "evaluation_interval": "1m", "tests": tests}),
    );
    for (words, path) in [(["check", "rules"], &rules), (["test", "rules"], &tests)] {
        let mut command = Command::new(tools::find("promtool").unwrap());
        let output = command.args(words).arg(path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
    }
}
