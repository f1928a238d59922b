//! Strict validation of the controller's custom resources, offline. Pure: no I/O.
//!
//! Like the API server with `fieldValidation=Strict` and the real CRDs: unknown fields, types, required fields, enums,
//! patterns, duplicate keys of list maps. In addition it rejects `null` (which the server drops: a key left empty), and
//! the few values that the CRDs allow but the controller or the pod rejects. The fields and their types are tables of
//! the crate `arcctl-facts`.

mod rules;
mod walk;

use std::{collections::BTreeMap, sync::LazyLock};

use arcctl_facts::Table;
use serde_json::{Value, json};

use super::names;
use crate::{profile::Pool, units::version};

/// The CRDs changed with this chart, and hardly since; earlier charts have those of 0.23.0.
const NEW_SINCE: (u64, u64, u64) = (0, 23, 5);

/// The schema of the whole object, by kind.
type Schemas = BTreeMap<&'static str, Value>;
static OLD: LazyLock<Schemas> =
    LazyLock::new(|| schemas_of(arcctl_facts::actions_runner_controller_0_23_3()));
static NEW: LazyLock<Schemas> =
    LazyLock::new(|| schemas_of(arcctl_facts::actions_runner_controller_0_23_7()));

/// The schemas of the kinds that arcctl writes.
fn schemas_of(table: &'static Table) -> Schemas {
    let mut schemas = Schemas::new();
    for kind in ["HorizontalRunnerAutoscaler", "RunnerDeployment"] {
        let Some(mut schema) = table.schema(kind) else {
            continue;
        };
        if let Some(properties) = schema["properties"].as_object_mut() {
            // Only the controller writes it: rejected in a manifest.
            properties.remove("status");
            // CRDs do not define metadata; Kubernetes has its own rules for it.
            properties.insert("metadata".into(), walk::object_meta());
        }
        schemas.insert(kind, schema);
    }
    schemas
}

/// A value that the API server, the controller or the pod would reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaProblem {
    /// The path, such as `spec.template.spec.tolerations[0].effect`.
    pub path: String,
    /// The message, with a suggestion if a known name is similar.
    pub message: String,
}

/// Every problem of a `RunnerDeployment` or `HorizontalRunnerAutoscaler` with the CRDs of `chart_version`.
pub fn check(manifest: &Value, chart_version: &str) -> Vec<SchemaProblem> {
    let mut problems = Vec::new();
    let schemas = schemas(chart_version);
    let kind = manifest
        .get("kind")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let api_version = manifest
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if api_version != names::ARC_API_VERSION {
        problems.push(SchemaProblem {
            path: "apiVersion".into(),
            message: format!("`{api_version}` is not `{}`", names::ARC_API_VERSION),
        });
    }
    let Some(schema) = schemas.get(kind) else {
        let known: Vec<&str> = schemas.keys().copied().collect();
        let message = format!("unknown kind `{kind}`{}", walk::did_you_mean(kind, &known));
        problems.push(SchemaProblem {
            path: "kind".into(),
            message,
        });
        return problems;
    };
    walk::check(schema, manifest, &mut problems);
    rules::check(kind, manifest, &mut problems);
    problems
}

/// Every problem of a manifest with the custom resources of a table, as a strict API server finds it.
pub fn conforms(table: &Table, manifest: &Value) -> Vec<SchemaProblem> {
    let kind = manifest["kind"].as_str().unwrap_or_default();
    let Some(mut schema) = table.schema(kind) else {
        return vec![SchemaProblem {
            path: "kind".into(),
            message: format!("unknown kind `{kind}`"),
        }];
    };
    schema["properties"]["metadata"] = walk::object_meta();
    let mut problems = Vec::new();
    walk::check(&schema, manifest, &mut problems);
    problems
}

/// Every problem of the `AutoscalingRunnerSet` that the chart makes of the values of a scale set's release.
pub fn check_values(values: &Value) -> Vec<SchemaProblem> {
    let mut spec = json!({});
    for (key, field) in [
        ("githubConfigUrl", "githubConfigUrl"),
        ("githubConfigSecret", "githubConfigSecret"),
        ("githubServerTLS", "githubServerTLS"),
        ("listenerTemplate", "listenerTemplate"),
        ("maxRunners", "maxRunners"),
        ("minRunners", "minRunners"),
        ("proxy", "proxy"),
        ("runnerGroup", "runnerGroup"),
        ("runnerScaleSetName", "runnerScaleSetName"),
        ("scaleSetLabels", "runnerScaleSetLabels"),
        ("template", "template"),
    ] {
        if !values[key].is_null() {
            spec[field] = values[key].clone();
        }
    }
    let manifest = json!({
        "apiVersion": names::SCALE_SET_API_VERSION,
        "kind": "AutoscalingRunnerSet",
        "metadata": {"name": values["runnerScaleSetName"], "labels": values["labels"]},
        "spec": spec,
    });
    conforms(arcctl_facts::gha_runner_scale_set_0_14_2(), &manifest)
}

/// Every problem of the `template`, `tolerations` and `env` of a runner scale set, with the profile's paths.
pub fn check_scale_set(pool: &Pool) -> Vec<SchemaProblem> {
    let runner = json!([{"name": "runner"}]);
    let mut template = json!(pool.template);
    if pool.template.get("containers").is_none() {
        template["containers"] = runner.clone();
    }
    let tolerations = json!({"tolerations": pool.tolerations, "containers": runner});
    let env = json!({"containers": [{"name": "runner", "env": pool.env}]});
    let mut problems = Vec::new();
    for (at, written, spec) in [
        ("spec.template.spec.", "template.", template),
        ("spec.template.spec.", "", tolerations),
        ("spec.template.spec.containers[0].", "", env),
    ] {
        let manifest = json!({
            "apiVersion": names::SCALE_SET_API_VERSION,
            "kind": "AutoscalingRunnerSet",
            "spec": {"template": {"spec": spec}},
        });
        let table = arcctl_facts::gha_runner_scale_set_0_14_2();
        let found = conforms(table, &manifest).into_iter();
        problems.extend(found.filter_map(|problem| {
            let path = problem.path.strip_prefix(at)?;
            Some(SchemaProblem {
                path: format!("{written}{path}"),
                message: problem.message,
            })
        }));
    }
    problems
}

/// Every problem of a pool's `template`, `tolerations` and `env`, with the profile's paths
/// (`template.volumes[0].name`).
pub fn check_pool(pool: &Pool, chart_version: &str) -> Vec<SchemaProblem> {
    let parts = [
        ("template.", !pool.template.is_empty(), json!(pool.template)),
        (
            "",
            !pool.tolerations.is_empty(),
            json!({"tolerations": pool.tolerations}),
        ),
        ("", !pool.env.is_empty(), json!({"env": pool.env})),
    ];
    let mut problems = Vec::new();
    for (prefix, present, spec) in parts {
        if !present {
            continue;
        }
        let manifest = json!({
            "apiVersion": names::ARC_API_VERSION,
            "kind": "RunnerDeployment",
            "spec": {"template": {"spec": spec}},
        });
        problems.extend(check(&manifest, chart_version).into_iter().map(|problem| {
            let path = problem
                .path
                .strip_prefix("spec.template.spec.")
                .unwrap_or(&problem.path);
            SchemaProblem {
                path: format!("{prefix}{path}"),
                message: problem.message,
            }
        }));
    }
    problems
}

fn schemas(chart_version: &str) -> &'static Schemas {
    if version::triple(chart_version) < NEW_SINCE {
        &OLD
    } else {
        &NEW
    }
}

#[cfg(test)]
mod tests;
