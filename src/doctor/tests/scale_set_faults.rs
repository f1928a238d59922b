//! One fault for each check of scale sets.

use std::collections::BTreeMap;

use serde_json::json;

use super::{faults::Fault, worlds::set_controller};
use crate::doctor::snapshot::{ScaleSetFacts, Snapshot};

/// The facts of the scale sets.
fn sets(snapshot: &mut Snapshot) -> &mut ScaleSetFacts {
    snapshot.scale_sets.as_mut().unwrap()
}

/// The `AutoscalingRunnerSet`.
fn set(snapshot: &mut Snapshot) -> &mut serde_json::Value {
    &mut sets(snapshot).sets.as_mut().unwrap()[0]
}

/// The pod of the listener.
fn listener_pod(snapshot: &mut Snapshot) -> &mut serde_json::Value {
    &mut sets(snapshot).listener_pods.as_mut().unwrap()[0]
}

pub(super) const FAULTS: &[(&str, Fault)] = &[
    ("scale-set-controller-runs", |it| {
        sets(it).controller.as_mut().unwrap().as_mut().unwrap()["status"] = json!({});
    }),
    ("scale-set-controllers-apart", |it| {
        let all = sets(it).controllers.as_mut().unwrap();
        all.push(set_controller("team"));
    }),
    ("scale-set-versions", |it| {
        set(it)["metadata"]["labels"]["app.kubernetes.io/version"] = json!("0.13.1");
    }),
    ("scale-set-update-strategy", |it| {
        sets(it).controllers.as_mut().unwrap()[0].eventual = true;
    }),
    ("scale-set-there", |it| sets(it).sets = Ok(Vec::new())),
    ("scale-set-range", |it| {
        set(it)["spec"]["minRunners"] = json!(9);
    }),
    ("scale-set-secret", |it| {
        let secrets = sets(it).secret_name.as_mut().unwrap();
        secrets.get_mut("actions-runner/fast").unwrap().exists = false;
    }),
    ("scale-set-rights", |it| {
        let missing = vec!["Role `actions-runner/fast-gha-rs-manager`".to_owned()];
        sets(it).missing_rights = Ok(BTreeMap::from([("actions-runner/fast".into(), missing)]));
    }),
    ("scale-set-not-outdated", |it| {
        set(it)["status"]["phase"] = json!("Outdated");
    }),
    ("scale-set-registered", |it| {
        sets(it).at_github = Ok(Vec::new());
    }),
    ("scale-set-labels", |it| {
        sets(it).at_github.as_mut().unwrap()[0].labels = vec!["fast".into()];
    }),
    ("scale-set-one-listener", |it| {
        let listeners = sets(it).listeners.as_mut().unwrap();
        let mut old = listeners[0].clone();
        old["metadata"]["name"] = json!("fast-0-listener");
        old["metadata"]["creationTimestamp"] = json!("2026-11-01T12:00:00Z");
        listeners.push(old);
    }),
    ("scale-set-listener", |it| {
        sets(it).listeners = Ok(Vec::new());
    }),
    ("scale-set-listener-current", |it| {
        let listener = &mut sets(it).listeners.as_mut().unwrap()[0];
        listener["spec"]["ephemeralRunnerSetName"] = json!("fast-gone");
    }),
    ("scale-set-session", |it| {
        listener_pod(it)["status"]["containerStatuses"][0]["state"] =
            json!({"terminated": {"exitCode": 1, "message": "409: the session has an owner"}});
    }),
    ("scale-set-runners", |it| {
        sets(it).runners.as_mut().unwrap()[0]["status"] =
            json!({"phase": "Pending", "message": "pods \"x\" is forbidden: exceeded quota: q"});
    }),
    ("scale-set-runner-pods", |it| {
        let pods = it.runner_pods.as_mut().unwrap();
        pods.retain(|it| it["metadata"]["name"] != "fast-a-runner-b");
    }),
    ("scale-set-runners-online", |it| {
        let registered = it.registered.as_mut().unwrap();
        registered.retain(|it| it.name != "fast-a-runner-b");
    }),
    ("scale-set-nothing-stuck", |it| {
        let runner = &mut sets(it).runners.as_mut().unwrap()[0]["metadata"];
        runner["deletionTimestamp"] = json!("2026-11-24T11:00:00Z");
        runner["finalizers"] = json!(["ephemeralrunner.actions.github.com/finalizer"]);
    }),
    ("scale-set-known-here", |it| {
        let recorded = sets(it).recorded.as_mut().unwrap();
        let mut record = recorded["actions-runner/fast"].clone();
        record.id = 9;
        recorded.insert("actions-runner/gone".into(), record);
        let mut gone = sets(it).at_github.clone().unwrap()[0].clone();
        gone.id = 9;
        sets(it).at_github.as_mut().unwrap().push(gone);
    }),
];
