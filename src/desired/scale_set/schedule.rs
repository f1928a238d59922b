//! The minimums of scale sets by wall clock: a table for each, and what gives each the one in force. Pure: no I/O.
//!
//! GitHub's controller knows one minimum. A `CronJob` evaluates the tables every five minutes, waits for a change before
//! its next start, and writes only where the minimum is another one, with a field manager of its own. It runs the runners'
//! image where they run, so that no other image is pulled; the times in the tables are instants, so its own time zone does
//! not matter.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::pod;
use crate::{
    desired::{DesiredError, Facts, names},
    profile::{Pool, Profile, schedule},
    templates,
};

/// The minimum remaining horizon for a live table to be kept (DESIGN 3).
const HORIZON_LEFT_DAYS: i64 = 90;
/// How often it starts.
const EVERY: &str = "*/5 * * * *";
/// How long it may run: less than until its next start.
const DEADLINE_SECONDS: u32 = 290;
/// How late it may start.
const LATE_SECONDS: u32 = 240;
/// A user and a group of no image: `nobody`.
const NOBODY: u32 = 65534;
/// Where the tables are mounted.
const TABLES: &str = "/etc/arcctl/schedule";
/// The fields that its pod has in common with a runner's: where it runs, and who pulls its image.
const LIKE_A_RUNNER: [&str; 3] = ["imagePullSecrets", "nodeSelector", "tolerations"];

/// The pools of `namespace` whose minimum a schedule gives.
fn scheduled<'a>(profile: &'a Profile, namespace: &str) -> Vec<&'a Pool> {
    profile
        .scale_set_pools()
        .filter(|it| it.namespace == namespace && it.schedule.is_some())
        .collect()
}

/// The namespaces with such pools.
pub fn namespaces(profile: &Profile) -> Vec<&str> {
    let mut all = profile.runner_namespaces();
    all.retain(|it| !scheduled(profile, it).is_empty());
    all
}

/// The table of a pool with a schedule: the live one if it is equivalent to the profile; else one made from the profile.
pub fn table(pool: &Pool, facts: &Facts) -> Result<Option<String>, DesiredError> {
    let Some(wanted) = &pool.schedule else {
        return Ok(None);
    };
    if let Some(live) = facts.live_tables.get(&pool.name)
        && let Some((base_min, entries)) = schedule::parse_table(live)
        && base_min == pool.min
        && schedule::equivalent(
            &entries,
            Some(wanted),
            pool.min,
            facts.now,
            HORIZON_LEFT_DAYS,
        )
    {
        return Ok(Some(live.clone()));
    }
    let overrides =
        schedule::overrides(wanted, facts.now).map_err(|source| DesiredError::Schedule {
            pool: pool.name.clone(),
            source,
        })?;
    Ok(Some(schedule::table(pool.min, &overrides)))
}

/// The tables, and the account with its rights, of a namespace.
pub(super) fn wiring(
    profile: &Profile,
    facts: &Facts,
    namespace: &str,
) -> Result<Vec<Value>, DesiredError> {
    let name = names::schedule_name(&profile.name);
    let metadata = || names::metadata(profile, Some(namespace), &name);
    let mut tables = BTreeMap::new();
    for pool in scheduled(profile, namespace) {
        if let Some(table) = table(pool, facts)? {
            tables.insert(pool.name.as_str(), table);
        }
    }
    let sets: Vec<&str> = tables.keys().copied().collect();
    Ok(vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(), "data": tables}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata()}),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata(),
            "rules": [{
                "apiGroups": ["actions.github.com"],
                "resources": ["autoscalingrunnersets"],
                "resourceNames": sets,
                "verbs": ["get", "patch"],
            }],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata(),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }),
    ])
}

/// What evaluates the tables of a namespace, in the image of its first pool with a schedule.
pub(super) fn cron_job(profile: &Profile, namespace: &str) -> Result<Option<Value>, DesiredError> {
    let pools = scheduled(profile, namespace);
    let Some(pool) = pools.first() else {
        return Ok(None);
    };
    let name = names::schedule_name(&profile.name);
    let labels = names::labels(&profile.name);
    Ok(Some(json!({
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": names::metadata(profile, Some(namespace), &name),
        "spec": {
            "schedule": EVERY,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATE_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 1,
            "jobTemplate": {"spec": {
                "backoffLimit": 1,
                "activeDeadlineSeconds": DEADLINE_SECONDS,
                "template": {"metadata": {"labels": labels}, "spec": job_pod(profile, pool, &name)?},
            }},
        },
    })))
}

/// The pod, as the Pod Security Standard `restricted` admits it.
fn job_pod(profile: &Profile, pool: &Pool, name: &str) -> Result<Value, DesiredError> {
    let runner = pod::own_spec(profile, pool)?;
    let script = templates::SCALE_SET_MINIMUM.text(&[
        ("MANAGER", names::SCHEDULE_MANAGER),
        ("API_VERSION", names::SCALE_SET_API_VERSION),
        ("NAMESPACE", &pool.namespace),
    ]);
    let mut spec: Map<String, Value> = LIKE_A_RUNNER
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), runner.get(*key)?.clone())))
        .collect();
    for (key, value) in [
        ("serviceAccountName", name.into()),
        ("enableServiceLinks", false.into()),
        ("restartPolicy", "Never".into()),
        (
            "securityContext",
            json!({
                "runAsNonRoot": true,
                "runAsUser": NOBODY,
                "runAsGroup": NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            }),
        ),
        (
            "containers",
            json!([{
                "name": "minimum",
                "image": pod::runner_image(profile, pool),
                "command": ["/bin/sh", "-c", script],
                "resources": {
                    "requests": {"cpu": "10m", "memory": "16Mi"},
                    "limits": {"memory": "64Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": true,
                },
                "volumeMounts": [{"name": "tables", "mountPath": TABLES, "readOnly": true}],
            }]),
        ),
        (
            "volumes",
            json!([{"name": "tables", "configMap": {"name": name}}]),
        ),
    ] {
        spec.insert(key.to_owned(), value);
    }
    Ok(spec.into())
}
