//! Tests of bundles: they contain no secrets, and give the same verdicts.

use std::io::Read;

use serde_json::{Map, Value, json};

use super::{all_faults, findings, healthy, ids, where_it_applies};
use crate::{
    doctor::bundle::{pack, unpack},
    error::{Error, System},
    report,
    secret::canaries,
};

/// Made-up secrets, in fields that may contain one by mistake.
const CANARIES: [&str; 4] = [
    "ghp_0123456789canary0123456789canary0123",
    "hunter2-canary",
    "opaque-canary",
    "MIIcanary0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
];

#[test]
fn nothing_secret_is_in_a_bundle() {
    let mut snapshot = healthy();
    snapshot.runner_events = Ok(vec![
        json!({"reason": "Failed", "involvedObject": {"name": "x"},
        "message": format!("got {} from https://me:{}@ghe.example", CANARIES[0], CANARIES[1])}),
    ]);
    let variable = json!({"name": "NPM_TOKEN", "value": CANARIES[2]});
    let variable = variable.as_object().unwrap().clone();
    snapshot.profile.pools[0].env.push(variable);
    snapshot.advice.push(CANARIES[3].to_owned());
    let report = report::doctor::document(&findings(&snapshot), &[], None);
    assert!(serde_json::to_string(&snapshot).unwrap().contains("canary"));
    let archive = pack(&snapshot, &report).unwrap();
    let mut text = Vec::new();
    let mut plain = flate2::read::GzDecoder::new(archive.as_slice());
    plain.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    for name in ["versions.json", "report.json", "world.json"] {
        assert!(text.contains(name), "{name}");
    }
    assert!(text.contains("NPM_TOKEN"));
    assert!(!text.contains("canary"), "a secret got into the bundle");
}

#[test]
fn no_shape_of_a_secret_gets_into_a_bundle() {
    let mut snapshot = healthy();
    let values: Map<String, Value> = canaries::values()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    snapshot.profile.controller.values.extend(values.clone());
    snapshot.profile.pools[0].template = values.clone();
    let events: Vec<Value> = canaries::messages()
        .into_iter()
        .map(|it| json!({"reason": "Failed", "involvedObject": {"name": "x"}, "message": it}))
        .collect();
    for known in [
        &mut snapshot.runner_events,
        &mut snapshot.controller_events,
        &mut snapshot.cert_manager_events,
    ] {
        *known = Ok(events.clone());
    }
    snapshot.advice.extend(canaries::messages());
    snapshot.monitors = Ok(vec![Value::Object(values)]);
    let error = |it: &String| Error::failed(System::Kubernetes, it).cause(it).hint(it);
    let mut errors = canaries::messages()
        .iter()
        .map(error)
        .collect::<Vec<_>>()
        .into_iter();
    snapshot.nodes = Err(errors.next().unwrap());
    snapshot.slices = Err(errors.next().unwrap());
    snapshot.audit = Err(errors.next().unwrap());
    let report = report::doctor::document(&findings(&snapshot), &[], errors.next().as_ref());
    let archive = pack(&snapshot, &report).unwrap();
    let mut text = Vec::new();
    let mut plain = flate2::read::GzDecoder::new(archive.as_slice());
    plain.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    for form in canaries::forms() {
        if let Some(at) = text.find(&form) {
            let around = &text[at.saturating_sub(200)..at + 100];
            panic!("`{form}` got into the bundle: {around}");
        }
    }
    // Values that are not secret are kept.
    assert!(text.contains("github_webhook_secret_token") && text.contains("postgres://"));
    unpack(&archive).unwrap();
}

#[test]
fn a_bundle_is_judged_as_the_world_was() {
    for (id, fault) in all_faults() {
        let mut snapshot = where_it_applies(id);
        fault(&mut snapshot);
        let again = unpack(&pack(&snapshot, &json!({})).unwrap()).unwrap();
        let (before, after) = (findings(&snapshot), findings(&again));
        for word in ["broken", "unknown", "skipped"] {
            assert_eq!(ids(&after, word), ids(&before, word), "{id}");
        }
    }
}

#[test]
fn what_is_no_bundle_is_refused() {
    for bytes in [&b"not gzip"[..], &[]] {
        let error = unpack(bytes).unwrap_err();
        assert!(error.message.contains("is no bundle"), "{error}");
        assert!(error.hint.is_some());
    }
}
