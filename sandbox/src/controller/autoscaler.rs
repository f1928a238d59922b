//! Computes the replicas of an autoscaler.
//!
//! Pure: no I/O.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::overrides::Schedule;
use crate::objects::text;

/// What is known when an autoscaler is computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    /// The replicas that its target asks for now.
    pub(super) replicas: Option<i64>,
    /// The target's runners that GitHub calls busy.
    pub(super) busy: i64,
    /// The jobs that wait or run in the repositories of a metric, and that the target's runners take.
    pub(super) jobs: i64,
    /// The controller's own delay, where the autoscaler names none.
    pub(super) scale_down_delay: SignedDuration,
    pub(super) now: Timestamp,
}

/// Whether computing an autoscaler needs the runners of its target.
pub(super) fn needs_runners(autoscaler: &Value) -> bool {
    metrics(autoscaler)
        .iter()
        .any(|metric| metric["type"] == "PercentageRunnersBusy")
}

/// The metric that counts jobs.
const JOBS: &str = "TotalNumberOfQueuedAndInProgressWorkflowRuns";

/// The repositories, as `OWNER/NAME`, whose jobs a metric of the autoscaler counts for a target with this template
/// (`suggestReplicasByQueuedAndInProgressWorkflowRuns`, `autoscaling.go`, v0.27.6).
pub(super) fn counted(autoscaler: &Value, template: &Value) -> Result<Vec<String>, String> {
    let Some(metric) = metrics(autoscaler).iter().find(|it| it["type"] == JOBS) else {
        return Ok(Vec::new());
    };
    let repository = text(template, "/repository");
    if !repository.is_empty() {
        return Ok(vec![repository.to_owned()]);
    }
    let organization = text(template, "/organization");
    if organization.is_empty() {
        return Err("asserting runner deployment spec to detect bug: \
                    spec.template.organization should not be empty on this code path"
            .to_owned());
    }
    let names = metric["repositoryNames"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
    if names.is_empty() {
        return Err("validating autoscaling metrics: spec.autoscaling.metrics[].repositoryNames is required and \
                    must have one more more entries for organizational runner deployment"
            .to_owned());
    }
    Ok(names
        .iter()
        .map(|it| format!("{organization}/{it}"))
        .collect())
}

/// Whether an autoscaler comes to the metric that counts jobs: not where one before it suggests replicas.
pub(super) fn needs_jobs(autoscaler: &Value, observed: &Observed) -> bool {
    let metrics = metrics(autoscaler);
    let place = metrics.iter().position(|it| it["type"] == JOBS);
    let suggests_none = |it: &Value| percentage(it, observed).is_ok_and(|replicas| replicas <= 0);
    place.is_some_and(|it| metrics[..it].iter().all(suggests_none))
}

/// The replicas that an autoscaler wants.
pub(super) fn desired(
    autoscaler: &Value,
    schedule: &Schedule,
    observed: &Observed,
) -> Result<i64, String> {
    let name = text(autoscaler, "/metadata/name");
    let bound = |field: &str| {
        autoscaler["spec"][field].as_i64().ok_or(format!(
            "horizontalrunnerautoscaler {name} is missing {field}"
        ))
    };
    let (own, maximum) = (bound("minReplicas")?, bound("maxReplicas")?);
    let overridden = schedule.active.as_ref().and_then(|window| window.minimum);
    let minimum = overridden.unwrap_or(own);
    let suggested =
        suggest(autoscaler, observed)?.unwrap_or(minimum) + reserved(autoscaler, observed.now);
    // As `computeReplicasWithCache` does it: a minimum above the maximum holds only as long as less is suggested.
    let wanted = if suggested < minimum {
        minimum
    } else {
        suggested.min(maximum)
    };
    Ok(held(autoscaler, observed, wanted))
}

/// A lower number waits until the last scale-out is long enough ago.
fn held(autoscaler: &Value, observed: &Observed, wanted: i64) -> i64 {
    let Some(before) = autoscaler
        .pointer("/status/desiredReplicas")
        .and_then(Value::as_i64)
    else {
        return wanted;
    };
    let last = text(autoscaler, "/status/lastSuccessfulScaleOutTime").parse::<Timestamp>();
    let seconds = autoscaler.pointer("/spec/scaleDownDelaySecondsAfterScaleOut");
    let delay = seconds
        .and_then(Value::as_i64)
        .map_or(observed.scale_down_delay, SignedDuration::from_secs);
    match last {
        Ok(last) if wanted < before && observed.now.duration_since(last) < delay => before,
        _ => wanted,
    }
}

fn suggest(autoscaler: &Value, observed: &Observed) -> Result<Option<i64>, String> {
    let metrics = metrics(autoscaler);
    if metrics.len() > 2 {
        let count = metrics.len();
        return Err(format!(
            "too many autoscaling metrics configured: It must be 0 to 2, but got {count}"
        ));
    }
    for metric in metrics {
        let suggested = match text(metric, "/type") {
            "PercentageRunnersBusy" => percentage(metric, observed)?,
            JOBS => observed.jobs,
            other => {
                return Err(format!(
                    "validting autoscaling metrics: unsupported metric type \"{other}\""
                ));
            }
        };
        if suggested > 0 {
            return Ok(Some(suggested));
        }
    }
    Ok(None)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "small counts"
)]
fn percentage(metric: &Value, observed: &Observed) -> Result<i64, String> {
    let before = observed.replicas.unwrap_or(1);
    if metric["scaleUpAdjustment"].is_i64() && metric["scaleUpFactor"].is_string() {
        return Err("only one of scaleUpFactor or scaleUpAdjustment can be specified".to_owned());
    }
    if metric["scaleDownAdjustment"].is_i64() && metric["scaleDownFactor"].is_string() {
        return Err(
            "only one of scaleDownFactor or scaleDownAdjustment can be specified".to_owned(),
        );
    }
    let up = number(metric, "scaleUpThreshold", 0.8)?;
    let down = number(metric, "scaleDownThreshold", 0.3)?;
    let up_factor = number(metric, "scaleUpFactor", 1.3)?;
    let down_factor = number(metric, "scaleDownFactor", 0.7)?;
    // Of no replicas at all no share is busy: 0/0 is not a number, which is on neither side of a threshold.
    let share = observed.busy as f64 / before as f64;
    Ok(if share >= up {
        let adjustment = metric["scaleUpAdjustment"]
            .as_i64()
            .filter(|adjustment| *adjustment != 0);
        adjustment.map_or((before as f64 * up_factor).ceil() as i64, |by| before + by)
    } else if share < down {
        let adjustment = metric["scaleDownAdjustment"]
            .as_i64()
            .filter(|adjustment| *adjustment != 0);
        adjustment.map_or((before as f64 * down_factor) as i64, |by| before - by)
    } else {
        // The pointer to the replicas is followed whether or not there are any (`suggestReplicasByPercentageRunnersBusy`): the
        // process ends, and does so again after each restart.
        observed
            .replicas
            .ok_or("panic: runtime error: invalid memory address or nil pointer dereference")?
    })
}

fn number(metric: &Value, field: &str, default: f64) -> Result<f64, String> {
    let Some(written) = metric[field].as_str().filter(|written| !written.is_empty()) else {
        return Ok(default);
    };
    written
        .parse()
        .map_err(|_| format!("strconv.ParseFloat: parsing \"{written}\": invalid syntax"))
}

fn reserved(autoscaler: &Value, now: Timestamp) -> i64 {
    let reservations = autoscaler
        .pointer("/spec/capacityReservations")
        .and_then(Value::as_array);
    let active = reservations.into_iter().flatten().filter(|one| {
        text(one, "/expirationTime")
            .parse::<Timestamp>()
            .is_ok_and(|expires| expires > now)
    });
    active.filter_map(|one| one["replicas"].as_i64()).sum()
}

fn metrics(autoscaler: &Value) -> &[Value] {
    autoscaler
        .pointer("/spec/metrics")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn autoscaler(minimum: i64, maximum: i64) -> Value {
        json!({
            "metadata": { "name": "a" },
            "spec": { "minReplicas": minimum, "maxReplicas": maximum, "metrics": [{
                "type": "PercentageRunnersBusy", "scaleUpThreshold": "0.75",
                "scaleDownThreshold": "0.25", "scaleUpFactor": "2", "scaleDownFactor": "0.5",
            }] },
        })
    }

    fn observed(replicas: i64, busy: i64) -> Observed {
        Observed {
            replicas: Some(replicas),
            busy,
            jobs: 0,
            scale_down_delay: SignedDuration::from_mins(10),
            now: "2026-11-23T20:48:11Z".parse().unwrap(),
        }
    }

    fn wanted(autoscaler: &Value, replicas: i64, busy: i64) -> i64 {
        desired(autoscaler, &Schedule::default(), &observed(replicas, busy)).unwrap()
    }

    #[test]
    fn what_the_controller_refuses_is_an_error() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut wrong = autoscaler(1, 4);
            change(&mut wrong["spec"]);
            desired(&wrong, &Schedule::default(), &observed(1, 0)).unwrap_err()
        };
        assert!(refused(&|spec| spec["minReplicas"] = Value::Null).contains("missing minReplicas"));
        assert!(refused(&|spec| spec["metrics"][0]["type"] = "X".into()).contains("unsupported"));
        assert!(
            refused(&|spec| spec["metrics"][0]["scaleUpFactor"] = "x".into()).contains("parsing")
        );
        let both = refused(&|spec| spec["metrics"][0]["scaleUpAdjustment"] = 2.into());
        assert!(both.contains("only one of"), "{both}");
    }

    #[test]
    fn the_thresholds_decide_on_the_factor() {
        let autoscaler = autoscaler(1, 16);
        assert_eq!(wanted(&autoscaler, 4, 3), 8, "3/4 is the upper threshold");
        assert_eq!(wanted(&autoscaler, 4, 2), 4);
        assert_eq!(
            wanted(&autoscaler, 4, 1),
            4,
            "1/4 is not below the lower threshold"
        );
        assert_eq!(wanted(&autoscaler, 5, 1), 2, "2.5 is cut");
        assert_eq!(wanted(&autoscaler, 16, 16), 16, "the maximum");
    }

    #[test]
    fn it_cannot_leave_zero() {
        assert_eq!(wanted(&autoscaler(0, 16), 0, 0), 0);
    }

    #[test]
    fn an_open_override_lowers_or_raises_the_minimum_and_beats_the_maximum() {
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let window = |minimum| super::super::overrides::Window {
            start: at("2026-11-23T00:00:00Z"),
            end: at("2026-11-24T00:00:00Z"),
            minimum: Some(minimum),
        };
        let with = |minimum| {
            let schedule = Schedule {
                active: Some(window(minimum)),
                upcoming: None,
            };
            desired(&autoscaler(2, 4), &schedule, &observed(2, 0)).unwrap()
        };
        assert_eq!(with(1), 1);
        assert_eq!(with(6), 6);
    }

    #[test]
    fn a_minimum_above_the_maximum_gives_way_to_a_suggestion_above_both() {
        let autoscaler = autoscaler(6, 4);
        assert_eq!(wanted(&autoscaler, 6, 0), 6, "3 are suggested");
        assert_eq!(wanted(&autoscaler, 6, 6), 4, "12 are suggested");
    }

    #[test]
    fn a_share_between_the_thresholds_needs_replicas() {
        let mut autoscaler = autoscaler(1, 4);
        autoscaler["spec"]["metrics"][0]["scaleDownThreshold"] = "0".into();
        let schedule = Schedule::default();
        let mut observed = observed(1, 0);
        assert_eq!(desired(&autoscaler, &schedule, &observed), Ok(1));
        observed.replicas = None;
        let error = desired(&autoscaler, &schedule, &observed).unwrap_err();
        assert!(error.starts_with("panic: "), "{error}");
        // By the default thresholds none is between them: of one replica no runner is busy, or all are.
        autoscaler["spec"]["metrics"] = json!([{ "type": "PercentageRunnersBusy" }]);
        for busy in [0, 1, 2] {
            observed.busy = busy;
            assert!(desired(&autoscaler, &schedule, &observed).is_ok());
        }
    }

    #[test]
    fn scaling_down_waits_after_a_scale_out() {
        let mut autoscaler = autoscaler(1, 16);
        autoscaler["status"] =
            json!({ "desiredReplicas": 8, "lastSuccessfulScaleOutTime": "2026-11-23T20:40:00Z" });
        assert_eq!(
            wanted(&autoscaler, 8, 0),
            8,
            "8 minutes ago, the delay is 10"
        );
        autoscaler["spec"]["scaleDownDelaySecondsAfterScaleOut"] = 300.into();
        assert_eq!(wanted(&autoscaler, 8, 0), 4);
    }

    #[test]
    fn without_metrics_the_minimum_and_the_reservations_count() {
        let mut autoscaler = autoscaler(2, 9);
        autoscaler["spec"]["metrics"] = json!([]);
        autoscaler["spec"]["capacityReservations"] = json!([
            { "replicas": 3, "expirationTime": "2026-11-23T21:00:00Z" },
            { "replicas": 3, "expirationTime": "2026-11-23T20:00:00Z" },
        ]);
        assert!(!needs_runners(&autoscaler));
        assert_eq!(wanted(&autoscaler, 2, 0), 5);
    }

    #[test]
    fn jobs_are_counted_in_the_repositories_of_an_organization_or_in_the_one_of_the_pool() {
        let counts = |names: &[&str]| json!({"spec": {"metrics": [{"type": JOBS, "repositoryNames": names}]}});
        let of = |names: &[&str], template: Value| counted(&counts(names), &template);
        let organization = json!({"organization": "o"});
        assert_eq!(
            of(&["a", "b"], organization.clone()).unwrap(),
            ["o/a", "o/b"]
        );
        assert_eq!(of(&[], json!({"repository": "o/c"})).unwrap(), ["o/c"]);
        assert!(
            of(&[], organization)
                .unwrap_err()
                .contains("repositoryNames is required")
        );
        let enterprise = of(&["a"], json!({"enterprise": "e"})).unwrap_err();
        assert!(enterprise.contains("should not be empty on this code path"));
        let both =
            json!({"spec": {"metrics": [{"type": "PercentageRunnersBusy"}, {"type": JOBS}]}});
        assert!(needs_jobs(&counts(&[]), &observed(1, 0)));
        assert!(needs_jobs(&both, &observed(1, 0)), "0 are suggested");
        assert!(!needs_jobs(&both, &observed(2, 2)), "3 are suggested");
        assert!(!needs_jobs(&autoscaler(1, 4), &observed(1, 0)));
        assert!(
            counted(&json!({"spec": {}}), &json!({}))
                .unwrap()
                .is_empty()
        );
    }
}
