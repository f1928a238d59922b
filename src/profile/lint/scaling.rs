//! Rules for the scaling of a pool: they check in advance what the controller computes. Pure.

use super::{Path, Report, github::is_repository};
use crate::profile::{
    GitHub, KubeDuration, Metric, MetricType, Pool, Profile, Scaling, Scope, Step, Trigger,
};

/// The controller's default thresholds.
const DEFAULT_THRESHOLDS: (f64, f64) = (0.8, 0.3);

pub(super) fn check(profile: &Profile, pool: &Pool, path: &Path, report: &mut Report) {
    let Some(scaling) = &pool.scaling else { return };
    let metrics = path.key("scaling").key("metrics");
    order(scaling, &metrics, report);
    if scaling.metrics.is_empty() && scaling.triggers.is_empty() {
        report.error(
            metrics.clone(),
            "`scaling` has neither metrics nor triggers",
            "add `metrics` or `triggers`, or remove `scaling`: the number then stays at `min`",
        );
    }
    for (index, trigger) in scaling.triggers.iter().enumerate() {
        let path = path.key("scaling").key("triggers").index(index);
        self::trigger(profile, *trigger, &path, report);
    }
    let github = profile.github_of(pool);
    for (index, metric) in scaling.metrics.iter().enumerate() {
        let path = metrics.index(index);
        match metric.kind {
            MetricType::PercentageRunnersBusy => busy(metric, &path, report),
            MetricType::TotalNumberOfQueuedAndInProgressWorkflowRuns => {
                let sync = profile.controller.sync_period;
                queued(&github, metric, sync, &path, report);
            }
        }
    }
    never_leaves_zero(profile, pool, scaling, path, report);
}

/// Checks a trigger: a GitHub webhook event that adds runners (reference: arc.md 2.3).
fn trigger(profile: &Profile, trigger: Trigger, path: &Path, report: &mut Report) {
    // `Handle` sets it to 1 for a queued job (horizontal_runner_autoscaler_webhook.go, v0.27.6).
    if trigger.amount > 1 {
        report.advice(
            path.key("amount"),
            "the controller adds one runner for each job, whatever `amount` says",
            "leave it out",
        );
    }
    let sync = profile.controller.sync_period.as_secs();
    match trigger.duration.map(KubeDuration::as_secs) {
        Some(0) => report.error(
            path.key("duration"),
            "`duration` is 0: the runner would be gone before it has the job",
            "write how long a job may wait for its runner, for example 30m",
        ),
        Some(seconds) if seconds <= sync => report.error(
            path.key("duration"),
            format!(
                "`duration` is not longer than `controller.syncPeriod` ({}): the runner can be gone before the controller looks",
                profile.controller.sync_period
            ),
            "write how long a job may wait for its runner, for example 30m",
        ),
        Some(seconds) if seconds > LONGEST_RESERVATION => report.advice(
            path.key("duration"),
            "where GitHub's word that a job ended is lost, its runner is kept that long",
            "write about as long as a job may wait for its runner, for example 30m",
        ),
        _ => {}
    }
    let server = &profile.controller.values;
    if server
        .get("githubWebhookServer")
        .is_none_or(|it| it.get("ingress").is_none() && it.get("service").is_none())
    {
        report.advice(
            path.clone(),
            "GitHub has to reach the webhook server, and the chart makes only a Service inside the cluster for it",
            "give it an address under `controller.values`: `githubWebhookServer.ingress` or `githubWebhookServer.service`; then add the webhook at GitHub, for the event `Workflow jobs`, with the secret that `up` makes",
        );
    }
}

/// 24 hours: a GitHub job waits no longer for a runner (docs.github.com: usage limits).
const LONGEST_RESERVATION: u64 = 24 * 3600;

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
            "the same metric is listed twice",
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
    if threshold(metric.scale_up) == Some(0.0) {
        report.error(
            path.key("scaleUp").key("threshold"),
            "from a share of 0 on runners are always added, up to `max`",
            "write the share of busy runners from which on there are too few, for example 0.75",
        );
    } else if threshold(metric.scale_down) == Some(0.0) {
        // Between the thresholds the controller reads the replicas without a check that there are any (autoscaling.go, v0.27.6,
        // `suggestReplicasByPercentageRunnersBusy`). Of one idle runner that is the case with this threshold only.
        report.error(
            path.key("scaleDown").key("threshold"),
            "no share is below 0: no runner is ever removed, and the controller crashes on an idle pool that has no `replicas` yet",
            "write the share of busy runners below which there are too many, for example 0.25",
        );
    } else if down >= up {
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
            "this is empty, so the controller's defaults apply",
            "add a `threshold`, a `factor` or an `adjustment`, or remove it",
        ),
        _ => {}
    }
}

fn queued(github: &GitHub, metric: &Metric, sync: KubeDuration, path: &Path, report: &mut Report) {
    match github.scope() {
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
    let path_of_names = path.key("repositories");
    repositories(&metric.repositories, &path_of_names, report);
    if !github.is_enterprise_server() {
        calls(&metric.repositories, sync, &path_of_names, report);
    }
    for (key, step) in [
        ("scaleUp", &metric.scale_up),
        ("scaleDown", &metric.scale_down),
    ] {
        if step.is_some() {
            report.advice(
                path.key(key),
                format!("`{key}` has no effect here: there are as many runners as jobs"),
                "remove it",
            );
        }
    }
}

fn repositories(names: &[String], path: &Path, report: &mut Report) {
    for (index, name) in names.iter().enumerate() {
        let path = path.index(index);
        let earlier = names[..index].iter();
        if name.is_empty() || name.contains(['/', ' ']) {
            report.error(
                path,
                format!("`{name}` is not the name of a repository"),
                "write NAME without its owner: the organization is put before it",
            );
        } else if !is_repository(name) {
            report.error(
                path,
                format!("`{name}` is not the name of a repository, and patterns are not read"),
                "write each repository by its name, without `.git`",
            );
        } else if earlier.clone().any(|it| it.eq_ignore_ascii_case(name)) {
            report.error(
                path,
                format!("`{name}` is listed twice, so its jobs would be counted twice"),
                "keep one of them",
            );
        }
    }
}

/// Checks the API rate: each sync lists the queued and running runs of each repository (reference: arc.md 2.3).
fn calls(names: &[String], sync: KubeDuration, path: &Path, report: &mut Report) {
    let each_look = u64::try_from(names.len())
        .unwrap_or(u64::MAX)
        .saturating_mul(2);
    let in_an_hour = each_look.saturating_mul(3600);
    // A period of 0 has its own error.
    let calls = in_an_hour / sync.as_secs().max(1);
    if calls > CALLS_OF_AN_HOUR {
        let enough = KubeDuration::from_secs(in_an_hour.div_ceil(CALLS_OF_AN_HOUR));
        report.advice(
            path.clone(),
            format!(
                "the controller asks GitHub for the runs of each of {} repositories every {sync}: {calls} calls an hour, and github.com answers {CALLS_OF_AN_HOUR}",
                names.len()
            ),
            format!("use `triggers`, or raise `controller.syncPeriod` to {enough} or more"),
        );
    }
}

/// The rate limit of one token at github.com (docs.github.com, "Rate limits for the REST API").
const CALLS_OF_AN_HOUR: u64 = 5000;

/// With zero runners the busy share is not a number, and the controller never scales up.
fn never_leaves_zero(
    profile: &Profile,
    pool: &Pool,
    scaling: &Scaling,
    path: &Path,
    report: &mut Report,
) {
    // A trigger adds runners whatever their current number is.
    if !scaling.triggers.is_empty() {
        return;
    }
    let only_busy = scaling
        .metrics
        .iter()
        .all(|metric| metric.kind == MetricType::PercentageRunnersBusy)
        && !scaling.metrics.is_empty();
    if !only_busy || pool.max == 0 {
        return;
    }
    let hint = match profile.github_of(pool).scope() {
        Some(Scope::Enterprise(_)) => "write at least 1: an enterprise has no other metric",
        _ => {
            "write at least 1, or add `TotalNumberOfQueuedAndInProgressWorkflowRuns` as the second metric"
        }
    };
    let message = "with `PercentageRunnersBusy` alone the pool can never leave 0: without runners, no runner is busy";
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
