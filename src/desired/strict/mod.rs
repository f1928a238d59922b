//! Strict validation of the controller's custom resources, offline. Pure: no I/O.
//!
//! What the API server does with `fieldValidation=Strict` against the real CRDs: unknown fields, types, required
//! fields, enums, patterns, duplicate keys of list maps. Beyond it, `null` (which the server drops: a key left empty), and
//! the few values that the CRDs leave open and the controller or the pod then refuses. The schemas are the CRDs' without
//! their descriptions, made by the test `write_schema_data` (`tests/cli/desired/schema_data.rs`).

mod rules;
mod walk;

use std::{collections::BTreeMap, io::Read as _, sync::LazyLock};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::{names, version};
use crate::profile::Pool;

/// The CRDs changed with this chart, and hardly since; before it they are those of 0.23.0.
const NEW_SINCE: (u64, u64, u64) = (0, 23, 5);
const DATA_0_23_3: &[u8] = include_bytes!("../data/crds-0.23.3.json.gz");
const DATA_0_23_7: &[u8] = include_bytes!("../data/crds-0.23.7.json.gz");

/// By kind, the schema of the whole object.
type Schemas = BTreeMap<String, Value>;
static OLD: LazyLock<Schemas> = LazyLock::new(|| decode(DATA_0_23_3));
static NEW: LazyLock<Schemas> = LazyLock::new(|| decode(DATA_0_23_7));

/// Embedded data that a test has read cannot be unreadable; were it so, no kind would be known, and every check fail.
fn decode(data: &[u8]) -> Schemas {
    let mut text = String::new();
    let mut schemas: Schemas = match GzDecoder::new(data).read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_default(),
        Err(_) => Schemas::new(),
    };
    // CRDs leave metadata to Kubernetes, which has rules of its own for it.
    for schema in schemas.values_mut() {
        schema["properties"]["metadata"] = walk::object_meta();
    }
    schemas
}

/// Something the API server, the controller or the pod would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaProblem {
    /// Where, as `spec.template.spec.tolerations[0].effect`.
    pub path: String,
    /// What, and where close, what was meant.
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
        let known: Vec<&str> = schemas.keys().map(String::as_str).collect();
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

/// Every problem of a pool's `template`, `tolerations` and `env`, with paths as the profile has them
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
