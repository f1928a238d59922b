//! The rules and the dashboard in a real Prometheus, which scrapes a simulated controller: every query has a result, no
//! alert fires if all is well, each fires at its fault, and the minimum in force is the profile's.
//!
//! No control plane: the library renders arcctl's objects.

mod simulated;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
    time::{Duration, Instant},
};

use arcctl::{
    desired::{Facts, desired, monitoring::DASHBOARD, resource::Resource},
    profile::{Mode, Pool, Profile, load},
};
use arcctl_sandbox::{
    exporter::{Exporter, PODS, Pools},
    processes::{ProcessGroup, free_port},
    tools,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// The fault of each alert: what the simulated controller says then. An empty list: the profile's fault.
const FAULTS: &[(&str, &[(&str, f64)])] = &[
    (
        "ArcctlPoolSaturated",
        &[("horizontalrunnerautoscaler_status_desired_replicas", 16.0)],
    ),
    (
        "ArcctlRunnersNotRegistered",
        &[("horizontalrunnerautoscaler_runners_registered", 1.0)],
    ),
    (
        "ArcctlMinimumNotMet",
        &[("horizontalrunnerautoscaler_runners_registered", 1.0)],
    ),
    ("ArcctlScaleSetSaturated", &[("gha_desired_runners", 20.0)]),
    (
        "ArcctlListenerAbsent",
        &[("gha_controller_running_listeners", 0.0)],
    ),
    ("ArcctlScaleSetWithoutMetrics", &[]),
    (
        "ArcctlScaleSetRunnersNotOnline",
        &[("gha_controller_running_ephemeral_runners", 2.0)],
    ),
    (
        "ArcctlEphemeralRunnersFailed",
        &[("gha_controller_failed_ephemeral_runners", 1.0)],
    ),
    (
        "ArcctlScaleSetMinimumNotInForce",
        &[("gha_min_runners", 5.0)],
    ),
    (
        "ArcctlScaleSetReconcileErrors",
        &[("controller_runtime_reconcile_errors_total", 1.0)],
    ),
    (
        "ArcctlScaleSetNoLeader",
        &[("leader_election_master_status", 0.0)],
    ),
    ("ArcctlPoolWithoutMetrics", &[]),
    ("ArcctlScheduleEnds", &[]),
    ("ArcctlRunnersRefused", &[]),
    (
        "ArcctlReconcileErrors",
        &[("controller_runtime_reconcile_errors_total", 1.0)],
    ),
    ("ArcctlNoLeader", &[("leader_election_master_status", 0.0)]),
    (
        "ArcctlGitHubCallsRunOut",
        &[("github_rate_limit_remaining", 1499.0)],
    ),
    (
        "ArcctlCertificateEnds",
        &[(
            "certmanager_certificate_expiration_timestamp_seconds",
            13.0 * 86400.0,
        )],
    ),
];

/// What the exporter tells of.
const POOLS: Pools = Pools {
    deployment: "basic",
    set: "linux",
};

/// A profile with a pool of each mode; and one more of each, where `more` has their names.
fn profile(zone: &str, more: Option<Pools>) -> Profile {
    let text = include_str!("../../../../profiles/reference.yaml")
        .replace("timeZone: Asia/Seoul", &format!("timeZone: {zone}"))
        .replace(
            "min: 1}\n",
            "min: 1}\n        - {name: night, from: \"22:30\", to: \"06:15\", min: 3}\n",
        );
    let mut profile = load(&text, "reference").unwrap().profile;
    profile.scale_sets.metrics = true;
    let set = |name: &str| {
        // Its minimum is the exporter's, whatever the time of this test is.
        Pool {
            name: name.into(),
            mode: Mode::ScaleSet,
            min: 2,
            max: 20,
            scaling: None,
            schedule: None,
            ..profile.pools[0].clone()
        }
    };
    let mut added = vec![set(POOLS.set)];
    if let Some(more) = more {
        let mut pool = profile.pools[0].clone();
        pool.name = more.deployment.into();
        added.extend([set(more.set), pool]);
    }
    profile.pools.extend(added);
    profile
}

/// The groups of rules, and the dashboard, of `profile` at `now`.
fn written(profile: &Profile, now: Timestamp) -> (Value, Value) {
    let facts = Facts {
        now,
        prometheus_rule_crd: Some(true),
        ..Facts::default()
    };
    let (mut groups, mut dashboard) = (Value::Null, Value::Null);
    for desired in desired(profile, &facts).unwrap() {
        let Resource::Object(object) = desired.resource else {
            continue;
        };
        let manifest = object.manifest;
        if manifest["kind"] == "PrometheusRule" {
            groups = manifest["spec"]["groups"].clone();
        } else if manifest["metadata"]["name"] == DASHBOARD {
            let file = &manifest["data"][format!("arcctl-{}.json", profile.name)];
            dashboard = serde_json::from_str(file.as_str().unwrap()).unwrap();
        }
    }
    (groups, dashboard)
}

/// The endpoint of a `PodMonitor` of `profile`, by the monitor's name.
fn endpoint(profile: &Profile, name: &str) -> Value {
    let facts = Facts {
        now: Timestamp::now(),
        pod_monitor_crd: Some(true),
        ..Facts::default()
    };
    let all = desired(profile, &facts).unwrap().into_iter();
    let mut manifests = all.filter_map(|it| match it.resource {
        Resource::Object(object) => Some(object.manifest),
        _ => None,
    });
    let is_it = |it: &Value| it["kind"] == "PodMonitor" && it["metadata"]["name"] == name;
    let monitor = manifests.find(is_it).unwrap();
    monitor["spec"]["podMetricsEndpoints"][0].clone()
}

/// What a monitor does to labels, as a Prometheus reads it: the operator spells the keys otherwise.
fn relabelings(rules: &Value) -> Value {
    if rules.is_null() {
        return json!([]);
    }
    let text = rules.to_string().replace("sourceLabels", "source_labels");
    serde_json::from_str(&text.replace("targetLabel", "target_label")).unwrap()
}

/// A running Prometheus.
struct Prometheus {
    group: ProcessGroup,
    url: String,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that knows `groups`, whose alerts fire at once, and scrapes `exporter` each second.
    async fn start(groups: &Value, exporter: &Exporter) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let mut groups = groups.clone();
        for rule in groups[0]["rules"].as_array_mut().unwrap() {
            if rule["alert"].is_string() {
                rule["for"] = json!("0s");
            }
        }
        fs::write(file("rules.yaml"), json!({"groups": groups}).to_string()).unwrap();
        // The names that the operator gives the targets of a monitor.
        let scrapes = PODS.map(|(pod, namespace)| {
            let endpoint = match pod {
                "scale-set-controller" => endpoint(&profile("Asia/Seoul", None), pod),
                "listener" => endpoint(&profile("Asia/Seoul", None), "scale-set-listeners"),
                _ => Value::Null,
            };
            json!({
                "job_name": pod,
                "static_configs": [{"targets": [exporter.address().to_string()], "labels": {
                    "__metrics_path__": format!("/{pod}/metrics"), "pod": pod, "namespace": namespace,
                    "__meta_kubernetes_pod_label_actions_github_com_scale_set_name": POOLS.set,
                }}],
                "relabel_configs": relabelings(&endpoint["relabelings"]),
                "metric_relabel_configs": relabelings(&endpoint["metricRelabelings"]),
            })
        });
        let configuration = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [file("rules.yaml")],
            "scrape_configs": scrapes,
        });
        fs::write(file("prometheus.yaml"), configuration.to_string()).unwrap();
        let address = format!("127.0.0.1:{}", free_port().unwrap());
        let group = ProcessGroup::new(&file("logs")).unwrap();
        let mut command = Command::new(tools::find("prometheus").unwrap());
        command
            .arg(format!(
                "--config.file={}",
                file("prometheus.yaml").display()
            ))
            .arg(format!("--storage.tsdb.path={}", file("data").display()))
            .arg(format!("--web.listen-address={address}"));
        group.spawn("prometheus", &mut command).unwrap();
        let prometheus = Self {
            group,
            url: format!("http://{address}"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            _directory: directory,
        };
        prometheus
            .until("it is ready", async || {
                let ready = prometheus.client.get(format!("{}/-/ready", prometheus.url));
                ready.send().await.is_ok_and(|it| it.status().is_success())
            })
            .await;
        prometheus
    }

    /// Waits until `holds`, and fails with `what` after minutes.
    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + crate::harness::waiting::PATIENCE;
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        while !holds().await {
            self.group.check().unwrap();
            assert!(Instant::now() < deadline, "it does not come: {what}");
            tick.tick().await;
        }
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let request = self.client.get(format!("{}/api/v1/{path}", self.url));
        let answer = request.query(parameters).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// The series that a query has now.
    async fn query(&self, query: &str) -> Vec<Value> {
        let data = self.ask("query", &[("query", query)]).await;
        data["result"].as_array().unwrap().clone()
    }

    async fn firing(&self) -> BTreeSet<String> {
        let alerts = self.query("ALERTS{alertstate=\"firing\"}").await;
        let name = |it: &Value| it["metric"]["alertname"].as_str().unwrap().to_owned();
        alerts.iter().map(name).collect()
    }

    /// The value of `query` from `from` to `to`, each `step`.
    async fn range(
        &self,
        query: &str,
        from: Timestamp,
        to: Timestamp,
        step: SignedDuration,
    ) -> BTreeMap<i64, u32> {
        let (start, end) = (from.as_second().to_string(), to.as_second().to_string());
        let step = step.as_secs().to_string();
        let parameters = [
            ("query", query),
            ("start", &start),
            ("end", &end),
            ("step", &step),
        ];
        let data = self.ask("query_range", &parameters).await;
        let results = data["result"].as_array().unwrap();
        assert_eq!(results.len(), 1, "{query}");
        let values = results[0]["values"].as_array().unwrap().iter();
        values
            .map(|it| {
                let value = it[1].as_str().unwrap().parse().unwrap();
                (it[0].as_i64().unwrap(), value)
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: `make test-slow`"]
async fn a_real_prometheus_has_a_result_for_every_query_and_fires_each_alert() {
    // Another test may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let now = Timestamp::now();
    let exporter = Exporter::start(POOLS).await.unwrap();
    let (groups, dashboard) = written(&profile("Asia/Seoul", None), now);
    // The night's minimum of 3 and the weekend's are met, whatever the time of this test is.
    let prometheus = Prometheus::start(&groups, &exporter).await;
    every_rule_is_healthy(&prometheus, &groups).await;
    every_query_has_a_result(&prometheus, &dashboard).await;
    assert_eq!(prometheus.firing().await, BTreeSet::new());
    in_force_is_the_profile_s(&prometheus, now).await;
    drop(prometheus);

    for (metric, value) in FAULTS.iter().flat_map(|it| it.1) {
        exporter.set(metric, *value);
    }
    // Written a year ago, its dated windows have ended; and the second pool of each mode is unknown to its controller.
    let unknown = Pools {
        deployment: "unknown",
        set: "unknown-set",
    };
    let mut faulty = profile("Europe/Berlin", Some(unknown));
    // github.com refuses this version since 2026-09-25.
    faulty.github.url = None;
    faulty.pools[0].image = "summerwind/actions-runner:v2.336.0-ubuntu-22.04".into();
    let (groups, _) = written(&faulty, now - SignedDuration::from_hours(24 * 365));
    let prometheus = Prometheus::start(&groups, &exporter).await;
    let expected: BTreeSet<String> = FAULTS.iter().map(|it| it.0.to_owned()).collect();
    prometheus
        .until("every alert fires", async || {
            prometheus.firing().await.is_superset(&expected)
        })
        .await;
    assert_eq!(prometheus.firing().await, expected);
}

/// Waits for a second evaluation, which sees what the first one recorded.
async fn every_rule_is_healthy(prometheus: &Prometheus, groups: &Value) {
    let wanted = groups[0]["rules"].as_array().unwrap().len();
    prometheus
        .until("every rule was evaluated well", async || {
            let data = prometheus.ask("rules", &[]).await;
            let rules = data["groups"][0]["rules"].as_array().unwrap().clone();
            assert_eq!(rules.len(), wanted);
            assert!(rules.iter().all(|it| it["health"] != "err"), "{rules:#?}");
            rules.iter().all(|it| it["health"] == "ok")
        })
        .await;
}

async fn every_query_has_a_result(prometheus: &Prometheus, dashboard: &Value) {
    let panels = dashboard["panels"].as_array().unwrap();
    let queries: Vec<String> = panels
        .iter()
        .flat_map(|it| it["targets"].as_array().into_iter().flatten())
        .map(|it| it["expr"].as_str().unwrap())
        .map(|it| {
            let all = it.replace("$pool", ".+").replace("$set", ".+");
            all.replace("$__rate_interval", "1m")
        })
        .collect();
    assert!(queries.len() > 15, "{queries:?}");
    prometheus
        .until("every query of the dashboard has a result", async || {
            for query in &queries {
                if prometheus.query(query).await.is_empty() {
                    return false;
                }
            }
            true
        })
        .await;
    // What the lists of pools at the top are filled from.
    for (metric, label, pool) in [
        (
            "horizontalrunnerautoscaler_spec_max_replicas",
            "horizontalrunnerautoscaler",
            POOLS.deployment,
        ),
        ("gha_max_runners", "name", POOLS.set),
    ] {
        let values = format!("label/{label}/values");
        let pools = prometheus.ask(&values, &[("match[]", metric)]).await;
        assert_eq!(pools, json!([pool]));
    }
}

/// `PromQL`'s own arithmetic against the profile: ten months by the quarter of an hour, and the day around every change of
/// the clocks by the minute.
async fn in_force_is_the_profile_s(prometheus: &Prometheus, now: Timestamp) {
    let hours = SignedDuration::from_hours;
    let mut compared = 0;
    for zone in ["Asia/Seoul", "America/New_York", "Australia/Lord_Howe"] {
        let profile = profile(zone, None);
        let schedule = profile.pools[0].schedule.as_ref().unwrap();
        let query = written(&profile, now).0[0]["rules"][0]["expr"].clone();
        let end = now + hours(24 * 300);
        let mut ranges = vec![
            (now, now + hours(24 * 100), MINUTE * 15),
            (now + hours(24 * 100), now + hours(24 * 200), MINUTE * 15),
            (now + hours(24 * 200), end, MINUTE * 15),
        ];
        let clocks = schedule.zone().unwrap();
        let changes = clocks.following(now).map(|it| it.timestamp());
        ranges.extend(
            changes
                .take_while(|it| *it < end)
                .map(|it| (it - hours(24), it + hours(24), MINUTE)),
        );
        for (from, to, step) in ranges {
            let values = prometheus
                .range(query.as_str().unwrap(), from, to, step)
                .await;
            for (at, value) in values {
                let at = Timestamp::from_second(at).unwrap();
                assert_eq!(value, schedule.min_at(2, at), "{zone} at {at}");
                compared += 1;
            }
        }
    }
    assert!(compared > 80_000, "{compared}");
}
