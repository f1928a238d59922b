//! A pool's `HorizontalRunnerAutoscaler`. Pure: no I/O; the time is a fact.

use jiff::ZonedDateTime;
use serde_json::{Map, Value, json};

use crate::{
    desired::{
        Desired, DesiredError, Facts, Goal, Phase, names,
        resource::{KubeObject, Resource},
    },
    profile::{
        GitHub, Metric, MetricType, Pool, Profile, Step, Trigger,
        schedule::{self, Override},
    },
};

/// The minimum remaining horizon for live overrides to be kept (DESIGN 3).
const HORIZON_LEFT_DAYS: i64 = 90;

/// The autoscaler of `pool`. Without `scaling` it has no metrics: the controller then keeps the minimum, because it has
/// no default metric since app 0.23.
pub fn autoscaler(profile: &Profile, pool: &Pool, facts: &Facts) -> Result<Value, DesiredError> {
    let github = profile.github_of(pool);
    let mut spec = Map::new();
    let mut set = |key: &str, value: Value| spec.insert(key.into(), value);
    set(
        "scaleTargetRef",
        json!({"kind": "RunnerDeployment", "name": pool.name}),
    );
    if let Some(secret) = pool.credential_secret() {
        set(
            "githubAPICredentialsFrom",
            json!({"secretRef": {"name": secret}}),
        );
    }
    set("minReplicas", pool.min.into());
    set("maxReplicas", pool.max.into());
    if let Some(scaling) = &pool.scaling {
        if !scaling.metrics.is_empty() {
            set(
                "metrics",
                scaling
                    .metrics
                    .iter()
                    .map(|metric| metric_value(&github, metric))
                    .collect(),
            );
        }
        if !scaling.triggers.is_empty() {
            set(
                "scaleUpTriggers",
                scaling.triggers.iter().map(trigger_value).collect(),
            );
        }
        if let Some(delay) = scaling.scale_down_delay {
            set("scaleDownDelaySecondsAfterScaleOut", delay.as_secs().into());
        }
    }
    if let Some(overrides) = scheduled_overrides(pool, facts)? {
        set("scheduledOverrides", overrides);
    }
    Ok(json!({
        "apiVersion": names::ARC_API_VERSION,
        "kind": "HorizontalRunnerAutoscaler",
        "metadata": names::metadata(profile, Some(&pool.namespace), &pool.name),
        "spec": spec,
    }))
}

/// Whether an autoscaler scales a `RunnerSet`, which may have the name of a pool; without a kind it scales a `RunnerDeployment`.
pub(crate) fn scales_a_set(autoscaler: &Value) -> bool {
    autoscaler["spec"]["scaleTargetRef"]["kind"] == "RunnerSet"
}

/// Other autoscalers of the `RunnerDeployment` of `pool`: deleted before arcctl's is created.
pub fn rivals(pool: &Pool, facts: &Facts) -> impl Iterator<Item = Desired> {
    facts
        .rivals
        .iter()
        .filter(|it| it["spec"]["scaleTargetRef"]["name"] == pool.name)
        .map(|manifest| Desired {
            id: names::object_id(manifest),
            phase: Phase::Runners,
            after: Vec::new(),
            resource: Resource::Object(KubeObject::new(manifest.clone())),
            goal: Goal::Evicted,
        })
}

fn trigger_value(trigger: &Trigger) -> Value {
    let mut value = json!({"githubEvent": {"workflowJob": {}}, "amount": trigger.amount});
    if let Some(duration) = trigger.duration {
        value["duration"] = duration.to_string().into();
    }
    value
}

/// The CRD has thresholds and factors as strings, adjustments as integers.
fn metric_value(github: &GitHub, metric: &Metric) -> Value {
    let kind = match metric.kind {
        MetricType::PercentageRunnersBusy => "PercentageRunnersBusy",
        MetricType::TotalNumberOfQueuedAndInProgressWorkflowRuns => {
            "TotalNumberOfQueuedAndInProgressWorkflowRuns"
        }
    };
    let mut value = json!({"type": kind});
    if !metric.repositories.is_empty() {
        value["repositoryNames"] = repository_names(github, &metric.repositories);
    }
    for (direction, step) in [("Up", metric.scale_up), ("Down", metric.scale_down)] {
        let Some(Step {
            threshold,
            factor,
            adjustment,
        }) = step
        else {
            continue;
        };
        if let Some(threshold) = threshold {
            value[format!("scale{direction}Threshold")] = threshold.to_string().into();
        }
        if let Some(factor) = factor {
            value[format!("scale{direction}Factor")] = factor.to_string().into();
        }
        if let Some(adjustment) = adjustment {
            value[format!("scale{direction}Adjustment")] = adjustment.into();
        }
    }
    value
}

/// The controller prefixes each name with the organization: ORG/NAME loses its first part.
fn repository_names(github: &GitHub, repositories: &[String]) -> Value {
    let owner = github.organization.as_deref();
    let bare = |name: &String| match (name.split_once('/'), owner) {
        (Some((first, rest)), Some(owner)) if first == owner => rest.to_owned(),
        _ => name.clone(),
    };
    repositories.iter().map(bare).collect()
}

/// The live overrides if they are equivalent to the profile; else those made from the profile.
pub(crate) fn scheduled_overrides(
    pool: &Pool,
    facts: &Facts,
) -> Result<Option<Value>, DesiredError> {
    let schedule = pool.schedule.as_ref();
    if let Some(live) = facts.live_overrides.get(&pool.name) {
        let holds = schedule::parse_live(live).is_some_and(|parsed| {
            schedule::equivalent(&parsed, schedule, pool.min, facts.now, HORIZON_LEFT_DAYS)
        });
        if holds {
            let none = live.as_array().is_none_or(Vec::is_empty);
            return Ok((!none).then(|| live.clone()));
        }
    }
    let Some(schedule) = schedule else {
        return Ok(None);
    };
    let overrides =
        schedule::overrides(schedule, facts.now).map_err(|source| DesiredError::Schedule {
            pool: pool.name.clone(),
            source,
        })?;
    // A window on 29 February may have no occurrence for now.
    let none = overrides.is_empty();
    Ok((!none).then(|| overrides.iter().map(override_value).collect()))
}

fn override_value(entry: &Override) -> Value {
    let mut value = json!({
        "startTime": with_offset(&entry.start),
        "endTime": with_offset(&entry.end),
        "minReplicas": entry.min,
    });
    if let Some(frequency) = entry.frequency {
        let mut rule = json!({"frequency": frequency.as_str()});
        if let Some(until) = entry.until {
            rule["untilTime"] =
                with_offset(&until.to_zoned_datetime(entry.start.time_zone().clone())).into();
        }
        value["recurrenceRule"] = rule;
    }
    value
}

/// RFC 3339 with the zone's offset; the API server stores it in UTC.
fn with_offset(time: &ZonedDateTime) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
