//! The groups of the `PrometheusRule`. Pure: no I/O.
//!
//! By default Prometheus labels a scraped metric with the namespace of the scraped pod, and renames the metric's own
//! label: no expression here uses a namespace. Prometheus scrapes both controller pods, and only the leader counts:
//! everything is aggregated by pool.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{
    Scheduled,
    min_replicas::{self, IN_FORCE},
};
use crate::{
    desired::names,
    profile::{Controller, Profile},
};

/// The label of the controller's metrics with the name of the autoscaler, which is the pool's.
const POOL: &str = "horizontalrunnerautoscaler";

/// The end of a pool's dated schedule.
const ENDS: &str = "arcctl:schedule_ends:timestamp_seconds";

/// `up` renews a schedule when less than 90 days of it are left; monthly runs never trigger this alert.
const SCHEDULE_DAYS: u32 = 60;

/// cert-manager renews 30 days before expiry.
const CERTIFICATE_DAYS: u32 = 14;

/// An alert.
struct Alert {
    name: &'static str,
    severity: &'static str,
    /// How long the expression must have a result before the alert fires.
    hold: &'static str,
    expression: String,
    summary: &'static str,
    description: Cow<'static, str>,
}

/// Recording rules first: the alerts use them, and a group's rules are evaluated in order.
pub(super) fn groups(profile: &Profile, pools: &[Scheduled]) -> Value {
    let recording = |name: &str, pool: &Scheduled, expression: String| {
        json!({
            "record": name,
            "expr": expression,
            "labels": {POOL: pool.pool.name, "profile": profile.name},
        })
    };
    let mut rules = Vec::new();
    for pool in pools {
        let expression = min_replicas::expression(&pool.overrides, pool.pool.min);
        rules.push(recording(IN_FORCE, pool, expression));
        if let Some(end) = pool.ends {
            rules.push(recording(ENDS, pool, format!("vector({end})")));
        }
    }
    rules.extend(
        alerts(&profile.controller)
            .iter()
            .map(|it| alert(profile, it)),
    );
    json!([{"name": format!("arcctl-{}", profile.name), "rules": rules}])
}

fn alert(profile: &Profile, alert: &Alert) -> Value {
    json!({
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.hold,
        "labels": {"severity": alert.severity, "profile": profile.name},
        "annotations": {"summary": alert.summary, "description": alert.description},
    })
}

fn alerts(controller: &Controller) -> Vec<Alert> {
    let mut alerts = of_the_pools();
    alerts.extend(of_the_controller(controller));
    alerts
}

fn of_the_pools() -> Vec<Alert> {
    let max = |metric: &str| format!("max by ({POOL}) ({metric})");
    let registered = "horizontalrunnerautoscaler_runners_registered";
    let (desired, limit) = (
        max("horizontalrunnerautoscaler_status_desired_replicas"),
        max("horizontalrunnerautoscaler_spec_max_replicas"),
    );
    vec![
        Alert {
            name: "ArcctlPoolSaturated",
            severity: "warning",
            hold: "15m",
            // A pool with min = max is always at its maximum.
            expression: format!("{desired} >= on ({POOL}) ({limit} > on ({POOL}) {IN_FORCE})"),
            summary: "Pool {{ $labels.horizontalrunnerautoscaler }} has been at its maximum for 15 minutes",
            description: "The autoscaler asks for as many runners as `max` allows, {{ $value }}: jobs may be waiting. Raise `max` of the pool in the profile and run `arcctl up`, if the nodes hold more.".into(),
        },
        Alert {
            name: "ArcctlRunnersNotRegistered",
            severity: "warning",
            hold: "5m",
            // A runner is replaced after its job, and the new one needs time to register: fires if within ten minutes
            // the registered runners were never as many as the minimum of all runners.
            expression: format!(
                "max by ({POOL}) (max_over_time({registered}[10m])) < on ({POOL}) min by ({POOL}) (min_over_time(horizontalrunnerautoscaler_runners[10m])) and on ({POOL}) {IN_FORCE}"
            ),
            summary: "Runners of pool {{ $labels.horizontalrunnerautoscaler }} do not register at GitHub",
            description: "Of all runners of the pool only {{ $value }} were registered at any time in ten minutes. `arcctl doctor` says why.".into(),
        },
        Alert {
            name: "ArcctlMinimumNotMet",
            severity: "critical",
            hold: "15m",
            // The controller only counts registered runners for pools that scale by busy runners.
            expression: format!(
                "(max by ({POOL}) (max_over_time({registered}[5m])) or {desired}) < on ({POOL}) {IN_FORCE}"
            ),
            summary: "Pool {{ $labels.horizontalrunnerautoscaler }} has fewer runners than its minimum in force",
            description: "There are {{ $value }} runners; `arcctl schedule` has the minimum, `arcctl doctor` says what keeps them away.".into(),
        },
        Alert {
            name: "ArcctlPoolWithoutMetrics",
            severity: "warning",
            hold: "15m",
            expression: format!("{IN_FORCE} unless on ({POOL}) {limit}"),
            summary: "Nothing is known of pool {{ $labels.horizontalrunnerautoscaler }}",
            description: "Prometheus has no metric of its autoscaler, so that no other alert of the pool can fire: the controller does not run, or is not scraped. `arcctl doctor` tells the two apart.".into(),
        },
        Alert {
            name: "ArcctlScheduleEnds",
            severity: "warning",
            hold: "1h",
            expression: format!("{ENDS} - time() < {SCHEDULE_DAYS} * 86400"),
            summary: "The schedule of pool {{ $labels.horizontalrunnerautoscaler }} ends in {{ $value | humanizeDuration }}",
            description: "Where clocks change, and for windows with a date, the overrides are dated and end. `arcctl up` writes the next ones.".into(),
        },
    ]
}

fn of_the_controller(controller: &Controller) -> Vec<Alert> {
    let namespace = &controller.namespace;
    let (log, certificate) = (controller.log_command(), controller.serving_certificate());
    let lease = if controller.release == names::CONTROLLER {
        controller.release.clone()
    } else {
        controller.full_name()
    };
    vec![
        Alert {
            name: "ArcctlReconcileErrors",
            severity: "warning",
            hold: "10m",
            expression: "sum by (controller) (rate(controller_runtime_reconcile_errors_total{controller=~\"(runner|horizontalrunnerautoscaler).*\"}[5m])) > 0".into(),
            summary: "{{ $labels.controller }} has been failing for 10 minutes",
            description: format!("{{{{ $value | humanize }}}} errors a second. `arcctl doctor` says why; the log is `{log}`.").into(),
        },
        Alert {
            name: "ArcctlNoLeader",
            severity: "critical",
            hold: "5m",
            expression: format!("max(leader_election_master_status{{name=\"{lease}\"}}) == 0"),
            summary: "No pod of the Actions Runner Controller leads",
            description: format!("The pods run and none of them works: nothing is scaled, and no runner replaced. See who holds the lease: `kubectl -n {namespace} get lease {lease}`.").into(),
        },
        Alert {
            name: "ArcctlGitHubCallsRunOut",
            severity: "warning",
            hold: "5m",
            // A server without a rate limit reports none, and the metric is 0.
            expression: "max(github_rate_limit_remaining) < 0.1 * max(github_rate_limit)".into(),
            summary: "Less than a tenth of the API calls that GitHub allows are left",
            description: "{{ $value }} calls are left in this hour; without them nothing is scaled. Raise `controller.syncPeriod`, or use a GitHub App.".into(),
        },
        Alert {
            name: "ArcctlCertificateEnds",
            severity: "critical",
            hold: "15m",
            expression: format!(
                "min(certmanager_certificate_expiration_timestamp_seconds{{name=\"{certificate}\"}}) - time() < {CERTIFICATE_DAYS} * 86400"
            ),
            summary: "The certificate of the controller's webhooks ends in {{ $value | humanizeDuration }}",
            description: format!("cert-manager should have renewed it. After its end no runner can be made or changed. See `kubectl -n {namespace} describe certificate {certificate}`.").into(),
        },
    ]
}
