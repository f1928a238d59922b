//! Tests whose series the queries of alerts and panels ask for: a Prometheus may have those of several profiles.

use serde_json::json;

use super::monitoring::{dashboard, objects, queries, with_scale_set};

/// Two profiles may use one Prometheus, and their pools may have the same names.
#[test]
fn every_query_asks_for_the_series_of_its_own_profile_and_pools() {
    for alerts in ["always", "never"] {
        let all = objects(
            &with_scale_set(false, &json!({"alerts": alerts})),
            Some(true),
        );
        let dashboard = dashboard(all.last().unwrap());
        let mut asked = queries(&dashboard);
        if alerts == "always" {
            let rules = all[all.len() - 2]["spec"]["groups"][0]["rules"].as_array();
            asked.extend(rules.unwrap().iter().filter_map(|it| it["expr"].as_str()));
        }
        for query in asked {
            for (metric, wanted) in [
                ("arcctl:", "profile=\"test\""),
                (
                    "horizontalrunnerautoscaler_",
                    "exported_namespace=~\"actions-runner|\"",
                ),
                (
                    "gha_desired_runners",
                    "exported_namespace=~\"actions-runner|\"",
                ),
                ("gha_min_runners", "exported_namespace=~\"actions-runner|\""),
            ] {
                for after in query.split(metric).skip(1) {
                    let selector = after.split_once('{').map(|it| it.1).unwrap_or_default();
                    assert!(selector.starts_with(wanted), "{metric}: {query}");
                }
            }
        }
    }
}

/// What a controller says of itself names no pool: the namespace of its pods tells it from that of another profile.
#[test]
fn every_query_about_a_controller_asks_for_that_of_its_own_profile() {
    let all = objects(&with_scale_set(false, &json!({})), Some(true));
    let dashboard = dashboard(&all[3]);
    let mut asked = queries(&dashboard);
    let rules = all[2]["spec"]["groups"][0]["rules"].as_array().unwrap();
    asked.extend(rules.iter().filter_map(|it| it["expr"].as_str()));
    let mut compared = 0;
    for query in asked {
        let of_sets = ["(autoscaling|", "arc-gha-rs-controller", "gha_"];
        let home = if of_sets.iter().any(|it| query.contains(it)) {
            "arc-systems"
        } else {
            "actions-runner-system"
        };
        for (metric, label) in [
            ("controller_runtime_reconcile_errors_total", "namespace"),
            ("workqueue_depth", "namespace"),
            ("leader_election_master_status", "namespace"),
            ("github_rate_limit", "namespace"),
            ("gha_completed_jobs_total", "namespace"),
            ("certmanager_certificate_", "exported_namespace"),
        ] {
            for after in query.split(metric).skip(1) {
                let selector = after.split_once('{').map(|it| it.1).unwrap_or_default();
                let wanted = format!("{label}=~\"{home}|\"");
                assert!(selector.starts_with(&wanted), "{metric}: {query}");
                compared += 1;
            }
        }
    }
    // Seven in alerts, and nine in panels.
    assert_eq!(compared, 16);
}
