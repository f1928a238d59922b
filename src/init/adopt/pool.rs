//! A `RunnerDeployment` and its autoscaler as a pool of a profile. Pure: no I/O.

use serde_json::{Map, Value, json};

use super::{
    found::{Gap, place},
    windows::windows,
};

/// The margin that arcctl adds to `gracefulStop` for the pod.
const GRACE_MARGIN: u64 = 20;

/// The variable with the seconds of a graceful stop.
const GRACE: &str = "RUNNER_GRACEFUL_STOP_TIMEOUT";

/// The annotation that kubectl keeps its own copy in.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A pool, and what of it the profile does not say.
pub(crate) struct Pool {
    /// The pool in the profile's words.
    pub value: Map<String, Value>,
    /// What it does not say.
    pub gaps: Vec<Gap>,
}

/// The pool of `deployment`; `autoscalers` are those that scale it, `zone` is the time zone to prefer.
pub(crate) fn pool(deployment: &Value, autoscalers: &[&Value], zone: Option<&str>) -> Pool {
    let (namespace, name) = place(deployment);
    let object = format!("runner-deployment/{namespace}/{name}");
    let mut value = Map::new();
    value.insert("name".into(), name.into());
    if namespace != crate::profile::RUNNER_NAMESPACE {
        value.insert("namespace".into(), namespace.into());
    }
    let mut gaps = Vec::new();
    metadata(deployment, "metadata", &mut value);
    metadata(&deployment["spec"]["template"], "podMetadata", &mut value);
    let spec = deployment["spec"]["template"]["spec"].as_object();
    let mut spec = spec.cloned().unwrap_or_default();
    // The scope is the profile's; a runner is ephemeral unless somebody says otherwise.
    for key in ["enterprise", "organization", "repository"] {
        spec.remove(key);
    }
    if spec.get("ephemeral") == Some(&true.into()) {
        spec.remove("ephemeral");
    }
    containers(&mut spec, &mut value, &object, &mut gaps);
    fields(&mut spec, &mut value, &object, &mut gaps);
    if !spec.is_empty() {
        value.insert("template".into(), spec.into());
    }
    let replicas = &deployment["spec"]["replicas"];
    scale(replicas, autoscalers, zone, &mut value, &mut gaps);
    other_triggers(autoscalers, &mut gaps);
    Pool { value, gaps }
}

/// Triggers by other events than jobs, which no key has.
fn other_triggers(autoscalers: &[&Value], gaps: &mut Vec<Gap>) {
    for autoscaler in autoscalers {
        let (namespace, name) = place(autoscaler);
        let triggers = autoscaler["spec"]["scaleUpTriggers"].as_array();
        for (index, one) in triggers.into_iter().flatten().enumerate() {
            if trigger(one).is_none() {
                gaps.push(Gap {
                    object: format!("horizontal-runner-autoscaler/{namespace}/{name}"),
                    path: format!("spec.scaleUpTriggers[{index}]"),
                    why: "left out: since 0.27 the controller adds runners only for `workflowJob`; without another trigger or metric the pool stays at `min`".into(),
                });
            }
        }
    }
}

/// The labels and annotations that somebody gave an object.
fn metadata(object: &Value, key: &str, pool: &mut Map<String, Value>) {
    let mut found = Map::new();
    for part in ["labels", "annotations"] {
        let mut entries = object["metadata"][part]
            .as_object()
            .cloned()
            .unwrap_or_default();
        entries.retain(|key, _| {
            key != LAST_APPLIED
                && !key.starts_with("arcctl.dev/")
                && key != crate::desired::names::MANAGED_BY
        });
        if !entries.is_empty() {
            found.insert(part.into(), entries.into());
        }
    }
    if !found.is_empty() {
        pool.insert(key.into(), found.into());
    }
}

/// The container mode, the shared /tmp, and the graceful stop.
fn containers(
    spec: &mut Map<String, Value>,
    pool: &mut Map<String, Value>,
    object: &str,
    gaps: &mut Vec<Gap>,
) {
    let is =
        |spec: &Map<String, Value>, key: &str, value: bool| spec.get(key) == Some(&value.into());
    let mode = if spec.get("containerMode") == Some(&"kubernetes".into()) {
        kubernetes(spec)
    } else if is(spec, "dockerdWithinRunnerContainer", true) {
        spec.remove("dockerdWithinRunnerContainer");
        Some("dindInRunner".into())
    } else if is(spec, "dockerEnabled", false) {
        spec.remove("dockerEnabled");
        Some("none".into())
    } else {
        spec.remove("dockerEnabled");
        spec.remove("dockerdWithinRunnerContainer");
        None
    };
    let is_dind = mode.is_none();
    if let Some(mode) = mode {
        pool.insert("containerMode".into(), mode);
    }
    if let Some(limit) = spec
        .remove("dockerVarRunVolumeSizeLimit")
        .filter(|it| it != "50M")
    {
        gaps.push(Gap {
            object: object.to_owned(),
            path: "spec.template.spec.dockerVarRunVolumeSizeLimit".into(),
            why: format!(
                "it is {limit} now; arcctl sets 50M with charts from 0.23.5 on, since less fills up"
            ),
        });
    }
    shared_tmp(spec, pool, is_dind);
    graceful_stop(spec, pool, is_dind);
}

fn kubernetes(spec: &mut Map<String, Value>) -> Option<Value> {
    let claim = spec.get("workVolumeClaimTemplate")?;
    let mode = json!({"kubernetes": {"workVolume": {
        "storageClass": claim["storageClassName"],
        "size": claim["resources"]["requests"]["storage"],
        "accessMode": claim["accessModes"][0],
    }}});
    spec.remove("containerMode");
    spec.remove("workVolumeClaimTemplate");
    Some(mode)
}

/// An `emptyDir` at /tmp, alone or beside other volumes, which stay in `template`.
fn shared_tmp(spec: &mut Map<String, Value>, pool: &mut Map<String, Value>, is_dind: bool) {
    let volume = json!({"name": "tmp", "emptyDir": {}});
    let mount = json!({"name": "tmp", "mountPath": "/tmp"});
    let only = |spec: &Map<String, Value>, key: &str, one: &Value| {
        spec.get(key).is_some_and(|it| *it == json!([one]))
    };
    let has = only(spec, "volumes", &volume)
        && only(spec, "volumeMounts", &mount)
        && only(spec, "dockerVolumeMounts", &mount);
    if has && is_dind {
        for key in ["volumes", "volumeMounts", "dockerVolumeMounts"] {
            spec.remove(key);
        }
        pool.insert("sharedTmp".into(), true.into());
    }
}

/// The graceful stop, where its variables and the pod's grace period are those that arcctl writes for it.
fn graceful_stop(spec: &mut Map<String, Value>, pool: &mut Map<String, Value>, is_dind: bool) {
    let seconds_in = |spec: &Map<String, Value>, key: &str| -> Option<u64> {
        let entries = spec.get(key)?.as_array()?;
        let entry = entries.iter().find(|it| it["name"] == GRACE)?;
        entry["value"].as_str()?.parse().ok()
    };
    let Some(seconds) = seconds_in(spec, "env") else {
        return;
    };
    let period = spec
        .get("terminationGracePeriodSeconds")
        .and_then(Value::as_u64);
    let same = !is_dind || seconds_in(spec, "dockerEnv") == Some(seconds);
    if period != Some(seconds + GRACE_MARGIN) || !same {
        return;
    }
    pool.insert("gracefulStop".into(), format!("{seconds}s").into());
    spec.remove("terminationGracePeriodSeconds");
    for key in ["env", "dockerEnv"] {
        if let Some(entries) = spec.get_mut(key).and_then(Value::as_array_mut) {
            entries.retain(|it| it["name"] != GRACE);
            if entries.is_empty() {
                spec.remove(key);
            }
        }
    }
}

/// The fields that have a key of their own.
fn fields(
    spec: &mut Map<String, Value>,
    pool: &mut Map<String, Value>,
    object: &str,
    gaps: &mut Vec<Gap>,
) {
    for (field, key) in [
        ("image", "image"),
        ("labels", "labels"),
        ("group", "group"),
        ("env", "env"),
        ("tolerations", "tolerations"),
        ("serviceAccountName", "serviceAccount"),
    ] {
        if let Some(value) = spec
            .remove(field)
            .filter(|it| *it != json!([]) && *it != "" && !it.is_null())
        {
            pool.insert(key.into(), value);
        }
    }
    let selector = spec.remove("nodeSelector");
    if let Some(selector) = selector.filter(|it| *it != json!({})) {
        pool.insert("nodeSelector".into(), selector);
    }
    let mut resources = Map::new();
    for (field, key) in [
        ("resources", "runner"),
        ("dockerdContainerResources", "docker"),
    ] {
        // The API server fills both in with empty maps.
        if let Some(value) = spec
            .remove(field)
            .filter(|it| *it != json!({}) && !it.is_null())
        {
            resources.insert(key.into(), value);
        }
    }
    if !resources.is_empty() {
        pool.insert("resources".into(), resources.into());
    }
    if let Some(Value::Array(secrets)) = spec.remove("imagePullSecrets") {
        let names: Vec<Value> = secrets.iter().map(|it| it["name"].clone()).collect();
        if !names.is_empty() {
            pool.insert("imagePullSecrets".into(), names.into());
        }
    }
    if spec
        .get("securityContext")
        .and_then(Value::as_object)
        .is_some_and(|it| it.len() == 1)
        && let Some(group) = spec["securityContext"]["fsGroup"].as_u64()
    {
        pool.insert("fsGroup".into(), group.into());
        spec.remove("securityContext");
    }
    if let Some(reference) = spec.remove("githubAPICredentialsFrom") {
        let name = reference["secretRef"]["name"].as_str().unwrap_or_default();
        gaps.push(Gap {
            object: object.to_owned(),
            path: "spec.template.spec.githubAPICredentialsFrom".into(),
            why: format!("the pool has a credential of its own, in Secret `{name}`: write `github: {{token: …}}` into the pool, with the place of that token; arcctl then keeps a Secret of its own for it"),
        });
    }
}

/// The numbers: those of the autoscaler named like the pool, else of another one, else the fixed number.
fn scale(
    replicas: &Value,
    autoscalers: &[&Value],
    zone: Option<&str>,
    pool: &mut Map<String, Value>,
    gaps: &mut Vec<Gap>,
) {
    let own = autoscalers.iter().find(|it| place(it).1 == pool["name"]);
    let Some(chosen) = own.or_else(|| autoscalers.first()) else {
        let number = replicas.as_u64().unwrap_or(1);
        pool.insert("min".into(), number.into());
        pool.insert("max".into(), number.into());
        return;
    };
    let (namespace, name) = place(chosen);
    let object = format!("horizontal-runner-autoscaler/{namespace}/{name}");
    let mut gap = |path: &str, why: String| {
        gaps.push(Gap {
            object: object.clone(),
            path: path.to_owned(),
            why,
        });
    };
    let spec = &chosen["spec"];
    let min = spec["minReplicas"].as_u64().unwrap_or(1);
    pool.insert("min".into(), min.into());
    pool.insert(
        "max".into(),
        spec["maxReplicas"].as_u64().unwrap_or(min).into(),
    );
    let mut scaling = Map::new();
    let metrics = spec["metrics"].as_array().into_iter().flatten();
    let metrics: Vec<Value> = metrics.map(metric).collect();
    if !metrics.is_empty() {
        scaling.insert("metrics".into(), metrics.into());
    }
    let triggers = spec["scaleUpTriggers"].as_array().into_iter().flatten();
    let triggers: Vec<Value> = triggers.filter_map(trigger).collect();
    if !triggers.is_empty() {
        scaling.insert("triggers".into(), triggers.into());
    }
    if let Some(seconds) = spec["scaleDownDelaySecondsAfterScaleOut"].as_u64() {
        scaling.insert("scaleDownDelay".into(), format!("{seconds}s").into());
    }
    if scaling.contains_key("metrics") || scaling.contains_key("triggers") {
        pool.insert("scaling".into(), scaling.into());
    }
    let found = windows(&spec["scheduledOverrides"], zone);
    if !found.schedule.is_null() {
        pool.insert("schedule".into(), found.schedule);
    }
    for (index, why) in found.left_out {
        gap(
            &format!("spec.scheduledOverrides[{index}]"),
            format!("not turned into a window: {why}"),
        );
    }
    for other in autoscalers {
        let (_, other) = place(other);
        if pool["name"] != other {
            gaps.push(Gap {
                object: format!("horizontal-runner-autoscaler/{namespace}/{other}"),
                path: "metadata.name".into(),
                why: format!("an autoscaler of arcctl is named like its pool: `{other}` is deleted, and `{}` created with its numbers", pool["name"].as_str().unwrap_or_default()),
            });
        }
    }
}

fn metric(metric: &Value) -> Value {
    let mut found = json!({"type": metric["type"]});
    if let Some(names) = metric["repositoryNames"]
        .as_array()
        .filter(|it| !it.is_empty())
    {
        found["repositories"] = names.clone().into();
    }
    for (direction, key) in [("Up", "scaleUp"), ("Down", "scaleDown")] {
        let number = |word: &str| -> Option<Value> {
            let value = &metric[format!("scale{direction}{word}")];
            let text = value.as_str()?;
            // A whole number stays one: `2` and not `2.0`.
            let whole = text.parse::<u64>().ok().map(Value::from);
            whole.or_else(|| text.parse::<f64>().ok().map(Value::from))
        };
        let mut step = Map::new();
        for (word, name) in [("Threshold", "threshold"), ("Factor", "factor")] {
            if let Some(value) = number(word) {
                step.insert(name.into(), value);
            }
        }
        let adjustment = &metric[format!("scale{direction}Adjustment")];
        if adjustment.as_u64().is_some_and(|it| it > 0) {
            step.insert("adjustment".into(), adjustment.clone());
        }
        if !step.is_empty() {
            found[key] = step.into();
        }
    }
    found
}

fn trigger(trigger: &Value) -> Option<Value> {
    trigger["githubEvent"].get("workflowJob")?;
    let mut found = json!({"workflowJob": {}});
    for key in ["amount", "duration"] {
        if !trigger[key].is_null() {
            found[key] = trigger[key].clone();
        }
    }
    Some(found)
}
