//! Tests that what arcctl runs beside the runners fits the Pod Security Standard `restricted`.

use serde_json::{Value, json};

use super::{
    profile,
    scale_sets::{made, with_set},
    with_pool,
};
use crate::{
    desired::{
        Facts,
        charts::{controller, scale_sets},
        pod_security::{Level, violations},
        pool::{dry_run_pod::runner_pod, prepull::Candidate},
        resource::Resource,
        scale_set::values::listener_pod,
    },
    profile::Profile,
};

#[track_caller]
fn is_restricted(spec: &Value) {
    assert_eq!(violations(spec, Level::Restricted), [], "{spec:#}");
}

/// The spec of a pod that a chart makes with these values.
fn of_values(values: &Value) -> Value {
    json!({
        "securityContext": values["podSecurityContext"],
        "containers": [{"name": "manager", "securityContext": values["securityContext"]}],
    })
}

#[test]
fn the_values_of_both_controllers_are_restricted() {
    let scaling = json!({"triggers": [{"workflowJob": {}, "amount": 1, "duration": "30m"}]});
    let profile = with_pool(&json!({"min": 0, "scaling": scaling}));
    let values = controller::values(&profile, &Facts::default());
    is_restricted(&of_values(&values));
    is_restricted(&of_values(&values["githubWebhookServer"]));
    let profile = with_set(&json!({}), &json!({}));
    is_restricted(&of_values(&scale_sets::values(&profile)));
}

#[test]
fn what_a_user_gives_takes_the_place_of_a_whole_context() {
    let theirs = json!({"fsGroup": 1000});
    let changes = json!({"controller": {"values": {"podSecurityContext": theirs}}});
    let profile = profile(&changes);
    assert_eq!(
        controller::values_collisions(&profile, &Facts::default()),
        [""; 0]
    );
    let values = controller::values(&profile, &Facts::default());
    assert_eq!(values["podSecurityContext"], theirs);
    assert_eq!(values["securityContext"]["allowPrivilegeEscalation"], false);
    let changes = json!({"scaleSets": {"values": {"securityContext": {}}}});
    let profile = with_set(&json!({}), &changes);
    assert_eq!(scale_sets::values_collisions(&profile), [""; 0]);
    assert_eq!(scale_sets::values(&profile)["securityContext"], json!({}));
}

#[test]
fn a_listener_is_restricted_and_has_the_controllers_image() {
    let profile = with_set(&json!({}), &json!({}));
    let pod = listener_pod(&profile, &profile.pools[0]).unwrap();
    is_restricted(&pod["spec"]);
    assert_eq!(pod["metadata"]["namespace"], "arc-systems");
    assert_eq!(
        pod["spec"]["containers"][0]["image"],
        "ghcr.io/actions/gha-runner-scale-set-controller:0.14.2"
    );
}

#[test]
fn what_a_user_gives_the_controllers_is_in_force_beside_them() {
    let user = json!({"runAsUser": 1000_u32});
    let mut profile = with_set(&json!({}), &json!({}));
    let values = &mut profile.scale_sets.values;
    values.insert("podSecurityContext".into(), user.clone());
    values.insert("securityContext".into(), Value::Null);
    let pod = listener_pod(&profile, &profile.pools[0]).unwrap();
    assert_eq!(pod["spec"]["securityContext"], user);
    let container = &pod["spec"]["containers"][0];
    assert!(container.get("securityContext").is_none(), "{container:#}");

    let scaling = json!({"triggers": [{"workflowJob": {}, "amount": 1, "duration": "30m"}]});
    let mut profile = with_pool(&json!({"min": 0, "scaling": scaling}));
    let values = &mut profile.controller.values;
    values.insert("podSecurityContext".into(), user.clone());
    let values = controller::values(&profile, &Facts::default());
    let server = &values["githubWebhookServer"];
    assert_eq!(server["podSecurityContext"], user);
    assert_eq!(server["securityContext"]["allowPrivilegeEscalation"], false);
}

#[test]
fn what_keeps_schedules_and_pulls_images_is_restricted() {
    let windows = json!([{"name": "night", "from": "20:00", "to": "06:00", "min": 0}]);
    let schedule = json!({"timeZone": "Asia/Seoul", "windows": windows});
    let profile = with_set(&json!({"schedule": schedule}), &json!({}));
    let steps = made(&profile);
    let job = steps.iter().find_map(|it| match &it.resource {
        Resource::Object(object) if object.manifest["kind"] == "CronJob" => Some(&object.manifest),
        _ => None,
    });
    let pointer = "/spec/jobTemplate/spec/template/spec";
    is_restricted(job.unwrap().pointer(pointer).unwrap());
    is_restricted(&pulling(&profile));
    is_restricted(&pulling(&with_pool(&json!({"containerMode": "dind"}))));
}

fn pulling(profile: &Profile) -> Value {
    let pool = &profile.pools[0];
    let runner = runner_pod(profile, pool).unwrap();
    Candidate::of(profile, pool, &runner).unwrap().pod
}

#[test]
fn a_runner_with_docker_is_not_even_baseline() {
    let of = |mode: &str| {
        let profile = with_pool(&json!({"containerMode": mode}));
        runner_pod(&profile, &profile.pools[0]).unwrap()["spec"].clone()
    };
    assert_eq!(violations(&of("none"), Level::Baseline), []);
    let found = violations(&of("dind"), Level::Baseline);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].rule, "Privileged Containers");
}
