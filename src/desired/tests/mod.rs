//! Tests of the desired resources, each with the smallest profile.

mod aws;
mod charts;
mod edges;
mod monitoring;
mod monitoring_queries;
mod order;
mod pod_security;
mod pools;
mod runners;
mod scale_set_values;
mod scale_sets;
mod scopes;
mod teardown;

use serde_json::{Value, json};

use super::Facts;
use crate::profile::Profile;

/// A profile with one pool; `changes` is merged over it, `null` removes.
pub(crate) fn profile(changes: &Value) -> Profile {
    let mut profile = json!({
        "apiVersion": "arcctl.dev/v1",
        "name": "test",
        "cluster": {"context": "c"},
        "github": {"organization": "o", "token": {"env": "TOKEN"}},
        "pools": [{"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4}],
    });
    patch(&mut profile, changes);
    serde_json::from_value(profile).unwrap()
}

/// The same with changes of the pool only.
pub(super) fn with_pool(changes: &Value) -> Profile {
    let mut pool = json!({"name": "basic", "image": "r:v1-ubuntu-22.04", "min": 1, "max": 4});
    patch(&mut pool, changes);
    profile(&json!({"pools": [pool]}))
}

pub(super) fn patch(target: &mut Value, changes: &Value) {
    let (Value::Object(map), Value::Object(changes)) = (&mut *target, changes) else {
        target.clone_from(changes);
        return;
    };
    for (key, value) in changes {
        if value.is_null() {
            map.remove(key);
        } else {
            patch(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// `spec.template.spec` of the only pool's `RunnerDeployment`, strictly checked.
fn runner(profile: &Profile) -> Value {
    let manifest =
        super::pool::runner_deployment::runner_deployment(profile, &profile.pools[0]).unwrap();
    let problems = super::crd_schema::check(&manifest, &profile.controller.chart_version);
    assert_eq!(problems, []);
    manifest["spec"]["template"]["spec"].clone()
}

/// `spec` of the only pool's autoscaler, strictly checked.
fn autoscaler(profile: &Profile, facts: &Facts) -> Value {
    let manifest = super::pool::autoscaler::autoscaler(profile, &profile.pools[0], facts).unwrap();
    let problems = super::crd_schema::check(&manifest, &profile.controller.chart_version);
    assert_eq!(problems, []);
    manifest["spec"].clone()
}

/// The variables of a container, as `NAME=value`.
fn variables(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = list.as_array().into_iter().flatten();
    entries
        .map(|entry| format!("{}={}", text(&entry["name"]), text(&entry["value"])))
        .collect()
}
