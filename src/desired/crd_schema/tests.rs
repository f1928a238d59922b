//! Tests: each rejected manifest, then the valid ones.

use serde_json::{Value, json};

use super::{walk, *};

fn runner(spec: &Value) -> Value {
    json!({
        "apiVersion": "actions.summerwind.dev/v1alpha1",
        "kind": "RunnerDeployment",
        "metadata": {"name": "basic", "namespace": "actions-runner", "labels": {"a": "b"}},
        "spec": {"template": {"spec": spec}},
    })
}

fn autoscaler(spec: &Value) -> Value {
    json!({
        "apiVersion": "actions.summerwind.dev/v1alpha1",
        "kind": "HorizontalRunnerAutoscaler",
        "metadata": {"name": "basic"},
        "spec": spec,
    })
}

/// The only problem, as `path: message`.
fn only(manifest: &Value) -> String {
    let problems = check(manifest, "0.23.7");
    let [problem] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    format!("{}: {}", problem.path, problem.message)
}

#[test]
fn both_data_files_hold_both_kinds() {
    for version in ["0.23.3", "0.23.7"] {
        let kinds: Vec<_> = schemas(version).keys().copied().collect();
        assert_eq!(kinds, ["HorizontalRunnerAutoscaler", "RunnerDeployment"]);
    }
}

#[test]
fn every_pattern_of_the_data_is_known() {
    fn patterns(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(
                    map.get("pattern")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                map.values().for_each(|value| patterns(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| patterns(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for version in ["0.23.3", "0.23.7"] {
        for schema in schemas(version).values() {
            patterns(schema, &mut found);
        }
    }
    found.sort();
    found.dedup();
    let mut known = [walk::QUANTITY, walk::NO_SLASH, walk::ONE_SLASH].map(str::to_owned);
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn an_unknown_field_is_named_with_its_path_and_what_was_meant() {
    let misspelt = autoscaler(
        &json!({"metrics": [{"type": "PercentageRunnersBusy", "scaleUpAdujustment": 2}]}),
    );
    assert_eq!(
        only(&misspelt),
        "spec.metrics[0].scaleUpAdujustment: unknown field `scaleUpAdujustment`; did you mean `scaleUpAdjustment`?"
    );
    assert_eq!(
        only(&runner(&json!({"hostNetwork": true}))),
        "spec.template.spec.hostNetwork: unknown field `hostNetwork`"
    );
    let mut status = runner(&json!({}));
    status["status"] = json!({"replicas": 1});
    assert_eq!(only(&status), "status: unknown field `status`");
    let mut metadata = runner(&json!({}));
    metadata["metadata"]["label"] = json!({});
    assert_eq!(
        only(&metadata),
        "metadata.label: unknown field `label`; did you mean `labels`?"
    );
}

#[test]
fn a_metric_that_the_controller_does_not_know_is_refused() {
    let wrong =
        autoscaler(&json!({"metrics": [{"type": "TotalNumberOfQueuedAndInProgressWorkflows"}]}));
    assert_eq!(
        only(&wrong),
        "spec.metrics[0].type: `TotalNumberOfQueuedAndInProgressWorkflows` is not one of PercentageRunnersBusy, \
         TotalNumberOfQueuedAndInProgressWorkflowRuns; did you mean `TotalNumberOfQueuedAndInProgressWorkflowRuns`?"
    );
}

#[test]
fn wrong_types_are_refused() {
    for (manifest, expected) in [
        (
            autoscaler(
                &json!({"metrics": [{"type": "PercentageRunnersBusy", "scaleUpFactor": 2}]}),
            ),
            "spec.metrics[0].scaleUpFactor: must be a string, not a number",
        ),
        (
            autoscaler(&json!({"minReplicas": "2"})),
            "spec.minReplicas: must be an integer, not a string",
        ),
        (
            autoscaler(&json!({"minReplicas": 1.5})),
            "spec.minReplicas: must be an integer, not a number",
        ),
        (
            runner(&json!({"dockerEnabled": "no"})),
            "spec.template.spec.dockerEnabled: must be a boolean, not a string",
        ),
        (
            runner(&json!({"labels": "a"})),
            "spec.template.spec.labels: must be a list, not a string",
        ),
        (
            runner(&json!({"resources": []})),
            "spec.template.spec.resources: must be a map, not a list",
        ),
        (
            runner(&json!({"image": null})),
            "spec.template.spec.image: must not be null",
        ),
        (
            runner(&json!({"resources": {"limits": {"cpu": true}}})),
            "spec.template.spec.resources.limits.cpu: must be an integer or a string, not a boolean",
        ),
    ] {
        assert_eq!(only(&manifest), expected);
    }
}

#[test]
fn values_out_of_range_are_refused() {
    for (manifest, expected) in [
        (
            runner(&json!({"env": [{"value": "1"}]})),
            "spec.template.spec.env[0].name: `name` is required",
        ),
        (
            autoscaler(&json!({"scaleTargetRef": {"kind": "RunnerDeploymnt", "name": "a"}})),
            "spec.scaleTargetRef.kind: \"RunnerDeploymnt\" is not one of RunnerDeployment, RunnerSet; \
             did you mean `RunnerDeployment`?",
        ),
        (
            autoscaler(
                &json!({"scheduledOverrides": [{"startTime": "2026-01-31", "endTime": "2026-01-31T00:00:00+09:00"}]}),
            ),
            "spec.scheduledOverrides[0].startTime: `2026-01-31` is not a time such as 2026-01-31T00:00:00Z",
        ),
        (
            autoscaler(&json!({"scheduledOverrides": [
                {"startTime": "2026-01-31T00:00:00Z", "endTime": "2026-02-01T00:00:00Z", "minReplicas": -1}]})),
            "spec.scheduledOverrides[0].minReplicas: -1 is less than 0",
        ),
        (
            runner(&json!({"resources": {"limits": {"cpu": "1 GB"}}})),
            "spec.template.spec.resources.limits.cpu: `1 GB` is not a quantity such as 500m or 2Gi",
        ),
        (
            runner(&json!({"repository": "a/b/c"})),
            "spec.template.spec.repository: `a/b/c` is not of the form OWNER/NAME",
        ),
        (
            runner(&json!({"enterprise": "a/b"})),
            "spec.template.spec.enterprise: `a/b` is not a name without `/`",
        ),
        (
            runner(&json!({"tolerations": [{"key": "a", "effect": "NoSchedul"}]})),
            "spec.template.spec.tolerations[0].effect: `NoSchedul` is not one of NoSchedule, PreferNoSchedule, \
             NoExecute; did you mean `NoSchedule`?",
        ),
        (
            runner(&json!({"sidecarContainers": [
                {"name": "a", "ports": [{"containerPort": 1}, {"containerPort": 1, "protocol": "TCP"}]}]})),
            "spec.template.spec.sidecarContainers[0].ports[1]: is there twice",
        ),
        (
            runner(&json!({"securityContext": {"fsGroup": 9_223_372_036_854_775_808_u64}})),
            "spec.template.spec.securityContext.fsGroup: 9223372036854775808 is too big",
        ),
    ] {
        assert_eq!(only(&manifest), expected);
    }
}

/// Both lists were checked against kube-apiserver 1.36.
#[test]
fn times_are_those_of_rfc_3339() {
    let found = |text: &str| {
        let times = json!([{"startTime": text, "endTime": "2026-02-01T00:00:00Z"}]);
        check(&autoscaler(&json!({"scheduledOverrides": times})), "0.23.7").len()
    };
    for bad in [
        "2026-01-31",
        "2026-01-31T00:00:00",
        "2026-01-31T00:00Z",
        "2026-01-31 00:00:00Z",
        "2026-01-31T00:00:00+09",
        "2026-01-31T00:00:00+0900",
        "2026-01-31T00:00:00Z[UTC]",
        "2026-02-31T00:00:00Z",
        "",
        "é",
    ] {
        assert_eq!(found(bad), 1, "{bad}");
    }
    for good in [
        "2026-01-31T00:00:00.5Z",
        "2026-01-31t00:00:00z",
        "2026-01-31T00:00:00+09:00",
    ] {
        assert_eq!(found(good), 0, "{good}");
    }
}

#[test]
fn integers_are_whole_numbers_that_fit() {
    let found = |value: Value| check(&autoscaler(&json!({"minReplicas": value})), "0.23.7").len();
    assert_eq!(found(json!(2.0)), 0);
    assert_eq!(found(json!(i64::MAX)), 0);
    assert_eq!(found(json!(1e19)), 1);
    let port = |port: Value| {
        let containers = json!([{"name": "a", "ports": [{"containerPort": port}]}]);
        check(&runner(&json!({"sidecarContainers": containers})), "0.23.7").len()
    };
    assert_eq!(port(json!(2_147_483_647)), 0);
    assert_eq!(port(json!(2_147_483_648_u32)), 1);
}

#[test]
fn kind_and_version_are_checked() {
    let mut manifest = runner(&json!({}));
    manifest["kind"] = "RunnerDeploymen".into();
    assert_eq!(
        only(&manifest),
        "kind: unknown kind `RunnerDeploymen`; did you mean `RunnerDeployment`?"
    );
    let mut manifest = runner(&json!({}));
    manifest["apiVersion"] = "v1".into();
    assert_eq!(
        only(&manifest),
        "apiVersion: `v1` is not `actions.summerwind.dev/v1alpha1`"
    );
    assert_eq!(check(&Value::Null, "0.23.7").len(), 2);
}

#[test]
fn a_field_newer_than_the_chart_is_unknown_to_it() {
    let manifest = runner(&json!({"dockerVarRunVolumeSizeLimit": "50M"}));
    assert_eq!(check(&manifest, "0.23.7"), []);
    assert_eq!(check(&manifest, "0.23.3").len(), 1);
    assert_eq!(check(&manifest, "0.23.4").len(), 1);
}

#[test]
fn quantities_pass_in_every_form() {
    for good in [
        "1", "1.5", ".5", "1.", "+1", "500m", "2Gi", "1e3", "1E-3", "5E",
    ] {
        let manifest = runner(&json!({"resources": {"limits": {"cpu": good, "memory": 1}}}));
        assert_eq!(check(&manifest, "0.23.7"), [], "{good}");
    }
    for bad in ["", ".", "Gi", "1gi", "1e", "1.2.3", "--1"] {
        let manifest = runner(&json!({"resources": {"limits": {"cpu": bad}}}));
        assert_eq!(check(&manifest, "0.23.7").len(), 1, "{bad}");
    }
}

#[test]
fn the_parts_of_a_pool_are_named_as_the_profile_has_them() {
    let pool: Pool = serde_json::from_value(json!({
        "name": "basic", "image": "r:1", "min": 0, "max": 1,
        "template": {"hostAliase": []},
        "tolerations": [{"efect": "NoSchedule"}],
        "env": [{"name": "A", "valu": "b"}],
    }))
    .unwrap();
    let found: Vec<_> = check_pool(&pool, "0.23.7")
        .into_iter()
        .map(|problem| format!("{}: {}", problem.path, problem.message))
        .collect();
    assert_eq!(
        found,
        [
            "template.hostAliase: unknown field `hostAliase`; did you mean `hostAliases`?",
            "tolerations[0].efect: unknown field `efect`; did you mean `effect`?",
            "env[0].valu: unknown field `valu`; did you mean `value`?",
        ]
    );
}
