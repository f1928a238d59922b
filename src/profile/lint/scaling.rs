//! Rules about when a pool grows and shrinks: what the controller computes, checked before it computes it. Pure.

use super::{
    super::{Metric, MetricType, Pool, Profile, Scaling, Scope, Step},
    Path, Report,
};

/// What the controller takes where a profile says nothing.
const DEFAULT_THRESHOLDS: (f64, f64) = (0.8, 0.3);

pub(super) fn check(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    let Some(scaling) = &pool.scaling else { return };
    let metrics = path.key("scaling").key("metrics");
    order(scaling, &metrics, report);
    for (index, metric) in scaling.metrics.iter().enumerate() {
        let path = metrics.index(index);
        match metric.kind {
            MetricType::PercentageRunnersBusy => busy(metric, &path, report),
            MetricType::TotalNumberOfQueuedAndInProgressWorkflowRuns => {
                queued(profile, metric, &path, report);
            }
        }
    }
    never_leaves_zero(profile, pool, scaling, path, report);
}

fn order(scaling: &Scaling, path: &Path, report: &mut Report) {
    use MetricType::{
        PercentageRunnersBusy as Busy, TotalNumberOfQueuedAndInProgressWorkflowRuns as Queued,
    };
    let kinds: Vec<MetricType> = scaling.metrics.iter().map(|metric| metric.kind).collect();
    match kinds.as_slice() {
        [Queued, Busy] => report.error(
            path.index(1).key("type"),
            "the controller takes two metrics only with `PercentageRunnersBusy` first",
            "swap the two",
        ),
        [one, other] if one == other => report.error(
            path.index(1).key("type"),
            "the same metric is here twice",
            "keep one of them",
        ),
        _ => {}
    }
}

fn busy(metric: &Metric, path: &Path, report: &mut Report) {
    if !metric.repositories.is_empty() {
        report.error(
            path.key("repositories"),
            "`PercentageRunnersBusy` looks at runners, not at repositories",
            "remove `repositories`, or use `TotalNumberOfQueuedAndInProgressWorkflowRuns`",
        );
    }
    for (key, step) in [
        ("scaleUp", &metric.scale_up),
        ("scaleDown", &metric.scale_down),
    ] {
        if let Some(step) = step {
            by(step, key == "scaleUp", &path.key(key), report);
        }
    }
    let threshold = |step: Option<Step>| step.and_then(|step| step.threshold);
    let up = threshold(metric.scale_up).unwrap_or(DEFAULT_THRESHOLDS.0);
    let down = threshold(metric.scale_down).unwrap_or(DEFAULT_THRESHOLDS.1);
    if down >= up {
        let key = if threshold(metric.scale_down).is_some() {
            "scaleDown"
        } else {
            "scaleUp"
        };
        report.error(
            path.key(key).key("threshold"),
            format!(
                "runners are removed below {down} and added from {up} on: the pool would never rest"
            ),
            "make `scaleDown.threshold` the smaller one (0.8 and 0.3 where left out)",
        );
    }
}

fn by(step: &Step, up: bool, path: &Path, report: &mut Report) {
    match (step.factor, step.adjustment) {
        (Some(_), Some(_)) => report.error(
            path.key("adjustment"),
            "the controller refuses a `factor` together with an `adjustment`",
            "keep one of them",
        ),
        (Some(factor), None) if up && factor <= 1.0 => {
            report.error(
                path.key("factor"),
                format!("times {factor} adds no runner"),
                "write more than 1, for example 1.3",
            );
        }
        (Some(factor), None) if !up && !(0.0..1.0).contains(&factor) => {
            report.error(
                path.key("factor"),
                format!("times {factor} removes no runner"),
                "write 0 or more and less than 1, for example 0.7",
            );
        }
        (None, None) if step.threshold.is_none() => report.advice(
            path.clone(),
            "this says nothing, and the controller's defaults hold",
            "add a `threshold`, a `factor` or an `adjustment`, or remove it",
        ),
        _ => {}
    }
}

fn queued(profile: &Profile, metric: &Metric, path: &Path, report: &mut Report) {
    match profile.github.scope() {
        Some(Scope::Enterprise(_)) => report.error(
            path.key("type"),
            "the controller cannot count the jobs of an enterprise",
            "use `PercentageRunnersBusy`",
        ),
        Some(Scope::Organization(_)) if metric.repositories.is_empty() => report.error(
            path.clone(),
            "in an organization the controller has to know whose jobs to count",
            "add `repositories: [NAME]`",
        ),
        Some(Scope::Repository(name)) if !metric.repositories.is_empty() => report.advice(
            path.key("repositories"),
            format!("the scope is one repository, and only the jobs of `{name}` are counted"),
            "remove `repositories`",
        ),
        _ => {}
    }
    for (index, repository) in metric.repositories.iter().enumerate() {
        if repository.is_empty() || repository.contains(['/', ' ']) {
            report.error(
                path.key("repositories").index(index),
                format!("`{repository}` is not the name of a repository"),
                "write NAME without its owner: the organization is put before it",
            );
        }
    }
    for (key, step) in [
        ("scaleUp", &metric.scale_up),
        ("scaleDown", &metric.scale_down),
    ] {
        if step.is_some() {
            report.advice(
                path.key(key),
                format!("`{key}` means nothing here: there are as many runners as jobs"),
                "remove it",
            );
        }
    }
}

/// Of zero runners none is busy: the share is not a number, and the controller stays where it is.
fn never_leaves_zero(
    profile: &Profile,
    pool: &Pool,
    scaling: &Scaling,
    path: &Path,
    report: &mut Report,
) {
    let only_busy = scaling
        .metrics
        .iter()
        .all(|metric| metric.kind == MetricType::PercentageRunnersBusy);
    if !only_busy || pool.max == 0 {
        return;
    }
    let hint = match profile.github.scope() {
        Some(Scope::Enterprise(_)) => "write at least 1: an enterprise has no other metric",
        _ => {
            "write at least 1, or add `TotalNumberOfQueuedAndInProgressWorkflowRuns` as the second metric"
        }
    };
    let message = "`PercentageRunnersBusy` alone never leaves 0: of no runners none is busy";
    if pool.min == 0 {
        report.error(path.key("min"), message, hint);
    }
    for (index, window) in pool
        .schedule
        .iter()
        .flat_map(|schedule| &schedule.windows)
        .enumerate()
    {
        if window.min == 0 {
            let path = path.key("schedule").key("windows").index(index).key("min");
            report.error(path, message, hint);
        }
    }
}
